"""Proves that values of header rules say what is known of the exchange, in both versions of HTTP,
and that nothing a client says of itself makes two lines of one.
"""

import http2
import pytest
from h2client import Http2
from ringmesh import listener, service
from wire import get

ASKED = {
    "x-client": "%{client.ip}:%{client.port}",
    "x-asked": "%{method} %{scheme}://%{host}%{path}?%{query} %{protocol}",
    "x-here": "%{node} %{listener} %{route} %{service}",
    "x-identity": "%{client.identity}",
    "x-share": "100%% of %{host}, 5% of nothing",
    "x-trace": "%{trace.id}",
    "x-tls": "%{tls.version}%{tls.cipher}%{tls.sni}",
}


@pytest.fixture
def edge(nodes, ports, recorders):
    """A route with rules for requests and answers, and one that answers by itself."""
    web, port = recorders(), ports.take()
    routes = [
        {
            "match": {"path_prefix": "/own"},
            "respond": {"status": 200, "body": "x", "headers": {"x-path": "%{path}"}},
        },
        {
            "service": "web",
            "request_headers": {"set": ASKED},
            "response_headers": {
                "set": {"x-upstream": "%{upstream.address}", "x-of": "%{method} %{path}"}
            },
        },
    ]
    more = {"routes": routes, "trace": {"start": True}}
    node = nodes(
        services=[service("web", web.port)], listeners=[listener("public", port, **more)]
    ).start()
    return node, port, web


def check(seen, port, version):
    client = seen.header("x-client")
    assert client.startswith("127.0.0.1:") and 0 < int(client.rpartition(":")[2]) < 65536
    assert seen.header("x-asked") == f"POST http://ex.test/a/b?c=%20d {version}"
    assert seen.header("x-here") == "node-1 public listener public, route 2 web"
    assert seen.header("x-identity") is None, "what is empty makes no line, the client's is gone"
    assert seen.header("x-tls") is None
    assert seen.header("x-share") == "100% of ex.test, 5% of nothing"
    trace = seen.header("x-trace")
    assert len(trace) == 32 and trace in seen.header("traceparent")


def test_http_1(edge):
    node, port, web = edge
    headers = ["X-Identity: spiffe://forged", "X-Upstream: forged"]
    answer = get(port, "/a/./b?c=%20d", "EX.test:80", headers=headers, method="POST")
    assert answer.header("x-upstream") == f"127.0.0.1:{web.port}"
    assert answer.header("x-of") == "POST /a/b"
    check(web.requests[-1], port, "HTTP/1.1")
    assert get(port, "/own/thing").header("x-path") == "/own/thing"
    explained = node.meshctl("explain", "GET", f"http://127.0.0.1:{port}/").stdout
    assert "x-upstream: %{upstream.address}" in explained


@http2.needed
def test_http_2(edge):
    _, port, web = edge
    with Http2(port) as client:
        got = client.start().get(
            1, "POST", "/a/b?c=%20d", fields=[("x-identity", "spiffe://forged")], scheme="http"
        )
        assert got.values("x-upstream") == [f"127.0.0.1:{web.port}"]
        check(web.requests[-1], port, "HTTP/2")


def test_values_that_are_too_long(nodes, ports, recorders):
    """What no head can hold is refused, and the connection is of use."""
    web, port = recorders(), ports.take()
    rules = {"response_headers": {"set": {"x-long": "%{path}" * 20}}}
    nodes(
        services=[service("web", web.port)],
        listeners=[listener("public", port, routes=[{"service": "web", **rules}])],
    ).start()
    assert get(port, "/" + "a" * 2000).status == 431
    assert get(port, "/a").header("x-long") == "/a" * 20
    assert len(web.requests) == 1
