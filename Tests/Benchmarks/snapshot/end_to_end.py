"""What a change costs on its whole way: from the request to the admin API until every worker has
acknowledged it, with a real control plane and a real data plane of two workers.

    tools/bench-snapshot --end-to-end [--services N] [--rounds N] [--restarts N] [--state DIR]
                         [--json FILE]

The node has N services of five instances, each instance with a TTL check, a route to every service
and an intention towards every one. Measured are: the first publication of a control plane that
comes to a running data plane (everything is read, compiled, built, shipped and acknowledged), the
change of one service, the change of one intention, and a health report until the overlay's word
has changed and until the first request that is routed by it has been answered. That request goes
to a service of one instance which fails over to another service, so that every answer tells by
which report its request was routed.

Seeding the node takes longer than measuring it. With --state DIR its store is kept there, in a
folder for each number of services, and later runs begin with a copy of it. --rounds 0 only seeds.
"""

import argparse
import contextlib
import json
import mmap
import multiprocessing
import os
import platform
import re
import shutil
import socket
import statistics
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Integration"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "side_by_side"))

import neighbours
from ports import Ports
from ringmesh import Node, listener
from wire import Client, Recorder

ENDPOINTS = 5
EDGE = "edge"
PRIMARY, SPARE = "primary", "spare"  # watched by requests; the first fails over to the second
ROUTES = 1000  # of a listener
LIMITS_MS = {
    "everything": 250.0,
    "one service": 50.0,
    "one intention": 50.0,
    "health: word": 5.0,
    "health: request": 5.0,
}


def now_ms():
    return time.clock_gettime(time.CLOCK_MONOTONIC) * 1e3


class Admin:
    """Keep-alive requests to the admin socket."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(str(path))
        self.buffer = b""

    def __call__(self, method, target, document=None):
        body = b"" if document is None else json.dumps(document).encode()
        head = f"{method} {target} HTTP/1.1\r\nHost: node\r\nContent-Length: {len(body)}\r\n\r\n"
        self.sock.sendall(head.encode() + body)
        return self.answer()

    def answer(self):
        while b"\r\n\r\n" not in self.buffer:
            self.buffer += self.sock.recv(1 << 20) or self.ended()
        head, _, rest = self.buffer.partition(b"\r\n\r\n")
        length = int(re.search(rb"(?i)content-length: *(\d+)", head).group(1))
        while len(rest) < length:
            rest += self.sock.recv(1 << 20) or self.ended()
        self.buffer = rest[length:]
        status = int(head.split()[1])
        if status != 200:
            raise AssertionError(f"{status}: {rest[:length][:400]!r}")
        return json.loads(rest[:length])

    @staticmethod
    def ended():
        raise AssertionError("the control plane closed the connection")


def instance(service, number, real=(), weight=1):
    """Instance `number` of a service; those of service 0 are served here."""
    address, port = f"10.{service // 250}.{service % 250}.{number + 1}", 8080
    if service == 0:
        address, port = "127.0.0.1", real[number]
    return {
        "service": {
            "name": f"service-{service}",
            "id": f"service-{service}-{number}",
            "address": address,
            "port": port,
            "tags": [f"v{number % 2}"],
            "meta": {"rack": f"r{service % 40}"},
            "weights": {"passing": weight, "warning": 1},
            "checks": [{"ttl": "24h", "status": "passing"}],
        }
    }


def watched(name, port):
    """The instance of a service that is watched."""
    return {
        "service": {
            "name": name,
            "id": f"{name}-0",
            "address": "127.0.0.1",
            "port": port,
            "checks": [{"ttl": "24h", "status": "passing"}],
        }
    }


def intention(service, action="allow"):
    source = EDGE if service == 0 else f"service-{(service * 31 + 1) % 9973}"
    return {
        "source": source,
        "destination": f"service-{service}",
        "action": action,
        "replace": True,
    }


def backends(ports, started):
    """Answers with the number of the instance, until the process is ended."""
    for number, port in enumerate(ports):
        text = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number
        Recorder(port, lambda request, client, text=text: text)
    started.set()
    threading.Event().wait()


def local(real):
    """The services that are served here, at ports that are others in every run."""
    yield from (("PUT", "/v1/services", instance(0, n, real)) for n in range(ENDPOINTS))
    for name, port in zip((PRIMARY, SPARE), real, strict=False):
        yield "PUT", "/v1/services", watched(name, port)


def far(services):
    """All other services, and the intentions."""
    for service in range(1, services):
        for number in range(ENDPOINTS):
            yield "PUT", "/v1/services", instance(service, number)
    yield from (("POST", "/v1/intentions", intention(service)) for service in range(services))
    for name in (PRIMARY, SPARE):
        pair = {"source": EDGE, "destination": name, "action": "allow", "replace": True}
        yield "POST", "/v1/intentions", pair


def write(node, work):
    """Writes objects over the API, as users do: many at a time."""
    work = list(work)
    lock, left = threading.Lock(), iter(work)

    def writer():
        admin = Admin(node.admin_socket)
        while True:
            with lock:
                item = next(left, None)
            if item is None:
                return
            admin(*item)

    begun = time.monotonic()
    threads = [threading.Thread(target=writer) for _ in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = time.monotonic() - begun
    print(f"{len(work)} objects written in {spent:.1f} s", file=sys.stderr)


STORE = ("state", "keys")  # of a node's directory


def seed(node, options, real):
    """Starts the node with every object, those of a run before where its store is kept."""
    kept = Path(options.state) / str(options.services) if options.state else None
    is_there = kept is not None and kept.exists()
    if is_there:
        for part in STORE:
            shutil.copytree(kept / part, node.directory / part)
    node.start(seconds=120)
    if not is_there:
        write(node, far(options.services))
        if kept:
            node.stop()
            half = kept.with_suffix(".new")
            shutil.rmtree(half, ignore_errors=True)
            for part in STORE:
                shutil.copytree(node.directory / part, half / part)
            half.rename(kept)
            node.start(seconds=120)
    write(node, local(real))


PHASES = ("gather", "compile", "build", "publish")


def phases(node):
    """How often each phase was gone through, and what that took in all, in ms."""
    # There are metrics of every service: they are read once.
    text = node.metrics()
    found = dict(
        re.findall(r"^ringmesh_pipeline_([a-z]+_seconds_(?:count|sum)) ([0-9.e+-]+)$", text, re.M)
    )
    counts = {p: int(float(found.get(f"{p}_seconds_count", 0))) for p in PHASES}
    return counts, {p: float(found.get(f"{p}_seconds_sum", 0)) * 1e3 for p in PHASES}


def measure_everything(node, rounds):
    """Restarts of the control plane: its first publication holds every object."""
    samples, parts = [], []
    for _ in range(rounds):
        node.control.kill()
        node.start(seconds=120)
        counts, part = phases(node)
        if any(count != 1 for count in counts.values()):
            raise AssertionError(f"{counts} instead of the first publication alone")
        parts.append(part)
        samples.append(sum(part.values()))
    return samples, parts


def measure_changes(node, rounds, change):
    admin = Admin(node.admin_socket)
    change(admin, 0)  # what only the first of its kind costs is told by the first line
    samples, parts = [], []
    _, before = phases(node)
    for number in range(1, rounds + 1):
        begun = now_ms()
        report = change(admin, number)
        samples.append(now_ms() - begun)
        if report["outcome"] != "live":
            raise AssertionError(report)
        _, now = phases(node)
        parts.append({p: now[p] - before[p] for p in PHASES})
        before = now
    return samples, parts


class Overlay:
    """The words that the workers read, mapped from the supervisor's own descriptor."""

    def __init__(self, pid):
        for entry in os.listdir(f"/proc/{pid}/fd"):
            path = f"/proc/{pid}/fd/{entry}"
            with contextlib.suppress(OSError):
                if "overlay" in os.readlink(path):
                    with open(path, "rb") as file:
                        self.map = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
                    return
        raise AssertionError("the data plane has no overlay")

    def differing(self, before):
        """Where the first byte differs from what was."""
        for at in range(0, len(before), 4096):
            if self.map[at : at + 4096] != before[at : at + 4096]:
                page = zip(self.map[at : at + 4096], before[at : at + 4096], strict=True)
                return at + next(i for i, (a, b) in enumerate(page) if a != b)
        return None


def watch_word(pid, at, orders, told):
    """A process of its own: tells when the byte at `at` has become another one."""
    overlay = Overlay(pid)
    while orders.recv():
        old = overlay.map[at]
        told.send("armed")
        while overlay.map[at] == old:
            pass
        told.send(now_ms())


def watch_requests(port, orders, told):
    """A process of its own: requests without a pause until one is answered by the instance that is
    ordered. It is told when that answer has come.
    """
    with Client(port, timeout=10) as client:
        while (wanted := orders.recv()) is not None:
            other = client.get("/", f"{PRIMARY}.mesh").body
            told.send("armed" if other != wanted else f"{wanted} answers already")
            end = now_ms() + 10_000
            while client.get("/", f"{PRIMARY}.mesh").body != wanted:
                if now_ms() > end:
                    raise AssertionError(f"{wanted} does not answer")
            told.send(now_ms())


def measure_health(node, rounds, port):
    admin = Admin(node.admin_socket)
    overlay = Overlay(node.supervisor())
    path = f"/v1/checks/service:{PRIMARY}-0"
    before = overlay.map[:]
    admin("PUT", f"{path}/fail")
    while (at := overlay.differing(before)) is None:
        time.sleep(0.01)
    failed = overlay.map[at]
    admin("PUT", f"{path}/pass")
    while overlay.map[at] == failed:
        time.sleep(0.01)
    watchers = []
    for target, what in ((watch_word, (node.supervisor(), at)), (watch_requests, (port,))):
        (orders, mine), (told, theirs) = multiprocessing.Pipe(False), multiprocessing.Pipe(False)
        process = multiprocessing.Process(target=target, args=(*what, orders, theirs), daemon=True)
        process.start()
        watchers.append((process, mine, told))
    words, requests = [], []
    for number in range(2 * rounds):
        verb, wanted = ("fail", b"1") if number % 2 == 0 else ("pass", b"0")
        for _, orders, told in watchers:
            orders.send(wanted)
            if (state := told.recv()) != "armed":
                raise AssertionError(state)
        time.sleep(0.02)
        begun = now_ms()
        admin("PUT", f"{path}/{verb}")
        word, request = (told.recv() for _, _, told in watchers)
        words.append(word - begun)
        requests.append(request - begun)
    for process, _, _ in watchers:
        process.terminate()
    return words, requests


def spread(samples):
    ordered = sorted(samples)
    return {
        "rounds": len(ordered),
        "best": round(ordered[0], 2),
        "median": round(statistics.median(ordered), 2),
        "p90": round(ordered[int(len(ordered) * 0.9) - 1], 2),
        "worst": round(ordered[-1], 2),
    }


def table(results):
    lines = [
        "| what | target | best | median | p90 | worst | rounds |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, limit in LIMITS_MS.items():
        row = results[name]
        lines.append(
            f"| {name} | < {limit:g} ms | {row['best']} | {row['median']} | {row['p90']} "
            f"| {row['worst']} | {row['rounds']} |"
        )
    return "\n".join(lines)


def mean_parts(parts):
    return {p: round(statistics.median(part[p] for part in parts), 2) for p in PHASES}


def run(options):
    beside = neighbours.found()
    for text in neighbours.lines(beside):
        print(f"warning: {text}", file=sys.stderr)
    held = Ports()
    real = [held.take() for _ in range(ENDPOINTS)]
    port = held.take()
    started = multiprocessing.Event()
    served = multiprocessing.Process(target=backends, args=(real, started), daemon=True)
    served.start()
    started.wait(10)
    listeners = []
    for first in range(0, options.services, ROUTES):
        routes = [
            {"match": {"host": f"service-{number}.mesh"}, "service": f"service-{number}"}
            for number in range(first, min(first + ROUTES, options.services))
        ]
        if first == 0:
            routes.append({"match": {"host": f"{PRIMARY}.mesh"}, "service": PRIMARY})
        at = port if first == 0 else held.take()
        listeners.append({**listener(f"edge-{first}", at, identity=EDGE), "routes": routes})
    node = Node(
        held,
        workers=2,
        listeners=listeners,
        config_entries=[
            {"kind": "proxy-defaults", "name": "global", "config": {"protocol": "http"}},
            {
                "kind": "service-resolver",
                "name": PRIMARY,
                "failover": {"*": {"service": SPARE}},
            },
        ],
    )
    try:
        seed(node, options, real)
        if options.rounds == 0:
            return
        results, details = {}, {}
        for name, change in (
            (
                "one service",
                lambda admin, n: admin(
                    "PUT", "/v1/services", instance(7 + n, 0, real, weight=2 + n)
                ),
            ),
            (
                "one intention",
                lambda admin, n: admin("POST", "/v1/intentions", intention(7 + n, "deny")),
            ),
        ):
            samples, parts = measure_changes(node, options.rounds, change)
            results[name] = spread(samples)
            details[name] = mean_parts(parts)
        words, requests = measure_health(node, options.rounds, port)
        results["health: word"], results["health: request"] = spread(words), spread(requests)
        samples, parts = measure_everything(node, options.restarts)
        results["everything"] = spread(samples)
        details["everything"] = mean_parts(parts)
    finally:
        served.terminate()
        node.close()
        held.close()
    document = {
        "services": options.services,
        "endpoints": ENDPOINTS,
        "workers": 2,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "neighbours": beside,
        "limits_ms": LIMITS_MS,
        "results_ms": results,
        "medians_of_parts_ms": details,
    }
    print(table(results))
    for name, part in details.items():
        print(f"{name}: " + ", ".join(f"{phase} {ms} ms" for phase, ms in part.items()))
    if options.json:
        Path(options.json).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    late = [name for name, limit in LIMITS_MS.items() if results[name]["median"] >= limit]
    if late:
        sys.exit(f"beyond the target: {', '.join(late)}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--services", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--restarts", type=int, default=10)
    parser.add_argument("--state", metavar="DIR", help="where the seeded store is kept")
    parser.add_argument("--json")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
