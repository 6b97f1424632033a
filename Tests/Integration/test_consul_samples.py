"""Exchanges recorded with a real Consul agent are played against a node: statuses, headers, members
and their types are the recorded ones. What is different on purpose stands in a table with its
reason, and a difference that is gone is a failure too.
"""

import consul_samples
import pytest

SERVER = "another installation: addresses of servers, version of Raft"
WEIGHTS = "a sidecar has its service's weights unless it has its own; Consul gives it 1 and 1"
LISTENS = "the sidecar is a listener of this node and runs; with the recorded agent none did"
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
    "health/connect": LISTENS,
    "health/connect-passing-stale": WEIGHTS,
    "health/connect-filter": WEIGHTS,
    "health/state-critical": LISTENS,
    "health/state-any": LISTENS,
    "blocking/absent-service": "not pretty unless asked for, as outside of Consul's dev mode",
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


def play(node, exchanges):
    """What differs, by name of the exchange."""
    found = {}
    for exchange in exchanges:
        answer = consul_samples.send(node.api, exchange["request"])
        lines = consul_samples.differences(exchange["response"], answer)
        if lines:
            found[exchange["name"]] = lines
    return found


@pytest.fixture(name="node")
def fixture_node(nodes, ports):
    """A node with nothing registered, its API on a port of its own."""
    port = ports.take()
    node = nodes(node={"name": "lab", "datacenter": "dc1"}, api={"bind_addr": f"127.0.0.1:{port}"})
    node.start()
    node.api = f"http://127.0.0.1:{port}"
    return node


def test_agent_catalog_and_health_are_as_recorded(node):
    """Every difference has its reason in the table, and every line of the table is needed."""
    found = play(node, in_recorded_order())
    unknown = {name: lines for name, lines in found.items() if name not in DIFFERENT}
    assert not unknown, unknown
    assert DIFFERENT.keys() == found.keys()
