"""Proves what passes between clients of HTTP/2 and upstreams of HTTP/1.1: messages, their bodies,
trailers and interim answers, cancelled and slow ones, and the end of a connection.
"""

import contextlib
import re
import socket
import threading
import time

import frames
import http2
import pytest
from h2client import Http2, tls_context
from ports import Ports
from wire import HOLD, OK, PATIENCE, Client, Stream, read_response, values, wait_for

pytestmark = http2.needed


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    ports = Ports()
    with http2.Front(ports, tmp_path_factory.mktemp("http2"), 1, asan=True) as made:
        yield made
    ports.close()


@pytest.fixture(params=["h2c", "tls"])
def client(request, shared):
    """A shaken client; `.web` is the recorder behind."""
    shared.recorders[0].reset()
    with Http2(*shared.lanes[0].where(request.param)) as made:
        made.web = shared.recorders[0]
        made.node = shared.node
        yield made.start()


def bytes_answer(body, *lines):
    head = b"".join(line + b"\r\n" for line in (b"HTTP/1.1 200 OK", *lines))
    return lambda request, client: head + b"Content-Length: %d\r\n\r\n" % len(body) + body


# --- messages ---


def test_the_upstream_gets_a_request_of_its_own_version(client):
    answer = client.get(path="/a?b=c", fields=[("x-one", "1"), ("accept", "*/*")])
    assert (answer.status, answer.body) == (200, b"ok")
    (request,) = client.web.complete()
    assert request.start == b"GET /a?b=c HTTP/1.1"
    assert values(request.headers, "host") == ["ex.test"]
    assert values(request.headers, "x-one") == ["1"]
    assert not [name for name, _ in request.headers if name.startswith(":")]
    assert any(v.startswith("2") for v in values(request.headers, "via")), request.headers


@pytest.mark.parametrize("size", [1, 16384, 65535, 65536, 1 << 20])
def test_bodies_up_and_down(client, size):
    body = bytes(range(256)) * (size // 256) + b"e" * (size % 256)
    client.open_windows = True
    client.web.reset(lambda request, _: bytes_answer(request.body)(request, _))
    client.send(frames.headers(1, frames.block(frames.request("POST")), end_stream=False))
    upload(client, 1, body)
    answer = client.answer(1)
    assert answer.status == 200 and answer.body == body
    (request,) = client.web.complete()
    assert request.body == body and values(request.headers, "transfer-encoding") == ["chunked"]


def upload(client, stream, body, seconds=PATIENCE):
    """DATA as the windows allow."""
    sent, end = 0, time.monotonic() + seconds

    def credit(number):
        opened = [
            int.from_bytes(f.payload, "big")
            for f in client.history
            if f.kind == frames.WINDOW_UPDATE and f.stream == number
        ]
        first = client.settings.get(frames.INITIAL_WINDOW_SIZE) if number else None
        return (frames.DEFAULT_WINDOW if first is None else first) + sum(opened) - sent

    while sent < len(body) and time.monotonic() < end:
        size = min(credit(0), credit(stream), frames.DEFAULT_FRAME, len(body) - sent)
        if size <= 0:
            assert client.fill(0.2) or not client.closed, client.story()
            continue
        client.send(frames.data(stream, body[sent : sent + size], sent + size == len(body)))
        sent += size
    assert sent == len(body), f"{sent} of {len(body)} octets went out: {client.story()}"


def test_a_length_goes_on_as_a_length(client):
    client.get(method="POST", fields=[("content-length", "5")], body=b"hello")
    (request,) = client.web.complete()
    assert request.body == b"hello" and values(request.headers, "content-length") == ["5"]
    assert not values(request.headers, "transfer-encoding")


def test_a_body_beyond_its_length_never_goes_on_whole(client):
    """The octet too many comes when all that was announced is long here (RFC 9113 8.1.1)."""
    fields = [*frames.request("POST", "/p"), ("content-length", "5")]
    client.send(
        frames.headers(1, frames.block(fields), end_stream=False),
        frames.data(1, b"hello", end_stream=False),
    )
    wait_for(lambda: client.web.requests, what="the head upstream")
    client.send(frames.data(1, b"!"))
    client.until(lambda: client.resets(1))
    assert client.resets(1) == [frames.PROTOCOL_ERROR], client.story()
    (request,) = client.web.requests
    wait_for(lambda: request.connection not in client.web.open, what="its end upstream")
    assert client.web.complete() == []


def test_no_body_is_no_body(client):
    for stream, method in ((1, "GET"), (3, "DELETE"), (5, "OPTIONS")):
        assert client.get(stream, method).status == 200
    for request in client.web.complete():
        assert not values(request.headers, "transfer-encoding"), request.raw


def test_trailers_up(client):
    client.send(frames.headers(1, frames.block(frames.request("POST")), end_stream=False))
    client.send(frames.data(1, b"x", False), frames.headers(1, frames.block([("x-sum", "1")])))
    assert client.answer(1).status == 200
    (request,) = client.web.complete()
    assert request.trailers == [("x-sum", "1")]


def test_trailers_down(client):
    client.web.reset(
        lambda request,
        _: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
        b"2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"
    )
    answer = client.get(fields=[("te", "trailers")])
    assert answer.body == b"ok" and answer.trailers == [("x-sum", "1")]
    assert not answer.values("transfer-encoding") and not answer.values("connection")


@pytest.mark.parametrize(
    ("status", "reason"), [(204, b"No Content"), (304, b"Not Modified"), (404, b"Not Found")]
)
def test_statuses_without_and_with_bodies(client, status, reason):
    body = b"" if status != 404 else b"no"
    length = b"" if status == 204 else b"Content-Length: 2\r\n"
    client.web.reset(
        lambda request, _: b"HTTP/1.1 %d %s\r\n%s\r\n%s" % (status, reason, length, body)
    )
    answer = client.get()
    assert answer.status == status and answer.ended and answer.body == body


def test_head_has_the_length_and_no_body(client):
    client.web.reset(lambda request, _: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
    answer = client.get(method="HEAD")
    assert answer.ended and answer.body == b"" and answer.values("content-length") == ["2"]


def test_interim_answers(client):
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    client.web.reset(lambda request, _: hints + OK)
    answer = client.get()
    assert answer.status == 200 and len(answer.interim) == 1
    assert dict(answer.interim[0]) == {":status": "103", "link": "</a>"}


def test_continue(client):
    """Expect goes on; the 100 is the upstream's, the body follows it."""
    block = frames.block(frames.request("POST", fields=[("expect", "100-continue")]))
    client.send(frames.headers(1, block, end_stream=False))
    assert client.until(lambda: 1 in client.answers and client.answers[1].interim), client.story()
    assert dict(client.answers[1].interim[0])[":status"] == "100"
    client.send(frames.data(1, b"hello"))
    assert client.answer(1).status == 200
    assert client.web.complete()[0].body == b"hello"


def test_crumbs_of_a_cookie_are_one_field_again(client):
    client.get(fields=[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"), ("cookie", "c=3")])
    (request,) = client.web.complete()
    assert values(request.headers, "cookie") == ["a=1; b=2; c=3"]


def test_fields_of_the_connection_end_here(client):
    client.web.reset(
        lambda request, _: b"HTTP/1.1 200 OK\r\nConnection: keep-alive, x-hop\r\nX-Hop: 1\r\n"
        b"Keep-Alive: timeout=5\r\nProxy-Connection: x\r\nContent-Length: 2\r\n\r\nok"
    )
    answer = client.get()
    names = {name for name, _ in answer.headers}
    assert not names & {"connection", "keep-alive", "proxy-connection", "x-hop", "upgrade"}
    assert all(name == name.lower() for name in names)


def test_an_answer_without_a_length_ends_the_stream(client):
    client.web.reset(
        lambda request, upstream: upstream.send(b"HTTP/1.1 200 OK\r\n\r\nall") and None
    )
    answer = client.get()
    assert answer.status == 200 and answer.ended and answer.body == b"all"
    assert client.get(3).status == 200


def test_an_answer_that_is_cut_is_reset(client):
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal"
    client.web.reset(lambda request, upstream: upstream.send(cut) and None)
    answer = client.get()
    assert answer.reset is not None and not answer.ended, "a cut answer looks whole"
    client.web.reset()
    assert client.get(3).status == 200, "the connection is not usable afterwards"


# --- many at once ---


def test_streams_do_not_wait_for_each_other(client):
    """The first asks for what never comes; those behind it are answered."""
    client.web.reset(lambda request, _: HOLD if request.target == "/never" else OK)
    client.ask(1, path="/never")
    for stream in range(3, 43, 2):
        assert client.get(stream, path=f"/{stream}").body == b"ok"
    assert 1 not in client.answers or not client.answers[1].over


def test_a_hundred_at_once(client):
    gate = threading.Event()

    def answer(request, _):
        gate.wait(30)
        body = request.target.encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    client.web.reset(answer)
    count = min(100, client.streams_allowed)
    for number in range(count):
        client.ask(2 * number + 1, path=f"/{number}")
    wait_for(lambda: len(client.web.requests) == count, 5, "all arrive before one is answered")
    gate.set()
    for number in range(count):
        assert client.answer(2 * number + 1).body == b"/%d" % number


def test_a_stream_that_is_not_read_stops_no_other(client):
    """One window is shut, and the connection's is large: others get all of theirs."""
    big = b"b" * 200_000
    client.web.reset(
        lambda request, _: bytes_answer(big if request.target == "/big" else b"ok")(request, _)
    )
    client.acknowledge = True
    client.send(frames.window_update(0, 1 << 24))
    client.ask(1, path="/big")
    assert client.until(lambda: 1 in client.answers and len(client.answers[1].body) == 65535)
    for stream in range(3, 33, 2):
        assert client.get(stream).body == b"ok"
    client.send(frames.window_update(1, 1 << 24))
    assert client.answer(1).body == big


def test_a_request_that_is_not_read_stops_no_other(tmp_path, ports):
    """An upstream that reads no body: the window of that stream shuts, others go on."""
    over = threading.Event()

    def serve(sock):
        with sock:
            upstream = Client(0, sock)
            if b"/stuck" in upstream.stream.until(b"\r\n\r\n"):
                over.wait(60)
            else:
                upstream.send(OK)

    def accept(listening):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()

    with http2.Front(ports, tmp_path, 1) as front:
        front.recorders[0].close()
        listening = socket.create_server(("127.0.0.1", front.recorders[0].port))
        threading.Thread(target=accept, args=(listening,), daemon=True).start()
        with listening, Http2(front.lanes[0].port) as client:
            client.start()
            block = frames.block(frames.request("POST", "/stuck"))
            client.send(frames.headers(1, block, end_stream=False))
            client.send(frames.data(1, b"x" * 16000, end_stream=False) * 4)
            for stream in range(3, 13, 2):
                assert client.get(stream).status == 200, client.story()
            over.set()


# --- cancelled ---


def timed_out(node):
    """Requests that a timeout ended."""
    counted = re.findall(r'_outcomes_total\{.*="request_timeout".*\} (\d+)', node.metrics())
    return sum(map(int, counted))


def test_a_cancelled_request_is_cancelled_upstream(client):
    client.web.reset(lambda request, _: HOLD)
    for stream in (1, 3, 5):
        client.ask(stream)
    wait_for(lambda: len(client.web.requests) == 3, 3, "all arrive")
    before = timed_out(client.node)
    client.send(*(frames.rst_stream(stream) for stream in (1, 3, 5)))
    held = {r.connection for r in client.web.requests}
    wait_for(lambda: not held & set(client.web.open), 3, "the upstream is let go")
    assert timed_out(client.node) == before, "only its time ended it"
    client.web.reset()
    assert client.get(7).status == 200


def test_what_the_client_leaves_is_let_go_upstream(client):
    client.web.reset(lambda request, _: HOLD)
    for stream in range(1, 21, 2):
        client.ask(stream)
    wait_for(lambda: len(client.web.requests) == 10, 3, "all arrive")
    held = {r.connection for r in client.web.requests}
    client.close()
    wait_for(lambda: not held & set(client.web.open), 3, "the upstreams are let go")


# --- both versions on one port ---


def test_the_versions_share_a_port(shared):
    shared.recorders[0].reset()
    lane = shared.lanes[0]
    for alpn, expected in ((("http/1.1",), "http/1.1"), (("h2", "http/1.1"), "h2"), ((), None)):
        context = tls_context(alpn) if alpn else tls_context(("http/1.1",))
        with Http2(lane.tls_port, context) as client:
            assert client.alpn == (expected or "http/1.1")
            if client.alpn == "h2":
                assert client.start().get().status == 200
            else:
                client.send(b"GET / HTTP/1.1\r\nHost: ex.test\r\n\r\n")
                assert answer_of(client).status == 200
    with Http2(lane.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: ex.test\r\n\r\n")
        assert answer_of(client).status == 200


def answer_of(client):
    return read_response(Stream(client.sock))


def test_http_1_in_a_connection_of_http_2_is_refused(client):
    client.send(b"GET / HTTP/1.1\r\nHost: ex.test\r\n\r\n")
    assert client.closes_within(5), client.story()
    assert client.web.requests == []


def test_an_idle_connection_is_ended_with_goaway(client):
    """The idle timeout is 8 s."""
    assert client.get().status == 200
    assert client.closes_within(8), "an idle connection is kept"
    assert client.goaways == [frames.NO_ERROR], client.story()


# --- rules that change ---


def test_a_deny_reaches_connections_that_are_open(mesh):
    """What is asked after it gets 403, or the connection ends with GOAWAY."""
    pair = mesh()
    with Http2(pair.local) as client:
        client.start()
        assert client.get(1, authority="web").status == 200
        pair.node.deny("api", "web")
        if client.ponged() and not client.goaways:
            assert client.get(3, authority="web").status == 403, client.story()
        else:
            assert client.goaways == [frames.NO_ERROR], client.story()
        pair.node.allow("api", "web")
    with Http2(pair.local) as client:
        assert client.start().get(1, authority="web").status == 200


# --- the end ---


def test_a_drain_lets_streams_finish(tmp_path, ports):
    """SIGTERM: GOAWAY, what is under way is answered, then the connection ends."""
    gate = threading.Event()

    def answer(request, _):
        gate.wait(30)
        return OK

    with http2.Front(ports, tmp_path, 1) as front:
        front.recorders[0].reset(answer)
        with Http2(*front.lanes[0].where("tls"), timeout=30) as client:
            client.start()
            client.ask(1)
            wait_for(lambda: front.recorders[0].requests, 3, "it arrives")
            stopping = threading.Thread(target=front.node.stop, daemon=True)
            stopping.start()
            assert client.until(lambda: client.goaways), client.story()
            assert set(client.goaways) == {frames.NO_ERROR}
            gate.set()
            got = client.answer(1)
            assert got.status == 200 and got.body == b"ok", f"cut: {got}; {client.story()}"
            assert client.closes_within(10)
            stopping.join(20)
