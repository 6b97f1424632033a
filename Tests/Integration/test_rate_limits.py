"""Proves that rates hold for the node whatever the number of workers, that 429 says when to come
again, and that bodies and heads that are too long are refused.
"""

import time

import wire
from ringmesh import listener, service
from wire import Client, get


def serve(nodes, port, web, workers=4, **more):
    return nodes(
        services=[service("web", web.port)],
        listeners=[listener("public", port, **more)],
        workers=workers,
    ).start()


def test_a_rate_is_the_nodes(nodes, ports, recorders):
    """Every request on a connection of its own, so on any worker: ten pass, the rest do not."""
    web, port = recorders(), ports.take()
    rate = {"requests_per_second": 0.01, "requests_max_burst": 10}
    node = serve(nodes, port, web, routes=[{"service": "web", "rate_limits": [rate]}])
    answers = [get(port) for _ in range(50)]
    assert [answer.status for answer in answers] == [200] * 10 + [429] * 40
    assert 50 <= int(answers[-1].header("retry-after")) <= 100
    assert len(web.requests) == 10
    counted = 'outcome="rate_limited"} 40'
    wire.wait_for(lambda: counted in node.metrics(), what="those that were refused are counted")
    explained = node.meshctl("explain", "GET", f"http://127.0.0.1:{port}/").stdout
    assert "10 requests at once, then one in 100.0 s, or 429" in explained


def test_tokens_come_back(nodes, ports, recorders):
    web, port = recorders(), ports.take()
    rate = {"requests_per_second": 5, "requests_max_burst": 1, "by": "client"}
    serve(nodes, port, web, service_name="web", rate_limits=[rate])
    began, good = time.monotonic(), 0
    while good < 8 and time.monotonic() - began < wire.PATIENCE:
        good += get(port).status == 200
        time.sleep(0.01)
    assert good == 8, "they do not come back"
    assert time.monotonic() - began > 7 * 0.2 - 0.05, "they come back too soon"


def test_connections_have_rates_of_their_own(nodes, ports, recorders):
    web, port = recorders(), ports.take()
    rate = {"requests_per_second": 0.01, "requests_max_burst": 2, "by": "connection"}
    serve(nodes, port, web, service_name="web", rate_limits=[rate])
    for _ in range(3):
        with Client(port) as client:
            assert [client.get().status for _ in range(3)] == [200, 200, 429]


def test_lengths(nodes, ports, recorders):
    web, port = recorders(), ports.take()
    route = {"service": "web", "max_request_bytes": 100, "max_header_bytes": 300}
    serve(nodes, port, web, routes=[route])
    assert get(port, method="POST", body=b"x" * 100).status == 200
    assert get(port, method="POST", body=b"x" * 101).status == 413
    assert get(port, headers=["X-Long: " + "x" * 300]).status == 431
    assert len(web.requests) == 1
