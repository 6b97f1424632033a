"""Two hosts: A has the control plane with the API, B knows the mesh by `controlplane sidecar` only.

Proved: services call each other through sidecars on both; B is cut off without a word: whoever
calls from A is served by A within the interval of its health check, whoever calls from B by B;
after healing both serve both; without A's control plane traffic goes on, and what changes later
arrives.
"""

import contextlib
import time

import hosts
import pytest
from ringmesh import Node, defaults, service, sidecar
from sidecars import Sidecar
from wire import Closed, Recorder, get, wait_for

WAIT = 120
INTERVAL = 1
ENTRY, LOCAL, APP, API = 21000, 9191, 8001, 8500

pytestmark = pytest.mark.skipif(bool(hosts.missing()), reason=str(hosts.missing()))


class OnHost:
    """Makes a node one of a host: it is asked over its socket, which is where its files are."""

    def wait_ready(self, seconds=WAIT):
        def ready():
            assert self.control.alive(), self.control.tail()
            done = self.meshctl("status", check=False)
            return done.returncode == 0 and self.status()["ready"]

        wait_for(ready, max(seconds, WAIT), "a node that is ready", 0.2)
        self.note()


class HostNode(OnHost, Node):
    pass


class HostSidecar(OnHost, Sidecar):
    pass


def said(text):
    return lambda request, client: b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + text


def health(node, name):
    """{instance: status} of a service, by the admin API of a node."""
    return {one["id"]: one["status"] for one in node.json("instances", name)}


class World:
    def __init__(self, network, ports):
        self.network = network
        self.a, self.b = network.hosts
        self.undo = contextlib.ExitStack()
        try:
            self.build(ports)
        except BaseException:
            self.undo.close()
            raise

    def build(self, ports):
        for host, text in ((self.a, b"a"), (self.b, b"b")):
            app = host.run(lambda text=text: Recorder(APP, said(text)))
            self.undo.callback(app.close)
        check = {"tcp": f"10.77.2.2:{ENTRY}", "interval": f"{INTERVAL}s", "timeout": "1s"}
        self.node = HostNode(
            ports,
            node={"name": "host-a", "datacenter": "dc1", "address": "10.77.1.2"},
            api={"bind_addr": f"10.77.1.2:{API}"},
            services=[
                # At the node's address, not on loopback.
                {**service("web", APP, id="web-a", connect=sidecar(ENTRY)), "address": ""},
                service("api", 8002, connect=sidecar(ENTRY + 1, {"web": LOCAL})),
                {
                    "name": "web", "id": "web-b", "address": "10.77.2.2", "port": ENTRY,
                    "connect": {"native": True}, "checks": [check],
                },
            ],
            config_entries=[
                defaults("web"),
                {"kind": "service-resolver", "name": "web", "connect_timeout": "1s"},
            ],
        )  # fmt: skip
        self.undo.callback(self.node.close)
        self.node.start(under=self.a.under)
        self.node.allow("api", "web")
        agent = f"10.77.1.2:{API}"
        self.web = HostSidecar(
            ports, agent, "--service", "web", "--service-addr", f"127.0.0.1:{APP}",
            "--listen", f"10.77.2.2:{ENTRY}",
        )  # fmt: skip
        self.api = HostSidecar(ports, agent, "--service", "api", "--upstream", f"web:{LOCAL}")
        for one in (self.web, self.api):
            self.undo.callback(one.close)
            one.start(under=self.b.under)

    def call(self, host, count=12):
        """Answers of requests, each on a connection of its own; None: there was none."""

        def calls():
            found = []
            for _ in range(count):
                try:
                    answer = get(LOCAL, timeout=10)
                    found.append(answer.body.decode() if answer.status == 200 else answer.status)
                except (OSError, Closed):
                    found.append(None)
            return found

        return host.run(calls)

    def settle(self, host, wanted, what):
        return wait_for(lambda: set(self.call(host)) == set(wanted), WAIT, what, 0.2)


@pytest.fixture
def world(ports, request):
    network = hosts.Network(2)
    try:
        made = World(network, ports)
        try:
            yield made
        finally:
            if getattr(request.node, "failed_call", False):
                for one in (made.node, made.web, made.api):
                    print(f"--- {one.directory}\n{one.control.tail(60)}")
            made.undo.close()
    finally:
        network.close()


@pytest.mark.timeout(900)
def test_a_host_is_cut_off_and_returns(world):
    """All of the scenario, in its order."""
    world.settle(world.a, "ab", "both hosts serve A")
    world.settle(world.b, "ab", "both hosts serve B")

    world.network.forward(False)
    cut = time.monotonic()
    wait_for(lambda: health(world.node, "web")["web-b"] == "critical", WAIT, "the health of B")
    print(f"B is critical {time.monotonic() - cut:.1f} s after the cut, checked each {INTERVAL} s")
    world.settle(world.a, "a", "A serves A alone")
    wait_for(
        lambda: any("does not answer" in p for p in world.api.problems()), WAIT, "B tells of it"
    )
    # What was sent on a connection to A that was open already gets no answer; the next one does.
    world.settle(world.b, "b", "B serves B alone")

    world.network.forward(True)
    world.settle(world.a, "ab", "both hosts serve A again")
    world.settle(world.b, "ab", "both hosts serve B again")
    wait_for(lambda: not world.api.problems(), WAIT, "B knows of A again")

    world.node.control.kill()
    wait_for(
        lambda: any("does not answer" in p for p in world.api.problems()), WAIT, "the API is away"
    )
    for host in (world.a, world.b):
        answers = world.call(host, 20)
        assert set(answers) == {"a", "b"}, answers
    world.node.start(under=world.a.under)
    wait_for(lambda: not world.api.problems(), WAIT, "the API is back")
    world.node.deny("api", "web")
    wait_for(
        lambda: not {"a", "b"} & set(world.call(world.b, 4)), WAIT, "the denial arrives at B", 0.2
    )
