"""Proves that bodies flow: never a whole one in memory, as slow as the slower side, event by event,
by splice where they are long, to the end where a side is half-closed.

RINGMESH_BODY_MIB says how long the long ones are (2048 unless said otherwise).
"""

import os
import re
import socket
import threading

import pytest
from processes import rss_kib
from ringmesh import listener, service
from wire import Client, Closed, Recorder, get, read_response, reset, wait_for

BLOCK = bytes(range(256)) * 1024  # 256 KiB
LONG = int(os.environ.get("RINGMESH_BODY_MIB", "2048")) << 20
HELD = 24 << 20  # what two sockets and our buffers may hold of a body that nobody reads
GROWTH_KIB = 16 * 1024


@pytest.fixture
def edge(nodes, ports, recorders):
    web, port, patient = recorders(), ports.take(), ports.take()
    timeouts = {"head": "2s", "idle": "2s"}
    long = {"head": "300s", "idle": "300s"}
    web.node = nodes(
        services=[service("web", web.port)],
        listeners=[
            listener("public", port, "web", timeouts=timeouts),
            listener("patient", patient, "web", timeouts=long),
        ],
    ).start()
    web.listener, web.patient = port, patient
    return web


class Sender(threading.Thread):
    """Writes a body of `size` bytes, chunked or not, and counts what the socket took."""

    def __init__(self, sock, size, chunked):
        super().__init__(daemon=True)
        self.sock, self.size, self.chunked = sock, size, chunked
        self.sent = 0
        self.error = None

    def run(self):
        self.sock.settimeout(120)
        try:
            while self.sent < self.size:
                if self.chunked:
                    self.sock.sendall(b"%x\r\n%s\r\n" % (len(BLOCK), BLOCK))
                else:
                    self.sock.sendall(BLOCK)
                self.sent += len(BLOCK)
            if self.chunked:
                self.sock.sendall(b"0\r\n\r\n")
        except OSError as error:
            self.error = error

    def stalls(self):
        """Whether nothing went in for a moment."""
        before = self.sent
        self.join(0.3)
        return self.sent == before


class Drain:
    """Reads a body without keeping it: its length, and whether its bytes are those of BLOCK."""

    def __init__(self, stream):
        self.stream = stream
        self.length = 0

    def take(self, data):
        at = self.length % len(BLOCK)
        assert BLOCK[at : at + 64].startswith(data[: min(64, len(BLOCK) - at)]), self.length
        self.length += len(data)

    def exactly(self, count):
        while count > 0:
            if not self.stream.buffer and not self.stream.fill():
                raise Closed(b"")
            data, self.stream.buffer = self.stream.buffer[:count], self.stream.buffer[count:]
            self.take(data)
            count -= len(data)

    def chunked(self):
        while True:
            size = int(self.stream.until(b"\r\n"), 16)
            self.exactly(size)
            assert self.stream.until(b"\r\n") == b"\r\n"
            if size == 0:
                return


def framing(chunked, size):
    return b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % size


def drain(stream, head, size):
    found = Drain(stream)
    if b"chunked" in head.lower():
        found.chunked()
    else:
        found.exactly(size)
    return found.length


def memory(edge):
    return sum(rss_kib(pid) for pid in edge.node.worker_pids())


def stalled_with_little(edge, sender, base):
    """The sender is held back, and what it sent is not in our memory."""
    wait_for(sender.stalls, 20, "the sender is held back by who does not read")
    assert sender.sent < HELD, f"{sender.sent >> 20} MiB were taken that nobody reads"
    assert memory(edge) - base < GROWTH_KIB, f"{memory(edge) - base} KiB held"


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_long_answer_waits_for_its_reader(edge, chunked):
    senders = []

    def answer(_request, client):
        client.send(b"HTTP/1.1 200 OK\r\n" + framing(chunked, LONG) + b"\r\n\r\n")
        sender = Sender(client.sock, LONG, chunked)
        sender.start()
        senders.append(sender)
        sender.join()
        return b""

    edge.reset(answer)
    base = memory(edge)
    with Client(edge.patient) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: ex.test\r\n\r\n")
        head = client.stream.until(b"\r\n\r\n")
        wait_for(lambda: senders, 5, "the body is on its way")
        stalled_with_little(edge, senders[0], base)
        assert drain(client.stream, head, LONG) == LONG
        assert memory(edge) - base < GROWTH_KIB, f"{memory(edge) - base} KiB held after it"
        edge.reset()
        assert client.get("/after").status == 200, "the connection is out of step"


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_long_request_waits_for_its_reader(edge, chunked):
    """The upstream reads the head, then nothing for a while, then everything."""
    reading, lengths = threading.Event(), []
    edge.close()  # its port is taken over by a reader that can stand still
    upstream = socket.create_server(("127.0.0.1", edge.port))

    def serve():
        sock, _ = upstream.accept()
        client = Client(0, sock, timeout=60)
        head = client.stream.until(b"\r\n\r\n")
        reading.wait(60)
        lengths.append(drain(client.stream, head, LONG))
        client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    base = memory(edge)
    with upstream, Client(edge.patient, timeout=60) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: ex.test\r\n" + framing(chunked, LONG) + b"\r\n\r\n")
        sender = Sender(client.sock, LONG, chunked)
        sender.start()
        wait_for(lambda: sender.sent > 0, 5, "the body is on its way")
        stalled_with_little(edge, sender, base)
        reading.set()
        assert read_response(client.stream).status == 200
        server.join(60)
    assert lengths == [LONG] and sender.error is None
    assert memory(edge) - base < GROWTH_KIB


# --- one piece after the other ---

HEADS = {
    "chunked": b"Transfer-Encoding: chunked\r\n",
    "until close": b"Connection: close\r\n",
    "length": b"Content-Length: 2100\r\n",
}


@pytest.mark.parametrize("kind", HEADS)
def test_each_event_arrives_before_the_next_is_sent(edge, kind):
    arrived = [threading.Event() for _ in range(100)]

    def answer(_request, client):
        client.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + HEADS[kind])
        client.send(b"\r\n")
        for number, event in enumerate(arrived):
            text = b"data: event %04d...\n\n" % number
            client.send(b"%x\r\n%s\r\n" % (len(text), text) if kind == "chunked" else text)
            if not event.wait(30):
                return None
        client.send(b"0\r\n\r\n" if kind == "chunked" else b"")
        return None

    edge.reset(answer)
    with Client(edge.patient) as client:
        client.send(b"GET /events HTTP/1.1\r\nHost: ex.test\r\n\r\n")
        client.stream.until(b"\r\n\r\n")
        for number, event in enumerate(arrived):
            assert b"event %04d" % number in client.stream.until(b"...\n\n")
            event.set()


def test_each_piece_of_a_request_arrives_before_the_next_is_sent(edge):
    """The upstream answers every chunk; it can, since its own answer has begun."""

    def answer_early(client):
        client.stream.until(b"\r\n\r\n")
        client.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            size = int(client.stream.until(b"\r\n"), 16)
            data = client.stream.exactly(size)
            client.stream.until(b"\r\n")
            client.send(b"%x\r\n%s\r\n" % (size, data) if size else b"0\r\n\r\n")
            if size == 0:
                return

    edge.close()
    upstream = socket.create_server(("127.0.0.1", edge.port))
    threading.Thread(
        target=lambda: answer_early(Client(0, upstream.accept()[0])), daemon=True
    ).start()
    with upstream, Client(edge.patient) as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: ex.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"
        )
        assert client.stream.until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
        assert b"first" in client.stream.until(b"first\r\n")
        for word in (b"second", b"third!"):
            client.send(b"6\r\n%s\r\n" % word)
            assert word in client.stream.until(word + b"\r\n")
        client.send(b"0\r\n\r\n")
        assert client.stream.until(b"0\r\n\r\n")
        assert client.closes_within(3), "said so when it answered early"


# --- half-closes ---


def test_half_closed_client_gets_all_of_an_answer_without_length(edge):
    def answer(_request, client):
        client.send(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(64):
            client.send(BLOCK)
        return None

    edge.reset(answer)
    for version in (b"1.0", b"1.1"):
        with Client(edge.patient, timeout=60) as client:
            client.send(b"GET / HTTP/%s\r\nHost: ex.test\r\n\r\n" % version)
            client.sock.shutdown(socket.SHUT_WR)
            assert read_response(client.stream).body == BLOCK * 64
            assert client.closes_within(3)


def test_an_answer_without_length_that_breaks_is_no_whole_one(edge):
    def answer(_request, client):
        client.send(b"HTTP/1.1 200 OK\r\n\r\npart of it")
        reset(client.sock)
        return None

    edge.reset(answer)
    with Client(edge.listener) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: ex.test\r\n\r\n")
        try:
            assert read_response(client.stream).status == 502, "cut, and the client cannot tell"
        except Closed:
            pass


# --- splice ---


def spliced(node):
    found = re.findall(r"^ringmesh_\w*spliced_bytes\w*(?:\{[^}]*\})? (\d+)", node.metrics(), re.M)
    assert found, "no metric about spliced bytes"
    return sum(map(int, found))


def megabyte(_request, _client):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 20) + BLOCK * 4


def test_bodies_of_a_megabyte_are_spliced(edge):
    """Most of each goes from socket to socket; the connections carry the next one."""
    edge.reset(megabyte)
    count, before = 40, spliced(edge.node)
    with Client(edge.patient, timeout=60) as client:
        for _ in range(count):
            assert client.get("/").body == BLOCK * 4
    wait_for(
        lambda: spliced(edge.node) - before > count << 19,
        5,
        f"half of {count} MiB is spliced; {spliced(edge.node) - before} bytes were",
    )
    assert edge.connections <= 4


def test_small_bodies_are_not_spliced(edge):
    before = spliced(edge.node)
    with Client(edge.listener) as client:
        for _ in range(50):
            assert client.get("/").status == 200
    assert spliced(edge.node) == before


def test_slow_client_in_a_splice_is_let_go(edge):
    """A client that reads nothing of a long answer for the idle time; its upstream goes with it."""

    def answer(_request, client):
        client.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (256 << 20))
        for _ in range(1024):
            if not client.send(BLOCK):
                return None
        return b""

    edge.reset(answer)
    before = spliced(edge.node)
    with Client(edge.listener) as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.send(b"GET / HTTP/1.1\r\nHost: ex.test\r\n\r\n")
        client.stream.until(b"\r\n\r\n")
        for _ in range(64):
            client.stream.buffer = b""
            client.stream.fill()
        wait_for(lambda: spliced(edge.node) > before, 5, "the splice has begun")
        wait_for(lambda: not edge.open, 10, "the upstream of a client that stands still is let go")
        with pytest.raises(Closed):
            while True:
                client.stream.buffer = b""
                if not client.stream.fill():
                    raise Closed(b"")
    edge.reset()
    assert get(edge.listener).status == 200


# --- tunnels ---


def echo_forever(_request, client):
    client.send(b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    client.sock.settimeout(60)
    while client.stream.buffer or client.stream.fill():
        data, client.stream.buffer = client.stream.buffer, b""
        client.send(data)


UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: ex.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def test_tunnels_outlive_the_idle_time(edge):
    """Silent for longer than every timeout of the listener, then used again."""
    edge.reset(echo_forever)
    with Client(edge.listener) as client:
        client.send(UPGRADE)
        assert b" 101 " in client.stream.until(b"\r\n\r\n")
        for _ in range(2):
            assert client.stays_open(2.6), "an idle tunnel was cut"
            client.send(b"still there?")
            assert client.stream.exactly(12) == b"still there?"


def test_tunnels_carry_bulk_both_ways_at_once(edge):
    edge.reset(echo_forever)
    size = 128 << 20
    before = spliced(edge.node)
    with Client(edge.listener, timeout=60) as client:
        client.send(UPGRADE)
        client.stream.until(b"\r\n\r\n")
        sender = Sender(client.sock, size, chunked=False)
        sender.start()
        found = Drain(client.stream)
        found.exactly(size)
        sender.join(30)
    assert found.length == size and sender.error is None
    assert spliced(edge.node) > before


def test_a_drain_notices_other_bytes():
    with Recorder(answer=lambda r, c: b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd") as web:
        with Client(web.port) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            head = client.stream.until(b"\r\n\r\n")
            with pytest.raises(AssertionError):
                drain(client.stream, head, 4)
