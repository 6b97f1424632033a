"""Proves the admin endpoints: health, readiness, status, metrics that a Prometheus parser reads."""

import contextlib
import json
import time

from processes import listens
from prometheus_client.parser import text_string_to_metric_families
from ringmesh import READY_SECONDS
from wire import Client, Closed, get, read_response, wait_for


def families(text):
    return {f.name: f for f in text_string_to_metric_families(text)}


def total(text, *words):
    """Sum of all samples whose name and labels contain `words`."""
    found = 0.0
    for family in families(text).values():
        for sample in family.samples:
            line = sample.name + json.dumps(sample.labels)
            if all(w in line for w in words) and not sample.name.endswith(("_sum", "_bucket")):
                found += sample.value
    return found


def test_health_and_readiness(mesh):
    """/health as soon as it runs, /ready only after the first snapshot is acknowledged."""
    pair = mesh(start=False)
    node = pair.node
    node.start(ready=False)
    seen = []
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and 200 not in seen:
        with contextlib.suppress(OSError, Closed):
            seen.append(node.admin("/ready").status)
            if seen[-1] == 200:
                assert all(w["generation"] > 0 for w in node.workers())
        time.sleep(0.01)
    assert seen and seen[-1] == 200 and set(seen) <= {200, 503}, seen
    assert node.admin("/health").status == 200


def test_metrics_parse_and_count(mesh):
    pair = mesh()
    before = pair.node.metrics()
    for _ in range(25):
        assert get(pair.local, "/", "web").status == 200
    for _ in range(5):
        assert get(pair.batch_local, "/", "web").status == 403

    def counted():
        after = pair.node.metrics()
        return total(after, "request") - total(before, "request") >= 30 and after

    after = wait_for(counted, 5, "the requests are counted")
    names = " ".join(families(after))
    for word in ("connections", "requests", "bytes", "handshakes", "denied", "generation"):
        assert word in names or word.rstrip("s") in names, f"no metric about {word} in {names}"
    kinds = {f.type for f in families(after).values()}
    assert {"counter", "gauge", "histogram"} <= kinds
    for family in families(after).values():
        assert family.documentation, f"{family.name} has no HELP"
    status = pair.node.status()
    assert total(after, "generation") >= status["generation"]


def test_metrics_are_bounded(mesh):
    """Hosts and paths that clients invent do not become label values."""
    pair = mesh()
    for number in range(200):
        get(pair.local, f"/invented-{number}", f"host-{number}.test")
    text = pair.node.metrics()
    assert "invented-" not in text and "host-1" not in text


def test_content_type(mesh):
    pair = mesh()
    kind = pair.node.admin("/metrics").header("content-type")
    assert kind.startswith("text/plain") and "version=0.0.4" in kind


def test_status_json(mesh):
    pair = mesh()
    answer = pair.node.admin("/status")
    if answer.status == 404:
        answer = pair.node.admin("/status/node")
    assert answer.status == 200
    assert json.loads(answer.body)


def test_unknown_and_wrong(mesh):
    pair = mesh()
    assert pair.node.admin("/nothing").status == 404
    assert pair.node.admin("/metrics", method="DELETE").status in (404, 405)
    big = b"x" * (8 << 20)
    with Client(pair.node.admin_port) as client:
        client.send(
            b"POST /v1/intentions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
            % len(big)
        )
        client.send(big)
        client.stays_open(2)
    assert pair.node.admin("/health").status == 200


def test_browser_cannot_write(mesh):
    """A page of another origin that posts to the admin port changes nothing."""
    pair = mesh()
    before = pair.node.json("intention", "list")
    for target in ("/v1/intentions", "/intentions", "/v1/services"):
        answer = pair.node.admin(
            target, "POST", ["Origin: http://evil.test", "Content-Type: text/plain"], b"{}"
        )
        assert answer.status >= 400
    assert pair.node.json("intention", "list") == before


def test_a_page_that_was_pointed_here_reads_nothing(mesh):
    """DNS rebinding: the browser is on this machine, its page's name has become our address. What
    health checks ask for stays free.
    """
    pair = mesh()
    for target, expected in (("/status", 403), ("/metrics", 403), ("/health", 200)):
        with Client(pair.node.admin_port) as client:
            client.send(f"GET {target} HTTP/1.1\r\nHost: evil.test:8002\r\n\r\n".encode())
            assert read_response(client.stream).status == expected, target
        assert pair.node.admin(target).status == 200


def test_admin_listens_on_loopback_only(mesh):
    pair = mesh()
    assert listens(pair.node.admin_port)
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split()[1] for line in table if line.split()[3] == "0A"]
    port = f"{pair.node.admin_port:04X}"
    assert [r for r in rows if r.endswith(":" + port)] == [f"0100007F:{port}"]
