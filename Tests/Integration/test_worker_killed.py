"""Proves that one worker's death is its own.

`kill -9` of one worker under load: only connections of that worker fail; the slot serves again with
the same listening sockets; the other worker does not notice. That the first replacement is started
at once, without a pause, is held by Tests/CUnit/worker_life_test.c.
"""

import contextlib
import time

from load import Load
from processes import children
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
        node.kill_worker(victim)
        wait_for(lambda: len(set(node.worker_pids()) - {victim, other, 0}) == 1, 3, "a new worker")
        load.wait_for_more(500)
        time.sleep(0.5)
    strangers = [f for f in load.failures if f.local_port not in mine]
    assert strangers == [], strangers
    assert len(load.failures) <= len(mine), [f.what for f in load.failures]
    starts = {w["id"]: w["starts"] for w in node.workers()}
    assert sorted(starts.values()) == [1, 2], "one replacement was enough"
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
    """A slot that crashes three times in ten seconds is taken out, said so, and not for ever. It is
    out for longer each time, so that whoever asks slowly sees it, too.
    """
    pair = mesh()
    node = pair.node
    victim, other = node.worker_pids()
    supervisor = node.supervisor()
    others = set(children(supervisor)) - {victim}

    def broken():
        for _ in range(3):
            for pid in set(children(supervisor)) - others:
                with contextlib.suppress(ProcessLookupError):
                    node.kill_worker(pid)
            time.sleep(0.3)
        return node.workers()[0]["state"] == "broken"

    wait_for(broken, 60, "worker 0 is called broken")
    assert {get(pair.local, "/", "web").status for _ in range(24)} == {200}
    assert node.workers()[1]["pid"] == other
    wait_for(lambda: node.workers()[0]["state"] == "serving", 90, "worker 0 is tried again")
