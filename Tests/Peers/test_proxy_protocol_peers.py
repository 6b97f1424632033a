"""PROXY protocol between programs of other people: client → haproxy → ringmesh → nginx.

nginx answers with the address and port that the header in front of its connection names; they must
be those of the client itself, two proxies away.
"""

import subprocess
from concurrent.futures import ThreadPoolExecutor

import certificates
import peers
import pytest
from ringmesh import defaults, listener, service

NETWORKS = ["127.0.0.0/8"]
CLOSED = (35, 52, 55, 56)  # what curl exits with when it is closed: in TLS, empty, sending, reading


class Chain:
    """Ports of the ways in: `front` through haproxy, `own` straight to a listener, by its name."""

    def __init__(self, ports):
        self.front = {name: ports.take() for name in ("http", "tls", "tcp")}
        self.own = {name: ports.take() for name in ("http", "tls", "tcp")}


@pytest.fixture(params=["v1", "v2"])
def chain(request, nodes, ports, tmp_path):
    lacking = peers.missing("haproxy", "nginx", "curl")
    if lacking:
        pytest.skip(f"{lacking} is not installed")
    chain, behind = Chain(ports), ports.take()
    (tmp_path / "nginx").mkdir()
    children = [
        peers.nginx(
            tmp_path / "nginx",
            f"server {{ listen 127.0.0.1:{behind} proxy_protocol; location / {{ return 200 "
            '"$proxy_protocol_addr $proxy_protocol_port $http_x_forwarded_for"; } }',
            port=behind,
        )
    ]
    authority = certificates.authority(tmp_path)
    cert, key = certificates.leaf(tmp_path, "edge", authority, "DNS:edge.test")
    sent = {"in": request.param, "from": NETWORKS}
    nodes(
        services=[service("web", behind)],
        config_entries=[{**defaults("web"), "proxy_protocol": request.param}],
        listeners=[
            listener("http", chain.own["http"], "web", proxy_protocol=sent),
            listener(
                "tls",
                chain.own["tls"],
                "web",
                proxy_protocol=sent,
                tls={"cert": str(cert), "key": str(key)},
            ),
            listener("tcp", chain.own["tcp"], "web", kind="l4", proxy_protocol=sent),
        ],
    ).start()
    option = {"v1": "send-proxy", "v2": "send-proxy-v2 proxy-v2-options crc32c"}[request.param]
    text = "".join(
        f"frontend {name}\n  mode tcp\n  bind 127.0.0.1:{port}\n  default_backend to-{name}\n"
        f"backend to-{name}\n  mode tcp\n  server s 127.0.0.1:{chain.own[name]} {option}\n"
        for name, port in chain.front.items()
    )
    children.append(peers.haproxy(tmp_path, text, chain.front["http"]))
    yield chain
    for child in children:
        child.terminate(1)


def curl(*arguments):
    """(what the answers say, local ports of the connections they came over)."""
    done = subprocess.run(
        ["curl", "-sS", "-k", "--max-time", "10", "-w", " %{local_port}\n", *arguments],
        capture_output=True,
        check=False,
        text=True,
    )
    return [line.split() for line in done.stdout.splitlines()], done


def check(answers, forwarded):
    assert answers
    for answer in answers:
        address, port, *rest = answer
        assert address == "127.0.0.1" and port == rest[-1], answer
        assert rest[:-1] == (["127.0.0.1"] if forwarded else []), answer


def test_the_client_is_named_through_both(chain):
    """Two requests over a kept connection each, by HTTP, TLS and plain TCP."""
    for name, scheme in (("http", "http"), ("tls", "https"), ("tcp", "http")):
        url = f"{scheme}://127.0.0.1:{chain.front[name]}/"
        answers, done = curl(url, url)
        assert len(answers) == 2, done.stderr
        check(answers, forwarded=name != "tcp")


def test_clients_are_not_mixed(chain):
    """Eight clients at once, three requests each: each is named on connections of its own."""
    url = f"http://127.0.0.1:{chain.front['http']}/"
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda _: curl(url, url, url)[0], range(8)))
    assert [len(answers) for answers in done] == [3] * 8
    for answers in done:
        check(answers, forwarded=True)
    assert len({answers[0][1] for answers in done}) == 8, "they were one client"


def test_a_client_without_a_header_is_closed(chain):
    for name, scheme in (("http", "http"), ("tls", "https"), ("tcp", "http")):
        answers, done = curl(f"{scheme}://127.0.0.1:{chain.own[name]}/")
        assert done.returncode in CLOSED, (name, answers, done.stderr)


def test_curl_sends_the_header_itself(chain, request):
    """curl speaks version 1; a listener of version 2 closes it."""
    answers, done = curl("--haproxy-protocol", f"http://127.0.0.1:{chain.own['http']}/")
    if "v1" in request.node.name:
        check(answers, forwarded=True)
    else:
        assert done.returncode in CLOSED, (answers, done.stderr)
