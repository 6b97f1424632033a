"""Proves that curl undoes what a listener with `compression:` codes, by either version of HTTP, and
that events are not kept back.
"""

import gzip
import subprocess
import time

import pytest
from ringmesh import listener, service

TEXT = b"".join(b"line %d of a page that repeats itself\n" % i for i in range(4000))


def page(*lines, body=TEXT):
    head = [b"HTTP/1.1 200 OK", b"Content-Type: text/html; charset=utf-8", *lines]
    return b"\r\n".join([*head, b"Content-Length: %d" % len(body), b"", body])


@pytest.fixture
def front(nodes, ports, recorders):
    web, port = recorders(), ports.take()
    nodes(
        services=[service("web", web.port)],
        listeners=[listener("public", port, "web", compression={})],
    ).start()
    web.at = port
    return web


def curl(port, *arguments):
    """Head and decoded body."""
    done = subprocess.run(
        ["curl", "-sS", "-i", "--max-time", "60", *arguments, f"http://127.0.0.1:{port}/"],
        capture_output=True,
        timeout=90,
        check=True,
    )
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    return head.decode().lower().split("\r\n"), body


@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_curl_undoes_every_coding(front, coding, version):
    front.reset(lambda request, client: page(b'ETag: "one"', b"Accept-Ranges: bytes"))
    head, body = curl(front.at, version, "--compressed", "-H", f"Accept-Encoding: {coding}")
    assert body == TEXT
    assert f"content-encoding: {coding}" in head
    assert 'etag: w/"one"' in head
    assert "vary: accept-encoding" in head
    assert not any(line.startswith(("content-length:", "accept-ranges:")) for line in head)


@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_who_takes_no_coding_gets_none(front, version):
    front.reset(lambda request, client: page())
    head, body = curl(front.at, version)
    assert body == TEXT
    assert f"content-length: {len(TEXT)}" in head
    assert "vary: accept-encoding" in head
    assert not any(line.startswith("content-encoding:") for line in head)


def test_the_preferred_coding_is_taken(front):
    front.reset(lambda request, client: page())
    head, body = curl(front.at, "--compressed")  # curl offers all that it knows alike
    assert body == TEXT
    assert "content-encoding: zstd" in head


def test_what_is_coded_already_is_left_alone(front):
    coded = gzip.compress(TEXT)
    front.reset(lambda request, client: page(b"Content-Encoding: gzip", body=coded))
    head, body = curl(front.at, "--compressed")
    assert body == TEXT
    assert f"content-length: {len(coded)}" in head


def test_a_large_body_in_pieces(front):
    """Chunks of all sizes, more than fits into any buffer."""
    whole = TEXT * 30

    def answer(request, client):
        client.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        at, size = 0, 1
        while at < len(whole):
            piece = whole[at : at + size]
            client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            at, size = at + size, size * 3 % 70001 + 1
        return b"0\r\n\r\n"

    front.reset(answer)
    for version in ("--http1.1", "--http2-prior-knowledge"):
        head, body = curl(front.at, version, "--compressed")
        assert body == whole
        assert "content-encoding: zstd" in head


def test_events_arrive_one_by_one(front):
    """curl shows the first event while the stream is open."""
    waiting = []

    def answer(request, client):
        client.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        client.send(b"d\r\ndata: first\n\n\r\n")
        while not waiting:
            time.sleep(0.01)
        client.send(b"e\r\ndata: second\n\n\r\n")
        return b"0\r\n\r\n"

    front.reset(answer)
    url = f"http://127.0.0.1:{front.at}/"
    command = ["curl", "-sS", "-N", "--max-time", "60", "--compressed", url]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as client:
        assert client.stdout.read(13) == b"data: first\n\n"
        waiting.append(True)
        assert client.stdout.read() == b"data: second\n\n"
    assert client.returncode == 0
