"""Proves a polite end: SIGTERM stops accepting, finishes what is in flight, and exits in time."""

import threading
import time

import processes
from ringmesh import dataplane_command
from wire import Client, get, wait_for


def slow(seconds, started):
    def answer(request, client):
        started.set()
        time.sleep(seconds)
        return b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone"

    return answer


def test_requests_in_flight_finish(mesh):
    started = threading.Event()
    pair = mesh(answer=slow(1.5, started))
    results = []

    def ask():
        results.append(get(pair.local, "/", "web", timeout=10))

    thread = threading.Thread(target=ask)
    thread.start()
    assert started.wait(3)
    idle = Client(pair.local)
    begun = time.monotonic()
    assert pair.node.stop() == 0
    assert time.monotonic() - begun < 8
    thread.join(5)
    assert [r.body for r in results] == [b"done"]
    assert idle.closes_within(1)
    wait_for(lambda: not pair.node.left(), 2, "no process is left behind")


def test_idle_node_ends_at_once(mesh):
    pair = mesh()
    assert get(pair.local, "/", "web").status == 200
    begun = time.monotonic()
    assert pair.node.stop() == 0
    assert time.monotonic() - begun < 3
    assert pair.node.left() == []
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
        assert dataplane.terminate(10) == 0
