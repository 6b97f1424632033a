"""Proves that the mesh's root can be changed under load.

Two rotations while two sidecars serve connections that live on and connections that are made anew
all the time: not one request fails, every leaf follows, and a peer that knows only the very first
root still believes the leaf after the second. A root that was made elsewhere signs as one of our
own does: OpenSSL as a peer is let in with the right certificate, and not with a wrong one, an
expired one, or one of another trust domain.
"""

import json
import threading

import pytest
from certificates import authority, leaf, openssl, s_client
from consul_samples import send
from load import Load
from wire import Closed, get, wait_for

FOLLOWED = 60  # seconds; leaves follow within 30


class FreshConnections:
    """Asks over connections that are made for one request each; what went wrong is kept."""

    def __init__(self, port, threads=3):
        self.port, self.count, self.failures = port, 0, []
        self.stopping, self.lock = threading.Event(), threading.Lock()
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(threads)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)

    def run(self):
        while not self.stopping.wait(0.005):
            try:
                status = get(self.port, "/", "web").status
                failure = None if status == 200 else f"status {status}"
            except (OSError, Closed, ValueError, AssertionError) as error:
                failure = f"{type(error).__name__}: {error}"
            with self.lock:
                self.count += 1
                if failure:
                    self.failures.append(failure)


def roots(node):
    return node.json("ca", "status")["roots"]


def followed(node):
    """Whether every leaf in use is signed by the active root."""
    active, *others = roots(node)
    return active["active"] and active["leaves"] == 3 and not any(r["leaves"] for r in others)


def believed(port, trusted):
    """Whether a peer that trusts this file alone believes the server."""
    _, text = s_client(port, "-CAfile", trusted)
    return "Verify return code: 0 (ok)" in text, text


@pytest.mark.timeout(300)
def test_two_rotations_under_load_fail_nobody(mesh, tmp_path):
    pair = mesh(protocol="tcp")
    first = tmp_path / "first.pem"
    first.write_text(pair.node.meshctl("cert", "roots", "--pem").stdout, encoding="ascii")
    assert wait_for(lambda: followed(pair.node), 10, "three leaves are there")
    with Load(pair.local, connections=4, host="web") as live, FreshConnections(pair.local) as fresh:
        for rotation in (1, 2):
            before = roots(pair.node)[0]["id"]
            counted = fresh.count
            said = pair.node.meshctl("ca", "rotate").stdout
            assert "another root signs" in said
            report = roots(pair.node)
            assert len(report) == rotation + 1
            assert report[0]["cross_signed"] == rotation
            assert report[1]["id"] == before and not report[1]["active"]
            assert wait_for(lambda: followed(pair.node), FOLLOWED, "leaves follow the root")
            assert wait_for(lambda n=counted: fresh.count > n + 100, 30, "load goes on")
    tallies = live.tallies
    assert fresh.failures == []
    assert [f for tally in tallies for f in tally.failures] == []
    assert all(tally.ok > 0 for tally in tallies)
    print(f"{fresh.count} new connections, {sum(t.ok for t in tallies)} requests on live ones")
    good, text = believed(pair.web_sidecar, first)
    assert good, text


@pytest.mark.timeout(300)
def test_a_key_over_the_api_rotates_under_load(mesh, ports, tmp_path):
    """As a client of Consul rotates: proxies keep working, reads that wait are woken."""
    port = ports.take()
    pair = mesh(protocol="tcp", api={"bind_addr": f"127.0.0.1:{port}"})
    base = f"http://127.0.0.1:{port}"
    key = tmp_path / "next.key"
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)

    def ask(method, path, body=None):
        status, headers, text = send(base, {"method": method, "path": path, "body": body})
        assert status == 200, text
        return int(headers.get("x-consul-index", 0)), json.loads(text or b"null")

    paths = ["/v1/agent/connect/ca/roots", "/v1/agent/connect/ca/leaf/web"]
    known = {path: ask("GET", path) for path in paths}
    woken = {}
    waiting = [
        threading.Thread(
            target=lambda p=path: woken.update(
                {p: ask("GET", f"{p}?index={known[p][0]}&wait=120s")}
            )
        )
        for path in paths
    ]
    first = tmp_path / "first.pem"
    first.write_text(pair.node.meshctl("cert", "roots", "--pem").stdout, encoding="ascii")
    assert wait_for(lambda: followed(pair.node), 10, "three leaves are there")
    with Load(pair.local, connections=4, host="web") as live, FreshConnections(pair.local) as fresh:
        for thread in waiting:
            thread.start()
        config = {"LeafCertTTL": "24h", "PrivateKey": key.read_text(encoding="ascii")}
        ask("PUT", "/v1/connect/ca/configuration", {"Provider": "consul", "Config": config})
        counted = fresh.count
        assert wait_for(lambda: followed(pair.node), FOLLOWED, "leaves follow the root")
        assert wait_for(lambda: fresh.count > counted + 100, 30, "load goes on")
        for thread in waiting:
            thread.join(120)
    assert fresh.failures == []
    assert [f for tally in live.tallies for f in tally.failures] == []
    (_, before), (_, after) = known[paths[0]], woken[paths[0]]
    assert [root["Active"] for root in after["Roots"]] == [True, False]
    assert after["Roots"][1]["ID"] == before["ActiveRootID"]
    assert len(after["Roots"][0]["IntermediateCerts"]) == 1
    (_, old), (_, new) = known[paths[1]], woken[paths[1]]
    assert new["SerialNumber"] != old["SerialNumber"]
    _, shown = ask("GET", "/v1/connect/ca/configuration")
    assert shown["Config"] == {"LeafCertTTL": "24h"}
    # Who knows only the first root believes what is signed now.
    good, text = believed(pair.web_sidecar, first)
    assert good, text


def test_roots_outlive_a_restart(mesh):
    pair = mesh()
    pair.node.meshctl("ca", "rotate")
    before = [(r["id"], r["active"]) for r in roots(pair.node)]
    pair.node.control.kill()
    pair.node.start()
    assert [(r["id"], r["active"]) for r in roots(pair.node)] == before
    assert get(pair.local, "/", "web").status == 200
    # Leaves that were made by the root before are renewed by this process, too.
    assert wait_for(lambda: followed(pair.node), FOLLOWED, "leaves follow the root")
    assert get(pair.local, "/", "web").status == 200


def test_rotations_are_bounded(mesh):
    pair = mesh()
    for _ in range(7):
        pair.node.meshctl("ca", "rotate")
    refused = pair.node.meshctl("ca", "rotate", check=False)
    assert refused.returncode != 0 and "earlier roots are still believed" in refused.stderr
    assert get(pair.local, "/", "web").status == 200


DOMAIN = "mesh.test"


def identity(service, domain=DOMAIN):
    return f"URI:spiffe://{domain}/ns/default/dc/dc1/svc/{service}"


def asked(pair, certificate, *more):
    """What a peer with this certificate gets from web's sidecar."""
    request = b"GET /peer HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n"
    cert, key = certificate
    return s_client(
        pair.web_sidecar, "-cert", cert, "-key", key, *more, "-ign_eof", "-quiet", data=request
    )[1]


def test_a_root_of_another_program_signs(mesh, tmp_path):
    cert, key = authority(tmp_path, "given")
    pair = mesh(mesh={"trust_domain": DOMAIN, "ca_cert": str(cert), "ca_key": str(key)})
    assert pair.node.json("ca", "status")["provider"] == "file"
    assert get(pair.local, "/", "web").status == 200
    good, text = believed(pair.web_sidecar, cert)
    assert good, text
    foreign = authority(tmp_path, "foreign")
    assert not believed(pair.web_sidecar, foreign[0])[0]

    right = leaf(tmp_path, "right", (cert, key), identity("api"))
    assert "200 OK" in asked(pair, right)
    served = len(pair.web.requests)
    for name, made in {
        "denied": leaf(tmp_path, "denied", (cert, key), identity("batch")),
        "wrong": leaf(tmp_path, "wrong", foreign, identity("api")),
        "expired": leaf(tmp_path, "expired", (cert, key), identity("api"), days=0),
        "elsewhere": leaf(tmp_path, "elsewhere", (cert, key), identity("api", "other.test")),
    }.items():
        answer = asked(pair, made)
        assert "200 OK" not in answer, name
        # A chain that ends at a root which is believed is let in, and has no right to anything.
        # An alert that the end of the connection overtakes is lost to who is writing just then.
        is_known = name in ("denied", "elsewhere")
        expected = ("denied by intention",) if is_known else ("alert", ":errno=")
        assert any(word in answer for word in expected), f"{name}: {answer}"
    assert len(pair.web.requests) == served

    # The files hold the root that signs: there is nothing to rotate to before they hold another.
    refused = pair.node.meshctl("ca", "rotate", check=False)
    assert refused.returncode != 0 and "put the next one into the files" in refused.stderr
    next_cert, next_key = authority(tmp_path, "next")
    cert.write_bytes(next_cert.read_bytes())
    key.write_bytes(next_key.read_bytes())
    pair.node.meshctl("ca", "rotate")
    assert wait_for(lambda: followed(pair.node), FOLLOWED, "leaves follow the root")
    assert believed(pair.web_sidecar, next_cert)[0]
    assert "200 OK" in asked(pair, right), "the root before is believed still"
    assert get(pair.local, "/", "web").status == 200


def test_nothing_above_a_leaf_needs_a_name(mesh, tmp_path):
    """Neither a root of another program nor what it has signed is asked for a SPIFFE id; a chain
    with a part missing leads nowhere.
    """
    root = authority(tmp_path, "given")
    pair = mesh(mesh={"trust_domain": DOMAIN, "ca_cert": str(root[0]), "ca_key": str(root[1])})
    between = authority(tmp_path, "between", signer=root)
    far = leaf(tmp_path, "far", between, identity("api"))
    assert "200 OK" in asked(pair, far, "-cert_chain", between[0])
    assert "200 OK" not in asked(pair, far)
    unnamed = leaf(tmp_path, "unnamed", between, "DNS:api.example.com")
    assert "200 OK" not in asked(pair, unnamed, "-cert_chain", between[0])


def test_a_root_needs_both_its_files(nodes, tmp_path):
    cert, _ = authority(tmp_path)
    node = nodes(mesh={"ca_cert": str(cert)})
    node.start(ready=False)
    assert node.control.wait(60) == 78
    assert "write ca_key, too" in node.control.tail()
