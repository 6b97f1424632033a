"""Proves that the listener reads hostile streams as a second reader does, however they are cut.

Seeded mutations of good requests are sent in random pieces to a data plane with ASan and UBSan. For
each stream the upstream must see exactly the requests that grammar.py reads in it (method, target,
host, body), the client must get one answer for each and a refusal where the grammar refuses, and
the connection must end. What we accept is also given to h11, which must read the same.

    RINGMESH_STREAMS=20000 RINGMESH_SEED=7 … -m pytest Tests/Integration/test_differential.py
"""

import os
import queue
import socket
import threading

import grammar
import h11
import mutations
import pytest
from judge import canonical
from ringmesh import Node, listener, service
from vectors import Fault
from wire import Client, Closed, Recorder, get, read_response, wait_for

STREAMS = int(os.environ.get("RINGMESH_STREAMS", "1500"))
SEED = int(os.environ.get("RINGMESH_SEED", "1"))
LANES = 6


@pytest.fixture(scope="module")
def lanes():
    from ports import Ports

    ports, recorders = Ports(), [Recorder(answer=grammar.answer) for _ in range(LANES)]
    places = [ports.take() for _ in recorders]
    names = [f"up-{i}" for i in range(LANES)]
    node = Node(
        ports,
        asan=True,
        services=[service(n, r.port) for n, r in zip(names, recorders, strict=True)],
        listeners=[listener(n, p, n) for n, p in zip(names, places, strict=True)],
    )
    try:
        yield list(zip(node.start() and places, recorders, strict=True))
        assert get(places[0]).status == 200
    finally:
        node.close()
        for recorder in recorders:
            recorder.close()
        ports.close()


def exchange(port, seed, data, reading):
    """Statuses of the final answers; the connection has ended after them."""
    statuses = []
    with Client(port, timeout=30) as client:
        for piece in mutations.segments(seed, data):
            if not client.send(piece):
                break
        if reading.ending not in ("refused", "close"):  # else the proxy ends it by itself
            try:
                client.sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        methods = [*(r.method for r in reading.requests), reading.cut_method, "GET"]
        try:
            while True:
                method = methods[min(len(statuses), len(methods) - 1)]
                statuses.append(read_response(client.stream, method).status)
        except Closed as cut:
            if getattr(cut, "partial", None) or client.stream.buffer:
                raise Fault(f"an answer is cut: {client.stream.buffer[:80]!r}") from cut
    return statuses


def compare(recorder, reading, statuses):
    wanted = [(r.method, r.target, r.host, r.body) for r in reading.requests]
    got = [
        (r.method, r.target, r.header("host"), r.body)
        for r in list(recorder.requests)
        if r.complete
    ]
    if got != wanted:
        raise Fault(f"upstream got {got}, the grammar says {wanted}")
    for request in recorder.requests:
        canonical(request)
    expected = [403 if r.method == "CONNECT" else 200 for r in reading.requests]
    if statuses[: len(expected)] != expected:
        raise Fault(f"answers {statuses}, not {expected}")
    refusals = statuses[len(expected) :]
    due = reading.ending in ("refused", "incomplete", "cut")
    if len(refusals) != due or any(s < 400 for s in refusals):
        raise Fault(f"{reading.ending}, answered with {refusals}")


def play(port, recorder, name, seed, data):
    reading = grammar.read_stream(data)
    recorder.reset(grammar.answer)
    try:
        compare(recorder, reading, exchange(port, seed, data, reading))
    except (Fault, OSError, ValueError) as fault:
        return f"{name}: {type(fault).__name__} {fault}\n    {data!r}\n    {reading}"
    return None


def play_all(lanes, streams):
    """What differs, of (name, seed of the segments, stream)."""
    work, faults = queue.Queue(), []
    for item in streams:
        work.put(item)

    def drain(port, recorder):
        while len(faults) < 20:
            try:
                fault = play(port, recorder, *work.get_nowait())
            except queue.Empty:
                return
            if fault:
                faults.append(fault)

    threads = [threading.Thread(target=drain, args=lane) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return faults


def test_upstream_sees_what_the_grammar_reads(lanes):
    seeds = range(SEED * 1_000_000, SEED * 1_000_000 + STREAMS)
    faults = play_all(lanes, ((f"seed {s}", s, mutations.stream(s)) for s in seeds))
    assert not faults, "\n".join(faults)


def test_every_octet_in_every_place(lanes):
    """Whole and cut: what an octet means does not depend on who reads it, or when."""
    octets = [(name, number, data) for number, (name, data) in enumerate(mutations.octets())]
    faults = play_all(lanes, octets)
    assert not faults, "\n".join(faults)


def test_the_mutations_reach_every_ending():
    endings = [grammar.read_stream(mutations.stream(seed)) for seed in range(2000)]
    for ending in ("end", "close", "refused", "incomplete", "cut"):
        count = sum(r.ending == ending for r in endings)
        assert count > 30, f"{count} streams end with {ending}"
    assert sum(len(r.requests) for r in endings) > 1000


def read_by_h11(raw):
    """(method, body) of one request as h11 reads it."""
    side = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    side.receive_data(raw.removeprefix(b"\r\n"))  # h11 does not forgive the empty line
    head, body = side.next_event(), b""
    assert isinstance(head, h11.Request), f"h11 reads {head!r}"
    while not isinstance(event := side.next_event(), h11.EndOfMessage):
        assert isinstance(event, h11.Data), f"h11 reads {event!r} in a body"
        body += bytes(event.data)
    assert side.trailing_data[0] == b"", f"h11 leaves {side.trailing_data}"
    return head.method.decode(), body


def test_what_the_grammar_accepts_h11_reads_alike():
    """One way only: h11 accepts bare LF, folded lines and lists of lengths, which we refuse."""
    compared = 0
    for seed in range(20_000):
        for request in grammar.read_stream(mutations.stream(seed)).requests:
            try:
                found = read_by_h11(request.raw)
            except h11.RemoteProtocolError as error:
                if b"\r\n0" in request.raw and "Transfer-Encoding" in str(error):
                    continue  # in a trailer section, where we drop it
                raise AssertionError(
                    f"seed {seed}: h11 refuses {request.raw!r}: {error}"
                ) from error
            assert found == (request.method, request.body), f"seed {seed}: {request.raw!r}"
            compared += 1
    assert compared > 5000


def test_nothing_waits_behind(lanes):
    """No connection of a refused or cut stream is left towards the upstreams."""
    for port, recorder in lanes:
        assert get(port).status == 200
        wait_for(lambda r=recorder: len(r.open) <= 8, 5, "upstream connections are let go")
