"""Proves that a collector of other people understands our spans: Rotel (PyPI) takes them by OTLP
over HTTP, plain and in gzip, batches them, and hands what it understood to the recording one.
"""

import importlib.util
from pathlib import Path

import pytest
from collector import Collector
from processes import Child, wait_for_port
from ringmesh import listener, service
from wire import get, wait_for

CALLER = "b7ad6b7169203331"


def rotel():
    """The collector's program, or None."""
    found = importlib.util.find_spec("rotel")
    program = Path(found.origin).with_name("rotel-agent") if found else None
    return program if program and program.exists() else None


pytestmark = pytest.mark.skipif(rotel() is None, reason="rotel is not installed (PyPI)")


@pytest.fixture
def behind():
    made = Collector()
    yield made
    made.close()


@pytest.fixture
def between(ports, tmp_path, behind):
    """The collector's port for OTLP over HTTP; what it takes goes to `behind`."""
    port, grpc = ports.take(), ports.take()
    child = Child(
        "rotel",
        [
            rotel(),
            *("start", "--log-file", tmp_path / "rotel.txt", "--pid-file", tmp_path / "rotel.pid"),
            *("--otlp-http-endpoint", f"127.0.0.1:{port}"),
            *("--otlp-grpc-endpoint", f"127.0.0.1:{grpc}"),
            *("--exporter", "otlp", "--otlp-exporter-protocol", "http"),
            *("--otlp-exporter-endpoint", f"http://127.0.0.1:{behind.port}"),
        ],
        tmp_path,
    )
    wait_for_port(port, child)
    yield port
    child.terminate()


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_spans_pass_a_collector_whole(nodes, ports, recorders, between, behind, compression):
    web, port = recorders(), ports.take()
    node = nodes(
        services=[service("web", web.port)],
        listeners=[listener("public", port, "web")],
        tracing={
            "otlp": {"endpoint": f"http://127.0.0.1:{between}", "compression": compression},
            "sample": 0,
            "service_name": "edge",
        },
    ).start()
    traces = [f"{number:032x}" for number in range(1, 201)]
    for trace in traces:
        field = f"traceparent: 00-{trace}-{CALLER}-01"
        assert get(port, "/p?q=1", headers=[field, "tracestate: a=1,b=2"]).status == 200
    for trace in traces:
        server, client = behind.wait(trace, 2, seconds=60)
        assert (server.kind, client.kind) == ("server", "client")
        assert server.parent == CALLER and client.parent == server.id
        assert server.state == client.state == "a=1,b=2"
        assert server.service == client.service == "edge"
        assert server.name == "GET listener public, its service"
        assert server.flags == 0x301 and client.flags == 0x101
        assert server["url.path"] == "/p" and server["http.response.status_code"] == 200
        assert client["network.peer.port"] == web.port
        assert server.resource["host.name"] == "node-1" and server.scope[0] == "ringmesh"
        assert 0 < client.seconds <= server.seconds
    assert len(behind.spans) == 2 * len(traces)

    def sent():
        text = node.metrics().splitlines()
        return [li for li in text if li.startswith("ringmesh_trace_spans_exported_total")]

    wait_for(lambda: float(sent()[0].rsplit(" ", 1)[1]) == 2 * len(traces), 30)
