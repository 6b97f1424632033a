"""`controlplane sidecar` in the mesh of a real Consul: an agent with ACLs that deny, TLS with
client certificates, and Consul's own proxy as a peer.

Needs Consul's program: RINGMESH_CONSUL names it, or it is on the path. `tools/check` fetches the
one of Debian 11 (1.8.7); Debian 12 has none.
"""

import contextlib
import json
import os
import shutil
import signal
import tempfile
import time
from concurrent import futures
from pathlib import Path

import certificates
import grpc
import pytest
from processes import Child
from sidecars import Agent, Sidecar
from wire import Client, Closed, get, wait_for

WAIT = 120
MASTER = "5d1a1a1c-0f4e-4a9e-8d0c-5f3f7d2f1c01"
PROGRAM = os.environ.get("RINGMESH_CONSUL") or shutil.which("consul")

pytestmark = pytest.mark.skipif(
    not PROGRAM, reason="no consul: set RINGMESH_CONSUL, or install it (Debian 11's package)"
)


class Consul(Agent):
    """One Consul server that denies by default, with HTTP for tests and HTTPS for sidecars."""

    def __init__(self, ports):
        self.directory = Path(tempfile.mkdtemp(prefix="ringmesh-consul-"))
        http, self.https, lan, wan, server = ports.take(5)
        self.exposed = ports.block(4)
        super().__init__(http, MASTER)
        self.ca = certificates.authority(self.directory)
        names = "DNS:localhost,IP:127.0.0.1"
        self.cert, self.key = certificates.leaf(self.directory, "agent", self.ca, names)
        (self.directory / "agent.hcl").write_text(
            f"""
            server = true
            bootstrap_expect = 1
            node_name = "lab"
            data_dir = "{self.directory}/data"
            bind_addr = "127.0.0.1"
            client_addr = "127.0.0.1"
            ports {{ http = {http} https = {self.https} serf_lan = {lan} serf_wan = {wan}
                     server = {server} dns = -1 grpc = -1
                     expose_min_port = {self.exposed} expose_max_port = {self.exposed + 3} }}
            connect {{ enabled = true }}
            acl {{ enabled = true default_policy = "deny"
                   tokens {{ master = "{MASTER}" agent = "{MASTER}" }} }}
            ca_file = "{self.ca[0]}"
            cert_file = "{self.cert}"
            key_file = "{self.key}"
            verify_incoming_https = true
            performance {{ raft_multiplier = 1 }}
            """,
            encoding="utf-8",
        )
        self.child = None

    def start(self):
        command = [PROGRAM, "agent", "-config-file", self.directory / "agent.hcl"]
        self.child = Child("consul", command, self.directory)
        wait_for(self.leads, WAIT, "a leader", 0.2)
        return self

    def leads(self):
        with contextlib.suppress(OSError):
            status, body = self.ask("GET", "/v1/status/leader")
            if status == 200 and len(body) > 4:
                return self.ask("GET", "/v1/catalog/services")[0] == 200
        assert self.child.alive(), self.child.tail()
        return False

    def service_token(self, name):
        """A token that may be one service, and read those that it calls."""
        body = {"ServiceIdentities": [{"ServiceName": name}]}
        return self.put_json("/v1/acl/token", body)["SecretID"]

    def put_json(self, path, body):
        return json.loads(self.put(path, body))

    def close(self):
        if self.child and self.child.alive():
            self.child.process.send_signal(signal.SIGCONT)
            self.child.terminate(20)
        shutil.rmtree(self.directory, ignore_errors=True)


@pytest.fixture
def consul(ports):
    made = Consul(ports)
    try:
        yield made.start()
    finally:
        made.close()


@pytest.fixture
def sidecars(ports, request):
    made = []

    def make(agent, /, *options, **more):
        made.append(Sidecar(ports, agent, *options, **more))
        return made[-1]

    yield make
    for one in made:
        if getattr(request.node, "failed_call", False) and one.control:
            print(f"--- {one.control.name} of {one.directory}\n{one.control.tail(60)}")
        one.close()


def register(consul, name, port, entry, upstreams=(), **more):
    """A service with a sidecar of its own choice of checks."""
    consul.put(
        "/v1/agent/service/register",
        {
            "Name": name, "Port": port, "Address": "127.0.0.1",
            "Connect": {"SidecarService": {
                "Port": entry,
                "Checks": [{"TCP": f"127.0.0.1:{entry}", "Interval": "1s", "Timeout": "30s"}],
                "Proxy": {"Upstreams": list(upstreams)},
            }},
            **more,
        },
    )  # fmt: skip


def answers(port, status=200, **more):
    with contextlib.suppress(OSError, Closed, TimeoutError):
        return get(port, timeout=30, **more).status == status
    return False


def goes(port, **more):
    wait_for(lambda: answers(port, **more), WAIT, "an answer", 0.2)


class Pair:
    """`api` calls `web`, each with a sidecar of ours under a token of its own."""

    def __init__(self, consul, sidecars, ports, recorders, protocol="tcp"):
        self.web = recorders()
        self.web_entry, self.api_entry, self.local = ports.take(3)
        consul.entry(Kind="service-defaults", Name="web", Protocol=protocol)
        register(consul, "web", self.web.port, self.web_entry)
        upstream = {"DestinationName": "web", "LocalBindPort": self.local}
        register(consul, "api", ports.dead(), self.api_entry, [upstream])
        agent = f"https://localhost:{consul.https}"
        files = ["--ca-file", consul.ca[0], "--client-cert", consul.cert]
        web_token = consul.directory / "web.token"
        web_token.write_text(consul.service_token("web") + "\n", encoding="utf-8")
        self.web_sidecar = sidecars(
            agent, "--sidecar-for", "web", *files, "--client-key", consul.key,
            "--token-file", web_token,
        ).start(seconds=WAIT)  # fmt: skip
        self.api_sidecar = sidecars(
            None, "-proxy-id", "api-sidecar-proxy",
            env={
                "CONSUL_HTTP_ADDR": f"localhost:{consul.https}", "CONSUL_HTTP_SSL": "true",
                "CONSUL_CACERT": str(consul.ca[0]), "CONSUL_CLIENT_CERT": str(consul.cert),
                "CONSUL_CLIENT_KEY": str(consul.key),
                "CONNECT_PROXY_TOKEN": consul.service_token("api"),
            },
        ).start(seconds=WAIT)  # fmt: skip


@pytest.fixture
def pair(consul, sidecars, ports, recorders):
    return lambda **more: Pair(consul, sidecars, ports, recorders, **more)


def test_intentions_and_live_denial(consul, pair):
    """Denied by default; allowed by an intention, in any case of letters; a denial ends both."""
    made = pair()
    assert not answers(made.local)
    assert not made.web.connections, "the application was dialled for somebody who may not"
    consul.intention("api", "web", "allow")
    goes(made.local)
    with Client(made.local, timeout=WAIT) as client:
        assert client.get("/").status == 200
        consul.intention("api", "web", "deny")
        assert client.closes_within(WAIT)
    wait_for(lambda: not answers(made.local), WAIT, "the denial", 0.2)
    for one in (made.web_sidecar, made.api_sidecar):
        wait_for(lambda one=one: not one.problems(), WAIT, "an end of all problems", 0.2)


def test_consul_is_away(consul, pair):
    """Killed, and stopped so that it only hangs: traffic goes on, it is told, and caught up."""
    made = pair(protocol="http")
    consul.intention("api", "web", "allow")
    goes(made.local)
    consul.child.process.send_signal(signal.SIGSTOP)
    wait_for(
        lambda: any("does not answer" in p for p in made.api_sidecar.problems()), WAIT, "hanging"
    )
    assert get(made.local, timeout=WAIT).status == 200
    consul.child.process.send_signal(signal.SIGCONT)
    wait_for(lambda: not made.api_sidecar.problems(), WAIT, "the end of the hanging", 0.2)
    goes(made.local)
    consul.child.terminate(30)
    wait_for(
        lambda: any("does not answer" in p for p in made.api_sidecar.problems()), WAIT, "death"
    )
    for _ in range(10):
        assert get(made.local, timeout=WAIT).status == 200
    consul.start()
    wait_for(lambda: not made.api_sidecar.problems(), WAIT, "the end of the problem", 0.2)
    consul.intention("api", "web", "deny")
    wait_for(lambda: not answers(made.local), WAIT, "the denial after the return", 0.2)


def test_roots_rotate_under_traffic(consul, pair):
    """Another root takes over while requests run on new connections: none fails."""
    made = pair(protocol="http")
    consul.intention("api", "web", "allow")
    goes(made.local)
    before = made.api_sidecar.json("cert", "list")[0]["serial"]
    consul.put("/v1/connect/ca/configuration", {
        "Provider": "consul",
        "Config": {"LeafCertTTL": "72h", "PrivateKey": key(), "RootCert": ""},
    })  # fmt: skip
    end = time.monotonic() + WAIT
    assert get(made.local, timeout=WAIT).status == 200
    while made.api_sidecar.json("cert", "list")[0]["serial"] == before:
        assert time.monotonic() < end, "the certificate was never replaced"
        assert get(made.local, timeout=WAIT).status == 200
    for _ in range(20):
        assert get(made.local, timeout=WAIT).status == 200
    wait_for(lambda: len(made.api_sidecar.json("cert", "roots")) == 2, WAIT, "two roots", 0.2)


def key():
    return certificates.openssl(
        "ecparam", "-name", "prime256v1", "-genkey", "-noout"
    ).stdout.decode()


def test_chains_of_consul(consul, pair, sidecars, ports, recorders):
    """Routes, splits by subset and failover, as Consul compiles them."""
    made = pair(protocol="http")
    consul.intention("api", "*", "allow")
    goes(made.local)
    other = recorders(lambda request, client: TEAPOT)
    entry = ports.take()
    consul.entry(Kind="service-defaults", Name="tea", Protocol="http")
    register(consul, "tea", other.port, entry)
    sidecars(
        consul.address, "--sidecar-for", "tea", "--token", consul.service_token("tea")
    ).start(seconds=WAIT)  # fmt: skip
    consul.entry(
        Kind="service-resolver", Name="web", ConnectTimeout="3s",
        Subsets={"none": {"Filter": "Service.Meta.version == none"}},
        Failover={"none": {"Service": "tea"}},
    )  # fmt: skip
    consul.entry(
        Kind="service-router", Name="web",
        Routes=[
            {"Match": {"HTTP": {"PathPrefix": "/tea"}}, "Destination": {"Service": "tea"}},
            {"Match": {"HTTP": {"PathPrefix": "/gone"}},
             "Destination": {"Service": "web", "ServiceSubset": "none"}},
        ],
    )  # fmt: skip
    wait_for(lambda: answers(made.local, 418, target="/tea"), WAIT, "the route", 0.2)
    wait_for(lambda: answers(made.local, 418, target="/gone"), WAIT, "the failover", 0.2)
    goes(made.local)
    consul.entry(
        Kind="service-splitter", Name="web",
        Splits=[{"Weight": 0, "Service": "web"}, {"Weight": 100, "Service": "tea"}],
    )  # fmt: skip
    wait_for(lambda: answers(made.local, 418, target="/"), WAIT, "the split", 0.2)


def test_listeners_follow_the_registration(consul, pair, ports):
    """An upstream that is added is listened for, one that is removed is not."""
    made = pair()
    consul.intention("api", "web", "allow")
    goes(made.local)
    added = ports.take()
    upstream = {"DestinationName": "web", "LocalBindPort": added}
    register(consul, "api", ports.dead(), made.api_entry, [upstream])
    goes(added)
    wait_for(lambda: not answers(made.local), WAIT, "the end of the other listener", 0.2)


class Health(grpc.GenericRpcHandler):
    """What a gRPC server says of itself: SERVING, in octets of grpc.health.v1."""

    def __init__(self):
        self.asked = []

    def service(self, details):
        if details.method != "/grpc.health.v1.Health/Check":
            return None
        return grpc.unary_unary_rpc_method_handler(self.check)

    def check(self, request, context):
        self.asked.append(request)
        return b"\x08\x01"


def test_checks_are_made_by_way_of_the_sidecar(consul, sidecars, ports, recorders):
    """With Expose.Checks the agent moves checks to ports of the proxy: the sidecar finds out which
    and what is asked for there, and has a listener for it while the registration says so.
    """
    web, health = recorders(), Health()
    admin = recorders(lambda request, client: TEAPOT)
    server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[health])
    behind = server.add_insecure_port("127.0.0.1:0")
    server.start()

    def make(checks, **proxy):
        consul.put("/v1/agent/service/register", {
            "Name": "web", "Port": web.port, "Address": "127.0.0.1", "Checks": checks,
            "Connect": {"SidecarService": {"Port": entry, "Proxy": proxy}},
        })  # fmt: skip

    def results():
        made = consul.get("/v1/agent/checks", filter='ServiceID == "web"')
        return {one["Type"]: (one["Status"], one["Output"]) for one in made.values()}

    entry, other = ports.take(2)
    http = {"HTTP": f"http://127.0.0.1:{web.port}/health?full", "Interval": "1s"}
    call = {"GRPC": f"127.0.0.1:{behind}/web", "Interval": "1s", "Timeout": "30s"}
    paths = [{
        "ListenerPort": other, "Path": "/grpc.health.v1.Health/Check", "LocalPathPort": behind,
        "Protocol": "http2",
    }]  # fmt: skip
    expose = {"Checks": True, "Paths": paths}
    try:
        make([http, call], Expose=expose)
        made = sidecars(
            consul.address, "--sidecar-for", "web", "--token", consul.service_token("web"),
            ports={"expose_min_port": consul.exposed, "expose_max_port": consul.exposed + 3},
        ).start(seconds=WAIT)  # fmt: skip

        def passing():
            found = results()
            assert made.control.alive(), made.control.tail()
            return len(found) == 2 and all(
                status == "passing" and any(f":{consul.exposed + n}" in output for n in range(4))
                for status, output in found.values()
            )

        wait_for(passing, WAIT, "checks that pass by way of the sidecar", 0.2)
        wait_for(lambda: not made.problems(), WAIT, "an end of all problems", 0.2)
        assert health.asked and health.asked[-1] == b"\n\x03web"
        assert web.requests[-1].target == "/health?full"
        port = int(results()["http"][1].split("127.0.0.1:")[1].split("/")[0])
        assert get(port, "/health", timeout=WAIT).status == 200
        assert get(port, "/", timeout=WAIT).status == 404, "nothing else is open there"
        # The application says itself that it is not well: that is what the agent hears.
        web.reset(lambda request, client: TEAPOT)
        wait_for(lambda: "418" in results()["http"][1], WAIT, "what the application says", 0.2)
        # The path of a check that is answered at another port.
        paths.append({"ListenerPort": ports.take(), "Path": "/health", "LocalPathPort": admin.port})
        make([http, call], Expose=expose)
        wait_for(lambda: admin.complete(), WAIT, "checks at another port", 0.2)
        # Without exposure the agent dials the application itself, and the listener goes.
        web.reset()
        make([http, call])
        wait_for(
            lambda: f"127.0.0.1:{web.port}/" in results()["http"][1], WAIT, "checks as before", 0.2
        )
        wait_for(lambda: refuses(port), WAIT, "the end of the listener", 0.2)
    finally:
        server.stop(0)


def refuses(port):
    with contextlib.suppress(Closed, TimeoutError):
        try:
            get(port, "/health", timeout=10)
        except ConnectionRefusedError:
            return True
    return False


def test_prepared_queries(consul, pair, ports):
    """A query is what an upstream leads to."""
    made = pair()
    consul.intention("api", "web", "allow")
    goes(made.local)
    query = {"Name": "near-web", "Service": {"Service": "web", "OnlyPassing": True}}
    status, _ = consul.ask("POST", "/v1/query", query)
    assert status == 200
    # A query runs under the token that asks, which must be allowed to know it.
    policy = consul.put_json(
        "/v1/acl/policy", {"Name": "queries", "Rules": 'query_prefix "" { policy = "read" }'}
    )
    body = {
        "ServiceIdentities": [{"ServiceName": "api"}],
        "Policies": [{"ID": policy["ID"]}],
    }
    token = consul.put_json("/v1/acl/token", body)["SecretID"]
    local = ports.take()
    made.api_sidecar.stop()
    made.api_sidecar.options = (
        "--service", "api", "--upstream", f"near-web.query:{local}", "--token", token,
    )  # fmt: skip
    made.api_sidecar.agent, made.api_sidecar.env = consul.address, {}
    made.api_sidecar.start(seconds=WAIT)
    goes(local)


def test_consuls_own_proxy_is_a_peer(consul, pair, ports):
    """Both ways: its proxy in front of web, and in front of api."""
    made = pair()
    consul.intention("api", "web", "allow")
    goes(made.local)
    made.web_sidecar.stop()
    own = run_builtin(consul, "web")
    try:
        goes(made.local)
    finally:
        own.terminate()
    made.web_sidecar.start(seconds=WAIT)
    made.api_sidecar.stop()
    own = run_builtin(consul, "api")
    try:
        goes(made.local)
    finally:
        own.terminate()


def run_builtin(consul, name):
    return Child(
        f"builtin-{name}",
        [PROGRAM, "connect", "proxy", "-sidecar-for", name, "-http-addr", consul.address],
        consul.directory,
        {"CONSUL_HTTP_TOKEN": MASTER},
    )


TEAPOT = b"HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\n\r\n"
