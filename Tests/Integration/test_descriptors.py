"""Proves that a worker without free descriptors goes on: those it has are served, those who wait in
the listener's queue are served as soon as there is room, and nobody is told an error.
"""

import resource

from ringmesh import listener, service
from wire import Client, wait_for

FEW = 48  # descriptors of a worker, its own included


def accept_errors(node):
    lines = node.metrics().splitlines()
    return sum(
        float(line.rsplit(" ", 1)[1])
        for line in lines
        if line.startswith("ringmesh_worker_accept_errors_total{")
    )


def test_no_descriptor_left(nodes, ports, recorders):
    web, port = recorders(), ports.take()
    node = nodes(
        workers=1,
        services=[service("web", web.port)],
        listeners=[listener("public", port, "web", timeouts={"idle": "300s", "head": "300s"})],
    ).start()
    first = node.worker_pids()[0]
    _, hard = resource.prlimit(first, resource.RLIMIT_NOFILE)
    # A worker takes the limit from the supervisor when it starts.
    resource.prlimit(node.supervisor(), resource.RLIMIT_NOFILE, (FEW, hard))
    node.kill_worker(first)
    wait_for(lambda: node.worker_pids()[0] not in (0, first), 5, "a new worker")
    worker = node.worker_pids()[0]
    assert resource.prlimit(worker, resource.RLIMIT_NOFILE)[0] == FEW
    served = Client(port)
    assert served.get().status == 200
    waiting = [Client(port) for _ in range(FEW)]
    wait_for(lambda: accept_errors(node) > 0, 5, "a refused accept")
    for _ in range(20):
        assert served.get().status == 200, "a connection suffers from those that wait"
    assert accept_errors(node) < 100, "the worker spins on what it cannot accept"
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (hard, hard))
    for client in waiting:
        assert client.get().status == 200, "one that waited was forgotten"
    for client in [served, *waiting]:
        client.close()
    assert node.worker_pids() == [worker]
