"""Proves the product's main job on real input.

Two HTTP services on one machine talk through two sidecars; the bytes between the sidecars are TLS;
whoever shows no certificate, or one of another authority, is refused; whom no intention allows is
denied; the call of the allowed one reaches the application as it was sent.
"""

import pytest
from capture import Capture
from certificates import authority, leaf, openssl, s_client
from wire import get, wait_for

# An alert that the end of the connection overtakes is lost: the request met a closed socket.
REFUSED = ("alert", ":errno=")


def test_allowed_call_reaches_the_application(mesh):
    pair = mesh()
    answer = get(pair.local, "/hello?x=1", "web", ["X-Question: 42"])
    assert (answer.status, answer.body) == (200, b"ok")
    (request,) = pair.web.complete()
    assert request.target == "/hello?x=1"
    assert request.header("x-question") == "42"


def test_call_without_an_intention_is_denied(mesh):
    pair = mesh()
    assert get(pair.batch_local, "/hello", "web").status == 403
    assert pair.web.complete() == []


def test_bytes_between_the_sidecars_are_tls(mesh):
    pair = mesh()
    secret = "a-text-that-must-not-be-seen"
    try:
        capture = Capture(pair.web_sidecar)
    except PermissionError:
        pytest.skip("reading packets needs CAP_NET_RAW")
    with capture:
        assert get(pair.local, f"/{secret}", "web").status == 200
        wait_for(lambda: capture.to_port, what="the packets of the request")
    seen = capture.bytes()
    assert capture.to_port[0][:2] == b"\x16\x03", "the first record is not a TLS handshake"
    assert secret.encode() not in seen
    assert pair.web.complete()[0].target == f"/{secret}"


def test_sidecar_refuses_a_client_without_certificate(mesh):
    pair = mesh()
    request = b"GET /sneak HTTP/1.1\r\nHost: web\r\n\r\n"
    _, text = s_client(pair.web_sidecar, "-ign_eof", data=request)
    assert "200 OK" not in text
    assert any(word in text for word in REFUSED), text
    assert pair.web.complete() == []


@pytest.mark.parametrize("service", ["api", "web", "batch"])
def test_sidecar_refuses_a_forged_identity(mesh, tmp_path, service):
    """The right name signed by a foreign authority opens nothing."""
    pair = mesh()
    trust_domain = pair.node.json("status")["trust_domain"]
    forged = leaf(
        tmp_path,
        "forged",
        authority(tmp_path),
        f"URI:spiffe://{trust_domain}/ns/default/dc/dc1/svc/{service}",
    )
    request = b"GET /sneak HTTP/1.1\r\nHost: web\r\n\r\n"
    _, text = s_client(
        pair.web_sidecar, "-cert", forged[0], "-key", forged[1], "-ign_eof", data=request
    )
    assert "200 OK" not in text
    assert any(word in text for word in REFUSED), text
    assert pair.web.complete() == []


def test_sidecar_shows_its_identity(mesh):
    """The certificate of web's sidecar carries web's SPIFFE id and nothing of TLS 1.2 is spoken."""
    pair = mesh()
    _, text = s_client(pair.web_sidecar, "-showcerts")
    end = "-----END CERTIFICATE-----"
    certificate = text[text.index("-----BEGIN") : text.index(end)] + end
    shown = openssl("x509", "-noout", "-text", data=certificate.encode()).stdout.decode()
    assert "/ns/default/dc/dc1/svc/web" in shown
    assert "URI:spiffe://" in shown
    code, text = s_client(pair.web_sidecar, "-tls1_2")
    assert code != 0 and "alert" in text
