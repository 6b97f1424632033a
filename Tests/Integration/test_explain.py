"""Proves that `meshctl explain` says what happens: for dozens of requests the route, the target,
the status and the place of a redirect that it tells are those that the same request then gets.
"""

import itertools
import json

import pytest
from ringmesh import defaults, listener, service
from wire import get, wait_for

HOSTS = ["a.example.com", "old.example.com", "other.test", "deep.a.example.com"]
PATHS = ["/", "/api", "/api/x/../y", "/admin", "/Exact", "/exact", "/re/1", "/re/x", "/h"]


def routes():
    return [
        {"match": {"host": "*.example.com", "path_prefix": "/admin"}, "respond": {"status": 403}},
        {
            "match": {"host": "old.example.com"},
            "redirect": {"host": "www.example.com", "status": 308},
        },
        {"match": {"path_exact": "/exact"}, "service": "one"},
        {"match": {"path_regex": "/re/[0-9]+"}, "service": "two"},
        {
            "match": {"path_prefix": "/h", "header": [{"name": "x-v", "exact": "2"}]},
            "service": "two",
        },
        {
            "match": {"path_prefix": "/api", "methods": ["GET", "PUT"]},
            "service": "one",
            "prefix_rewrite": "/v2",
            "request_headers": {"set": {"x-way": "api"}},
        },
        {"match": {"host": "*.example.com"}, "service": "two"},
    ]


@pytest.fixture
def told(nodes, ports, recorders):
    """A node with two listeners, and a log that says what happened."""
    one, two, port, bare = recorders(), recorders(), ports.take(), ports.take()
    node = nodes(
        workers=1,
        services=[
            service("one", one.port),
            service("two", two.port),
            service("dead", ports.dead()),
        ],
        config_entries=[defaults("one"), defaults("two")],
        listeners=[
            listener("public", port, routes=routes()),
            listener("bare", bare, "two"),
        ],
    )
    node.config["access_log"] = {"path": str(node.directory / "access.log")}
    node.write_config()
    node.start()
    node.ports_asked = (port, bare)
    return node


def logged(node, count):
    path = node.directory / "access.log"
    wait_for(lambda: path.exists() and path.read_text().count("\n") >= count, 5, "a line")
    return json.loads(path.read_text().splitlines()[count - 1])


def test_what_is_explained_is_what_happens(told):
    cases = list(itertools.product(HOSTS, PATHS, ["GET", "POST"], [(), ("X-V: 2",)]))
    checked = 0
    for port in told.ports_asked:
        for host, path, method, fields in cases[:: 3 if port == told.ports_asked[0] else 11]:
            more = itertools.chain(*(("--header", f) for f in fields))
            url = f"http://{host}:{port}{path}"
            report = told.json("explain", method, url, *more)
            answer = get(port, path, f"{host}:{port}", list(fields), method=method)
            checked += 1
            line = logged(told, checked)
            what = f"{method} {url} {fields}: {report}"
            outcome = report["outcome"]
            matched = [
                p for p in report["phases"] if (p["phase"], p["verdict"]) == ("route", "matched")
            ]
            assert (matched[0]["rule"] if matched else None) == line["route"], what
            assert (matched[0]["origin"] if matched else None) == line["route_origin"], what
            if outcome.startswith("forwarded to "):
                assert line["target"] == outcome.removeprefix("forwarded to "), what
                assert answer.status == 200 and line["flag"] == "ok", what
            elif " to " in outcome:
                status, place = outcome.split(" to ")
                assert answer.status == int(status), what
                assert answer.header("location") == place, what
            else:
                assert answer.status == int(outcome.split(",")[0]), what
                if "," in outcome:
                    assert line["flag"] == outcome.split(", ")[1], what
    assert checked >= 48


def test_every_phase_has_its_rule(told):
    port, _ = told.ports_asked
    report = told.json("explain", "GET", f"http://a.example.com:{port}/api/x")
    phases = {p["phase"]: p for p in report["phases"]}
    assert phases["rewrite"]["detail"] == "the path becomes /v2/x"
    assert phases["headers"]["detail"] == "request: sets x-way: api"
    assert phases["upstream"]["detail"].startswith("one.default.dc1: HTTP/1.1")
    assert "takes new work, weight 1" in phases["endpoint"]["detail"]
    for name in ("route", "rewrite", "headers"):
        assert phases[name]["origin"].rsplit(":", 2)[0].endswith("node.yaml")
        assert phases[name]["rule"] == "listener public, route 6"
    rejected = [p for p in report["phases"] if (p["phase"], p["verdict"]) == ("route", "passed")]
    assert len(rejected) >= 4 and all(p["detail"] and p["origin"] for p in rejected)
    text = told.meshctl("explain", "GET", f"http://a.example.com:{port}/api/x").stdout
    assert "the path becomes /v2/x" in text and "node.yaml:" in text
