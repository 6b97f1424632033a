"""Proves that an idle connection costs next to nothing: 9,000 of them, bounded memory, and the
others are served as before.
"""

import resource
import ssl

import pytest
from certificates import authority, leaf
from processes import rss_kib
from ringmesh import listener, service
from wire import Client, get

PLAIN, TLS = 9000, 1500
PLAIN_BYTES, TLS_BYTES = 2 * 1024, 20 * 1024


def descriptors(count):
    """Raises our own limit; a machine that does not allow it is reported, not failed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = count + 500
    if hard != resource.RLIM_INFINITY and hard < need:
        pytest.skip(f"only {hard} descriptors are allowed here, {need} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, need), hard))


def memory(node):
    return sum(rss_kib(pid) for pid in node.worker_pids()) * 1024


def test_nine_thousand_plain(nodes, ports, recorders):
    descriptors(PLAIN)
    web, port = recorders(), ports.take()
    node = nodes(
        services=[service("web", web.port)],
        listeners=[listener("public", port, "web", timeouts={"idle": "300s", "head": "300s"})],
    ).start()
    warm = [Client(port) for _ in range(200)]
    for client in warm:
        assert client.get().status == 200
    base = memory(node)
    clients = []
    for _ in range(PLAIN - len(warm)):
        client = Client(port)
        assert client.get().status == 200
        clients.append(client)
    each = (memory(node) - base) / len(clients)
    assert sum(w["connections"] for w in node.workers()) >= PLAIN
    assert get(port).status == 200
    assert each <= PLAIN_BYTES, f"{each:.0f} bytes per idle connection"
    for client in clients[:100]:
        assert client.get().status == 200, "an idle connection was lost"
    for client in clients + warm:
        client.close()


def test_idle_tls(nodes, ports, recorders, tmp_path):
    descriptors(TLS)
    web, port = recorders(), ports.take()
    ca = authority(tmp_path)
    cert, key = leaf(tmp_path, "server", ca, "DNS:ex.test")
    node = nodes(
        services=[service("web", web.port)],
        listeners=[
            listener(
                "public",
                port,
                "web",
                timeouts={"idle": "300s", "head": "300s"},
                tls={"cert": str(cert), "key": str(key)},
            )
        ],
    ).start()
    context = ssl.create_default_context(cafile=str(ca[0]))

    def connect():
        plain = Client(port)
        sock = context.wrap_socket(plain.sock, server_hostname="ex.test")
        client = Client(port, sock)
        assert client.get().status == 200
        return client

    warm = [connect() for _ in range(100)]
    base = memory(node)
    clients = [connect() for _ in range(TLS - len(warm))]
    each = (memory(node) - base) / len(clients)
    assert each <= TLS_BYTES, f"{each:.0f} bytes per idle TLS connection"
    for client in clients + warm:
        client.close()
