"""Proves WebSockets over HTTP/2 (RFC 8441): frames by PyPI's wsproto on our own extended CONNECT,
PyPI's `websockets` behind, which knows HTTP/1.1 alone.
"""

import os
import threading

import certificates
import frames
import http2
import pytest
from h2client import Http2, tls_context
from ringmesh import listener, service
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve
from wire import PATIENCE
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

pytestmark = http2.needed


@pytest.fixture
def server():
    """An echo server; `.paths` it was asked for, its port."""
    paths = []

    def echo(websocket):
        paths.append(websocket.request.path)
        try:
            for message in websocket:
                websocket.send(message)
        except ConnectionClosed:
            pass

    def choose(_websocket, offered):
        return "chat" if "chat" in offered else None

    options = {"max_size": None, "subprotocols": ["chat"], "select_subprotocol": choose}
    with serve(echo, "127.0.0.1", 0, **options) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        running.port, running.paths = running.socket.getsockname()[1], paths
        yield running
        running.shutdown()
        thread.join(30)


class Socket:
    """One WebSocket on a stream of HTTP/2."""

    def __init__(self, client, stream=1, path="/chat", **more):
        self.client, self.stream = client, stream
        fields = [
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "https"),
            (":path", path),
            (":authority", "ex.test"),
            ("sec-websocket-version", "13"),
            *more.get("fields", ()),
        ]
        client.send(frames.headers(stream, frames.block(fields), end_stream=False))
        client.until(lambda: stream in client.answers and client.answers[stream].headers)
        self.answer = client.answers.get(stream)
        self.side = Connection(ConnectionType.CLIENT)
        self.read = 0

    def send(self, event):
        octets = self.side.send(event)
        size = frames.DEFAULT_FRAME
        for at in range(0, len(octets), size):
            self.client.send(frames.data(self.stream, octets[at : at + size], end_stream=False))

    def events(self, kind, seconds=PATIENCE):
        """All events up to the first of `kind`."""
        found = []

        def came():
            body = self.answer.body
            if len(body) > self.read:
                self.side.receive_data(body[self.read :])
                self.read = len(body)
                found.extend(self.side.events())
            return any(isinstance(event, kind) for event in found)

        assert self.client.until(came, seconds), self.client.story()
        return found

    def message(self):
        """One whole message."""
        whole = b""
        while True:
            for event in self.events((BytesMessage, TextMessage)):
                whole += event.data if isinstance(event.data, bytes) else event.data.encode()
                if event.message_finished:
                    return whole


@pytest.fixture(params=["h2c", "tls"])
def client(request, nodes, ports, server, tmp_path):
    port, tls_port = ports.take(2)
    cert, key = certificates.leaf(
        tmp_path, "server", certificates.authority(tmp_path), "DNS:ex.test"
    )
    tls = {"cert": str(cert), "key": str(key), "alpn": http2.ALPN}
    made = nodes(
        services=[service("web", server.port)],
        listeners=[
            listener("plain", port, "web"),
            listener("tls", tls_port, "web", tls=tls),
        ],
    ).start()
    where = (tls_port, tls_context()) if request.param == "tls" else (port, None)
    with Http2(*where, open_windows=True) as opened:
        opened.node = made
        yield opened.start()


def test_it_is_offered(client):
    assert client.settings.get(frames.ENABLE_CONNECT_PROTOCOL) == 1


def test_echo(client, server):
    websocket = Socket(client)
    assert websocket.answer.status == 200
    assert not websocket.answer.values("sec-websocket-accept"), "an answer to what nobody asked"
    for size in (1, 125, 126, 10_000, 60_000):
        data = os.urandom(size)
        websocket.send(BytesMessage(data=data))
        assert websocket.message() == data
    websocket.send(TextMessage(data="text ünïcode"))
    assert websocket.message().decode() == "text ünïcode"
    websocket.send(Ping(payload=b"there?"))
    assert any(isinstance(e, Pong) and e.payload == b"there?" for e in websocket.events(Pong))
    assert server.paths == ["/chat"]


def test_a_close_ends_the_stream_and_not_the_connection(client):
    websocket = Socket(client)
    websocket.send(CloseConnection(code=1000))
    assert any(e.code == 1000 for e in websocket.events(CloseConnection) if hasattr(e, "code"))
    assert client.until(lambda: websocket.answer.over), client.story()
    again = Socket(client, 3)
    again.send(TextMessage(data="again"))
    assert again.message() == b"again"


def test_many_on_one_connection(client):
    sockets = [Socket(client, 2 * number + 1, f"/{number}") for number in range(20)]
    for number, websocket in enumerate(sockets):
        websocket.send(TextMessage(data=f"hello {number}"))
    assert [w.message() for w in sockets] == [b"hello %d" % number for number in range(20)]


def test_the_subprotocol_is_agreed_on(client):
    websocket = Socket(client, fields=[("sec-websocket-protocol", "chat, other")])
    assert websocket.answer.values("sec-websocket-protocol") == ["chat"]


def test_a_reset_ends_the_upstreams_connection(client, server):
    websocket = Socket(client)
    websocket.send(TextMessage(data="x"))
    assert websocket.message() == b"x"
    client.send(frames.rst_stream(1))
    assert client.ponged()


@pytest.mark.parametrize("protocol", ["h2c", "connect-udp", "", "websocket2"])
def test_other_protocols_are_refused(client, server, protocol):
    fields = [
        (":method", "CONNECT"),
        (":protocol", protocol),
        (":scheme", "https"),
        (":path", "/chat"),
        (":authority", "ex.test"),
    ]
    client.send(frames.headers(1, frames.block(fields), end_stream=False))
    answer = client.answer(1)
    assert 400 <= answer.status < 600 or answer.reset is not None, client.story()
    assert server.paths == []


def test_an_upstream_that_does_not_switch(nodes, ports, recorders):
    """200 to an Upgrade is no tunnel: the client gets an error, never the body as frames."""
    web, port = recorders(), ports.take()
    nodes(services=[service("web", web.port)], listeners=[listener("public", port, "web")]).start()
    with Http2(port) as opened:
        websocket = Socket(opened.start())
        assert websocket.answer is None or websocket.answer.status >= 400, opened.story()


def test_an_upstream_that_refuses(nodes, ports, recorders):
    """A refusal comes through as it is."""
    refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"
    web, port = recorders(lambda request, client: refusal), ports.take()
    nodes(services=[service("web", web.port)], listeners=[listener("public", port, "web")]).start()
    with Http2(port) as opened:
        websocket = Socket(opened.start())
        assert websocket.answer.status == 403, opened.story()
        assert opened.answer(1).body == b"no"
