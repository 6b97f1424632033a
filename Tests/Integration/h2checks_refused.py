"""What a server of HTTP/2 must refuse or ignore: frames that are malformed, in the wrong state, on
the wrong stream, of the wrong size, and flow control.
"""

import frames
from frames import (
    COMPRESSION_ERROR,
    ENABLE_PUSH,
    END_HEADERS,
    END_STREAM,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    INITIAL_WINDOW_SIZE,
    MAX_FRAME_SIZE,
    MAX_WINDOW,
    PADDED,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    STREAM_CLOSED,
)
from h2check import Fault, bare, check, filler, get_block, post_block

UNKNOWN_FRAME = frames.frame(0x16, 0, 0, b"\0" * 8)


def frame_size(peer):
    return peer.settings.get(MAX_FRAME_SIZE, frames.DEFAULT_FRAME)


# --- 3.4 preface, 4 frames ---


@check("9113 3.4", "another preface")
@bare
def _(peer):
    peer.send(b"INVALID CONNECTION PREFACE\r\n\r\n")
    if not peer.until(lambda: peer.closed):
        raise Fault(f"not closed: {peer.story()}")


@check("9113 3.4", "a request in the same octets as the preface is answered")
@bare
def _(peer):
    peer.send(frames.PREFACE, frames.settings(), frames.headers(1, get_block()))
    peer.answers_on(1)


@check("9113 4.1", "a frame of unknown type is ignored")
def _(peer):
    peer.send(UNKNOWN_FRAME)
    peer.lives()


@check("9113 4.1", "flags without a meaning are ignored")
def _(peer):
    payload = b"flagged!"
    peer.send(frames.frame(frames.PING, 0x16, 0, payload))
    if not peer.until(lambda: payload in peer.pings):
        raise Fault(f"no answer to PING: {peer.story()}")


@check("9113 4.1", "the reserved bit is ignored")
def _(peer):
    payload = b"reserved"
    peer.send(frames.frame(frames.PING, 0, 1 << 31, payload))
    if not peer.until(lambda: payload in peer.pings):
        raise Fault(f"no answer to PING: {peer.story()}")


@check("9113 4.2", "DATA of 16384 octets is taken")
def _(peer):
    peer.get(method="POST", body=b"x" * frames.DEFAULT_FRAME)
    peer.answers_on(1)


LARGEST = (1 << 24) - 1  # no frame can be larger than this is allowed


@check("9113 4.2", "DATA larger than allowed")
def _(peer):
    if frame_size(peer) == LARGEST:
        return
    peer.send(frames.headers(1, post_block(), end_stream=False))
    peer.send(frames.data(1, b"x" * (frame_size(peer) + 1)))
    peer.fails_stream(1, FRAME_SIZE_ERROR)


@check("9113 4.2", "HEADERS larger than allowed")
def _(peer):
    if frame_size(peer) == LARGEST:
        return
    more = frames.block([("x-long", "v" * frame_size(peer))])
    peer.send(frames.headers(1, get_block() + more))
    peer.fails_connection(FRAME_SIZE_ERROR)


@check("9113 4.3", "a field block that ends too early")
def _(peer):
    peer.send(frames.headers(1, b"\x40"))
    peer.fails_connection(COMPRESSION_ERROR)


@check("9113 4.3", "PRIORITY between the parts of a field block")
def _(peer):
    peer.send(frames.headers(1, get_block(), False, end_headers=False))
    peer.send(frames.priority(1), frames.continuation(1, filler()))
    peer.fails_connection(PROTOCOL_ERROR)


@check("9113 4.3", "HEADERS of another stream between the parts of a field block")
def _(peer):
    peer.send(frames.headers(1, get_block(), False, end_headers=False))
    peer.send(frames.headers(3, get_block()), frames.continuation(1, filler()))
    peer.fails_connection(PROTOCOL_ERROR)


# --- 5.1 states ---


def on_idle(words, octets):
    @check("9113 5.1", f"idle: {words}")
    def _(peer):
        peer.send(octets)
        peer.fails_connection(PROTOCOL_ERROR)


on_idle("DATA", frames.data(1, b"test"))
on_idle("RST_STREAM", frames.rst_stream(1))
on_idle("WINDOW_UPDATE", frames.window_update(1, 100))
on_idle("CONTINUATION", frames.continuation(1, get_block()))


def on_half_closed(words, octets, *codes):
    @check("9113 5.1", f"half-closed (remote): {words}")
    def _(peer):
        peer.send(frames.headers(1, get_block()), octets)
        peer.fails_stream(1, *codes)


on_half_closed("DATA", frames.data(1, b"test"), STREAM_CLOSED)
on_half_closed("HEADERS", frames.headers(1, get_block()), STREAM_CLOSED)
on_half_closed("CONTINUATION", frames.continuation(1, filler()), STREAM_CLOSED, PROTOCOL_ERROR)


def on_reset(words, octets, *codes):
    @check("9113 5.1", f"closed: {words} after RST_STREAM")
    def _(peer):
        peer.send(frames.headers(1, post_block(), end_stream=False), frames.rst_stream(1), octets)
        peer.fails_stream(1, *codes)


on_reset("DATA", frames.data(1, b"test"), STREAM_CLOSED)
on_reset("HEADERS", frames.headers(1, get_block()), STREAM_CLOSED)
on_reset("CONTINUATION", frames.continuation(1, filler()), STREAM_CLOSED, PROTOCOL_ERROR)


def on_closed(words, octets, *codes):
    @check("9113 5.1", f"closed: {words}")
    def _(peer):
        peer.get()
        peer.answers_on(1, whole=True)
        peer.send(octets)
        peer.fails_stream(1, *codes)


on_closed("DATA", frames.data(1, b"test"), STREAM_CLOSED)
on_closed("HEADERS", frames.headers(1, get_block()), STREAM_CLOSED)
on_closed("CONTINUATION", frames.continuation(1, filler()), STREAM_CLOSED, PROTOCOL_ERROR)


@check("9113 5.1.1", "a stream of even number")
def _(peer):
    peer.send(frames.headers(2, get_block()))
    peer.fails_connection(PROTOCOL_ERROR)


@check("9113 5.1.1", "a stream of lower number than before")
def _(peer):
    peer.send(frames.headers(5, get_block()), frames.headers(3, get_block()))
    peer.fails_connection(PROTOCOL_ERROR, STREAM_CLOSED)


@check("9113 5.1.2", "more streams than allowed")
def _(peer):
    peer.acknowledges((INITIAL_WINDOW_SIZE, 0))
    allowed = min(peer.streams_allowed, 2000)
    streams = range(1, 2 * allowed + 3, 2)
    peer.send(*(frames.headers(stream, get_block()) for stream in streams))
    peer.until(lambda: peer.resets() or peer.goaways)
    found = peer.resets() + peer.goaways
    if not peer.closed and not set(found) & {REFUSED_STREAM, PROTOCOL_ERROR}:
        raise Fault(f"{allowed} streams are allowed, none is refused: {peer.story()}")


@check("9113 5.3", "HEADERS that depend on themselves")
def _(peer):
    block = frames.weight(1) + get_block()
    peer.send(frames.headers(1, block, extra=frames.WITH_PRIORITY))
    peer.fails_stream(1, PROTOCOL_ERROR)


@check("9113 5.3", "PRIORITY that depends on itself")
def _(peer):
    peer.send(frames.priority(2, 2))
    peer.fails_stream(2, PROTOCOL_ERROR)


@check("9113 5.4.1", "an error of the connection ends it")
def _(peer):
    peer.send(frames.frame(frames.PING, 0, 3, b"\0" * 8))
    if not peer.until(lambda: peer.closed):
        raise Fault(f"not closed: {peer.story()}")


@check("9113 5.4.1", "an error of the connection is told by GOAWAY", recommended=True)
def _(peer):
    peer.send(frames.frame(frames.PING, 0, 3, b"\0" * 8))
    if not peer.until(lambda: peer.goaways):
        raise Fault(f"no GOAWAY: {peer.story()}")


@check("9113 5.5", "an extension frame is ignored")
def _(peer):
    peer.send(UNKNOWN_FRAME)
    peer.lives()


@check("9113 5.5", "an extension frame within a field block")
def _(peer):
    peer.send(frames.headers(1, get_block(), end_headers=False), UNKNOWN_FRAME)
    peer.fails_connection(PROTOCOL_ERROR)


# --- 6 frames of each type ---


def refused_frame(section, words, octets, *codes):
    """An error of the connection, whatever the stream says."""

    @check(section, words)
    def _(peer):
        peer.send(octets)
        peer.fails_connection(*codes)


def refused_on_stream(section, words, octets, *codes, before=None):
    @check(section, words)
    def _(peer):
        peer.send(before or frames.headers(1, post_block(), end_stream=False), octets)
        peer.fails_stream(1, *codes)


BAD_PADDING = frames.frame(frames.DATA, END_STREAM | PADDED, 1, b"\x06Test")
ENDED = frames.headers(1, post_block())
refused_frame("9113 6.1", "DATA on stream 0", frames.data(0, b"test"), PROTOCOL_ERROR)
refused_on_stream(
    "9113 6.1",
    "DATA on a stream that is not open",
    frames.data(1, b"test"),
    STREAM_CLOSED,
    before=ENDED,
)
refused_on_stream("9113 6.1", "DATA with too much padding", BAD_PADDING, PROTOCOL_ERROR)

OPEN_BLOCK = frames.headers(1, get_block(), False, end_headers=False)
refused_frame(
    "9113 6.2", "PRIORITY behind a block that goes on", OPEN_BLOCK + frames.priority(1), 1
)
refused_frame(
    "9113 6.2",
    "HEADERS of another stream behind a block that goes on",
    OPEN_BLOCK + frames.headers(3, get_block()),
    PROTOCOL_ERROR,
)
refused_frame("9113 6.2", "HEADERS on stream 0", frames.headers(0, get_block()), PROTOCOL_ERROR)
refused_frame(
    "9113 6.2",
    "HEADERS with too much padding",
    frames.frame(
        frames.HEADERS,
        END_STREAM | END_HEADERS | PADDED,
        1,
        bytes([len(get_block()) + 2]) + get_block(),
    ),
    PROTOCOL_ERROR,
)

refused_frame("9113 6.3", "PRIORITY on stream 0", frames.priority(0), PROTOCOL_ERROR)
refused_on_stream(
    "9113 6.3",
    "PRIORITY of another length than 5",
    frames.frame(frames.PRIORITY, 0, 1, b"\x80\0\0\x01"),
    FRAME_SIZE_ERROR,
)

refused_frame("9113 6.4", "RST_STREAM on stream 0", frames.rst_stream(0), PROTOCOL_ERROR)
refused_frame("9113 6.4", "RST_STREAM on an idle stream", frames.rst_stream(1), PROTOCOL_ERROR)
refused_on_stream(
    "9113 6.4",
    "RST_STREAM of another length than 4",
    frames.frame(frames.RST_STREAM, 0, 1, b"\0\0\0"),
    FRAME_SIZE_ERROR,
)

refused_frame(
    "9113 6.5",
    "SETTINGS with ACK and a payload",
    frames.frame(frames.SETTINGS, frames.ACK, 0, b"\0"),
    FRAME_SIZE_ERROR,
)
refused_frame(
    "9113 6.5",
    "SETTINGS on a stream",
    frames.frame(frames.SETTINGS, 0, 1, b"\0\x03\0\0\0\x64"),
    PROTOCOL_ERROR,
)
refused_frame(
    "9113 6.5",
    "SETTINGS of a length that is no multiple of 6",
    frames.frame(frames.SETTINGS, 0, 0, b"\0\x03\0\0\0\x64\0\x02\0"),
    FRAME_SIZE_ERROR,
    PROTOCOL_ERROR,
)
for words, number, value, code in (
    ("ENABLE_PUSH other than 0 and 1", ENABLE_PUSH, 2, PROTOCOL_ERROR),
    ("INITIAL_WINDOW_SIZE above 2^31-1", INITIAL_WINDOW_SIZE, 1 << 31, FLOW_CONTROL_ERROR),
    ("MAX_FRAME_SIZE below 16384", MAX_FRAME_SIZE, 16383, PROTOCOL_ERROR),
    ("MAX_FRAME_SIZE above 2^24-1", MAX_FRAME_SIZE, 1 << 24, PROTOCOL_ERROR),
):
    refused_frame("9113 6.5.2", words, frames.settings((number, value)), code)


@check("9113 6.5.2", "an unknown setting is ignored")
def _(peer):
    peer.send(frames.settings((0xFF, 1)))
    peer.lives()


@check("9113 6.5.3", "settings are taken in their order")
def _(peer):
    peer.acknowledges((INITIAL_WINDOW_SIZE, 100), (INITIAL_WINDOW_SIZE, 1))
    peer.ask()
    peer.gets_data(1)


@check("9113 6.5.3", "SETTINGS are acknowledged")
def _(peer):
    peer.acknowledges((ENABLE_PUSH, 0))


@check("9113 6.7", "PING comes back with its payload")
def _(peer):
    if not peer.ponged(b"payload!"):
        raise Fault(f"no answer to PING: {peer.story()}")


@check("9113 6.7", "PING with ACK is not answered")
def _(peer):
    peer.send(frames.ping(b"unasked!", ack=True))
    peer.lives()
    if b"unasked!" in peer.pings:
        raise Fault("an acknowledgement was acknowledged")


refused_frame(
    "9113 6.7", "PING on a stream", frames.frame(frames.PING, 0, 1, b"\0" * 8), PROTOCOL_ERROR
)
refused_frame(
    "9113 6.7",
    "PING of another length than 8",
    frames.frame(frames.PING, 0, 0, b"\0" * 6),
    FRAME_SIZE_ERROR,
)
refused_frame("9113 6.8", "GOAWAY on a stream", frames.goaway(stream=1), PROTOCOL_ERROR)

refused_frame("9113 6.9", "WINDOW_UPDATE of 0", frames.window_update(0, 0), PROTOCOL_ERROR)
refused_on_stream(
    "9113 6.9", "WINDOW_UPDATE of 0 on a stream", frames.window_update(1, 0), PROTOCOL_ERROR
)
refused_frame(
    "9113 6.9",
    "WINDOW_UPDATE of another length than 4",
    frames.frame(frames.WINDOW_UPDATE, 0, 0, b"\0\0\x01"),
    FRAME_SIZE_ERROR,
)


@check("9113 6.9.1", "no more DATA than the window")
def _(peer):
    peer.acknowledges((INITIAL_WINDOW_SIZE, 1))
    peer.ask()
    peer.gets_data(1)


refused_frame(
    "9113 6.9.1",
    "a window of the connection above 2^31-1",
    frames.window_update(0, MAX_WINDOW) * 2,
    FLOW_CONTROL_ERROR,
)
refused_on_stream(
    "9113 6.9.1",
    "a window of a stream above 2^31-1",
    frames.window_update(1, MAX_WINDOW) * 2,
    FLOW_CONTROL_ERROR,
)


@check("9113 6.9.2", "a changed initial window reaches open streams")
def _(peer):
    peer.acknowledges((INITIAL_WINDOW_SIZE, 0))
    peer.ask()
    peer.gets_no_data()
    peer.send(frames.settings((INITIAL_WINDOW_SIZE, 1)))
    peer.gets_data(1)


@check("9113 6.9.2", "a window below 0 is remembered")
def _(peer):
    peer.acknowledges((INITIAL_WINDOW_SIZE, 3))
    peer.ask()
    peer.gets_data(3)
    peer.acknowledges((INITIAL_WINDOW_SIZE, 2))
    peer.send(frames.window_update(1, 1))
    peer.lives()
    if len(peer.answers[1].body) != 3:
        raise Fault(f"DATA beyond the window: {peer.story()}")
    peer.send(frames.window_update(1, 1))
    if not peer.until(lambda: len(peer.answers[1].body) == 4):
        raise Fault(f"no DATA for a window of 1: {peer.story()}")


refused_frame(
    "9113 6.9.2",
    "INITIAL_WINDOW_SIZE above the largest window",
    frames.settings((INITIAL_WINDOW_SIZE, 1 << 31)),
    FLOW_CONTROL_ERROR,
)


@check("9113 6.10", "several CONTINUATIONs behind HEADERS")
def _(peer):
    peer.send(frames.headers(1, get_block(), end_headers=False))
    peer.send(frames.continuation(1, filler(), False), frames.continuation(1, filler()))
    peer.answers_on(1)


BEGUN = frames.headers(1, get_block(), end_headers=False)
for words, octets in (
    ("DATA behind a CONTINUATION that goes on", frames.data(1, b"test")),
    ("CONTINUATION on stream 0", frames.continuation(0, filler())),
):
    open_end = frames.continuation(1, filler(), False) if "behind" in words else b""
    refused_frame("9113 6.10", words, BEGUN + open_end + octets, PROTOCOL_ERROR)
refused_frame(
    "9113 6.10",
    "CONTINUATION behind HEADERS that ended the block",
    frames.headers(1, get_block()) + frames.continuation(1, filler()),
    PROTOCOL_ERROR,
)
refused_frame(
    "9113 6.10",
    "CONTINUATION behind a CONTINUATION that ended the block",
    BEGUN + frames.continuation(1, filler()) * 2,
    PROTOCOL_ERROR,
)
refused_frame(
    "9113 6.10",
    "CONTINUATION behind DATA",
    OPEN_BLOCK + frames.data(1, b"test") + frames.continuation(1, filler()),
    PROTOCOL_ERROR,
)


@check("9113 7", "GOAWAY with an unknown code")
def _(peer):
    peer.send(frames.goaway(0, 0xFF))
    peer.lives_or_leaves()


@check("9113 7", "RST_STREAM with an unknown code")
def _(peer):
    peer.send(frames.headers(1, post_block(), end_stream=False), frames.rst_stream(1, 0xFF))
    peer.lives()
