"""What the Consul-compatible API costs, with a real control plane.

    tools/bench-api [--watches N] [--entries N] [--seconds S] [--json FILE] [--gate]

Blocking queries: N connections each hold a read (`/v1/health/service/web?index=…`), a tenth of
them one that the change does not concern. Measured are the memory of the control plane per held
read (anonymous memory after less before, so with connection, request, task and waiter), and the
time from the write of the change until the last of those whom it concerns has its answer. When an
answer came the kernel says (TCP_INFO), so that this program's own reading is not in it.

Authorize: decisions per second over keep-alive connections, requests sent ahead in batches.

Chains: the read of a discovery chain whose entries are N together (a router to a third of N
services, each with defaults, splitter and resolver), and the read of a chain of one service beside.
"""

import argparse
import contextlib
import json
import resource
import socket
import statistics
import struct
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Integration"))

from ports import Ports
from ringmesh import Node, defaults, service

TARGETS = {"bytes per watch": 8192, "last woken, ms": 100.0}
LAST_DATA_RECEIVED = 52  # offset of tcpi_last_data_recv, milliseconds


class Connection:
    """Keep-alive HTTP/1.1 to the API."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    @staticmethod
    def request(method, target, document=None):
        body = b"" if document is None else json.dumps(document).encode()
        head = f"{method} {target} HTTP/1.1\r\nHost: node\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body

    def answer(self):
        """(head, body) of one answer."""
        while b"\r\n\r\n" not in self.buffer:
            self.more()
        head, _, rest = self.buffer.partition(b"\r\n\r\n")
        fields = head.lower().split(b"\r\n")
        length = next(int(f.split(b":")[1]) for f in fields if f.startswith(b"content-length"))
        while len(self.buffer) < len(head) + 4 + length:
            self.more()
        rest = self.buffer[len(head) + 4 :]
        self.buffer = rest[length:]
        if head.split()[1] != b"200":
            raise AssertionError(f"{head!r} {rest[:length]!r}")
        return head, rest[:length]

    def more(self):
        part = self.sock.recv(1 << 20)
        if not part:
            raise AssertionError("the connection was closed")
        self.buffer += part

    def __call__(self, method, target, document=None):
        self.sock.sendall(self.request(method, target, document))
        return self.answer()

    def has_answer(self):
        """Whether anything has come."""
        self.sock.settimeout(0)
        try:
            return len(self.sock.recv(1, socket.MSG_PEEK)) == 1
        except BlockingIOError:
            return False
        finally:
            self.sock.settimeout(60)

    def came_at(self):
        """When the last bytes came, in seconds of the monotonic clock."""
        info = self.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        return time.monotonic() - struct.unpack_from("I", info, LAST_DATA_RECEIVED)[0] / 1000


def anonymous_bytes(pid):
    """Memory of a process that is nobody else's."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no figure of anonymous memory")


def index(head):
    fields = head.lower().split(b"\r\n")
    return next(int(f.split(b":")[1]) for f in fields if f.startswith(b"x-consul-index"))


def settled(read, pause=0.25):
    """A figure that no longer grows."""
    last = read()
    while True:
        time.sleep(pause)
        now = read()
        if now <= last:
            return now
        last = now


def watches(node, port, count):
    """Holds reads and wakes most of them."""
    control = Connection(port)
    targets = {name: f"/v1/health/service/{name}" for name in ("web", "db")}
    known = {name: index(control("GET", target)[0]) for name, target in targets.items()}
    memory = lambda: anonymous_bytes(node.control.pid)  # noqa: E731
    before = settled(memory)
    held = []
    for number in range(count):
        name = "db" if number % 10 == 9 else "web"
        connection = Connection(port)
        query = f"{targets[name]}?index={known[name]}&wait=10m"
        connection.sock.sendall(connection.request("GET", query))
        held.append((name, connection))
    after = settled(memory, 1.0)
    concerned = [connection for name, connection in held if name == "web"]
    others = [connection for name, connection in held if name == "db"]
    rounds = []
    for port_of_web in (1, 2, 3):
        if any(connection.has_answer() for _, connection in held):
            raise AssertionError("a read was answered that nothing concerned")
        change = {"Name": "web", "Address": "127.0.0.1", "Port": port_of_web}
        begun = time.monotonic()
        control("PUT", "/v1/agent/service/register", change)
        end = begun + 60
        while not all(c.has_answer() for c in reversed(concerned)) and time.monotonic() < end:
            time.sleep(0.2)
        rounds.append((max(c.came_at() for c in concerned) - begun) * 1000)
        # Each reads its answer and waits again.
        for connection in concerned:
            head, _ = connection.answer()
            query = f"{targets['web']}?index={index(head)}&wait=10m"
            connection.sock.sendall(connection.request("GET", query))
        time.sleep(1)
    woken = sum(connection.has_answer() for connection in others)
    return {
        "watches": count,
        "bytes per watch": round((after - before) / count),
        "last woken, ms": round(statistics.median(rounds), 1),
        "last woken, ms, rounds": [round(ms, 1) for ms in rounds],
        "woken whom nothing concerned": woken,
    }


def authorize(port, seconds, connections=4, batch=64):
    """Decisions per second."""
    uri = "spiffe://11111111-2222-3333-4444-555555555555.consul/ns/default/dc/dc1/svc/web"
    document = {"Target": "db", "ClientCertURI": uri, "ClientCertSerial": "01"}
    counts, end = [], time.monotonic() + seconds

    def run():
        connection = Connection(port)
        requests = connection.request("POST", "/v1/agent/connect/authorize", document) * batch
        done = 0
        while time.monotonic() < end:
            connection.sock.sendall(requests)
            for _ in range(batch):
                connection.answer()
            done += batch
        counts.append(done)

    threads = [threading.Thread(target=run) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"authorize calls per second": round(sum(counts) / seconds)}


def chain_entries(count):
    """A router to many services, each with defaults, splitter and resolver."""
    names = [f"leg-{number}" for number in range((count - 2) // 3)]
    entries = [defaults("big"), {"kind": "service-router", "name": "big", "routes": []}]
    for name in names:
        entries[1]["routes"].append(
            {
                "match": {"http": {"path_prefix": f"/{name}"}},
                "destination": {"service": name},
            }
        )
        split = {"weight": 50, "service_subset": "v1"}, {"weight": 50, "service_subset": "v2"}
        subsets = {v: {"filter": f"Service.Meta.version == {v}"} for v in ("v1", "v2")}
        entries += [
            defaults(name),
            {"kind": "service-splitter", "name": name, "splits": list(split)},
            {"kind": "service-resolver", "name": name, "subsets": subsets},
        ]
    return entries


def chains(port, rounds=15):
    """Milliseconds of a read."""
    connection = Connection(port)
    found = {}
    for name in ("big", "leg-0"):
        samples = []
        for _ in range(rounds):
            begun = time.monotonic()
            _, body = connection("GET", f"/v1/discovery-chain/{name}")
            samples.append((time.monotonic() - begun) * 1000)
        nodes = len(json.loads(body)["Chain"]["Nodes"])
        found[f"chain of {nodes} nodes, ms"] = round(statistics.median(samples), 2)
    return found


def run(options):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = options.watches + 256
    if hard < wanted:
        raise AssertionError(f"{wanted} open files are needed, {hard} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    held = Ports()
    port = held.take()
    node = Node(
        held,
        workers=1,
        api={"bind_addr": f"127.0.0.1:{port}"},
        services=[service("db", held.take())],
        config_entries=chain_entries(options.entries),
    )
    try:
        node.start(seconds=120)
        control = Connection(port)
        control("PUT", "/v1/agent/service/register", {"Name": "web", "Port": 9})
        results = {"entries": options.entries, **chains(port)}
        results |= authorize(port, options.seconds)
        results |= watches(node, port, options.watches)
    finally:
        node.close()
        with contextlib.suppress(OSError):
            held.close()
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--watches", type=int, default=10_000)
    parser.add_argument("--entries", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--gate", action="store_true", help="exit 1 when a target is missed")
    options = parser.parse_args()
    results = run(options)
    for name, value in results.items():
        limit = f"  (target {TARGETS[name]:g})" if name in TARGETS else ""
        print(f"{name}: {value}{limit}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    missed = [name for name, limit in TARGETS.items() if results[name] > limit]
    if results["woken whom nothing concerned"]:
        missed.append("woken whom nothing concerned")
    return 1 if options.gate and missed else 0


if __name__ == "__main__":
    sys.exit(main())
