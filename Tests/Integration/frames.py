"""HTTP/2 frames to the octet: written however wrong they are wanted, read as they came.

Lengths, flags, types and reserved bits are whatever the caller says; nothing here repairs them.
Field blocks are written without any table (`block`, `literal`, `indexed`), so that a test knows
each octet of them; they are read with PyPI's hpack.
"""

import struct
from dataclasses import dataclass

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 5, 6, 7, 8, 9
NAMES = (
    "DATA",
    "HEADERS",
    "PRIORITY",
    "RST_STREAM",
    "SETTINGS",
    "PUSH_PROMISE",
    "PING",
    "GOAWAY",
    "WINDOW_UPDATE",
    "CONTINUATION",
)

END_STREAM = ACK = 0x1
END_HEADERS, PADDED, WITH_PRIORITY = 0x4, 0x8, 0x20

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS = 1, 2, 3
INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = 4, 5, 6
ENABLE_CONNECT_PROTOCOL = 8

ERRORS = (
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
)
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 2, 3
STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL = 5, 6, 7, 8
COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 9, 11

DEFAULT_WINDOW, DEFAULT_FRAME, MAX_WINDOW = 65535, 16384, (1 << 31) - 1


def error_name(code):
    return ERRORS[code] if code < len(ERRORS) else hex(code)


@dataclass
class Frame:
    """One frame as it was received."""

    kind: int
    flags: int
    stream: int
    payload: bytes

    def __str__(self):
        name = NAMES[self.kind] if self.kind < len(NAMES) else f"type {self.kind:#x}"
        text = f"{name} stream {self.stream} flags {self.flags:#x} length {len(self.payload)}"
        if self.kind in (RST_STREAM, GOAWAY):
            text += f" {error_name(self.code)}"
        return text

    @property
    def code(self):
        """The error code of RST_STREAM and GOAWAY."""
        at = 4 if self.kind == GOAWAY else 0
        return int.from_bytes(self.payload[at : at + 4], "big")

    @property
    def body(self):
        """The payload without padding and priority."""
        payload, pad = self.payload, 0
        if self.flags & PADDED and self.kind in (DATA, HEADERS, PUSH_PROMISE):
            pad, payload = payload[0], payload[1:]
        if self.flags & WITH_PRIORITY and self.kind == HEADERS:
            payload = payload[5:]
        return payload[: len(payload) - pad]


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    """The octets of a frame; `length` may lie, `stream` may have its reserved bit set."""
    size = len(payload) if length is None else length
    return struct.pack(">HBBBI", size >> 8, size & 255, kind, flags, stream) + payload


def parse(buffer):
    """(Frame, rest) of the first whole frame in `buffer`, or None."""
    if len(buffer) < 9:
        return None
    high, low, kind, flags, stream = struct.unpack(">HBBBI", buffer[:9])
    end = 9 + (high << 8 | low)
    if len(buffer) < end:
        return None
    return Frame(kind, flags, stream & MAX_WINDOW, bytes(buffer[9:end])), buffer[end:]


def split(wire):
    """The frames of a byte string that begins with one, each as its own octets."""
    pieces = []
    while len(wire) >= 9:
        end = 9 + int.from_bytes(wire[:3], "big")
        pieces.append(wire[:end])
        wire = wire[end:]
    return [*pieces, wire] if wire else pieces


# --- frames as they should be ---


def settings(*pairs, flags=0):
    return frame(SETTINGS, flags, 0, b"".join(struct.pack(">HI", *pair) for pair in pairs))


def headers(stream, payload, end_stream=True, end_headers=True, extra=0):
    flags = extra | (END_STREAM if end_stream else 0) | (END_HEADERS if end_headers else 0)
    return frame(HEADERS, flags, stream, payload)


def continuation(stream, payload, end_headers=True):
    return frame(CONTINUATION, END_HEADERS if end_headers else 0, stream, payload)


def data(stream, payload=b"", end_stream=True):
    return frame(DATA, END_STREAM if end_stream else 0, stream, payload)


def ping(payload=b"\0" * 8, ack=False):
    return frame(PING, ACK if ack else 0, 0, payload)


def rst_stream(stream, code=CANCEL):
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


def window_update(stream, increment):
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


def goaway(last=0, code=NO_ERROR, text=b"", stream=0):
    return frame(GOAWAY, 0, stream, struct.pack(">II", last, code) + text)


def weight(depends_on=0, number=16, exclusive=False):
    """The five octets of a priority."""
    return struct.pack(">IB", depends_on | (exclusive << 31), number - 1)


def priority(stream, *dependency, **more):
    return frame(PRIORITY, 0, stream, weight(*dependency, **more))


# --- field blocks ---


def integer(value, bits, first=0):
    """An integer of RFC 7541 5.1 with a prefix of `bits`, under the bits of `first`."""
    limit = (1 << bits) - 1
    if value < limit:
        return bytes([first | value])
    out, value = [first | limit], value - limit
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def octets(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")


def string(text, huffman=False):
    text = octets(text)
    return integer(len(text), 7, 0x80 if huffman else 0) + text


WITHOUT_INDEX, NEVER_INDEXED, INCREMENTAL = 0x00, 0x10, 0x40


def literal(name, value, how=WITHOUT_INDEX):
    """A literal field; `name` is text, or the number of an entry whose name it has."""
    bits = 6 if how == INCREMENTAL else 4
    first = integer(name, bits, how) if isinstance(name, int) else bytes([how]) + string(name)
    return first + string(value)


def indexed(number):
    return integer(number, 7, 0x80)


def table_size(size):
    return integer(size, 5, 0x20)


def block(fields, how=WITHOUT_INDEX):
    return b"".join(literal(name, value, how) for name, value in fields)


def request(method="GET", path="/p", authority="ex.test", scheme="https", fields=()):
    """The fields of a usual request."""
    pseudo = [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path)]
    return [*pseudo, *fields]
