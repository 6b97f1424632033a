"""Proves that a sidecar that is registered over Consul's API is there and carries traffic.

Two services are registered by their clients while the node runs; they get ports, certificates,
checks and listeners, talk to each other over mutual TLS as far as intentions allow, and leave
without touching others. The options of proxies and upstreams show on that traffic.
"""

import contextlib
import json
import socket
import ssl
import threading
import time

import consul
import pytest
from ringmesh import defaults, service, sidecar
from wire import HOLD, Client, Closed, get, wait_for


class Agent:
    """A node with Consul's API, and ports for sidecars that nobody else has."""

    def __init__(self, nodes, ports, /, count=4, **config):
        self.ports = ports
        self.api = ports.take()
        self.first = ports.block(count)
        mesh = {
            "sidecar_min_port": self.first,
            "sidecar_max_port": self.first + count - 1,
            **config.pop("mesh", {}),
        }
        self.node = nodes(api={"bind_addr": f"127.0.0.1:{self.api}"}, mesh=mesh, **config).start()
        self.consul = consul.Consul(port=self.api)

    def ask(self, method, path, body=None):
        data = json.dumps(body).encode() if body is not None else b""
        with Client(self.api, timeout=30.0) as client:
            return client.get(path, "localhost", method, ["Connection: close"], data)

    def put(self, path, body=None):
        answer = self.ask("PUT", path, body)
        assert answer.status == 200, answer.body
        return answer

    def read(self, path):
        return json.loads(self.ask("GET", path).body)

    def register(self, name, port, upstreams=(), proxy=None, **more):
        """A service with a sidecar; `upstreams` are in Consul's shape."""
        wanted = {"Proxy": {"Upstreams": list(upstreams), **(proxy or {})}}
        body = {
            "Name": name,
            "Address": "127.0.0.1",
            "Port": port,
            "Connect": {"SidecarService": wanted},
            **more,
        }
        self.put("/v1/agent/service/register", body)

    def problems(self):
        return self.node.status()["problems"]


def upstream(name, port, **more):
    return {"DestinationName": name, "LocalBindPort": port, **more}


@pytest.fixture
def agent(nodes, ports):
    return lambda **config: Agent(nodes, ports, **config)


def listens(port):
    try:
        with socket.create_connection(("127.0.0.1", port)):
            return True
    except ConnectionRefusedError:
        return False
    except ConnectionResetError:  # it was taken, and closed with its listener
        return True


def wait_closed(port):
    """A change is acknowledged when every worker runs it; the kernel takes the socket from the port
    a moment later, when the last accept on it has ended.
    """
    wait_for(lambda: not listens(port), what=f"port {port} is closed")


def test_two_registered_services_talk(agent, ports, recorders):
    made = agent(config_entries=[defaults("web")])
    web, local = recorders(), ports.take()
    made.register("web", web.port)
    made.register("api", ports.dead(), [upstream("web", local)])
    assert get(local, "/", "web").status == 403, "nobody has allowed it"
    exact = "/v1/connect/intentions/exact?source=api&destination=web"
    made.put(exact, {"Action": "allow"})
    assert get(local, "/tea", "web").status == 200
    assert web.requests[-1].target == "/tea"

    # The sidecar takes nobody without a certificate of the mesh, and shows the service's.
    plain = made.first
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    seen = len(web.requests)
    with socket.create_connection(("127.0.0.1", plain), timeout=10) as sock:
        with pytest.raises((ssl.SSLError, OSError, AssertionError)):
            with context.wrap_socket(sock) as tls:
                tls.sendall(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n")
                assert tls.recv(1), "the peer has closed"
    assert len(web.requests) == seen

    # Automatic ports, from the lowest on, as Consul's clients read them.
    services = made.consul.agent.services()
    assert services["web-sidecar-proxy"]["Port"] == made.first
    assert services["api-sidecar-proxy"]["Port"] == made.first + 1
    assert services["web-sidecar-proxy"]["Proxy"]["DestinationServiceID"] == "web"


def test_automatic_checks(agent, ports, recorders):
    """The proxy listens, and it is as well as its service."""
    made = agent()
    sick = {"status": 200}

    def answer(request, client):
        return b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % sick["status"]

    web = recorders(answer)
    check = {
        "HTTP": f"http://127.0.0.1:{web.port}/health",
        "Interval": "100ms",
        "Timeout": "30s",
        "Status": "passing",
    }
    made.register("web", web.port, Check=check)

    def checks():
        found = made.read("/v1/health/checks/web-sidecar-proxy")
        return {c["Name"]: c["Status"] for c in found}

    names = {"Connect Sidecar Listening", "Connect Sidecar Aliasing web"}
    assert set(checks()) == names
    wait_for(lambda: set(checks().values()) == {"passing"}, 30, "a healthy sidecar")
    sick["status"] = 500
    wait_for(
        lambda: checks()
        == {"Connect Sidecar Listening": "passing", "Connect Sidecar Aliasing web": "critical"},
        30,
        "the alias follows its service",
    )
    assert made.read("/v1/health/connect/web?passing=1") == []


def test_a_listener_that_is_not_there_is_critical(agent, ports, recorders):
    """Somebody else has the sidecar's port: the check says so until it is free."""
    made = agent(config_entries=[defaults("db")], mesh={"intentions_default": "allow"})
    web, taken = recorders(), socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen(1)
    port = taken.getsockname()[1]
    body = {
        "Name": "web",
        "Port": web.port,
        "Connect": {"SidecarService": {"Port": port}},
    }
    made.put("/v1/agent/service/register", body)

    def status():
        found = made.read("/v1/health/checks/web-sidecar-proxy")
        return {c["Name"]: c["Status"] for c in found}["Connect Sidecar Listening"]

    assert status() == "critical"
    # It costs nobody else anything: what is changed meanwhile is in force.
    db, local = recorders(), ports.take()
    made.register("db", db.port)
    made.register("api", ports.dead(), [upstream("db", local)])
    assert get(local, "/", "db").status == 200
    made.put("/v1/connect/intentions/exact?source=api&destination=db", {"Action": "deny"})
    assert get(local, "/", "db").status == 403
    (problem,) = made.node.status()["problems"]
    assert f"127.0.0.1:{port}: Address already in use" in problem["message"]
    # Who waits for the health of the service hears of it: nothing was written to the catalog.
    index = made.ask("GET", "/v1/health/connect/web").header("x-consul-index")
    heard = []

    def watch():
        found = made.read(f"/v1/health/connect/web?index={index}&wait=300s")
        heard.extend(check["Status"] for one in found for check in one["Checks"])

    waiting = threading.Thread(target=watch, daemon=True)
    waiting.start()
    taken.close()
    wait_for(lambda: status() == "passing", 60, "the listener")
    waiting.join(60)
    assert not waiting.is_alive(), "nobody woke the watcher"
    assert heard and set(heard) == {"passing"}
    wait_for(lambda: made.node.status()["problems"] == [], what="no problem is left")


def test_other_namespaces_are_refused(agent, ports, recorders):
    made = agent()
    body = {
        "Name": "web",
        "Port": recorders().port,
        "Connect": {
            "SidecarService": {
                "Proxy": {
                    "Upstreams": [
                        upstream("db", ports.take(), DestinationNamespace="team"),
                    ]
                }
            }
        },
    }
    answer = made.ask("PUT", "/v1/agent/service/register", body)
    assert answer.status == 400
    assert b"DestinationNamespace(team): Namespaces is a Consul Enterprise feature" in answer.body
    wanted = body["Connect"]["SidecarService"]["Proxy"]["Upstreams"][0]
    wanted["DestinationNamespace"] = "Default"
    made.put("/v1/agent/service/register", body)


def test_deregistration_takes_only_its_own(agent, ports, recorders):
    made = agent(mesh={"intentions_default": "allow"})
    web, db = recorders(), recorders()
    to_web, to_db = ports.take(2)
    made.register("web", web.port)
    made.register("db", db.port)
    made.register("api", ports.dead(), [upstream("web", to_web)])
    made.register("job", ports.dead(), [upstream("db", to_db)])
    with Client(to_db, timeout=30.0) as kept:
        assert kept.get("/", "db").status == 200
        made.put("/v1/agent/service/deregister/api")
        wait_closed(to_web)
        assert "api-sidecar-proxy" not in made.read("/v1/agent/services")
        made.put("/v1/agent/service/deregister/web")
        wait_closed(made.first)
        assert kept.get("/", "db").status == 200, "a connection of others was cut"
    assert db.connections == 1, "a connection of others was opened anew"
    # The port is free again, and goes to the next one.
    made.register("new", web.port)
    assert made.read("/v1/agent/service/new-sidecar-proxy")["Port"] == made.first


def test_a_changed_registration_moves_listeners(agent, ports, recorders):
    made = agent(mesh={"intentions_default": "allow"})
    web = recorders()
    before, after = ports.take(2)
    made.register("web", web.port)
    made.register("api", ports.dead(), [upstream("web", before)])
    assert get(before, "/", "web").status == 200
    made.register("api", ports.dead(), [upstream("web", after)])
    wait_closed(before)
    assert get(after, "/", "web").status == 200


def test_upstream_on_a_unix_socket(agent, ports, recorders):
    made = agent(mesh={"intentions_default": "allow"})
    web = recorders()
    path = made.node.directory / "web.sock"
    made.register("web", web.port)
    made.register(
        "api",
        ports.dead(),
        [
            {
                "DestinationName": "web",
                "LocalBindSocketPath": str(path),
                "LocalBindSocketMode": "0660",
            }
        ],
    )
    assert path.stat().st_mode & 0o777 == 0o660
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        assert Client(0, sock, timeout=30.0).get("/", "web").status == 200


def test_bind_options(agent, ports, recorders):
    """`bind_address` and `bind_port` move the listener; what others dial stays as registered."""
    made = agent(mesh={"intentions_default": "allow"})
    web, moved = recorders(), ports.take()
    made.register(
        "web",
        web.port,
        proxy={"Config": {"bind_address": "127.0.0.1", "bind_port": moved}},
    )
    assert made.read("/v1/agent/service/web-sidecar-proxy")["Port"] == made.first
    wait_closed(made.first)
    assert listens(moved)


def test_local_service_address(agent, ports, recorders):
    """The application is where `local_service_address` says, in place of the service's port."""
    made = agent(mesh={"intentions_default": "allow"}, config_entries=[defaults("web")])
    web, local = recorders(), ports.take()
    made.register(
        "web",
        ports.dead(),
        proxy={"Config": {"local_service_address": f"127.0.0.1:{web.port}"}},
    )
    made.register("api", ports.dead(), [upstream("web", local)])
    assert get(local, "/", "web").status == 200


def silent_for(port):
    """How long a client that says nothing is kept."""
    begun = time.monotonic()
    with Client(port, timeout=120.0) as client:
        assert client.closes_within(100)
    return time.monotonic() - begun


def test_handshake_timeout_is_honoured(agent, ports, recorders):
    """And the application is not dialled for a client that says nothing."""
    made = agent()
    web, slow = recorders(), recorders()
    made.register("web", web.port, proxy={"Config": {"handshake_timeout_ms": 200}})
    made.register("slow", slow.port, proxy={"Config": {"handshake_timeout_ms": 100_000}})
    with Client(made.first + 1, timeout=5.0) as patient:
        kept = silent_for(made.first)
        assert 0.1 < kept < 50
        assert patient.stays_open(0.05)
    assert web.connections == slow.connections == 0


def test_options_of_proxy_defaults_and_service_defaults(agent, ports, recorders):
    """The registration wins over the service's defaults, these over those of all proxies."""
    made = agent(
        mesh={"intentions_default": "allow"},
        config_entries=[
            {
                "kind": "proxy-defaults",
                "name": "global",
                "config": {"protocol": "http", "handshake_timeout_ms": 2000},
            },
            {
                "kind": "service-defaults",
                "name": "web",
                "protocol": "http",
                "local_request_timeout_ms": 200,
            },
        ],
    )
    web, db = recorders(lambda r, c: HOLD), recorders()
    local, other = ports.take(2)
    made.register("web", web.port)
    made.register("db", db.port, proxy={"Config": {"handshake_timeout_ms": 100_000}})
    made.register("api", ports.dead(), [upstream("web", local), upstream("db", other)])
    assert silent_for(made.first) < 50, "proxy-defaults"
    with Client(made.first + 1, timeout=5.0) as patient:
        assert patient.stays_open(3), "the registration wins"
    assert get(local, "/", "web", timeout=60.0).status == 504, "service-defaults"
    # Of a service without defaults, those of all proxies say that it speaks HTTP.
    answer = get(other, "/", "db", timeout=60.0)
    assert answer.status == 200 and db.requests[-1].header("via")


def test_connect_timeout_of_an_upstream(agent, ports, recorders):
    """`connect_timeout_ms` bounds the way to an instance that does not answer."""
    made = agent(mesh={"intentions_default": "allow"})
    hasty, patient = ports.take(2)
    hole = ports.black_hole()
    made.put("/v1/agent/service/register", {"Name": "far", "Address": "127.0.0.1", "Port": hole})
    made.register(
        "api",
        ports.dead(),
        [
            upstream("far", hasty, Config={"connect_timeout_ms": 150}),
            upstream("far", patient, Config={"connect_timeout_ms": 300_000}),
        ],
    )
    with Client(patient, timeout=5.0) as other, Client(hasty, timeout=120.0) as client:
        assert client.closes_within(100)
        assert other.stays_open(0.2)


def test_limits_of_an_upstream(agent, ports, recorders):
    """Of two upstreams to one service only the one with limits is bounded."""
    made = agent(mesh={"intentions_default": "allow"}, config_entries=[defaults("web")])
    web = recorders(
        lambda r, c: HOLD
        if r.target == "/hold"
        else b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    )
    narrow, wide = ports.take(2)
    made.register("web", web.port)
    made.register(
        "api",
        ports.dead(),
        [
            upstream("web", narrow, Config={"limits": {"max_concurrent_requests": 1}}),
            upstream("web", wide),
        ],
    )
    with Client(narrow, timeout=30.0) as holder:
        holder.send(b"GET /hold HTTP/1.1\r\nHost: web\r\n\r\n")
        wait_for(lambda: len(web.requests) == 1, 30, "the request that is held")
        assert get(narrow, "/", "web", timeout=30.0).status == 503
        assert get(wide, "/", "web", timeout=30.0).status == 200


def test_max_inbound_connections(agent, ports, recorders):
    """The application gets no more connections than its service says."""
    made = agent(
        mesh={"intentions_default": "allow"},
        config_entries=[{"kind": "service-defaults", "name": "db", "max_inbound_connections": 2}],
    )
    db, local = recorders(lambda r, c: HOLD), ports.take()
    made.register("db", db.port)
    made.register("api", ports.dead(), [upstream("db", local)])
    held = [Client(local, timeout=30.0) for _ in range(2)]
    for client in held:
        client.send(b"GET / HTTP/1.1\r\nHost: db\r\n\r\n")
    wait_for(lambda: db.connections == 2, 30, "two connections")
    # Perhaps it is closed before connect() has come back.
    with contextlib.suppress(ConnectionResetError), Client(local, timeout=60.0) as third:
        assert third.closes_within(50)
    assert db.connections == 2
    for client in held:
        client.close()


def test_exposed_paths(agent, ports, recorders):
    """A path is reached without TLS, what is beside it is not."""
    made = agent()
    web, metrics, first, second = recorders(), recorders(), ports.take(), ports.take()
    paths = [
        {"ListenerPort": first, "Path": "/health", "Protocol": "http"},
        {"ListenerPort": second, "Path": "/metrics", "LocalPathPort": metrics.port},
    ]
    made.register("web", web.port, proxy={"Expose": {"Paths": paths}})
    assert get(first, "/health", "web").status == 200
    assert web.requests[-1].target == "/health"
    assert get(first, "/secret", "web").status == 404
    assert get(first, "/health/more", "web").status == 404
    assert get(second, "/metrics", "web").status == 200
    assert len(metrics.requests) == 1 and len(web.requests) == 1


def test_upstream_of_a_prepared_query(agent, ports, recorders):
    """The query's tags choose the instances, also after it was changed."""
    made = agent(mesh={"intentions_default": "allow"}, config_entries=[defaults("web")])
    one, two, local = recorders(), recorders(), ports.take()
    made.register("web", one.port, ID="web-1", Tags=["v1"])
    made.register("web", two.port, ID="web-2", Tags=["v2"])
    query = {"Name": "find-web", "Service": {"Service": "web", "Tags": ["v1"]}}
    answer = made.ask("POST", "/v1/query", query)
    assert answer.status == 200, answer.body
    identifier = json.loads(answer.body)["ID"]
    made.register(
        "api", ports.dead(), [upstream("find-web", local, DestinationType="prepared_query")]
    )
    for _ in range(8):
        assert get(local, "/", "web").status == 200
    assert len(one.requests) == 8 and not two.requests
    query["Service"]["Tags"] = ["v2", "!v1"]
    made.put(f"/v1/query/{identifier}", query)

    def moved():
        before = len(two.requests)
        return get(local, "/", "web").status == 200 and len(two.requests) > before

    wait_for(moved, 30, "the other instance")


def test_native_services(agent, ports):
    """A service that speaks mutual TLS itself is dialled at its own port, with the mesh's TLS."""
    made = agent(mesh={"intentions_default": "allow"})
    local = ports.take()
    leaf = made.read("/v1/agent/connect/ca/leaf/db")
    roots = made.read("/v1/agent/connect/ca/roots")["Roots"]
    files = made.node.directory
    (files / "leaf.crt").write_text(leaf["CertPEM"])
    (files / "leaf.key").write_text(leaf["PrivateKeyPEM"])
    (files / "roots.crt").write_text("".join(root["RootCert"] for root in roots))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files / "leaf.crt", files / "leaf.key")
    context.load_verify_locations(files / "roots.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        port = server.getsockname()[1]
        made.put(
            "/v1/agent/service/register",
            {"Name": "db", "Address": "127.0.0.1", "Port": port, "Connect": {"Native": True}},
        )
        made.register("api", ports.dead(), [upstream("db", local)])
        with socket.create_connection(("127.0.0.1", local), timeout=60) as client:
            client.sendall(b"ping")
            accepted, _ = server.accept()
            accepted.settimeout(60)
            with context.wrap_socket(accepted, server_side=True) as tls:
                names = tls.getpeercert()["subjectAltName"]
                assert any(name.endswith("/svc/api") for _, name in names), names
                assert tls.recv(4) == b"ping"
                tls.sendall(b"pong")
                assert client.recv(4) == b"pong"


def test_a_proxy_registered_by_hand_is_somebody_elses(agent, ports):
    """It is found and dialled over mutual TLS; the data plane leaves its port to it."""
    made = agent(mesh={"intentions_default": "allow"})
    local, port = ports.take(2)
    made.put("/v1/agent/service/register", {"Name": "db", "Port": ports.dead()})
    body = {
        "Kind": "connect-proxy",
        "Name": "db-proxy",
        "Address": "127.0.0.1",
        "Port": port,
        "Proxy": {"DestinationServiceName": "db"},
    }
    made.put("/v1/agent/service/register", body)
    made.register("api", ports.dead(), [upstream("db", local)])
    assert not listens(port)
    assert [e["Service"]["ID"] for e in made.read("/v1/health/connect/db")] == ["db-proxy"]
    with socket.socket() as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        own.bind(("127.0.0.1", port))
        own.listen(1)
        own.settimeout(60)
        with socket.create_connection(("127.0.0.1", local), timeout=60):
            accepted, _ = own.accept()
            accepted.settimeout(60)
            with accepted:
                assert accepted.recv(1) == b"\x16", "a TLS hello is expected"


def test_options_that_cannot_be_are_refused(agent, ports):
    made = agent()
    wrong = {
        "handshake_timeout_ms": 0,
        "local_service_address": "nowhere",
        "bind_address": "web.local",
    }
    for key, value in wrong.items():
        body = {
            "Name": "web",
            "Port": 1,
            "Connect": {"SidecarService": {"Proxy": {"Config": {key: value}}}},
        }
        answer = made.ask("PUT", "/v1/agent/service/register", body)
        assert answer.status == 400, (key, answer.body)
        assert key in answer.body.decode()
    assert "web" not in made.read("/v1/agent/services")


def test_the_same_in_the_configuration(nodes, ports, recorders):
    """Options of a definition in a file: the listener is bound where they say."""
    web = recorders()
    port, local, moved = ports.take(3)
    connect = sidecar(port)
    connect["sidecar_service"]["proxy"]["config"] = {"bind_port": moved}
    connect["sidecar_service"]["address"] = "127.0.0.1"
    node = nodes(
        services=[
            service("web", web.port, connect=connect),
            service("api", ports.dead(), connect=sidecar(ports.take(), {"web": local})),
        ],
        mesh={"intentions_default": "allow"},
    ).start()
    assert node.status()["problems"] == []
    assert listens(moved) and not listens(port)
    # What is dialled does not answer: the client is closed, perhaps before connect() has come back.
    with contextlib.suppress(Closed, ConnectionResetError):
        assert get(local, "/", "web").status != 200


def test_paths_of_checks_are_exposed_where_wanted(agent, ports, recorders):
    """They have ports of their own, which the API shows and a restart does not change."""
    first = ports.block(2)
    made = agent(ports={"expose_min_port": first, "expose_max_port": first + 1})
    web = recorders()
    check = {"HTTP": f"http://127.0.0.1:{web.port}/health", "Interval": "60s"}
    made.register("web", web.port, proxy={"Expose": {"Checks": True}}, Check=check)

    def exposed():
        proxy = made.read("/v1/agent/service/web-sidecar-proxy")["Proxy"]
        return [(one["ListenerPort"], one["Path"]) for one in proxy["Expose"]["Paths"]]

    assert exposed() == [(first, "/health")]
    assert get(first, "/health", "web").status == 200
    assert get(first, "/", "web").status == 404
    assert made.node.stop() == 0
    made.node.start()
    assert exposed() == [(first, "/health")]
    assert get(first, "/health", "web").status == 200
