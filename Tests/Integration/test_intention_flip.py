"""Proves that an intention switched to deny has ended what it covers when meshctl says so, in every
worker.

Live HTTP connections get no further answer, live byte streams are closed, new ones are refused,
what another intention covers goes on; switched back, all of it works again. What counts is the
order: what is asked after meshctl has come back is answered by the new rule, however long any of it
takes. What ends a moment later is waited for.
"""

from wire import Client, Closed, echo_upgrade, get

PATIENCE = 30  # seconds, for what comes by itself; nothing here is a bound of time
CONNECTIONS = 24  # over two workers: that all land in one has odds of 2^-23


def answered(client):
    """Whether a request on a live connection still reaches the application."""
    try:
        return client.get("/", "web").status == 200
    except (Closed, OSError):
        return False


def serving_workers(pair):
    return [w["id"] for w in pair.node.workers() if w["connections"] > 0]


def test_live_http_connections_are_cut(mesh):
    pair = mesh()
    clients = [Client(pair.local) for _ in range(CONNECTIONS)]
    assert all(answered(c) for c in clients)
    assert len(serving_workers(pair)) == 2, "the load does not cover both workers"
    pair.node.deny("api", "web")
    before = len(pair.web.requests)
    assert not any(answered(c) for c in clients)
    assert get(pair.local, "/", "web").status == 403
    assert len(pair.web.requests) == before, "a denied request reached the application"
    for client in clients:
        client.close()
    pair.node.allow("api", "web")
    assert get(pair.local, "/", "web").status == 200


def test_live_streams_are_closed(mesh):
    """A WebSocket-like tunnel is one long request: it ends when its intention does, and what it
    carries after that reaches nobody.
    """
    pair = mesh(answer=echo_upgrade())
    clients = [Client(pair.local) for _ in range(CONNECTIONS)]
    for client in clients:
        head = client.get("/", "web", headers=["Connection: Upgrade", "Upgrade: websocket"])
        assert head.status == 101
        client.send(b"ping")
        assert client.stream.exactly(4) == b"ping"
    pair.node.deny("api", "web")
    assert all(c.closes_within(PATIENCE) for c in clients)
    assert not any(c.stream.buffer for c in clients), "something came after the last echo"


def turned_away(port):
    """A new connection is closed, perhaps before connect() has come back."""
    try:
        with Client(port) as fresh:
            return fresh.closes_within(PATIENCE)
    except ConnectionResetError:
        return True


def test_live_tcp_connections_are_closed(mesh):
    pair = mesh(protocol="tcp")
    clients = [Client(pair.local) for _ in range(CONNECTIONS)]
    assert all(answered(c) for c in clients)
    pair.node.deny("api", "web")
    assert all(c.closes_within(PATIENCE) for c in clients)
    assert turned_away(pair.local), "a new connection is served although denied"
    pair.node.allow("api", "web")
    assert get(pair.local, "/", "web").status == 200


def test_other_pairs_go_on(mesh):
    """Denying batch leaves the connections of api alone: not one of them is opened anew."""
    pair = mesh()
    pair.node.allow("batch", "web")
    with Client(pair.local) as api, Client(pair.batch_local) as batch:
        assert answered(api) and answered(batch)
        pair.node.deny("batch", "web")
        assert not answered(batch)
        for _ in range(20):
            assert answered(api)


def test_deny_wins_back_and_forth(mesh):
    """Ten flips: after each `meshctl` the answer is the new one at once, in every worker."""
    pair = mesh()
    for _ in range(10):
        pair.node.deny("api", "web")
        assert {get(pair.local, "/", "web").status for _ in range(8)} == {403}
        pair.node.allow("api", "web")
        assert {get(pair.local, "/", "web").status for _ in range(8)} == {200}


def test_wildcard_precedence(mesh):
    """Consul's precedence: an exact source beats the wildcard, the wildcard beats the default."""
    pair = mesh()
    pair.node.meshctl("intention", "create", "--allow", "*", "web")
    assert get(pair.batch_local, "/", "web").status == 200
    pair.node.deny("batch", "web")
    assert get(pair.batch_local, "/", "web").status == 403
    pair.node.meshctl("intention", "delete", "batch", "web")
    assert get(pair.batch_local, "/", "web").status == 200, "the wildcard rules again"
