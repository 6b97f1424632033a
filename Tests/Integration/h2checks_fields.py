"""What a server of HTTP/2 must refuse in messages and in compressed field blocks."""

import frames
from frames import COMPRESSION_ERROR, PROTOCOL_ERROR
from h2check import check, get_block, post_block


def malformed(section, words, fields, method="GET"):
    @check(section, words)
    def _(peer):
        peer.send(frames.headers(1, frames.block(fields), end_stream=method == "GET"))
        peer.fails_stream(1, PROTOCOL_ERROR)


def usual(*more, without=(), method="GET", **changed):
    fields = frames.request(method, fields=more, **changed)
    return [(n, v) for n, v in fields if n not in without]


@check("9113 8.1", "a second HEADERS that does not end the stream")
def _(peer):
    trailers = frames.block([("x-test", "ok")])
    peer.send(frames.headers(1, post_block(), end_stream=False))
    peer.send(frames.data(1, b"test", False), frames.headers(1, trailers, end_stream=False))
    peer.fails_stream(1, PROTOCOL_ERROR)


malformed("9113 8.2.1", "a field name in upper case", usual(("X-TEST", "ok")))
malformed("9113 8.3", "an unknown pseudo-header field", usual((":test", "ok")))
malformed("9113 8.3", "a pseudo-header field of answers", usual((":status", "200")))


@check("9113 8.3", "a pseudo-header field in trailers")
def _(peer):
    peer.send(frames.headers(1, post_block(("trailer", "x-test")), end_stream=False))
    peer.send(frames.data(1, b"test", False))
    peer.send(frames.headers(1, frames.block([(":method", "GET")])))
    peer.fails_stream(1, PROTOCOL_ERROR)


PSEUDO = frames.request()
malformed(
    "9113 8.3",
    "a pseudo-header field behind a regular one",
    [*PSEUDO[:-1], ("x-test", "ok"), PSEUDO[-1]],
)
malformed("9113 8.2.2", "connection", usual(("connection", "keep-alive")))
malformed("9113 8.2.2", "te with more than trailers", usual(("te", "trailers, deflate")))
malformed("9113 8.3.1", "an empty :path", usual(path=""))
for name in (":method", ":scheme", ":path"):
    malformed("9113 8.3.1", f"no {name}", usual(without=(name,)))
for name, value in ((":method", "GET"), (":scheme", "https"), (":path", "/p")):
    malformed("9113 8.3.1", f"{name} twice", [(name, value), *PSEUDO])


def wrong_length(words, *pieces):
    @check("9113 8.1.1", words)
    def _(peer):
        peer.send(frames.headers(1, post_block(("content-length", "1")), end_stream=False))
        last = len(pieces) - 1
        peer.send(*(frames.data(1, piece, i == last) for i, piece in enumerate(pieces)))
        peer.fails_stream(1, PROTOCOL_ERROR)


wrong_length("content-length is not the length of DATA", b"test")
wrong_length("content-length is not the length of several DATA", b"test", b"test")


@check("9113 8.4", "PUSH_PROMISE from a client")
def _(peer):
    payload = b"\0\0\0\x03" + get_block()
    peer.send(frames.headers(1, get_block()))
    peer.send(frames.frame(frames.PUSH_PROMISE, frames.END_HEADERS, 1, payload))
    peer.fails_connection(PROTOCOL_ERROR)


# --- RFC 7541 ---


def undecodable(section, words, *parts):
    @check(section, words)
    def _(peer):
        peer.send(frames.headers(1, get_block() + b"".join(parts)))
        peer.fails_connection(COMPRESSION_ERROR)


undecodable("7541 2.3.3", "an index behind both tables", frames.indexed(70))
undecodable(
    "7541 2.3.3",
    "a name by an index behind both tables",
    frames.literal(70, "v", frames.INCREMENTAL),
)
undecodable("7541 4.2", "a change of the table's size at the end", frames.table_size(1))
for words, code in (
    ("Huffman padding of more than 7 bits", bytes.fromhex("f2b24a84ffff")),
    ("Huffman padding of zeros", bytes.fromhex("f2b24a8480")),
    ("the end-of-string symbol within a string", bytes.fromhex("f2b24a84ffffffff")),
):
    undecodable("7541 5.2", words, b"\0", frames.string("x-test"), frames.string(code, True))
undecodable("7541 6.1", "index 0", b"\x80")


@check("7541 6.3", "a table larger than allowed")
def _(peer):
    allowed = peer.settings.get(frames.HEADER_TABLE_SIZE, 4096)
    peer.send(frames.headers(1, frames.table_size(allowed + 1) + get_block()))
    peer.fails_connection(COMPRESSION_ERROR)
