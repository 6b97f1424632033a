"""Proves what is different for calls of gRPC: tried again by their status with their body, bounded
by their own timeout, told of failures by a head alone. With a real client, and on the wire.
"""

import threading

import grpc
import http2
import pytest
from h2client import Http2
from h2server import Http2Recorder
from ringmesh import defaults, listener, service
from wire import get, values

pytestmark = [http2.needed, http2.needed_upstream]

CALL = [("content-type", "application/grpc"), ("te", "trailers")]
MESSAGE = b"\0\0\0\0\5hello"


@pytest.fixture
def upstream():
    made = []

    def make(answer):
        made.append(Http2Recorder(answer=answer))
        return made[-1]

    yield make
    for one in made:
        one.close()


def serve(nodes, port, recorders, **route):
    return nodes(
        services=[service("web", r.port, id=f"web-{i}") for i, r in enumerate(recorders)],
        config_entries=[defaults("web", "grpc")],
        listeners=[listener("public", port, routes=[{"service": "web", **route}])],
        workers=1,
    ).start()


def failing(status):
    """A call that fails at once: all is in its head."""
    fields = [("content-type", "application/grpc"), ("grpc-status", str(status))]
    return lambda request, connection: connection.respond(request.stream, body=b"", fields=fields)


def echo(request, connection):
    connection.respond(
        request.stream,
        body=request.body,
        fields=[("content-type", "application/grpc")],
        trailers=[("grpc-status", "0")],
    )


def call(port, message=b"hello", **more):
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        method = channel.unary_unary("/a.B/C", lambda m: m, lambda m: m)
        return method(message, wait_for_ready=True, **more)


def test_a_call_that_is_unavailable_is_made_elsewhere(nodes, ports, upstream):
    bad, good, port = upstream(failing(14)), upstream(echo), ports.take()
    node = serve(nodes, port, [bad, good], num_retries=1, retry_on=["unavailable"])
    for size in (5, 3000, 10000):
        sent = bytes(size)
        assert [call(port, sent, timeout=30) for _ in range(3)] == [sent] * 3
    assert len(bad.requests) > 0
    explained = node.meshctl("explain", "POST", f"http://127.0.0.1:{port}/").stdout
    assert "grpc-status unavailable" in explained


def test_other_statuses_pass(nodes, ports, upstream):
    bad, port = upstream(failing(13)), ports.take()
    serve(nodes, port, [bad], num_retries=1, retry_on=["unavailable", "cancelled"])
    with pytest.raises(grpc.RpcError) as refused:
        call(port, timeout=30)
    assert refused.value.code() == grpc.StatusCode.INTERNAL
    assert len(bad.requests) == 1


def test_a_call_ends_when_its_time_is_over(nodes, ports, upstream):
    """The client's own clock may be first: what the proxy says is looked at on the wire."""
    waits = threading.Event()
    slow, port = upstream(lambda request, connection: waits.wait(30)), ports.take()
    serve(nodes, port, [slow], request_timeout="60s")
    try:
        with Http2(port, timeout=30) as client:
            client.start()
            answer = client.get(1, "POST", "/a.B/C", [*CALL, ("grpc-timeout", "2000m")], MESSAGE)
            fields = dict(answer.headers)
            assert fields[":status"] == "200" and fields["grpc-status"] == "4", client.story()
            assert answer.ended and answer.body == b"" and answer.trailers in ([], None, ())
        assert slow.requests[0].header("grpc-timeout") == "2000m"
        with pytest.raises(grpc.RpcError) as over:
            call(port, timeout=0.2)
        assert over.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    finally:
        waits.set()


def test_failures_are_told_as_calls_read_them(nodes, ports, upstream):
    web, port = upstream(echo), ports.take()
    routes = [
        {"match": {"path_prefix": "/a.B"}, "service": "gone"},
        {"match": {"path_prefix": "/busy"}, "service": "web"},
    ]
    routes[1]["rate_limits"] = [{"requests_per_second": 0.001, "requests_max_burst": 1}]
    nodes(
        services=[service("web", web.port)],
        config_entries=[defaults("web", "grpc"), defaults("gone", "grpc")],
        listeners=[listener("public", port, routes=routes)],
        workers=1,
    ).start()
    with pytest.raises(grpc.RpcError) as unavailable:
        call(port, timeout=30)
    assert unavailable.value.code() == grpc.StatusCode.UNAVAILABLE
    assert unavailable.value.details() == "no healthy upstream"
    with Http2(port) as client:
        client.start()
        statuses = [
            dict(client.get(stream, "POST", path, CALL, MESSAGE).headers).get("grpc-status")
            for stream, path in ((1, "/none"), (3, "/busy"), (5, "/busy"))
        ]
        assert statuses == ["12", None, "14"], client.story()
        assert client.get(7, "POST", "/none", [("content-type", "text/plain")]).status == 404
    answer = get(port, "/none", method="POST", headers=["Content-Type: application/grpc"])
    assert answer.status == 200 and answer.body == b""
    assert values(answer.headers, "grpc-status") == ["12"]
