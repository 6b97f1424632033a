"""Proves that subsets of a service-resolver choose their instances by a filter, that a splitter
shares traffic between them, and that an instance that warns leaves a subset with only_passing at
once and without a new snapshot, while other subsets go on using it.
"""

import json
from collections import Counter

import pytest
from ringmesh import defaults, listener, service
from test_bad_configuration import run
from test_endpoints import named
from wire import PATIENCE, get, wait_for

REQUESTS = 200


def instance(name, recorder, version, **more):
    return service("web", recorder.port, id=name, meta={"version": version}, **more)


def resolver(**subsets):
    return {"kind": "service-resolver", "name": "web", "subsets": subsets}


def by_version(version):
    return {"filter": f"Service.Meta.version == {version} and stable in Service.Tags"}


@pytest.fixture
def instances(recorders):
    return {name: recorders(named(name)) for name in ("one", "two", "three", "odd")}


def test_two_versions_share_the_traffic(nodes, ports, instances):
    """80 to 20 by version; within a version instances take turns; the one without the tag is in
    no subset. A fifth one joins its subset when it is registered.
    """
    port, versions = ports.take(), {"one": "v1", "two": "v2", "three": "v2", "odd": "v1"}
    splits = [{"weight": 80, "service_subset": "old"}, {"weight": 20, "service_subset": "new"}]
    node = nodes(
        services=[
            instance(name, instances[name], version, tags=["stable"] * (name != "odd"))
            for name, version in versions.items()
        ],
        config_entries=[
            defaults("web"),
            resolver(old=by_version("v1"), new=by_version("v2")),
            {"kind": "service-splitter", "name": "web", "splits": splits},
        ],
        listeners=[listener("public", port, "web")],
    ).start()
    seen = Counter(get(port).body.decode() for _ in range(REQUESTS))
    assert set(seen) == {"one", "two", "three"}
    # Six standard deviations on either side.
    assert REQUESTS * 0.63 < seen["one"] < REQUESTS * 0.97
    assert seen["two"] > 0 and seen["three"] > 0
    targets = {t["name"]: t for t in node.json("routes")["targets"]}
    assert len(targets["old.web.default.dc1"]["endpoints"]) == 1
    assert len(targets["new.web.default.dc1"]["endpoints"]) == 2


def test_a_warning_leaves_one_subset_only(nodes, ports, instances):
    """`/all` goes to every instance, `/good` to those that pass; no snapshot is made."""
    port = ports.take()
    check = {"ttl": "60s", "status": "passing"}
    routes = [
        {
            "match": {"http": {"path_prefix": f"/{subset}"}},
            "destination": {"service_subset": subset},
        }
        for subset in ("all", "good")
    ]
    node = nodes(
        services=[
            instance("one", instances["one"], "v1"),
            instance("two", instances["two"], "v1", checks=[check]),
        ],
        config_entries=[
            defaults("web"),
            resolver(all={}, good={"only_passing": True}),
            {"kind": "service-router", "name": "web", "routes": routes},
        ],
        listeners=[listener("public", port, "web")],
    ).start()

    def answers(path):
        return {get(port, path).body.decode() for _ in range(12)}

    assert answers("/all") == answers("/good") == {"one", "two"}
    generation = node.status()["generation"]
    for _ in range(3):
        node.meshctl("check", "warn", "service:two", "--note", "queue is long")
        assert answers("/good") == {"one"}
        assert answers("/all") == {"one", "two"}
        node.meshctl("check", "pass", "service:two")
        assert answers("/good") == {"one", "two"}
    node.meshctl("check", "fail", "service:two")
    assert answers("/all") == answers("/good") == {"one"}
    assert node.status()["generation"] == generation, "health made a snapshot"
    # What a restarted control plane adopts: the word of each subset holds.
    node.meshctl("check", "warn", "service:two")
    node.control.kill()
    node.start()
    assert answers("/good") == {"one"}
    assert answers("/all") == {"one", "two"}


def test_filters_follow_what_is_registered(nodes, ports, instances, tmp_path):
    port = ports.take()
    node = nodes(
        config_entries=[
            defaults("web"),
            {**resolver(new=by_version("v2")), "default_subset": "new"},
        ],
        listeners=[listener("public", port, "web")],
    ).start()
    assert get(port).status == 503
    document = tmp_path / "web.yaml"

    def register(version):
        document.write_text(
            f"service: {{ name: web, port: {instances['one'].port}, tags: [stable],"
            f" meta: {{ version: {version} }} }}\n"
        )
        node.meshctl("service", "register", str(document))

    register("v1")
    assert get(port).status == 503
    register("v2")
    assert get(port).body == b"one"
    register("v1")
    wait_for(lambda: get(port).status == 503, 5, "the instance has left the subset")


def test_failover_passes_over_a_datacenter_that_is_not_connected(nodes, ports, recorders):
    """It has no instance there, which is told; the next target of the failover answers."""
    port, dead = ports.take(), ports.dead()
    failover = [{"datacenter": "dc2"}, {"service": "spare"}]
    down = [{"tcp": f"127.0.0.1:{dead}", "interval": "1s"}]
    node = nodes(
        services=[
            service("web", dead, checks=down),
            service("spare", recorders(named("spare")).port),
        ],
        config_entries=[
            defaults("web"),
            defaults("spare"),
            {"kind": "service-resolver", "name": "web", "failover": {"*": {"targets": failover}}},
        ],
        listeners=[listener("public", port, "web")],
    ).start()
    wait_for(lambda: get(port).body == b"spare", PATIENCE, "the failover")
    (problem,) = [p for p in node.status()["problems"] if "dc2" in p["message"]]
    assert "which is not connected: it has no instance there" in problem["message"]


def test_a_filter_that_is_none_is_refused(tmp_path):
    text = json.dumps({"config_entries": [resolver(v1={"filter": "Service.Meta.version = v1"})]})
    done = run(tmp_path, "validate", text)
    assert done.returncode == 78
    assert "subset v1: filter" in done.stderr and "1:22 (21): no match found" in done.stderr
