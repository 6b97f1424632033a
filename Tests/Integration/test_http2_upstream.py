"""Proves HTTP/2 towards upstreams: what clients of both versions get through, many requests on few
connections, their end with GOAWAY, and upstreams that cannot be trusted.
"""

import socket
import threading
import time

import frames
import http2
import pytest
import wire
from frames import END_HEADERS
from h2attacks import in_frames
from h2client import Http2
from h2server import Http2Recorder
from ports import Ports
from processes import cpu_seconds, rss_kib
from wire import PATIENCE, Client, Closed, get, wait_for

pytestmark = [http2.needed, http2.needed_upstream]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    ports = Ports()
    folder = tmp_path_factory.mktemp("http2")
    with http2.Front(ports, folder, 1, upstream=Http2Recorder, protocol="http2", asan=True) as made:
        yield made
    ports.close()


@pytest.fixture
def web(shared):
    """The recorder behind; `.port_of` of the listener in front."""
    recorder = shared.recorders[0]
    recorder.reset()
    recorder.listener = shared.lanes[0].port
    return recorder


@pytest.fixture
def client(web):
    with Http2(web.listener) as made:
        yield made.start()


# --- what goes through ---


def test_a_request_of_http_1(web):
    answer = get(web.listener, "/a?b=c", headers=["X-One: 1", "Connection: x-two", "X-Two: 2"])
    assert (answer.status, answer.body) == (200, b"ok")
    (request,) = web.complete()
    pseudo = [pair for pair in request.headers if pair[0].startswith(":")]
    assert dict(pseudo)[":authority"] == "ex.test" and request.target == "/a?b=c"
    assert len(pseudo) == 4 and request.headers[:4] == pseudo, "pseudo-header fields come first"
    names = [name for name, _ in request.headers]
    assert "host" not in names and "connection" not in names and "x-two" not in names
    assert all(name == name.lower() for name in names) and request.header("x-one") == "1"


def test_bodies_of_http_1(web):
    web.reset(lambda request, c: c.respond(request.stream, body=request.body))
    body = bytes(range(256)) * 1024
    assert get(web.listener, method="POST", body=body, timeout=30).body == body
    assert web.complete()[0].header("content-length") == str(len(body))
    with Client(web.listener) as client:
        client.send(
            b"POST /c HTTP/1.1\r\nHost: ex.test\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"
        )
        wait_for(lambda: len(web.complete()) == 2, 3, "it arrives")
    request = web.complete()[1]
    assert request.body == b"hello" and request.trailers == [("x-sum", "1")]
    assert not request.header("transfer-encoding")


def test_a_request_of_http_2(web, client):
    web.reset(
        lambda request, c: c.respond(request.stream, fields=[("x-a", "b")], trailers=[("t", "1")])
    )
    answer = client.get(fields=[("te", "trailers"), ("cookie", "a=1"), ("cookie", "b=2")])
    assert answer.status == 200 and answer.body == b"ok" and answer.trailers == [("t", "1")]
    assert answer.values("x-a") == ["b"]
    (request,) = web.complete()
    assert request.header("te") == "trailers"
    crumbs = [v for n, v in request.headers if n == "cookie"]
    assert "; ".join(crumbs) == "a=1; b=2"


def test_an_answer_before_the_end_of_the_request(web, client):
    """Both directions flow at once, octet for octet."""
    heard = []

    def answer(request, c):
        c.send(frames.headers(request.stream, frames.block([(":status", "200")]), False))
        for number in range(1, 6):
            wait_for(lambda n=number: len(request.body) >= n, 5, "the next octet")
            heard.append(len(request.body))
            c.write(request.stream, b"%d" % number, end=number == 5)

    web.reset(answer, early=True)
    client.send(frames.headers(1, frames.block(frames.request("POST")), end_stream=False))
    assert client.until(lambda: 1 in client.answers and client.answers[1].headers)
    for number in range(1, 6):
        client.send(frames.data(1, b"x", end_stream=number == 5))
        assert client.until(lambda n=number: len(client.answers[1].body) == n), client.story()
    assert client.answer(1).ended and heard == [1, 2, 3, 4, 5]


def test_an_answer_of_trailers_alone(web, client):
    """As gRPC has it: the first HEADERS ends the stream."""
    fields = [("grpc-status", "12"), ("content-type", "application/grpc")]
    web.reset(lambda request, c: c.respond(request.stream, body=b"", fields=fields))
    answer = client.get(method="POST", body=b"x")
    assert answer.ended and dict(answer.headers)["grpc-status"] == "12"


def test_many_requests_share_few_connections(web, client):
    gate = threading.Event()

    def answer(request, c):
        gate.wait(30)
        c.respond(request.stream, body=request.target.encode())

    web.reset(answer)
    before = len(web.connections)
    count = min(90, client.streams_allowed)
    for number in range(count):
        client.ask(2 * number + 1, path=f"/{number}")
    wait_for(lambda: len(web.requests) == count, 5, "all arrive before one is answered")
    gate.set()
    for number in range(count):
        assert client.answer(2 * number + 1).body == b"/%d" % number
    assert len(web.connections) - before <= 2, "a connection for every request"


def test_no_more_streams_than_the_upstream_allows(tmp_path, ports):
    gate = threading.Event()

    def answer(request, c):
        gate.wait(30)
        c.respond(request.stream)

    def upstream():
        return Http2Recorder(answer=answer, settings=[(frames.MAX_CONCURRENT_STREAMS, 3)])

    with http2.Front(ports, tmp_path, 1, upstream=upstream, protocol="http2") as front:
        web = front.recorders[0]
        with Http2(front.lanes[0].port) as client:
            client.start()
            for stream in range(1, 41, 2):
                client.ask(stream)
            wait_for(lambda: len(web.requests) >= 3, 5, "the first arrive")
            time.sleep(0.2)  # more would come now
            for connection in web.connections:
                unanswered = [r for r in connection.streams.values() if not gate.is_set()]
                assert len(unanswered) <= 3, "more streams than are allowed"
            gate.set()
            assert {client.answer(s).status for s in range(1, 41, 2)} == {200}


def test_a_cancelled_request_is_cancelled_upstream(web, client):
    web.reset(lambda request, c: None)
    for stream in (1, 3):
        client.ask(stream)
    wait_for(lambda: len(web.requests) == 2, 3, "both arrive")
    client.send(frames.rst_stream(1))
    wait_for(lambda: [r.reset for r in web.requests].count(frames.CANCEL) == 1, 1, "it is told")
    assert not web.requests[0].connection.closed, "the other stream is cut with it"
    client.close()
    wait_for(lambda: all(r.reset is not None for r in web.requests), 2, "the rest is told")


def test_windows_hold_from_end_to_end(web, client):
    """A client that opens no windows: the upstream is stopped long before the end."""
    size, sent = 8 << 20, []

    def answer(request, c):
        c.send(frames.headers(request.stream, frames.block([(":status", "200")]), False))
        while sum(sent) < size:
            got = c.credit(request.stream, frames.DEFAULT_FRAME, seconds=1)
            if not got:
                return
            c.send(frames.data(request.stream, b"x" * got, False))
            sent.append(got)

    web.reset(answer)
    client.ask(1)
    assert client.until(lambda: 1 in client.answers and len(client.answers[1].body) == 65535)
    time.sleep(0.3)  # more would come now
    assert sum(sent) < 2 << 20, f"{sum(sent)} octets wait in between"
    other = client.get(3, path="/p")
    assert other.headers, "the other stream of the connection is stopped with it"


# --- the end of upstream connections ---


def test_goaway_of_an_idle_upstream(web):
    assert get(web.listener).status == 200
    web.connections[-1].send(frames.goaway(1 << 30))
    wait_for(lambda: web.connections[-1].closed, 5, "it is given up")
    assert get(web.listener).status == 200


@pytest.mark.parametrize(
    "method",
    ["GET", "POST"],
)
def test_what_goaway_says_was_not_done_is_done_elsewhere(web, client, method):
    """RFC 9113 6.8: streams above the last one were not looked at and may be asked again."""
    asked = []

    def answer(request, c):
        asked.append(request)
        if len(asked) == 1:
            c.send(frames.goaway(0))
        else:
            c.respond(request.stream)

    web.reset(answer)
    got = client.get(method=method, body=b"once" if method == "POST" else b"")
    assert got.status == 200, got
    assert [r.body for r in web.complete()][-1] == (b"once" if method == "POST" else b"")


def test_refused_streams_are_asked_again(web, client):
    asked = []

    def answer(request, c):
        asked.append(request)
        if len(asked) == 1:
            c.send(frames.rst_stream(request.stream, frames.REFUSED_STREAM))
        else:
            c.respond(request.stream)

    web.reset(answer)
    assert client.get().status == 200 and len(asked) == 2


def test_a_post_in_flight_is_not_repeated(web, client):
    web.reset(lambda request, c: c.sock.shutdown(2))
    answer = client.get(method="POST", body=b"once")
    assert answer.status == 502 or answer.reset is not None
    assert len(web.complete()) == 1


def leaves(c, stream):
    c.send(frames.goaway(stream))
    c.sock.shutdown(socket.SHUT_RDWR)


def breaks(c, stream):
    c.send(frames.goaway(stream))
    wire.reset(c.sock)


def wants_no_more_of_it(c, stream):
    c.send(frames.rst_stream(stream, frames.NO_ERROR))


@pytest.mark.parametrize("ends", [leaves, breaks, wants_no_more_of_it])
def test_an_answer_that_came_whole_outlives_its_upstream(web, client, ends):
    """A client that reads slowly gets all of it after the connection it came on has ended, or the
    stream (RFC 9113 8.1).
    """
    sent, over = [], threading.Event()

    def answer(request, c):
        c.send(frames.headers(request.stream, frames.block([(":status", "200")]), False))
        while size := c.credit(request.stream, frames.DEFAULT_FRAME, seconds=1):
            c.send(frames.data(request.stream, b"x" * size, False))
            sent.append(size)
        c.send(frames.data(request.stream, b""))  # an end needs no window
        ends(c, request.stream)
        over.set()

    web.reset(answer, early=True)
    if ends is wants_no_more_of_it:
        block = frames.block(frames.request("POST", "/p"))
        client.send(frames.headers(1, block, end_stream=False))
    else:
        client.ask(1)
    assert over.wait(PATIENCE) and sum(sent) >= 65535, "the windows were full"
    web.reset()
    if ends is not wants_no_more_of_it:
        assert get(web.listener).status == 200, "on another connection: the end was seen"
    client.send(frames.window_update(1, 1 << 24), frames.window_update(0, 1 << 24))
    got = client.answer(1)
    assert got.ended and len(got.body) == sum(sent), got


# --- upstreams that cannot be trusted ---


def head(stream, *fields, end=False, status="200"):
    return frames.headers(stream, frames.block([(":status", status), *fields]), end_stream=end)


BAD_ANSWERS = {
    "no status": lambda s: frames.headers(s, frames.block([("x", "y")])),
    "two statuses": lambda s: head(s, (":status", "200"), end=True),
    "odd status": lambda s: head(s, end=True, status="2x0"),
    "a pseudo-header field of requests": lambda s: head(s, (":path", "/"), end=True),
    "upper case": lambda s: head(s, ("X-Up", "y"), end=True),
    "CR LF in a value": lambda s: head(s, ("x", "y\r\nset-cookie: z"), end=True),
    "NUL in a value": lambda s: head(s, ("x", "y\0"), end=True),
    "empty name": lambda s: head(s, ("", "y"), end=True),
    "connection": lambda s: head(s, ("connection", "close"), end=True),
    "transfer-encoding": lambda s: head(s, ("transfer-encoding", "chunked"), end=True),
    "two lengths": lambda s: head(s, ("content-length", "1"), ("content-length", "2"), end=True),
    "less than its length": lambda s: head(s, ("content-length", "9")) + frames.data(s, b"x"),
    "more than its length": lambda s: head(s, ("content-length", "1")) + frames.data(s, b"xyz"),
    "data first": lambda s: frames.data(s, b"x"),
    "too many fields": lambda s: head(s, *[(f"x-{i}", "v") for i in range(500)], end=True),
    "a field of 60 KiB": lambda s: in_frames(
        s, frames.block([(":status", "200"), ("x", "v" * 60_000)])
    ),
    "an unknown index": lambda s: frames.headers(s, b"\xff\x80\x01"),
    "a pushed stream": lambda s: frames.frame(5, END_HEADERS, s, b"\0\0\0\x02" + b"\x88"),
    "a stream of its own": lambda s: head(2, end=True),
    "a frame too large": lambda s: frames.data(s, b"x" * 20000),
    "a window of 0": lambda s: frames.window_update(s, 0),
    "HTTP/1.1": lambda s: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "reset": lambda s: frames.rst_stream(s, frames.INTERNAL_ERROR),
    "reset in the body": lambda s: head(s) + frames.data(s, b"x", False) + frames.rst_stream(s, 2),
    "101": lambda s: head(s, ("upgrade", "x"), status="101", end=True),
}


@pytest.mark.parametrize("version", ["to HTTP/1.1", "to HTTP/2"])
@pytest.mark.parametrize("kind", BAD_ANSWERS)
def test_bad_answers(web, kind, version):
    """502, or an answer that is seen to be cut; afterwards all is well."""
    web.reset(lambda request, c: c.send(BAD_ANSWERS[kind](request.stream)))
    if version == "to HTTP/2":
        with Http2(web.listener) as client:
            got = client.start().get()
            assert got.over and not (got.status == 200 and got.ended), f"delivered: {got}"
            assert got.status in (0, 200, 502), got
            web.reset()
            assert client.get(3).status == 200, client.story()
    else:
        try:
            assert get(web.listener, timeout=30).status == 502
        except Closed as cut:
            assert getattr(cut, "partial", None) or not cut.args[0], cut
    web.reset()
    assert get(web.listener).status == 200


FLOODS = {
    "pings": lambda s: frames.ping() * 1000,
    "settings": lambda s: frames.settings() * 1000,
    "continuations": lambda s: frames.continuation(s, b"\0\0\0", end_headers=False) * 1000,
    "empty data": lambda s: frames.data(s, b"", False) * 1000,
    "interim answers": lambda s: head(s, status="103") * 1000,
    "window updates": lambda s: frames.window_update(0, 1) * 1000,
    "priorities": lambda s: frames.priority(s + 2) * 1000,
}


@pytest.mark.parametrize("kind", FLOODS)
def test_floods_from_an_upstream(shared, web, kind):
    """The request ends in time, memory and processor time are bounded, others are served."""
    units = 0

    def answer(request, c):
        nonlocal units
        first = {"continuations": frames.frame(frames.HEADERS, 0, request.stream, b"\x88")}
        begin = {"empty data": head(request.stream)}
        c.send(first.get(kind, begin.get(kind, b"")))
        batch = FLOODS[kind](request.stream)
        while units < 100_000 and c.send(batch):
            units += 1000

    pids = shared.node.worker_pids()
    cpu = sum(cpu_seconds(pid) for pid in pids)
    memory = sum(rss_kib(pid) for pid in pids)
    web.reset(answer)
    with Http2(web.listener, timeout=30) as client:
        client.start().ask(1)
        client.answer(1)
        assert client.ponged(), client.story()
    web.reset()
    assert get(web.listener).status == 200
    assert sum(cpu_seconds(pid) for pid in pids) - cpu < 1 + units / 10_000, "too much work"
    assert sum(rss_kib(pid) for pid in pids) - memory < 64 << 10, "too much memory"
    assert shared.node.worker_pids() == pids
    web.drop()
