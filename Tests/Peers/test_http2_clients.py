"""Proves HTTP/2 with everybody's clients: curl, nghttp, h2load, and Python's httpx and h2."""

import json
import re
import socket
import ssl
import subprocess

import h2.config
import h2.connection
import h2.events
import http2
import httpx
import peers
import pytest
from h2client import dial, tls_context
from ports import Ports

pytestmark = http2.needed


@pytest.fixture(scope="module")
def front(tmp_path_factory):
    ports = Ports()
    with http2.Front(ports, tmp_path_factory.mktemp("http2"), 1) as made:
        yield made
    ports.close()


@pytest.fixture
def web(front):
    """The recorder behind; it returns what it gets."""

    def answer(request, _):
        body = request.body or b"ok"
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + (b"" if request.method == "HEAD" else body)

    front.recorders[0].reset(answer)
    return front.recorders[0]


def run(*command, seconds=60):
    lacking = peers.missing(command[0])
    if lacking:
        pytest.skip(f"{lacking} is not installed")
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, timeout=seconds, check=False
    )
    done.text = (done.stdout + done.stderr).decode("utf-8", "replace")
    return done


def curl(front, transport, *arguments):
    """curl by HTTP/2, whichever way, to ex.test."""
    lane = front.lanes[0]
    port = lane.tls_port if transport == "tls" else lane.port
    way = ["--http2"] if transport == "tls" else ["--http2-prior-knowledge"]
    scheme = "https" if transport == "tls" else "http"
    return run(
        "curl",
        "-sS",
        "--max-time",
        "60",
        *way,
        "--cacert",
        front.cafile,
        "--resolve",
        f"ex.test:{port}:127.0.0.1",
        *[a.replace("URL", f"{scheme}://ex.test:{port}") for a in map(str, arguments)],
    )


@pytest.fixture(params=["tls", "h2c"])
def transport(request):
    return request.param


def test_curl_speaks_http_2(front, web, transport):
    done = curl(front, transport, "-w", " %{http_version} %{http_code}", "URL/a?b=c")
    assert done.stdout == b"ok 2 200", done.text
    assert web.complete()[0].start == b"GET /a?b=c HTTP/1.1"


def test_curl_uploads_and_downloads(front, web, transport, tmp_path):
    """16 MiB there and back, with a length and without."""
    data = bytes(range(256)) * 65536
    source, back = tmp_path / "source", tmp_path / "back"
    source.write_bytes(data)
    for arguments in (["--data-binary", f"@{source}"], ["-T", source, "-H", "Content-Length:"]):
        done = curl(front, transport, *arguments, "-o", back, "URL/")
        assert done.returncode == 0, done.text
        assert back.read_bytes() == data


def test_curl_many_in_parallel_on_one_connection(front, web):
    done = curl(front, "tls", "-Z", "-w", "%{num_connects} %{http_version}\n", "URL/[1-60]")
    found = re.findall(r"(\d) 2\n", done.stdout.decode())
    assert len(found) == 60, done.text
    assert len(web.complete()) == 60


def test_curl_head_and_continue(front, web, transport):
    assert curl(front, transport, "-I", "URL/").stdout.startswith(b"HTTP/2 200")
    done = curl(front, transport, "-H", "Expect: 100-continue", "-d", "x" * 2000, "URL/")
    assert done.stdout == b"x" * 2000, done.text


def test_curl_that_asks_for_an_upgrade_gets_http_1(front, web):
    """RFC 9113 3.1: the Upgrade of RFC 7540 is no more; it is ignored, and goes no further."""
    url = f"http://127.0.0.1:{front.lanes[0].port}/"
    headers = ["-H", "Host: ex.test", "-w", " %{http_version}"]
    done = run("curl", "-sS", "--max-time", "20", "--http2", *headers, url)
    assert done.stdout == b"ok 1.1", done.text
    (request,) = web.complete()
    assert not request.header("upgrade") and not request.header("http2-settings")


def test_nghttp(front, web, transport):
    """Dependencies, padding, trailers, a tiny window, and no table."""
    lane = front.lanes[0]
    port = lane.tls_port if transport == "tls" else lane.port
    url = f"{'https' if transport == 'tls' else 'http'}://127.0.0.1:{port}/"
    done = run(
        *["nghttp", "-nv", "--no-verify-peer", "-H:authority: ex.test", "-b", "16", "-w", "10"],
        *["--no-content-length", "--trailer", "x-sum: 1", "-d", __file__, "-m", "5", "-c", "0"],
        url,
    )
    assert done.text.count(":status: 200") == 5, done.text[-3000:]
    assert "ERROR" not in done.text.replace("error_code=NO_ERROR", ""), done.text[-3000:]
    assert {r.trailers == [("x-sum", "1")] for r in web.complete()} == {True}


def test_h2load(front, web, transport):
    lane = front.lanes[0]
    port = lane.tls_port if transport == "tls" else lane.port
    url = f"{'https' if transport == 'tls' else 'http'}://127.0.0.1:{port}/"
    done = run("h2load", "-n", 4000, "-c", 8, "-m", 32, "-H:authority: ex.test", url)
    assert "4000 succeeded, 0 failed, 0 errored, 0 timeout" in done.text, done.text
    assert "status codes: 4000 2xx" in done.text, done.text


def test_httpx(front, web):
    def ours(name, *arguments, **more):
        return real("127.0.0.1" if name == "ex.test" else name, *arguments, **more)

    real = socket.getaddrinfo
    context = ssl.create_default_context(cafile=front.cafile)
    url = f"https://ex.test:{front.lanes[0].tls_port}"
    socket.getaddrinfo = ours
    try:
        with httpx.Client(http1=False, http2=True, verify=context, base_url=url) as client:
            for number in range(20):
                answer = client.post(f"/{number}", content=json.dumps({"n": number}))
                assert answer.http_version == "HTTP/2" and answer.json() == {"n": number}
    finally:
        socket.getaddrinfo = real


@pytest.mark.parametrize("count", [1, 50])
def test_h2(front, web, transport, count):
    """PyPI's h2, which minds every rule of the protocol, finds nothing to complain of."""
    side = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    lane = front.lanes[0]
    context = tls_context(cafile=str(front.cafile)) if transport == "tls" else None
    with dial(lane.tls_port if context else lane.port, context) as sock:
        side.initiate_connection()
        fields = [
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "ex.test"),
        ]
        for number in range(count):
            side.send_headers(2 * number + 1, fields, end_stream=True)
        ended, body = set(), b""
        ended_badly = (h2.events.StreamReset, h2.events.ConnectionTerminated)
        while len(ended) < count:
            sock.sendall(side.data_to_send())
            for event in side.receive_data(sock.recv(65536)):
                if isinstance(event, h2.events.DataReceived):
                    body += event.data
                    side.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                assert not isinstance(event, ended_badly), event
                if isinstance(event, h2.events.StreamEnded):
                    ended.add(event.stream_id)
        assert body == b"ok" * count
        side.close_connection()
        sock.sendall(side.data_to_send())


def test_through_two_sidecars(mesh):
    """curl by prior knowledge to the sidecar of the client; the service speaks HTTP/1.1."""
    pair = mesh()
    url = f"http://127.0.0.1:{pair.local}/hello"
    done = run(
        *["curl", "-sS", "--max-time", "20", "--http2-prior-knowledge"],
        *["-w", " %{http_version} %{http_code}", url],
    )
    assert done.stdout == b"ok 2 200", done.text
    denied = run(
        *["curl", "-sS", "--max-time", "20", "--http2-prior-knowledge", "-o", "/dev/null"],
        *["-w", "%{http_code}", f"http://127.0.0.1:{pair.batch_local}/"],
    )
    assert denied.stdout == b"403", denied.text


def test_changes_under_load_fail_no_request(mesh):
    """Rules change again and again while h2load asks through both sidecars."""
    pair = mesh()
    url = f"http://127.0.0.1:{pair.local}/"
    command = ["h2load", "-D", "10", "-c", "4", "-m", "8", "-H:authority: web", url]
    if lacking := peers.missing("h2load"):
        pytest.skip(f"{lacking} is not installed")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as load:
        changes = 0
        while load.poll() is None:
            (pair.node.allow if changes % 2 else pair.node.deny)("batch", "web")
            changes += 1
        said = load.stdout.read()
    failed = re.search(r"(\d+) done, (\d+) succeeded, (\d+) failed", said)
    done, succeeded, wrong = map(int, failed.groups())
    assert changes >= 2 and done > 100 and succeeded == done and wrong == 0, said
