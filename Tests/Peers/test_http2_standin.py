"""Proves that the judges of HTTP/2 can fail: Debian's haproxy, nginx and h2o must not pass all.

What each of them fails is known and understood: nginx 1.22 is lenient about changes of the dynamic
table, idle streams and pseudo-header fields, h2o takes an empty path, haproxy has two other codes.
A judge that finds less is broken; one that finds more is too strict to say anything about us.
"""

import certificates
import h2cases
import h2check
import peers
import pytest
import vectors
from h2runner import Lane, play_cases, play_checks

HAPROXY = {
    "9113 5.1 half-closed (remote): HEADERS",
    "9113 8.3 a pseudo-header field in trailers",
}
NGINX = {
    "7541 4.2 a change of the table's size at the end",
    "9113 5.1 idle: DATA",
    "9113 6.4 RST_STREAM on an idle stream",
    "9113 8.2.2 connection",
    "9113 8.3.1 :path twice",
    "9113 8.3.1 no :scheme",
}
MOST = {"haproxy": 4, "nginx": 30, "h2o": 2}
SURELY = {"haproxy": HAPROXY, "nginx": NGINX, "h2o": {"9113 8.3.1 an empty :path"}}


@pytest.fixture
def standin(ports, recorders, tmp_path):
    """Starts a foreign server; its lanes."""
    children = []

    def start(name):
        lacking = peers.missing(name)
        if lacking:
            pytest.skip(f"{lacking} is not installed")
        ca = certificates.authority(tmp_path)
        cert, key = certificates.leaf(tmp_path, "server", ca, "DNS:ex.test")
        behind = [recorders() for _ in range(16)]
        places = [(*ports.take(2), r.port) for r in behind]
        children.extend(peers.http2_servers(name, tmp_path, places, cert, key))
        return [Lane(p, t, r) for (p, t, _), r in zip(places, behind, strict=True)]

    yield start
    for child in children:
        child.terminate(1)


@pytest.mark.parametrize("name", list(MOST))
def test_checks(standin, name):
    lanes = standin(name)
    transport = "tls" if name == "nginx" else "h2c"
    results = play_checks(lanes, (transport,))
    failed = {check for (check, _), fault in results.items() if fault}
    assert SURELY[name] <= failed, sorted(SURELY[name] - failed)
    assert len(failed) <= MOST[name], sorted(failed)
    assert len(results) == len(h2check.CHECKS)


def test_cases(standin):
    known = h2cases.sequences(vectors.load())
    results = play_cases(standin("haproxy"), known, ("tls",))
    failed = {job[0] for job, fault in results.items() if fault}
    assert {"h2-ps-authority-userinfo"} <= failed
    controls = {"h2-valid-get", "h2-valid-post", "h2-continuation-valid-split", "h2-no-cl-body"}
    assert controls.isdisjoint(failed), sorted(controls & failed)
    assert 5 <= len(failed) <= 30, sorted(failed)
