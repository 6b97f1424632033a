"""Proves a polite end: SIGTERM stops accepting, finishes what is in flight, and exits in time."""

import contextlib
import re
import socket
import threading
import time

import processes
import pytest
from ringmesh import dataplane_command, listener, service
from wire import Client, get, wait_for

LONG_DRAIN = {"drain_timeout": "300s"}  # more than a node is given to stop: nobody waits for it


def slow(seconds, started):
    def answer(request, client):
        started.set()
        time.sleep(seconds)
        return b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone"

    return answer


def test_requests_in_flight_finish(mesh):
    started = threading.Event()
    pair = mesh(answer=slow(1.5, started), dataplane=LONG_DRAIN)
    results = []

    def ask():
        results.append(get(pair.local, "/", "web", timeout=30))

    thread = threading.Thread(target=ask)
    thread.start()
    assert started.wait(30)
    idle = Client(pair.local)
    assert pair.node.stop() == 0
    thread.join(30)
    assert [r.body for r in results] == [b"done"]
    assert idle.closes_within(1)
    wait_for(lambda: not pair.node.left(), 2, "no process is left behind")


def test_idle_node_ends_at_once(mesh):
    pair = mesh(dataplane=LONG_DRAIN)
    assert get(pair.local, "/", "web").status == 200
    assert pair.node.stop() == 0
    wait_for(lambda: not pair.node.left(), 2, "no process is left behind")
    assert not pair.node.admin_socket.exists()


def test_unmanaged_data_plane_is_left_running(mesh):
    """`dataplane.managed: false`: somebody else owns its life; traffic goes on after SIGTERM."""
    pair = mesh(start=False)
    node = pair.node
    node.config["dataplane"]["managed"] = False
    node.write_config()
    command = dataplane_command(node.control_socket)
    dataplane = processes.Child("dataplane", command, node.directory)
    try:
        node.start()
        node.allow("api", "web")
        assert get(pair.local, "/", "web").status == 200
        assert node.stop() == 0
        assert get(pair.local, "/", "web").status == 200
    finally:
        assert dataplane.terminate(60) == 0


def read_to_its_end(sock):
    """(bytes, whether they ended in a reset)."""
    count = 0
    try:
        while data := sock.recv(1 << 20):
            count += len(data)
    except ConnectionResetError:
        return count, True
    return count, False


@pytest.fixture
def draining(nodes, ports):
    """Starts a node that gives what is in flight 300 ms, and a server behind a listener."""
    servers = []

    def start(kind):
        servers.append(socket.create_server(("127.0.0.1", 0)))
        servers[-1].settimeout(30)
        port = ports.take()
        node = nodes(
            workers=1,
            dataplane={"drain_timeout": "300ms"},
            services=[service("web", servers[-1].getsockname()[1])],
            listeners=[listener("public", port, "web", kind=kind)],
        ).start()
        return node, servers[-1], port

    yield start
    for server in servers:
        server.close()


HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"  # its end is that of the connection


@pytest.mark.parametrize("kind", ["l4", "l7"])
def test_what_is_cut_by_the_end_does_not_look_whole(draining, kind):
    """A client that does not read: the answer behind it ended long ago, its last part waits in the
    worker. When the time to drain is over, the stream must not end as a whole one does.
    """
    node, server, port = draining(kind)
    size = 0

    def waiting():
        text = node.metrics()
        return sum(map(int, re.findall(r"^ringmesh_worker_spill_blocks\{.*\} (\d+)$", text, re.M)))

    with Client(port, timeout=30) as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        up, _ = server.accept()
        up.settimeout(30)
        assert up.recv(65536)
        up.sendall(HEAD)
        up.settimeout(2)
        with contextlib.suppress(TimeoutError):  # held back: what waits does so in the kernel
            while waiting() == 0:
                size += up.send(b"x" * 16384)
        up.shutdown(socket.SHUT_WR)
        assert node.stop() == 0
        got, was_reset = read_to_its_end(client.sock)
        assert got < size and was_reset
        up.close()


def test_an_upload_cut_by_the_end_does_not_look_whole(draining):
    node, server, port = draining("l4")
    with Client(port, timeout=30) as client:
        up, _ = server.accept()
        client.send(b"half of it")
        assert up.recv(100) == b"half of it"
        assert node.stop() == 0
        assert read_to_its_end(up) == (0, True)
        assert read_to_its_end(client.sock) == (0, True)
        up.close()
