"""Proves byte streams: what goes in comes out, in both directions, at any size and pace; half-close
is passed on; a stream that is held up holds up its sender and nobody else.
"""

import contextlib
import hashlib
import os
import random
import signal
import socket
import threading
import time

import pytest
from ringmesh import listener, service
from wire import Client, reset, wait_for


class Streams:
    """A TCP server whose connections are run by `talk(sock)`."""

    def __init__(self, talk):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(256)
        self.port = self.socket.getsockname()[1]
        self.talk = talk
        self.lock = threading.Lock()
        self.open = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.run, args=(sock,), daemon=True).start()

    def run(self, sock):
        with self.lock:
            self.open += 1
        try:
            self.talk(sock)
        except OSError:
            pass
        finally:
            sock.close()
            with self.lock:
                self.open -= 1

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


@pytest.fixture
def through(nodes, ports):
    """Starts a node with one l4 listener in front of a talking server; (server, port)."""
    servers = []

    def start(talk, **more):
        servers.append(Streams(talk))
        port = ports.take()
        nodes(
            services=[service("web", servers[-1].port)],
            listeners=[listener("raw", port, "web", kind="l4", **more)],
        ).start()
        return servers[-1], port

    yield start
    for server in servers:
        server.close()


def echo(sock):
    while data := sock.recv(65536):
        sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)


def read_all(sock):
    parts = []
    while data := sock.recv(1 << 20):
        parts.append(data)
    return b"".join(parts)


def send_and_end(sock, data):
    sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("size", [0, 1, 4096, 65536, 65537, 1 << 20, 64 << 20])
def test_echo_any_size(through, size):
    _, port = through(echo)
    data = random.Random(size).randbytes(size)
    with Client(port, timeout=30) as client:
        sender = threading.Thread(target=send_and_end, args=(client.sock, data))
        sender.start()
        back = read_all(client.sock)
        sender.join()
    assert hashlib.sha256(back).digest() == hashlib.sha256(data).digest()


def flicker(pid, stop):
    """Takes the processor from a process again and again, as a busy machine does."""
    while not stop.wait(0.002):
        os.kill(pid, signal.SIGSTOP)
        stop.wait(0.006)
        os.kill(pid, signal.SIGCONT)


def test_bulk_through_a_worker_that_comes_late(nodes, ports):
    """A worker that finds everything at once - accepts, connects, full buffers - moves whatever it
    had to hold: nobody is left waiting for ever.
    """

    def digest(sock):
        sock.sendall(hashlib.sha256(read_all(sock)).digest())

    server, port = Streams(digest), ports.take()
    node = nodes(
        workers=1,
        services=[service("web", server.port)],
        listeners=[listener("raw", port, "web", kind="l4")],
    ).start()
    data = random.Random(1).randbytes(8 << 20)
    stop = threading.Event()
    flickering = threading.Thread(target=flicker, args=(*node.worker_pids(), stop))
    flickering.start()
    try:
        for _ in range(8):
            clients = [Client(port, timeout=30) for _ in range(8)]
            senders = [threading.Thread(target=send_and_end, args=(c.sock, data)) for c in clients]
            for sender in senders:
                sender.start()
            for client in clients:
                assert client.stream.exactly(32) == hashlib.sha256(data).digest()
            for sender, client in zip(senders, clients, strict=True):
                sender.join()
                client.close()
    finally:
        stop.set()
        flickering.join()
        server.close()


def test_server_speaks_first(through):
    def greet(sock):
        sock.sendall(b"220 hello\r\n")
        echo(sock)

    _, port = through(greet)
    with Client(port) as client:
        assert client.stream.until(b"\r\n") == b"220 hello\r\n"
        client.send(b"x")
        assert client.stream.exactly(1) == b"x"


def test_half_close_in_both_directions(through):
    """After one side has ended, the other still speaks; nothing is cut short."""

    def late(sock):
        received = read_all(sock)
        time.sleep(0.3)
        sock.sendall(b"got %d" % len(received))

    _, port = through(late)
    with Client(port) as client:
        send_and_end(client.sock, b"x" * 300_000)
        assert read_all(client.sock) == b"got 300000"

    def deaf(sock):
        sock.sendall(b"bye")
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b"still here" * 1000

    server, port = through(deaf)
    with Client(port) as client:
        assert read_all(client.sock) == b"bye"
        send_and_end(client.sock, b"still here" * 1000)
        wait_for(lambda: server.open == 0, 3, "the server got everything")


def test_reset_is_passed_on(through):
    """A client that resets does not leave its upstream hanging."""
    server, port = through(echo)
    clients = [Client(port) for _ in range(50)]
    for client in clients:
        client.send(b"x")
        assert client.stream.exactly(1) == b"x"
    for client in clients:
        reset(client.sock)
    wait_for(lambda: server.open == 0, 3, "all upstream connections end")


def test_stalled_reader_stalls_only_itself(through):
    """One client that does not read 64 MiB: its server is held back, others stream on."""
    sent = {"stalled": 0}

    def talk(sock):
        if sock.recv(1) == b"e":
            sock.sendall(b"e")
            return echo(sock)
        while sent["stalled"] < 64 << 20:
            sent["stalled"] += sock.send(b"y" * 65536)
        return None

    _, port = through(talk)
    with Client(port) as stalled:
        stalled.send(b"s")
        for _ in range(10):
            with Client(port) as other:
                other.send(b"e" + b"z" * 100_000)
                assert len(other.stream.exactly(100_001)) == 100_001
            time.sleep(0.05)
        held = sent["stalled"]
        assert held < 48 << 20, "the sender was not held back"
        received = 0
        stalled.sock.settimeout(30)
        while received < 64 << 20 and (data := stalled.sock.recv(1 << 20)):
            received += len(data)
    assert received >= 64 << 20


def test_refused_upstream_closes(nodes, ports):
    port = ports.take()
    nodes(
        services=[service("web", ports.dead())],
        listeners=[listener("raw", port, "web", kind="l4")],
    ).start()
    with contextlib.suppress(ConnectionResetError), Client(port) as client:
        assert client.closes_within(2)


def test_connect_timeout_closes(nodes, ports):
    """An instance behind a black hole: given up after the connect timeout."""
    port, patient = ports.take(2)
    nodes(
        services=[service("web", ports.black_hole())],
        listeners=[
            listener("raw", port, "web", kind="l4", timeouts={"connect": "500ms"}),
            listener("patient", patient, "web", kind="l4", timeouts={"connect": "60s"}),
        ],
    ).start()
    begun = time.monotonic()
    with Client(patient) as other, Client(port) as client:
        assert client.closes_within(3)
        assert time.monotonic() - begun >= 0.4
        assert other.stays_open(0.1), "not this listener's time"


def test_idle_timeout_closes(through):
    server, port = through(echo, timeouts={"idle": "2s"})
    with Client(port) as client:
        client.send(b"x")
        assert client.stream.exactly(1) == b"x"
        assert client.closes_within(2)
    wait_for(lambda: server.open == 0, 2, "the upstream side ends too")
