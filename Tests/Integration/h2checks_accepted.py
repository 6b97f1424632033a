"""What every server of HTTP/2 must understand: each frame, each representation, each state."""

import frames
from frames import END_STREAM, INCREMENTAL, INITIAL_WINDOW_SIZE, NEVER_INDEXED, WITHOUT_INDEX
from h2check import bare, check, filler, get_block, post_block

VALUE, NAME_BY_INDEX = "h2-check", 58  # static table: user-agent
# Huffman codes of "x-test" and of "a1b2".
HUFFMAN_NAME = bytes.fromhex("f2b24a84ff")
HUFFMAN_VALUE = bytes.fromhex("186317")


@check("9113 3.4", "a preface is answered with SETTINGS")
@bare
def _(peer):
    peer.start()


# --- states ---


@check("9113 5.1", "idle: PRIORITY is taken")
def _(peer):
    peer.send(frames.priority(1, 0, 256))
    peer.lives()


@check("9113 5.1", "half-closed (remote): WINDOW_UPDATE is taken")
def _(peer):
    peer.acknowledges((INITIAL_WINDOW_SIZE, 0))
    peer.send(frames.headers(1, get_block()), frames.window_update(1, 1))
    peer.gets_data(1)


@check("9113 5.1", "half-closed (remote): PRIORITY is taken")
def _(peer):
    peer.acknowledges((INITIAL_WINDOW_SIZE, 0))
    peer.send(frames.headers(1, get_block()), frames.priority(1, 0, 256))
    peer.send(frames.window_update(1, 1))
    peer.gets_data(1)


@check("9113 5.1", "half-closed (remote): RST_STREAM is taken")
def _(peer):
    peer.send(frames.headers(1, get_block()), frames.rst_stream(1))
    peer.lives_or_leaves()


@check("9113 5.1", "closed: PRIORITY is taken")
def _(peer):
    peer.get()
    peer.send(frames.priority(1, 0, 256))
    peer.lives()


# --- frames ---


@check("9113 6.1", "one DATA frame")
def _(peer):
    peer.send(frames.headers(1, post_block(), end_stream=False), frames.data(1, b"test"))
    peer.answers_on(1)


@check("9113 6.1", "several DATA frames")
def _(peer):
    peer.send(frames.headers(1, post_block(), end_stream=False))
    peer.send(frames.data(1, b"test", False), frames.data(1, b"test"))
    peer.answers_on(1)


@check("9113 6.1", "DATA with padding")
def _(peer):
    padded = frames.frame(frames.DATA, END_STREAM | frames.PADDED, 1, b"\x06test" + b"\0" * 6)
    peer.send(frames.headers(1, post_block(), end_stream=False), padded)
    peer.answers_on(1)


@check("9113 6.2", "HEADERS")
def _(peer):
    peer.send(frames.headers(1, get_block()))
    peer.answers_on(1)


@check("9113 6.2", "HEADERS with padding")
def _(peer):
    peer.send(frames.headers(1, b"\x08" + get_block() + b"\0" * 8, extra=frames.PADDED))
    peer.answers_on(1)


@check("9113 6.2", "HEADERS with priority")
def _(peer):
    block = frames.weight(0, 256) + get_block()
    peer.send(frames.headers(1, block, extra=frames.WITH_PRIORITY))
    peer.answers_on(1)


def after_priority(words, *arguments, stream=1, **more):
    @check("9113 6.3", words)
    def _(peer):
        peer.send(frames.priority(stream, *arguments, **more), frames.headers(1, get_block()))
        peer.answers_on(1)


after_priority("PRIORITY of weight 1", 0, 1)
after_priority("PRIORITY of weight 256", 0, 256)
after_priority("PRIORITY that depends on a stream", 1, 1, stream=3)
after_priority("PRIORITY that is exclusive", 0, 1, exclusive=True)
after_priority("PRIORITY of an idle stream leaves lower ones usable", 0, 256, stream=3)


@check("9113 6.4", "RST_STREAM")
def _(peer):
    peer.send(frames.headers(1, post_block(), end_stream=False), frames.rst_stream(1))
    peer.lives()


@check("9113 6.5", "SETTINGS with every parameter")
def _(peer):
    peer.acknowledges((1, 4096), (2, 1), (3, 100), (4, 65535), (5, 16384), (6, 100))


@check("9113 6.7", "PING")
def _(peer):
    peer.lives()


@check("9113 6.8", "GOAWAY")
def _(peer):
    peer.send(frames.goaway())
    peer.lives_or_leaves()


@check("9113 6.9", "WINDOW_UPDATE of the connection")
def _(peer):
    peer.send(frames.window_update(0, 1))
    peer.lives()


@check("9113 6.9", "WINDOW_UPDATE of a stream")
def _(peer):
    peer.acknowledges((INITIAL_WINDOW_SIZE, 0))
    peer.send(frames.headers(1, get_block()), frames.window_update(1, 1))
    peer.gets_data(1)


@check("9113 6.10", "one CONTINUATION")
def _(peer):
    peer.send(frames.headers(1, get_block(), end_headers=False), frames.continuation(1, filler()))
    peer.answers_on(1)


@check("9113 6.10", "several CONTINUATIONs")
def _(peer):
    peer.send(frames.headers(1, get_block(), end_headers=False))
    peer.send(frames.continuation(1, filler(), False), frames.continuation(1, filler()))
    peer.answers_on(1)


# --- messages ---


@check("9113 8.1", "GET")
def _(peer):
    peer.get()
    peer.answers_on(1)


@check("9113 8.1", "HEAD")
def _(peer):
    peer.get(method="HEAD")
    peer.answers_on(1)


@check("9113 8.1", "POST")
def _(peer):
    peer.get(method="POST", body=b"test")
    peer.answers_on(1)


@check("9113 8.1", "POST with trailers")
def _(peer):
    peer.send(frames.headers(1, post_block(("trailer", "x-test")), end_stream=False))
    peer.send(frames.data(1, b"test", False), frames.headers(1, frames.block([("x-test", "ok")])))
    peer.answers_on(1)


# --- compression: representations ---


def understood(section, words, *parts, before=b""):
    @check(section, words)
    def _(peer):
        peer.send(frames.headers(1, before + get_block() + b"".join(parts)))
        peer.answers_on(1)


understood("7541 6.1", "an indexed field", frames.indexed(NAME_BY_INDEX))
for section, title, how in (
    ("7541 6.2.1", "a literal that is indexed", INCREMENTAL),
    ("7541 6.2.2", "a literal without indexing", WITHOUT_INDEX),
    ("7541 6.2.3", "a literal never to be indexed", NEVER_INDEXED),
):
    bits = 6 if how == INCREMENTAL else 4
    by_index, new = frames.integer(NAME_BY_INDEX, bits, how), bytes([how])
    understood(section, f"{title}, name by index", by_index, frames.string(VALUE))
    understood(
        section,
        f"{title}, name by index, Huffman codes",
        by_index,
        frames.string(HUFFMAN_VALUE, huffman=True),
    )
    understood(section, f"{title}, new name", new, frames.string("x-test"), frames.string(VALUE))
    understood(
        section,
        f"{title}, new name, Huffman codes",
        new,
        frames.string(HUFFMAN_NAME, huffman=True),
        frames.string(HUFFMAN_VALUE, huffman=True),
    )
understood("7541 6.3", "a change of the table's size", before=frames.table_size(0))
understood(
    "7541 4.2",
    "two changes of the table's size",
    before=frames.table_size(0) + frames.table_size(4096),
)
