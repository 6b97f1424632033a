"""Resolvers find services: dig and dnspython against a node, over UDP and TCP.

Proved: names of services, tags, RFC 2782, nodes, queries, the mesh, addresses and the domain
itself; what is not healthy is left out; answers are cut and whole over TCP; other domains are
refused.
"""

import json
import shutil
import socket
import subprocess
import time

import pytest
from ringmesh import service

resolver = pytest.importorskip("dns.resolver", reason="dnspython is not installed")
import dns.flags  # noqa: E402
import dns.message  # noqa: E402
import dns.query  # noqa: E402
import dns.rcode  # noqa: E402

MANY = 120


@pytest.fixture
def names(nodes, ports):
    """A node with services, and a function that asks it."""
    port = ports.take()
    node = nodes(
        workers=1,
        dns={"bind_addr": f"127.0.0.1:{port}", "service_ttl": "7s"},
        services=[
            service("web", 8001, id="web-1", tags=["v1"], weights={"passing": 5, "warning": 1}),
            {**service("web", 8002, id="web-2", tags=["v2"]), "address": ""},
            service("shop", 8003, connect={"native": True}),
            service(
                "down", 9, protocol_checks=[{"tcp": "127.0.0.1:9", "interval": "10s"}], id="down"
            ),
            *[
                {**service("many", 9000 + n, id=f"many-{n}"), "address": f"10.9.0.{n}"}
                for n in range(1, MANY + 1)
            ],
        ],
    )
    node.start()

    def ask(name, kind="A", over=dns.query.udp, **more):
        question = dns.message.make_query(name, kind, **more)
        return over(question, "127.0.0.1", port=port, timeout=30)

    ask.port = port
    ask.node = node
    return ask


def values(answer):
    return sorted(item.to_text() for record in answer.answer for item in record)


def test_services(names):
    """Addresses, tags, ports and weights; in random order, healthy ones only."""
    assert values(names("web.service.consul")) == ["127.0.0.1"]
    assert values(names("WEB.service.dc1.consul.")) == ["127.0.0.1"]
    assert values(names("v1.web.service.consul", "SRV")) == ["1 5 8001 7f000001.addr.dc1.consul."]
    both = names("_web._tcp.service.consul", "SRV")
    assert values(both) == [
        "1 1 8002 node-1.node.dc1.consul.",
        "1 5 8001 7f000001.addr.dc1.consul.",
    ]
    assert {record.name.to_text() for record in both.additional} == {
        "7f000001.addr.dc1.consul.",
        "node-1.node.dc1.consul.",
    }
    assert both.answer[0].ttl == 7
    assert both.flags & dns.flags.AA
    firsts = {
        names("many.service.consul", over=dns.query.tcp).answer[0][0].to_text() for _ in range(12)
    }
    assert len(firsts) > 1, "the order is random"


def test_what_is_not_there(names):
    """NXDOMAIN with the SOA; nothing of the type with the SOA; other domains refused."""
    for name in ("gone.service.consul", "down.service.consul", "v3.web.service.consul", "x.consul"):
        answer = names(name)
        assert answer.rcode() == dns.rcode.NXDOMAIN, name
        assert [record.rdtype.name for record in answer.authority] == ["SOA"]
    empty = names("web.service.consul", "AAAA")
    assert empty.rcode() == dns.rcode.NOERROR
    assert not empty.answer and [record.rdtype.name for record in empty.authority] == ["SOA"]
    assert names("example.com").rcode() == dns.rcode.REFUSED


def test_where_a_service_is_called_as_a_whole(names):
    """Services of the mesh have virtual addresses: A records, and none of another type."""
    for name in ("shop.virtual.consul", "Shop.virtual.default.ns.dc1.dc.consul"):
        assert values(names(name)) == ["240.0.0.1"], name
    empty = names("shop.virtual.consul", "AAAA")
    assert empty.rcode() == dns.rcode.NOERROR and not empty.answer
    for name in ("web.virtual", "gone.virtual", "shop.virtual.other.ns"):
        assert names(f"{name}.consul").rcode() == dns.rcode.NXDOMAIN, name


def test_nodes_addresses_and_the_domain(names):
    """The node by name, an address by its digits, SOA and NS of the domain."""
    assert values(names("node-1.node.consul")) == ["127.0.0.1"]
    assert values(names("0a090001.addr.consul")) == ["10.9.0.1"]
    assert values(names("consul", "NS")) == ["node-1.node.dc1.consul."]
    (soa,) = names("consul", "SOA").answer
    assert abs(soa[0].serial - time.time()) < 60
    assert values(names("ns.consul")) == ["127.0.0.1"]


def test_a_node_with_names_ends_in_good_order(names):
    """Also with a client that is connected."""
    with socket.create_connection(("127.0.0.1", names.port), timeout=30):
        assert names.node.stop() == 0


@pytest.mark.parametrize("size", [None, 512, 1232, 4096])
def test_long_answers_are_cut(names, size):
    """What does not fit is left out, and whole over TCP."""
    more = {} if size is None else {"use_edns": 0, "payload": size}
    limit = 512 if size is None else min(size, 1232)
    question = dns.message.make_query("many.service.consul", "SRV", **more)
    cut = dns.query.udp(question, "127.0.0.1", port=names.port, timeout=30)
    assert cut.flags & dns.flags.TC
    assert len(cut.to_wire(want_shuffle=False)) <= limit + 64
    assert 0 < len(values(cut)) < MANY
    whole = names("many.service.consul", "SRV", over=dns.query.tcp, **more)
    assert len(values(whole)) == MANY
    assert not whole.flags & dns.flags.TC


def test_dig(names):
    """What people type."""
    if not shutil.which("dig"):
        pytest.skip("dig is not installed (bind9-dnsutils)")

    def dig(*words):
        done = subprocess.run(
            ["dig", "@127.0.0.1", "-p", str(names.port), "+time=10", *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout

    assert dig("+short", "web.service.consul").split() == ["127.0.0.1"]
    assert "status: NXDOMAIN" in dig("gone.service.consul")
    # Cut over UDP, dig comes again over TCP by itself.
    assert len(dig("+short", "many.service.consul", "SRV").splitlines()) == MANY
    text = dig("web.service.consul", "ANY")
    assert "SRV" in text and "127.0.0.1" in text
    assert "EDNS: version: 0" in text
    assert "BADVERS" in dig("+edns=1", "+noednsneg", "web.service.consul")


def test_prepared_queries(nodes, ports):
    """A query's answers have its own time to live."""
    port, api = ports.take(), ports.take()
    node = nodes(
        workers=1,
        dns={"bind_addr": f"127.0.0.1:{port}"},
        api={"bind_addr": f"127.0.0.1:{api}"},
        services=[service("web", 8001)],
    )
    node.start()
    import http.client

    client = http.client.HTTPConnection("127.0.0.1", api, timeout=30)
    for body in (
        {"Name": "webs", "Service": {"Service": "web"}, "DNS": {"TTL": "9s"}},
        {
            "Name": "any-",
            "Template": {"Type": "name_prefix_match"},
            "Service": {"Service": "${name.suffix}"},
        },
    ):
        client.request("POST", "/v1/query", json.dumps(body))
        assert client.getresponse().read().startswith(b'{"ID"')
    for name, ttl in (("webs.query.consul", 9), ("any-web.query.consul", 0)):
        question = dns.message.make_query(name, "A")
        answer = dns.query.udp(question, "127.0.0.1", port=port, timeout=30)
        assert values(answer) == ["127.0.0.1"]
        assert answer.answer[0].ttl == ttl
    gone = dns.message.make_query("gone.query.consul", "A")
    assert dns.query.udp(gone, "127.0.0.1", port=port, timeout=30).rcode() == dns.rcode.NXDOMAIN
