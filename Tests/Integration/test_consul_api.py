"""The Consul-compatible API as it is reached: over TLS, over its socket, with access control, and
with bodies that are too large.

What was recorded with a real agent with access control (default deny) is played against a node with
the same policies: statuses, texts and what is left out of lists are the recorded ones.
"""

import http.client
import json
import socket
import ssl

import consul_samples
import pytest
from certificates import authority, leaf

MANAGEMENT = "11111111-1111-4111-8111-111111111111"
# The cluster's id, which every identity of the recording carries.
RECORDED_CLUSTER = "85165b10-0fdb-a7f1-269e-3c6dc8184c58"
META = "recorded before the agent had told the addresses and meta of its node"
MERGED = "entries are merged into a proxy where it is compiled, not in what the agent shows"
OURS = "the root has a name of ours"
DIFFERENT = {
    "aclon/health-connect-web": META,
    "aclon/catalog-nodes-web": META,
    "aclon/roots-web": OURS,
    "aclon/roots-anon": OURS,
    "aclon/roots-bogus": OURS,
    "aclon/agent-services-web": MERGED,
    "aclon/bearer": MERGED,
    "aclon/query-param-token": MERGED,
    "aclon/health-connect-anon": "there is a leader, also for those who are shown nothing",
    "aclon/status-anon": "another installation: addresses of servers",
}


@pytest.fixture(name="serve")
def fixture_serve(nodes, ports):
    """Starts a node whose API has these keys; gives the node and the API's port."""

    def serve(api=None, **config):
        port = ports.take()
        node = nodes(
            workers=1,
            node={"name": "lab", "datacenter": "dc1"},
            api={"bind_addr": f"127.0.0.1:{port}", **(api or {})},
            **config,
        )
        node.start()
        return node, port

    return serve


def leader(context, port):
    """(status, body) of a small read over TLS."""
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
    try:
        connection.request("GET", "/v1/status/leader")
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_the_api_speaks_tls(serve, tmp_path):
    """Private keys go over it: plain requests get nothing, nor do clients nobody vouches for."""
    ca = authority(tmp_path)
    cert, key = leaf(tmp_path, "api", ca, "IP:127.0.0.1")
    mine = leaf(tmp_path, "mine", ca, "DNS:client")
    foreign = leaf(tmp_path, "foreign", authority(tmp_path, "other"), "DNS:client")
    tls = {"cert": str(cert), "key": str(key)}
    _, port = serve({"tls": tls})
    trusting = ssl.create_default_context(cafile=str(ca[0]))
    assert leader(trusting, port) == (200, b'"127.0.0.1:8300"')
    with pytest.raises(ssl.SSLCertVerificationError):
        leader(ssl.create_default_context(), port)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
        plain.sendall(b"GET /v1/status/leader HTTP/1.1\r\nHost: x\r\n\r\n")
        assert not plain.recv(100).startswith(b"HTTP/")

    _, port = serve({"tls": {**tls, "client_ca": str(ca[0])}})
    with pytest.raises((ssl.SSLError, OSError, http.client.HTTPException)):
        leader(trusting, port)
    for pair, is_known in ((foreign, False), (mine, True)):
        context = ssl.create_default_context(cafile=str(ca[0]))
        context.load_cert_chain(*[str(part) for part in pair])
        if is_known:
            assert leader(context, port)[0] == 200
        else:
            with pytest.raises((ssl.SSLError, OSError, http.client.HTTPException)):
                leader(context, port)


class SocketConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=20)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self.path)


def test_the_api_has_a_socket(serve, tmp_path):
    """The same API, for those who may open the file."""
    path = tmp_path / "api.sock"
    serve({"socket": str(path)})
    assert path.stat().st_mode & 0o007 == 0
    connection = SocketConnection(path)
    connection.request("PUT", "/v1/kv/a", body=b"1")
    assert connection.getresponse().read() == b"true"
    connection.request("GET", "/v1/kv/a?raw")
    assert connection.getresponse().read() == b"1"
    connection.close()


def drop_meta(headers):
    """Refusals say nothing of the state here; Consul's say that it is state 1 without a leader."""
    for name in list(headers):
        if name.lower() in ("x-consul-index", "x-consul-knownleader", "x-consul-lastcontact"):
            del headers[name]


def test_answers_with_access_control_are_as_recorded(serve, tmp_path):
    """Tokens, policies and identities of services decide as with Consul, and say the same."""
    (tmp_path / "management").write_text(MANAGEMENT + "\n", encoding="ascii")
    token = str(tmp_path / "management")
    _, port = serve(
        acl={"enabled": True, "default_policy": "deny", "management_token_file": token},
        mesh={"intentions_default": "deny"},
    )
    base = f"http://127.0.0.1:{port}"
    own = consul_samples.cluster(base)
    found = {}
    for exchange in consul_samples.load("aclon"):
        recorded = json.loads(json.dumps(exchange).replace(RECORDED_CLUSTER, own))
        if recorded["response"]["status"] == 403:
            drop_meta(recorded["response"]["headers"])
        answer = consul_samples.send(base, recorded["request"])
        lines = consul_samples.differences(recorded["response"], answer)
        if lines:
            found[recorded["name"]] = lines
    unknown = {name: lines for name, lines in found.items() if name not in DIFFERENT}
    assert not unknown, json.dumps(unknown, indent=1)
    assert DIFFERENT.keys() == found.keys()


def test_bodies_have_their_bounds(serve):
    """One byte more than is allowed is 413 whether it is announced or not; the node serves on."""
    _, port = serve()

    def put(path, size, announced):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        body = b" " * size
        try:
            connection.request("PUT", path, body=body if announced else iter([body]))
            return connection.getresponse().status
        except (BrokenPipeError, ConnectionResetError):
            return 413
        finally:
            connection.close()

    for path, limit in (("/v1/kv/a", 512 * 1024), ("/v1/agent/service/register", 1 << 20)):
        for announced in (True, False):
            assert put(path, limit, announced) in (200, 400)
            assert put(path, limit + 1, announced) == 413
    assert put("/v1/kv/a", 1, True) == 200


def test_agent_metrics(serve):
    """Figures that a scraper of Consul's agent finds, as JSON and for Prometheus."""
    _, port = serve()
    base = f"http://127.0.0.1:{port}"
    _, _, body = consul_samples.send(base, {"method": "GET", "path": "/v1/agent/metrics"})
    report = json.loads(body)
    assert list(report) == ["Timestamp", "Gauges", "Points", "Counters", "Samples"]
    assert report["Timestamp"].endswith(" +0000 UTC")
    gauges = {gauge["Name"]: gauge["Value"] for gauge in report["Gauges"]}
    assert gauges["consul.state.nodes"] == 1 and gauges["consul.state.services"] == 1
    path = "/v1/agent/metrics?format=prometheus"
    _, headers, body = consul_samples.send(base, {"method": "GET", "path": path})
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b'consul_state_services{datacenter="dc1"} 1' in body
