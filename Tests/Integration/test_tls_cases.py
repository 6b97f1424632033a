"""Plays the TLS cases of Tests/Vectors/http-cases.json: each has a player here, under its id."""

import contextlib
import re
import socket
import ssl
import time
from pathlib import Path

import pytest
import vectors
from certificates import RSA_KEY, authority, leaf, s_client
from h2client import Http2, tls_context
from ringmesh import listener, service
from wire import Client

ROOT = Path(__file__).resolve().parents[2]
REQUEST = b"GET / HTTP/1.1\r\nHost: ex.test\r\n\r\n"
HANDSHAKE_SECONDS = 5
ALERT = {
    "handshake_failure": 40,
    "protocol_version": 70,
    "unrecognized_name": 112,
    "no_application_protocol": 120,
}

# Cases that need an upstream which speaks TLS badly: played by a unit test of the proxy.
ELSEWHERE = {
    "tls-upstream-plaintext-inject": (
        "Tests/CUnit/proxy_tls_test.c",
        "plaintext_before_the_upstreams_handshake_is_not_taken",
    )
}


class World:
    """A node with a listener for several names and one that demands client certificates."""

    def __init__(self, make, ports, recorder, folder):
        self.ca, self.strangers = authority(folder), authority(folder, "strangers")
        self.certificates = {
            "ex": leaf(folder, "ex", self.ca, "DNS:ex.test"),
            "a": leaf(folder, "a", self.ca, "DNS:a.test"),
            "b": leaf(folder, "b", self.ca, "DNS:b.test", RSA_KEY),
        }
        self.clients = {
            "client": leaf(folder, "client", self.ca, "URI:spiffe://outside/client"),
            "expired": leaf(folder, "expired", self.ca, "URI:spiffe://outside/client", days=0),
            "stranger": leaf(folder, "stranger", self.strangers, "URI:spiffe://outside/client"),
        }
        self.web = recorder
        self.open, self.strict, self.guarded = ports.take(3)
        pairs = [{"cert": str(cert), "key": str(key)} for cert, key in self.certificates.values()]
        guard = {"client_ca": str(self.ca[0]), "min_version": "1.2"}
        make(
            services=[service("web", recorder.port)],
            listeners=[
                listener("open", self.open, "web", tls={"certs": pairs, "min_version": "1.2"}),
                listener("strict", self.strict, "web", tls={"certs": pairs}),
                listener("guarded", self.guarded, "web", tls={"certs": pairs, **guard}),
            ],
        ).start()

    def context(self, version=None, client=None):
        made = ssl.create_default_context(cafile=str(self.ca[0]))
        if version:
            made.minimum_version = made.maximum_version = version
        if client:
            made.load_cert_chain(*[str(path) for path in self.clients[client]])
        return made

    def dial(self, name="ex.test", port=None, made=None, session=None):
        plain = socket.create_connection(("127.0.0.1", port or self.open), timeout=30)
        try:
            made = made or self.context()
            return made.wrap_socket(plain, server_hostname=name, session=session)
        except (OSError, ssl.SSLError):
            plain.close()
            raise

    def ask(self, name, host, headers=(), **more):
        sock = self.dial(name, **more)
        with Client(self.open, sock) as client:
            return client.get("/p", host, headers=headers)

    def is_shown(self, which, *arguments):
        """Whether a client with these arguments of s_client is shown this certificate."""
        code, text = s_client(self.open, *arguments, data=b"Q")
        own = self.certificates[which][0].read_text(encoding="ascii")
        found = re.search(r"-----BEGIN CERT.*?-----END CERTIFICATE-----", text, re.DOTALL)
        return code == 0 and found is not None and found.group(0) in own

    def alert(self, data, port=None):
        """The alert that answers these bytes; None when there is none. Nothing may follow it."""
        with socket.create_connection(("127.0.0.1", port or self.open), timeout=30) as sock:
            sock.sendall(data)
            answer = b""
            with contextlib.suppress(ConnectionResetError):
                while more := sock.recv(4096):
                    answer += more
        assert len(answer) in (0, 7), answer
        return answer[6] if answer else None


def hello(name, **more):
    """The first flight of a client."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    if "alpn" in more:
        made.set_alpn_protocols(more["alpn"])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        made.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


def no_sni(world):
    assert world.is_shown("ex", "-noservername")


def sni_uppercase(world):
    assert world.is_shown("a", "-servername", "A.TEST")
    assert world.ask("EX.TEST", "ex.test").status == 200


def sni_trailing_dot(world):
    assert world.is_shown("a", "-servername", "a.test.")


def sni_ip(world):
    assert world.is_shown("ex", "-servername", "127.0.0.1")


def sni_nul(world):
    data = hello("ex.test-.evil")
    assert data.count(b"ex.test-.evil") == 1
    assert (
        world.alert(data.replace(b"ex.test-.evil", b"ex.test\0.evil")) == ALERT["unrecognized_name"]
    )


def sni_host_mismatch(world):
    assert world.ask("a.test", "b.test").status == 421
    assert world.ask("a.test", "a.test").status == 200
    assert [r.header("host") for r in world.web.complete()] == ["a.test"]


def resume_other_vhost(world):
    """With the versions one by one: tickets of 1.2 and 1.3 are different things."""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        made = world.context(version)
        with world.dial("a.test", made=made) as sock:
            sock.sendall(REQUEST.replace(b"ex.test", b"a.test"))
            assert sock.recv(4096).startswith(b"HTTP/1.1 200")
            session = sock.session
        with world.dial("a.test", made=made, session=session) as sock:
            assert sock.session_reused
        with world.dial("b.test", made=made, session=session) as sock:
            assert not sock.session_reused
        with (
            world.dial("a.test", world.strict, made, session)
            if (version == ssl.TLSVersion.TLSv1_3)
            else contextlib.nullcontext() as sock
        ):
            assert sock is None or not sock.session_reused


def coalesced_h2(world):
    """A connection for one name is none for another, and goes on with its own."""
    with Http2(world.open, tls_context()) as client:
        client.start()
        assert client.alpn == "h2"
        assert client.get(1, authority="b.test").status == 421
        assert client.get(3, authority="ex.test").status == 200
    assert [r.header("host") for r in world.web.complete()] == ["ex.test"]


def huge_hello(world):
    made = world.context()
    made.set_alpn_protocols(["http/1.1", *["%03d" % n + "x" * 250 for n in range(240)]])
    assert len(hello("ex.test", alpn=["http/1.1"])) < 1000
    assert world.ask("ex.test", "ex.test", made=made).status == 200


def slow_hello(world):
    data = hello("ex.test")
    with socket.create_connection(("127.0.0.1", world.open), timeout=1) as sock:
        begun = time.monotonic()
        for at in range(len(data)):
            try:
                sock.sendall(data[at : at + 1])
                assert sock.recv(1) == b""
                break
            except TimeoutError:
                pass  # a byte a second: the hello would take minutes
            except (ConnectionResetError, BrokenPipeError):
                break
        else:
            raise AssertionError("bytes that trickle keep a handshake alive")
        assert time.monotonic() - begun > HANDSHAKE_SECONDS - 1


def alpn_none(world):
    data = hello("ex.test", alpn=["spdy/1", "hq"])
    assert world.alert(data) == ALERT["no_application_protocol"]


def renego(world):
    """The session that asks for another handshake does not get one."""
    code, text = s_client(world.open, "-tls1_2", "-servername", "ex.test", data=b"R\n", seconds=20)
    assert code != 0 and "RENEGOTIATING" in text and "no renegotiation" in text, text
    assert "Secure Renegotiation IS supported" in text  # and says so (RFC 5746)


def old_versions(world):
    for port in (world.open, world.strict):
        for version in ("-tls1", "-tls1_1"):
            code, text = s_client(port, version, "-cipher", "ALL:@SECLEVEL=0")
            assert code != 0 and "alert protocol version" in text, text
    # SSL 3.0, which clients of today cannot say: version, random, one suite, no extensions.
    body = b"\3\0" + bytes(32) + b"\0" + b"\0\2\0\x2f" + b"\1\0"
    message = b"\1" + len(body).to_bytes(3, "big") + body
    record = b"\x16\3\0" + len(message).to_bytes(2, "big") + message
    assert world.alert(record) in (ALERT["protocol_version"], ALERT["handshake_failure"])
    with pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"):
        world.dial(port=world.strict, made=world.context(ssl.TLSVersion.TLSv1_2))


def client_cert_expired(world):
    """Each gets the alert that says what is wrong, before any request is read."""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        for client, alert in {
            None: r"handshake.failure|certificate.required",
            "expired": "certificate.expired",
            "stranger": "unknown.ca",
        }.items():
            made = world.context(version, client)
            with pytest.raises(ssl.SSLError, match=f"(?i){alert}"):
                with world.dial(port=world.guarded, made=made) as sock:
                    sock.sendall(REQUEST)
                    sock.recv(4096)
        made = world.context(version, "client")
        assert world.ask("ex.test", "ex.test", port=world.guarded, made=made).status == 200
    assert len(world.web.complete()) == 2


def client_cert_header_spoof(world):
    names = [
        "X-SSL-Client-Verify",
        "x-ssl-client-s-dn",
        "X_SSL_Client_Cert",
        "X-Forwarded-Client-Cert",
        "X-Forwarded-Client_Cert",
    ]
    headers = [f"{name}: SUCCESS" for name in names] + ["X-SSL: kept", "X-Forwarded-Client: kept"]
    assert world.ask("ex.test", "ex.test", headers).status == 200
    (request,) = world.web.complete()
    sent = request.raw.lower() if hasattr(request, "raw") else str(vars(request)).lower().encode()
    assert b"success" not in sent
    assert sent.count(b"kept") == 2


PLAYERS = {
    "tls-no-sni": no_sni,
    "tls-sni-uppercase": sni_uppercase,
    "tls-sni-trailing-dot": sni_trailing_dot,
    "tls-sni-ip": sni_ip,
    "tls-sni-nul": sni_nul,
    "tls-sni-host-mismatch": sni_host_mismatch,
    "tls-resume-other-vhost": resume_other_vhost,
    "tls-coalesced-h2": coalesced_h2,
    "tls-huge-hello": huge_hello,
    "tls-slow-hello": slow_hello,
    "tls-alpn-none": alpn_none,
    "tls-renego": renego,
    "tls-old-versions": old_versions,
    "tls-client-cert-expired": client_cert_expired,
    "tls-client-cert-header-spoof": client_cert_header_spoof,
}

CASES = [c["id"] for c in vectors.load()["proxy_protocol_and_tls"] if c["category"] == "tls"]


@pytest.fixture
def world(nodes, ports, recorders, tmp_path):
    return World(nodes, ports, recorders(), tmp_path)


@pytest.mark.parametrize("case", [case for case in CASES if case not in ELSEWHERE])
def test_case(world, case):
    PLAYERS[case](world)


def test_every_case_is_played():
    assert set(CASES) == set(PLAYERS) | set(ELSEWHERE)
    for path, name in ELSEWHERE.values():
        assert f"TEST({name})" in (ROOT / path).read_text(encoding="ascii")
