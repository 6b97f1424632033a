"""Services on nodes that others register in the catalog get traffic: by their health, by subsets
that look at their meta, and not after they are gone.
"""

import json

import consul_samples
import pytest
from ringmesh import defaults, listener
from wire import get, wait_for


@pytest.fixture(name="world")
def fixture_world(nodes, ports, recorders):
    """A node with a listener to web, whose only instances are on other nodes."""
    api, edge = ports.take(), ports.take()
    node = nodes(
        workers=1,
        api={"bind_addr": f"127.0.0.1:{api}"},
        listeners=[listener("edge", edge, "web")],
        config_entries=[defaults("web")],
    )
    node.start()
    base = f"http://127.0.0.1:{api}"

    def put(path, document):
        request = {"method": "PUT", "path": path, "body": document}
        status, _, body = consul_samples.send(base, request)
        assert status == 200 and json.loads(body) is not None, body

    return node, edge, put, recorders


def register(put, node, port, status="passing", **more):
    service = {"Service": "web", "Port": port, "Address": "127.0.0.1", **more}
    check = {"Name": "alive", "Status": status, "ServiceID": "web"}
    put(
        "/v1/catalog/register",
        {"Node": node, "Address": "127.0.0.1", "Service": service, "Check": check},
    )


def answered(edge, recorder):
    """Whether this one answers now."""
    before = len(recorder.requests)
    status = get(edge, "/", "web").status
    return status == 200 and len(recorder.requests) == before + 1


def test_far_instances_are_routed_to(world):
    _, edge, put, recorders = world
    one, two = recorders(), recorders()
    assert get(edge, "/", "web").status == 503
    register(put, "far-1", one.port)
    assert wait_for(lambda: answered(edge, one), 20, "the first answers")
    register(put, "far-2", two.port)
    assert wait_for(lambda: answered(edge, two), 20, "the second answers too")
    # What is said of them counts.
    register(put, "far-1", one.port, status="critical")
    assert wait_for(lambda: all(answered(edge, two) for _ in range(4)), 20, "only the second")
    # A subset looks at their own meta.
    register(put, "far-1", one.port, Meta={"version": "2"})
    put(
        "/v1/config",
        {
            "Kind": "service-resolver",
            "Name": "web",
            "DefaultSubset": "v2",
            "Subsets": {"v2": {"Filter": "Service.Meta.version == 2"}},
        },
    )
    assert wait_for(lambda: all(answered(edge, one) for _ in range(4)), 20, "only the first")
    put("/v1/catalog/deregister", {"Node": "far-1"})
    assert wait_for(lambda: get(edge, "/", "web").status == 503, 20, "nobody is left")


def test_far_instances_are_not_this_nodes(world):
    """They are neither the agent's services nor its checks."""
    node, edge, put, recorders = world
    one = recorders()
    register(put, "far-1", one.port)
    assert wait_for(lambda: answered(edge, one), 20, "it answers")
    (instance,) = node.json("instances", "web")
    assert instance["node"] == "far-1"
    node.control.kill()
    node.start()
    assert wait_for(lambda: answered(edge, one), 20, "it answers after a restart")
