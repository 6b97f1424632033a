"""Proves pass-through: Upgrade becomes a tunnel only by the upstream's 101, CONNECT only by its
2xx; bytes sent too early are not smuggled through.
"""

import socket

import pytest
from ringmesh import listener, service
from wire import OK, Client, echo_upgrade, get, read_response, values


@pytest.fixture
def edge(nodes, ports, recorders):
    web, port = recorders(echo_upgrade()), ports.take()
    nodes(services=[service("web", web.port)], listeners=[listener("public", port, "web")]).start()
    web.listener = port
    return web


UPGRADE = ["Connection: Upgrade", "Upgrade: websocket"]


def test_tunnel_after_101(edge):
    with Client(edge.listener) as client:
        assert client.get("/", headers=UPGRADE).status == 101
        for size in (1, 100, 70_000, 1 << 20):
            data = bytes(size)
            client.send(data)
            assert client.stream.exactly(size) == data
        client.send(b"GET /SMUGGLED HTTP/1.1\r\n\r\n")
        assert client.stream.exactly(26) == b"GET /SMUGGLED HTTP/1.1\r\n\r\n"
    assert len(edge.requests) == 1


def test_refused_upgrade_is_a_plain_answer(edge):
    edge.reset(lambda request, client: OK)
    with Client(edge.listener) as client:
        assert client.get("/", headers=UPGRADE).status == 200
        assert client.get("/next").status == 200
    assert [r.target for r in edge.complete()] == ["/", "/next"]


def test_h2c_upgrade_is_not_forwarded(edge):
    headers = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"]
    edge.reset(lambda request, client: OK)
    assert get(edge.listener, headers=headers).status == 200
    (request,) = edge.complete()
    assert values(request.headers, "upgrade") == []
    assert values(request.headers, "http2-settings") == []


def test_unasked_101_is_an_error(edge):
    """An upstream that switches protocols unasked does not open a tunnel."""
    edge.reset(
        lambda request, client: b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nfree bytes"
    )
    with Client(edge.listener) as client:
        assert client.get("/").status == 502


def connect_tunnel(request, client):
    assert request.method == "CONNECT"
    client.send(b"HTTP/1.1 200 Connected\r\n\r\n")
    while client.stream.buffer or client.stream.fill():
        data, client.stream.buffer = client.stream.buffer, b""
        client.send(data.upper())


def test_connect(edge):
    edge.reset(connect_tunnel)
    with Client(edge.listener) as client:
        client.send(b"CONNECT ex.test:443 HTTP/1.1\r\nHost: ex.test:443\r\n\r\n")
        assert read_response(client.stream, "CONNECT").status == 200
        client.send(b"through")
        assert client.stream.exactly(7) == b"THROUGH"


def test_refused_connect(edge):
    edge.reset(lambda request, client: b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
    with Client(edge.listener) as client:
        client.send(b"CONNECT ex.test:443 HTTP/1.1\r\nHost: ex.test:443\r\n\r\n")
        answer = read_response(client.stream)
        assert (answer.status, answer.body) == (403, b"no")
        client.send(b"GET /SMUGGLED HTTP/1.1\r\nHost: ex.test\r\n\r\n")
        client.stays_open(0.5)
    assert all(r.method == "CONNECT" or r.complete for r in edge.requests)


def test_tunnel_half_close(edge):
    with Client(edge.listener) as client:
        assert client.get("/", headers=UPGRADE).status == 101
        client.send(b"last words")
        client.sock.shutdown(socket.SHUT_WR)
        assert client.stream.rest() == b"last words"
