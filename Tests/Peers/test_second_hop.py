"""Proves that our framing is everybody's framing: client → ringmesh → another proxy → recorder.

Behind haproxy, nginx, h2o and Apache exactly the requests arrive that we accepted, whatever framing
they came with: one more or less would be smuggling. Played are usual requests over one connection,
every case of Tests/Vectors/http-cases.json, and seeded mutations; a marker request is pipelined
behind each and must arrive as itself or not at all.
"""

import queue
import socket
import threading

import grammar
import mutations
import peers
import pytest
import vectors
from ringmesh import listener, service
from vectors import Fault
from wire import Client, Closed, read_response

REQUESTS = [
    b"GET /a HTTP/1.1\r\nHost: ex.test\r\n\r\n",
    b"POST /b HTTP/1.1\r\nHost: ex.test\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /c HTTP/1.1\r\nHost: ex.test\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;x=y\r\nhello\r\n0\r\n\r\n",
    b"POST /d HTTP/1.1\r\nHost: ex.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-T: 1\r\n\r\n",
    b"PUT /e HTTP/1.1\r\nHost: ex.test\r\nContent-Length: 41\r\n\r\n"
    b"GET /SMUGGLED HTTP/1.1\r\nHost: ex.test\r\n\r\n",
    b"DELETE /f HTTP/1.1\r\nHost: ex.test\r\nContent-Length: 0\r\n\r\n",
    b"GET /g HTTP/1.1\r\nHost: ex.test\r\nContent-Length: 3\r\n\r\nabc",
    b"OPTIONS /h HTTP/1.1\r\nHost: ex.test\r\n\r\n",
]
MARKER = b"GET /MARKER HTTP/1.1\r\nHost: ex.test\r\n\r\n"
MUTATIONS = 400
LANES = 4


class Hop:
    """`port`s of listeners of ours, each with a second proxy and a recorder of its own behind."""

    def __init__(self, ports, recorders):
        self.ports, self.recorders = ports, recorders


@pytest.fixture(params=list(peers.SECOND_HOPS))
def hop(request, nodes, ports, recorders, tmp_path):
    lacking = peers.missing(peers.SECOND_HOPS[request.param])
    if lacking:
        pytest.skip(f"{lacking} is not installed")
    own, children, services, listeners = [], [], [], []
    behind = [recorders(grammar.answer) for _ in range(LANES)]
    for number, recorder in enumerate(behind):
        second, port, name = ports.take(), ports.take(), f"up-{number}"
        folder = tmp_path / name
        folder.mkdir()
        children.append(peers.second_hop(request.param, folder, second, recorder.port))
        services.append(service(name, second))
        listeners.append(listener(name, port, name))
        own.append(port)
    nodes(services=services, listeners=listeners).start()
    yield Hop(own, behind)
    for child in children:
        child.terminate(1)  # h2o waits for kept connections


def test_same_number_of_requests(hop):
    port, recorder = hop.ports[0], hop.recorders[0]
    rounds = 5
    with Client(port, timeout=30) as client:
        for _ in range(rounds):
            for request in REQUESTS:
                client.send(request)
                assert read_response(client.stream).status == 200, request
        client.send(b"".join(REQUESTS))
        for request in REQUESTS:
            assert read_response(client.stream).status == 200, request
    seen = [r.target for r in recorder.complete()]
    assert seen == [r.split()[1].decode() for r in REQUESTS] * (rounds + 1)
    bodies = [r.body for r in recorder.complete()[: len(REQUESTS)]]
    assert bodies[:5] == [b"", b"hello", b"hello", b"", REQUESTS[4].partition(b"\r\n\r\n")[2]]


def streams():
    for case in vectors.load()["http1_requests"]:
        data = vectors.input_of(case)
        if case.get("send_mode") is None and len(data) < 1 << 20:
            yield case["id"], data
    for seed in range(MUTATIONS):
        yield f"seed {seed}", mutations.stream(seed)


def statuses_of(port, data, reading):
    """The final answers, in order, until the connection ends."""
    statuses, methods = [], [*(r.method for r in reading.requests), reading.cut_method, "GET"]
    with Client(port, timeout=30) as client:
        client.send(data)
        try:
            client.sock.shutdown(socket.SHUT_WR)
            while True:
                method = methods[min(len(statuses), len(methods) - 1)]
                statuses.append(read_response(client.stream, method).status)
        except (Closed, OSError) as end:
            if isinstance(end, TimeoutError):
                raise Fault("no end of the connection") from end
    return statuses


def may_answer_itself(request):
    """CONNECT, and OPTIONS of a server, which Apache takes for its own and h2o for one of `/`."""
    return request.method in ("CONNECT", "OPTIONS")


def check(recorder, reading, statuses):
    """What arrived is what we accepted, less what the second proxy answered by itself."""
    if len(statuses) < len(reading.requests):
        raise Fault(f"{len(statuses)} answers to {len(reading.requests)} requests")
    due = [
        (r.method, r.target == "/MARKER", r.body)
        for r, status in zip(reading.requests, statuses, strict=False)
        if status == 200 and not may_answer_itself(r)
    ]
    got = [r for r in list(recorder.requests) if not may_answer_itself(r)]
    arrived = [(r.method, r.target == "/MARKER", r.body) for r in got if r.complete]
    if arrived != due:
        raise Fault(f"behind the second proxy: {[(r.start, r.body) for r in got]}, due {due}")


def play(port, recorder, name, data):
    data += MARKER
    reading = grammar.read_stream(data)
    recorder.reset(grammar.answer)
    try:
        check(recorder, reading, statuses_of(port, data, reading))
    except (Fault, OSError, ValueError) as fault:
        return f"{name}: {type(fault).__name__} {fault}\n    {data[:300]!r}"
    return None


def test_hostile_streams_arrive_as_we_read_them(hop):
    work, faults = queue.Queue(), []
    for item in streams():
        work.put(item)

    def drain(port, recorder):
        while True:
            try:
                fault = play(port, recorder, *work.get_nowait())
            except queue.Empty:
                return
            if fault:
                faults.append(fault)

    lanes = zip(hop.ports, hop.recorders, strict=True)
    threads = [threading.Thread(target=drain, args=lane) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults, f"{len(faults)} streams differ\n" + "\n".join(faults[:20])
