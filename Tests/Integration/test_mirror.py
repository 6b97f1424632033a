"""Proves that a mirror gets requests as they are, bodies too, in both versions of HTTP, and that
whatever becomes of the copies the clients do not notice.
"""

import socket
import time

import http2
import pytest
from h2client import Http2
from h2server import Http2Recorder
from ringmesh import defaults, listener, service
from wire import HOLD, Client, get, read_response, wait_for


def serve(nodes, port, web, shadow_port, protocol="http", **more):
    mirror = {"service": "shadow", **more}
    return nodes(
        services=[service("web", web.port), service("shadow", shadow_port)],
        config_entries=[defaults("shadow", protocol)],
        listeners=[listener("public", port, routes=[{"service": "web", "mirror": mirror}])],
        workers=1,
    ).start()


def counted(node, name):
    lines = [line for line in node.metrics().splitlines() if line.startswith(f"{name}{{")]
    return sum(float(line.split()[-1]) for line in lines)


def test_copies_are_as_their_originals(nodes, ports, recorders):
    web, shadow, port = recorders(), recorders(), ports.take()
    node = serve(nodes, port, web, shadow.port)
    body = bytes(range(256)) * 256
    assert get(port, "/a?b=c", headers=["X-One: 1"]).status == 200
    assert get(port, "/post", method="POST", body=body).status == 200
    with Client(port) as client:
        client.send(
            b"POST /chunks HTTP/1.1\r\nHost: ex.test\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
        )
        assert read_response(client.stream).status == 200
    wait_for(lambda: len(shadow.complete()) == 3, 30, "the copies arrive")
    pairs = [sorted(r.complete(), key=lambda request: request.target) for r in (web, shadow)]
    for original, copy in zip(*pairs, strict=True):
        assert (copy.method, copy.target, copy.body) == (
            original.method,
            original.target,
            original.body,
        )
        assert copy.header("host") == original.header("host") == "ex.test"
        assert copy.header("x-mirrored") == "1" and original.header("x-mirrored") is None
    assert pairs[1][0].header("x-one") == "1"
    wait_for(lambda: counted(node, "ringmesh_worker_mirrors_total") == 3, what="they are counted")
    explained = node.meshctl("explain", "GET", f"http://127.0.0.1:{port}/").stdout
    assert "100.0 % are copied to shadow" in explained


def test_copies_use_few_connections(nodes, ports, recorders):
    web, shadow, port = recorders(), recorders(), ports.take()
    serve(nodes, port, web, shadow.port)
    with Client(port) as client:
        for number in range(20):
            assert client.get().status == 200
            wait_for(lambda n=number: len(shadow.requests) == n + 1, 5, "the copy arrives")
    assert len({request.connection for request in shadow.requests}) <= 2


@http2.needed
@http2.needed_upstream
def test_http_2(nodes, ports, recorders):
    web, port = recorders(), ports.take()
    with Http2Recorder() as shadow:
        serve(nodes, port, web, shadow.port, protocol="http2")
        with Http2(port) as client:
            client.start()
            assert client.get(1, "POST", "/x", body=b"b" * 50_000).status == 200
            # Its connection carries more than one stream once the mirror's settings are there.
            wait_for(lambda: len(shadow.complete()) == 1, 5, "the first copy arrives")
            assert client.get(3).status == 200
            wait_for(lambda: len(shadow.complete()) == 2, 5, "the second copy arrives")
        assert get(port, "/y", method="POST", body=b"c" * 50_000).status == 200
        wait_for(lambda: len(shadow.complete()) == 3, 5, "the copies arrive")
        assert [len(r.body) for r in shadow.complete()] == [50_000, 0, 50_000]
        assert all(r.header("x-mirrored") == "1" for r in shadow.complete())
        assert len(shadow.connections) == 1


def silent(request, client):
    return HOLD


def broken(request, client):
    return b"nonsense\r\n\r\n"


def failing(request, client):
    return b"HTTP/1.1 500 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("kind", ["dead", "silent", "broken", "failing"])
def test_mirrors_that_fail(nodes, ports, recorders, kind):
    web, port = recorders(), ports.take()
    answers = {"silent": silent, "broken": broken, "failing": failing}
    shadow_port = ports.dead() if kind == "dead" else recorders(answers[kind]).port
    node = serve(nodes, port, web, shadow_port)
    began = time.monotonic()
    with Client(port) as client:
        assert [client.get().status for _ in range(50)] == [200] * 50
    assert get(port, method="POST", body=b"x" * 300_000).status == 200
    assert time.monotonic() - began < 60, "clients wait for the mirror"
    if kind in ("dead", "broken"):
        failed = "ringmesh_worker_mirrors_failed_total"
        wait_for(lambda: counted(node, failed) == 51, 5, "the copies are given up")


def test_a_mirror_that_does_not_read(nodes, ports, recorders):
    """The copy of a long body is given up, its original arrives."""
    web, port = recorders(), ports.take()
    with socket.create_server(("127.0.0.1", 0)) as idle:  # the kernel accepts, nobody reads
        node = serve(nodes, port, web, idle.getsockname()[1])
        body = b"x" * (16 << 20)
        assert get(port, method="POST", body=body, timeout=60).status == 200
        assert len(web.requests[-1].body) == len(body)
        failed = "ringmesh_worker_mirrors_failed_total"
        wait_for(lambda: counted(node, failed) == 1, 5, "the copy is given up")


def test_a_share(nodes, ports, recorders):
    web, shadow, port = recorders(), recorders(), ports.take()
    node = serve(nodes, port, web, shadow.port, percent=20)
    with Client(port) as client:
        assert all(client.get().status == 200 for _ in range(500))
    begun = "ringmesh_worker_mirrors_total"  # counted a moment after the answer
    wait_for(lambda: len(shadow.requests) == counted(node, begun) > 0, 5, "the copies arrive")
    assert 50 <= len(shadow.requests) <= 160, "a fifth of 500, give or take six deviations"
