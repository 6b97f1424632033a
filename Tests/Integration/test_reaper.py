"""Proves that a run of tests that is killed leaves no process behind: `kill -9` of pytest in the
middle of a test, alone or above the processes of its files, ends control plane, data plane and
workers, a managed proxy in a session of its own, foreign programs, and what a thread has started.
"""

import os
import signal
import sys
from pathlib import Path

import pytest
import reaper
from processes import Child, exists
from wire import wait_for

HERE = Path(__file__).resolve().parent

CONFTEST = f"""
import sys

sys.path.insert(0, {str(HERE)!r})

from fixtures import *  # noqa
from fixtures import pytest_configure
"""

# Starts one of each kind, says which processes they are, and waits to be killed.
BODY = """
import subprocess
import threading
import time

from processes import Child
from ringmesh import listener, service

SLEEP = ["/bin/sleep", "600"]


def test_that_is_killed(nodes, ports, tmp_path):
    first, port = ports.block(2), ports.take()
    node = nodes(
        api={"bind_addr": f"127.0.0.1:{ports.take()}"},
        connect={"proxy": {"allow_managed_root": True}},
        ports={"proxy_min_port": first, "proxy_max_port": first + 1},
        services=[service("web", ports.dead(), connect={"proxy": {"command": SLEEP}})],
        listeners=[listener("public", port, "web")],
        access_log={"path": str(tmp_path / "access.log")},
    ).start()
    pids = [node.control.pid, node.supervisor(), *node.worker_pids()]
    while not (proxy := (node.json("proxy", "list")[0].get("process") or {}).get("pid")):
        time.sleep(0.05)
    pids += [proxy, Child("foreign", SLEEP, tmp_path).pid]

    def start():
        pids.append(subprocess.Popen(SLEEP, start_new_session=True).pid)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    with open(PATH + ".new", "w") as file:
        file.write(" ".join(map(str, pids)))
    __import__("os").rename(PATH + ".new", PATH)
    time.sleep(600)
"""


@pytest.mark.parametrize("side_by_side", [False, True], ids=["alone", "side by side"])
def test_nothing_stays_when_the_tests_are_killed(tmp_path, side_by_side):
    told = tmp_path / "pids"
    (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (tmp_path / "test_body.py").write_text(f"PATH = {str(told)!r}\n{BODY}", encoding="utf-8")
    options = ["-n", "1"] if side_by_side else []
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, tmp_path]
    stranger = Child("stranger", ["/bin/sleep", "600"], tmp_path)
    tests = Child("tests", command, tmp_path)
    wait_for(lambda: told.exists() or not tests.alive(), 120, "one of each kind")
    assert told.exists(), tests.text()
    pids = [int(pid) for pid in told.read_text(encoding="utf-8").split()]
    assert len(pids) == len(set(pids)) == 7 and all(exists(pid) for pid in pids), pids
    mark = environment(pids[0])
    assert mark and mark != environment(stranger.pid), "the inner run has a mark of its own"
    assert set(pids) <= set(reaper.marked(mark))
    os.kill(tests.pid, signal.SIGKILL)
    wait_for(lambda: not any(exists(pid) for pid in pids), 60, "the end of all of them")
    wait_for(lambda: not reaper.marked(mark), 60, "the end of what they had started")
    assert stranger.alive(), "a process of another run was ended"
    stranger.terminate()


def environment(pid):
    """The mark that a process carries."""
    variables = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return next((v for v in variables if v.startswith(f"{reaper.VARIABLE}=")), None)


def test_a_process_without_the_mark_is_left_alone(tmp_path):
    child = Child("other", ["/bin/sleep", "600"], tmp_path, {reaper.VARIABLE: "another"})
    mine = Child("mine", ["/bin/sleep", "600"], tmp_path)
    mark = reaper.arm()
    assert reaper.carries(mine.pid, mark) and not reaper.carries(child.pid, mark)
    reaper.end(child.pid, mark)
    assert child.alive()
    reaper.end(mine.pid, mark)
    assert mine.wait() == -signal.SIGKILL
    child.terminate()
