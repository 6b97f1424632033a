"""Proves that live connections follow the intentions, at the sidecar that other makers call too.

Two callers hold connections to web at once: bytes, HTTP/1.1 between two requests, HTTP/2, and
WebSockets; through their sidecars and, with certificates of their own, at web's sidecar itself. One
is denied: what it holds ends, while every connection of the other goes on, not opened anew. A
permission decides request by request: it ends no connection.
"""

import json
import ssl

import pytest
from certificates import authority, leaf
from h2client import Http2
from wire import Client, Closed, echo_upgrade, get, wait_for

DOMAIN = "mesh.test"
CONNECTIONS = 12  # of each caller, over two workers
PATIENCE = 30  # seconds; all of it happens at once, on a machine that has time


@pytest.fixture(name="pair")
def fixture_pair(mesh, ports, tmp_path):
    """Makes the usual mesh under an authority of ours; `.tls(caller, alpn)` is a peer's context."""

    def make(protocol="http"):
        ca = authority(tmp_path)
        config = {"trust_domain": DOMAIN, "ca_cert": str(ca[0]), "ca_key": str(ca[1])}
        api = ports.take()
        made = mesh(
            protocol=protocol,
            answer=echo_upgrade(),
            mesh=config,
            api={"bind_addr": f"127.0.0.1:{api}"},
        )
        made.api = api
        made.node.allow("batch", "web")

        def tls(caller, alpn=()):
            name = f"URI:spiffe://{DOMAIN}/ns/default/dc/dc1/svc/{caller}"
            context = ssl.create_default_context(cafile=ca[0])
            context.check_hostname = False
            context.load_cert_chain(*leaf(tmp_path, caller, ca, name))
            if alpn:
                context.set_alpn_protocols(list(alpn))
            return context

        made.tls = tls
        return made

    return make


def own_sidecar(pair, caller):
    return {"api": pair.local, "batch": pair.batch_local}[caller]


def connected(pair, caller, alpn=()):
    """Connections of a caller: half through its sidecar, half at web's with its certificate."""
    context = pair.tls(caller, alpn)
    made = []
    for number in range(CONNECTIONS):
        direct = number % 2 == 1
        client = Client(pair.web_sidecar if direct else own_sidecar(pair, caller))
        if direct:
            client.sock = client.stream.sock = context.wrap_socket(client.sock)
        made.append(client)
    return made


def upgraded(client):
    head = client.get("/", "web", headers=["Connection: Upgrade", "Upgrade: websocket"])
    assert head.status == 101
    return client


def echoes(client, text=b"ping"):
    client.send(text)
    return client.stream.exactly(len(text)) == text


def over(client):
    """Whether the peer has ended it: by an end, a reset or an alert."""
    try:
        return client.closes_within(PATIENCE)
    except (OSError, ssl.SSLError):
        return True


def deny_batch(pair):
    before = pair.web.connections
    pair.node.deny("batch", "web")
    return before


@pytest.mark.parametrize("protocol", ["tcp", "http"])
def test_streams_of_the_denied_end_and_of_others_go_on(pair, protocol):
    """Bytes of any kind, and WebSockets: a long stream is cut in the middle of its life."""
    pair = pair(protocol)
    good = [upgraded(c) for c in connected(pair, "api")]
    bad = [upgraded(c) for c in connected(pair, "batch")]
    assert all(echoes(c) for c in good + bad)
    before = deny_batch(pair)
    assert all(over(c) for c in bad)
    assert all(echoes(c, b"still here") for c in good), "who is allowed is not touched"
    assert pair.web.connections == before, "nothing was opened anew"


def status(client):
    """What the next request on a live connection gets; 0: it has ended."""
    try:
        return client.get("/", "web").status
    except (Closed, OSError, ssl.SSLError):
        return 0


def test_kept_connections_are_asked_again(pair):
    """HTTP/1.1 between two requests: those of the denied are closed, the others serve."""
    pair = pair()
    good, bad = connected(pair, "api"), connected(pair, "batch")
    assert {status(c) for c in good + bad} == {200}
    deny_batch(pair)
    asked = len(pair.web.requests)
    assert all(status(c) in (0, 403) for c in bad)
    assert len(pair.web.requests) == asked, "a denied request reached the application"
    assert {status(c) for c in good} == {200}
    pair.node.allow("batch", "web")
    assert {status(c) for c in connected(pair, "batch")} == {200}


def opened(pair, caller):
    """HTTP/2 connections of a caller: through its sidecar, and at web's."""
    made = [
        Http2(own_sidecar(pair, caller)),
        Http2(pair.web_sidecar, pair.tls(caller, ("h2",))),
    ]
    return [client.start() for client in made]


def test_connections_of_http2_are_asked_again(pair):
    pair = pair()
    good, bad = opened(pair, "api"), opened(pair, "batch")
    assert {c.get(1).status for c in good + bad} == {200}
    deny_batch(pair)
    asked = len(pair.web.requests)
    for client in bad:
        client.ask(3)
        client.until(lambda c=client: c.closed or (c.answers.get(3) and c.answers[3].over))
        assert client.answer(3, 0.1).status in (0, 403)
    assert any(c.goaways for c in bad), "a peer of HTTP/2 is told"
    assert len(pair.web.requests) == asked, "a denied request reached the application"
    assert {c.get(3).status for c in good} == {200}
    assert not any(c.goaways or c.closed for c in good)


def permit(pair, path):
    """Writes the entry of web: api may ask for paths that begin so. Returns when it is live."""
    allow = [{"Action": "allow", "HTTP": {"PathPrefix": path}}]
    entry = {
        "Kind": "service-intentions",
        "Name": "web",
        "Sources": [{"Name": "batch", "Action": "allow"}, {"Name": "api", "Permissions": allow}],
    }
    answer = get(pair.api, "/v1/config", "localhost", method="PUT", body=json.dumps(entry).encode())
    assert answer.body.strip() == b"true", answer
    wait_for(lambda: get(pair.local, path, "web").status == 200, PATIENCE, "the entry is live")


def test_permissions_decide_request_by_request(pair):
    """Another permission: the connection stays, the next request on it fares by the new one."""
    pair = pair()
    kept, streams = connected(pair, "api"), opened(pair, "api")
    long = upgraded(Client(pair.local))
    assert {c.get("/a", "web").status for c in kept} == {200}
    permit(pair, "/b")
    assert {c.get("/a", "web").status for c in kept} == {403}
    assert {c.get("/b", "web").status for c in kept} == {200}
    assert {c.get(1, path="/a").status for c in streams} == {403}
    assert {c.get(3, path="/b").status for c in streams} == {200}
    permit(pair, "/a")
    assert {c.get("/a", "web").status for c in kept} == {200}
    assert {c.get("/b", "web").status for c in kept} == {403}
    assert {c.get(5, path="/a").status for c in streams} == {200}
    assert not any(c.goaways or c.closed for c in streams)
    assert echoes(long), "what was permitted when it was asked for goes on"
