"""Proves the upgrade of the data plane under load: the new program takes over sockets, snapshot and
secrets, no request of any kind fails, what clients hold lives to the end of the time to drain, and
whatever goes wrong on the way leaves the running data plane as it was.
"""

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import textwrap
import threading
import time

import pytest
from certificates import authority, leaf
from h2client import tls_context
from lanes import Asking, Lanes, Multiplexed, Streaming, Tunnelled, echo_server
from processes import children, exists, fds, rss_kib
from ringmesh import binary, dataplane_command, listener, service, sidecar
from wire import Client, echo_upgrade, get, wait_for


class Edge:
    """A node with every kind of listener, and load on all of them."""

    def __init__(self, node, ports, cafile):
        self.node = node
        self.plain, self.tls, self.raw, self.mesh = ports
        self.context = ssl.create_default_context(cafile=cafile)
        self.h2_context = tls_context(cafile=cafile)

    def lanes(self, may_be_cut=lambda: False):
        return Lanes(
            *[Asking(f"h1 kept {n}", self.plain) for n in range(3)],
            *[Asking(f"h1 fresh {n}", self.plain, keep=False) for n in range(2)],
            Asking("h1 idle for long", self.plain, pause=0.5),
            Asking("tls kept", self.tls, context=self.context),
            Asking("tls fresh", self.tls, keep=False, context=self.context),
            Asking("mesh kept", self.mesh),
            Asking("mesh fresh", self.mesh, keep=False),
            Multiplexed("h2", self.plain),
            Multiplexed("h2 tls", self.tls, self.h2_context),
            Multiplexed("h2 idle for long", self.plain, pause=0.5),
            Streaming("websocket", self.plain, websocket=True, may_be_cut=may_be_cut),
            Tunnelled("websocket over h2", self.plain, may_be_cut=may_be_cut),
            Streaming("l4", self.raw, may_be_cut=may_be_cut),
        )

    def upgrade(self, *arguments, check=True, seconds=60):
        done = self.node.meshctl("dataplane", "upgrade", *arguments, check=check, seconds=seconds)
        self.node.note()
        return done

    def held_by_the_old(self):
        """What drains, once its streams are counted."""
        found = self.node.status()["dataplane"]["draining"]
        return found if sum(old["connections"] for old in found) >= 2 else None

    def wait_drained(self, seconds=15):
        wait_for(
            lambda: not self.node.status()["dataplane"]["draining"], seconds, "the end of draining"
        )


@pytest.fixture
def edge(nodes, ports, recorders, tmp_path):
    stack = contextlib.ExitStack()

    # Longer than a client is silent that is told by its next answer, however late it comes.
    def make(drain="5s", **config):
        web, raw = recorders(echo_upgrade()), stack.enter_context(echo_server())
        plain, tls, l4, local, web_port, api_port = ports.take(6)
        ca = authority(tmp_path, "ca")
        cert, key = leaf(tmp_path, "server", ca, "DNS:ex.test")
        node = nodes(
            services=[
                service("web", web.port, connect=sidecar(web_port)),
                service("api", ports.dead(), connect=sidecar(api_port, {"web": local})),
                service("raw", raw),
            ],
            config_entries=[
                {"kind": "service-defaults", "name": "web", "protocol": "http"},
            ],
            listeners=[
                listener("public", plain, "web"),
                listener("tls", tls, "web", tls={"cert": str(cert), "key": str(key)}),
                listener("raw", l4, "raw", kind="l4"),
            ],
            **config,
        )
        node.config["dataplane"]["drain_timeout"] = drain
        node.write_config()
        node.start()
        node.allow("api", "web")
        return Edge(node, (plain, tls, l4, local), str(ca[0]))

    yield make
    stack.close()


def impostor(path, body):
    """A program that says it is a data plane of this version, and then does something else."""
    version = binary("dataplane")
    path.write_text(
        "#!/usr/bin/env python3\n"
        "import os, signal, socket, struct, subprocess, sys, time\n"
        "if '--version' in sys.argv:\n"
        f"    print(subprocess.check_output([{str(version)!r}, '--version'], text=True), end='')\n"
        "    sys.exit(0)\n" + textwrap.dedent(body),
        encoding="utf-8",
    )
    path.chmod(0o755)
    return path


# Speaks the first words of the handover as abi/handover.h writes them.
HELLO = """
channel = socket.socket(fileno=3)
channel.setblocking(True)
def hello(version):
    channel.send(struct.pack("=IIII64s", 64, 80, version, os.getpid(), b"dataplane 9.9.9"))
def ask(index):
    channel.send(struct.pack("=IIQ", 65, 16, index))
    return channel.recvmsg(4096, socket.CMSG_SPACE(4 * 32))
"""


# --- it works ---


def test_no_request_fails_over_twenty_upgrades(edge):
    """Each kind of load goes on over twenty upgrades; descriptors and memory do not grow."""
    made = edge(drain="3s")
    node, seen = made.node, []
    with made.lanes(may_be_cut=lambda: True) as lanes:
        lanes.each_goes_on()
        for turn in range(20):
            before = node.supervisor()
            made.upgrade("--wait", "30")
            assert node.supervisor() != before
            lanes.each_goes_on()
            pids = [node.supervisor(), *node.worker_pids()]
            seen.append((fds(pids[0]), sum(rss_kib(pid) for pid in pids)))
            if turn == 9:
                node.admin("/metrics")
        lanes.stop()
    assert lanes.failures == []
    made.wait_drained()
    wait_for(
        lambda: {p for p in node.left() if p not in pids} == {*children(pids[0])} - {*pids},
        what="the end of the processes of before",
    )
    assert seen[-1][0] <= seen[1][0] + 2, f"descriptors grow: {seen}"
    assert seen[-1][1] <= seen[1][1] * 1.2 + 4096, f"memory grows: {seen}"
    wait_for(lambda: zombies(node.known) == [], 10, f"no zombie of {node.known}")


def zombies(pids):
    """Those that have ended and whose status nobody has taken."""
    found = []
    for pid in pids:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", encoding="ascii") as at:
            name, _, rest = at.read().rpartition(")")
            if "dataplane" in name and rest.split()[0] == "Z":
                found.append(pid)
    return found


def test_streams_live_to_the_end_of_the_time_to_drain(edge):
    """A WebSocket and an L4 connection go on in the old data plane until drain_timeout."""
    made = edge(drain="12s")
    cut = threading.Event()
    with made.lanes(may_be_cut=cut.is_set) as lanes:
        lanes.each_goes_on()
        made.upgrade()
        begun = time.monotonic()
        draining = wait_for(made.held_by_the_old, what="the streams of the old one")
        assert len(draining) == 1
        text = made.node.meshctl("dataplane", "status").stdout
        assert str(draining[0]["pid"]) in text
        while time.monotonic() - begun < 6:
            lanes.each_goes_on()
        cut.set()
        made.wait_drained()
        lanes.each_goes_on()
        lanes.stop()
    assert lanes.failures == []
    streams = [lane for lane in lanes.lanes if isinstance(lane, Streaming)]
    assert [lane.cuts for lane in streams] == [1] * len(streams)
    assert min(lane.lives[0] for lane in streams) > 6


def test_changes_go_on_while_it_is_upgraded(edge):
    """Every change made meanwhile is live when meshctl says so; requests and streams go on."""
    made = edge(drain="120s")  # nobody is cut
    stop, outcomes = threading.Event(), []

    def change():
        number = 0
        while not stop.is_set():
            number += 1
            action = "--allow" if number % 2 else "--deny"
            done = made.node.meshctl(
                "intention",
                "create",
                action,
                "--replace",
                f"caller-{number % 7}",
                "web",
                check=False,
            )
            outcomes.append((done.returncode, done.stdout + done.stderr))

    thread = threading.Thread(target=change, daemon=True)
    with made.lanes() as lanes:
        thread.start()
        for _ in range(2):
            seen = len(outcomes)
            made.upgrade()
            lanes.each_goes_on(10)
            wait_for(lambda seen=seen: len(outcomes) > seen + 1, what="changes go on")
        stop.set()
        thread.join()
        lanes.stop()
    assert lanes.failures == []
    assert [o for o in outcomes if o[0] != 0 or "is live in every worker" not in o[1]] == []


def test_counters_go_on(edge):
    """What was counted before an upgrade stays counted, and what drains counts on."""
    made = edge(drain="2s")
    for _ in range(20):
        assert get(made.plain).status == 200

    def requests():
        (row,) = [s for s in made.node.json("stats")["listeners"] if s["name"] == "public"]
        return row["counters"]["requests"]

    before = wait_for(lambda: requests() >= 20 and requests(), what="twenty requests counted")
    made.upgrade()
    assert requests() == before
    assert get(made.plain).status == 200
    wait_for(lambda: requests() == before + 1, what="one more request counted")
    made.wait_drained()
    assert requests() == before + 1


def test_the_control_plane_restarts_in_between(edge):
    """Killed between two upgrades, and between an upgrade and its answer."""
    made = edge()
    node = made.node
    with made.lanes(may_be_cut=lambda: True) as lanes:
        made.upgrade()
        node.control.kill()
        lanes.each_goes_on()
        node.start()
        made.upgrade()
        lanes.each_goes_on()
        caller = threading.Thread(target=lambda: made.upgrade("--wait", "10", check=False))
        caller.start()
        time.sleep(0.05)
        node.control.kill()
        caller.join(30)
        lanes.each_goes_on()
        node.start()
        made.upgrade("--wait", "20")
        lanes.each_goes_on()
        lanes.stop()
    assert lanes.failures == []


def test_the_files_name_the_new_process(edge):
    """Pid file, lock and control socket belong to the new one; it ends with the control plane."""
    made = edge(drain="1s")
    node = made.node
    old = node.supervisor()
    made.upgrade()
    new = node.supervisor()
    assert new != old
    pid_file = node.control_socket.with_name(node.control_socket.name + ".pid")
    assert int(pid_file.read_text()) == new
    wait_for(lambda: not exists(old), 5, "the end of the old one")
    assert int(pid_file.read_text()) == new and node.control_socket.exists()
    assert node.stop() == 0
    wait_for(lambda: not exists(new), 5, "the end of the new one")
    assert not pid_file.exists() and not node.control_socket.exists()


def test_the_service_manager_is_told(nodes, ports, recorders, tmp_path):
    """A data plane that is a unit of its own: MAINPID= goes to $NOTIFY_SOCKET (sd_notify(3))."""
    path, port = tmp_path / "notify", ports.take()
    node = nodes(
        services=[service("web", recorders().port)], listeners=[listener("public", port, "web")]
    )
    node.config["dataplane"]["drain_timeout"] = "1s"
    node.write_config()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(30)
        unit = subprocess.Popen(
            [str(part) for part in dataplane_command(node.control_socket)],
            env={**os.environ, "NOTIFY_SOCKET": str(path)},
            stderr=subprocess.DEVNULL,
        )
        try:
            assert "READY=1" in manager.recv(4096).decode().split("\n")
            node.start()
            assert node.supervisor() == unit.pid
            node.meshctl("dataplane", "upgrade", binary("dataplane"), seconds=60)
            node.note()
            assert node.supervisor() != unit.pid
            told = manager.recv(4096).decode().split("\n")
            assert f"MAINPID={node.supervisor()}" in told
            assert get(port).status == 200
            assert unit.wait(60) == 0
        finally:
            unit.kill()
            unit.wait()


# --- it does not ---


def refuse(made, path, words, status=1):
    """The upgrade fails with these words, and nothing else changes."""
    node = made.node
    before = (node.supervisor(), node.worker_pids())
    with made.lanes() as lanes:
        lanes.each_goes_on()
        done = made.upgrade(path, check=False)
        lanes.each_goes_on()
        lanes.stop()
    assert done.returncode == status, done.stdout + done.stderr
    assert words in done.stderr
    assert str(before[0]) in done.stderr, "the one that goes on is named"
    assert lanes.failures == []
    assert (node.supervisor(), node.worker_pids()) == before
    wait_for(lambda: set(children(before[0])) == set(before[1]), 10, "the end of what was started")
    return done


def test_what_cannot_be_started(edge, tmp_path):
    made = edge()
    refuse(made, tmp_path / "nothing", "there is no program")
    plain = tmp_path / "plain"
    plain.write_text("not a program")
    if os.geteuid() != 0 or not os.access(plain, os.X_OK):
        refuse(made, plain, "may not be executed")
    plain.chmod(0o755)
    refuse(made, plain, "cannot be executed")
    refuse(made, tmp_path, "there is no program")
    refuse(made, "/bin/true", "is not a data plane")
    refuse(made, "/bin/false", "is not a data plane")


def test_another_version_of_the_control_channel(edge, tmp_path):
    """Found out by asking the program, before anything happens; and again by the handover."""
    made = edge()
    other = tmp_path / "other"
    other.write_text("#!/bin/sh\necho 'dataplane 9.9.9 (abi 99)'\n")
    other.chmod(0o755)
    refuse(made, other, "speaks version 99 of the control channel")
    liar = impostor(tmp_path / "liar", HELLO + "hello(99)\ntime.sleep(60)\n")
    refuse(made, liar, "speaks version 99 of the control channel")


def test_one_that_says_nothing_when_asked(edge, tmp_path):
    made = edge()
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\nexec sleep 60\n")
    silent.chmod(0o755)
    refuse(made, silent, "does not say its version")


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("crashes", "os.abort()\n", "ended by signal 6 at once"),
        ("ends", "sys.exit(9)\n", "ended with status 9 at once"),
        ("hangs", "time.sleep(60)\n", "it says nothing"),
        ("stops", "os.kill(os.getpid(), signal.SIGSTOP)\n", "it says nothing"),
        ("noise", HELLO + "channel.send(b'x' * 300)\ntime.sleep(60)\n", "another language"),
        (
            "refuses",
            HELLO + "hello(VERSION)\nask(0)\n"
            "channel.send(struct.pack('=II240s', 80, 248, b'it refuses the live snapshot'))\n",
            "it refuses the live snapshot",
        ),
        (
            "hasty",
            HELLO + "hello(VERSION)\nchannel.send(struct.pack('=IIQ', 66, 16, 0))\n"
            "time.sleep(60)\n",
            "before it has everything",
        ),
        (
            "dies in the middle",
            HELLO + "hello(VERSION)\nask(0)\nask(1)\nos.kill(os.getpid(), signal.SIGKILL)\n",
            "ended by signal 9 before its workers served",
        ),
    ],
)
def test_one_that_fails_on_the_way(edge, tmp_path, name, body, words):
    """The running data plane says why, and no request notices."""
    made = edge()
    version = made.node.status()["dataplane"]["abi"]
    program = impostor(tmp_path / "impostor", body.replace("VERSION", str(version)))
    refuse(made, program, words)


def test_one_that_never_serves(edge, tmp_path):
    """It takes everything and then does nothing: given up after a while."""
    made = edge()
    version = made.node.status()["dataplane"]["abi"]
    program = impostor(
        tmp_path / "idle",
        HELLO
        + f"hello({version})\n"
        + "index = 0\nwhile struct.unpack('=I', ask(index)[0][:4])[0] != 74: index += 1\n"
        + "time.sleep(120)\n",
    )
    refuse(made, program, "its workers do not serve in time")


def wrapper(path, before):
    """The real program, started after some seconds of `before` in shell."""
    path.write_text(
        f'#!/bin/sh\ncase "$*" in *--version*) ;; *) {before};; esac\n'
        f'exec {binary("dataplane")} "$@"\n'
    )
    path.chmod(0o755)
    return path


def test_two_at_once(edge, tmp_path):
    """The second is told that one is under way, with a status of its own."""
    made = edge()
    began, go = tmp_path / "began", tmp_path / "go"
    slow = wrapper(tmp_path / "slow", f"touch {began}; until [ -e {go} ]; do sleep 0.05; done")
    first = []
    caller = threading.Thread(target=lambda: first.append(made.upgrade(slow, check=False)))
    with made.lanes(may_be_cut=lambda: True) as lanes:
        caller.start()
        wait_for(began.exists, what="the first is under way")
        second = made.upgrade(check=False)
        go.touch()
        caller.join(30)
        lanes.each_goes_on()
        lanes.stop()
    assert second.returncode == 75 and "an upgrade is under way" in second.stderr
    assert first[0].returncode == 0, first[0].stderr
    assert lanes.failures == []


def test_at_most_two_drain(edge):
    """A third old data plane is not begun with; --wait waits for a place."""
    made = edge(drain="20s")
    with made.lanes(may_be_cut=lambda: True) as lanes:
        lanes.each_goes_on()
        made.upgrade()
        lanes.each_goes_on()
        held = Client(made.raw)
        assert held.send(b"here to stay") and held.stream.exactly(12)
        made.upgrade()
        lanes.each_goes_on()
        assert len(made.node.status()["dataplane"]["draining"]) == 2
        third = made.upgrade(check=False)
        assert third.returncode == 75 and "still drain" in third.stderr
        report = json.loads(made.upgrade("--json", check=False).stdout)
        assert report["outcome"] == "busy"
        made.upgrade("--wait", "55")
        lanes.each_goes_on()
        lanes.stop()
        held.close()
    assert lanes.failures == []


def test_the_new_one_is_killed_before_it_serves(edge, tmp_path):
    """SIGKILL while it is being given what there is: the old one goes on."""
    made = edge()
    node = made.node
    began, go = tmp_path / "began", tmp_path / "go"
    slow = wrapper(tmp_path / "slow", f"touch {began}; until [ -e {go} ]; do sleep 0.05; done")
    done = []
    old = node.supervisor()
    workers = node.worker_pids()
    caller = threading.Thread(target=lambda: done.append(made.upgrade(slow, check=False)))
    with made.lanes() as lanes:
        caller.start()
        (heir,) = wait_for(
            lambda: [p for p in children(old) if p not in workers], what="the new process"
        )
        os.kill(heir, signal.SIGKILL)
        caller.join(30)
        lanes.each_goes_on()
        lanes.stop()
    assert done[0].returncode == 1 and "signal 9" in done[0].stderr
    assert lanes.failures == [] and node.supervisor() == old


def test_the_old_one_is_killed_while_it_drains(edge):
    """Its workers finish alone what they have; the new one does not notice."""
    made = edge(drain="12s")
    node = made.node
    with made.lanes(may_be_cut=lambda: True) as lanes:
        lanes.each_goes_on()
        old = node.supervisor()
        made.upgrade()
        node.signals_sent.add(9)
        os.kill(old, signal.SIGKILL)
        lanes.each_goes_on(10)
        wait_for(lambda: not node.status()["dataplane"]["draining"], 5, "it is known to be gone")
        made.upgrade()
        lanes.each_goes_on()
        lanes.stop()
    assert lanes.failures == []


def test_the_old_one_is_killed_before_the_new_one_serves(edge, tmp_path):
    """Either the new one takes its place, or the control plane starts another: it comes back."""
    made = edge()
    node = made.node
    began, go = tmp_path / "began", tmp_path / "go"
    slow = wrapper(tmp_path / "slow", f"touch {began}; until [ -e {go} ]; do sleep 0.05; done")
    old = node.supervisor()
    caller = threading.Thread(target=lambda: made.upgrade(slow, check=False))
    caller.start()
    wait_for(began.exists, what="the new process")
    os.kill(old, signal.SIGKILL)
    go.touch()
    caller.join(60)
    node.wait_ready()
    assert node.supervisor() != old
    assert get(made.plain).status == 200
    made.upgrade("--wait", "20")


def test_a_signal_during_the_drain_cuts_nobody(edge):
    """A service manager signals every process of its unit: the old one ends as it would anyway."""
    made = edge(drain="12s")
    cut = threading.Event()
    with made.lanes(may_be_cut=cut.is_set) as lanes:
        lanes.each_goes_on()
        old = made.node.supervisor()
        made.upgrade()
        os.kill(old, signal.SIGTERM)
        lanes.each_goes_on(10)
        cut.set()
        made.wait_drained()
        lanes.each_goes_on()
        lanes.stop()
    assert lanes.failures == []


def test_access_logs_are_whole(edge, tmp_path):
    """Two loggers append to one file for a while: every request is one line."""
    log = tmp_path / "access.log"
    made = edge(access_log={"path": str(log)})
    with made.lanes(may_be_cut=lambda: True) as lanes:
        for _ in range(2):
            lanes.each_goes_on()
            made.upgrade()
        lanes.each_goes_on()
        lanes.stop()
    made.wait_drained()
    assert lanes.failures == []
    asked = sum(lane.ok for lane in lanes.lanes if isinstance(lane, Asking))
    lines = wait_for(
        lambda: (found := log.read_text().splitlines()) and len(found) >= asked and found,
        what=f"{asked} lines",
    )
    assert all(json.loads(line) for line in lines)
