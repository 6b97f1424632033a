"""A second reader of HTTP/1.1 request streams, written from the grammar of RFC 9110, 9112 and 3986
and from the limits in the handbook, sharing nothing with the product. Slow, whole streams only.

`read_stream(data)` says which requests a strict server accepts from a connection on which `data`
arrives and which then ends, and how the connection ends. `answer` is what the upstream behind it
says: never a tunnel.
"""

import ipaddress
import re
from dataclasses import dataclass, field

MAX_HEAD = 16384
MAX_TARGET = 8192
MAX_FIELDS = 100
MAX_OPTIONS = 64  # connection options besides close, keep-alive and upgrade
MAX_EXTENSION = 4096
MAX_TRAILER = 8192
MAX_CHUNK = 1 << 48

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
TEXT = rb"[\t\x20-\x7e\x80-\xff]*"
QUOTED = rb'"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"'
REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") ([\x21\x22\x24-\x7e]+) HTTP/([0-9])\.([0-9])")
FIELD_LINE = re.compile(rb"(" + TOKEN + rb"):[ \t]*(" + TEXT + rb")", re.DOTALL)
CHUNK_LINE = re.compile(
    rb"([0-9A-Fa-f]{1,16})((?:;" + TOKEN + rb"(?:=(?:" + TOKEN + rb"|" + QUOTED + rb"))?)*)"
)
LABELS = rb"[0-9A-Za-z_-]+(?:\.[0-9A-Za-z_-]+)*\.?"
UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
BODILESS = (b"CONNECT", b"TRACE")


class Refused(Exception):
    """Not HTTP, or readable in two ways."""


class Incomplete(Exception):
    """The stream ended within a message."""


@dataclass
class Request:
    """What a strict server accepts, with the target as it goes on."""

    method: str
    target: str
    host: str
    body: bytes = b""
    close: bool = False
    old: bool = False
    fields: list = field(default_factory=list)
    raw: bytes = b""


@dataclass
class Reading:
    """The requests that are complete, and what came after them: `end`, `close`, `refused`,
    `incomplete` (within a head), `cut` (within a body).
    """

    requests: list
    ending: str
    why: str = ""
    cut_method: str = "GET"


class Reader:
    """Takes one message after the other off a stream."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def line(self, limit=None):
        """Up to the next CRLF; a CR or LF of its own refuses."""
        end = self.data.find(b"\n", self.at)
        part = self.data[self.at : len(self.data) if end < 0 else end + 1]
        if limit is not None and len(part) > limit:
            raise Refused("too long")
        if end >= 0 and part[-2:] != b"\r\n":
            raise Refused("a line end that is not CRLF")
        if b"\r" in part[: -2 if end >= 0 else -1]:
            raise Refused("a CR of its own")
        if end < 0:
            raise Incomplete(part)
        self.at = end + 1
        return part[:-2]

    def exactly(self, count):
        part = self.data[self.at : self.at + count]
        self.at += len(part)
        if len(part) < count:
            raise Incomplete(b"")
        return part


def elements(value):
    return [e.strip(b" \t") for e in value.split(b",") if e.strip(b" \t")]


def all_of(fields, name):
    return [v for n, v in fields if n == name]


def split_authority(text):
    """(host, port or 0); refuses what names no host and port."""
    found = re.fullmatch(rb"(" + LABELS + rb"|\[[0-9A-Fa-f:.]+\])(?::([0-9]{0,5}))?", text)
    if not found:
        raise Refused("no host and port")
    host, port = found.group(1), found.group(2)
    if len(host) > 255 or (port and not 0 < int(port) < 65536):
        raise Refused("host or port out of range")
    if host[:1] == b"[":
        try:
            ipaddress.IPv6Address(host[1:-1].decode())
        except ValueError as error:
            raise Refused("no IPv6 address") from error
    return host.rstrip(b"."), int(port or 0)


def normal_path(path):
    """RFC 3986 6.2.2, and refusal of what some readers resolve otherwise."""
    if re.search(rb"%(?![0-9A-Fa-f]{2})", path):
        raise Refused("a broken escape")
    parts = []
    for part in re.findall(rb"%..|.", path, re.DOTALL):
        if len(part) == 1:
            parts.append(part)
            continue
        code = int(part[1:], 16)
        if code < 0x20 or code == 0x7F or bytes([code]) in b"/\\":
            raise Refused("an encoded control or separator")
        parts.append(bytes([code]) if code in UNRESERVED else part.upper())
    text = b"".join(parts)
    if b"\\" in text:
        raise Refused("a backslash")
    if re.search(rb"%(?:C[01]|E0|F0|F8|FC)%[89AB].", path.upper()) and overlong(path):
        raise Refused("an overlong form")
    out = []
    segments = text.split(b"/")[1:]
    for i, segment in enumerate(segments):
        last = i + 1 == len(segments)
        if re.match(rb"\.\.?(?:;|%3B)", segment):
            raise Refused("a dot segment with a parameter")
        if segment in (b".", b".."):
            if segment == b"..":
                if not out:
                    raise Refused("above the root")
                out.pop()
            if last:
                out.append(b"")
        elif segment or last:
            out.append(segment)
    return b"/" + b"/".join(out)


def overlong(path):
    """Whether an ASCII character is spelt in more bytes than one."""
    for found in re.finditer(rb"%([0-9A-Fa-f]{2})(?=%([0-9A-Fa-f]{2}))", path):
        lead, second = int(found.group(1), 16), int(found.group(2), 16)
        least = {0xE0: 0xE0, 0xF0: 0xF0, 0xF8: 0xF8, 0xFC: 0xFC}.get(lead)
        if lead in (0xC0, 0xC1) and second & 0xC0 == 0x80:
            return True
        if least is not None and second & least == 0x80:
            return True
    return False


def read_target(method, target):
    """(target as it goes on, authority or None)."""
    if len(target) > MAX_TARGET:
        raise Refused("a long target")
    if method == b"CONNECT":
        if split_authority(target)[1] == 0:
            raise Refused("CONNECT without a port")
        return target, target
    if target == b"*":
        if method != b"OPTIONS":
            raise Refused("an asterisk without OPTIONS")
        return target, None
    authority = None
    path, mark, query = target.partition(b"?")
    if not target.startswith(b"/"):
        found = re.fullmatch(rb"(?i:https?)://([^/]+)(.*)", path, re.DOTALL)
        if not found:
            raise Refused("no form of a target")
        authority, path = found.group(1), found.group(2)
        split_authority(authority)
        if not path:
            path = b"*" if method == b"OPTIONS" and not mark else b"/"
    return (path if path == b"*" else normal_path(path)) + mark + query, authority


def read_fields(reader, start):
    fields = []
    while True:
        line = reader.line(MAX_HEAD - (reader.at - start))
        if not line:
            return fields
        found = FIELD_LINE.fullmatch(line)
        if not found:
            raise Refused("no field line")
        if len(fields) == MAX_FIELDS:
            raise Refused("too many fields")
        fields.append((found.group(1).lower(), found.group(2).rstrip(b" \t")))


def read_framing(fields, old):
    """('none' | 'length' | 'chunked', length)."""
    lengths, codings = all_of(fields, b"content-length"), all_of(fields, b"transfer-encoding")
    if codings:
        if lengths or old or [c.lower() for c in codings] != [b"chunked"]:
            raise Refused("codings")
        return "chunked", 0
    if not lengths:
        return "none", 0
    if len(lengths) > 1 or not re.fullmatch(rb"0|[1-9][0-9]{0,18}", lengths[0]):
        raise Refused("lengths")
    if int(lengths[0]) > (1 << 63) - 1:
        raise Refused("a length beyond reason")
    return "length", int(lengths[0])


def read_chunks(reader):
    parts, extensions = [], 0
    while True:
        found = CHUNK_LINE.fullmatch(reader.line(16 + MAX_EXTENSION + 2))
        if not found or int(found.group(1), 16) > MAX_CHUNK:
            raise Refused("a chunk size line")
        extensions += len(found.group(2)) + (1 if found.group(2) else 0)
        if extensions > MAX_EXTENSION:
            raise Refused("extensions without end")
        size = int(found.group(1), 16)
        if size == 0:
            break
        parts.append(reader.exactly(size))
        rest = reader.data[reader.at : reader.at + 2]
        if rest != b"\r\n":
            if b"\r\n".startswith(rest):
                raise Incomplete(b"")
            raise Refused("data without CRLF")
        reader.at += 2
    total = 0
    while True:
        line = reader.line(MAX_TRAILER + 2)
        if not line:
            return b"".join(parts)
        total += len(line) + 2
        if total > MAX_TRAILER or not FIELD_LINE.fullmatch(line):
            raise Refused("a trailer")


def read_head(reader):
    """The request without its body, and the framing of that."""
    start = reader.at
    line = reader.line(MAX_HEAD)
    if not line:
        line = reader.line(MAX_HEAD - 2)
    found = REQUEST_LINE.fullmatch(line)
    if not found or found.group(3) != b"1" or found.group(4) not in (b"0", b"1"):
        raise Refused("no request line")
    method, target, old = found.group(1), found.group(2), found.group(4) == b"0"
    fields = read_fields(reader, start)
    onward, authority = read_target(method, target)
    hosts = all_of(fields, b"host")
    if len(hosts) > 1 or (not hosts and not old):
        raise Refused("not one Host")
    for host in hosts:
        split_authority(host)
    options = [o.lower() for v in all_of(fields, b"connection") for o in elements(v)]
    if len([o for o in options if o not in (b"close", b"keep-alive", b"upgrade")]) > MAX_OPTIONS:
        raise Refused("too many connection options")
    framing = read_framing(fields, old)
    expects = all_of(fields, b"expect")
    if not old and expects and [e.lower() for e in expects] != [b"100-continue"]:
        raise Refused("an expectation")
    if method in BODILESS and framing not in (("none", 0), ("length", 0)):
        raise Refused("content where none can be")
    if method in (b"OPTIONS", b"TRACE") and all_of(fields, b"max-forwards"):
        raise Refused("counted hops are not what this reader is for")
    request = Request(
        method.decode(), onward.decode("latin-1"), (authority or b"".join(hosts)).decode("latin-1")
    )
    request.fields, request.old = fields, old
    request.close = b"close" in options or (old and b"keep-alive" not in options)
    return request, framing


def read_stream(data):
    """What a strict server makes of a connection that carries `data` and then ends."""
    reader, requests = Reader(data), []
    while reader.at < len(data):
        start = reader.at
        try:
            request, (framing, length) = read_head(reader)
        except Refused as refused:
            return Reading(requests, "refused", str(refused))
        except Incomplete:
            return Reading(requests, "incomplete")
        try:
            if framing == "chunked":
                request.body = read_chunks(reader)
            elif framing == "length":
                request.body = reader.exactly(length)
        except (Refused, Incomplete) as fault:
            return Reading(requests, "cut", str(fault), request.method)
        request.raw = data[start : reader.at]
        requests.append(request)
        if request.close or request.method == "CONNECT":  # which is refused, see `answer`
            return Reading(requests, "close")
    return Reading(requests, "end")


STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: (" + TEXT + rb"))?", re.DOTALL)


@dataclass
class Answer:
    """A final answer, as a client must get it."""

    status: int
    body: bytes
    fields: list


def read_answer(data, method):
    """The final answer in what an upstream said before it closed; raises Refused (no answer can be
    made of it) or Incomplete (its body is cut or broken: the client must be able to tell).
    """
    reader = Reader(data)
    while True:
        start = reader.at
        try:
            found = STATUS_LINE.fullmatch(reader.line(MAX_HEAD))
            if not found:
                raise Refused("no status line")
            fields = read_fields(reader, start)
        except Incomplete as cut:
            raise Refused("a head without end") from cut
        framing, length = read_framing(fields, found.group(1) == b"0")
        status = int(found.group(2))
        if status == 101:
            raise Refused("a protocol that nobody asked for")
        if status >= 200:
            break
    if method == "HEAD" or status in (204, 304):
        return Answer(status, b"", fields)
    try:
        if framing == "chunked":
            body = read_chunks(reader)
        else:
            body = reader.exactly(length) if framing == "length" else reader.data[reader.at :]
    except Refused as fault:
        raise Incomplete(str(fault)) from fault
    return Answer(status, body, fields)


def answer(request, _client):
    """For wire.Recorder."""
    if request.method == "CONNECT":
        return b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    return head if request.method == "HEAD" else head + b"ok"
