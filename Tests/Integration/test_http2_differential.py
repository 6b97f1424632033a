"""Proves that a request means the same over HTTP/2 as over HTTP/1.1, and that nothing which came
over HTTP/2 can be read in two ways behind us.

The upstream of all tests here is h11, strict as it is, on connections that are reused: octets that
it refuses, or a request more than was sent, fail the test.

    RINGMESH_STREAMS=20000 RINGMESH_SEED=7 … -m pytest Tests/Integration/test_http2_differential.py
"""

import os
import random
import re
import socket
import string
import threading

import frames
import h11
import http2
import pytest
from h2client import Http2
from ports import Ports
from wire import Client

pytestmark = http2.needed

STREAMS = int(os.environ.get("RINGMESH_STREAMS", "6000"))
SEED = int(os.environ.get("RINGMESH_SEED", "1"))
# What a proxy writes itself, or what says how the message is cut.
OURS = re.compile(
    r"via|x-forwarded-.*|forwarded|x-real-ip|x-request-id|traceparent|tracestate"
    r"|content-length|transfer-encoding|connection|host"
)


class H11Upstream:
    """An HTTP/1.1 server whose parser is h11; keeps what it read and what it refused."""

    def __init__(self, port=0):
        self.socket = socket.create_server(("127.0.0.1", port), backlog=64)
        self.port = self.socket.getsockname()[1]
        self.lock = threading.Lock()
        self.requests, self.refused = [], []
        threading.Thread(target=self.accept, daemon=True).start()

    def reset(self, _answer=None):
        with self.lock:
            self.requests, self.refused = [], []

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()

    def accept(self):
        while True:
            try:
                sock, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        side = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        raw = b""
        with sock:
            try:
                while True:
                    event = side.next_event()
                    if event is h11.NEED_DATA:
                        chunk = sock.recv(65536)
                        raw += chunk
                        side.receive_data(chunk)
                    elif isinstance(event, h11.Request):
                        head, body = event, b""
                    elif isinstance(event, h11.Data):
                        body += bytes(event.data)
                    elif isinstance(event, h11.EndOfMessage):
                        with self.lock:
                            self.requests.append((head, body, event.headers))
                        raw = b""
                        self.answer(side, sock, head)
                        if side.our_state is h11.MUST_CLOSE:
                            return
                        side.start_next_cycle()
                    else:
                        return
            except h11.RemoteProtocolError as error:
                # A message that ends within itself was cut, which is how it must be. Octets above
                # 127 in a target are h11's own taste: we hand them on as they are.
                cut = "without sending complete message" in str(error)
                if not cut and not re.match(rb"[^\r\n]*[\x80-\xff]", raw):
                    with self.lock:
                        self.refused.append((str(error), raw))
            except OSError:
                pass

    @staticmethod
    def answer(side, sock, head):
        body = b"" if head.method == b"HEAD" else b"ok"
        fields = [("content-length", "2")]
        events = [h11.Response(status_code=200, headers=fields)]
        events += [h11.Data(data=body)] if body else []
        sock.sendall(b"".join(side.send(event) for event in [*events, h11.EndOfMessage()]))


@pytest.fixture(scope="module")
def front(tmp_path_factory):
    ports = Ports()
    folder = tmp_path_factory.mktemp("http2")
    with http2.Front(ports, folder, 1, upstream=H11Upstream, asan=True) as made:
        yield made
    ports.close()


def view(upstream):
    """What the upstream read of one request, as far as its sender decides it."""
    ((head, body, trailers),) = upstream.requests
    fields = [(bytes(n).decode(), bytes(v).decode("latin-1")) for n, v in head.headers]
    host = [v for n, v in fields if n == "host"]
    said = sorted((n, v) for n, v in fields if not OURS.fullmatch(n))
    names = [n.decode() for n, _ in trailers]
    return head.method.decode(), head.target.decode("latin-1"), host, said, body, names


def over_1(port, method, path, fields, body):
    lines = [f"{method} {path} HTTP/1.1", "Host: ex.test", *(f"{n}: {v}" for n, v in fields)]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    with Client(port) as client:
        client.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b""))
        return int(client.stream.until(b"\r\n\r\n").split(b" ")[1])


def over_2(port, method, path, fields, body):
    with Http2(port) as client:
        more = [] if body is None else [("content-length", str(len(body)))]
        block = frames.block(frames.request(method, path, fields=[*fields, *more]))
        client.start()
        client.send(frames.headers(1, block, end_stream=body is None))
        if body is not None:
            client.send(frames.data(1, body))
        return client.answer(1).status


TOKEN = string.ascii_lowercase + string.digits + "!#$%&'*+-.^_`|~"
VALUE = string.ascii_letters + string.digits + string.punctuation + "\xe9\xff\x80"
PATHS = ["/", "/a", "/a/b?c=d&e", "/%41%2e", "/a//b", "/a/./b", "/a/../b", "/~;x=1/@:!$", "/?"]
RESERVED = {"te", "via", "host", "connection", "upgrade", "expect", "trailer", "cookie", "range"}


def random_request(seed):
    dice = random.Random(seed)
    fields = []
    for _ in range(dice.randrange(8)):
        name = "x" + "".join(dice.choices(TOKEN, k=dice.randrange(12)))
        value = "".join(dice.choices(VALUE + " \t", k=dice.randrange(40))).strip(" \t")
        if name not in RESERVED:
            fields.append((name, value))
    method = dice.choice(["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "HEAD", "PURGE"])
    path = dice.choice(PATHS)
    body = dice.randbytes(dice.randrange(100)) if method in ("POST", "PUT", "PATCH") else None
    return method, path, fields, body


def test_the_upstream_sees_the_same(front):
    """Seeded requests, each over both versions: method, target, host, fields, body."""
    web, port = front.recorders[0], front.lanes[0].port
    faults = []
    for seed in range(SEED * 1_000_000, SEED * 1_000_000 + STREAMS // 20):
        seen = []
        for play in (over_1, over_2):
            web.reset()
            status = play(port, *random_request(seed))
            refused = [text for text, _ in web.refused]
            seen.append((status, refused, view(web) if web.requests else None))
        if seen[0] != seen[1] or seen[0][1]:
            faults.append(f"seed {seed}: {random_request(seed)}\n  1.1: {seen[0]}\n  2: {seen[1]}")
    assert not faults, "\n".join(faults[:5])


# --- hostile fields ---

BAD_OCTETS = [
    "\r",
    "\n",
    "\0",
    "\r\n",
    "\r\nx: y",
    "\r\n\r\nGET /SMUGGLED HTTP/1.1\r\nHost: a\r\n\r\n",
]
ODD_OCTETS = [" ", "\t", ":", "\x7f", "\x1f", "\x0b", "\xff", "\x85", "#", "?", "@", "/", "\\", ","]
FRAMING = [
    ("content-length", "0"),
    ("content-length", "1"),
    ("content-length", "+5"),
    ("content-length", "5, 5"),
    ("content-length", "0x5"),
    ("content-length", "18446744073709551621"),
    ("content-length", ""),
    ("transfer-encoding", "chunked"),
    ("transfer-encoding", "identity"),
    ("transfer_encoding", "chunked"),
    ("content_length", "1"),
    ("connection", "close"),
    ("connection", "content-length"),
    ("keep-alive", "5"),
    ("proxy-connection", "x"),
    ("upgrade", "h2c"),
    ("te", "chunked"),
    ("te", "trailers"),
    ("host", "ex.test"),
    ("host", "evil.test"),
    ("host", ""),
    (":path", "/SMUGGLED"),
    (":authority", "evil.test"),
    (":method", "POST"),
    (":status", "200"),
    (":protocol", "websocket"),
    (":x", "y"),
    ("expect", "100-continue"),
    ("expect", "x"),
    ("trailer", "content-length"),
    ("http2-settings", "AAMAAABkAAQAAP__"),
    ("max-forwards", "0"),
    ("range", "bytes=0-"),
]


def insert(dice, text, octets):
    at = dice.randrange(len(text) + 1)
    return text[:at] + octets + text[at:]


def mutate(dice, fields):
    """One mutation of a field list."""
    kind = dice.randrange(9)
    at = dice.randrange(len(fields))
    name, value = fields[at]
    octets = dice.choice(BAD_OCTETS if dice.random() < 0.4 else ODD_OCTETS)
    if kind == 0:
        fields[at] = (insert(dice, name, octets), value)
    elif kind in (1, 2):
        fields[at] = (name, insert(dice, value, octets))
    elif kind == 3:
        fields[at] = (name.upper(), value)
    elif kind == 4:
        fields.insert(dice.randrange(len(fields) + 1), fields[at])
    elif kind == 5:
        del fields[at]
    elif kind == 6:
        dice.shuffle(fields)
    else:
        place = len(fields) if dice.random() < 0.8 else dice.randrange(len(fields) + 1)
        fields.insert(place, dice.choice(FRAMING))


def hostile(seed):
    """(fields, body or None) of a request that is mutated once or more."""
    dice = random.Random(seed)
    method = dice.choice(["GET", "POST", "POST", "HEAD", "CONNECT", "OPTIONS"])
    fields = frames.request(method, dice.choice(PATHS[:6]), fields=[("x-a", "b"), ("accept", "*")])
    for _ in range(dice.choice([1, 1, 2, 3])):
        if fields:
            mutate(dice, fields)
    body = b"hello" if method == "POST" or dice.random() < 0.2 else None
    return fields, body


NAME = re.compile(r":?[!#$%&'*+\-.^_`|~0-9a-z]+")
HOP = {"connection", "keep-alive", "proxy-connection", "upgrade", "transfer-encoding"}


def surely_malformed(fields):
    """Whether RFC 9113 8.2 and 8.3 leave no doubt, whatever a server may forgive."""
    names = [name for name, _ in fields]
    pseudo = [name for name in names if name.startswith(":")]
    if any(not NAME.fullmatch(name) for name in names):
        return True
    if any(re.search(r"[\r\n\0]", value) for _, value in fields):
        return True
    if any(name in HOP or (name == "te" and value != "trailers") for name, value in fields):
        return True
    if names[: len(pseudo)] != pseudo or len(set(pseudo)) != len(pseudo):
        return True
    known = {":method", ":scheme", ":authority", ":path"}
    if set(pseudo) - known - {":protocol"}:
        return True
    said = dict(fields)
    if said.get(":method") == "CONNECT":
        return False
    return not {":method", ":scheme", ":path"} <= set(pseudo) or not said[":path"]


def play(client, stream, fields, body):
    client.send(
        frames.headers(stream, frames.block(fields), end_stream=body is None),
        frames.data(stream, body) if body is not None else b"",
    )
    client.answer(stream)
    return client.answers.get(stream)


def check(web, seed, fields, body, answer):
    """The fault of one hostile request, or None."""
    if web.refused:
        return f"h11 refuses {web.refused}"
    targets = [head.target for head, _, _ in web.requests]
    if any(b"SMUGGLED" in target for target in targets) and not any(
        name == ":path" and "SMUGGLED" in value for name, value in fields
    ):
        return f"smuggled: {targets}"
    if len(web.requests) > 1:
        return f"{len(web.requests)} requests upstream: {targets}"
    if web.requests and surely_malformed(fields):
        return f"a malformed request was forwarded: {web.requests}"
    if web.requests and web.requests[0][1] not in (b"", body):
        return f"the body changed: {web.requests}"
    if web.requests and (answer is None or answer.status != 200) and answer.reset is None:
        return f"the upstream was asked, the client got {answer}"
    return None


def test_hostile_fields_never_reach_the_upstream_in_doubt(front):
    web, port = front.recorders[0], front.lanes[0].port
    faults, reached, client, stream = [], 0, None, 1
    for seed in range(SEED * 1_000_000, SEED * 1_000_000 + STREAMS):
        fields, body = hostile(seed)
        if client is None or client.closed or client.goaways or stream > 190:
            if client:
                client.close()
            client, stream = Http2(port).start(), 1
        web.reset()
        answer = play(client, stream, fields, body)
        stream += 2
        reached += bool(web.requests)
        fault = check(web, seed, fields, body, answer)
        if fault:
            faults.append(f"seed {seed}: {fault}\n    {fields} {body}\n    {client.story()}")
        if len(faults) >= 10:
            break
    client.close()
    assert not faults, "\n".join(faults)
    assert STREAMS // 20 < reached < STREAMS, f"{reached} of {STREAMS} reached the upstream"


def test_the_mutations_are_of_every_kind():
    """Enough of them are malformed, and enough are not."""
    malformed = sum(surely_malformed(hostile(seed)[0]) for seed in range(2000))
    assert 800 < malformed < 1800, malformed


def test_every_octet_in_every_place(front):
    """What goes on is what came, octet for octet; what cannot go on is refused."""
    web, faults = front.recorders[0], []
    for octet in range(256):
        odd = chr(octet)
        places = (
            frames.request(fields=[("x-a", f"b{odd}c")]),
            frames.request(fields=[(f"x{odd}a", "b")]),
            frames.request(path=f"/a{odd}b"),
            frames.request(authority=f"ex{odd}test"),
            frames.request(method=f"GE{odd}T"),
        )
        client = Http2(front.lanes[0].port).start()
        for number, fields in enumerate(places):
            if client.closed or client.goaways:
                client.close()
                client = Http2(front.lanes[0].port).start()
            web.reset()
            answer = play(client, 2 * number + 1, fields, None)
            fault = check(web, octet, fields, None, answer) or unchanged(web, fields)
            if fault:
                faults.append(f"{fields}: {fault}")
        client.close()
    assert not faults, "\n".join(faults[:20])


def unchanged(web, fields):
    """The fault when a field's value went on as something else."""
    for head, _, _ in web.requests:
        for name, value in fields:
            got = [bytes(v).decode("latin-1") for n, v in head.headers if n.decode() == name]
            if not name.startswith(":") and got and got != [value.strip(" \t")]:
                return f"{name} went on as {got}"
    return None
