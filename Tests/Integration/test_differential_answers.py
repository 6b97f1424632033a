"""Proves that a client hears nothing of an upstream that cannot be read in one way only.

Seeded mutations of good answers, in random pieces: what grammar.py reads as an answer arrives with
that status and body and in clean lines; what it refuses is a 502; what is cut or broken in its body
can be told from a whole one. The next request gets an answer of its own, whatever came before.
"""

import os
import queue
import threading

import grammar
import mutations
import pytest
from judge import need
from ports import Ports
from ringmesh import Node, listener, service
from vectors import Fault
from wire import Client, Closed, Recorder, get, read_response, values

ANSWERS = int(os.environ.get("RINGMESH_STREAMS", "1500"))
SEED = int(os.environ.get("RINGMESH_SEED", "1"))
LANES = 6


@pytest.fixture(scope="module")
def lanes():
    ports, recorders = Ports(), [Recorder() for _ in range(LANES)]
    places = [ports.take() for _ in recorders]
    names = [f"up-{i}" for i in range(LANES)]
    node = Node(
        ports,
        asan=True,
        services=[service(n, r.port) for n, r in zip(names, recorders, strict=True)],
        listeners=[listener(n, p, n) for n, p in zip(names, places, strict=True)],
    )
    try:
        node.start()
        yield list(zip(places, recorders, strict=True))
    finally:
        node.close()
        for recorder in recorders:
            recorder.close()
        ports.close()


def saying(seed, data, said):
    """An upstream that says `data` in pieces to the first request, closes and then sets `said`.

    It has closed before the next request is sent: a POST must not meet a pooled connection that
    closes under it, since that 502 would be taken for the answer's own.
    """
    pending = [data]

    def answer(request, client):
        if not pending:
            return grammar.answer(request, client)
        for piece in mutations.segments(seed, pending.pop()):
            if not client.send(piece):
                break
        client.close()
        said.set()
        return None

    return answer


def clean(message):
    """The head that the client got has one meaning."""
    rest = message.raw.replace(b"\r\n", b"")
    need(not any(c in rest for c in b"\r\n\0"), f"a control in {message.raw!r}")
    lengths = values(message.headers, "content-length")
    codings = values(message.headers, "transfer-encoding")
    need(len(lengths) + len(codings) <= 1, f"framing of {message.raw!r}")
    for line in message.raw.split(b"\r\n")[1:]:
        need(line[:1] not in (b" ", b"\t", b":"), f"an odd line in {message.raw!r}")


def compare(port, method, data):
    try:
        wanted = grammar.read_answer(data, method)
    except (grammar.Refused, grammar.Incomplete) as fault:
        wanted = fault
    with Client(port, timeout=30) as client:
        client.send(
            f"{method} /p HTTP/1.1\r\nHost: ex.test\r\nContent-Length: 0\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        try:
            got = read_response(client.stream, method)
        except Closed:
            need(isinstance(wanted, grammar.Incomplete), f"cut, not {wanted!r}")
            return
        rest = client.stream.rest()
    for message in (*got.interim, got):
        clean(message)
    need(not rest, f"{rest[:80]!r} behind the answer")
    if isinstance(wanted, Exception):
        need(got.status == 502, f"status {got.status} for {wanted!r}")
    else:
        need(got.status == wanted.status, f"status {got.status}, not {wanted.status}")
        need(got.body == wanted.body, f"body {got.body!r}, not {wanted.body!r}")


def play(port, recorder, seed):
    method, data = mutations.upstream_answer(seed)
    said = threading.Event()
    recorder.reset(saying(seed, data, said))
    try:
        compare(port, method, data)
        # All of it was sent before the next request is: nobody can tell bytes that come later from
        # an answer.
        need(said.wait(30), f"the upstream is stuck after {recorder.complete()!r}")
        second = get(port, "/second")
        need((second.status, second.body) == (200, b"ok"), f"the next request got {second.raw!r}")
    except (Fault, OSError, ValueError, Closed) as fault:
        return f"seed {seed}: {type(fault).__name__} {fault}\n    {method} {data!r}"
    return None


def test_clients_hear_what_the_grammar_reads(lanes):
    work, faults = queue.Queue(), []
    for seed in range(SEED * 1_000_000, SEED * 1_000_000 + ANSWERS):
        work.put(seed)

    def drain(port, recorder):
        while len(faults) < 20:
            try:
                fault = play(port, recorder, work.get_nowait())
            except queue.Empty:
                return
            if fault:
                faults.append(fault)

    threads = [threading.Thread(target=drain, args=lane) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults, "\n".join(faults)


def test_the_mutations_reach_every_verdict():
    counts = {"answer": 0, "Refused": 0, "Incomplete": 0}
    for seed in range(2000):
        method, data = mutations.upstream_answer(seed)
        try:
            grammar.read_answer(data, method)
            counts["answer"] += 1
        except (grammar.Refused, grammar.Incomplete) as fault:
            counts[type(fault).__name__] += 1
    assert min(counts.values()) > 40, counts
