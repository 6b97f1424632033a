"""Proves that the data plane does not need its control plane.

`kill -9` of the control plane under load: not one request fails while it is away; when it is back
it adopts the running data plane without a dropped connection, and changes flow again.
"""

import time

from load import Load
from wire import Client, get


def test_traffic_survives_and_changes_flow_again(mesh):
    pair = mesh()
    node = pair.node
    supervisor, workers = node.supervisor(), node.worker_pids()
    held = Client(pair.local)
    assert held.get("/", "web").status == 200
    with Load(pair.local, host="web") as load:
        load.wait_for_more(200)
        node.control.kill()
        time.sleep(3)
        load.wait_for_more(200)
        node.start()
        load.wait_for_more(200)
        assert node.supervisor() == supervisor, "another data plane was started"
        assert node.worker_pids() == workers, "workers were replaced"
    assert [f.what for f in load.failures] == []
    assert held.get("/", "web").status == 200, "a connection was dropped by the adoption"
    generation = node.status()["generation"]
    node.deny("api", "web")
    assert get(pair.local, "/", "web").status == 403
    assert node.status()["generation"] > generation


def test_killed_again_and_again(mesh):
    """Five times in a row, at whatever moment of its start the control plane is killed."""
    pair = mesh()
    node = pair.node
    with Load(pair.local, host="web") as load:
        for delay in (0.0, 0.1, 0.3, 0.6, 1.0):
            node.control.kill()
            node.start(ready=False)
            time.sleep(delay)
        node.control.kill()
        node.start()
        load.wait_for_more(100)
    assert [f.what for f in load.failures] == []
    node.allow("batch", "web")
    assert get(pair.batch_local, "/", "web").status == 200


def test_state_is_kept(mesh):
    """Intentions, trust domain and authority are what they were before the crash."""
    pair = mesh()
    node = pair.node
    roots = node.json("cert", "roots")
    listed = node.json("intention", "list")
    node.control.kill()
    node.start()
    assert node.json("cert", "roots") == roots
    assert node.json("intention", "list") == listed
    assert get(pair.local, "/", "web").status == 200
