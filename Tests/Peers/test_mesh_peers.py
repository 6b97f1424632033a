"""Proves that peers of other makers meet the mesh as equals: Envoy with leaves and roots of ours,
both ways, and OpenSSL with the right certificate and with every wrong one.
"""

import json
import os
from pathlib import Path

import pytest
from certificates import authority, leaf, revocations, s_client
from processes import Child, wait_for_port
from ringmesh import defaults, service, sidecar
from wire import get, wait_for

DOMAIN = "mesh.test"
PATIENCE = 30
EXTENSION = "type.googleapis.com/envoy.extensions"


def envoy_program():
    root = Path(__file__).resolve().parents[2]
    return Path(os.environ.get("ENVOY_BIN", root / ".build-tools/envoy/envoy/_bin/envoy"))


def identity(name, domain=DOMAIN):
    return f"URI:spiffe://{domain}/ns/default/dc/dc1/svc/{name}"


class Authority:
    """The mesh's own, made by OpenSSL, so that a test can sign whatever it likes."""

    def __init__(self, folder):
        self.folder = folder
        self.root = authority(folder, "root")
        self.other = authority(folder, "other")

    @property
    def config(self):
        cert, key = self.root
        return {"trust_domain": DOMAIN, "ca_cert": str(cert), "ca_key": str(key)}

    def leaf(self, name, service_name, **more):
        return leaf(self.folder, name, more.pop("ca", self.root), identity(service_name, **more))


@pytest.fixture(name="ca")
def fixture_ca(tmp_path):
    return Authority(tmp_path)


# --- Envoy ---


def tls(kind, ca, certificate, peer, alpn):
    """The TLS settings of one side of Envoy: its leaf, our roots, whom it expects."""
    cert, key = certificate
    common = {
        "tls_params": {
            "tls_minimum_protocol_version": "TLSv1_2",
            "tls_maximum_protocol_version": "TLSv1_3",
        },
        "alpn_protocols": alpn,
        "tls_certificates": [
            {"certificate_chain": {"filename": str(cert)}, "private_key": {"filename": str(key)}}
        ],
        "validation_context": {
            "trusted_ca": {"filename": str(ca.root[0])},
            "match_typed_subject_alt_names": [
                {"san_type": "URI", "matcher": {"exact": identity(peer).removeprefix("URI:")}}
            ],
        },
    }
    more = {"require_client_certificate": True} if kind == "Downstream" else {"sni": "web"}
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": f"{EXTENSION}.transport_sockets.tls.v3.{kind}TlsContext",
            "common_tls_context": common,
            **more,
        },
    }


def endpoint(port):
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {"lb_endpoints": [{"endpoint": {"address": address}}]}


def http_manager():
    routes = [{"match": {"prefix": "/"}, "route": {"cluster": "up", "timeout": "90s"}}]
    hosts = [{"name": "all", "domains": ["*"], "routes": routes}]
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": f"{EXTENSION}.filters.network.http_connection_manager.v3."
            "HttpConnectionManager",
            "stat_prefix": "in",
            "route_config": {"name": "r", "virtual_hosts": hosts},
            "http_filters": [
                {
                    "name": "envoy.filters.http.router",
                    "typed_config": {"@type": f"{EXTENSION}.filters.http.router.v3.Router"},
                }
            ],
        },
    }


def start_envoy(folder, port, upstream, down=None, up=None, http2=False):
    """Envoy between two ports; `down` and `up` are TLS settings, or None."""
    program = envoy_program()
    if not program.exists():
        pytest.skip(f"envoy is not there: {program} (tools/check installs it)")
    chain = {"filters": [http_manager()], **({"transport_socket": down} if down else {})}
    cluster = {
        "name": "up",
        "type": "STATIC",
        "connect_timeout": "60s",
        "load_assignment": {"cluster_name": "up", "endpoints": [endpoint(upstream)]},
        **({"transport_socket": up} if up else {}),
    }
    if http2:
        protocol = {"explicit_http_config": {"http2_protocol_options": {}}}
        options = f"{EXTENSION}.upstreams.http.v3.HttpProtocolOptions"
        name = options.removeprefix("type.googleapis.com/")
        cluster["typed_extension_protocol_options"] = {name: {"@type": options, **protocol}}
    listener = {
        "name": "in",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [chain],
    }
    path = Path(folder) / f"envoy-{port}.json"
    resources = {"listeners": [listener], "clusters": [cluster]}
    path.write_text(json.dumps({"static_resources": resources}), encoding="ascii")
    command = [program, "-c", path, "--concurrency", "1", "--disable-hot-restart"]
    child = Child("envoy", [*command, "--log-level", "warning"], folder)
    wait_for_port(port, child, 90)
    return child


@pytest.mark.parametrize("alpn", ["http/1.1", "h2"])
def test_envoy_calls_a_sidecar(mesh, ports, ca, tmp_path, alpn):
    """With the leaf of one who may, and of one who may not."""
    pair = mesh(mesh=ca.config)
    answers = {}
    for name in ("api", "batch"):
        port = ports.take()
        settings = tls("Upstream", ca, ca.leaf(name, name), "web", [alpn])
        child = start_envoy(tmp_path, port, pair.web_sidecar, up=settings, http2=alpn == "h2")
        try:
            answer = get(port, "/from-envoy", "web")
            answers[name] = (answer.status, answer.body)
        finally:
            child.terminate(10)
    assert answers["api"] == (200, b"ok")
    assert answers["batch"] == (403, b"denied by intention\n")
    assert [r.target for r in pair.web.requests] == ["/from-envoy"]


@pytest.mark.parametrize("alpn", ["http/1.1", "h2"])
def test_a_sidecar_calls_envoy(nodes, recorders, ports, ca, tmp_path, alpn):
    """Envoy is the sidecar of db and asks for api's certificate; an impostor is not believed."""
    database = recorders()
    front, wrong, local, wrong_local = ports.take(4)
    settings = tls("Downstream", ca, ca.leaf("db", "db"), "api", [alpn])
    impostor = tls("Downstream", ca, ca.leaf("other", "other"), "api", [alpn])
    good = start_envoy(tmp_path, front, database.port, down=settings)
    bad = start_envoy(tmp_path, wrong, database.port, down=impostor)
    try:
        native = {"native": True}
        upstreams = {"db": local, "db2": wrong_local}
        node = nodes(
            services=[
                service("db", front, connect=native),
                service("db2", wrong, connect=native),
                service("api", ports.dead(), connect=sidecar(ports.take(), upstreams)),
            ],
            config_entries=[
                defaults(name, "http2" if alpn == "h2" else "http") for name in ("db", "db2")
            ],
            mesh=ca.config,
        ).start()
        node.allow("api", "*")
        answer = get(local, "/to-envoy", "db")
        assert (answer.status, answer.body) == (200, b"ok")
        assert [r.target for r in database.requests] == ["/to-envoy"]
        assert get(wrong_local, "/x", "db2").status == 502
        assert len(database.requests) == 1
    finally:
        good.terminate(10)
        bad.terminate(10)


# --- OpenSSL ---


WRONG = (
    "of another authority",
    "expired",
    "of another trust domain",
    "of another service",
    "of no service",
)


def wrong(ca, how, name):
    """A certificate that claims to be a service and is not."""
    file = f"{name}-{how.replace(' ', '-')}"
    return {
        "of another authority": lambda: ca.leaf(file, name, ca=ca.other),
        "expired": lambda: leaf(ca.folder, file, ca.root, identity(name), days=0),
        "of another trust domain": lambda: ca.leaf(file, name, domain="other.test"),
        "of another service": lambda: ca.leaf(file, "another"),
        "of no service": lambda: leaf(ca.folder, file, ca.root, f"DNS:{name}"),
    }[how]()


# An alert that the end of the connection overtakes is lost: the request met a closed socket.
REFUSED = ("alert", "403 Forbidden", ":errno=")


def asked(port, certificate=None):
    """What a peer gets to read that asks for one page."""
    given = ("-cert", certificate[0], "-key", certificate[1]) if certificate else ()
    request = b"GET /peer HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n"
    return s_client(port, *given, "-ign_eof", "-quiet", data=request)[1]


def test_openssl_calls_a_sidecar(mesh, ca):
    pair = mesh(mesh=ca.config)
    assert "200 OK" in asked(pair.web_sidecar, ca.leaf("right", "api"))
    served = len(pair.web.requests)
    for name in (*WRONG, "none"):
        certificate = None if name == "none" else wrong(ca, name, "api")
        answer = asked(pair.web_sidecar, certificate)
        assert "200 OK" not in answer, name
        assert any(word in answer for word in REFUSED), f"{name}: {answer}"
    assert len(pair.web.requests) == served, "nothing of it reached the application"


def test_a_revoked_certificate_is_nobodys(nodes, recorders, ports, ca, tmp_path):
    """In both directions, from the moment that the list has it; another list takes it back."""
    good, bad = ca.leaf("good", "api"), ca.leaf("bad", "api")
    database = ca.leaf("database", "db")
    crl = revocations(tmp_path, ca.root)
    web = recorders()
    inbound, front, local = ports.take(3)
    server = Server(tmp_path, front, ca, database)
    try:
        node = nodes(
            services=[
                service("web", web.port, connect=sidecar(inbound)),
                service("db", front, connect={"native": True}),
                service("api", ports.dead(), connect=sidecar(ports.take(), {"db": local})),
            ],
            config_entries=[defaults("web"), defaults("db")],
            mesh={**ca.config, "crl": str(crl)},
        ).start()
        node.allow("api", "*")
        assert "200 OK" in asked(inbound, good) and "200 OK" in asked(inbound, bad)
        assert get(local, "/", "db").status == 200
        revocations(tmp_path, ca.root, bad[0], database[0])
        wait_for(lambda: "200 OK" not in asked(inbound, bad), PATIENCE, "the list is read")
        # Lost when the end of the connection overtakes it.
        wait_for(lambda: "alert certificate revoked" in asked(inbound, bad), what="the alert")
        assert "200 OK" in asked(inbound, good)
        wait_for(lambda: get(local, "/", "db").status == 502, PATIENCE, "servers are looked up too")
        revocations(tmp_path, ca.root, bad[0])
        wait_for(lambda: get(local, "/", "db").status == 200, PATIENCE, "another list")
        crl.write_text("no list", encoding="ascii")
        wait_for(lambda: "lists of before go on" in str(node.status()), PATIENCE, "it is told")
        assert "200 OK" not in asked(inbound, bad), "a list that is broken changes nothing"
    finally:
        server.child.terminate(10)


def test_lists_need_the_authority_that_signs_them(nodes, ca, tmp_path):
    crl = revocations(tmp_path, ca.root)
    node = nodes(mesh={"crl": str(crl)}).start(ready=False)
    assert node.control.wait(60) == 78
    assert "write ca_cert and ca_key" in node.control.tail()


class Server:
    """`openssl s_server` that asks for a certificate and answers every request."""

    def __init__(self, folder, port, ca, certificate):
        command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-www", "-quiet"]
        command += ["-cert", certificate[0], "-key", certificate[1]]
        command += ["-CAfile", ca.root[0], "-Verify", "3", "-verify_return_error"]
        self.child = Child("s_server", [str(part) for part in command], folder)
        wait_for_port(port, self.child)


def test_a_sidecar_calls_openssl(nodes, ports, ca, tmp_path):
    """It believes the service that it asked for, and nobody else."""
    children, kinds = [], ("right", *WRONG)
    names = {kind: f"db-{number}" for number, kind in enumerate(kinds)}
    locals_ = {kind: ports.take() for kind in kinds}
    services = []
    try:
        for kind, name in names.items():
            port = ports.take()
            certificate = ca.leaf(name, name) if kind == "right" else wrong(ca, kind, name)
            children.append(Server(tmp_path, port, ca, certificate).child)
            services.append(service(name, port, connect={"native": True}))
        upstreams = {names[kind]: port for kind, port in locals_.items()}
        caller = service("api", ports.dead(), connect=sidecar(ports.take(), upstreams))
        node = nodes(
            services=[*services, caller],
            config_entries=[defaults(name) for name in names.values()],
            mesh=ca.config,
        ).start()
        node.allow("api", "*")
        answers = {kind: get(port, "/", "db").status for kind, port in locals_.items()}
        assert answers == {kind: 200 if kind == "right" else 502 for kind in kinds}
    finally:
        for child in children:
            child.terminate(10)
