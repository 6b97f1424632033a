"""Proves tracing: what a collector of OpenTelemetry is told of sampled requests, through retries,
sidecars, either version of HTTP and the life of the programs; and that a collector that is down,
slow or unwilling costs requests nothing.
"""

import subprocess
import threading
import time

import pytest
import wire
from collector import Collector
from h2client import Http2
from ringmesh import binary, listener, service
from wire import get, wait_for

CALLER = "b7ad6b7169203331"
SECRET = "Bearer very-secret-77"


def parent(number, sampled=True):
    """A traceparent of trace `number`, and the trace's id."""
    trace = f"{number:032x}"
    return f"traceparent: 00-{trace}-{CALLER}-{'01' if sampled else '00'}", trace


@pytest.fixture
def collector():
    made = Collector()
    yield made
    made.close()


def tracing(collector, **more):
    otlp = {"endpoint": f"http://127.0.0.1:{collector.port}", "timeout": "2s"}
    return {"otlp": {**otlp, **more.pop("otlp", {})}, "sample": 0, **more}


def lost(node):
    return sum(
        float(line.rsplit(" ", 1)[1])
        for line in node.metrics().splitlines()
        if line.startswith("ringmesh_trace_spans_lost_total")
    )


def counted(node, name):
    lines = [li for li in node.metrics().splitlines() if li.startswith(name)]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


@pytest.fixture
def plain(nodes, ports, recorders, collector):
    """One listener before one service."""

    def make(**more):
        web, port = recorders(), ports.take()
        node = nodes(
            services=[service("web", web.port)],
            listeners=[listener("public", port, "web")],
            tracing=tracing(collector, **more),
        ).start()
        node.web, node.port = web, port
        return node

    return make


def test_a_request_and_its_try(plain, collector):
    node = plain(service_name="edge")
    field, trace = parent(1)
    headers = [field, "tracestate: a=1,b=2", "User-Agent: ua/1"]
    before = time.time()
    assert get(node.port, "/p?q=secret", headers=headers, body=b"abc", method="POST").status == 200
    server, client = collector.wait(trace, 2)
    assert (server.kind, client.kind) == ("server", "client")
    assert server.parent == CALLER and client.parent == server.id and server.id != client.id
    (seen,) = node.web.complete()
    assert seen.header("traceparent") == f"00-{trace}-{client.id}-01"
    assert seen.header("tracestate") == "a=1,b=2"
    assert server.state == client.state == "a=1,b=2"
    assert server.flags == 0x301 and client.flags == 0x101
    assert server.service == client.service == "edge"
    assert server.resource["host.name"] == "node-1" and server.scope[0] == "ringmesh"
    assert server.name == "POST listener public, its service" and client.name == "POST"
    assert before - 1 < server.start <= client.start < time.time() + 1
    assert 0 < client.seconds <= server.seconds < 60
    assert not server.failed and not client.failed
    expected = {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "network.protocol.name": "http",
        "network.protocol.version": "1.1",
        "url.scheme": "http",
        "url.path": "/p",
        "http.route": "listener public, its service",
        "server.address": "ex.test",
        "server.port": node.port,
        "client.address": "127.0.0.1",
        "user_agent.original": "ua/1",
        "http.request.body.size": 3,
        "ringmesh.listener": "public",
        "ringmesh.flag": "ok",
        "ringmesh.service": "web",
    }
    assert {k: server[k] for k in expected} == expected
    assert client["network.peer.address"] == "127.0.0.1"
    assert client["network.peer.port"] == node.web.port
    assert client["http.response.status_code"] == 200
    assert "secret" not in repr(server.attributes)
    path, fields, _, _ = collector.requests[0]
    assert path == "/v1/traces" and fields["Content-Type"] == "application/x-protobuf"


def test_http2_and_answers_that_fail(plain, collector):
    node = plain()
    node.web.reset(lambda request, client: b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
    field, trace = parent(2)
    with Http2(node.port) as client:
        name, value = field.split(": ")
        client.start().get(fields=[(name, value)])
        server, attempt = collector.wait(trace, 2)
    assert server["network.protocol.version"] == "2" and server.parent == CALLER
    assert server.failed and attempt.failed and server["error.type"] == "503"
    assert server["http.response.status_code"] == 503


def test_only_what_is_sampled(plain, collector):
    node = plain(sample=0)
    for number in range(10, 20):
        field, _ = parent(number, sampled=False)
        assert get(node.port, headers=[field]).status == 200
        assert get(node.port).status == 200
    unsampled = [r.header("traceparent") for r in node.web.complete()]
    assert all(value.endswith("-00") for value in unsampled) and len(set(unsampled)) == 20
    field, trace = parent(21)
    get(node.port, headers=[field])
    collector.wait(trace, 2)
    assert len(collector.spans) == 2


def test_a_share_of_what_begins_here(plain, collector):
    node = plain(sample=0.5)
    for _ in range(200):
        assert get(node.port).status == 200
    marks = [r.header("traceparent") for r in node.web.complete()]
    sampled = {m[3:35] for m in marks if m.endswith("-01")}
    assert 60 < len(sampled) < 140
    for trace in sampled:
        server, _ = collector.wait(trace, 2)
        assert server.parent == ""
    assert {s.trace for s in collector.spans} == sampled


def test_a_listener_that_keeps_its_requests_to_itself(nodes, ports, recorders, collector):
    web, port = recorders(), ports.take()
    node = nodes(
        services=[service("web", web.port)],
        listeners=[listener("public", port, "web", trace={"export": False})],
        tracing=tracing(collector, sample=1),
    ).start()
    field, _trace = parent(3)
    assert get(port, headers=[field]).status == 200
    assert web.complete()[0].header("traceparent") == field.split(": ")[1]
    assert node.stop() == 0
    assert collector.requests == []


def test_each_try_is_a_span(nodes, ports, recorders, collector):
    web, port = recorders(), ports.take()
    node = nodes(
        workers=1,
        services=[
            service("web", ports.dead(), id="web-1"),
            service("web", web.port, id="web-2"),
        ],
        config_entries=[
            {"kind": "service-defaults", "name": "web", "protocol": "http"},
            {
                "kind": "service-router",
                "name": "web",
                "routes": [{"destination": {"num_retries": 2, "retry_on_connect_failure": True}}],
            },
        ],
        listeners=[listener("public", port, "web")],
        tracing=tracing(collector),
    ).start()
    traces = []
    for number in range(30, 34):
        field, trace = parent(number)
        assert get(port, headers=[field]).status == 200
        traces.append(trace)
    both = [t for t in traces if len(collector.wait(t, 2)) > 1]
    wait_for(lambda: any(len(collector.of(t)) == 3 for t in both), 5, "a request of two tries")
    (trace,) = [t for t in both if len(collector.of(t)) == 3][:1]
    server = next(s for s in collector.of(trace) if s.kind == "server")
    first, second = [s for s in collector.of(trace) if s.kind == "client"]
    assert first.parent == second.parent == server.id
    assert first.failed and first["error.type"] == "connect_failed"
    assert first["ringmesh.instance"] == "web-1" and first["http.request.resend_count"] is None
    assert second["ringmesh.instance"] == "web-2" and second["http.request.resend_count"] == 1
    assert not second.failed and not server.failed
    assert any(r.header("traceparent") == f"00-{trace}-{second.id}-01" for r in web.complete())
    assert node.stop() == 0


def test_a_pair_of_sidecars_is_one_chain(mesh, collector):
    pair = mesh(tracing=tracing(collector))
    field, trace = parent(4)
    assert get(pair.local, "/", "web", headers=[field]).status == 200
    spans = collector.wait(trace, 4)
    by_parent = {s.parent: s for s in spans}
    chain = [by_parent[CALLER]]
    while chain[-1].id in by_parent:
        chain.append(by_parent[chain[-1].id])
    assert [(s.service, s.kind) for s in chain] == [
        ("api", "server"),
        ("api", "client"),
        ("web", "server"),
        ("web", "client"),
    ]
    assert pair.web.complete()[-1].header("traceparent") == f"00-{trace}-{chain[-1].id}-01"
    assert chain[2]["ringmesh.client.identity"].endswith("/svc/api")
    assert chain[1]["ringmesh.upstream.tls"] == "true"


# --- the collector ---


def test_a_collector_that_is_busy_is_asked_later(plain, collector):
    collector.script = [(503, {"Retry-After": "2"}, 0), (429, {}, 0)]
    node = plain()
    field, trace = parent(5)
    get(node.port, headers=[field])
    collector.wait(trace, 2)
    assert [r[2] for r in collector.requests] == [503, 429, 200]
    first, second, third = (r[3] for r in collector.requests)
    assert second - first >= 1.9 and third - second >= 0.4
    assert len(collector.of(trace)) == 2 and lost(node) == 0
    wait_for(lambda: counted(node, "ringmesh_trace_spans_exported_total") == 2)


def test_what_a_collector_refuses_is_lost_and_counted(plain, collector):
    collector.script = [(400, {}, 0)]
    node = plain()
    get(node.port, headers=[parent(6)[0]])
    wait_for(lambda: lost(node) == 2, what="the spans are lost")
    field, trace = parent(7)
    get(node.port, headers=[field])
    collector.wait(trace, 2)
    assert [r[2] for r in collector.requests] == [400, 200]
    collector.partial = (1, "no room")
    field, trace = parent(8)
    get(node.port, headers=[field])
    wait_for(lambda: lost(node) == 3, what="the part that was rejected")


def test_a_collector_that_comes_late(plain, collector, ports):
    node = plain(otlp={"endpoint": f"http://127.0.0.1:{ports.dead()}"})
    field, _ = parent(9)
    began = time.monotonic()
    for _ in range(50):
        assert get(node.port, headers=[field]).status == 200
    assert time.monotonic() - began < 50, "each waits for the collector, 2 s a time"
    wait_for(lambda: "does not take spans" in node.control.text(), what="it is said")
    node.config["tracing"] = tracing(collector)
    node.write_config()
    assert node.stop() == 0, "a collector that is down does not hold up the end"


def test_a_slow_collector_slows_nobody(plain, collector):
    """A hundred requests are answered while the collector has not answered the first export."""
    hold = threading.Event()
    collector.answering = lambda: hold.wait(wire.PATIENCE)
    node = plain(sample=1, otlp={"timeout": "60s"})
    try:
        assert get(node.port).status == 200
        wait_for(lambda: collector.requests, what="an export is under way")
        for _ in range(100):
            assert get(node.port).status == 200
        assert collector.spans == [], "the collector has answered meanwhile"
    finally:
        hold.set()
    wait_for(lambda: len(collector.spans) == 202, what="the spans of all")


def test_batches_in_gzip(plain, collector):
    node = plain(otlp={"compression": "gzip"})
    traces = []
    for number in range(100, 150):
        field, trace = parent(number)
        assert get(node.port, headers=[field, f"User-Agent: {number}"]).status == 200
        traces.append(trace)
    for number, trace in enumerate(traces, 100):
        server, _ = collector.wait(trace, 2)
        assert server["user_agent.original"] == str(number)
    for _, fields, _, _ in collector.requests:
        assert fields["Content-Encoding"] == "gzip"
        assert fields["Content-Type"] == "application/x-protobuf"


def test_headers_reach_the_collector_and_nobody_else(plain, collector):
    node = plain(otlp={"headers": {"authorization": SECRET}})
    field, trace = parent(10)
    get(node.port, headers=[field])
    collector.wait(trace, 2)
    assert collector.requests[0][1]["authorization"] == SECRET
    collector.script = [(503, {}, 0), (400, {}, 0)]
    get(node.port, headers=[parent(11)[0]])
    wait_for(lambda: lost(node) == 2, 10)
    shown = subprocess.run(
        [binary("controlplane"), "validate", "--config.path", node.config_path],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "authorization" in shown.stdout
    everything = node.control.text() + node.metrics() + shown.stdout + shown.stderr
    assert "very-secret-77" not in everything


# --- the programs ---


def test_without_a_control_plane_spans_wait(plain, collector):
    node = plain()
    node.control.kill()
    traces = []
    for number in range(40, 50):
        field, trace = parent(number)
        assert get(node.port, headers=[field]).status == 200
        traces.append(trace)
    assert collector.spans == []
    node.start()
    for trace in traces:
        collector.wait(trace, 2)


def test_spans_of_the_last_moment_are_sent(plain, collector):
    node = plain()
    field, trace = parent(60)
    assert get(node.port, headers=[field]).status == 200
    assert node.stop() == 0
    assert len(collector.of(trace)) == 2


def test_an_upgrade_loses_no_span(plain, collector):
    node = plain()
    traces = []
    for number in range(70, 90):
        field, trace = parent(number)
        assert get(node.port, headers=[field]).status == 200
        traces.append(trace)
        if number == 80:
            node.meshctl("dataplane", "upgrade")
    for trace in traces:
        assert len(collector.wait(trace, 2)) == 2
