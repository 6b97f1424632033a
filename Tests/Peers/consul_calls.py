"""What a Python client of Consul's does with the API; run with the client's package on the path.

    consul_calls.py HOST PORT

Prints one line per call that went as it should and ends with 0, or with a traceback.
"""

import sys
import threading

import consul


def main(host, port):
    client = consul.Consul(host=host, port=int(port))
    for call in (agent, checks, blocking, catalog, health, policy):
        call(client)
        print(call.__name__)


def agent(client):
    own = client.agent.self()
    assert own["Config"]["Version"] == "1.9.8"
    assert client.status.leader().endswith(":8300")
    assert client.status.peers()
    assert [member["Name"] for member in client.agent.members()] == [own["Config"]["NodeName"]]
    assert client.agent.service.register("shop", "shop-1", port=8080, tags=["a", "b"])
    assert client.agent.services()["shop-1"]["Tags"] == ["a", "b"]
    assert client.agent.service.maintenance("shop-1", "true", "tests")
    _, nodes = client.health.service("shop", passing=True)
    assert nodes == []
    assert client.agent.service.maintenance("shop-1", "false")
    _, nodes = client.health.service("shop", passing=True)
    assert [node["Service"]["ID"] for node in nodes] == ["shop-1"]


def checks(client):
    ttl = consul.Check.ttl("60s")
    assert client.agent.service.register("beat", port=1, check=ttl)
    _, nodes = client.health.service("beat", passing=True)
    assert nodes == []
    assert client.agent.check.ttl_pass("service:beat", "well")
    _, nodes = client.health.service("beat", passing=True)
    assert nodes[0]["Checks"][1]["Output"] == "well"
    assert client.agent.check.ttl_warn("service:beat")
    _, (check,) = client.health.checks("beat")
    assert check["Status"] == "warning"
    assert client.agent.check.ttl_fail("service:beat")
    _, states = client.health.state("critical")
    assert "service:beat" in [check["CheckID"] for check in states]
    assert client.agent.check.register("memory", check=ttl, check_id="memory")
    assert client.agent.check.ttl_pass("memory")
    assert "memory" in client.agent.checks()
    assert client.agent.check.deregister("memory")
    assert "memory" not in client.agent.checks()


def blocking(client):
    index, _ = client.health.service("beat")
    later = threading.Timer(0.3, client.agent.check.ttl_pass, ["service:beat"])
    later.start()
    woken, nodes = client.health.service("beat", index=index, wait="20s")
    later.join()
    assert int(woken) > int(index), (woken, index)
    assert nodes[0]["Checks"][1]["Status"] == "passing"


def catalog(client):
    place = {"service": "pay", "id": "pay-1", "port": 443, "address": "192.0.2.11"}
    assert client.catalog.register("ext-1", "192.0.2.10", service=place)
    _, nodes = client.catalog.nodes()
    assert "ext-1" in [node["Node"] for node in nodes]
    _, services = client.catalog.services()
    assert services["shop"] == ["a", "b"] and services["pay"] == []
    _, (instance,) = client.catalog.service("pay")
    assert instance["ServicePort"] == 443
    _, node = client.catalog.node("ext-1")
    assert list(node["Services"]) == ["pay-1"]
    assert client.catalog.datacenters() == ["dc1"]
    assert client.catalog.deregister("ext-1")
    _, instances = client.catalog.service("pay")
    assert instances == []


def health(client):
    _, checks = client.health.node(client.agent.self()["Config"]["NodeName"])
    assert "serfHealth" in [check["CheckID"] for check in checks]
    assert client.agent.service.deregister("shop-1")
    assert client.agent.service.deregister("beat")
    assert client.agent.services() == {}


def policy(client):
    """What not every client has is left out for those that have not."""
    if hasattr(getattr(client, "connect", None), "ca"):
        assert client.connect.ca.roots()["Roots"][0]["Active"]
        config = client.connect.ca.configuration()
        assert config["Provider"] == "consul"


if __name__ == "__main__":
    main(*sys.argv[1:])
