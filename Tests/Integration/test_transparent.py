"""Transparent proxies: an application calls services where they are, the kernel redirects its
connections to the sidecar, and the address that each was made to decides where it goes.

Proved with real rules of nftables in a network of the test's own, IPv4 and IPv6: virtual addresses
and those of instances lead through the mesh, by requests and by bytes, as intentions allow; so do
virtual addresses that the node gives by itself, whose names resolvers know; an instance that is
dialled directly is called as itself; addresses that nobody knows are called as they were asked for,
unless the mesh forbids it; whoever calls the port itself is closed. The same for `controlplane
sidecar`, which an agent tells what it may call.
"""

import contextlib
import json
import shutil
import socket
import struct
import subprocess
import sys

import hosts
import pytest
from ringmesh import Node, defaults, service
from sidecars import Agent, Sidecar
from wire import Recorder, wait_for

WAIT = 120
# How the end of a connection is seen: before, between and behind what is sent.
CLOSED = ("", "closed: ConnectionResetError", "closed: BrokenPipeError")
UID = 4321  # of the application whose connections are redirected
WEB, DB, PLAIN, OUTBOUND, NAMES = 8001, 8002, 7001, 15001, 8600
VIRTUAL, VIRTUAL6, VIRTUAL_DB = "10.99.0.1", "fd99::1", "10.99.0.2"
ONE, TWO, STRANGER = "10.99.1.1", "10.99.1.2", "10.99.2.1"
RULES = f"""
table inet mesh {{
    chain output {{
        type nat hook output priority -100;
        meta skuid != {UID} return
        ip daddr 127.0.0.0/8 return
        ip6 daddr ::1 return
        meta l4proto tcp redirect to :{OUTBOUND}
    }}
}}
"""
# What the application does, as its own user: sends a text, and tells what came back.
CALL = f"""
import os, socket, sys
"".encode("idna"), b"".decode("latin-1")  # loaded while this may still be read
os.setgroups([])
os.setuid({UID})
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout={WAIT}) as sock:
        sock.sendall(sys.argv[3].encode())
        sock.shutdown(socket.SHUT_WR)
        while data := sock.recv(65536):
            sys.stdout.write(data.decode("latin-1"))
except OSError as error:
    sys.stdout.write(f"closed: {{type(error).__name__}}")
"""


def missing():
    """Why connections cannot be redirected here; None: they can."""
    reason = hosts.missing()
    if reason or not shutil.which("nft"):
        return reason or "nft is not installed"
    host = hosts.Host()
    try:
        made = filtered(host, "table inet try { chain c { type nat hook output priority -100; }; }")
        return None if made.returncode == 0 else f"the kernel redirects nothing: {made.stderr}"
    finally:
        host.close()


def filtered(host, rules):
    return subprocess.run(
        [*host.under, "nft", "-f", "-"], input=rules, capture_output=True, text=True, check=False
    )


REASON = missing()
pytestmark = pytest.mark.skipif(bool(REASON), reason=str(REASON))


def answers(text):
    body = text.encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
    return lambda request, client: head + body


class Transparent(Node):
    """A node of the host: it is asked over its socket, which is where its files are."""

    def __init__(self, host, ports, **config):
        super().__init__(ports, **config)
        self.host = host

    def wait_ready(self, seconds=WAIT):
        def ready():
            assert self.control.alive(), self.control.tail()
            done = self.meshctl("status", check=False)
            return done.returncode == 0 and self.status()["ready"]

        wait_for(ready, max(seconds, WAIT), "a node that is ready", 0.2)
        self.note()

    def metrics(self):
        return self.host.run(super().metrics)

    def call(self, address, port, text):
        """What the application gets for a text that it sends."""
        done = subprocess.run(
            [*self.host.under, sys.executable, "-c", CALL, address, str(port), text],
            capture_output=True, text=True, timeout=WAIT + 30, check=True,
        )  # fmt: skip
        return done.stdout

    def get(self, address, port, path="/"):
        text = self.call(
            address, port, f"GET {path} HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n"
        )
        return text.split(" ", 2)[1] if text.startswith("HTTP/") else text, text

    def resolve(self, name):
        """The address of a name, asked as resolvers ask; None: there is no such name."""
        labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
        query = struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!B2H", 0, 1, 1)

        def ask():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.settimeout(WAIT)
                sock.sendto(query, ("127.0.0.1", NAMES))
                return sock.recv(4096)

        answer = self.host.run(ask)
        assert answer[:2] == query[:2]
        return socket.inet_ntoa(answer[-4:]) if answer[7] else None

    def outcome(self, listener, name):
        """How many connections of a listener ended so."""
        for line in self.metrics().splitlines():
            if f'listener="{listener}"' in line and f'outcome="{name}"' in line:
                return float(line.rsplit(" ", 1)[1])
        return 0.0


def instance(name, address, port, entry, **proxy):
    return service(
        name,
        port,
        id=f"{name}-{address}",
        address=address,
        connect={"sidecar_service": {"port": entry, "proxy": proxy}},
    )


@pytest.fixture
def world(ports):
    """`shop` is transparent; `web` has two instances and `db` one, each answers with its place."""
    with contextlib.ExitStack() as undo:
        host = hosts.Host()
        undo.callback(host.close)
        made = filtered(host, RULES)
        assert made.returncode == 0, made.stderr
        for address in (ONE, TWO, STRANGER):
            host.ip("addr", "add", f"{address}/32", "dev", "lo")
        host.ip("route", "add", "10.99.0.0/16", "dev", "lo")
        host.ip("route", "add", "240.0.0.0/4", "dev", "lo")
        host.ip("-6", "route", "add", "fd99::/64", "dev", "lo")
        apps = {}
        local = "127.0.0.1"
        for at, port, text in (
            (local, WEB, "one"),
            (local, WEB + 100, "two"),
            (local, DB, "db"),
            (STRANGER, PLAIN, "stranger"),
        ):
            apps[text] = host.run(
                lambda at=at, port=port, text=text: Recorder(port, answers(text), at)
            )
            undo.callback(apps[text].close)

        def make(*entries, shop=None, more=(), api=None, **proxy):
            node = Transparent(
                host,
                ports,
                services=[
                    instance("shop", "127.0.0.1", 8000, 21000, **(shop or {"mode": "transparent"})),
                    {
                        **instance("web", ONE, WEB, 21001, **proxy),
                        "tagged_addresses": {"virtual": {"address": VIRTUAL}},
                    },
                    {
                        **instance("web", TWO, WEB + 100, 21002, **proxy),
                        "tagged_addresses": {"virtual": {"address": VIRTUAL6}},
                    },
                    {
                        **instance("db", ONE, DB, 21003),
                        "tagged_addresses": {"virtual": {"address": VIRTUAL_DB}},
                    },
                    *more,
                ],
                **({"api": api} if api else {}),
                config_entries=[defaults("web"), *entries],
                mesh={"intentions_default": "deny"},
                dns={"bind_addr": f"127.0.0.1:{NAMES}"},
            )
            undo.callback(node.close)
            node.start(under=host.under)
            node.apps = apps
            return node

        yield make


def test_addresses_stand_for_services_as_intentions_allow(world):
    node = world()
    for address, port in ((VIRTUAL, 80), (VIRTUAL, 4711), (VIRTUAL6, 80), (ONE, WEB)):
        assert node.get(address, port)[0] == "403", (address, port)
    assert node.call(VIRTUAL_DB, 5432, "GET / HTTP/1.0\r\n\r\n") in CLOSED
    node.allow("shop", "web")
    node.allow("shop", "db")
    for address, port in ((VIRTUAL, 80), (VIRTUAL, 4711), (VIRTUAL6, 80), (ONE, WEB)):
        status, text = node.get(address, port)
        assert status == "200", (address, port, text)
        assert "\ndate: " in text, "requests are understood"
    answer = node.call(VIRTUAL_DB, 5432, "GET / HTTP/1.1\r\nHost: db\r\n\r\n")
    assert answer.endswith("db"), answer
    assert "\ndate: " not in answer, "bytes are passed on as they are"
    told = json.loads(
        node.meshctl("explain", "GET", f"http://{VIRTUAL}:80/", "--from", "shop", "--json").stdout
    )
    assert "forwarded to web.default.dc1@shop" in told["outcome"], told
    first = next(phase for phase in told["phases"] if phase["phase"] == "listener")
    assert "outbound:web" in first["detail"], first


def test_addresses_that_the_node_gives_lead_to_services_without_an_upstream(world, tmp_path):
    """One for each service of the mesh, and for a name that only a resolver's entry knows."""
    canary = {"kind": "service-resolver", "name": "canary", "redirect": {"service": "web"}}
    node = world(defaults("canary"), canary)
    known = {name: node.resolve(f"{name}.virtual.consul") for name in ("web", "db", "canary")}
    assert len(set(known.values())) == 3, known
    assert all(address.startswith("240.0.0.") for address in known.values()), known
    assert node.resolve("gone.virtual.consul") is None
    assert node.get(known["web"], 80)[0] == "403", "as intentions allow"
    node.allow("shop", "web")
    node.allow("shop", "db")
    for name, port in (("web", 80), ("web", 4711), ("canary", 80)):
        status, text = node.get(known[name], port)
        assert status == "200", (name, port, text)
        assert text.endswith(("one", "two")), text
    assert node.call(known["db"], 5432, "GET / HTTP/1.1\r\nHost: db\r\n\r\n").endswith("db")

    definition = tmp_path / "late.json"
    late = instance("late", TWO, WEB + 100, 21009)
    definition.write_text(json.dumps({"service": late}), encoding="utf-8")
    node.meshctl("service", "register", str(definition))
    node.allow("shop", "late")
    address = node.resolve("late.virtual.consul")
    assert address and address not in known.values()
    assert node.call(address, 80, "GET / HTTP/1.1\r\nHost: late\r\n\r\n").endswith("two")

    assert node.stop() == 0
    node.start(under=node.host.under)
    again = {name: node.resolve(f"{name}.virtual.consul") for name in known}
    assert again == known, "an address is its service's for good"
    assert node.resolve("late.virtual.consul") == address
    node.meshctl("service", "deregister", late["id"])
    assert node.resolve("late.virtual.consul") is None
    # Who knows the address still is closed: what was meant for the mesh goes nowhere in plain text.
    assert node.call(address, 80, "GET / HTTP/1.1\r\nHost: late\r\n\r\n") in CLOSED
    listener = "shop-127.0.0.1-sidecar-proxy:outbound"
    wait_for(lambda: node.outcome(listener, "no_route") == 1, WAIT, "the refusal is counted")
    asked = ["explain", "GET", f"http://{address}:80/", "--listener", listener, "--json"]
    told = json.loads(node.meshctl(*asked).stdout)
    assert "virtual addresses lead nowhere else" in json.dumps(told), told
    assert node.get(known["web"], 80)[0] == "200"


def seen(node, address, port, count):
    """Which applications answer."""
    return {node.get(address, port)[1].rsplit("\n", 1)[-1] for _ in range(count)}


def test_an_instance_that_is_dialled_directly_is_called_as_itself(world):
    node = world(transparent_proxy={"dialed_directly": True})
    node.allow("shop", "web")
    assert seen(node, ONE, WEB, 6) == {"one"}
    assert seen(node, TWO, WEB + 100, 6) == {"two"}
    wait_for(lambda: seen(node, VIRTUAL, 80, 8) == {"one", "two"}, WAIT, "both instances", 0.1)


def test_the_address_of_an_instance_stands_for_all_of_them(world):
    node = world()
    node.allow("shop", "web")
    wait_for(lambda: seen(node, ONE, WEB, 8) == {"one", "two"}, WAIT, "both instances", 0.1)


def test_who_nobody_knows_is_called_as_asked_for_unless_that_is_forbidden(world):
    shop = {"kind": "service-defaults", "name": "shop", "mode": "transparent"}
    node = world(shop, shop={"config": {}})
    assert node.get(STRANGER, PLAIN)[1].endswith("stranger")
    entry = {
        "kind": "mesh",
        "name": "mesh",
        "transparent_proxy": {"mesh_destinations_only": True},
    }
    node.config["config_entries"].append(entry)
    node.write_config()
    assert node.stop() == 0
    node.start(under=node.host.under)
    assert node.get(STRANGER, PLAIN)[1] in CLOSED
    listener = "shop-127.0.0.1-sidecar-proxy:outbound"
    wait_for(lambda: node.outcome(listener, "no_route") == 1, WAIT, "the refusal is counted")
    node.allow("shop", "web")
    assert node.get(VIRTUAL, 80)[0] == "200"


def test_whoever_calls_the_port_itself_is_closed(world):
    node = world()

    def call():
        # The end may be seen before the connection is.
        with contextlib.suppress(ConnectionResetError):
            with socket.create_connection(("127.0.0.1", OUTBOUND), timeout=WAIT) as sock:
                return sock.recv(1)
        return b""

    assert node.host.run(call) == b""
    listener = "shop-127.0.0.1-sidecar-proxy:outbound"
    wait_for(lambda: node.outcome(listener, "not_redirected") == 1, WAIT, "the end is counted")


class Beside(Sidecar):
    """A sidecar of the agent at 8500 of the same host, asked over its socket."""

    wait_ready, call, get = Transparent.wait_ready, Transparent.call, Transparent.get

    def __init__(self, host, ports, *options):
        super().__init__(ports, "127.0.0.1:8500", *options)
        self.host = host


def test_beside_an_agent_the_services_are_those_that_intentions_allow(world):
    """The registration says that the proxy is transparent, the rest is found out: what it may call
    by intentions, where by the addresses of proxies, what else by the entry `mesh`.
    """
    proxy = {
        "name": "shop-proxy",
        "kind": "connect-proxy",
        "address": "127.0.0.1",
        "port": 21009,
        "proxy": {
            "destination_service_name": "shop",
            "local_service_port": 8000,
            "mode": "transparent",
            "transparent_proxy": {"outbound_listener_port": OUTBOUND},
        },
    }
    node = world(
        shop={"mode": "direct"},
        more=[proxy],
        api={"bind_addr": "127.0.0.1:8500"},
        transparent_proxy={"dialed_directly": True},
    )
    made = Beside(node.host, node.ports, "--proxy-id", "shop-proxy")
    try:
        made.start(under=node.host.under)
        assert made.get(STRANGER, PLAIN)[1].endswith("stranger")
        node.allow("shop", "web")
        node.allow("shop", "db")
        for address, port in ((VIRTUAL, 80), (VIRTUAL6, 4711), (ONE, WEB), (TWO, WEB + 100)):
            wait_for(
                lambda at=(address, port): "\ndate: " in made.get(*at)[1], WAIT, f"{address}", 0.2
            )
        assert seen(made, ONE, WEB, 4) == {"one"}
        assert seen(made, TWO, WEB + 100, 4) == {"two"}
        wait_for(lambda: seen(made, VIRTUAL, 80, 8) == {"one", "two"}, WAIT, "both instances", 0.1)
        wait_for(lambda: made.get(VIRTUAL_DB, 5432)[1].endswith("db"), WAIT, "bytes", 0.2)
        assert "\ndate: " not in made.get(VIRTUAL_DB, 5432)[1]
        wait_for(lambda: not made.problems(), WAIT, "an end of all problems", 0.2)
        node.host.run(
            lambda: Agent(8500).entry(
                Kind="mesh", Name="mesh", TransparentProxy={"MeshDestinationsOnly": True}
            )
        )
        wait_for(lambda: made.get(STRANGER, PLAIN)[1] in CLOSED, WAIT, "a closed mesh", 0.2)
        assert made.get(VIRTUAL, 80)[0] == "200"
        node.deny("shop", "web")
        wait_for(lambda: made.get(VIRTUAL, 80)[0] != "200", WAIT, "the denial", 0.2)
        assert made.get(VIRTUAL_DB, 5432)[1].endswith("db")
    finally:
        made.close()
