"""Proves TLS at the front door: versions, names, protocols, client certificates, resumption in any
worker, a renewed certificate without a restart.
"""

import random
import socket
import ssl

import pytest
from certificates import authority, leaf, revocations, s_client
from ringmesh import listener, service
from wire import Client, wait_for


@pytest.fixture
def authorities(tmp_path):
    ca, strangers = authority(tmp_path, "ca"), authority(tmp_path, "strangers")
    return {
        "folder": tmp_path,
        "ca": ca,
        "strangers": strangers,
        "server": leaf(tmp_path, "server", ca, "DNS:ex.test"),
        "client": leaf(tmp_path, "client", ca, "URI:spiffe://outside/client"),
        "stranger": leaf(tmp_path, "stranger", strangers, "URI:spiffe://outside/stranger"),
    }


@pytest.fixture
def start(nodes, ports, recorders, authorities):
    def make(workers=2, **tls):
        web, port = recorders(), ports.take()
        cert, key = authorities["server"]
        node = nodes(
            workers=workers,
            services=[service("web", web.port)],
            listeners=[
                listener("tls", port, "web", tls={"cert": str(cert), "key": str(key), **tls})
            ],
        ).start()
        node.web = web
        return node, port

    return make


def context(authorities, client=None, version=None):
    made = ssl.create_default_context(cafile=str(authorities["ca"][0]))
    if client:
        made.load_cert_chain(*[str(p) for p in authorities[client]])
    if version:
        made.minimum_version = made.maximum_version = version
    return made


def dial(port, made, name="ex.test", session=None):
    plain = socket.create_connection(("127.0.0.1", port), timeout=30)
    try:
        return made.wrap_socket(plain, server_hostname=name, session=session)
    except (OSError, ssl.SSLError):
        plain.close()
        raise


def ask(port, made, **more):
    with Client(port, dial(port, made, **more)) as client:
        return client.get("/", "ex.test")


def test_request_over_tls(start, authorities):
    node, port = start()
    assert ask(port, context(authorities)).body == b"ok"
    (request,) = node.web.complete()
    assert request.header("x-forwarded-proto") == "https"


def test_default_is_tls_13_only(start, authorities):
    _, port = start()
    with dial(port, context(authorities)) as sock:
        assert sock.version() == "TLSv1.3"
    with pytest.raises(ssl.SSLError):
        dial(port, context(authorities, version=ssl.TLSVersion.TLSv1_2))


def test_tls_12_where_configured(start, authorities):
    _, port = start(min_version="1.2")
    assert ask(port, context(authorities, version=ssl.TLSVersion.TLSv1_2)).status == 200
    code, text = s_client(port, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
    assert code != 0, text


def test_alpn(start, authorities):
    _, port = start(alpn=["http/1.1"])
    made = context(authorities)
    made.set_alpn_protocols(["h2", "http/1.1"])
    with dial(port, made) as sock:
        assert sock.selected_alpn_protocol() == "http/1.1"
    made = context(authorities)
    made.set_alpn_protocols(["spdy/1"])
    with pytest.raises(ssl.SSLError):
        dial(port, made)


def test_client_certificate_is_demanded(start, authorities):
    _, port = start(client_ca=str(authorities["ca"][0]))
    assert ask(port, context(authorities, client="client")).status == 200
    for client in (None, "stranger"):
        with pytest.raises((OSError, ssl.SSLError)):
            with dial(port, context(authorities, client=client)) as sock:
                sock.sendall(b"GET / HTTP/1.1\r\nHost: ex.test\r\n\r\n")
                if not sock.recv(1):
                    raise ConnectionResetError("closed without an answer")


def test_sessions_resume_in_any_worker(start, authorities):
    """A ticket of one worker is good in the other: 20 of 20 resumptions are taken."""
    _, port = start(workers=2)
    made = context(authorities)
    with dial(port, made) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: ex.test\r\n\r\n")
        sock.recv(4096)
        session = sock.session
    assert session is not None and session.has_ticket
    resumed = 0
    for _ in range(20):
        with dial(port, made, session=session) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: ex.test\r\n\r\n")
            sock.recv(4096)
            resumed += sock.session_reused
            session = sock.session
    assert resumed == 20


def test_large_bodies_over_tls(start, authorities):
    """Records are cut and joined right: 8 MiB up and the same down."""
    data = random.Random(8).randbytes(8 << 20)
    node, port = start()

    def answer(request, client):
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (
            len(request.body),
            request.body,
        )

    node.web.reset(answer)
    with Client(port, dial(port, context(authorities)), timeout=60) as client:
        assert client.get("/", "ex.test", "POST", body=data).body == data


def test_close_notify_and_truncation(start, authorities):
    """The end of an answer that ends by close is announced by close_notify."""
    node, port = start()
    node.web.reset(lambda request, client: client.send(b"HTTP/1.1 200 OK\r\n\r\nall") and None)
    with dial(port, context(authorities)) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\nHost: ex.test\r\n\r\n")
        text = b""
        while data := sock.recv(4096):  # raises SSLError when the end is not announced
            text += data
    assert text.endswith(b"all")


def refused(port, made):
    """Whether a client gets no answer, whatever its handshake came to."""
    try:
        return ask(port, made).status != 200
    except (OSError, ssl.SSLError, AssertionError):
        return True


def test_revoked_clients_are_shut_out(start, authorities):
    """A client is refused once the list names it, with the ticket it has, too; others are not."""
    folder, ca = authorities["folder"], authorities["ca"]
    lists = revocations(folder, ca)
    _, port = start(client_ca=str(ca[0]), client_crl=str(lists))
    made = context(authorities, client="client")
    with dial(port, made) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: ex.test\r\n\r\n")
        assert sock.recv(4096).startswith(b"HTTP/1.1 200")
        session = sock.session
    assert session.has_ticket
    revocations(folder, ca, authorities["client"][0])
    wait_for(lambda: refused(port, context(authorities, client="client")), 10, "the list is taken")
    with pytest.raises((OSError, ssl.SSLError)):
        with dial(port, made, session=session) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: ex.test\r\n\r\n")
            if not sock.recv(1):
                raise ConnectionResetError("closed without an answer")
    other = leaf(folder, "other", ca, "URI:spiffe://outside/other")
    authorities["other"] = other
    assert ask(port, context(authorities, client="other")).status == 200


def test_a_listener_without_tickets(start, authorities):
    _, port = start(tickets=False)
    made = context(authorities)
    for _ in range(2):
        with dial(port, made) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: ex.test\r\n\r\n")
            assert sock.recv(4096).startswith(b"HTTP/1.1 200")
            assert sock.session is None or not sock.session.has_ticket
            assert not sock.session_reused
