"""A second instance of the product is a sidecar in the mesh of the first one, whose Consul API is
all that it knows.

Proved: real traffic over mutual TLS both ways; instances, chains and intentions follow
changes; live connections fall with a denial; nothing is asked of the agent because of a connection;
while the agent is away, old and new connections work, and it is said; afterwards it catches up.
"""

import contextlib
import socket

import pytest
from ringmesh import defaults, service, sidecar
from sidecars import Agent, Relay, Sidecar
from wire import Client, Closed, get, wait_for

WAIT = 60


@pytest.fixture
def sidecars(ports, request):
    """Makes sidecars that end with the test; their logs are shown when it fails."""
    made = []

    def make(agent, *options, **more):
        made.append(Sidecar(ports, agent, *options, **more))
        return made[-1]

    yield make
    errors = []
    for one in made:
        if getattr(request.node, "failed_call", False) and one.control:
            print(f"--- {one.control.name} of {one.directory}\n{one.control.tail(60)}")
        try:
            one.close()
        except AssertionError as error:
            errors.append(str(error))
    assert not errors, "\n".join(errors)


class World:
    """Node A with the API, `web` in its mesh; what a test puts into it."""

    def __init__(self, nodes, recorders, ports, protocol="http"):
        self.api_port, self.web_port = ports.take(2)
        self.web = recorders()
        self.node = nodes(
            api={"bind_addr": f"127.0.0.1:{self.api_port}"},
            services=[service("web", self.web.port, connect=sidecar(self.web_port))],
            config_entries=[defaults("web", protocol)],
        )
        self.agent = Agent(self.api_port)
        self.node.start()


@pytest.fixture
def world(nodes, recorders, ports):
    return World(nodes, recorders, ports)


def answers(port, status=200, **more):
    """Whether a request on a connection of its own is answered so; False also when it is not."""
    with contextlib.suppress(OSError, Closed, TimeoutError):
        return get(port, **more).status == status
    return False


def eventually(port, status=200, what="an answer"):
    wait_for(lambda: answers(port, status), WAIT, f"{what}: {status}", 0.1)


def caller(world, sidecars, ports, name="api", target="web", **more):
    """A sidecar that only calls, and its local port."""
    local = ports.take()
    made = sidecars(
        world.agent.address, "--service", name, "--upstream", f"{target}:{local}", **more
    ).start()
    return made, local


def test_traffic_and_intentions(world, sidecars, ports):
    """What the mesh of the first node says is what the second one does."""
    made, local = caller(world, sidecars, ports)
    wait_for(lambda: any(answers(local, s) for s in (403, 502, 503)), WAIT, "a refusal", 0.1)
    world.agent.intention("api", "web", "allow")
    eventually(local)
    assert world.web.complete()
    report = made.json("status")
    assert report["trust_domain"] == world.node.status()["trust_domain"]
    assert not report["problems"], report["problems"]
    assert made.json("chain", "web") == world.node.json("chain", "web")
    world.agent.intention("api", "web", "deny")
    wait_for(lambda: not answers(local), WAIT, "the denial", 0.1)


def test_inbound_and_live_denial(world, sidecars, ports, recorders):
    """The other way round: the sidecar's own service is called, and a denial ends connections."""
    app = recorders()
    entry, local = ports.take(2)
    made = sidecars(
        world.agent.address,
        "--service", "pay",
        "--service-addr", f"127.0.0.1:{app.port}",
        "--listen", f"127.0.0.1:{entry}",
    ).start()  # fmt: skip
    world.agent.native("pay", "127.0.0.1", entry)
    _, local = caller(world, sidecars, ports, target="pay")
    assert not app.connections, "dialled before anybody was let in"
    world.agent.intention("api", "pay", "allow")
    eventually(local)
    with Client(local, timeout=WAIT) as client:
        assert client.get("/held").status == 200
        world.agent.intention("API", "pay", "deny")
        assert client.closes_within(WAIT), "an open connection outlives the denial"
    # Nobody is let in without a certificate either.
    before = app.connections
    with socket.create_connection(("127.0.0.1", entry), timeout=WAIT) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        plain.settimeout(WAIT)
        with contextlib.suppress(ConnectionResetError):
            assert b"200" not in plain.recv(100)
    assert app.connections == before
    assert made.json("intention", "list")


def test_a_silent_client_is_not_held(world, sidecars, ports, recorders):
    """The handshake has a limit, and the application hears nothing of who does not finish it."""
    app = recorders()
    entry = ports.take()
    sidecars(
        world.agent.address,
        "--service", "pay",
        "--service-addr", f"127.0.0.1:{app.port}",
        "--listen", f"127.0.0.1:{entry}",
    ).start()  # fmt: skip
    with Client(entry, timeout=WAIT) as client:
        assert client.closes_within(WAIT), "a client that says nothing is held"
    assert not app.connections


def test_half_close(nodes, sidecars, ports, recorders):
    """What follows the end of one direction still arrives in the other."""
    world = World(nodes, recorders, ports, protocol="tcp")
    world.agent.intention("api", "web", "allow")

    def talk(request, client):
        while client.stream.fill():
            pass
        client.send(b"after the end: " + client.stream.buffer)
        return None

    world.web.reset(talk)
    _, local = caller(world, sidecars, ports)
    with Client(local, timeout=WAIT) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nmore")
        client.sock.shutdown(socket.SHUT_WR)
        assert client.stream.rest() == b"after the end: more"


@pytest.fixture
def relay(world):
    made = Relay(world.api_port)
    yield made
    made.close()


def test_nothing_is_asked_for_connections(world, relay, sidecars, ports):
    """What is asked follows from time and changes, not from connections."""
    world.agent.intention("api", "web", "allow")
    local = ports.take()
    sidecars(relay.address, "--service", "api", "--upstream", f"web:{local}").start()
    eventually(local)
    begin = len(relay.requests)
    for _ in range(300):
        assert get(local, timeout=WAIT).status == 200
    about = [line for line in relay.requests[begin:] if "status/leader" not in line]
    assert len(about) < 60, about
    assert any("/v1/health/connect/web" in line and "index=" in line for line in relay.requests)
    assert not any("index=0" in line for line in relay.requests)


def test_a_silent_network_is_noticed(world, relay, sidecars, ports):
    """Questions that are lost on the way are not waited for: the agent counts as away."""
    world.agent.intention("api", "web", "allow")
    local = ports.take()
    made = sidecars(relay.address, "--service", "api", "--upstream", f"web:{local}").start()
    eventually(local)
    relay.flows.clear()
    wait_for(lambda: any("does not answer" in p for p in made.problems()), WAIT, "the problem", 0.2)
    assert get(local, timeout=WAIT).status == 200
    world.agent.intention("api", "web", "deny")
    relay.flows.set()
    wait_for(lambda: not made.problems(), WAIT, "the end of the problem", 0.2)
    wait_for(lambda: not answers(local), WAIT, "what changed meanwhile", 0.1)


def test_the_agent_is_away(world, sidecars, ports):
    """Fail static: connections, also new ones, go on; it is told; changes are caught up with."""
    world.agent.intention("api", "web", "allow")
    made, local = caller(world, sidecars, ports)
    eventually(local)
    with Client(local, timeout=WAIT) as held:
        assert held.get("/").status == 200
        world.node.control.kill()
        away = wait_for(
            lambda: [p for p in made.problems() if "does not answer" in p], WAIT, "the problem"
        )
        assert world.agent.address in away[0]
        assert "traffic goes on" in away[0]
        wait_for(
            lambda: any("agent does not answer" in str(li.get("msg")) for li in made.log_lines()),
            WAIT,
            "the line of the log",
        )
        assert held.get("/").status == 200
        for _ in range(20):
            assert get(local, timeout=WAIT).status == 200
    world.node.start()
    wait_for(lambda: not made.problems(), WAIT, "the end of the problem", 0.1)
    world.agent.intention("api", "web", "deny")
    wait_for(lambda: not answers(local), WAIT, "the denial after the return", 0.1)
    assert made.status()["ready"]


def test_restarted_while_the_agent_is_away(world, sidecars, ports):
    """The data plane goes on while its control plane is gone and comes back to no agent."""
    world.agent.intention("api", "web", "allow")
    made, local = caller(world, sidecars, ports)
    eventually(local)
    world.node.control.kill()
    made.control.kill()
    assert get(local, timeout=WAIT).status == 200
    made.start(ready=False)
    wait_for(
        lambda: made.admin_socket.exists()
        and made.meshctl("status", check=False).returncode == 0
        and any("does not answer" in p for p in made.problems()),
        WAIT,
        "the problem after the restart",
        0.2,
    )
    for _ in range(5):
        assert get(local, timeout=WAIT).status == 200
    world.node.start()
    made.wait_ready(WAIT)
    assert get(local, timeout=WAIT).status == 200


def test_chains_are_followed(world, sidecars, ports, recorders):
    """Routes, subsets and failover of the first node are done by the second one."""
    world.agent.intention("*", "*", "allow")
    _, local = caller(world, sidecars, ports)
    eventually(local)
    spare, entry = recorders(lambda request, client: TEAPOT), ports.take()
    sidecars(
        world.agent.address,
        "--service", "spare",
        "--service-addr", f"127.0.0.1:{spare.port}",
        "--listen", f"127.0.0.1:{entry}",
    ).start()  # fmt: skip
    world.agent.native("spare", "127.0.0.1", entry)
    world.agent.entry(Kind="service-defaults", Name="spare", Protocol="http")
    world.agent.entry(
        Kind="service-resolver", Name="web", ConnectTimeout="3s",
        Subsets={"none": {"Filter": "Service.Meta.version == none"}},
        Failover={"none": {"Service": "spare"}},
    )  # fmt: skip
    world.agent.entry(
        Kind="service-router", Name="web",
        Routes=[
            {"Match": {"HTTP": {"PathPrefix": "/tea"}}, "Destination": {"Service": "spare"}},
            {"Match": {"HTTP": {"PathPrefix": "/gone"}},
             "Destination": {"Service": "web", "ServiceSubset": "none"}},
        ],
    )  # fmt: skip
    wait_for(lambda: answers(local, 418, target="/tea"), WAIT, "the route", 0.1)
    assert answers(local, 200, target="/else")
    wait_for(lambda: answers(local, 418, target="/gone"), WAIT, "the failover", 0.1)


def test_what_cannot_be_is_told(world, sidecars, ports):
    """Why nothing is served, and what is wrong with options."""
    made = sidecars(world.agent.address, "--sidecar-for", "nobody").start(ready=False)
    wait_for(
        lambda: made.admin_socket.exists()
        and made.meshctl("status", check=False).returncode == 0
        and any("no sidecar proxy is registered for nobody" in p for p in made.problems()),
        WAIT,
        "the reason why nothing is served",
        0.2,
    )
    wrong = sidecars(world.agent.address, "--service", "x", "--upstream", "web")
    wrong.start(ready=False)
    assert wrong.control.wait(WAIT) == 64
    assert "the port is missing" in wrong.control.text()
    both = sidecars(world.agent.address, "--proxy-id", "a", "--sidecar-for", "b")
    both.start(ready=False)
    assert both.control.wait(WAIT) == 64


def test_connections_last_as_long_as_the_registration_says(world, sidecars, ports, recorders):
    """The proxy is registered with its options at the agent; the sidecar acts on them."""
    app = recorders()
    entry = ports.take()
    config = {"external": True, "max_connection_lifetime": "1s"}
    wanted = {"Port": entry, "Proxy": {"Config": config}}
    world.agent.put(
        "/v1/agent/service/register",
        {"Name": "pay", "Address": "127.0.0.1", "Port": app.port,
         "Connect": {"SidecarService": wanted}},
    )  # fmt: skip
    sidecars(world.agent.address, "--sidecar-for", "pay").start()
    _, local = caller(world, sidecars, ports, target="pay")
    world.agent.intention("api", "pay", "allow")
    eventually(local)
    with Client(local, timeout=WAIT) as client:
        assert client.get().status == 200
        assert client.closes_within(WAIT), "a stream outlives its time"
    assert answers(local)


TEAPOT = b"HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\n\r\n"


def test_it_registers_itself_while_it_runs(world, sidecars, ports, recorders):
    """The agent knows it for as long as it runs, and again when it has forgotten it."""
    app, port = recorders(), ports.take()
    made = sidecars(
        world.agent.address, "--service", "shop", "--service-addr", f"127.0.0.1:{app.port}",
        "--listen", f"127.0.0.1:{port}", "--register", "--register-id", "a",
    ).start()  # fmt: skip

    def statuses():
        found = world.agent.get("/v1/health/connect/shop")
        return {one["Service"]["ID"]: [c["Status"] for c in one["Checks"]] for one in found}

    def is_passing():
        found = statuses().get("shop-proxy-a")
        return found is not None and set(found) == {"passing"}

    wait_for(is_passing, WAIT, "a proxy that passes")
    world.agent.put("/v1/agent/service/deregister/shop-proxy-a")
    wait_for(is_passing, WAIT, "the proxy again")
    assert made.stop() == 0
    wait_for(lambda: "shop-proxy-a" not in statuses(), WAIT, "its end")


def test_it_waits_for_an_agent_that_comes_later(nodes, recorders, ports, sidecars):
    """Nothing is served, and it is said why; then the agent comes."""
    api, web_port, local = ports.take(3)
    web = recorders()
    node = nodes(
        api={"bind_addr": f"127.0.0.1:{api}"},
        services=[service("web", web.port, connect=sidecar(web_port))],
        config_entries=[defaults("web")],
    )
    made = sidecars(f"127.0.0.1:{api}", "--service", "api", "--upstream", f"web:{local}").start(
        ready=False
    )

    def says_so():
        done = made.meshctl("status", "--json", check=False)
        return done.returncode == 0 and "nothing is served yet" in done.stdout

    wait_for(says_so, WAIT, "what it waits for")
    node.start()
    node.allow("api", "web")
    eventually(local, 200, "the agent has come")
    made.wait_ready()
    wait_for(lambda: not made.problems(), WAIT, "nothing is wrong any more")
