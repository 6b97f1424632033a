"""Proves the access log: one record for each request and each l4 connection, with the flag that
says how it ended; no record is lost to a renamed file, a dead worker, a dead logger or a dead
control plane; and a disk that is full costs records, which are counted, and never traffic.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest
from access_log import Log, counter, logger_of
from certificates import authority, leaf
from processes import Child, stop
from ringmesh import binary, defaults, listener, service, sidecar
from wire import HOLD, OK, Client, reset, wait_for

FIELDS = "%{listener} %{flag} %{status} %{method} %{path} %{bytes_in} %{bytes_out}"


@pytest.fixture
def logged(nodes, ports, recorders, tmp_path):
    """Starts a node whose listener `public` forwards to web and is logged."""

    def make(answer=None, start=True, workers=1, log=None, **more):
        web, port = recorders(answer), ports.take()
        node = nodes(
            workers=workers,
            services=[service("web", web.port)],
            listeners=[listener("public", port, "web", **more)],
            access_log={"path": str(tmp_path / "access.log"), **(log or {})},
        )
        node.port, node.web, node.log = port, web, Log(tmp_path / "access.log")
        if start:
            node.start()
        return node

    return make


def get(port, target="/", headers=("Connection: close",)):
    with Client(port, timeout=30) as client:
        return client.get(target, "ex.test", "GET", headers)


def test_a_request_in_json(logged):
    node = logged()
    before = time.time()
    get(
        node.port,
        "/some/%41?x=1",
        [
            'User-Agent: agent/1 "quoted"',
            "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "Connection: close",
        ],
    )
    record = node.log.find(path="/some/A")
    assert record["listener"] == "public" and record["node"] == "node-1"
    assert record["listener_address"] == f"127.0.0.1:{node.port}"
    assert record["client_ip"] == "127.0.0.1" and record["client_port"] > 0
    assert (record["method"], record["scheme"], record["protocol"]) == ("GET", "http", "HTTP/1.1")
    assert (record["host"], record["query"]) == ("ex.test", "x=1")
    assert (record["status"], record["flag"]) == (200, "ok")
    assert record["service"] == "web" and record["instance"] == "web"
    assert record["route"] == "listener public, its service"
    assert record["route_origin"].startswith(str(node.config_path))
    assert record["upstream_address"] == f"127.0.0.1:{node.web.port}"
    assert record["upstream_reused"] is False and record["attempts"] == 1
    assert record["user_agent"] == 'agent/1 "quoted"' and record["referer"] is None
    assert record["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert record["tls_version"] is None and record["intention"] is None
    assert record["duration_us"] >= record["wait_us"] >= 0 and record["connect_us"] >= 0
    started = time.mktime(time.strptime(record["time"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
    assert re.fullmatch(r"....-..-..T..:..:..\.\d{6}Z", record["time"])
    assert before - 2 < started < time.time() + 2
    wait_for(
        lambda: counter(node, "log_records") == counter(node, "log_written") == 1,
        what="the record is counted, written as well",
    )


def test_a_template_with_fields(logged):
    node = logged(
        log={
            "format": '%{client.ip} "%{method} %{path}" %{status} %{request.header.X-Id} '
            "%{response.header.server:json} 100%%"
        }
    )
    get(node.port, '/a"b', ["X-Id: seven", "Connection: close"])
    wait_for(node.log.lines, 10, "a line")
    line = node.log.lines()[0]
    assert re.fullmatch(r'127\.0\.0\.1 "GET /a\\x22b" \d+ seven (null|".*") 100%', line), line


def test_flags(logged, ports, recorders):
    """Each way that a request can end has its flag."""

    def answer(request, client):
        if request.target == "/cut":
            client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
            return None
        if request.target == "/odd":
            return b"HTTP/1.1 nonsense\r\n\r\n"
        return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    dead, nothing = ports.dead(), "nothing"
    node, hasty = logged(answer, start=False), ports.take()
    node.config["services"] += [service("dead", dead)]
    node.config["listeners"][0].pop("service")
    node.config["listeners"][0]["routes"] = [
        {"match": {"path_prefix": "/dead"}, "service": "dead"},
        {"match": {"path_prefix": "/none"}, "service": nothing},
        {"match": {"path_prefix": "/respond"}, "respond": {"status": 418, "body": "tea"}},
        {"match": {"path_prefix": "/web"}, "service": "web"},
        {"match": {"path_exact": "/cut"}, "service": "web"},
        {"match": {"path_exact": "/odd"}, "service": "web"},
    ]
    node.config["listeners"] += [listener("hasty", hasty, "web", timeouts={"head": "300ms"})]
    node.write_config()
    node.start()
    for path in ["/web", "/dead", "/none", "/respond", "/lost", "/odd"]:
        get(node.port, path)
    with Client(node.port) as client:
        client.send(b"GET /cut HTTP/1.1\r\nHost: a\r\n\r\n")
        client.stream.rest()
    assert node.log.find(path="/web")["flag"] == "ok"
    record = node.log.find(path="/dead")
    assert (record["flag"], record["status"]) == ("connect_failed", 502)
    assert record["upstream_address"] == f"127.0.0.1:{dead}" and record["connect_us"] is None
    record = node.log.find(path="/none")
    assert (record["flag"], record["status"]) == ("no_endpoint", 503)
    record = node.log.find(path="/respond")
    assert (record["flag"], record["status"], record["bytes_out"]) == ("responded", 418, 3)
    record = node.log.find(path="/lost")
    assert (record["flag"], record["status"], record["route"]) == ("no_route", 404, None)
    assert node.log.find(path="/odd")["flag"] == "upstream_protocol"
    record = node.log.find(path="/cut")
    assert (record["flag"], record["status"]) == ("upstream_reset", 200)
    with Client(node.port) as client:
        client.send(b"GET / HTTP/1.1\nHost: a\r\n\r\n")
        client.stream.rest()
    assert node.log.find(flag="bad_request")["status"] == 400
    with Client(node.port) as client:
        client.send(b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        client.stream.rest()
    assert node.log.find(flag="too_large")["status"] == 414
    with Client(hasty) as client:
        client.send(b"GET / HTT")
        client.stream.rest()
    assert node.log.find(flag="head_timeout")["status"] == 408


def test_a_client_that_leaves_and_a_request_that_takes_too_long(logged, ports):
    def silent(request, _client):
        if request.target == "/slow":
            time.sleep(3)
        return b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\nabc"

    node, hasty = logged(silent, start=False), ports.take()
    node.config["listeners"] += [listener("hasty", hasty, "web", timeouts={"request": "700ms"})]
    node.write_config()
    node.start()
    get(hasty, "/slow")
    record = node.log.find(path="/slow")
    assert (record["flag"], record["status"]) == ("request_timeout", 504)
    assert record["duration_us"] >= 650_000
    client = Client(node.port)
    client.send(b"GET /gone HTTP/1.1\r\nHost: a\r\n\r\n")
    client.sock.recv(10)
    reset(client.sock)
    record = node.log.find(path="/gone")
    assert (record["flag"], record["status"]) == ("client_gone", 200)


def test_flags_of_limits(nodes, ports, recorders, tmp_path):
    """An instance that does not answer its connect, a client that stops in the middle, a request
    that was here before, and a connection that the worker has no room for.
    """
    hole, loop, web, idle = ports.take(4)
    node = nodes(
        workers=1,
        services=[
            service("hole", ports.black_hole()),
            service("loop", loop),
            service("web", recorders().port),
        ],
        listeners=[
            listener("hole", hole, "hole", timeouts={"connect": "300ms"}),
            listener("loop", loop, "loop"),
            listener("web", web, "web"),
            listener("idle", idle, "web", timeouts={"idle": "300ms"}),
        ],
        access_log={"path": str(tmp_path / "access.log")},
    )
    # 64 connections: so many does a worker take when descriptors are short.
    node.start(under=["prlimit", "--nofile=512:512"])
    log = Log(tmp_path / "access.log")
    assert get(hole).status == 504
    record = log.find(listener="hole")
    assert (record["flag"], record["status"]) == ("connect_timeout", 504)
    assert record["connect_us"] is None and record["duration_us"] >= 290_000
    assert get(loop).status == 508
    record = log.find(listener="loop", flag="loop")
    assert (record["status"], record["attempts"]) == (508, 0)
    with Client(idle, timeout=30) as client:
        client.send(b"POST /idle HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
        assert client.stream.rest().startswith(b"HTTP/1.1 408 ")
    record = log.find(path="/idle")
    assert (record["flag"], record["status"], record["bytes_in"]) == ("idle_timeout", 408, 4)
    clients = []
    for _ in range(80):
        with contextlib.suppress(
            ConnectionResetError
        ):  # turned away before connect() has come back
            clients.append(Client(web))

    def turned_away():
        return [r for r in log.records() if r["flag"] == "overload"]

    wait_for(turned_away, 10, "one that is turned away")
    assert {(r["listener"], r["status"]) for r in turned_away()} == {("web", None)}
    for client in clients:
        client.close()


def test_what_the_end_cuts_is_drained(logged):
    node = logged(lambda _request, _client: HOLD, start=False)
    node.config["dataplane"]["drain_timeout"] = "300ms"
    node.write_config()
    node.start()
    with Client(node.port) as client:
        client.send(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_for(lambda: node.web.requests, 10, "the request upstream")
        assert node.stop() == 0
    record = node.log.find(path="/held")
    assert record["flag"] == "drained" and record["duration_us"] >= 290_000


def test_an_upstream_without_tls(nodes, ports, tmp_path):
    """`native` says that web speaks the mesh's TLS; it does not."""

    def answer():
        for _ in range(4):  # as often as it is tried
            with contextlib.suppress(OSError):
                sock, _ = server.accept()
                sock.sendall(b"220 ready\r\n")
                sock.close()

    server, local = socket.create_server(("127.0.0.1", 0)), ports.take()
    threading.Thread(target=answer, daemon=True).start()
    log = Log(tmp_path / "access.log")
    node = nodes(
        services=[
            service("web", server.getsockname()[1], connect={"native": True}),
            service("api", ports.dead(), connect=sidecar(ports.take(), {"web": local})),
        ],
        config_entries=[defaults("web")],
        access_log={"path": str(log.path)},
    ).start()
    node.allow("api", "web")
    assert get(local, "/tls").status == 502
    record = log.find(path="/tls")
    assert (record["flag"], record["status"], record["service"]) == ("upstream_tls", 502, "web")
    assert record["connect_us"] is None
    server.close()


def test_a_refused_proxy_header(logged):
    node = logged(proxy_protocol={"in": "v1", "from": ["127.0.0.0/8"], "timeout": "300ms"})
    for sent in (b"GET / HTTP/1.1\r\n", b"PROXY TCP4 "):
        with Client(node.port) as client:
            client.send(sent)
            assert client.stream.rest() == b""

    def refused():
        return [r for r in node.log.records() if r["flag"] == "proxy_header"]

    wait_for(lambda: len(refused()) == 2, 10, "both records")
    for record in refused():
        assert (record["client_ip"], record["status"]) == ("127.0.0.1", None)
        assert record["client_port"] > 0
    assert refused()[1]["duration_us"] >= 290_000
    assert get_through(node.port, "192.0.2.7", "/good") == 200
    assert node.log.find(path="/good")["client_ip"] == "192.0.2.7"


def get_through(port, client_ip, path):
    """The status of a request whose client a PROXY header names."""
    with Client(port) as client:
        client.send(f"PROXY TCP4 {client_ip} 127.0.0.1 1 {port}\r\n".encode())
        return client.get(path).status


def test_tls_that_goes_through_has_its_server_name(nodes, ports, tmp_path):
    """The service need not answer: the record is made of the hello."""
    port, log = ports.take(), Log(tmp_path / "access.log")
    nodes(
        services=[service("db", ports.dead())],
        listeners=[listener("edge", port, kind="l4", sni=[{"host": "db.test", "service": "db"}])],
        access_log={"path": str(log.path)},
    ).start()
    for name in ("db.test", "lost.test"):
        with contextlib.suppress(OSError):
            plain = socket.create_connection(("127.0.0.1", port), timeout=30)
            with ssl.create_default_context().wrap_socket(plain, server_hostname=name):
                pass
    for name, flag in (("db.test", "connect_failed"), ("lost.test", "no_route")):
        record = log.find(tls_sni=name)
        assert (record["flag"], record["scheme"], record["protocol"]) == (flag, "tls", "TCP")
        assert record["tls_version"] is None


def test_tls_and_its_failures(logged, tmp_path):
    ca = authority(tmp_path, "ca")
    cert, key = leaf(tmp_path, "server", ca, "DNS:ex.test")
    node = logged(tls={"cert": str(cert), "key": str(key)})
    made = ssl.create_default_context(cafile=str(ca[0]))
    plain = socket.create_connection(("127.0.0.1", node.port), timeout=30)
    with made.wrap_socket(plain, server_hostname="ex.test") as sock:
        sock.sendall(b"GET /tls HTTP/1.1\r\nHost: ex.test\r\nConnection: close\r\n\r\n")
        while sock.recv(4096):
            pass
    record = node.log.find(path="/tls")
    assert (record["scheme"], record["tls_version"]) == ("https", "1.3")
    assert record["tls_cipher"].startswith("TLS_") and record["tls_sni"] == "ex.test"
    assert record["tls_resumed"] is False and record["tls_handshake_us"] > 0
    with Client(node.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.stream.rest()
    record = node.log.find(flag="tls")
    assert record["status"] is None and record["client_ip"] == "127.0.0.1"


def test_denied_names_the_intention(mesh, tmp_path):
    made = mesh(access_log={"path": str(tmp_path / "access.log")})
    log = Log(tmp_path / "access.log")
    get(made.local, "/yes")
    get(made.batch_local, "/no")
    # Two hops of the mesh, two records.
    called = log.find(path="/yes", listener="web-sidecar-proxy")
    assert called["client_identity"].endswith("/svc/api") and called["scheme"] == "https"
    assert (called["flag"], called["intention"]) == ("ok", "api => web")
    calling = log.find(path="/yes", listener=f"api-sidecar-proxy:web:{made.local}")
    assert calling["client_identity"].endswith("/svc/api") and calling["scheme"] == "http"
    assert (calling["flag"], calling["service"]) == ("ok", "web")
    denied = log.find(path="/no")
    assert (denied["flag"], denied["status"]) == ("denied", 403)
    assert denied["intention"] == "(default) => web"
    made.node.deny("batch", "web")
    get(made.batch_local, "/never")
    denied = log.find(path="/never")
    assert denied["intention"] == "batch => web" and denied["intention_origin"]


def test_a_stream_and_a_listener_of_its_own(logged, ports, tmp_path):
    node = logged(start=False)
    server = socket.create_server(("127.0.0.1", 0))
    port = ports.take()
    node.config["services"] += [service("raw", server.getsockname()[1])]
    node.config["listeners"] += [
        listener(
            "raw",
            port,
            "raw",
            kind="l4",
            access_log={"path": str(tmp_path / "raw.log"), "format": FIELDS},
        ),
        listener("quiet", ports.take(), "web", access_log={"path": ""}),
    ]
    node.write_config()
    node.start()
    with Client(port) as client:
        up, _ = server.accept()
        client.send(b"x" * 5000)
        received = 0
        while received < 5000:
            received += len(up.recv(65536))
        up.sendall(b"back")
        up.close()
        client.sock.shutdown(socket.SHUT_WR)
        assert client.stream.rest() == b"back"
    log = Log(tmp_path / "raw.log")
    wait_for(log.lines, 10, "the record of the stream")
    assert log.lines() == ["raw ok - - - 5000 4"]
    get(int(node.config["listeners"][2]["bind_addr"].split(":")[1]), "/quiet")
    get(node.port, "/loud")
    node.log.find(path="/loud")
    assert all(record["listener"] == "public" for record in node.log.records())
    server.close()


def test_a_renamed_file_is_followed_and_reopened_when_told(logged, tmp_path):
    node = logged(log={"format": "%{path}"})
    old = tmp_path / "access.log.1"
    sent = []

    def send(path):
        get(node.port, path)
        sent.append(path)

    def everything():
        return Log(old).lines() + node.log.lines()

    send("/1")
    wait_for(lambda: everything() == sent, 10, "the first line")
    os.rename(node.log.path, old)
    send("/2")
    wait_for(lambda: everything() == sent, 10, "the second line")
    wait_for(lambda: send("/more") or node.log.lines(), 10, "the new file")
    wait_for(lambda: everything() == sent, 10, "every line once, in its order")
    old.unlink()
    os.rename(node.log.path, old)
    sent[:] = Log(old).lines()
    node.meshctl("log", "reopen")
    wait_for(lambda: send("/after") or node.log.lines(), 10, "the file made anew")
    os.rename(node.log.path, tmp_path / "access.log.2")
    os.kill(node.supervisor(), signal.SIGUSR1)
    wait_for(lambda: send("/again") or node.log.lines(), 10, "the file made anew")


def test_a_changed_log_is_live_without_a_restart(logged, tmp_path):
    """What began under the old one is still written there."""
    node = logged(log={"format": "old %{path}"})
    second = Log(tmp_path / "second.log")
    held = Client(node.port, timeout=30)
    node.web.answer = lambda request, client: (time.sleep(1), OK)[1]
    held.send(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
    wait_for(lambda: node.web.requests, 10, "the request upstream")
    node.web.reset()
    node.config["access_log"] = {"path": str(second.path), "format": "new %{path}"}
    node.write_config()
    before = node.status()["generation"]
    os.kill(node.control.pid, signal.SIGHUP)
    wait_for(lambda: node.status()["generation"] > before, 10, "the next generation")
    get(node.port, "/after")
    wait_for(second.lines, 10, "a line in the second log")
    assert second.lines() == ["new /after"]
    assert held.stream.until(b"\r\n\r\n")
    wait_for(node.log.lines, 10, "the line of what was held")
    assert node.log.lines() == ["old /held"]
    held.close()


def test_a_dead_worker_keeps_its_records(logged):
    node = logged()
    stop(logger_of(node))  # nothing is written while the worker dies
    with Client(node.port) as client:
        for number in range(100):
            assert client.get(f"/{number}", "ex.test").status == 200
    wait_for(lambda: counter(node, "log_records") == 100, 10, "the records")
    node.kill_worker(node.worker_pids()[0])
    os.kill(logger_of(node), signal.SIGCONT)
    wait_for(lambda: len(node.log.lines()) == 100, 10, "the records of the dead worker")
    assert [r["path"] for r in node.log.records()] == [f"/{number}" for number in range(100)]
    wait_for(lambda: node.workers()[0]["starts"] == 2, 10, "the next worker")
    assert get(node.port, "/next").status == 200
    node.log.find(path="/next")


def test_a_dead_logger_loses_nothing(logged):
    node = logged(log={"format": "%{path}"})
    first = logger_of(node)
    node.signals_sent.add(9)
    stop(first)
    with Client(node.port) as client:
        for number in range(50):
            assert client.get(f"/{number}", "ex.test").status == 200
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: len(node.log.lines()) == 50, 10, "the lines, written by another logger")
    assert node.log.lines() == [f"/{number}" for number in range(50)]
    assert logger_of(node) != first


def test_without_a_control_plane_the_log_goes_on(logged):
    node = logged()
    os.kill(node.control.pid, signal.SIGKILL)
    get(node.port, "/alone")
    assert node.log.find(path="/alone")["flag"] == "ok"


def test_a_full_ring_never_blocks(logged):
    """While the logger stands still, as for a disk that does not answer, records are dropped and
    counted, and the traffic does not notice.
    """
    node = logged()
    logger = logger_of(node)
    stop(logger)
    headers = [f"User-Agent: {'x' * 250}", f"Referer: {'y' * 250}"]
    asked = 0
    with Client(node.port, timeout=30) as client:

        def ask():
            nonlocal asked
            for _ in range(100):
                assert client.get("/" + "p" * 1000, "ex.test", "GET", headers).status == 200
            asked += 100

        wait_for(lambda: ask() or counter(node, "log_dropped") > 0, 60, "a full ring")

    def counted():
        """What was handed over and what was dropped, once every request is one of them."""
        both = counter(node, "log_records"), counter(node, "log_dropped")
        return both if sum(both) == asked else None

    handed, dropped = wait_for(counted, what=f"a record of each of {asked} requests")
    assert handed > 1000
    os.kill(logger, signal.SIGCONT)
    wait_for(lambda: len(node.log.lines()) == handed, 20, "all that was not dropped")
    assert counter(node, "log_dropped") == dropped


@pytest.fixture
def small_disk(tmp_path):
    """A command in front of another, which then finds a file system of 400 KiB."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs the right to mount")
    folder = tmp_path / "disk"
    folder.mkdir()
    script = f'mount -t tmpfs -o size=400k none {folder} && exec "$@"'
    return folder, ["unshare", "-m", "sh", "-c", script, "sh"]


def test_a_full_disk_costs_records_only(logged, small_disk, tmp_path):
    folder, command = small_disk
    node = logged(start=False, log={"path": str(folder / "access.log")})
    node.control = Child(
        "controlplane",
        [*command, binary("controlplane"), "server", "--config.path", node.config_path],
        node.directory,
        {},
    )
    node.wait_ready()
    seen = Path(f"/proc/{node.supervisor()}/root{folder}/access.log")
    with Client(node.port, timeout=30) as client:
        for number in range(1000):
            assert client.get(f"/{number}", "ex.test").status == 200
        wait_for(lambda: counter(node, "log_lost") > 0, 20, "records that are lost")
        wait_for(lambda: counter(node, "log_records") == 1000, what="a record of each request")
        wait_for(lambda: "No space left" in node.control.text(), 10, "a word about it")
        kept = seen.read_bytes()
        assert 0 < len(kept) <= 400 * 1024
        os.truncate(seen, 0)
        wait_for(lambda: "goes on" in node.control.text(), 10, "the log to go on")
        assert client.get("/after", "ex.test").status == 200
    wait_for(lambda: b'"/after"' in seen.read_bytes(), 10, "the next record")
    for line in seen.read_bytes()[seen.read_bytes().find(b"\n") + 1 :].splitlines():
        json.loads(line)
    wait_for(
        lambda: counter(node, "log_lost") + counter(node, "log_written") == 1001,
        what="every record is lost or written",
    )


def test_standard_output(logged):
    node = logged(log={"path": "stdout", "format": "access: %{path} %{flag}"})
    get(node.port, "/out")
    wait_for(lambda: "access: /out ok\n" in node.control.text(), 10, "the line")
