"""Proves that bad clients hurt nobody else, with a data plane built with ASan and UBSan.

Malformed, oversized, slow and half-sent requests, garbage instead of TLS, clients that never read:
the process lives, its memory is bounded, polite clients are served all the while.
"""

import random
import socket
import time

import pytest
from certificates import authority, leaf
from processes import fds, rss_kib
from ringmesh import listener, service
from wire import Client, get, wait_for

GARBAGE_SEED = 20240229


@pytest.fixture
def edge(nodes, ports, recorders, tmp_path):
    """One node with a plain and a TLS listener in front of a recorder, and one for the polite, who
    may be late.
    """
    web, plain, tls, polite = recorders(), *ports.take(3)
    cert, key = leaf(tmp_path, "server", authority(tmp_path), "DNS:ex.test")
    pair = {"cert": str(cert), "key": str(key)}
    timeouts = {"head": "1s", "idle": "3s", "request": "5s"}
    node = nodes(
        asan=True,
        services=[service("web", web.port)],
        listeners=[
            listener("plain", plain, "web", timeouts=timeouts),
            listener("tls", tls, "web", timeouts=timeouts, tls=pair),
            listener("polite", polite, "web"),
            listener("raw", ports.take(), "web", kind="l4"),
        ],
    ).start()
    node.plain, node.tls, node.polite, node.web = plain, tls, polite, web
    node.before = node.worker_pids()
    return node


def unharmed(node):
    """The same processes serve, within reason of memory and descriptors."""
    assert get(node.polite).body == b"ok"
    assert node.worker_pids() == node.before, "a worker was replaced"
    return True


def flood(port, payload, count=50, read=True):
    for _ in range(count):
        with Client(port, timeout=2) as client:
            client.send(payload)
            if read:
                client.stays_open(2)


MALFORMED = {
    "no version": b"GET /\r\n\r\n",
    "binary": bytes(range(256)) * 8,
    "tls on plain": b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03",
    "two lengths": b"POST / HTTP/1.1\r\nHost: x\r\n"
    b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "negative chunk": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    "huge chunk": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"F" * 17
    + b"\r\n",
    "huge line": b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "huge field": b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"v" * 300_000 + b"\r\n\r\n",
    "many fields": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a:\r\n" * 20_000 + b"\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_requests(edge, name):
    flood(edge.plain, MALFORMED[name], count=20)
    assert edge.web.complete() == []
    unharmed(edge)


def test_half_sent_requests(edge):
    """Cut at every byte of a request, then closed or reset: nothing reaches the upstream."""
    request = b"POST /p HTTP/1.1\r\nHost: ex.test\r\nContent-Length: 5\r\n\r\nhello"
    for cut in range(1, len(request)):
        client = Client(edge.plain)
        client.send(request[:cut])
        if cut % 2:
            client.sock.shutdown(socket.SHUT_WR)
            client.stays_open(2)
        client.close()
    assert edge.web.complete() == []
    unharmed(edge)


def test_slow_heads_are_timed_out(edge):
    """A byte every 200 ms: the time for a head is absolute, and a hundred such cost nobody."""
    clients = [Client(edge.plain) for _ in range(100)]
    begun = time.monotonic()
    head = b"GET / HTTP/1.1\r\nHost: ex.test\r\nX-A: " + b"a" * 100
    open_clients = list(clients)
    for at in range(12):
        open_clients = [c for c in open_clients if c.send(head[at : at + 1])]
        assert get(edge.polite).status == 200
        time.sleep(0.2)
    left = [c for c in clients if not c.closes_within(max(0.01, begun + 3 - time.monotonic()))]
    assert left == [], f"{len(left)} slow clients are still connected after 3 s"
    unharmed(edge)


def test_garbage_instead_of_tls(edge):
    dice = random.Random(GARBAGE_SEED)
    flood(edge.tls, b"GET / HTTP/1.1\r\nHost: ex.test\r\n\r\n", count=10)
    flood(edge.tls, b"\x16\x03\x01\xff\xff" + b"\0" * 1000, count=10)
    for _ in range(50):
        flood(edge.tls, dice.randbytes(dice.randrange(1, 600)), count=1)
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + dice.randbytes(505)
    for cut in (1, 3, 5, 6, 9, 43, 44, 200, 500):
        flood(edge.tls, hello[:cut], count=2, read=False)
    unharmed(edge)


def test_handshake_that_never_comes(edge):
    clients = [Client(edge.tls) for _ in range(100)]
    assert all(c.closes_within(15) for c in clients), "silent TLS clients are kept for ever"
    unharmed(edge)


def test_client_that_never_reads(edge):
    """A big answer to a client that does not read it: the upstream is held back, memory bounded."""
    size = 64 << 20

    def answer(request, client):
        if request.target != "/big":
            return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        client.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        block = b"x" * 65536
        for _ in range(size // len(block)):
            if not client.send(block):
                return None
        return b""

    edge.web.reset(answer)
    pids = edge.worker_pids()
    base = sum(rss_kib(p) for p in pids)
    clients = []
    for _ in range(8):
        client = Client(edge.plain)
        client.send(b"GET /big HTTP/1.1\r\nHost: ex.test\r\n\r\n")
        clients.append(client)
    for _ in range(20):
        assert get(edge.polite).body == b"ok"
        time.sleep(0.05)
    grown = sum(rss_kib(p) for p in pids) - base
    assert grown < 48 * 1024, f"{grown} KiB for eight clients that do not read"
    for client in clients:
        client.close()
    wait_for(lambda: len(edge.web.open) < 8, 5, "the upstreams of gone clients are let go")
    unharmed(edge)


def test_aborts_leave_nothing(edge):
    """Two thousand clients that go away at random moments: descriptors are back where they were."""
    dice = random.Random(GARBAGE_SEED)
    base = sum(fds(p) for p in edge.worker_pids())
    request = b"GET / HTTP/1.1\r\nHost: ex.test\r\n\r\n"
    for _ in range(2000):
        client = Client(edge.plain)
        client.send(request[: dice.randrange(len(request) + 1)])
        client.close()
    wait_for(
        # Those to the upstream stay for the next requests.
        lambda: sum(fds(p) for p in edge.worker_pids()) <= base + 40 + len(edge.web.open),
        5,
        "descriptors are given back",
    )
    unharmed(edge)
