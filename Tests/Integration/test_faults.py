"""Proves that faults of the machine itself are survived: too little memory, a clock that jumps, a
network that is split. The number in a test's name is the row of attacks.py.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import h2attacks
import processes
import pytest
from h2client import Http2
from load import Load
from ringmesh import dataplane_command, listener, service
from wire import OK, Client, Closed, get, read_response, wait_for

# --- 42: memory ---

LIMIT_MIB = 64
BIG = 8 << 20


class Group:
    """A control group with a limit of memory, of either version."""

    def __init__(self, mib):
        name = f"ringmesh-{os.getpid()}"
        self.is_v2 = Path("/sys/fs/cgroup/cgroup.controllers").exists()
        root = Path("/sys/fs/cgroup") if self.is_v2 else Path("/sys/fs/cgroup/memory")
        self.path = root / name
        try:
            if self.is_v2:
                (root / "cgroup.subtree_control").write_text("+memory")
            self.path.mkdir()
            limit = "memory.max" if self.is_v2 else "memory.limit_in_bytes"
            (self.path / limit).write_text(str(mib << 20))
        except OSError as error:
            with contextlib.suppress(OSError):
                self.path.rmdir()
            pytest.skip(f"no control group with a limit of memory can be made here: {error}")

    def under(self, command):
        """A command that runs in the group."""
        enter = f'echo $$ >{self.path}/cgroup.procs && exec "$@"'
        return ["sh", "-c", enter, "sh", *command]

    def killed(self):
        """How many processes the kernel has ended for want of memory."""
        file = self.path / ("memory.events" if self.is_v2 else "memory.oom_control")
        fields = dict(line.split() for line in file.read_text(encoding="ascii").splitlines())
        return int(fields["oom_kill"])

    def most_kib(self):
        file = "memory.peak" if self.is_v2 else "memory.max_usage_in_bytes"
        with contextlib.suppress(OSError):
            return int((self.path / file).read_text(encoding="ascii")) >> 10
        return 0

    def close(self):
        wait_for(lambda: not (self.path / "cgroup.procs").read_text(), what="an empty group")
        self.path.rmdir()


def big_answer(request, client):
    if request.target != "/big":
        return OK
    client.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG)
    for _ in range(BIG >> 16):
        if not client.send(b"x" * 65536):
            return None
    return b""


def unread(port):
    """A client that asks for much and reads nothing."""
    client = Client(port)
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.send(b"GET /big HTTP/1.1\r\nHost: ex.test\r\n\r\n")
    return client


def unfinished(port):
    """A client whose head never ends, as long as it may be."""
    client = Client(port)
    client.send(b"GET / HTTP/1.1\r\nHost: ex.test\r\nX-Long: " + b"x" * 12_000)
    return client


def bomb(port):
    """A client of HTTP/2 that opens what it may and fills the tables of the decoder."""
    client = Http2(port).start()
    h2attacks.hpack_bomb(client, 10)
    return client


def test_row_42_attacks_do_not_use_up_the_memory_of_a_group(nodes, ports, recorders):
    """64 MiB for the whole data plane, hundreds of clients that want all of it: the kernel ends
    nobody, and the polite are served meanwhile and afterwards.
    """
    group = Group(LIMIT_MIB)
    web, port = recorders(big_answer), ports.take()
    node = nodes(services=[service("web", web.port)], listeners=[listener("public", port, "web")])
    node.config["dataplane"]["managed"] = False
    node.write_config()
    command = group.under(map(str, dataplane_command(node.control_socket)))
    dataplane = processes.Child("dataplane", command, node.directory)
    try:
        node.start()
        pids = node.worker_pids()
        with Load(port, connections=2, pause=0.02) as load:
            clients = []
            for attack, count in ((unread, 200), (unfinished, 500), (bomb, 40)):
                for _ in range(count):
                    with contextlib.suppress(OSError, Closed):  # shed: that is the point
                        clients.append(attack(port))
                load.wait_for_more(20)
            for client in clients:
                client.close()
            load.wait_for_more(20)
        print(f"{group.most_kib()} KiB of {LIMIT_MIB} MiB")
        assert group.killed() == 0, dataplane.tail()
        assert node.worker_pids() == pids, "a worker was replaced"
        assert [f.what for f in load.failures] == []
    finally:
        dataplane.terminate()
        group.close()


# --- 45: the clock ---

STILL_SECONDS = 7  # longer than a worker may go without a turn


def test_row_45_a_machine_that_stood_still(nodes, ports, recorders):
    """Suspended and woken: monotonic time has jumped for all at once. Nobody is taken for stuck,
    connections go on, reports that are not due are not overdue, checks and changes go on. That a
    wall clock which jumps moves no timer of a worker is held by core_wheel_test.c.
    """
    web, port = recorders(), ports.take()
    check = {"ttl": "10m", "status": "passing"}
    node = nodes(
        services=[service("web", web.port, checks=[check])],
        listeners=[listener("public", port, "web")],
    ).start()
    held = [Client(port) for _ in range(8)]
    assert [client.get().status for client in held] == [200] * 8
    pids = node.worker_pids()
    everybody = [*pids, node.supervisor(), node.control.pid]
    for pid in reversed(everybody):
        os.kill(pid, signal.SIGSTOP)
    asked = Client(port)
    asked.send(b"GET / HTTP/1.1\r\nHost: ex.test\r\n\r\n")
    time.sleep(STILL_SECONDS)  # the machine stands still
    for pid in everybody:
        os.kill(pid, signal.SIGCONT)
    assert read_response(asked.stream).status == 200
    for _ in range(3):
        assert [client.get().status for client in held] == [200] * 8, "a connection was lost"
        time.sleep(0.5)  # the watch looks every second
    assert node.worker_pids() == pids, "a worker was taken for stuck"
    assert [c["status"] for c in node.json("check", "list")] == ["passing"]
    node.allow("api", "web")
    for client in (asked, *held):
        client.close()


# --- 52: the network ---

SERVER = """
import socket, sys, threading
server = socket.create_server((sys.argv[1], 8080))
print("ready", flush=True)
def serve(sock):
    while data := sock.recv(65536):
        sock.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"""


class Far:
    """A service on the other side of a link that can be cut: nothing is refused, nothing comes."""

    def __init__(self):
        number = os.getpid() % 16000
        self.near = f"198.18.{number // 64}.{number % 64 * 4 + 1}"
        self.address = f"198.18.{number // 64}.{number % 64 * 4 + 2}"
        self.names = f"rm{os.getpid()}n", f"rm{os.getpid()}f"
        self.child = None

    def __enter__(self):
        near, far = self.names
        program = [sys.executable, "-c", textwrap.dedent(SERVER), self.address]
        wait = f"until ip addr show {far} 2>/dev/null | grep -q {self.address}; do sleep 0.05; done"
        try:
            self.child = subprocess.Popen(
                ["unshare", "-n", "sh", "-c", f'{wait}; exec "$@"', "sh", *program],
                stdout=subprocess.PIPE,
                text=True,
            )
            self.outside = os.readlink("/proc/self/ns/net")
            wait_for(self.is_apart, what="a network of its own")
            ip("link", "add", near, "type", "veth", "peer", "name", far)
            ip("link", "set", far, "netns", str(self.child.pid))
            ip("addr", "add", f"{self.near}/30", "dev", near)
            ip("link", "set", near, "up")
            self.inside("addr", "add", f"{self.address}/30", "dev", far)
            self.inside("link", "set", far, "up")
            shown = self.inside("link", "show", far).split("link/ether ")[1].split()[0]
            ip("neigh", "replace", self.address, "lladdr", shown, "dev", near, "nud", "permanent")
            assert self.child.stdout.readline() == "ready\n"
        except (OSError, subprocess.CalledProcessError, AssertionError) as error:
            self.__exit__()
            pytest.skip(f"no network of its own can be made here: {error}")
        return self

    def __exit__(self, *_):
        if self.child:
            self.child.send_signal(signal.SIGKILL)
            self.child.wait()
        subprocess.run(["ip", "link", "del", self.names[0]], capture_output=True, check=False)

    def is_apart(self):
        if self.child.poll() is not None:
            raise OSError("unshare -n is not allowed")
        return os.readlink(f"/proc/{self.child.pid}/ns/net") != self.outside

    def inside(self, *command):
        prefix = ["nsenter", f"--net=/proc/{self.child.pid}/ns/net", "ip", *command]
        return subprocess.run(prefix, capture_output=True, text=True, check=True).stdout

    def cut(self):
        self.inside("link", "set", self.names[1], "down")

    def heal(self):
        self.inside("link", "set", self.names[1], "up")


def ip(*command):
    subprocess.run(["ip", *command], capture_output=True, text=True, check=True)


def best_of(tries, ask):
    """The status and the shortest time of several: another process may take the processor."""
    best, status = 60.0, 0
    for _ in range(tries):
        begun = time.monotonic()
        status = ask()
        best = min(best, time.monotonic() - begun)
        if best < 2:
            break
    return status, best


def test_row_52_a_split_network_costs_what_the_timeouts_say(nodes, ports, recorders):
    """An upstream behind a link that is cut: a connection that is kept is given up by the time for
    requests, a new one by the time for connections, neither earlier nor for ever; others are served
    meanwhile, and all is well as soon as the link is whole.
    """
    with Far() as far:
        asked, dialled, local = ports.take(3)
        web = recorders()
        far_away = {"address": far.address}
        nodes(
            workers=1,
            services=[
                service("kept", 8080, **far_away),
                service("fresh", 8080, **far_away),
                service("near", web.port),
            ],
            listeners=[
                listener("kept", asked, "kept", timeouts={"request": "1s", "connect": "30s"}),
                listener("fresh", dialled, "fresh", timeouts={"connect": "1s"}),
                listener("near", local, "near"),
            ],
        ).start()
        # Leaves a connection that is kept.
        wait_for(lambda: get(asked).status == 200, what="an answer within its time")
        far.cut()
        with Load(local, connections=1, pause=0.02) as load:
            status, took = best_of(10, lambda: get(asked).status)
            assert status == 504 and 0.95 <= took < 2, (status, took)
            status, took = best_of(10, lambda: get(dialled).status)
            assert status == 504 and 0.95 <= took < 2, (status, took)
        assert load.ok > 0 and [f.what for f in load.failures] == []
        far.heal()
        for port in (asked, dialled):
            wait_for(lambda p=port: get(p).status == 200, what="the link is whole")


def test_row_52_delay_is_no_fault(nodes, ports, recorders):
    """An upstream that is far away: slower than one limit, faster than the other."""

    def late(request, client):
        time.sleep(0.6)
        return OK

    web = recorders(late)
    patient, hasty = ports.take(2)
    nodes(
        services=[service("web", web.port)],
        listeners=[
            listener("patient", patient, "web", timeouts={"request": "60s"}),
            listener("hasty", hasty, "web", timeouts={"request": "200ms"}),
        ],
    ).start()
    assert [get(patient).status for _ in range(3)] == [200] * 3
    assert [get(hasty).status for _ in range(3)] == [504] * 3
