"""Proves that the catalog shows virtual addresses of the mesh's services as Consul's does, and whom
they go to. What they lead to is proved by test_transparent, their names by test_dns.
"""

import pytest
from test_sidecar_api import Agent


@pytest.fixture
def agent(nodes, ports):
    return Agent(nodes, ports)


def test_virtual_addresses_are_shown(agent, ports):
    """With what takes part in the mesh for a service, under the port of that; not with others."""
    agent.register("web", ports.dead())
    native = {"Name": "db", "Address": "127.0.0.1", "Port": 7001, "Connect": {"Native": True}}
    agent.put("/v1/agent/service/register", native)
    agent.put("/v1/agent/service/register", {"Name": "plain", "Address": "127.0.0.1", "Port": 7002})
    name = "consul-virtual"

    def tagged(path, section=None):
        (one,) = agent.read(path)
        return (one[section] if section else one).get(
            "TaggedAddresses" if section else "ServiceTaggedAddresses"
        )

    given = {"Address": "240.0.0.1", "Port": agent.first}
    assert tagged("/v1/health/connect/web", "Service")[name] == given
    assert tagged("/v1/catalog/connect/web")[name] == given
    assert tagged("/v1/health/service/web-sidecar-proxy", "Service")[name] == given
    node = agent.read("/v1/catalog/node/node-1")["Services"]["web-sidecar-proxy"]
    assert node["TaggedAddresses"][name] == given
    assert tagged("/v1/health/connect/db", "Service")[name] == {
        "Address": "240.0.0.2",
        "Port": 7001,
    }
    for path in ("web", "plain"):
        assert name not in tagged(f"/v1/health/service/{path}", "Service")
    # Given back with the last instance, and not given to who comes next.
    agent.put("/v1/agent/service/deregister/db")
    agent.register("late", ports.dead())
    assert tagged("/v1/catalog/connect/late")[name]["Address"] == "240.0.0.3"
