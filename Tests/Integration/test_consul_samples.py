"""Exchanges recorded with a real Consul agent are played against a node: statuses, headers, members
and their types are the recorded ones. What is different on purpose stands in a table with its
reason, and a difference that is gone is a failure too.
"""

import json

import consul_samples
import pytest

SERVER = "another installation: addresses of servers, version of Raft"
WEIGHTS = "a sidecar has its service's weights unless it has its own; Consul gives it 1 and 1"
LISTENS = "the sidecar is a listener of this node and runs; with the recorded agent none did"
# The cluster's id, which every identity of the recording carries.
RECORDED_CLUSTER = "f041c853-1fa4-14ac-5387-e907857bb068"
VIRTUAL = "services of the mesh have virtual addresses, which Consul gives from 1.11 on"
DIFFERENT = {
    "status/leader": SERVER,
    "status/peers": SERVER,
    "agent/self": SERVER,
    "agent/members": SERVER,
    "agent/services": WEIGHTS,
    "agent/services-filter": WEIGHTS,
    "agent/services-after": WEIGHTS,
    "agent/checks": LISTENS,
    "agent/maintenance-checks": LISTENS,
    "agent/metrics": "the agent's own figures are at the admin address, for Prometheus",
    "catalog/connect": VIRTUAL,
    "health/connect-native": VIRTUAL,
    "health/connect": LISTENS,
    "health/connect-passing-stale": WEIGHTS,
    "health/connect-filter": WEIGHTS,
    "health/state-critical": LISTENS,
    "health/state-any": LISTENS,
    "blocking/absent-service": "not pretty unless asked for, as outside of Consul's dev mode",
    "authorize/other-ns": "an identity of another namespace is none: there is one",
    "authorize/escaped": "identities with escapes are refused: two readers could differ on them",
    "authorize/wrong-method": "PUT is taken as well: an old client sends it",
    "authorize/matched-wild-dst": "every decision is made of the present state: none is a miss",
    "connect/leaf": "made for this request, so it was in no cache",
    "connect/agent-roots": "the root has a name of ours",
    "connect/roots": "the root has a name of ours",
    "connect/roots-pem": "another root",
    "misc/root": "there is no page of ours at /ui/, so none is named",
    "misc/token-header": "recorded with other services",
    "misc/bearer": "recorded with other services",
}


def until(name, first_left_out):
    """The exchanges of a file before one of them, and the rest."""
    exchanges = consul_samples.load(name)
    names = [exchange["name"] for exchange in exchanges]
    place = names.index(first_left_out)
    return exchanges[:place], exchanges[place:]


def in_recorded_order():
    """Without the one that was woken by somebody else: MeshConsulTests have such."""
    agent, agent_end = until("agent", "agent/maintenance-on")
    catalog, catalog_end = until("catalog", "catalog/deregister-service")
    load = consul_samples.load
    order = (
        load("status") + agent + load("check") + catalog + load("health") + load("blocking")
        + catalog_end + agent_end + load("misc")
    )  # fmt: skip
    return [exchange for exchange in order if exchange["name"] != "blocking/woken"]


def policy_in_recorded_order():
    """Intentions, entries, decisions and certificates."""
    authorize, authorize_matched = until("authorize", "authorize/matched-allow")
    intentions, intentions_end = until("intentions", "intentions/delete-exact")
    deletes, intentions_l7 = intentions_end[:2], intentions_end[2:]
    load = consul_samples.load
    return (
        authorize + intentions + authorize_matched[:3] + deletes + load("config") + intentions_l7
        + authorize_matched[3:] + load("chain") + load("connect")
    )  # fmt: skip


def resolver_index(node):
    """When the resolver of web was last written: what a compare-and-set must name."""
    request = {"method": "GET", "path": "/v1/config/service-resolver/web"}
    return json.loads(consul_samples.send(node.api, request)[2])["ModifyIndex"]


def play(node, exchanges):
    """What differs, by name of the exchange."""
    found = {}
    names = {RECORDED_CLUSTER: consul_samples.cluster(node.api)}
    # Sidecars got the first automatic ports there; here they get ports that are free.
    names |= {str(21000 + number): str(node.first + number) for number in range(2)}
    for recorded in exchanges:
        text = json.dumps(recorded)
        for old, new in names.items():
            text = text.replace(old, new)
        exchange = json.loads(text)
        if exchange["name"] == "config/put-cas-ok":
            exchange["request"]["path"] = f"/v1/config?cas={resolver_index(node)}"
        answer = consul_samples.send(node.api, exchange["request"])
        if exchange["name"] == "intentions/legacy-post":
            names[recorded["response"]["json"]["ID"]] = json.loads(answer[2])["ID"]
        lines = consul_samples.differences(exchange["response"], answer)
        if lines:
            found[exchange["name"]] = lines
    return found


@pytest.fixture(name="node")
def fixture_node(nodes, ports):
    """A node with nothing registered, its API on a port of its own."""
    port, first = ports.take(), ports.block(8)
    node = nodes(
        node={"name": "lab", "datacenter": "dc1"},
        api={"bind_addr": f"127.0.0.1:{port}"},
        mesh={
            "intentions_default": "allow",
            "sidecar_min_port": first,
            "sidecar_max_port": first + 7,
        },
    )
    node.start()
    node.api, node.first = f"http://127.0.0.1:{port}", first
    return node


def test_answers_are_as_recorded(node):
    """Every difference has its reason in the table, and every line of the table is needed."""
    found = play(node, in_recorded_order())
    unknown = {name: lines for name, lines in found.items() if name not in DIFFERENT}
    assert not unknown, unknown
    policy = play(node, policy_in_recorded_order())
    unknown = {name: lines for name, lines in policy.items() if name not in DIFFERENT}
    assert not unknown, unknown
    assert DIFFERENT.keys() == found.keys() | policy.keys()
