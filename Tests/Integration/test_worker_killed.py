"""Proves that one worker's death is its own.

`kill -9` of one worker under load: only connections of that worker fail; within a second the slot
serves again with the same listening sockets; the other worker does not notice.
"""

import time

from load import Load
from ringmesh import listener, service, sockets_of
from wire import get, wait_for


def test_only_its_connections_fail(nodes, ports, recorders):
    web, port = recorders(), ports.take()
    node = nodes(
        services=[service("web", web.port)], listeners=[listener("public", port, "web")]
    ).start()
    victim, other = node.worker_pids()
    with Load(port, connections=16) as load:
        load.wait_for_more(300)
        mine = {remote for local, remote in sockets_of(victim) if local == port}
        assert 0 < len(mine) < 16, "both workers must serve before one is killed"
        killed = time.monotonic()
        node.kill_worker(victim)
        wait_for(lambda: len(set(node.worker_pids()) - {victim, other, 0}) == 1, 3, "a new worker")
        back = time.monotonic() - killed
        load.wait_for_more(500)
        time.sleep(0.5)
    strangers = [f for f in load.failures if f.local_port not in mine]
    assert strangers == [], strangers
    assert len(load.failures) <= len(mine), [f.what for f in load.failures]
    assert load.slowest < 1.0, f"a request waited {load.slowest:.1f} s for the replacement"
    assert back < 1.5, f"the replacement was seen only after {back:.1f} s"
    assert other in node.worker_pids(), "the other worker was replaced too"


def test_replacement_serves_without_a_control_plane(mesh):
    """The supervisor alone has all a new worker needs: listeners, snapshot, keys."""
    pair = mesh()
    node = pair.node
    workers = node.worker_pids()
    node.control.kill()
    for victim in workers:
        node.kill_worker(victim)
        time.sleep(1.2)
    answers = {get(pair.local, "/", "web").status for _ in range(16)}
    assert answers == {200}
    assert get(pair.batch_local, "/", "web").status == 403
    node.start()
    assert not set(node.worker_pids()) & set(workers)


def test_replacement_knows_what_changed_meanwhile(mesh):
    pair = mesh()
    node = pair.node
    node.deny("api", "web")
    for victim in node.worker_pids():
        node.kill_worker(victim)
    wait_for(lambda: all(w["generation"] > 0 for w in node.workers()), 3, "workers are back")
    assert {get(pair.local, "/", "web").status for _ in range(16)} == {403}


def test_crash_loop_is_reported(mesh):
    """A slot that crashes three times in ten seconds is taken out, said so, and not for ever."""
    pair = mesh()
    node = pair.node
    other = node.workers()[1]["pid"]
    for _ in range(3):
        victim = wait_for(lambda: node.workers()[0]["pid"], 3, "worker 0 runs")
        node.kill_worker(victim)
        wait_for(lambda pid=victim: node.workers()[0]["pid"] != pid, 3, "worker 0 is replaced")
    wait_for(lambda: node.workers()[0]["state"] == "broken", 3, "worker 0 is called broken")
    assert {get(pair.local, "/", "web").status for _ in range(24)} == {200}
    assert node.workers()[1]["pid"] == other
    wait_for(lambda: node.workers()[0]["state"] == "serving", 30, "worker 0 is tried again")
