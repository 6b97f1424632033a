"""Proves that an upstream that never answers costs a 504, by the route's time, and nothing else."""

import socket
import time

from ringmesh import listener, service
from wire import HOLD, OK, PATIENCE, Client, get, read_response, reset, wait_for


def start(nodes, ports, recorders, answer, **timeouts):
    web = recorders(answer)
    port = ports.take()
    timeouts = {"request": "1s", **timeouts}
    node = nodes(
        services=[service("web", web.port)],
        listeners=[listener("public", port, "web", timeouts=timeouts)],
    ).start()
    return node, web, port


def test_504_in_its_time(nodes, ports, recorders):
    """Never too early, and by the time of this listener: who was there before it at one that has
    another is still waiting.
    """
    web = recorders(lambda request, client: HOLD)
    port, patient = ports.take(2)
    nodes(
        services=[service("web", web.port)],
        listeners=[
            listener("public", port, "web", timeouts={"request": "1s"}),
            listener("patient", patient, "web", timeouts={"request": "300s"}),
        ],
    ).start()
    with Client(patient) as waiting:
        waiting.send(b"GET / HTTP/1.1\r\nHost: ex.test\r\n\r\n")
        wait_for(lambda: web.requests, PATIENCE, "its request is at the upstream")
        begun = time.monotonic()
        assert get(port).status == 504
        took = time.monotonic() - begun
        assert took >= 0.9
        print(f"504 after {took:.2f} s of 1 s")
        wait_for(lambda: len(web.open) == 1, PATIENCE, "the silent upstream is let go")
        assert waiting.stays_open(0.1) and not waiting.stream.buffer


def test_others_are_served_meanwhile(nodes, ports, recorders):
    def answer(request, client):
        return HOLD if request.target == "/silent" else b"HTTP/1.1 204 No Content\r\n\r\n"

    _, web, port = start(nodes, ports, recorders, answer, request="60s")
    stuck = [Client(port) for _ in range(50)]
    for client in stuck:
        client.send(b"GET /silent HTTP/1.1\r\nHost: ex.test\r\n\r\n")
    wait_for(lambda: len(web.requests) == 50, PATIENCE, "all of them are stuck")
    for _ in range(20):
        assert get(port, "/fast").status == 204
    assert len(web.open) >= 50, "the stuck ones are over"
    for client in stuck:
        client.close()


def test_upstream_is_let_go_when_the_client_aborts(nodes, ports, recorders):
    _, web, port = start(nodes, ports, recorders, lambda request, client: HOLD, request="0s")
    clients = [Client(port) for _ in range(20)]
    for client in clients:
        client.send(b"GET / HTTP/1.1\r\nHost: ex.test\r\n\r\n")
    wait_for(lambda: len(web.complete()) == 20, 3, "all requests arrive")
    for client in clients:
        reset(client.sock)
    wait_for(lambda: not web.open, 1.5, "the upstream is cancelled within a second")


def test_half_closed_client_gets_its_answer(nodes, ports, recorders):
    """A client that has said all it has to say (FIN) still waits for the answer."""

    def late(request, client):
        time.sleep(0.5)
        return OK

    _, _, port = start(nodes, ports, recorders, late, request="0s")
    with Client(port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: ex.test\r\n\r\n")
        client.sock.shutdown(socket.SHUT_WR)
        assert read_response(client.stream).body == b"ok"
