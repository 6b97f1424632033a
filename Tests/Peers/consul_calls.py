"""What a Python client of Consul's does with the API; run with the client's package on the path.

    consul_calls.py HOST PORT

Prints one line per call that went as it should and ends with 0, or with a traceback.
"""

import base64
import sys
import threading

import consul


def main(host, port):
    client = consul.Consul(host=host, port=int(port))
    calls = (agent, checks, blocking, catalog, health, policy, pairs, locks, several, told)
    for call in calls:
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


def pairs(client):
    assert client.kv.put("dir/a", "1", flags=7) is True
    assert client.kv.put("dir/b", "2") is True
    _, pair = client.kv.get("dir/a")
    assert (pair["Value"], pair["Flags"]) == (b"1", 7)
    assert client.kv.put("dir/a", "no", cas=pair["ModifyIndex"] - 1) is False
    assert client.kv.put("dir/a", "3", cas=pair["ModifyIndex"]) is True
    _, found = client.kv.get("dir/", recurse=True)
    assert [(pair["Key"], pair["Value"]) for pair in found] == [("dir/a", b"3"), ("dir/b", b"2")]
    assert client.kv.get("dir/", keys=True)[1] == ["dir/a", "dir/b"]
    assert client.kv.delete("dir/", recurse=True) is True
    assert client.kv.get("dir/a")[1] is None


def locks(client):
    first, second = client.session.create("first"), client.session.create("second", ttl=20)
    assert client.kv.put("lock", "1", acquire=first) is True
    assert client.kv.put("lock", "2", acquire=second) is False
    assert client.kv.get("lock")[1]["Session"] == first
    assert client.kv.put("lock", "1", release=first) is True
    assert client.session.renew(second)["TTL"] == "20s"
    assert client.session.info(first)[1]["Name"] == "first"
    assert {session["ID"] for session in client.session.list()[1]} == {first, second}
    for session in (first, second):
        assert client.session.destroy(session) is True


def several(client):
    value = base64.b64encode(b"1").decode()
    done = client.txn.put([{"KV": {"Verb": "set", "Key": "a", "Value": value}}])
    assert done["Errors"] is None
    node = {"Node": {"Verb": "set", "Node": {"Node": "ext-2", "Address": "192.0.2.12"}}}
    done = client.txn.put([node, {"KV": {"Verb": "get", "Key": "a"}}])
    assert done["Results"][0]["Node"]["Node"] == "ext-2"
    assert done["Results"][1]["KV"]["Value"] == value
    _, nodes = client.catalog.nodes()
    assert "ext-2" in [node["Node"] for node in nodes]


def told(client):
    assert client.event.fire("deploy", "now")["Name"] == "deploy"
    assert [event["Name"] for event in client.event.list(name="deploy")[1]] == ["deploy"]
    assert client.event.list(name="other")[1] == []
    made = client.query.create("web", "webs")
    assert [query["ID"] for query in client.query.list()] == [made["ID"]]
    assert client.query.delete(made["ID"])
    assert client.coordinate.nodes()[1][0]["Coord"]["Vec"] == [0] * 8


if __name__ == "__main__":
    main(*sys.argv[1:])
