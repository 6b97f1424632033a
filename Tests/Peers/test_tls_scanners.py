"""Proves what scanners of other people say of a TLS listener: testssl.sh finds nothing of medium
severity or above, sslscan no protocol, cipher or signature that is not of today; GnuTLS, curl and
OpenSSL as clients in both versions, with resumption.
"""

import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest
from certificates import RSA_KEY, authority, leaf, s_client
from ringmesh import listener, service

# Findings of testssl.sh that follow from a certificate of a private authority.
PRIVATE_AUTHORITY = {"cert_chain_of_trust", "cert_revocation"}
# Checks that it may not be able to make: its openssl knows no GOST, and ends before the ticket of
# TLS 1.3 has come when it is quick.
NOT_MADE = {"engine_problem", "sessionresumption_ticket"}
BAD = {"MEDIUM", "HIGH", "CRITICAL", "FATAL"}
SUITES_13 = {
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
}
SUITE_12 = re.compile(r"ECDHE-(ECDSA|RSA)-(AES(128|256)-GCM-SHA(256|384)|CHACHA20-POLY1305)")


def tool(name, *names):
    for candidate in (name, *names):
        if found := shutil.which(candidate):
            return found
    pytest.skip(f"{name} is not installed")


def run(command, seconds, data=b""):
    return subprocess.run(
        [str(c) for c in command], input=data, capture_output=True, timeout=seconds, check=False
    )


def answer(request, client):
    """What a careful application says, so that scanners have nothing to say about it."""
    return (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nStrict-Transport-Security: max-age=31536000\r\n"
        b"X-Frame-Options: DENY\r\nX-Content-Type-Options: nosniff\r\n"
        b"Content-Security-Policy: default-src 'none'\r\n\r\nok"
    )


@pytest.fixture
def server(nodes, ports, recorders, tmp_path):
    """The port of a listener with both kinds of keys and both versions, and its authority."""
    ca = authority(tmp_path)
    names = "DNS:localhost,DNS:ex.test,IP:127.0.0.1"
    pairs = [
        leaf(tmp_path, "ec", ca, names, days=90),
        leaf(tmp_path, "rsa", ca, names, RSA_KEY, days=90),
    ]
    web, port = recorders(answer), ports.take()
    tls = {
        "certs": [{"cert": str(cert), "key": str(key)} for cert, key in pairs],
        "min_version": "1.2",
    }
    nodes(
        services=[service("web", web.port)], listeners=[listener("tls", port, "web", tls=tls)]
    ).start()
    return port, ca[0]


@pytest.mark.timeout(900)
def test_testssl(server, tmp_path):
    out = tmp_path / "testssl.json"
    command = [
        tool("testssl", "testssl.sh"),
        "--quiet",
        "--color=0",
        "--warnings=batch",
        "--nodns=none",
        "--jsonfile",
        out,
    ]
    done = run([*command, f"127.0.0.1:{server[0]}"], 880)
    found = json.loads(out.read_text(encoding="utf-8"))
    assert len(found) > 100, done.stdout[-2000:]
    ids = {finding["id"] for finding in found}
    assert {"TLS1_2", "TLS1_3", "heartbleed", "ROBOT", "SWEET32", "BREACH"} <= ids, ids
    bad = [
        f"{f['severity']} {f['id']}: {f['finding']}"
        for f in found
        if f["severity"] in BAD and f["id"].split(" ")[0] not in PRIVATE_AUTHORITY
    ]
    assert bad == [], "\n".join(bad)
    assert {f["id"] for f in found if f["severity"] == "WARN"} <= NOT_MADE


def test_sslscan(server):
    """Everything that is offered is on the list; nothing that was ever broken is there."""
    done = run([tool("sslscan"), "--xml=-", "--no-colour", f"127.0.0.1:{server[0]}"], 120)
    tree = ElementTree.fromstring(done.stdout)
    scan = tree.find("ssltest")
    versions = {
        (p.get("type"), p.get("version")) for p in scan.iter("protocol") if p.get("enabled") == "1"
    }
    assert versions == {("tls", "1.2"), ("tls", "1.3")}
    ciphers = {(c.get("sslversion"), c.get("cipher")) for c in scan.iter("cipher")}
    assert {cipher for version, cipher in ciphers if version == "TLSv1.3"} == SUITES_13
    old = {cipher for version, cipher in ciphers if version == "TLSv1.2"}
    assert len(old) == 6 and all(SUITE_12.fullmatch(cipher) for cipher in old), old
    assert scan.find("renegotiation").get("supported") == "0"
    assert all(h.get("vulnerable") == "0" for h in scan.iter("heartbleed"))
    groups = {group.get("name") for group in scan.iter("group")}
    assert groups == {"secp256r1 (NIST P-256)", "secp384r1 (NIST P-384)", "x25519"}


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_curl(server, version):
    port, ca = server
    url = f"https://localhost:{port}/"
    done = run(
        [tool("curl"), "-sS", "--cacert", ca, f"--tlsv{version}", "--tls-max", version, url], 60
    )
    assert (done.returncode, done.stdout) == (0, b"ok"), done.stderr


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_gnutls(server, version):
    """A client of another library, which resumes its session."""
    port, ca = server
    command = [
        tool("gnutls-cli"),
        "--x509cafile",
        ca,
        f"--priority=NORMAL:-VERS-ALL:+VERS-TLS{version}",
        "--resume",
        "--port",
        port,
        "localhost",
    ]
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    done = run(command, 60, request)
    text = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert done.returncode == 0 and "*** This is a resumed session" in text, text
    assert "HTTP/1.1 200 OK" in text, text


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl(server, tmp_path, version):
    """A ticket of s_client is good for the next one; early data is not taken."""
    port, ca = server
    session = tmp_path / "session.pem"
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    common = (version, "-CAfile", ca, "-servername", "localhost", "-ign_eof")
    code, text = s_client(port, *common, "-sess_out", session, data=request)
    assert code == 0 and "Verify return code: 0 (ok)" in text and "New, TLS" in text, text
    assert "Max Early Data: 0" in text or version == "-tls1_2", text
    code, text = s_client(port, *common, "-sess_in", session, data=request)
    assert code == 0 and "Reused, TLS" in text, text
