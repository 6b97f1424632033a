"""Proves that the load balancing of a service-resolver decides about endpoints: the same one for
the same header, parameter, client or cookie over HTTP/1.1 and HTTP/2, the cookie made where it is
missing, nobody else's endpoint moved by a health flip or a new instance; near ones first; less for
what has just come back and for what is slow. `explain` names the endpoint that the workers take.
"""

import json
import re
import time
from collections import Counter

import http2
import pytest
from h2client import Http2
from ringmesh import defaults, listener, service
from test_bad_configuration import run
from test_endpoints import named
from wire import Client, get, wait_for

NAMES = ("one", "two", "three", "four")
USERS = 80  # that one of four gets nobody has odds of 10^-9


def resolver(**balancer):
    more = balancer.pop("more", {})
    return {"kind": "service-resolver", "name": "web", "load_balancer": balancer, **more}


@pytest.fixture
def instances(recorders):
    return {name: recorders(named(name)) for name in NAMES}


@pytest.fixture
def web(nodes, ports, instances):
    """A node with four instances of web that report their own health, balanced as asked."""

    def make(*entries, node=None, localities=(), names=NAMES, **more):
        port = ports.take()
        services = [
            service(
                "web",
                instances[name].port,
                id=name,
                checks=[{"ttl": "60s", "status": "passing"}],
                **({"locality": localities[at]} if localities else {}),
            )
            for at, name in enumerate(names)
        ]
        made = nodes(
            services=services,
            config_entries=[defaults("web"), *entries],
            listeners=[listener("public", port, "web", **more)],
            **({"node": node} if node else {}),
        ).start()
        made.port = port
        return made

    return make


def ask(node, target="/", headers=()):
    return get(node.port, target, headers=list(headers)).body.decode()


def by_user(node):
    return {user: ask(node, headers=[f"X-User: {user}"]) for user in range(USERS)}


def explained(node, *arguments):
    return node.meshctl("explain", "GET", f"http://x:{node.port}/", *arguments).stdout


@pytest.mark.parametrize("policy", ["ring_hash", "maglev"])
def test_a_header_decides(web, policy):
    by_header = {"field": "header", "field_value": "x-user"}
    node = web(resolver(policy=policy, hash_policies=[by_header]))
    first = by_user(node)
    assert set(first.values()) == set(NAMES)
    assert all(by_user(node) == first for _ in range(3))
    generation = node.status()["generation"]
    node.meshctl("check", "fail", "service:two")
    without = by_user(node)
    assert "two" not in without.values()
    assert {u: n for u, n in without.items() if first[u] != "two"} == {
        u: n for u, n in first.items() if n != "two"
    }
    node.meshctl("check", "pass", "service:two")
    assert by_user(node) == first
    assert node.status()["generation"] == generation, "health made a snapshot"
    for user in range(4):
        told = explained(node, "--header", f"X-User: {user}")
        assert f"{policy} by the header x-user leads to {first[user]} at" in told, told


def test_a_new_instance_takes_its_part_only(web, instances, tmp_path):
    node = web(
        resolver(policy="ring_hash", hash_policies=[{"field": "header", "field_value": "x-user"}]),
        names=NAMES[:3],
    )
    before = by_user(node)
    document = tmp_path / "four.yaml"
    document.write_text(f"service: {{ name: web, id: four, port: {instances['four'].port} }}\n")
    node.meshctl("service", "register", str(document))
    wait_for(lambda: "four" in by_user(node).values(), 5, "the new instance has users")
    after = by_user(node)
    # A quarter goes to it; points that a ring of fixed size has no room for any more move a few.
    assert sum(before[user] == name for user, name in after.items()) >= USERS // 4


def test_clients_and_parameters_decide(web):
    policies = [
        {"field": "query_parameter", "field_value": "cart", "terminal": True},
        {"source_ip": True},
    ]
    node = web(resolver(policy="maglev", hash_policies=policies))
    assert len({ask(node) for _ in range(12)}) == 1
    carts = {cart: ask(node, f"/?cart={cart}") for cart in range(16)}
    assert len(set(carts.values())) > 2
    assert carts == {cart: ask(node, f"/x?a=b&cart={cart}") for cart in range(16)}


COOKIE = re.compile(r"cart=([0-9a-f]{16}); Path=/shop; Max-Age=3600; HttpOnly; SameSite=Strict")
COOKIE_POLICY = {
    "field": "cookie",
    "field_value": "cart",
    "cookie_config": {"ttl": "1h", "path": "/shop", "same_site": "strict"},
}


def test_a_cookie_is_made(web):
    node = web(resolver(policy="ring_hash", hash_policies=[COOKIE_POLICY]))
    met = set()
    for _ in range(16):
        answer = get(node.port)
        (field,) = [value for name, value in answer.headers if name.lower() == "set-cookie"]
        value = COOKIE.fullmatch(field).group(1)
        again = [get(node.port, headers=[f"Cookie: a=b; cart={value}"]) for _ in range(3)]
        assert {a.body for a in again} == {answer.body}
        assert not any(n.lower() == "set-cookie" for a in again for n, _ in a.headers)
        met.add(answer.body.decode())
    assert len(met) > 2
    assert "the answer sets the cookie cart; Path=/shop" in explained(node)
    told = explained(node, "--header", f"Cookie: cart={value}")
    assert f"by the cookie cart leads to {answer.body.decode()} " in told


@http2.needed
def test_a_cookie_is_made_over_http_2(web):
    node = web(resolver(policy="maglev", hash_policies=[COOKIE_POLICY]))
    with Http2(node.port) as client:
        client.start()
        stream = 1
        for _ in range(8):
            client.get(stream)
            answer = client.answer(stream)
            (field,) = answer.values("set-cookie")
            value = COOKIE.fullmatch(field).group(1)
            # In pieces, as browsers send it.
            client.get(stream + 2, fields=[("cookie", "a=b"), ("cookie", f"cart={value}")])
            again = client.answer(stream + 2)
            assert bytes(again.body) == bytes(answer.body) and not again.values("set-cookie")
            stream += 4


def locality(zone, region="north"):
    return {"region": region, "zone": zone}


def test_near_ones_first(web):
    """Two in the zone, one in the region, one elsewhere: with one of the two gone half is healthy,
    which is 50/70 of the traffic; with both gone the next takes all.
    """
    node = web(
        resolver(policy="random", more={"prioritize_by_locality": {"mode": "failover"}}),
        node={"name": "node-1", "locality": locality("a")},
        localities=[locality("a"), locality("a"), locality("b"), locality("a", "south")],
    )
    assert {ask(node) for _ in range(60)} == {"one", "two"}
    node.meshctl("check", "fail", "service:one")
    seen = Counter(ask(node) for _ in range(300))
    assert set(seen) == {"two", "three"}
    assert 300 * 0.55 < seen["two"] < 300 * 0.87  # six standard deviations
    assert "71.4 % the same zone, 28.6 % the same region, 0.0 % elsewhere" in explained(node)
    node.meshctl("check", "fail", "service:two")
    assert {ask(node) for _ in range(60)} == {"three"}
    node.meshctl("check", "fail", "service:three")
    assert {ask(node) for _ in range(20)} == {"four"}
    node.meshctl("check", "fail", "service:four")
    assert get(node.port).status == 503
    node.meshctl("check", "pass", "service:one")
    assert {ask(node) for _ in range(20)} == {"one"}


def test_who_comes_back_begins_slowly(web):
    node = web(resolver(policy="random", slow_start="1h"), names=NAMES[:2])
    # Whoever is there at the start is not new among others.
    assert all(n > 30 for n in Counter(ask(node) for _ in range(120)).values())
    node.meshctl("check", "fail", "service:one")
    assert {ask(node) for _ in range(20)} == {"two"}
    node.meshctl("check", "pass", "service:one")
    seen = Counter(ask(node) for _ in range(300))
    assert seen["one"] < 300 * 0.25, "it takes a tenth of a share at first"
    assert "weights grow over 3600000 ms" in explained(node)


def test_a_slow_one_is_asked_less(web, instances):
    def slow(request, connection):
        time.sleep(0.5)
        return named("one")(request, connection)

    node = web(resolver(policy="peak_ewma"), names=NAMES[:3])
    assert {ask(node) for _ in range(30)} == set(NAMES[:3])
    instances["one"].answer = slow
    with Client(node.port):
        seen = Counter(ask(node) for _ in range(150))
    assert seen["one"] < 15, seen
    assert seen["two"] > 20 and seen["three"] > 20


def test_what_makes_no_sense_is_refused(tmp_path):
    wrong = {
        "policy": "maglev",
        "maglev_config": {"table_size": 65536},
        "slow_start": "25h",
        "hash_policies": [{"field": "cookie", "field_value": "a b"}],
    }
    done = run(tmp_path, "validate", json.dumps({"config_entries": [resolver(**wrong)]}))
    assert done.returncode == 78
    for text in ("write a prime number", "write a time of 0s to 24h", "not a name that HTTP"):
        assert text in done.stderr, done.stderr
