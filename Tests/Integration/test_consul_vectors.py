"""What a Consul 1.9.8 agent answered to writes of config entries and to filters, over a socket; and
registrations in the words that the first clients of the mesh were given.
"""

import json
from pathlib import Path

import pytest
from consul_dump import ENTRIES, dump
from sidecars import Agent

FOLDER = Path(__file__).resolve().parents[1] / "Vectors" / "consul"
KNOWN = "the key is known here, and the value refused"
NEWER = "refused, as by newer versions"
# Writes of entries that we answer otherwise, and why.
DIFFERENT = {
    "put-proxy-defaults-name": NEWER,
    "put-sd-protocol-bad": NEWER,
    "splitter-negative": "a share below nothing is none",
    "router-retryon-bad": KNOWN,
    "resolver-redirect-peer-no-service": KNOWN,
    "resolver-redirect-peer-subset": KNOWN,
    "resolver-failover-dcs-and-targets": KNOWN,
    "resolver-failover-service-and-targets": KNOWN,
    "resolver-failover-target-peer-subset": KNOWN,
    "resolver-failover-target-peer-dc": KNOWN,
    "resolver-failover-policy-bad": KNOWN,
    "ixn-perm-header-contains": "the keys are known here",
}
AGENT = "consul-1.9.8-agent"


def load(name):
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(name="agent")
def fixture_agent(nodes, ports):
    port = ports.take()
    nodes(
        workers=1,
        node={"name": "lab", "datacenter": "dc1"},
        api={"bind_addr": f"127.0.0.1:{port}"},
    ).start()
    return Agent(port)


def clear(agent):
    """Takes all entries away: those that lead first, those that are led to last."""
    for kind in reversed(ENTRIES):
        for entry in agent.get(f"/v1/config/{kind}"):
            status, text = agent.ask("DELETE", f"/v1/config/{kind}/{entry['Name']}")
            assert status == 200, (kind, entry["Name"], text)


def bare(value):
    """Without indexes and without what is empty."""
    if isinstance(value, dict):
        left = {k: bare(v) for k, v in value.items() if k not in ("CreateIndex", "ModifyIndex")}
        return {k: v for k, v in left.items() if v != {}}
    if isinstance(value, list):
        return [bare(element) for element in value]
    return value


def test_writes_of_entries(agent):
    """Status, text and what is kept are the recorded ones; what is refused changes nothing."""
    refused = others = 0
    for vector in load("config-writes"):
        expected = vector["expect"].get(AGENT)
        if expected is None:
            continue
        clear(agent)
        for entry in vector["existing_entries"]:
            agent.put("/v1/config", entry)
        before = dump(agent.answer)
        status, body = agent.ask("PUT", "/v1/config", vector["put"])
        body = body.decode()
        same = status == expected["status"] and body == expected.get("body", body)
        assert same != (vector["id"] in DIFFERENT), (vector["id"], status, body, expected)
        if status != 200:
            assert body, vector["id"]
            assert dump(agent.answer) == before, vector["id"]
            refused += 1
        elif same and expected.get("stored"):
            stored = expected["stored"]
            kept = agent.get(f"/v1/config/{stored['Kind']}/{stored['Name']}")
            assert bare(kept) == bare(stored), vector["id"]
        others += not same
    assert others == len(DIFFERENT) and refused > 30


def identity(entry):
    """What the vectors call an answer's element: an instance, a check of one, or a node."""
    if "Service" in entry:
        return entry["Service"]["ID"]
    return entry.get("CheckID") or entry.get("ServiceID") or entry["Node"]


def test_filters(agent):
    """The five instances among which a Consul has chosen, and its choices and complaints."""
    vectors = load("filters")
    # One more node was there.
    other = {"Node": "ext-1", "Address": "192.0.2.1", "NodeMeta": {"site": "kiel"}}
    agent.put("/v1/catalog/register", other)
    for one in vectors["instances"]:
        agent.put("/v1/catalog/register", {
            "Node": one["node"], "Address": "192.0.2.9", "NodeMeta": one["node_meta"],
            "Service": {
                "ID": one["id"], "Service": "fsvc", "Tags": one["tags"], "Meta": one["meta"],
                "Address": one["address"], "Port": one["port"],
            },
            "Check": {
                "Node": one["node"], "CheckID": f"service:{one['id']}", "Name": "c",
                "ServiceID": one["id"], "Status": one["status"],
            },
        })  # fmt: skip
    for case in vectors["cases"]:
        status, body = agent.ask("GET", case["endpoint"], filter=case["filter"])
        place = (case["endpoint"], case["filter"], body)
        assert status == case["status"], place
        if status == 200:
            chosen = {identity(entry) for entry in json.loads(body)}
            assert chosen == set(case["selected"]), place
        elif "error" in case:
            # Behind that stand the words of the engine of regular expressions, which is ours.
            said, _, more = case["error"].partition("error parsing regexp: ")
            text = body.decode()
            assert text.startswith(said) and len(text) > len(said) if more else text == said, place
    assert len(vectors["cases"]) > 40


FIRST_CLIENTS = [
    {"Name": "redis", "Port": 6379},
    # A proxy that somebody runs himself, before there was a `Proxy` section.
    {"Name": "redis-proxy", "Kind": "connect-proxy", "ProxyDestination": "redis", "Port": 8181},
    # One that speaks mutual TLS itself.
    {"Name": "redis", "ID": "redis-native", "Port": 6380, "Connect": {"Native": True}},
]


def test_the_first_clients_words(agent):
    """`ProxyDestination` at the top, `Connect { Native }`: registered as they are and found."""
    for document in FIRST_CLIENTS:
        agent.put("/v1/agent/service/register", document)
    proxy = agent.get("/v1/agent/service/redis-proxy")
    assert (proxy["Kind"], proxy["Port"]) == ("connect-proxy", 8181)
    assert proxy["Proxy"]["DestinationServiceName"] == "redis"
    found = agent.get("/v1/catalog/connect/redis")
    assert {one["ServiceID"] for one in found} == {"redis-proxy", "redis-native"}
    healthy = agent.get("/v1/health/connect/redis")
    assert {one["Service"]["ID"] for one in healthy} == {"redis-proxy", "redis-native"}
    native = next(one for one in healthy if one["Service"]["ID"] == "redis-native")
    assert native["Service"]["Connect"]["Native"] is True


def test_the_first_clients_files(nodes, ports, tmp_path):
    """The same in the words of files, registered by meshctl."""
    node = nodes(workers=1, api={"bind_addr": f"127.0.0.1:{ports.take()}"}).start()
    documents = [
        {"service": {"name": "redis", "port": 6379, "connect": {"native": True}}},
        {
            "service": {
                "name": "redis-proxy",
                "kind": "connect-proxy",
                "proxy_destination": "redis",
                "port": 8181,
            }
        },
    ]
    for number, document in enumerate(documents):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        node.meshctl("service", "register", path)
    agent = Agent(int(node.config["api"]["bind_addr"].rpartition(":")[2]))
    found = agent.get("/v1/catalog/connect/redis")
    assert {one["ServiceID"] for one in found} == {"redis", "redis-proxy"}
