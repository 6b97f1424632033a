"""Proves how a TLS listener chooses its certificate: by server name, exact or one label below a
wildcard, ECDSA or RSA as the client can; from files that are named and from a folder that is
watched; from thousands, which are parsed when they are asked for.
"""

import contextlib
import shutil
import socket
import ssl
import time

import pytest
from certificates import RSA_KEY, authority, copies, leaf, s_client
from processes import rss_kib
from ringmesh import listener, service
from wire import PATIENCE, Client

THOUSANDS = 3000


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Certificates of this file's tests, made once."""
    folder = tmp_path_factory.mktemp("certificates")
    ca = authority(folder)
    return {
        "ca": ca,
        "default": leaf(folder, "default", ca, "DNS:ex.test"),
        "default-rsa": leaf(folder, "default-rsa", ca, "DNS:ex.test", RSA_KEY),
        "a": leaf(folder, "a", ca, "DNS:a.test,DNS:*.a.test"),
        "b-rsa": leaf(folder, "b-rsa", ca, "DNS:b.test", RSA_KEY),
        "b2": leaf(folder, "b2", ca, "DNS:b.test,DNS:more.b.test"),
        "copy": leaf(folder, "copy", ca, f"DNS:{'host-%05d.ex.test' % 0}"),
    }


@pytest.fixture
def start(nodes, ports, recorders, made):
    def make(names, workers=1, **tls):
        web, port = recorders(), ports.take()
        pairs = [dict(zip(("cert", "key"), map(str, made[name]), strict=True)) for name in names]
        settings = {"min_version": "1.2", "certs": pairs, **tls}
        node = nodes(
            workers=workers,
            services=[service("web", web.port)],
            listeners=[listener("tls", port, "web", tls=settings)],
        ).start()
        return node, port

    return make


def shown(port, name, ciphers=None):
    """The DER of the certificate that a client asking for `name` is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if ciphers:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(ciphers)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname=name) as sock,
    ):
        return sock.getpeercert(binary_form=True)


def der(path):
    return ssl.PEM_cert_to_DER_cert(path.read_text(encoding="ascii"))


def wait_for(condition, what):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if condition():
                return
        time.sleep(0.1)
    raise AssertionError(f"{what}: not in {PATIENCE} s")


def test_by_name(start, made):
    _, port = start(["default", "a", "b-rsa"])
    expected = {
        "ex.test": "default",
        "EX.TEST": "default",
        "a.test": "a",
        "x.a.test": "a",
        "y.x.a.test": "default",
        "b.test": "b-rsa",
        "unknown.test": "default",
        None: "default",
    }
    for name, certificate in expected.items():
        assert shown(port, name) == der(made[certificate][0]), name


def test_both_kinds_of_keys(start, made):
    """A client that can only do RSA gets the RSA certificate of the same name."""
    _, port = start(["default", "default-rsa"])
    for name in ("ex.test", None):
        assert shown(port, name) == der(made["default"][0])
        assert shown(port, name, "ECDHE+aRSA+AESGCM") == der(made["default-rsa"][0])
        assert shown(port, name, "ECDHE+aECDSA+AESGCM") == der(made["default"][0])
    code, text = s_client(
        port, "-servername", "ex.test", "-sigalgs", "RSA-PSS+SHA256", "-brief", data=b"Q"
    )
    assert code == 0 and "Signature type: RSA-PSS" in text, text


def test_a_request_for_another_server_is_misdirected(start, made):
    """A connection that was made for one certificate cannot be used for the host of another."""
    _, port = start(["default", "a", "b-rsa"])
    context = ssl.create_default_context(cafile=str(made["ca"][0]))

    def status(name, host):
        plain = socket.create_connection(("127.0.0.1", port), timeout=30)
        with Client(port, context.wrap_socket(plain, server_hostname=name)) as client:
            return client.get("/", host).status

    assert status("a.test", "a.test") == 200
    assert status("a.test", "x.a.test") == 200
    assert status("a.test", "b.test") == 421
    assert status("a.test", "ex.test") == 421
    assert status("a.test", "unknown.test") == 421
    assert status("ex.test", "unknown.test") == 200


def test_a_folder_is_watched(start, made, tmp_path):
    """A certificate that is put into the folder serves without a restart; replaced, its successor
    does, and sessions of the listener stay good; removed, the default does.
    """
    folder = tmp_path / "certs"
    folder.mkdir()
    _, port = start(["default"], certs_dir=str(folder))
    context = ssl.create_default_context(cafile=str(made["ca"][0]))

    def visit(session):
        with (
            socket.create_connection(("127.0.0.1", port), timeout=30) as plain,
            context.wrap_socket(plain, server_hostname="ex.test", session=session) as sock,
        ):
            sock.sendall(b"GET / HTTP/1.1\r\nHost: ex.test\r\n\r\n")
            assert sock.recv(4096).startswith(b"HTTP/1.1 200")
            return sock.session_reused, sock.session

    _, session = visit(None)
    for name in ("b-rsa", "b2"):
        for source, end in zip(made[name], ("crt", "key"), strict=True):
            shutil.copy(source, folder / f"next.{end}")
            (folder / f"next.{end}").rename(folder / f"b.{end}")
        wait_for(lambda name=name: shown(port, "b.test") == der(made[name][0]), name)
        resumed, session = visit(session)
        assert resumed, name
    (folder / "b.crt").unlink()
    wait_for(lambda: shown(port, "b.test") == der(made["default"][0]), "the removal")
    assert visit(session)[0]


def test_thousands(start, made, tmp_path):
    """Thousands of certificates: live within seconds, memory of a worker grows with those that are
    used and is bounded.
    """
    folder = tmp_path / "certs"
    folder.mkdir()
    copies(folder, *made["copy"], THOUSANDS, "host-%05d.ex.test")
    begun = time.monotonic()
    node, port = start(["default"], certs_dir=str(folder))
    assert time.monotonic() - begun < 60
    (pid,) = node.worker_pids()
    before = rss_kib(pid)
    for number in range(0, THOUSANDS, 60):
        name = "host-%05d.ex.test" % number
        assert name.encode() in shown(port, name)
    assert shown(port, "host-99999.ex.test") == der(made["default"][0])
    print(f"{before} KiB, after 50 names {rss_kib(pid)} KiB")
    assert rss_kib(pid) - before < 2048
