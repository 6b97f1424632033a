"""Proves that what bounds and repeats requests means the same with HTTP/2 on both sides: ceilings
count streams and sockets, tries end a stream and not its connection, refusals are answers on a
stream, and the connection goes on.
"""

import threading
import time

import frames
import http2
import pytest
from h2client import Http2
from h2server import Http2Recorder
from ringmesh import defaults, listener, service
from wire import get, wait_for

pytestmark = [http2.needed, http2.needed_upstream]


@pytest.fixture
def recorder():
    made = []

    def make(answer=None, **more):
        made.append(Http2Recorder(answer=answer, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def serve(nodes, port, recorders, route=None, workers=1, **resolver):
    """`route`: keys of the listener's only route; `resolver`: of a service-resolver."""
    entries = [defaults("web", "http2")]
    if resolver:
        entries.append({"kind": "service-resolver", "name": "web", **resolver})
    return nodes(
        services=[service("web", r.port, id=f"web-{i}") for i, r in enumerate(recorders)],
        config_entries=entries,
        listeners=[listener("public", port, routes=[{"service": "web", **(route or {})}])],
        workers=workers,
    ).start()


def answering(status):
    return lambda request, connection: connection.respond(request.stream, status=status)


class Gate:
    """An answer that waits until it is opened."""

    def __init__(self):
        self.opened = threading.Event()

    def __call__(self, request, connection):
        self.opened.wait(60)
        connection.respond(request.stream)


def test_streams_count_as_requests(nodes, ports, recorder):
    gate, port = Gate(), ports.take()
    web = recorder(gate)
    serve(nodes, port, [web], limits={"max_concurrent_requests": 5})
    with Http2(port) as client:
        client.start()
        for stream in range(1, 11, 2):
            client.ask(stream)
        wait_for(lambda: len(web.complete()) == 5, 5, "five requests are under way")
        assert [client.get(stream).status for stream in (11, 13, 15)] == [503] * 3
        gate.opened.set()
        assert [client.answer(stream).status for stream in range(1, 11, 2)] == [200] * 5
        assert client.get(17).status == 200, "there is room again"
    assert len(web.requests) == 6


def test_sockets_count_as_connections(nodes, ports, recorder):
    """Forty streams of four workers over two connections that carry eight streams each.

    Until an upstream has told its settings a connection carries one stream: a worker may have both
    connections with a stream on each when the others come to want them.
    """
    gate, port = Gate(), ports.take()
    web = recorder(gate, settings=[(frames.MAX_CONCURRENT_STREAMS, 8)])
    serve(nodes, port, [web], workers=4, limits={"max_connections": 2}, connect_timeout="60s")
    clients = [Http2(port, timeout=30) for _ in range(8)]
    for client in clients:
        client.start()
        for stream in range(1, 11, 2):
            client.ask(stream)
    wait_for(lambda: len(web.complete()) >= 2, 5, "streams are under way")
    time.sleep(0.2)
    assert len(web.open) <= 2 and len(web.complete()) <= 16
    gate.opened.set()
    for client in clients:
        statuses = [client.answer(stream, 60).status for stream in range(1, 11, 2)]
        assert statuses == [200] * 5, client.story()
        client.close()
    assert len(web.open) <= 2


def test_a_failing_instance_is_left_out(nodes, ports, recorder):
    sick, good, port = recorder(answering(503)), recorder(), ports.take()
    serve(
        nodes,
        port,
        [sick, good],
        passive_health_check={"max_failures": 3, "base_ejection_time": "60s"},
    )
    with Http2(port) as client:
        client.start()
        statuses = [client.get(stream).status for stream in range(1, 61, 2)]
    assert statuses.count(503) == 3 and statuses[-8:] == [200] * 8, statuses


def test_answers_are_tried_elsewhere(nodes, ports, recorder):
    bad, good, port = recorder(answering(503)), recorder(), ports.take()
    serve(nodes, port, [bad, good], route={"num_retries": 1, "retry_on": ["gateway-error"]})
    with Http2(port) as client:
        client.start()
        assert [client.get(stream).status for stream in range(1, 17, 2)] == [200] * 8
    assert len(bad.requests) > 0
    assert len(bad.connections) == 1, "the dropped answers ended the connection"


def test_the_end_of_a_try_ends_a_stream(nodes, ports, recorder):
    """The one that is late is reset; its connection serves the next try."""

    def answer(request, connection):
        if len(web.requests) > 1:
            connection.respond(request.stream)

    web, port = recorder(answer), ports.take()
    serve(nodes, port, [web], route={"num_retries": 1, "try_timeout": "3s"})
    with Http2(port) as client:
        assert client.start().get().status == 200
        wait_for(lambda: web.requests[0].reset is not None, 3, "the stream is reset")
    assert web.requests[0].reset == frames.CANCEL and web.requests[1].reset is None
    assert len(web.connections) == 1


def test_goaway_costs_no_try(nodes, ports, recorder):
    """RFC 9113 8.7: what was not looked at is safe to repeat, even where nothing else is."""

    def answer(request, connection):
        if len(web.requests) == 1:
            connection.send(frames.goaway(0))
        else:
            connection.respond(request.stream)

    web, port = recorder(answer), ports.take()
    serve(nodes, port, [web], route={"num_retries": 0})
    with Http2(port) as client:
        assert client.start().get(method="DELETE").status == 200
    assert len(web.requests) == 2 and len(web.connections) == 2


def test_goaway_for_ever_ends(nodes, ports, recorder):
    web = recorder(lambda request, connection: connection.send(frames.goaway(0)))
    port = ports.take()
    serve(nodes, port, [web], route={"num_retries": 0})
    assert get(port).status == 502
    assert 2 <= len(web.requests) <= 5, "one for nothing, and those of connections that fail"


def test_streams_of_a_connection_share_its_rate(nodes, ports, recorder):
    web, port = recorder(), ports.take()
    rate = {"requests_per_second": 0.01, "requests_max_burst": 2, "by": "connection"}
    serve(nodes, port, [web], route={"rate_limits": [rate]})
    for _ in range(2):
        with Http2(port) as client:
            client.start()
            assert [client.get(s).status for s in (1, 3, 5)] == [200, 200, 429]
            assert 50 <= int(client.answers[5].values("retry-after")[0]) <= 100
            assert client.ponged(), "the connection goes on"


def test_lengths(nodes, ports, recorder):
    web, port = recorder(), ports.take()
    serve(nodes, port, [web], route={"max_request_bytes": 100, "max_header_bytes": 300})
    with Http2(port) as client:
        client.start()
        assert client.get(1, "POST", body=b"x" * 100).status == 200
        assert client.get(3, "POST", body=b"x" * 101).status == 413
        length = [("content-length", "101")]
        assert client.get(5, "POST", fields=length, body=b"x" * 101).status == 413
        assert client.get(7, fields=[("x-long", "x" * 300)]).status == 431
        assert client.get(9).status == 200, "the connection goes on"
    assert [r.complete for r in web.requests].count(True) == 2
