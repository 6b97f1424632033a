"""Proves that gateways lead into the mesh and out of it.

Ingress: hosts and ports of the entry lead to services through their sidecars, as the gateway's
identity, by TLS with the mesh's certificate for the hosts or with one of another authority.
Terminating: callers in the mesh reach services outside it through the gateway, each under its own
intentions, with TLS to the service when the entry says so; permissions are asked for each request
where the service speaks HTTP.
"""

import json
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from certificates import authority, leaf
from h2server import Http2Recorder
from ringmesh import defaults, service, sidecar
from wire import PATIENCE, Client, Closed, Stream, get, wait_for


def gateway(name, kind, port=0):
    return service(name, port, kind=kind)


class Api:
    """The Consul API of a node, as operators write entries with it."""

    def __init__(self, ports):
        self.port = ports.take()
        self.config = {"bind_addr": f"127.0.0.1:{self.port}"}

    def ask(self, target, method="GET", body=None):
        data = b"" if body is None else json.dumps(body).encode()
        return get(self.port, f"/v1{target}", "localhost", method=method, body=data, timeout=30)

    def write(self, entry):
        answer = self.ask("/config", "PUT", entry)
        assert answer.status == 200, answer.body
        return answer

    def json(self, target):
        return json.loads(self.ask(target).body)


@pytest.fixture
def api(ports):
    return Api(ports)


def ingress(*listeners, **more):
    return {"kind": "ingress-gateway", "name": "edge", "listeners": list(listeners), **more}


@pytest.fixture
def inside(nodes, recorders, ports, api):
    """`web` and `db` with sidecars, and an ingress gateway `edge` without an entry."""

    def make(*entries):
        web, db = recorders(), recorders()
        web_port, db_port = ports.take(2)
        node = nodes(
            services=[
                service("web", web.port, connect=sidecar(web_port)),
                service("db", db.port, connect=sidecar(db_port)),
                gateway("edge", "ingress-gateway"),
            ],
            config_entries=[defaults("web"), *entries],
            api=api.config,
        )
        node.start()
        return node, web, db

    return make


def test_hosts_lead_to_services_as_intentions_allow(inside, ports):
    port, plain = ports.take(2)
    node, web, db = inside(
        ingress(
            {
                "port": port,
                "protocol": "http",
                "services": [
                    {
                        "name": "web",
                        "hosts": ["shop.test"],
                        "request_headers": {"set": {"x-gateway": "edge"}},
                        "response_headers": {"set": {"x-served-by": "edge"}},
                    }
                ],
            },
            {"port": plain, "protocol": "tcp", "services": [{"name": "db"}]},
        )
    )
    assert get(port, "/", "shop.test").status == 403
    node.allow("edge", "web")
    answer = get(port, "/a", "shop.test")
    assert answer.status == 200
    assert answer.header("x-served-by") == "edge"
    assert web.requests[-1].header("x-gateway") == "edge"
    assert get(port, "/", "other.test").status == 404
    node.allow("edge", "db")
    with Client(plain) as client:
        assert client.get("/", "db").status == 200
    assert len(db.requests) == 1


def test_a_service_without_hosts_has_those_of_its_name(inside, ports):
    port = ports.take()
    listener = {"port": port, "protocol": "http", "services": [{"name": "*"}]}
    node, web, _ = inside(ingress(listener))
    node.allow("edge", "web")
    assert get(port, "/", "web.ingress.consul").status == 200
    assert get(port, "/", "web.ingress.dc1.consul").status == 200
    assert get(port, "/", "db.ingress.consul").status == 404, "db speaks no HTTP"
    assert len(web.requests) == 2


def test_an_entry_opens_and_closes_listeners(inside, ports, api):
    first, second = ports.take(2)
    node, _, _ = inside()
    node.allow("edge", "web")
    listener = {"port": first, "protocol": "http", "services": [{"name": "web", "hosts": ["*"]}]}
    api.write(ingress(listener))
    assert get(first, "/", "any.test").status == 200
    with Client(first) as kept:
        assert kept.get("/", "any.test").status == 200
        api.write(ingress(listener, {**listener, "port": second}))
        assert get(second, "/", "any.test").status == 200
        assert kept.get("/", "any.test").status == 200, "another listener's change cut it"
    assert api.ask("/config/ingress-gateway/edge", "DELETE").status == 200
    wait_for(lambda: not answers(second), what="its listeners are closed")


def answers(port):
    try:
        return bool(get(port, "/", "any.test"))
    except (Closed, OSError):
        return False


def trusting(path):
    context = ssl.create_default_context(cafile=path)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # an empty subject, as SPIFFE has it
    return context


def over_tls(port, name, context):
    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as sock,
        context.wrap_socket(sock, server_hostname=name) as secured,
        Client(port, secured) as client,
    ):
        return client.get("/", name), secured.getpeercert()


def test_tls_with_the_authority_of_the_mesh(inside, ports, api):
    port = ports.take()
    listener = {
        "port": port,
        "protocol": "http",
        "services": [{"name": "web", "hosts": ["shop.test"]}],
    }
    node, _, _ = inside(ingress(listener, tls={"enabled": True}))
    node.allow("edge", "web")
    roots = node.directory / "roots.pem"
    found = api.json("/connect/ca/roots")["Roots"]
    roots.write_text("".join(root["RootCert"] for root in found), encoding="ascii")
    answer, certificate = over_tls(port, "shop.test", trusting(roots))
    assert answer.status == 200
    names = {value for kind, value in certificate["subjectAltName"] if kind == "DNS"}
    assert names == {"shop.test", "*.ingress.consul", "*.ingress.dc1.consul"}
    with pytest.raises(ssl.SSLCertVerificationError):
        over_tls(port, "another.test", trusting(roots))


def test_tls_with_a_certificate_of_another_authority(inside, ports, tmp_path):
    port = ports.take()
    ca = authority(tmp_path)
    cert, key = leaf(tmp_path, "shop", ca, "DNS:shop.test")
    listener = {
        "port": port,
        "protocol": "http",
        "services": [{"name": "web", "hosts": ["shop.test"]}],
        "tls": {"enabled": True, "certs": [{"cert": str(cert), "key": str(key)}]},
    }
    node, _, _ = inside(ingress(listener))
    node.allow("edge", "web")
    assert over_tls(port, "shop.test", trusting(ca[0]))[0].status == 200


class Outside:
    """A TLS server outside the mesh that keeps what it was asked for, and echoes lines."""

    def __init__(self, context):
        self.names = []
        self.peers = []
        context.sni_callback = lambda sock, name, _: self.names.append(name)
        self.context = context
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listening.accept()
                with self.context.wrap_socket(sock, server_side=True) as secured:
                    self.peers.append(secured.getpeercert())
                    secured.sendall(secured.recv(4096))
            except ssl.SSLError:
                continue
            except OSError:
                return

    def close(self):
        self.listening.close()


def terminating(*services):
    return {"kind": "terminating-gateway", "name": "exit", "services": list(services)}


@pytest.fixture
def outward(nodes, ports, api):
    """`api` in the mesh with an upstream `billing`, which is outside, and a gateway `exit`."""

    def make(outside_port, *entries, **linked):
        local, api_port, exit_port = ports.take(3)
        node = nodes(
            services=[
                service("billing", outside_port),
                service("api", ports.dead(), connect=sidecar(api_port, {"billing": local})),
                gateway("exit", "terminating-gateway", exit_port),
            ],
            config_entries=list(entries),
            api=api.config,
        )
        node.start()
        api.write(terminating({"name": "billing", **linked}))
        return node, local, exit_port

    return make


def exchange(port, text=b"hello"):
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as sock:
        sock.sendall(text)
        return Stream(sock).exactly(len(text))


def refused(port):
    try:
        exchange(port)
    except (Closed, OSError):
        return True
    return False


def test_a_service_outside_is_reached_under_its_intentions(outward, recorders):
    upstream = recorders()
    node, local, _ = outward(upstream.port, defaults("billing"))
    assert get(local, "/", "billing").status == 403
    node.allow("api", "billing")
    assert get(local, "/a", "billing").status == 200
    assert [request.target for request in upstream.requests] == ["/a"]
    counted = 'ringmesh_listener_requests_total{listener="exit"} 1'
    wait_for(lambda: counted in node.metrics(), what="the request is counted")


def in_person(api, tmp_path):
    """The mesh's name for `billing`, and TLS as `api`, without its sidecar."""
    domain = api.json("/connect/ca/roots")["TrustDomain"]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    certificate = api.json("/agent/connect/ca/leaf/api")
    pair = tmp_path / "api.pem"
    pair.write_text(certificate["CertPEM"] + certificate["PrivateKeyPEM"], encoding="ascii")
    context.load_cert_chain(pair)
    return f"billing.default.dc1.internal.{domain}", context


def test_the_gateway_decides_about_callers(outward, recorders, tmp_path, api):
    """The caller's own sidecar may be somebody else's: the gateway asks the intentions again."""
    upstream = recorders()
    node, _, exit_port = outward(upstream.port)
    node.allow("api", "billing")
    name, context = in_person(api, tmp_path)
    domain = api.json("/connect/ca/roots")["TrustDomain"]
    assert over_tls(exit_port, name, context)[0].status == 200
    with (
        socket.create_connection(("127.0.0.1", exit_port), timeout=PATIENCE) as sock,
        context.wrap_socket(sock, server_hostname=name) as secured,
        Client(exit_port, secured) as client,
    ):
        assert client.get("/", "billing").status == 200
        node.deny("api", "billing")
        assert client.closes_within(10), "a stream lived on that may not be"
    with pytest.raises((Closed, OSError)):
        over_tls(exit_port, name, context)
    with pytest.raises((Closed, OSError)):
        over_tls(exit_port, f"web.default.dc1.internal.{domain}", context)


def test_the_gateway_speaks_tls_to_the_service(outward, tmp_path, api):
    ca = authority(tmp_path)
    cert, key = leaf(tmp_path, "billing", ca, "DNS:billing.example.test")
    own, own_key = leaf(tmp_path, "exit", ca, "DNS:exit.example.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.load_verify_locations(ca[0])
    context.verify_mode = ssl.CERT_REQUIRED
    outside = Outside(context)
    node, local, _ = outward(
        outside.port,
        ca_file=str(ca[0]),
        cert_file=str(own),
        key_file=str(own_key),
        sni="billing.example.test",
    )
    node.allow("api", "billing")
    assert exchange(local) == b"hello"
    assert outside.names == ["billing.example.test"]
    shown = [value for _, value in outside.peers[0]["subjectAltName"]]
    assert shown == ["exit.example.test"]
    # With another name the certificate does not do, and nothing is sent.
    before = len(outside.peers)
    api.write(terminating({"name": "billing", "ca_file": str(ca[0]), "sni": "other.example.test"}))
    wait_for(lambda: refused(local), 10, "the certificate is refused")
    assert len(outside.peers) == before
    outside.close()


class Site(ThreadingHTTPServer):
    """A web server outside the mesh, over HTTPS, that keeps what it was asked for."""

    daemon_threads = True

    def __init__(self, context):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked, self.names = [], []
        context.sni_callback = lambda sock, name, _: self.names.append(name)
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        """Peers that go away are no news."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        self.server.asked.append((self.command, self.path, self.headers["Host"], body))
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"cheap")

    do_POST = do_GET

    def log_message(self, *_):
        pass


def permissions(*wanted):
    """`api` may do this with `billing`, and nothing else."""
    source = {"name": "api", "permissions": [{"action": "allow", "http": one} for one in wanted]}
    return {"kind": "service-intentions", "name": "billing", "sources": [source]}


@pytest.fixture
def site(tmp_path):
    ca = authority(tmp_path)
    cert, key = leaf(tmp_path, "billing", ca, "DNS:billing.example.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    made = Site(context)
    made.linked = {"ca_file": str(ca[0]), "sni": "billing.example.test"}
    yield made
    made.shutdown()
    made.server_close()


READ = {"path_prefix": "/read", "methods": ["GET"]}
FORM = {"path_exact": "/form", "methods": ["POST"], "header": [{"name": "x-desk", "exact": "7"}]}


def test_permissions_are_asked_for_each_request(outward, site, tmp_path, api):
    """By the caller's own sidecar, and by one that asks nobody: the gateway decides by itself."""
    node, local, exit_port = outward(
        site.server_port, defaults("billing"), permissions(READ, FORM), **site.linked
    )
    name, context = in_person(api, tmp_path)

    def check(asked):
        for target, status, more in [
            ("/read/1", 200, {}),
            ("/write", 403, {}),
            ("/read/2", 403, {"method": "POST", "body": b"x"}),
            ("/form", 403, {"method": "POST", "body": b"x"}),
            ("/form", 200, {"method": "POST", "body": b"y", "headers": ["X-Desk: 7"]}),
            ("/read/../write", 403, {}),
        ]:
            answer = asked(target, **more)
            assert answer.status == status, (target, more, answer.body)

    def unasked(target, **more):
        with (
            socket.create_connection(("127.0.0.1", exit_port), timeout=10) as sock,
            context.wrap_socket(sock, server_hostname=name) as secured,
            Client(exit_port, secured) as client,
        ):
            return client.get(target, "other.example.test", **more)

    check(lambda target, **more: get(local, target, "other.example.test", **more))
    check(unasked)
    once = [
        ("GET", "/read/1", "other.example.test", b""),
        ("POST", "/form", "other.example.test", b"y"),
    ]
    assert site.asked == once + once
    assert set(site.names) == {"billing.example.test"}
    # Of the sidecar's requests two reached the gateway; of those without it, all.
    found = node.metrics()
    assert 'ringmesh_listener_outcomes_total{listener="exit",outcome="denied"} 4' in found


def test_permissions_change_under_connections(outward, site, tmp_path, api):
    node, _, exit_port = outward(site.server_port, defaults("billing"), **site.linked)
    name, context = in_person(api, tmp_path)
    api.write(permissions(READ))
    with (
        socket.create_connection(("127.0.0.1", exit_port), timeout=10) as sock,
        context.wrap_socket(sock, server_hostname=name) as secured,
        Client(exit_port, secured) as client,
    ):
        assert client.get("/read", "billing").status == 200
        api.write(permissions({"path_prefix": "/other"}))
        assert client.get("/read", "billing").status == 403
        assert client.get("/other", "billing").status == 200
        sources = [{"name": "api", "action": "deny"}]
        api.write({"kind": "service-intentions", "name": "billing", "sources": sources})
        assert client.closes_within(10), "a connection lived on that may ask for nothing"
    assert node.status()["problems"] == []


def test_explain_names_the_permission(outward, site, tmp_path, api):
    node, _, _ = outward(
        site.server_port, defaults("billing"), permissions(READ, FORM), **site.linked
    )
    name, _ = in_person(api, tmp_path)

    def explained(method, path, *more):
        ask = ["explain", method, f"https://{name}{path}", "--listener", "exit", "--from", "api"]
        report = node.json(*ask, *more)
        decision = [p for p in report["phases"] if p["phase"] == "authorize"]
        assert len(decision) == 1, report["phases"]
        return report["outcome"], decision[0]

    outcome, decision = explained("GET", "/read/1")
    assert outcome.startswith("forwarded to billing.default.dc1")
    assert decision["verdict"] == "allow" and "permission 1" in decision["detail"]
    assert decision["rule"] == "api => billing (precedence 9)"
    assert "service-intentions" in decision["origin"] or ".yaml" in decision["origin"]
    outcome, decision = explained("POST", "/form", "--header", "x-desk: 7")
    assert outcome.startswith("forwarded") and "permission 2" in decision["detail"]
    outcome, decision = explained("GET", "/write")
    assert outcome == "403, denied"
    assert decision["verdict"] == "deny" and "no permission covers" in decision["detail"]
    assert decision["rule"] == "api => billing (precedence 9)"


def test_requests_by_http2(outward, ports, api):
    """All the way: from the caller's sidecar to the service, which speaks nothing else."""
    with Http2Recorder() as upstream:
        _, local, _ = outward(upstream.port, defaults("billing", "grpc"), permissions(READ))
        assert get(local, "/read/1", "billing").status == 200
        assert get(local, "/write", "billing").status == 403
        assert [asked.target for asked in upstream.requests] == ["/read/1"]


def test_what_cannot_be_is_said(inside, api):
    inside()
    for entry, told in [
        (ingress({"port": 80, "protocol": "udp", "services": [{"name": "web"}]}), "'udp' is an"),
        (ingress({"port": 80, "protocol": "http", "services": []}), "No service declared"),
        (
            ingress({"port": 80, "services": [{"name": "web"}, {"name": "db"}]}),
            "Multiple services per listener",
        ),
        (terminating({"name": "a", "cert_file": "/a.pem"}), "must have a CertFile"),
        (terminating({"name": "a", "ca_file": "a.pem"}), "absolute name of a file"),
    ]:
        answer = api.ask("/config", "PUT", entry)
        assert answer.status in (400, 500)
        assert told in answer.body.decode()
    assert api.json("/config/ingress-gateway") == []
