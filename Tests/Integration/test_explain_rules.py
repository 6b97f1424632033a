"""Proves that `meshctl explain` has a line for everything that can be said about a request, and
that the line names the rule with the place in the file where it was written: each feature is
configured, explained, and the text at that place is read back.
"""

import json
import re

import pytest
from ports import Ports
from ringmesh import Node, defaults, intentions, listener, service, sidecar

POLICIES = {
    "robin": ("round_robin", "in turn"),
    "least": ("least_request", "the one of two by chance with fewer requests"),
    "random": ("random", "by chance"),
    "ring": ("ring_hash", "ring_hash by the header x-user leads to ring"),
    "maglev": ("maglev", "maglev by the header x-user leads to maglev"),
    "ewma": ("peak_ewma", "of 2 by chance the one with the least latency times requests"),
}
HASHED = [{"field": "header", "field_value": "x-user", "terminal": True}]
COOKIE = [{"field": "cookie", "field_value": "cart", "cookie_config": {"ttl": "1h", "path": "/"}}]
BROKEN = {"max_failures": 3, "base_ejection_time": "7s", "max_ejection_percent": 40}
LEGS = [
    {"weight": 75, "service": "web", "request_headers": {"set": {"x-leg": "old"}}},
    {"weight": 25, "service": "plain", "response_headers": {"add": {"x-leg": "new"}}},
]
LIMITS = {"max_connections": 7, "max_pending_requests": 5, "max_concurrent_requests": 3}

# path -> what its route says besides a service
ROUTES = {
    "/query": {"match": {"query": [{"name": "debug", "exact": "1"}]}},
    "/header": {"match": {"headers": [{"name": "x-v", "regex": "v[0-9]+"}]}},
    "/method": {"match": {"methods": ["PUT", "DELETE"]}},
    "/regex": {"match": {"path_regex": "/regex/[0-9]+"}},
    "/redirect": {"redirect": {"host": "www.example.com", "status": 308}},
    "/respond": {"respond": {"status": 451, "body": "no"}},
    "/rewrite": {"prefix_rewrite": "/v2"},
    "/heads": {
        "request_headers": {"set": {"x-a": "1"}, "remove": ["x-b"]},
        "response_headers": {"add": {"x-c": "2"}},
    },
    "/retries": {
        "num_retries": 5,
        "retry_on": ["5xx"],
        "retry_on_status_codes": [425],
        "try_timeout": "700ms",
        "retry_backoff": "40ms",
        "retry_body_bytes": 4096,
    },
    "/times": {"request_timeout": "9s", "idle_timeout": "4s"},
    "/mirror": {"mirror": {"service": "shadow", "percent": 12.5}},
    "/rates": {
        "rate_limits": [
            {"requests_per_second": 10, "requests_max_burst": 20, "by": by}
            for by in ("all", "client", "identity", "connection")
        ]
    },
    "/bounds": {"max_request_bytes": 1000, "max_header_bytes": 2000},
    "/calls": {"service": "calls", "num_retries": 1, "retry_on": ["unavailable"]},
    "/split": {"service": "split"},
    "/guarded": {"service": "guarded"},
    "/cart": {"service": "cart"},
    **{f"/{name}": {"service": name} for name in POLICIES},
}

ONE = "written with its route"

# feature: (path with query, method, headers, phase, words of the detail, what is written there)
FEATURES = {
    "match on the query": ("/query?debug=1", "GET", (), "route", ["debug", "1"], ONE),
    "match on a header": ("/header", "GET", ("x-v: v2",), "route", ["x-v", "v[0-9]+"], ONE),
    "match on the method": ("/method", "PUT", (), "route", ["DELETE", "PUT"], ONE),
    "match by a regex": ("/regex/17", "GET", (), "route", ["/regex/[0-9]+"], ONE),
    "redirect": ("/redirect", "GET", (), "route", ["redirects with 308"], ONE),
    "an answer of the proxy's own": ("/respond", "GET", (), "route", ["451"], ONE),
    "rewrite": ("/rewrite/x", "GET", (), "rewrite", ["the path becomes /v2/x"], ONE),
    "request headers": ("/heads", "GET", (), "headers", ["request: sets x-a: 1"], ONE),
    "headers that go": ("/heads", "GET", (), "headers", ["request: removes x-b"], ONE),
    "answer headers": ("/heads", "GET", (), "headers", ["answer: adds x-c: 2"], ONE),
    "retries": (
        "/retries",
        "GET",
        (),
        "retry",
        ["at most 5", "5xx", "425", "700 ms for each try", "40 to 400 ms", "up to 4096 bytes"],
        ONE,
    ),
    "no retries of POST": ("/retries", "POST", (), "retry", ["POST is not repeated"], ONE),
    "statuses of gRPC": ("/calls", "POST", (), "retry", ["grpc-status unavailable"], ONE),
    "gRPC": (
        "/calls",
        "POST",
        (),
        "upstream",
        ["HTTP/2, requests share"],
        "service-defaults calls",
    ),
    "request_timeout": ("/times", "GET", (), "timeout", ["9000 ms, or 504"], ONE),
    "idle_timeout": (
        "/times",
        "GET",
        (),
        "timeout",
        ["4000 ms in which nothing of the request moves"],
        ONE,
    ),
    "the listener's timeouts": ("/mirror", "GET", (), "timeout", ["8000 ms in which"], "public"),
    "mirror": ("/mirror", "GET", (), "mirror", ["12.5 % are copied to shadow"], ONE),
    "a rate of the route": ("/rates", "GET", (), "limits", ["20 requests at once", "0.1 s"], ONE),
    "a rate of clients": ("/rates", "GET", (), "limits", ["requests of a client at once"], ONE),
    "a rate of identities": ("/rates", "GET", (), "limits", ["of an identity at once"], ONE),
    "a rate of connections": ("/rates", "GET", (), "limits", ["of a connection at once"], ONE),
    "bodies": ("/bounds", "POST", (), "limits", ["bodies up to 1000 bytes, or 413"], ONE),
    "heads": ("/bounds", "GET", (), "limits", ["heads up to 2000 bytes, or 431"], ONE),
    "a split": (
        "/split",
        "GET",
        (),
        "split",
        ["75.0 % of the traffic goes to web"],
        "service-splitter split",
    ),
    "its other leg": (
        "/split",
        "GET",
        (),
        "split",
        ["25.0 % of the traffic goes to plain"],
        "service-splitter split",
    ),
    "headers of a leg": (
        "/split",
        "GET",
        (),
        "headers",
        ["request: sets x-leg: old"],
        "service-splitter split",
    ),
    "headers of the other": (
        "/split",
        "GET",
        (),
        "headers",
        ["answer: adds x-leg: new"],
        "service-splitter split",
    ),
    "circuit breaker": (
        "/guarded",
        "GET",
        (),
        "limits",
        ["at most 7 connections", "5 requests that wait", "3 requests"],
        "service-resolver guarded",
    ),
    "outlier ejection": (
        "/guarded",
        "GET",
        (),
        "limits",
        ["left out after 3 failures in a row", "7000 ms", "at most 40 %"],
        "service-resolver guarded",
    ),
    "affinity by a cookie": (
        "/cart",
        "GET",
        (),
        "choose",
        ["the answer sets the cookie cart"],
        "service-resolver cart",
    ),
    **{
        f"policy {policy}": (
            f"/{name}",
            "GET",
            ("x-user: anna",),
            "choose",
            [words],
            f"service-resolver {name}",
        )
        for name, (policy, words) in POLICIES.items()
    },
    "an endpoint": ("/guarded", "GET", (), "endpoint", ["takes new work"], "service guarded"),
    "what is spoken": ("/guarded", "GET", (), "upstream", ["HTTP/1.1"], "service-defaults guarded"),
    "compression": ("/mirror", "GET", (), "setting", ["compression: br 4, gzip 6"], "public"),
    "tracing": ("/mirror", "GET", (), "setting", ["begun here, 50.0 % sampled"], "public"),
    "access log": ("/mirror", "GET", (), "setting", ["access_log: "], "public"),
    "the listener": ("/mirror", "GET", (), "listener", ["public on 127.0.0.1"], "public"),
}


def route(path, says):
    made = {"service": "web", **says}
    if says.keys() & {"respond", "redirect"}:
        del made["service"]
    match = dict(says.get("match", {}))
    if "path_regex" not in match:
        match["path_prefix"] = path
    return {**made, "match": match}


def entries():
    plain = ["web", "plain", "split", "guarded", "shadow", "cart", *POLICIES]
    balanced = [
        {
            "kind": "service-resolver",
            "name": name,
            "load_balancer": {
                "policy": policy,
                **({"hash_policies": HASHED} if policy in ("ring_hash", "maglev") else {}),
            },
        }
        for name, (policy, _) in POLICIES.items()
    ]
    return [
        *(defaults(name) for name in plain),
        defaults("calls", "grpc"),
        *balanced,
        {"kind": "service-splitter", "name": "split", "splits": LEGS},
        {
            "kind": "service-resolver",
            "name": "guarded",
            "limits": LIMITS,
            "passive_health_check": BROKEN,
        },
        {
            "kind": "service-resolver",
            "name": "cart",
            "load_balancer": {"policy": "maglev", "hash_policies": COOKIE},
        },
        {
            "kind": "service-defaults",
            "name": "api",
            "protocol": "http",
            "upstream_config": {"overrides": [{"name": "web", "limits": {"max_connections": 9}}]},
        },
        intentions("web", api="allow"),
    ]


@pytest.fixture(scope="module")
def told():
    """A node with all of it; `.port` of its plain listener, `.local` of api's way to web."""
    ports = Ports()
    dead, port, local = ports.dead(), ports.take(), ports.take()
    names = ["plain", "guarded", "shadow", "cart", "calls"]
    pairs = [service(name, dead, id=f"{name}-{n}") for name in POLICIES for n in (1, 2)]
    node = Node(
        ports,
        services=[
            *(service(name, dead) for name in names),
            *pairs,
            service("web", dead, connect=sidecar(ports.take())),
            service("api", dead, connect=sidecar(ports.take(), {"web": local})),
        ],
        config_entries=entries(),
        listeners=[
            listener(
                "public",
                port,
                timeouts={"idle": "8s", "request": "0s"},
                compression={"codings": ["br", "gzip"], "levels": {"gzip": 6}},
                trace={"start": True, "sample": 0.5},
                access_log={"path": "stdout"},
                routes=[route(path, says) for path, says in ROUTES.items()],
            )
        ],
    )
    node.port, node.local = port, local
    try:
        yield node.start()
    finally:
        node.close()
        ports.close()


def written(node, origin):
    """The value that stands at `FILE:LINE:COLUMN` of the configuration."""
    path, line, column = re.fullmatch(r"(.*):(\d+):(\d+)", origin).groups()
    assert path == str(node.config_path), origin
    text = node.config_path.read_text(encoding="utf-8")
    start = sum(len(one) for one in text.splitlines(keepends=True)[: int(line) - 1])
    return json.JSONDecoder().raw_decode(text, start + int(column) - 1)[0]


def expected(node, path, what):
    """The value in the configuration that a rule comes from."""
    if what == ONE:
        name = "/" + re.split(r"[/?]", path)[1]
        return route(name, ROUTES[name])
    if what == "public":
        return node.config["listeners"][0]
    kind, name = what.split()
    listed = node.config["services" if kind == "service" else "config_entries"]
    return next(e for e in listed if e["name"] == name and e.get("kind", kind) == kind)


@pytest.mark.parametrize("feature", FEATURES)
def test_each_feature_has_its_line(told, feature):
    path, method, fields, phase, words, place = FEATURES[feature]
    url = f"http://a.test:{told.port}{path}"
    more = [part for field in fields for part in ("--header", field)]
    report = told.json("explain", method, url, *more)
    lines = [
        p
        for p in report["phases"]
        if p["phase"] == phase and all(word in p["detail"] for word in words)
    ]
    assert lines, json.dumps(report["phases"], indent=1)
    assert lines[0]["verdict"] in ("matched", "none"), lines
    assert lines[0]["rule"], lines
    assert written(told, lines[0]["origin"]) == expected(told, path, place), lines
    text = told.meshctl("explain", method, url, *more).stdout
    for word in words:
        assert word in text
    assert f"by {lines[0]['rule']}, written in {lines[0]['origin']}" in text


def test_routes_that_are_passed_over_are_named(told):
    report = told.json("explain", "GET", f"http://a.test:{told.port}/mirror")
    passed = [p for p in report["phases"] if (p["phase"], p["verdict"]) == ("route", "passed")]
    assert len(passed) >= 8 and all(p["detail"] and p["rule"] for p in passed)
    listed = [written(told, p["origin"]) for p in passed]
    assert listed == told.config["listeners"][0]["routes"][: len(listed)]


def test_ceilings_of_a_sidecar_are_those_of_its_caller(told):
    """And its listener is written with its service; intentions have their entry."""
    report = told.json("explain", "GET", f"http://a.test:{told.local}/")
    phases = {p["phase"]: p for p in report["phases"]}
    (api,) = [e for e in told.config["config_entries"] if e["name"] == "api"]
    assert "at most 9 connections" in phases["limits"]["detail"]
    assert written(told, phases["limits"]["origin"]) == api
    (own,) = [s for s in told.config["services"] if s["name"] == "api"]
    assert written(told, phases["listener"]["origin"]) == own
    assert phases["authorize"]["verdict"] == "allow" and phases["authorize"]["origin"]
