"""Proves that the harness can fail: a check that cannot is worth nothing."""

import os
import signal

import pytest
import wire
from capture import Capture
from load import Load
from ringmesh import Node, listener, service
from wire import OK, Client, Closed, Recorder, get, wait_for


def test_load_counts_every_failure():
    """Each tenth answer is wrong in another way; not one is overlooked."""
    count = {"asked": 0, "wrong": 0}
    wrong = [
        None,
        b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut",
        b"garbage\r\n\r\n",
    ]

    def answer(request, client):
        count["asked"] += 1
        if count["asked"] % 10:
            return OK
        reply = wrong[count["wrong"] % len(wrong)]
        count["wrong"] += 1
        if reply:
            client.send(reply)
        return None

    with Recorder(answer=answer) as web, Load(web.port, connections=1) as load:
        wait_for(lambda: count["wrong"] >= 20, 10, "twenty wrong answers")
    assert abs(len(load.failures) - count["wrong"]) <= 1
    assert load.ok >= 9 * 19


def test_load_sees_a_dead_server():
    with Recorder() as web, Load(web.port, connections=2) as load:
        load.wait_for_more(20)
        web.close()
        wait_for(lambda: len(load.failures) >= 4, 5, "refusals are counted")


def test_death_of_a_worker_fails_the_test(ports, recorders):
    """A worker that dies by a signal nobody announced is told when the node is closed."""
    web, port = recorders(), ports.take()
    node = Node(
        ports,
        asan=True,
        services=[service("web", web.port)],
        listeners=[listener("public", port, "web")],
    ).start()
    victim = node.worker_pids()[0]
    os.kill(victim, signal.SIGSEGV)
    wait_for(lambda: victim not in node.worker_pids(), 5, "the worker is gone")
    with pytest.raises(AssertionError, match="signal 11"):
        node.close()


def test_sanitizer_report_is_seen(ports):
    report = (
        "==7==ERROR: AddressSanitizer: heap-buffer-overflow\nx.c:3:9: runtime error: overflow\n"
    )
    node = Node(ports)
    assert len(node.bad_lines(report)) == 2
    assert node.bad_lines("worker 0, process 7, has ended: signal 9\n")
    node.signals_sent.add(9)
    assert node.bad_lines("worker 0, process 7, has ended: signal 9\n") == []
    node.close()


def test_ports_are_held(ports):
    """A port that was taken is refused to others and given to a server that asks for it."""
    port = ports.take()
    with pytest.raises(ConnectionRefusedError):
        Client(port)
    with Recorder(port):
        assert get(port).status == 200


def test_recorder_sees_what_is_early_and_what_is_cut():
    with Recorder() as web:
        with Client(web.port) as client:
            client.send(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\ncut")
        wait_for(lambda: web.requests and not web.open, 2, "the cut request")
        assert [r.complete for r in web.requests] == [False]
        web.reset()
        web.hold_back = 0.1
        with Client(web.port) as client:
            client.send(b"GET / HTTP/1.1\r\n\r\nearly")
            wait_for(lambda: web.complete() and web.complete()[0].early, 2, "early bytes")


def test_capture_sees_plain_text():
    try:
        with Recorder() as web, Capture(web.port) as capture:
            get(web.port, "/in-the-clear")
            wait_for(lambda: b"in-the-clear" in capture.bytes(), 2, "the request on the wire")
    except PermissionError:
        pytest.skip("reading packets needs CAP_NET_RAW")


def test_waiting_gives_up(monkeypatch):
    monkeypatch.setattr(wire, "PATIENCE", 0)
    with pytest.raises(AssertionError, match="never"):
        wait_for(lambda: False, 0.05, "never")
    with Recorder(answer=lambda request, client: None) as web, pytest.raises(Closed):
        get(web.port)
