"""Proves that tools/bench claims nothing out of noise, and that its loader notices every answer
that is not as the backend sent it: a proxy that loses or mixes up bytes must not look fast.
"""

import gzip
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "Tests/Benchmarks/side_by_side"
sys.path.insert(0, str(BENCH))

import h2load  # noqa: E402
import neighbours  # noqa: E402
import report  # noqa: E402
import verdict  # noqa: E402
from rows import ROWS  # noqa: E402
from void import Void  # noqa: E402

# --- what may be claimed ---


def ratio(ours, theirs, **more):
    return verdict.Ratio(ours, theirs, **more)


def test_a_clear_difference_is_claimed():
    found = ratio([130, 132, 128, 131, 129], [100, 101, 99, 100, 102])
    assert found.claimed
    assert found.text() == "1.30 (1.29–1.31)"


def test_overlapping_samples_claim_nothing():
    found = ratio([100, 110, 90, 105, 95], [98, 108, 91, 103, 97])
    assert not found.claimed
    assert found.text().startswith("≈ ")


def test_steady_pairs_of_wandering_samples_claim_nothing():
    """The machine drifted more than the sides differ: the samples overlap, the ratios do not."""
    theirs = [50, 60, 70, 80, 90, 100]
    found = ratio([value * 1.05 for value in theirs], theirs)
    assert found.spread.low > 1
    assert not found.claimed


def test_one_disturbed_round_does_not_undo_a_claim():
    found = ratio([130, 131, 30, 129, 132, 130, 131], [100, 101, 99, 100, 102, 98, 100])
    assert found.claimed
    assert 1.29 < found.median < 1.31


@pytest.mark.parametrize(("rounds", "claimed"), [(4, False), (5, True), (6, True)])
def test_claims_need_rounds(rounds, claimed):
    assert ratio([200] * rounds, [100] * rounds).claimed is claimed


def test_smaller_can_be_better():
    found = ratio([50] * 5, [100] * 5, smaller_is_better=True)
    assert found.median == 2
    assert found.claimed


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0] * 5, verdict.REACHED),
        ([0.99] * 5, verdict.MISSED),
        ([0.97, 0.98, 0.99, 1.01, 1.02], verdict.OPEN),
        ([0.5] * 4, verdict.OPEN),
    ],
)
def test_targets(values, expected):
    assert verdict.judge(ratio(values, [1.0] * len(values)), 1.0) == expected


# --- what h2load says ---

H2LOAD = """
finished in 1.30s, 100.00 req/s, 17.70KB/s
requests: 100 total, 100 started, 100 done, 100 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 100 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 70.80KB (23000) total, 4.86KB (5100) headers (space savings 92.29%), 12.5KB (12800) data
"""


def test_h2load_without_errors_is_believed():
    assert set(h2load.errors(H2LOAD, 128).values()) == {0}


@pytest.mark.parametrize(
    ("right", "wrong", "error", "count"),
    [
        ("0 failed", "3 failed", "failed", 3),
        ("0 errored", "2 errored", "errored", 2),
        ("0 timeout", "1 timeout", "timed out", 1),
        ("100 2xx, 0 3xx, 0 4xx, 0 5xx", "96 2xx, 0 3xx, 0 4xx, 4 5xx", "status", 4),
        ("(12800) data", "(12799) data", "bytes missing", 1),
    ],
)
def test_h2load_errors_are_seen(right, wrong, error, count):
    assert right in H2LOAD
    found = h2load.errors(H2LOAD.replace(right, wrong), 128)
    assert {name: number for name, number in found.items() if number} == {error: count}


class Coder(BaseHTTPRequestHandler):
    """Answers with `answer`: the coding it claims and the body."""

    answer = ("gzip", b"")

    def do_GET(self):
        coding, body = self.answer
        self.send_response(200)
        if coding:
            self.send_header("Content-Encoding", coding)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.mark.parametrize(
    ("coding", "body", "wrong"),
    [
        ("gzip", gzip.compress(b"x" * 128), None),
        ("gzip", gzip.compress(b"x" * 127), "another length"),
        (None, b"x" * 128, "coded by identity"),
        ("br", b"x", "coded by br"),
    ],
)
def test_answers_that_nobody_coded_are_seen(monkeypatch, coding, body, wrong):
    monkeypatch.setattr(Coder, "answer", (coding, body))
    with HTTPServer(("127.0.0.1", 0), Coder) as server:
        thread = threading.Thread(target=server.handle_request, daemon=True)
        thread.start()
        load = {"down": 128, "coding": "gzip"}
        if wrong is None:
            assert h2load.coded_length(server.server_address[1], load) == len(body)
        else:
            with pytest.raises(Void, match=wrong):
                h2load.coded_length(server.server_address[1], load)
        thread.join(10)


def test_an_h2load_that_says_something_else_is_void():
    with pytest.raises(Void, match="succeeded"):
        h2load.errors("usage: h2load", 128)


# --- results of several runs ---


def result_of(*names, **facts):
    """A result with one round of every side in each of these rows."""
    machine = {
        "cpu": "a cpu",
        "cores": 4,
        "memory_mib": 1024,
        "kernel": "6.18",
        "hypervisor": False,
        "load_average_at_start": "0.1",
        **facts,
    }
    settings = {
        "congestion": "reno",
        "own_network": True,
        "places": "here",
        "spin": False,
        "rounds": 1,
        "seconds": 1.0,
        "rate": 1000,
        "half_rate": 1000,
    }
    figures = dict.fromkeys(
        ("per_second", "gb_per_second", "cpu_ns", "p50_us", "p99_us", "proxy_busy"), 1.5
    )
    figures.update(backend_busy=0.5, loader_busy=0.5)
    result = report.Result(machine, settings, {"ringmesh": "1", "haproxy": "2"})
    result.rows = [
        (row, {"ringmesh": [dict(figures)], "haproxy": [dict(figures)]})
        for row in ROWS
        if row.name in names
    ]
    return result


def test_a_written_result_is_read_back(tmp_path):
    written = result_of("h1-64", "l4-64")
    written.voids = [("h1-64", "nginx", "refused")]
    report.write(written, tmp_path)
    found = report.read(tmp_path)
    assert found.rows == written.rows
    assert found.voids == written.voids
    assert "\n".join(report.markdown(found)) == "\n".join(report.markdown(written))


def test_joined_runs_stand_in_the_order_of_the_rows():
    whole = report.join([result_of("l4-64"), result_of("h1-64")])
    assert [row.name for row, _ in whole.rows] == ["h1-64", "l4-64"]


def test_what_was_joined_can_be_joined_again():
    runs = [result_of(name) for name in ("h1-64", "l4-64", "h1-512")]
    for run, seconds in zip(runs, (0.5, 2.0, 1.0), strict=True):
        run.settings["seconds"] = seconds
    whole = report.join([report.join(runs[:2]), runs[2]])
    assert whole.settings["seconds"] == "0.5 to 2"
    assert whole.settings["rounds"] == 1


def test_joined_runs_may_have_other_sides_but_no_other_versions():
    one, other, newer = result_of("h1-64"), result_of("l4-64"), result_of("l4-64")
    other.sides = {"ringmesh": "1", "envoy": "3"}
    newer.sides = {"ringmesh": "1", "haproxy": "3"}
    assert report.join([one, other]).sides == {"ringmesh": "1", "haproxy": "2", "envoy": "3"}
    assert one.sides == {"ringmesh": "1", "haproxy": "2"}
    with pytest.raises(ValueError, match="two versions of haproxy"):
        report.join([one, newer])


@pytest.mark.parametrize(
    "other", [result_of("h1-64"), result_of("l4-64", kernel="6.1"), result_of("l4-64", cpu="b")]
)
def test_runs_that_do_not_belong_together_are_not_joined(other):
    with pytest.raises(ValueError, match=r"machine|two of the runs"):
        report.join([result_of("h1-64"), other])


def judged(result):
    (row, samples) = result.rows[0]
    return result.key(row, samples)


def test_a_worker_that_waits_for_others_is_judged_by_processor_time():
    busy, waiting = result_of("h1-64"), result_of("h1-64")
    waiting.rows[0][1]["ringmesh"][0]["proxy_busy"] = 0.9
    assert judged(busy) == "per_second"
    assert judged(waiting) == "cpu_ns"
    assert judged(result_of("h1-p99")) == "p99_us"


def test_handshakes_are_compared_with_peers_on_the_same_library():
    result = result_of("tls-hs")
    row, samples = result.rows[0]
    result.sides = {**result.sides, "envoy": "3"}
    samples["envoy"] = [{**samples["haproxy"][0], "per_second": 99.0}]
    assert result.best_peer(row, samples, "per_second") == "haproxy"


def test_a_floor_that_is_missed_is_told():
    result = result_of("l4-64")
    result.sides = {"forward": "0", **result.sides}
    samples = result.rows[0][1]
    samples["ringmesh"] *= 5
    samples["haproxy"] *= 5
    samples["forward"] = [{**samples["ringmesh"][0], "per_second": 3.0}] * 5
    assert [line for line in result.missed() if "of forward" in line]


# --- the loader against proxies that do wrong ---


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("clang")
    if compiler is None or shutil.which("make") is None:
        pytest.skip("no C compiler or no make")
    folder = tmp_path_factory.mktemp("bench")
    made = subprocess.run(
        ["make", "-f", BENCH / "Makefile", f"OUT={folder}", f"CC={compiler}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return folder


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port):
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 0.5).close()
            return
        except OSError:
            time.sleep(0.02)
    raise AssertionError(f"nobody listens on {port}")


@pytest.fixture
def backend(programs):
    http, exchange = free_port(), free_port()
    command = [programs / "backend", "--http", str(http), "--exchange", str(exchange)]
    child = subprocess.Popen(command)
    wait_for(exchange)
    yield {False: http, True: exchange}
    child.terminate()
    child.wait(5)


class Liar:
    """Passes everything on, and every answer through `change`."""

    def __init__(self, target, change):
        self.target, self.change = target, change
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                down, _ = self.socket.accept()
            except OSError:
                return
            up = socket.create_connection(("127.0.0.1", self.target))
            for pair in ((down, up, None), (up, down, self.change)):
                threading.Thread(target=self.copy, args=pair, daemon=True).start()

    @staticmethod
    def copy(source, sink, change):
        try:
            while data := source.recv(65536):
                sink.sendall(change(data) if change else data)
        except OSError:
            pass
        for sock in (source, sink):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def load(programs, port, exchange, **options):
    command = [programs / "load", "--port", port, "--connections", 4]
    command += ["--seconds", 0.4, "--warmup", 0.1]
    command += ["--exchange", "--up", 48] if exchange else []
    options.setdefault("down", 64 if exchange else 128)
    for name, value in options.items():
        command += [f"--{name}", value]
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=40, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def through(programs, backend, change, exchange):
    liar = Liar(backend[exchange], change)
    try:
        return load(programs, liar.port, exchange)
    finally:
        liar.socket.close()


def same(data):
    return data


def flipped(data):
    return data[:-5] + bytes([data[-5] ^ 1]) + data[-4:]


class Shortener:
    """Loses the last byte of every connection's answers but the first one."""

    def __init__(self):
        self.known = set()

    def __call__(self, data):
        connection = threading.get_ident()
        if connection in self.known:
            return data[:-1]
        self.known.add(connection)
        return data


def doubled(data):
    return data + data


def refused(data):
    return b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"


def chunked(data):
    head, _, body = data.partition(b"\r\n\r\n")
    head = head.replace(b"Content-Length: 128", b"Transfer-Encoding: chunked")
    return head + b"\r\n\r\n80\r\n" + body + b"\r\n0\r\n\r\n"


class Mixer:
    """Answers an old answer, of whichever connection: right in form, wrong in content."""

    def __init__(self):
        self.kept = b""

    def __call__(self, data):
        old, self.kept = self.kept or data, data
        return old


@pytest.mark.parametrize("exchange", [False, True])
def test_an_honest_proxy_has_no_errors(programs, backend, exchange):
    said = through(programs, backend, same, exchange)
    assert said["requests"] > 0
    assert not any(said["errors"].values())
    assert said["bytes"] == said["requests"] * (112 if exchange else 128)


@pytest.mark.parametrize("options", [[], ["--splice"]])
@pytest.mark.parametrize("exchange", [False, True])
def test_the_bare_forwarder_passes_everything_on(programs, backend, exchange, options):
    port = free_port()
    child = subprocess.Popen([programs / "forward", f"--pair={port}={backend[exchange]}", *options])
    try:
        wait_for(port)
        said = load(programs, port, exchange, down=300000)
    finally:
        child.terminate()
        child.wait(5)
    assert said["requests"] > 0
    assert not any(said["errors"].values())


@pytest.mark.parametrize(
    ("change", "exchange", "error"),
    [
        (flipped, False, "body"),
        (flipped, True, "body"),
        (doubled, False, "head"),
        (doubled, True, "head"),
        (refused, False, "head"),
        (chunked, False, "head"),
        (Mixer(), False, "body"),
        (Mixer(), True, "head"),
    ],
)
def test_wrong_answers_are_errors(programs, backend, change, exchange, error):
    said = through(programs, backend, change, exchange)
    assert said["errors"][error] > 0, said


@pytest.mark.parametrize("exchange", [False, True])
def test_lost_bytes_are_errors(programs, backend, exchange):
    """The rest of a short answer never comes: owed for longer than a second, it is stalled."""
    liar = Liar(backend[exchange], Shortener())
    said = load(programs, liar.port, exchange, seconds=1.2)
    liar.socket.close()
    assert said["errors"]["stalled"] == 4, said


def test_a_proxy_that_never_answers_ends_the_loader(programs, backend):
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        command = [programs / "load", "--port", str(silent.getsockname()[1]), "--connections", "3"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=40, check=False)
    assert done.returncode == 1
    assert "only 0 of 3 connections" in done.stderr


def test_a_fixed_rate_is_kept(programs, backend):
    said = load(programs, backend[False], False, rate=500, seconds=1)
    assert 480 <= said["requests"] <= 520
    assert not any(said["errors"].values())


def test_idle_connections_are_counted_and_asked_again(programs, backend):
    child = subprocess.Popen(
        [programs / "load", "--idle", "--port", str(backend[False]), "--connections", "20"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    said, _ = child.communicate("5\n20\ncheck\n", timeout=20)
    assert said.splitlines() == ["open 5", "open 20", "answered 20 dropped 0"]


# --- who else runs ---

SHELL = (1, ["-bash"])
OTHERS = {
    1: (0, ["/sbin/init"]),
    10: SHELL,
    # This run: its ancestors and what it starts are its own.
    20: (10, ["bash", "tools/bench", "--rows", "all"]),
    21: (20, ["python3", "/r/side_by_side/bench.py", "--programs", "/r"]),
    22: (21, ["/r/.build/release/controlplane", "server", "--config.path", "x"]),
    # Somebody else's node with two workers, benchmark and tests.
    30: SHELL,
    31: (30, ["/opt/controlplane", "sidecar", "--token", "secret-77"]),
    32: (31, ["/opt/dataplane", "--control-socket", "x"]),
    33: (32, ["/opt/dataplane", "--control-socket", "x"]),
    34: (32, ["/opt/dataplane", "--control-socket", "x"]),
    40: (30, ["/usr/bin/python3.12", "-u", "Tests/Benchmarks/snapshot/end_to_end.py", "--rounds"]),
    41: (30, ["/venv/bin/python", "-m", "pytest", "-q", "Tests/Integration"]),
    42: (41, ["/venv/bin/python", "-c", "import execnet"]),
    43: (30, ["/usr/bin/python3", "-m", "http.server", "bench.py"]),
    44: (30, ["vi", "bench.py"]),
    45: (30, []),
}


def test_others_on_the_machine_are_told():
    found = neighbours.chosen(OTHERS, 21)
    assert [(one["pid"], one["command"]) for one in found] == [
        (31, "controlplane sidecar"),
        (32, "dataplane"),
        (40, "end_to_end.py"),
        (41, "pytest"),
    ]
    assert not any("secret" in text for text in neighbours.lines(found))
    assert "process 31, controlplane sidecar" in neighbours.lines(found)[0]


def test_nobody_is_told_of_a_quiet_machine():
    assert neighbours.chosen({pid: OTHERS[pid] for pid in (1, 10, 20, 21, 22)}, 21) == []


def test_a_node_that_runs_now_is_found(tmp_path):
    """A process that is called so, started by a shell that is not ours."""
    program = tmp_path / "controlplane"
    program.symlink_to(shutil.which("sleep"))
    script = f'"{program}" 600 & echo $!'
    with subprocess.Popen(
        ["sh", "-c", f"setsid sh -c '{script}' &"], stdout=subprocess.PIPE, text=True
    ) as shell:
        pid = int(shell.stdout.readline())
    try:
        end = time.monotonic() + 30
        while neighbours.words_of(pid)[:1] != [str(program)]:  # it is the shell's copy at first
            assert time.monotonic() < end, neighbours.words_of(pid)
            time.sleep(0.01)
        told = [one for one in neighbours.found() if one["pid"] == pid]
        assert told == [{"pid": pid, "command": "controlplane 600"}]
        said = subprocess.run(
            [sys.executable, BENCH / "neighbours.py"], capture_output=True, text=True, check=True
        )
        assert f"warning: runs beside and disturbs the measurement: process {pid}" in said.stderr
    finally:
        os.kill(pid, signal.SIGKILL)


def test_reports_say_who_ran_beside(tmp_path):
    run = result_of("h1-64")
    run.settings["neighbours"] = [{"pid": 7, "command": "dataplane"}]
    assert "Not alone on the machine: dataplane (7)." in report.write(run, tmp_path)
    read = report.read(tmp_path)
    assert read.settings["neighbours"] == [{"pid": 7, "command": "dataplane"}]
    other = result_of("h1-1k")
    other.settings["neighbours"] = [{"pid": 8, "command": "bench.py"}]
    assert [one["pid"] for one in report.join([read, other]).settings["neighbours"]] == [7, 8]
    assert "Not alone" not in report.write(result_of("h1-64"), tmp_path)
