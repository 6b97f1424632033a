"""Plays Tests/Vectors/http-cases.json against a proxy and judges what came of it.

A lane is one listener of the proxy with one recording upstream of its own, so that what reaches the
upstream belongs to one case. judge.py says whether a case is passed.
"""

import re
import socket
import threading
import time
from dataclasses import dataclass, field

from judge import is_success, judge, judge_response
from vectors import Fault, input_of
from wire import OK, PATIENCE, Client, Closed, echo_upgrade, get, read_response, reset

MODES = ("plain", "bytes", "lines")
BYTES_MODE_LIMIT = 1 << 20  # longer inputs are played in one write only: minutes otherwise


@dataclass
class Seen:
    """What happened: answers to the client, whether it was closed, what the upstream got."""

    answers: list = field(default_factory=list)
    partial: object = None
    closed: bool = False
    junk: bytes = b""
    upstream: list = field(default_factory=list)
    seconds: float = 0.0

    @property
    def status(self):
        return self.answers[0].status if self.answers else 0

    @property
    def complete(self):
        return [r for r in self.upstream if r.complete]

    def smuggled(self):
        return [r for r in self.upstream if "/SMUGGLED" in r.target]

    def __str__(self):
        answers = ",".join(str(a.status) for a in self.answers) or "none"
        got = ", ".join(f"{r.start!r}{'' if r.complete else ' (partial)'}" for r in self.upstream)
        end = "closed" if self.closed else "open"
        return f"answers {answers}; {end} after {self.seconds:.1f} s; upstream: {got or 'nothing'}"


@dataclass
class Lane:
    """One listener (and one with /admin denied) of the proxy under test, and its upstream."""

    port: int
    guarded_port: int
    recorder: object
    head_timeout: float = 2.0
    read_timeout: float = 3.0


def pieces(data, mode):
    if mode == "plain":
        return [data]
    if mode == "bytes":
        return [data[i : i + 1] for i in range(len(data))]
    return [p for p in re.split(rb"(?<=\r\n)", data) if p]


def modes_of(case, data):
    if case.get("send_mode", "").startswith("drip"):
        return ("drip",)
    return MODES if len(data) <= BYTES_MODE_LIMIT else ("plain",)


def expected_answers(case):
    upstream = case.get("upstream", {})
    return max(1, upstream.get("requests", 1))


def methods_of(data):
    """The methods of the requests in `data`; what is longer than the limit is one request.

    A search through 100 MB holds the interpreter for seconds: recorders of the other lanes would
    not answer in time.
    """
    found = re.findall(rb"(?:^|\r\n\r\n)([A-Z]+) \S+ HTTP/1\.", data[:BYTES_MODE_LIMIT])
    return [m.decode() for m in found] or ["GET"]


def transmit(client, case, data, mode, lane):
    """Sends the case's bytes; stops early when the proxy has closed."""
    if mode == "drip":
        begun = time.monotonic()
        for i in range(len(data)):
            if not client.send(data[i : i + 1]):
                return
            if not client.stays_open(lane.head_timeout / 4):
                return
            if time.monotonic() - begun > 2 * lane.head_timeout + 5:
                return
        return
    for piece in pieces(data, mode):
        if not client.send(piece):
            break
    send_mode = case.get("send_mode", "")
    if send_mode.startswith("wait_100_then:"):
        head = client.stream.until(b"\r\n\r\n")
        if b" 100 " not in head.split(b"\r\n")[0]:
            raise Fault(f"no 100 before the body: {head!r}")
        client.send(send_mode.partition(":")[2].encode())
    elif send_mode == "half_close_after":
        try:
            client.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def receive(client, case, data, seen, lane):
    """Reads answers until there are as many as expected, then sees whether the proxy closes."""
    methods = methods_of(data)
    end = time.monotonic() + lane.read_timeout * (10 if len(data) > BYTES_MODE_LIMIT else 1)
    try:
        while time.monotonic() < end:
            client.stream.timeout = max(0.05, end - time.monotonic())
            if len(seen.answers) >= expected_answers(case):
                client.stream.timeout = patience(case, seen)
            method = methods[min(len(seen.answers), len(methods) - 1)]
            seen.answers.append(read_response(client.stream, method))
            if seen.answers[-1].status == 101:
                return
    except TimeoutError:
        pass
    except Closed as cut:
        seen.partial = getattr(cut, "partial", None)
        seen.junk = client.stream.buffer
        seen.closed = client.stream.closed


def patience(case, seen):
    """How long to watch a connection after the expected answers: for a close, or a surprise."""
    if case["expect"] in ("reject_close", "first_ok_then_reject") or case.get("must_close"):
        return PATIENCE
    return 0.05 if is_success(seen, expected_answers(case)) else 0.3


def play_request(case, mode, lane):
    """One case of http1_requests in one write mode."""
    recorder = lane.recorder
    answer = echo_upgrade() if case["expect"] == "tunnel" else None
    recorder.reset(answer)
    if case["expect"] == "tunnel_guard":
        recorder.hold_back = 0.15
    guarded = case.get("setup", "").startswith("two routes")
    data = input_of(case)
    seen = Seen()
    begun = time.monotonic()
    try:
        opened = Client(lane.guarded_port if guarded else lane.port)
    except ConnectionResetError:  # turned away before connect() has come back
        opened, seen.closed = None, True
    if opened:
        with opened as client:
            transmit(client, case, data, mode, lane)
            receive(client, case, data, seen, lane)
            seen.seconds = time.monotonic() - begun
            if case["expect"] == "tunnel" and seen.status == 101:
                tunnel_echo(client)
    time.sleep(0.03)  # lets a request that was on its way reach the recorder
    seen.upstream = list(recorder.requests)
    judge(case, seen, lane)
    return seen


def tunnel_echo(client):
    client.send(b"through\r\n\r\nGET / HTTP/1.1\r\n")
    back = client.stream.exactly(26)
    if back != b"through\r\n\r\nGET / HTTP/1.1\r\n"[:26]:
        raise Fault(f"the tunnel returned {back!r}")
    client.sock.shutdown(socket.SHUT_WR)
    if not client.closes_within(3):
        raise Fault("half-close did not pass through the tunnel")


# --- answers of a misbehaving upstream ---


def upstream_answer(case):
    """What the recorder does with the first request of a case of http1_responses."""
    then = case["upstream_then"]
    if case["id"] == "rs-hdr-huge":
        raw = b"HTTP/1.1 200 OK\r\nX-A: " + b"v" * (1 << 20) + b"\r\nContent-Length: 2\r\n\r\nok"
    elif case["id"] == "rs-slow-body":
        raw, then = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhe", "stall"
    else:
        raw = input_of(case)
    state = {"asked": 0}
    said = threading.Event()

    def answer(_request, client):
        state["asked"] += 1
        if state["asked"] > 1:
            return b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond"
        if then == "send_when_idle":
            client.send(OK)
            time.sleep(0.1)
            client.send(raw)
            said.set()
            return b""
        client.send(raw)
        if then == "keep":
            return b""
        if then == "stall":
            while client.stream.fill():
                pass
        if then == "rst":
            time.sleep(0.05)
            reset(client.sock)
        return None

    return answer, said


def play_response(case, lane):
    """One case of http1_responses, and one polite request after it on the same pool."""
    lane.recorder.drop()
    answer, said = upstream_answer(case)
    lane.recorder.reset(answer)
    method = case["client_request"].split()[0]
    seen = Seen()
    begun = time.monotonic()
    with Client(lane.port, timeout=lane.read_timeout + 3) as client:
        client.send(f"{method} /p HTTP/1.1\r\nHost: ex.test\r\n\r\n".encode())
        try:
            seen.answers.append(read_response(client.stream, method))
        except TimeoutError:
            pass
        except Closed as cut:
            seen.partial = getattr(cut, "partial", None)
            seen.junk = client.stream.buffer
            seen.closed = client.stream.closed
        seen.seconds = time.monotonic() - begun
        if case["upstream_then"] == "send_when_idle":
            # Bytes that come when the next request is sent cannot be told from its answer.
            said.wait(PATIENCE)
        time.sleep(0.1 if said.is_set() else 0.02)
    second = None
    if case["expect"] in ("no_desync", "accept"):
        second = get(lane.port, "/second")
    seen.upstream = list(lane.recorder.requests)
    judge_response(case, seen, second)
    return seen
