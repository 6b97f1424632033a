"""Proves that gateways lead into the mesh and out of it.

Ingress: hosts and ports of the entry lead to services through their sidecars, as the gateway's
identity, by TLS with the mesh's certificate for the hosts or with one of another authority.
Terminating: callers in the mesh reach services outside it through the gateway, each under its own
intentions, with TLS to the service when the entry says so.
"""

import json
import socket
import ssl
import threading

import pytest
from certificates import authority, leaf
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


def test_the_gateway_decides_about_callers(outward, recorders, tmp_path, api):
    """The caller's own sidecar may be somebody else's: the gateway asks the intentions again."""
    upstream = recorders()
    node, _, exit_port = outward(upstream.port)
    node.allow("api", "billing")
    domain = api.json("/connect/ca/roots")["TrustDomain"]
    name = f"billing.default.dc1.internal.{domain}"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    certificate = api.json("/agent/connect/ca/leaf/api")
    pair = tmp_path / "api.pem"
    pair.write_text(certificate["CertPEM"] + certificate["PrivateKeyPEM"], encoding="ascii")
    context.load_cert_chain(pair)
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
