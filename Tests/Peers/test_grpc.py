"""Proves gRPC with the real thing on both ends, PyPI's grpcio: through one proxy, plain and by TLS,
and through two sidecars with mutual TLS.

Every kind of call, deadlines, cancellation, large messages, metadata, trailers and errors. Methods
take and give octets, so that no compiled messages are needed.
"""

import threading
import time
from concurrent import futures
from dataclasses import dataclass

import certificates
import grpc
import http2
import pytest
from processes import rss_kib
from ringmesh import defaults, listener, service, sidecar
from wire import wait_for

pytestmark = [http2.needed, http2.needed_upstream]

BIG = 8 << 20
NO_LIMIT = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
SECONDS = 60


class Service(grpc.GenericRpcHandler):
    """`/mesh.Test/<name>` by a method of this class; what it saw is kept."""

    def __init__(self):
        self.cancelled = threading.Event()
        self.began = threading.Event()
        self.metadata = []
        self.read = 0

    def service(self, details):
        name = details.method.rpartition("/")[2]
        kinds = {
            "Echo": grpc.unary_unary_rpc_method_handler(self.echo),
            "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
            "Hang": grpc.unary_unary_rpc_method_handler(self.hang),
            "Count": grpc.unary_stream_rpc_method_handler(self.count),
            "Endless": grpc.unary_stream_rpc_method_handler(self.endless),
            "Sum": grpc.stream_unary_rpc_method_handler(self.sum),
            "Chat": grpc.stream_stream_rpc_method_handler(self.chat),
        }
        return kinds.get(name)

    def echo(self, request, context):
        self.metadata = list(context.invocation_metadata())
        context.send_initial_metadata([("x-initial", "first"), ("x-initial-bin", b"\0\xff")])
        context.set_trailing_metadata([("x-last", "last"), ("x-last-bin", b"\xfe\0")])
        return request

    def fail(self, request, context):
        context.set_trailing_metadata([("x-why", "because")])
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not now: ünïcode %")

    def hang(self, request, context):
        context.add_callback(self.cancelled.set)
        self.began.set()
        self.cancelled.wait(SECONDS)
        return b""

    def count(self, request, context):
        for number in range(int(request)):
            yield b"%d" % number

    def endless(self, request, context):
        context.add_callback(self.cancelled.set)
        self.began.set()
        while context.is_active():
            yield b"x" * 1000

    def sum(self, requests, context):
        return b"%d" % sum(len(request) for request in requests)

    def chat(self, requests, context):
        for request in requests:
            self.read += 1
            yield request.upper()


@dataclass
class Way:
    """A channel to the service, and what is behind it."""

    channel: grpc.Channel
    service: Service
    server: grpc.Server
    node: object

    def call(self, name, kind="unary_unary"):
        return getattr(self.channel, kind)(f"/mesh.Test/{name}")


@pytest.fixture(params=["plain", "tls", "sidecars"])
def way(request, nodes, ports, tmp_path):
    handler = Service()
    server = grpc.server(futures.ThreadPoolExecutor(64), handlers=[handler], options=NO_LIMIT)
    behind = server.add_insecure_port("127.0.0.1:0")
    server.start()
    start = {"plain": plain, "tls": by_tls, "sidecars": sidecars}[request.param]
    node, channel = start(nodes, ports, tmp_path, behind)
    grpc.channel_ready_future(channel).result(SECONDS)
    yield Way(channel, handler, server, node)
    channel.close()
    server.stop(0).wait(SECONDS)


def plain(nodes, ports, _tmp_path, behind):
    port = ports.take()
    node = nodes(
        services=[service("web", behind)],
        config_entries=[defaults("web", "grpc")],
        listeners=[listener("public", port, "web")],
    ).start()
    return node, grpc.insecure_channel(f"127.0.0.1:{port}", options=NO_LIMIT)


def by_tls(nodes, ports, tmp_path, behind):
    port, ca = ports.take(), certificates.authority(tmp_path)
    cert, key = certificates.leaf(tmp_path, "server", ca, "DNS:ex.test")
    tls = {"cert": str(cert), "key": str(key), "alpn": http2.ALPN}
    node = nodes(
        services=[service("web", behind)],
        config_entries=[defaults("web", "grpc")],
        listeners=[listener("public", port, "web", tls=tls)],
    ).start()
    credentials = grpc.ssl_channel_credentials(ca[0].read_bytes())
    named = [("grpc.ssl_target_name_override", "ex.test"), *NO_LIMIT]
    return node, grpc.secure_channel(f"127.0.0.1:{port}", credentials, options=named)


def sidecars(nodes, ports, _tmp_path, behind):
    local, web_port, api_port = ports.take(3)
    node = nodes(
        services=[
            service("web", behind, connect=sidecar(web_port)),
            service("api", ports.dead(), connect=sidecar(api_port, {"web": local})),
        ],
        config_entries=[defaults("web", "grpc")],
    ).start()
    node.allow("api", "web")
    return node, grpc.insecure_channel(f"127.0.0.1:{local}", options=NO_LIMIT)


# --- calls ---


@pytest.mark.parametrize("size", [0, 1, 16_384, 65_536, BIG])
def test_unary(way, size):
    message = bytes(range(256)) * (size // 256) + b"e" * (size % 256)
    assert way.call("Echo")(message, timeout=SECONDS) == message


def test_streams_of_answers(way):
    got = list(way.call("Count", "unary_stream")(b"500", timeout=SECONDS))
    assert got == [b"%d" % number for number in range(500)]


def test_streams_of_requests(way):
    sizes = [0, 1, 1000, 100_000] * 10
    got = way.call("Sum", "stream_unary")((b"x" * size for size in sizes), timeout=SECONDS)
    assert got == b"%d" % sum(sizes)


def test_both_directions_at_once(way):
    """Each message is sent only when the one before has come back."""
    turn = threading.Semaphore(1)

    def messages():
        for number in range(100):
            assert turn.acquire(timeout=SECONDS)
            yield b"message %d" % number

    got = []
    for answer in way.call("Chat", "stream_stream")(messages(), timeout=2 * SECONDS):
        got.append(answer)
        turn.release()
    assert got == [b"MESSAGE %d" % number for number in range(100)]


def test_many_calls_on_one_connection(way):
    calls = [way.call("Echo").future(b"%d" % n, timeout=SECONDS) for n in range(300)]
    assert [call.result(SECONDS) for call in calls] == [b"%d" % n for n in range(300)]


def test_compressed_messages(way):
    echo = way.call("Echo")
    message = b"compress me " * 10_000
    assert echo(message, timeout=SECONDS, compression=grpc.Compression.Gzip) == message


# --- metadata, errors ---


def test_metadata_both_ways(way):
    sent = [("x-text", "a b"), ("x-twice", "1"), ("x-twice", "2"), ("x-raw-bin", b"\0\x01\xff")]
    answer, call = way.call("Echo").with_call(b"m", metadata=sent, timeout=SECONDS)
    assert answer == b"m"
    seen = [(m.key, m.value) for m in way.service.metadata]
    assert [pair for pair in seen if pair[0].startswith("x-") and pair in sent] == sent
    assert dict(call.initial_metadata()).items() >= {"x-initial": "first"}.items()
    assert dict(call.initial_metadata())["x-initial-bin"] == b"\0\xff"
    assert dict(call.trailing_metadata())["x-last-bin"] == b"\xfe\0"


def test_errors_keep_their_words_and_metadata(way):
    with pytest.raises(grpc.RpcError) as told:
        way.call("Fail")(b"", timeout=SECONDS)
    assert told.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert told.value.details() == "not now: ünïcode %"
    assert dict(told.value.trailing_metadata())["x-why"] == "because"


def test_unknown_methods(way):
    with pytest.raises(grpc.RpcError) as told:
        way.call("Nothing")(b"", timeout=SECONDS)
    assert told.value.code() == grpc.StatusCode.UNIMPLEMENTED


# --- deadlines, cancellation, the end of the server ---


def test_a_deadline_reaches_the_server(way):
    begun = time.monotonic()
    with pytest.raises(grpc.RpcError) as told:
        way.call("Hang")(b"", timeout=2)  # long enough for the call to arrive
    assert told.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert 1.9 < time.monotonic() - begun < SECONDS
    assert way.service.cancelled.wait(SECONDS), "the server was not told"


def test_cancellation_reaches_the_server(way):
    call = way.call("Hang").future(b"", timeout=SECONDS)
    assert way.service.began.wait(SECONDS)
    call.cancel()
    assert way.service.cancelled.wait(SECONDS), "the server was not told"
    assert way.call("Echo")(b"on", timeout=SECONDS) == b"on"


def test_a_stream_that_is_cancelled_in_the_middle(way):
    stream = way.call("Endless", "unary_stream")(b"", timeout=SECONDS)
    for _ in range(100):
        next(stream)
    stream.cancel()
    assert way.service.cancelled.wait(SECONDS), "the server was not told"
    assert way.call("Echo")(b"on", timeout=SECONDS) == b"on"


def test_a_reader_that_stops_stops_the_server(way):
    """Flow control from end to end: who does not read is not sent megabytes."""
    stream = way.call("Endless", "unary_stream")(b"", timeout=SECONDS)
    next(stream)
    pids = way.node.worker_pids()
    before = sum(rss_kib(pid) for pid in pids)
    time.sleep(0.5)  # more would come now
    assert sum(rss_kib(pid) for pid in pids) - before < 16 << 10
    assert way.call("Echo")(b"on", timeout=SECONDS) == b"on"
    stream.cancel()


def test_a_server_that_is_gone_is_unavailable(way):
    way.server.stop(0).wait(SECONDS)

    def code():
        with pytest.raises(grpc.RpcError) as told:
            way.call("Echo")(b"", timeout=SECONDS)
        return told.value.code()

    wait_for(lambda: code() == grpc.StatusCode.UNAVAILABLE, 5, "UNAVAILABLE")


# --- health checks ---


class Health(grpc.GenericRpcHandler):
    """grpc.health.v1: what it answers is set by the test, what is asked is kept."""

    def __init__(self):
        self.status = b"\x08\x01"
        self.asked = set()

    def service(self, details):
        if details.method == "/grpc.health.v1.Health/Check":
            return grpc.unary_unary_rpc_method_handler(self.check)
        return None

    def check(self, request, context):
        self.asked.add(request)
        if self.status is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return self.status


def test_health_is_asked_for_and_exposed(nodes, ports, tmp_path):
    """A check asks a gRPC server how it is, plain and by TLS, and a sidecar exposes that question
    and nothing else.
    """
    health = Health()
    server = grpc.server(futures.ThreadPoolExecutor(8), handlers=[health, Service()])
    plain_port = server.add_insecure_port("127.0.0.1:0")
    ca = certificates.authority(tmp_path)
    cert, key = certificates.leaf(tmp_path, "server", ca, "DNS:ex.test")
    pair = (key.read_bytes(), cert.read_bytes())
    tls_port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    first = ports.block(2)

    def check(name, port, **more):
        return {"id": name, "grpc": f"127.0.0.1:{port}/shop.Orders", "interval": "200ms",
                "timeout": "30s", **more}  # fmt: skip

    checks = [
        check("plain", plain_port),
        check("tls", tls_port, grpc_use_tls=True, tls_skip_verify=True),
        check("strict", tls_port, grpc_use_tls=True, tls_server_name="ex.test"),
        check("no tls", tls_port),
        check("nobody", ports.dead()),
    ]
    proxied = {"sidecar_service": {"port": ports.take(), "proxy": {"expose": {"checks": True}}}}
    node = nodes(
        services=[
            service("web", plain_port, checks[:1], connect=proxied),
            service("other", tls_port, checks[1:]),
        ],
        ports={"expose_min_port": first, "expose_max_port": first + 1},
    ).start()

    def seen():
        return {one["id"]: (one["status"], one["output"]) for one in node.json("check", "list")}

    def status(name, wanted, text):
        wait_for(
            lambda: seen()[name][0] == wanted and text in seen()[name][1], SECONDS, f"{name}", 0.1
        )

    try:
        status("plain", "passing", "success")
        status("tls", "passing", "success")
        status("strict", "critical", "certificate is not trusted")
        status("no tls", "critical", "gRPC check")
        status("nobody", "critical", "refused")
        assert health.asked == {b"\n\x0bshop.Orders"}
        health.status = b"\x08\x02"
        status("plain", "critical", "NOT_SERVING")
        status("tls", "critical", "NOT_SERVING")
        health.status = None
        status("plain", "critical", "grpc-status 5: unknown service")
        health.status = b"\x08\x01"
        status("plain", "passing", "success")
        with grpc.insecure_channel(f"127.0.0.1:{first}") as channel:
            call = channel.unary_unary("/grpc.health.v1.Health/Check")
            assert call(b"", timeout=SECONDS, wait_for_ready=True) == b"\x08\x01"
            with pytest.raises(grpc.RpcError) as error:
                channel.unary_unary("/mesh.Test/Echo")(b"", timeout=SECONDS)
            assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED
    finally:
        server.stop(0).wait(SECONDS)
