"""Proves HTTP/1.1 forwarding message by message, with a recording upstream behind one listener:
bodies in both framings and both directions, interim answers, trailers, bodiless answers,
pipelining, the headers that a proxy adds and removes.
"""

import random
import re
import threading
import time

import pytest
import wire
from ringmesh import listener, service
from wire import Client, Closed, get, read_response, values, wait_for


@pytest.fixture
def edge(nodes, ports, recorders):
    web, port = recorders(), ports.take()
    nodes(services=[service("web", web.port)], listeners=[listener("public", port, "web")]).start()
    web.listener = port
    return web


def answering(text):
    return lambda request, client: text


def chunked(data, dice):
    parts, at = [], 0
    while at < len(data):
        part = data[at : at + dice.randrange(1, 9000)]
        parts.append(b"%x\r\n%s\r\n" % (len(part), part))
        at += len(part)
    return b"".join(parts) + b"0\r\n\r\n"


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 65537, 1 << 20, 20 << 20])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_bodies_both_ways(edge, size, framing):
    """What the client sends is what the upstream gets, and back again, byte for byte."""
    dice = random.Random(size)
    data = dice.randbytes(size)

    def answer(request, client):
        if framing == "length":
            return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (
                len(request.body),
                request.body,
            )
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        return head + chunked(request.body, random.Random(1))

    edge.reset(answer)
    with Client(edge.listener, timeout=60) as client:
        if framing == "length":
            back = client.get("/", method="POST", body=data)
        else:
            client.send(
                b"POST / HTTP/1.1\r\nHost: ex.test\r\nTransfer-Encoding: chunked\r\n\r\n"
                + chunked(data, dice)
            )
            back = read_response(client.stream)
        assert back.status == 200 and back.body == data
        assert client.get("/after").status == 200, "the connection is out of step"
    assert edge.complete()[0].body == data


def test_head_204_304(edge):
    """Answers without a body leave the connection in step."""
    heads = {
        "/head": b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n",
        "/204": b"HTTP/1.1 204 No Content\r\n\r\n",
        "/304": b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 9\r\n\r\n',
    }
    edge.reset(lambda request, client: heads.get(request.target, heads["/204"]))
    with Client(edge.listener) as client:
        for _ in range(3):
            head = client.get("/head", method="HEAD")
            assert head.status == 200 and head.header("content-length") == "500"
            assert client.get("/204").status == 204
            assert client.get("/304").header("etag") == '"x"'


def test_continue_waits_for_the_upstream(edge):
    """The 100 comes from the upstream, then the body goes, then the final answer."""
    with Client(edge.listener) as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: ex.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        )
        head = client.stream.until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 100")
        client.send(b"hello")
        assert read_response(client.stream).status == 200
    assert edge.complete()[0].body == b"hello"


def test_early_hints_are_passed_on(edge):
    edge.reset(
        answering(
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        )
    )
    answer = get(edge.listener)
    assert answer.body == b"ok"
    assert [m.status for m in answer.interim] in ([103], [])


def test_trailers(edge):
    """Trailers of either side arrive as trailers or not at all, never as headers."""
    edge.reset(
        answering(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
            b"2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n"
        )
    )
    with Client(edge.listener) as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: ex.test\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5\r\nhello\r\n0\r\nX-Sum: 9\r\n\r\n"
        )
        answer = read_response(client.stream)
    assert answer.body == b"ok"
    assert values(answer.headers, "x-sum") == []
    assert answer.trailers in ([("x-sum", "7")], [])
    (request,) = edge.complete()
    assert values(request.headers, "x-sum") == []
    assert request.trailers in ([("x-sum", "9")], [])


def test_pipelined_requests_are_answered_in_order(edge):
    def answer(request, client):
        time.sleep(0.05 if request.target == "/0" else 0)
        body = request.target.encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    edge.reset(answer)
    with Client(edge.listener) as client:
        count = 40
        client.send(
            b"".join(b"GET /%d HTTP/1.1\r\nHost: ex.test\r\n\r\n" % i for i in range(count))
        )
        bodies = [read_response(client.stream).body for _ in range(count)]
    assert bodies == [b"/%d" % i for i in range(count)]


def test_connections_are_reused(edge):
    """A hundred requests over one client connection need few connections to the upstream."""
    with Client(edge.listener) as client:
        for _ in range(100):
            assert client.get().status == 200
    assert edge.connections <= 4, edge.connections


def test_hop_by_hop_headers_end_here(edge):
    edge.reset(
        answering(
            b"HTTP/1.1 200 OK\r\nConnection: X-Secret\r\nX-Secret: 1\r\nKeep-Alive: timeout=1\r\n"
            b"X-Kept: 1\r\nContent-Length: 2\r\n\r\nok"
        )
    )
    headers = [
        "Connection: X-Drop, keep-alive",
        "X-Drop: 1",
        "Keep-Alive: 5",
        "TE: gzip",
        "Proxy-Connection: keep-alive",
        "X-Kept: 1",
    ]
    answer = get(edge.listener, headers=headers)
    assert values(answer.headers, "x-secret") == [] and answer.header("x-kept") == "1"
    (request,) = edge.complete()
    for name in ("x-drop", "keep-alive", "proxy-connection", "te"):
        assert values(request.headers, name) == [], f"{name} was forwarded"
    assert request.header("x-kept") == "1"


def test_headers_that_a_proxy_adds(edge):
    answer = get(edge.listener, headers=["X-Forwarded-For: 192.0.2.1"])
    assert answer.status == 200
    (request,) = edge.complete()
    assert request.header("x-forwarded-for").endswith("127.0.0.1")
    assert request.header("x-forwarded-proto") == "http"
    assert request.header("x-forwarded-host") == "ex.test"
    assert request.header("host") == "ex.test"
    assert "1.1" in request.header("via")


def test_loop_is_answered_508(nodes, ports):
    """A listener that leads to itself is found by its own Via in the second round, not by
    exhaustion.
    """
    port = ports.take()
    node = nodes(services=[service("loop", port)], listeners=[listener("public", port, "loop")])
    node.start()
    assert get(port).status == 508
    series = re.compile(r"^ringmesh_listener_responses_total\{.*\} (\d+)$", re.M)
    wait_for(lambda: sum(map(int, series.findall(node.metrics()))) == 2, what="two answers")


def test_http10_client(edge):
    """A 1.0 client gets a 1.1 upstream's chunks without chunking, and the end by close."""
    edge.reset(
        answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
    )
    with Client(edge.listener) as client:
        client.send(b"GET / HTTP/1.0\r\nHost: ex.test\r\n\r\n")
        answer = read_response(client.stream)
        assert answer.body == b"ok" and values(answer.headers, "transfer-encoding") == []
        assert client.closes_within(1)


def test_cut_answer_is_seen_as_cut(edge):
    """An upstream that dies inside a body: the client can tell, in both framings."""
    for head in (b"Content-Length: 100\r\n\r\nonly", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhe"):

        def answer(request, client, head=head):
            client.send(b"HTTP/1.1 200 OK\r\n" + head)
            return None

        edge.reset(answer)
        with pytest.raises(Closed):
            get(edge.listener)


def test_slow_upload_and_download(edge):
    """Bodies that trickle in are passed on as they come, not collected: every byte is sent when
    the one before has arrived.
    """
    arrived = threading.Semaphore(1)

    def answer(request, client):
        client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
        for part in (b"a", b"b", b"c"):
            if not arrived.acquire(timeout=2 * wire.PATIENCE):
                return None
            client.send(part)
        return b""

    edge.reset(answer)
    with Client(edge.listener) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: ex.test\r\n\r\n")
        client.stream.until(b"\r\n\r\n")
        for part in (b"a", b"b", b"c"):
            assert client.stream.exactly(1) == part
            arrived.release()
