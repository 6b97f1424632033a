"""Proves WebSockets with a foreign implementation on both ends: PyPI's `websockets`."""

import os
import threading

import pytest
from ringmesh import listener, service
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.server import serve
from wire import PATIENCE


@pytest.fixture
def server():
    """An echo server; its port."""

    def echo(websocket):
        try:
            for message in websocket:
                websocket.send(message)
        except ConnectionClosed:
            pass

    with serve(echo, "127.0.0.1", 0, max_size=None) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running.socket.getsockname()[1]
        running.shutdown()
        thread.join(30)


def test_echo_through_a_listener(nodes, ports, server):
    port = ports.take()
    nodes(services=[service("web", server)], listeners=[listener("public", port, "web")]).start()
    with connect(f"ws://127.0.0.1:{port}/chat", max_size=None) as websocket:
        for size in (0, 1, 125, 126, 65535, 65536, 1 << 20):
            data = os.urandom(size)
            websocket.send(data)
            assert websocket.recv(PATIENCE) == data
        websocket.send("text ünïcode")
        assert websocket.recv(PATIENCE) == "text ünïcode"
        pong = websocket.ping()
        assert pong.wait(30)
    assert websocket.close_code == 1000


def test_many_at_once(nodes, ports, server):
    port = ports.take()
    nodes(services=[service("web", server)], listeners=[listener("public", port, "web")]).start()
    sockets = [connect(f"ws://127.0.0.1:{port}/", open_timeout=PATIENCE) for _ in range(50)]
    for number, websocket in enumerate(sockets):
        websocket.send(f"hello {number}")
    assert [w.recv(PATIENCE) for w in sockets] == [f"hello {n}" for n in range(50)]
    for websocket in sockets:
        websocket.close()
