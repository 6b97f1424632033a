"""Proves that an l4 listener hands TLS on by server name: to services that terminate it by
themselves, with their own certificates; hellos of any size and in any pieces; names that nobody
serves are refused in TLS.
"""

import contextlib
import socket
import ssl
import threading

import pytest
from certificates import authority, leaf, s_client
from ringmesh import listener, service


class Terminator:
    """A TLS server that answers every connection with its own name."""

    def __init__(self, name, cert, key):
        self.name = name.encode()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert, key)
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                plain, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(plain,), daemon=True).start()

    def serve(self, plain):
        plain.settimeout(30)
        with contextlib.suppress(OSError), plain:
            with self.context.wrap_socket(plain, server_side=True) as sock:
                sock.sendall(self.name + b":" + sock.recv(100))

    def close(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        self.thread.join(30)


@pytest.fixture
def servers(tmp_path):
    ca = authority(tmp_path)
    found = {
        name: Terminator(name, *leaf(tmp_path, name, ca, alternative))
        for name, alternative in {
            "db": "DNS:db.test",
            "apps": "DNS:*.apps.test",
            "other": "DNS:other.test",
        }.items()
    }
    yield ca, found
    for server in found.values():
        server.close()


@pytest.fixture
def start(nodes, ports, servers):
    def make(**more):
        ca, found = servers
        port = ports.take()
        names = [
            {"host": "db.test", "service": "db"},
            {"host": "*.apps.test", "service": "apps"},
        ]
        nodes(
            services=[service(name, server.port) for name, server in found.items()],
            listeners=[listener("edge", port, kind="l4", sni=names, **more)],
        ).start()
        return port, ssl.create_default_context(cafile=str(ca[0]))

    return make


def ask(port, context, name):
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname=name) as sock,
    ):
        sock.sendall(b"hi")
        return sock.recv(100)


def hello(context, name):
    """The first flight of a client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return client, incoming, outgoing


def finish(client, incoming, outgoing, sock):
    """The rest of a handshake whose hello was sent by hand."""
    while True:
        try:
            client.do_handshake()
            break
        except ssl.SSLWantReadError:
            data = sock.recv(65536)
            assert data, "closed within the handshake"
            incoming.write(data)
    client.write(b"hi")
    sock.sendall(outgoing.read())
    while True:
        try:
            return client.read(100)
        except ssl.SSLWantReadError:
            incoming.write(sock.recv(65536))


def test_by_name(start):
    port, context = start(service="other")
    assert ask(port, context, "db.test") == b"db:hi"
    assert ask(port, context, "a.apps.test") == b"apps:hi"
    assert ask(port, context, "other.test") == b"other:hi"


def test_unknown_names_are_refused(start):
    port, context = start()
    assert ask(port, context, "db.test") == b"db:hi"
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
        ask(port, context, "other.test")
    code, text = s_client(port, "-noservername")
    assert code != 0 and "unrecognized name" in text, text


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_hello_in_pieces(start, size):
    """Segments of any size reach the service as one hello."""
    port, context = start()
    client, incoming, outgoing = hello(context, "db.test")
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        first = outgoing.read()
        for at in range(0, len(first), size):
            sock.sendall(first[at : at + size])
        assert finish(client, incoming, outgoing, sock) == b"db:hi"


def test_a_hello_in_many_records(start):
    port, context = start()
    client, incoming, outgoing = hello(context, "db.test")
    message = outgoing.read()[5:]
    records = [message[at : at + 50] for at in range(0, len(message), 50)]
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        for record in records:
            sock.sendall(b"\x16\x03\x01" + len(record).to_bytes(2, "big") + record)
        assert finish(client, incoming, outgoing, sock) == b"db:hi"


def test_a_hello_of_post_quantum_size(start):
    """Many protocols make a hello of more than two segments."""
    port, context = start()
    context.set_alpn_protocols(["p%03d" % number + "x" * 60 for number in range(100)])
    client, incoming, outgoing = hello(context, "db.test")
    first = outgoing.read()
    assert 6000 < len(first) < 16384
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(first)
        assert finish(client, incoming, outgoing, sock) == b"db:hi"
