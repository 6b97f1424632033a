"""Proves what the attacks and faults of the last years must not do, where no other file does.

The number in a test's name is the row of attacks.py, which says for every row which tests hold it.
"""

import contextlib
import os
import random
import re
import resource
import signal
import socket
import threading

import attacks
import pytest
from load import Load
from processes import work_within
from ringmesh import listener, service, sockets_of
from wire import HOLD, OK, Client, Closed, get, read_response, reset, values, wait_for

SMUGGLED = b"GET /SMUGGLED HTTP/1.1\r\nHost: ex.test\r\n\r\n"


@pytest.fixture
def edge(nodes, ports, recorders):
    """One plain listener in front of a recorder, two workers with ASan and UBSan; and one that
    lets its clients be idle.
    """
    web, port, patient = recorders(), ports.take(), ports.take()
    timeouts = {"head": "2s", "idle": "2s"}
    web.node = nodes(
        asan=True,
        services=[service("web", web.port)],
        listeners=[
            listener("public", port, "web", timeouts=timeouts),
            listener("patient", patient, "web"),
        ],
    ).start()
    web.listener, web.patient = port, patient
    return web


# --- 2: Expect, and answers before the body ---


@pytest.mark.parametrize("status", [200, 413, 417])
@pytest.mark.parametrize("expect", [b"", b"Expect: 100-continue\r\n"], ids=["plain", "expect"])
def test_row_02_an_early_answer_ends_the_connection(edge, ports, status, expect):
    """The upstream answers without reading the body. What the client then sends is no request."""
    edge.close()
    upstream = socket.create_server(("127.0.0.1", edge.port))
    later = []

    def serve():
        client = Client(0, upstream.accept()[0])
        client.stream.until(b"\r\n\r\n")
        client.send(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nno" % status)
        with contextlib.suppress(OSError):
            later.append(client.stream.rest())

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    with upstream, Client(edge.listener) as client:
        client.send(
            b"POST /p HTTP/1.1\r\nHost: ex.test\r\n" + expect + b"Content-Length: 38\r\n\r\n"
        )
        answer = read_response(client.stream)
        assert answer.status == status and answer.header("connection") == "close"
        client.send(SMUGGLED + SMUGGLED)
        assert client.closes_within(3) and not client.stream.buffer, client.stream.buffer
        server.join(30)
    assert b"HTTP/1.1" not in later[0][38:], "more than the body went to the upstream"


def test_row_02_a_body_that_never_comes_is_timed_out(edge):
    with Client(edge.listener) as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: ex.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        )
        assert b" 100 " in client.stream.until(b"\r\n\r\n")
        client.stream.timeout = 30
        assert client.closes_within(8)
    assert edge.complete() == []
    wait_for(lambda: not edge.open, 3, "the upstream is let go")


# --- 4: chunk parsers that spin ---


def test_row_04_no_work_is_left_behind_by_cut_chunks(edge):
    """Cut at every byte, closed, reset or left open: afterwards nothing turns."""
    body = b'5;a="b"\r\nhello\r\n1a\r\n' + b"x" * 26 + b"\r\n0\r\nT: 1\r\n\r\n"
    head = b"POST / HTTP/1.1\r\nHost: ex.test\r\nTransfer-Encoding: chunked\r\n\r\n"
    kept = []
    for cut in range(len(body)):
        client = Client(edge.listener)
        client.send(head + body[:cut])
        if cut % 3 == 0:
            client.close()
        elif cut % 3 == 1:
            reset(client.sock)
        else:
            kept.append(client)
    pids = edge.node.worker_pids()
    wait_for(lambda: work_within(pids, 1.0) < 0.1, 2, "the workers rest")
    for client in kept:
        client.close()
    wait_for(lambda: not edge.open, 5, "no upstream of a cut request is kept")


# --- 7: Connection nominates what frames, routes or identifies ---

NOMINATED = [
    "Host",
    "Content-Length",
    "Transfer-Encoding",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Real-IP",
    "Forwarded",
    "Via",
    "Content-Type",
    "Expect",
]


@pytest.mark.parametrize("name", NOMINATED)
def test_row_07_protected_names_are_not_nominated(edge, name):
    def sent(connection):
        edge.reset()
        answer = get(
            edge.listener,
            method="POST",
            body=b"hello",
            headers=["Content-Type: text/x", f"Connection: {connection}"],
        )
        assert answer.status == 200
        (request,) = edge.complete()
        assert request.body == b"hello"
        return values(request.headers, name.lower())

    assert sent(f"close, {name}, {name.lower()}") == sent("close")


def test_row_07_other_names_end_here(edge):
    """Authorization is the client's own to withhold; it is gone for rules and upstream alike."""
    headers = ["Authorization: Basic eA==", "X-Own: 1", "Connection: authorization ,, X-OWN"]
    assert get(edge.listener, headers=headers).status == 200
    (request,) = edge.complete()
    assert not values(request.headers, "authorization") and not values(request.headers, "x-own")


# --- 10: numbers that wrap, names that do not fit ---


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 9223372036854775808\r\n\r\n",
        b"Content-Length: 18446744073709551616\r\n\r\n",
        b"Content-Length: 18446744073709551621\r\n\r\nhello",
        b"Content-Length: 4294967301\x00\r\n\r\nhello",
        b"Content-Length" + b"0" * 240 + b": 5\r\n\r\nhello",
        b"Transfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n8000000000000000\r\nhello\r\n0\r\n\r\n",
        b"x" * 65_541 + b": v\r\n\r\n",
        b"Host" + b"x" * (1 << 16) + b": ex.test\r\n\r\n",
    ],
)
def test_row_10_numbers_do_not_wrap(edge, fields):
    """What has to be said in more bits than there are is no message, or one without a body."""
    with Client(edge.listener) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: ex.test\r\nConnection: close\r\n" + fields)
        client.sock.shutdown(socket.SHUT_WR)
        with contextlib.suppress(Closed):
            assert read_response(client.stream).status in (
                (200,) if b"0" * 240 in fields else (400, 431)
            )
    assert [r.body for r in edge.complete()] == ([b""] if b"0" * 240 in fields else [])


# --- 13: one path for rule and upstream; as many hosts as there may be ---


def test_row_13_hosts_of_any_case_among_a_thousand(nodes, ports, recorders):
    web, port = recorders(), ports.take()
    hosts = [f"h{i}.example.test" for i in range(1000)]
    everywhere = {"host": "*.example.test", "path_prefix": "/admin"}
    routes = [{"match": everywhere, "respond": {"status": 403}}]
    routes += [{"match": {"host": h}, "service": "web"} for h in hosts]
    nodes(
        services=[service("web", web.port)], listeners=[listener("public", port, routes=routes)]
    ).start()
    dice = random.Random(13)
    with Client(port) as client:
        for number in dice.sample(range(1000), 60):
            for host in (hosts[number], hosts[number].upper() + ":80", hosts[number] + "."):
                assert client.get("/ok", host).status == 200, host
                for path in ("/admin", "/%61dmin/x", "/x/../admin", "//admin", "/./admin/"):
                    assert client.get(path, host).status == 403, (host, path)
        assert client.get("/ok", "h1000.example.test").status == 404


# --- 14, 15: rules about fields ---


@pytest.fixture
def ruled(nodes, ports, recorders):
    """Denied: X-A with `evil` in it (by expression), X-Role of exactly `admin`."""
    web, port = recorders(), ports.take()
    denied = {"status": 403}
    nodes(
        services=[service("web", web.port)],
        listeners=[
            listener(
                "public",
                port,
                routes=[
                    {
                        "match": {"headers": [{"name": "x-a", "regex": ".*evil.*"}]},
                        "respond": denied,
                    },
                    {
                        "match": {"headers": [{"name": "x-role", "exact": "admin"}]},
                        "respond": denied,
                    },
                    {"match": {"path_prefix": "/"}, "service": "web"},
                ],
            )
        ],
    ).start()
    web.listener = port
    return web


def status_with(port, *lines):
    with Client(port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: ex.test\r\n" + b"\r\n".join(lines) + b"\r\n\r\n")
        return read_response(client.stream).status


@pytest.mark.parametrize(
    "value",
    [
        b"evil",
        b"\xffevil",
        b"evil\xff",
        b"\xc3evil\x28",
        b"\xe2\x82evil",
        b"caf\xe9 evil \x80\x81",
        b"\xf0\x9f\x98\x80evil",
        b"\tx\tevil",
    ],
)
def test_row_14_expressions_work_on_bytes(ruled, value):
    """A deny by expression holds whatever else the value has: obs-text, broken UTF-8."""
    assert status_with(ruled.listener, b"X-A: " + value) == 403
    assert status_with(ruled.listener, b"X-A: " + value.replace(b"evil", b"good")) == 200


def test_row_15_any_of_several_values_decides(ruled):
    assert status_with(ruled.listener, b"X-Role: user") == 200
    assert status_with(ruled.listener, b"X-Role: admin") == 403
    assert status_with(ruled.listener, b"X-Role: user", b"x-role: admin") == 403
    assert status_with(ruled.listener, b"X-Role: admin", b"X-Role: user") == 403
    assert status_with(ruled.listener, b"X-Role:", b"X-Role: admin") == 403
    assert status_with(ruled.listener, b"X-A: good", b"X-A: so evil", b"X-A: good") == 403


# --- 26: slow on purpose ---


def test_row_26_a_body_that_drips_is_let_go(nodes, ports, recorders):
    """An octet now and then keeps a connection from being idle, but wins a request no time."""
    web, port = recorders(), ports.take()
    nodes(
        services=[service("web", web.port)],
        listeners=[listener("public", port, "web", timeouts={"request": "2s"})],
    ).start()
    with Client(port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: ex.test\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(60):
            if not client.send(b"x") or not client.stays_open(0.2):
                break
        else:
            pytest.fail("every drop was taken")
    assert web.complete() == []
    wait_for(lambda: not web.open, 3, "the upstream is let go")


def test_row_26_a_body_that_stops_is_let_go(edge):
    clients = []
    for _ in range(50):
        client = Client(edge.listener)
        client.send(b"POST / HTTP/1.1\r\nHost: ex.test\r\nContent-Length: 100\r\n\r\nabc")
        clients.append(client)
    assert get(edge.listener).status == 200
    assert all(client.closes_within(8) for client in clients), "a body that stops is kept"
    wait_for(lambda: not [r for r in edge.requests if r.connection in edge.open and not r.complete])


def test_row_26_a_reader_that_stops_is_let_go(edge):
    size = 64 << 20

    def answer(request, client):
        if request.target != "/big":
            return OK
        client.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(size >> 16):
            if not client.send(b"10000\r\n" + b"x" * 65536 + b"\r\n"):
                return None
        return b"0\r\n\r\n"

    edge.reset(answer)
    clients = [Client(edge.listener) for _ in range(8)]
    for client in clients:
        client.send(b"GET /big HTTP/1.1\r\nHost: ex.test\r\n\r\n")
    wait_for(lambda: len(edge.requests) == 8, 5, "all ask")
    wait_for(lambda: not edge.open, 12, "the upstreams of who does not read are let go")
    assert get(edge.listener).status == 200
    for client in clients:
        client.close()


# --- 33, 35: upstreams that cannot be trusted ---


def test_row_33_an_idle_upstream_that_speaks_is_dropped(edge):
    """Bytes that nobody asked for, long after the answer: the next request goes elsewhere."""
    said = threading.Event()

    def answer(request, client):
        if request.target != "/first":
            return OK
        client.send(OK)
        said.wait(30)
        client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON")
        return HOLD

    edge.reset(answer)
    assert get(edge.listener, "/first").body == b"ok"
    poisoned = edge.complete()[0].connection
    said.set()
    wait_for(lambda: poisoned not in edge.open, 5, "the connection is dropped")
    for _ in range(10):
        assert get(edge.listener, "/next").body == b"ok"


@pytest.mark.parametrize("count", [101, 1000, 50_000])
def test_row_35_too_many_fields_of_an_answer(edge, count):
    fields = b"".join(b"x-%d: v\r\n" % i for i in range(count))
    edge.reset(lambda r, c: b"HTTP/1.1 200 OK\r\n" + fields + b"Content-Length: 2\r\n\r\nok")
    assert get(edge.listener).status == 502
    edge.reset()
    assert get(edge.listener).status == 200


@pytest.mark.parametrize(
    "line",
    [
        b"X: a\0b",
        b"X: a\r\n folded",
        b"X : a",
        b": a",
        b"X\xff: a",
        b"X: a\rSet-Cookie: b",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: chunked, identity",
        b"X: " + b"v" * 20_000,
    ],
)
def test_row_35_bad_fields_of_an_answer(edge, line):
    edge.reset(lambda r, c: b"HTTP/1.1 200 OK\r\n" + line + b"\r\nContent-Length: 2\r\n\r\nok")
    assert get(edge.listener).status == 502


def test_row_35_interim_answers_without_end(edge):
    """A flood of 103: the client may leave, and with it the upstream goes."""

    def answer(request, client):
        if request.target != "/flood":
            return OK
        while client.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 100):
            pass
        return None

    edge.reset(answer)
    with Client(edge.listener) as client:
        client.send(b"GET /flood HTTP/1.1\r\nHost: ex.test\r\n\r\n")
        for _ in range(50):
            client.stream.until(b"\r\n\r\n")
        assert get(edge.listener).status == 200
    wait_for(
        lambda: not [r for r in edge.requests if r.target == "/flood" and r.connection in edge.open]
    )


# --- 37, 38: tries ---


def test_row_37_a_failing_upstream_is_not_asked_more_often(edge):
    """All answers break: no more requests arrive than clients sent."""
    edge.reset(lambda request, client: None)
    count = 100
    assert {get(edge.listener, f"/{i}").status for i in range(count)} == {502}
    assert len(edge.requests) <= count * 1.2, f"{len(edge.requests)} requests upstream"


def test_row_38_a_post_in_flight_is_not_repeated(edge):
    """On a reused connection, killed within the body, after it, and without any body."""
    for body, cut in ((b"x" * 100, 50), (b"x" * 100, 100), (b"", 0)):
        edge.reset()
        with Client(edge.listener) as client:
            assert client.get("/warm").status == 200
            edge.reset(lambda request, client: None)
            client.send(
                b"POST /once HTTP/1.1\r\nHost: ex.test\r\nContent-Length: %d\r\n\r\n" % len(body)
            )
            client.send(body[:cut])
            wait_for(lambda: edge.requests, 3, "it arrives")
            edge.drop()
            with contextlib.suppress(Closed):
                assert read_response(client.stream).status == 502
        assert [r.target for r in edge.requests] == ["/once"]


# --- 41, 43: no descriptors, no processor ---


def test_row_41_without_descriptors_it_sheds_and_recovers(edge):
    """As many clients as there are descriptors and more: no spin, and service once some left."""
    pids = edge.node.worker_pids()
    for pid in pids:
        have = len(os.listdir(f"/proc/{pid}/fd"))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (have + 24, have + 24))
    clients = []
    for _ in range(200):
        with contextlib.suppress(OSError):
            client = Client(edge.listener, timeout=1)
            client.send(b"GET / HTTP/1.1\r\nHost: ex.test\r\n")
            clients.append(client)
    wait_for(lambda: work_within(pids, 1.0) < 0.5, 2, "accepting rests")
    for client in clients:
        client.close()

    def served():
        with contextlib.suppress(Closed, OSError):
            return get(edge.listener, timeout=1).status == 200
        return False

    wait_for(served, 10, "service once descriptors are free again")
    assert edge.node.worker_pids() == pids


def test_row_43_a_stopped_worker_stops_nobody_else(edge):
    """SIGSTOP to one of two: the connections of the other are served as before."""
    clients = [Client(edge.patient) for _ in range(24)]
    for client in clients:
        assert client.get().status == 200
    first, second = edge.node.worker_pids()
    of_second = {pair[1] for pair in sockets_of(second) if pair[0] == edge.patient}
    mine = [c for c in clients if c.sock.getsockname()[1] in of_second]
    assert mine, "the kernel gave all connections to one worker"
    edge.node.kill_worker(first, signal.SIGSTOP)
    try:
        for _ in range(20):
            for client in mine:
                assert client.get().status == 200
    finally:
        edge.node.kill_worker(first, signal.SIGCONT)
    for client in clients:
        client.close()


# --- 50: changes under load ---


def test_row_50_changes_fail_no_request_and_cut_no_tunnel(mesh):
    """Rules that change again and again while requests and a tunnel flow through the sidecars."""

    def answer(request, client):
        if request.target != "/ws":
            return OK
        client.send(b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        while client.stream.buffer or client.stream.fill():
            data, client.stream.buffer = client.stream.buffer, b""
            client.send(data)
        return None

    pair = mesh(answer=answer)
    with Client(pair.local) as tunnel, Load(pair.local, connections=4, host="web") as load:
        tunnel.send(
            b"GET /ws HTTP/1.1\r\nHost: web\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        assert b" 101 " in tunnel.stream.until(b"\r\n\r\n")
        for number in range(20):
            (pair.node.allow if number % 2 else pair.node.deny)("batch", "web")
            tunnel.send(b"%06d" % number)
            assert tunnel.stream.exactly(6) == b"%06d" % number
    failures = [failure for tally in load.tallies for failure in tally.failures]
    assert sum(tally.ok for tally in load.tallies) > 100 and not failures, failures[:5]


def test_row_49_a_configuration_that_flaps(mesh):
    """A hundred changes as fast as they are taken, every tenth of them nonsense: each good one is
    live when it is said so, the bad ones are refused, nothing fails, and the node is idle again
    afterwards.
    """
    pair = mesh()
    with Load(pair.local, connections=2, host="web") as load:
        for number in range(100):
            if number % 10 == 9:
                bad = ("intention", "create", "--allow", "no such name!", "web")
                assert pair.node.meshctl(*bad, check=False).returncode != 0
            else:
                (pair.node.allow if number % 2 else pair.node.deny)("batch", "web")
    failures = [failure for tally in load.tallies for failure in tally.failures]
    assert sum(tally.ok for tally in load.tallies) > 100 and not failures, failures[:5]
    node = (pair.node.control.pid, pair.node.supervisor())
    wait_for(lambda: work_within(node, 0.5) < 0.25, 20, "the node is idle")


def test_row_60_secrets_are_compared_in_constant_time():
    """A code check: where a secret is compared with what somebody sent, nothing ends early."""
    tickets = (attacks.ROOT / "CSources/tls/tls_tickets.c").read_text(encoding="utf-8")
    assert not re.search(r"(?<!CRYPTO_)\bmemcmp\(|bytes_equal\(|strcmp\(", tickets)
    assert tickets.count("CRYPTO_memcmp(") == 2
    guard = (attacks.ROOT / "Sources/MeshAdmin/AccessGuard.swift").read_text(encoding="utf-8")
    assert not re.search(r"[=!]=\s*(?:token|given)\b|\b(?:token|given)\s*[=!]=", guard)
    assert "guard equal(Array(given.utf8), Array(token.utf8))" in guard


# --- the table ---


def named(number):
    words = re.sub(r"\W+", "_", attacks.ROWS[number].title.lower())
    return f"row_{number:02}_{words}"


@pytest.mark.parametrize("number", attacks.ROWS, ids=named)
def test_every_row_that_applies_has_its_tests(number):
    row = attacks.ROWS[number]
    assert bool(row.tests) != bool(row.later), "neither tests nor a reason"
    assert [place for place in row.tests if not attacks.exists(place)] == []


def test_no_row_is_left_out():
    assert sorted(attacks.ROWS) == list(range(1, 63))


def place_of(name):
    """The place of a test that the handbook names as `file/test`."""
    file, _, test = name.partition("/")
    if file == "http-cases":
        return attacks.VECTORS + test
    if file == "http2-checks":
        return f"{attacks.CHECKS}::{test}"
    if file.startswith("test_"):
        return f"Tests/Integration/{file}.py::{test}"
    return f"Tests/CUnit/{file}.c::{test}"


def test_every_clause_of_the_handbook_has_its_tests():
    page = (attacks.ROOT / "Sources/Handbook.docc/Conformance.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([0-9]{4} [0-9.]+) \|.*\| ([^|]*) \|$", page, re.M)
    assert len(rows) >= 40
    for clause, tests in rows:
        names = re.findall(r"`([^`]+)`", tests)
        assert names, f"{clause} has no test"
        for name in names:
            assert attacks.exists(place_of(name)), f"{clause}: no test {name}"


def test_a_name_that_is_not_there_is_noticed():
    assert not attacks.exists("Tests/Integration/test_attacks.py::test_row_00")
    assert not attacks.exists("Tests/CUnit/wire_h1_test.c::no_such_test")
    assert not attacks.exists("Tests/Vectors/http-cases.json::no-such-*")
    assert not attacks.exists(place_of("http2-checks/9113 9.9 *"))
    assert attacks.exists(place_of("http2-checks/9113 5.1 idle: *"))
