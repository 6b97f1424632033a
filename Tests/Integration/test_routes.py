"""Proves the routes of a listener: first match wins, hosts and wildcards, respond and redirect,
and that a change of a route file is live without a restart.
"""

import json

import pytest
from ringmesh import listener, service
from wire import get, wait_for


def named(name):
    text = name.encode()
    return lambda request, client: (
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)
    )


@pytest.fixture
def edge(nodes, ports, recorders):
    web, api, port = recorders(named("web")), recorders(named("api")), ports.take()
    node = nodes(
        services=[service("web", web.port), service("api", api.port)],
        listeners=[
            listener(
                "public",
                port,
                routes=[
                    {
                        "match": {"host": "*.example.com", "path_prefix": "/admin"},
                        "respond": {"status": 403, "body": "no entry"},
                    },
                    {"match": {"host": "*.example.com", "path_prefix": "/api"}, "service": "api"},
                    {
                        "match": {"host": "old.example.com"},
                        "redirect": {"host": "www.example.com", "status": 308},
                    },
                    {"match": {"host": "exact.test"}, "service": "web"},
                    {"match": {"host": "*.example.com"}, "service": "web"},
                ],
            )
        ],
    ).start()
    node.public = port
    return node


ROUTED = [
    ("www.example.com", "/", 200, b"web"),
    ("www.example.com", "/api", 200, b"api"),
    ("www.example.com", "/api/v1?x=/admin", 200, b"api"),
    ("WWW.EXAMPLE.COM:8080", "/api", 200, b"api"),
    ("www.example.com", "/admin", 403, b"no entry"),
    ("www.example.com", "/admin/x", 403, b"no entry"),
    ("www.example.com", "/%61dmin", 403, b"no entry"),
    ("www.example.com", "/x/../admin", 403, b"no entry"),
    ("old.example.com", "/api/x", 200, b"api"),
    ("exact.test", "/admin", 200, b"web"),
    ("a.b.example.com", "/", 200, b"web"),
    ("example.com", "/", 404, None),
    ("evil.test", "/", 404, None),
    ("exact.test.evil.test", "/", 404, None),
]


@pytest.mark.parametrize(("host", "target", "status", "body"), ROUTED)
def test_first_match_wins(edge, host, target, status, body):
    answer = get(edge.public, target, host)
    assert answer.status == status
    if body is not None:
        assert answer.body == body


def test_redirect_keeps_path_and_query(edge):
    answer = get(edge.public, "/a/b?c=d", "old.example.com")
    assert answer.status == 308
    place = answer.header("location")
    assert place in ("http://www.example.com/a/b?c=d", "//www.example.com/a/b?c=d")


def test_headers_that_routes_change(nodes, ports, recorders):
    """`respond.headers`, and a router's changes of the request and of the answer."""
    web, port = recorders(), ports.take()
    nodes(
        services=[service("web", web.port)],
        config_entries=[
            {"kind": "service-defaults", "name": "web", "protocol": "http"},
            {
                "kind": "service-router",
                "name": "web",
                "routes": [
                    {
                        "match": {"http": {"path_prefix": "/"}},
                        "destination": {
                            "request_headers": {"set": {"x-leg": "a"}, "remove": ["x-secret"]},
                            "response_headers": {"add": {"x-answer": "b"}},
                        },
                    }
                ],
            },
        ],
        listeners=[
            listener(
                "public",
                port,
                "web",
                routes=[
                    {
                        "match": {"path_prefix": "/closed"},
                        "respond": {"status": 503, "headers": {"retry-after": "60"}},
                    }
                ],
            )
        ],
    ).start()
    closed = get(port, "/closed", "web")
    assert (closed.status, closed.header("retry-after")) == (503, "60")
    answer = get(port, "/", "web", headers=["X-Leg: own", "X-Secret: s"])
    assert (answer.status, answer.header("x-answer")) == (200, "b")
    seen = web.requests[-1]
    assert seen.header("x-leg") == "a"
    assert seen.header("x-secret") is None


def test_thousand_hosts(nodes, ports, recorders):
    """Many hosts change nothing of the meaning: case is ignored, strangers get 404."""
    web, port = recorders(named("web")), ports.take()
    routes = [
        {"match": {"host": f"host-{n}.example.com"}, "respond": {"status": 200, "body": str(n)}}
        for n in range(1000)
    ] + [{"match": {"host": "last.example.com"}, "service": "web"}]
    nodes(
        services=[service("web", web.port)], listeners=[listener("public", port, routes=routes)]
    ).start()
    for number in (0, 1, 499, 999):
        assert get(port, "/", f"HOST-{number}.Example.Com").body == str(number).encode()
    assert get(port, "/", "last.example.com").body == b"web"
    assert get(port, "/", "host-1000.example.com").status == 404


def test_services_directory_is_watched(nodes, ports, recorders, tmp_path):
    """A file that appears, changes and goes is a service that appears, changes and goes."""
    one, two, port = recorders(named("one")), recorders(named("two")), ports.take()
    nodes(
        services_dir=str(tmp_path),
        services=[service("other", ports.dead())],
        listeners=[listener("public", port, "web")],
    ).start()
    assert get(port).status == 503

    def write(upstream):
        text = json.dumps({"service": {"name": "web", "address": "127.0.0.1", "port": upstream}})
        (tmp_path / "web.json").write_text(text, encoding="utf-8")

    write(one.port)
    wait_for(lambda: get(port).body == b"one", 5, "the new service is routed to")
    write(two.port)
    wait_for(lambda: get(port).body == b"two", 5, "the changed service is routed to")
    (tmp_path / "web.json").write_text("{ broken", encoding="utf-8")
    for _ in range(20):
        assert get(port).body == b"two", "a broken file took a running service away"
    (tmp_path / "web.json").unlink()
    wait_for(lambda: get(port).status == 503, 5, "the service is gone")
