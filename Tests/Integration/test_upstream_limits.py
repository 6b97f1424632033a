"""Proves that ceilings towards a service hold for the node, whatever the number of workers, that
what a worker held is given back when it dies, and that instances that fail are left out.
"""

import threading
import time

from ringmesh import listener, service
from wire import Client, Closed, get, read_response, wait_for


def resolver(name="web", **keys):
    return {"kind": "service-resolver", "name": name, **keys}


class Gate:
    """An answer that waits until it is opened, and knows how many wait."""

    def __init__(self):
        self.opened = threading.Event()
        self.lock = threading.Lock()
        self.inside = 0
        self.most = 0

    def __call__(self, request, client):
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.opened.wait(60)
        with self.lock:
            self.inside -= 1
        return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def serve(nodes, port, recorders, workers=4, **keys):
    services = [service("web", r.port, id=f"web-{i}") for i, r in enumerate(recorders)]
    return nodes(
        services=services,
        config_entries=[resolver(**keys)],
        listeners=[listener("public", port, "web")],
        workers=workers,
    ).start()


def ask(port, count):
    clients = [Client(port, timeout=60) for _ in range(count)]
    for client in clients:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    return clients


def serves(port):
    try:
        return get(port).status == 200
    except (OSError, Closed):
        return False


def test_requests_of_all_workers_count(nodes, ports, recorders):
    gate, port = Gate(), ports.take()
    web = recorders(gate)
    node = serve(nodes, port, [web], limits={"max_concurrent_requests": 5})
    clients = ask(port, 5)
    wait_for(lambda: gate.inside == 5, 5, "five requests are under way")
    refused = [get(port).status for _ in range(16)]
    assert refused == [503] * 16
    gate.opened.set()
    assert [read_response(client.stream).status for client in clients] == [200] * 5
    counted = 'outcome="upstream_limit"} 16'
    wait_for(lambda: counted in node.metrics(), what="those that were refused are counted")
    explained = node.meshctl("explain", "GET", f"http://127.0.0.1:{port}/").stdout
    assert "at most 5 requests" in explained


def test_connections_of_all_workers_count(nodes, ports, recorders):
    """Sixteen clients share three connections: nobody is refused, nobody exceeds the bound."""
    gate, port = Gate(), ports.take()
    web = recorders(gate)
    serve(nodes, port, [web], limits={"max_connections": 3})
    clients = ask(port, 16)
    wait_for(lambda: gate.inside == 3, 5, "three requests are under way")
    time.sleep(0.2)
    assert gate.inside == 3
    gate.opened.set()
    assert [read_response(client.stream).status for client in clients] == [200] * 16
    assert gate.most == 3


def test_a_dead_worker_gives_back_what_it_held(nodes, ports, recorders):
    gate, port = Gate(), ports.take()
    web = recorders(gate)
    node = serve(nodes, port, [web], workers=2, limits={"max_concurrent_requests": 4})
    ask(port, 4)
    wait_for(lambda: gate.inside == 4, 5, "four requests are under way")
    assert get(port).status == 503
    victims = node.worker_pids()
    for victim in victims:
        node.kill_worker(victim)
    gate.opened.set()
    wait_for(
        lambda: not set(victims) & set(node.worker_pids()) and all(node.worker_pids()),
        10,
        "the workers are replaced",
    )
    wait_for(lambda: serves(port), 10, "requests are served")
    again = Gate()
    web.reset(again)
    clients = ask(port, 4)
    wait_for(lambda: again.inside == 4, 5, "four requests are under way again")
    again.opened.set()
    assert [read_response(client.stream).status for client in clients] == [200] * 4


def test_a_failing_instance_is_left_out(nodes, ports, recorders):
    def bad(request, client):
        return b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n"

    sick, good, port = recorders(bad), recorders(), ports.take()
    node = serve(
        nodes,
        port,
        [sick, good],
        passive_health_check={"max_failures": 3, "base_ejection_time": "10s"},
    )
    statuses = [get(port).status for _ in range(60)]
    assert statuses.count(500) == 3, statuses
    assert "ringmesh_target_ejections_total" in node.metrics()
    wait_for(lambda: get(port).status == 500, 60, "the instance is tried again")


def test_an_instance_that_is_gone_is_left_out(nodes, ports, recorders):
    good, port = recorders(), ports.take()
    services = [service("web", good.port, id="good"), service("web", ports.dead(), id="gone")]
    node = nodes(
        services=services,
        config_entries=[resolver(passive_health_check={"max_failures": 2})],
        listeners=[listener("public", port, "web")],
        workers=4,
    ).start()
    assert [get(port).status for _ in range(40)] == [200] * 40

    def failures():
        lines = [li for li in node.metrics().splitlines() if "connect_failures_total{" in li]
        return sum(float(li.split()[-1]) for li in lines if "_target_" in li)

    wait_for(lambda: failures() == 2, what="both failures are counted")
