"""Proves the life of ticket keys: a ticket is good in every worker, after a rotation and after a
restart of the control plane; once its key's time is over the client gets a full handshake; the keys
are nowhere on disk in clear.
"""

import contextlib
import socket
import ssl
import time

import pytest
import wire
from certificates import authority, leaf
from ringmesh import listener, memfds, service
from wire import PATIENCE

REQUEST = b"GET / HTTP/1.1\r\nHost: ex.test\r\n\r\n"
KEY_BYTES = 80


@pytest.fixture
def start(nodes, ports, recorders, tmp_path):
    ca = authority(tmp_path, "ca")
    cert, key = leaf(tmp_path, "server", ca, "DNS:ex.test")

    def make(rotation, workers=2):
        web, port = recorders(), ports.take()
        node = nodes(
            workers=workers,
            tls={"ticket_rotation": rotation},
            services=[service("web", web.port)],
            listeners=[listener("tls", port, "web", tls={"cert": str(cert), "key": str(key)})],
        ).start()
        return node, port, ssl.create_default_context(cafile=str(ca[0]))

    return make


def visit(port, context, session=None):
    """One request; (whether the session was resumed, the new session)."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname="ex.test", session=session) as sock,
    ):
        sock.sendall(REQUEST)
        assert sock.recv(4096).startswith(b"HTTP/1.1 200")
        return sock.session_reused, sock.session


def ticket_keys(node):
    """The keys that the supervisor holds, the one that makes tickets first."""

    def regions():  # while one is replaced there are none or two
        found = [data for name, data in memfds(node.supervisor()).items() if "secrets" in name]
        return found if len(found) == 1 else None

    (region,) = wire.wait_for(regions, what="one region of secrets")
    count = int.from_bytes(region[40:44], "little")
    for at in range(48, 48 + 56 * count, 56):
        record = region[at : at + 56]
        if int.from_bytes(record[24:28], "little") == 1:
            where = int.from_bytes(record[40:44], "little")
            size = int.from_bytes(record[44:48], "little")
            return [region[i : i + KEY_BYTES] for i in range(where, where + size, KEY_BYTES)]
    raise AssertionError("the secrets hold no ticket keys")


def wait_for(condition, what):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(ValueError):  # a region that is being replaced
            if condition():
                return
        time.sleep(0.05)
    raise AssertionError(f"{what}: not in {PATIENCE} s")


def test_rotation(start):
    """The next key takes over, its ring is known to all; a ticket of the key before is good, and
    is answered with one of the new key; beyond its lifetime it is a full handshake.
    """
    node, port, context = start("3s")

    def under_one_key():
        """A first visit between two looks at the keys that see the same one making tickets."""
        first, following = ticket_keys(node)[:2]
        resumed, session = visit(port, context)
        assert not resumed
        return ticket_keys(node)[0] == first and (first, following, session)

    first, following, session = wire.wait_for(under_one_key, what="a ticket of a known key")
    wait_for(lambda: ticket_keys(node)[0] != first, "the rotation")
    assert {first, following} <= set(ticket_keys(node))
    for _ in range(4):
        assert visit(port, context, session)[0]
    _, old = visit(port, context, session)
    assert old.ticket_lifetime_hint <= 12
    wait_for(lambda: first not in ticket_keys(node), "the end of the first key")
    wait_for(lambda: not visit(port, context, session)[0], "a full handshake")
    assert len(ticket_keys(node)) <= 8


def test_restart_of_the_control_plane(start):
    """Keys come back from the store, where they stand encrypted; workers see nothing of it."""
    node, port, context = start("12h", workers=1)
    keys = ticket_keys(node)
    _, session = visit(port, context)
    for file in (node.directory / "state").iterdir():
        data = file.read_bytes()
        for key in keys:
            assert key[16:48] not in data and key[48:] not in data, file.name
    assert node.stop() == 0
    node.start()
    assert ticket_keys(node) == keys
    assert visit(port, context, session)[0]
