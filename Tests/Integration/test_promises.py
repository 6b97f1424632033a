"""What the mesh promises to do better than Consul's built-in proxy, where no other file proves it.

Whom intentions deny never reaches the application's queue, over the mesh and over TCP; names in
intentions and upstreams are compared without case; nobody ends a request that takes its time, nor
one whose answer comes in drops; the same chain is compiled anew and again with the same shares; an
upstream in another datacenter is that datacenter's chain, and says that nobody is there.

Elsewhere: handshake, connect timeouts, listeners that come and go (test_sidecar_api); half-close
(test_l4, test_agent_sidecar); live denial (test_intention_flip, test_reauthorization); no call per
connection, the agent away (test_agent_sidecar); other hosts for retries (test_retries).
"""

import contextlib
import json
import ssl
import threading
import time

import pytest
from ringmesh import defaults, intentions, service, sidecar
from wire import OK, PATIENCE, Client, get, wait_for

# Longer than the 15 s after which Envoy ends a request of Consul's mesh.
LONG = 17


def leaf(api, name, folder):
    """A client's TLS with the certificate of a service."""

    def read(path):
        return json.loads(get(api, path, "localhost").body)

    pair = read(f"/v1/agent/connect/ca/leaf/{name}")
    roots = read("/v1/agent/connect/ca/roots")["Roots"]
    (folder / f"{name}.pem").write_text(pair["CertPEM"] + pair["PrivateKeyPEM"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_cert_chain(folder / f"{name}.pem")
    context.load_verify_locations(cadata="".join(root["RootCert"] for root in roots))
    return context


def ask(port, context):
    """What a caller with this certificate gets from a sidecar; None: the end."""
    with Client(port, timeout=PATIENCE) as client:
        try:
            client.sock = context.wrap_socket(client.sock)
            client.sock.sendall(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n")
            return client.sock.recv(65536)[:12] or None
        except (ssl.SSLError, OSError):
            return None


@pytest.mark.parametrize("protocol", ["tcp", "http"])
def test_the_application_does_not_see_whom_intentions_deny(mesh, ports, tmp_path, protocol):
    """Neither by its own sidecar's upstream nor with its certificate at the sidecar's port."""
    api = ports.take()
    made = mesh(protocol, api={"bind_addr": f"127.0.0.1:{api}"})
    batch, known = leaf(api, "batch", tmp_path), leaf(api, "api", tmp_path)
    for _ in range(3):
        refused = ask(made.web_sidecar, batch)
        assert refused == (b"HTTP/1.1 403" if protocol == "http" else None)
        if protocol == "http":
            assert get(made.batch_local).status == 403
        else:
            # The end may be seen before the connection is.
            with contextlib.suppress(ConnectionResetError):
                with Client(made.batch_local, timeout=PATIENCE) as client:
                    assert client.closes_within(PATIENCE)
    assert made.web.connections == 0, "nobody was dialled for them"
    assert ask(made.web_sidecar, known) == b"HTTP/1.1 200"
    assert made.web.connections == 1


def test_names_are_compared_without_case(nodes, ports, recorders):
    web = recorders()
    local, web_port, api_port = ports.take(3)
    made = nodes(
        services=[
            service("Web", web.port, connect=sidecar(web_port)),
            service("API", ports.dead(), connect=sidecar(api_port, {"WEB": local})),
        ],
        config_entries=[defaults("wEb"), intentions("weB", aPi="allow")],
    ).start()
    assert get(local).status == 200
    told = made.json("explain", "GET", f"http://127.0.0.1:{local}/", "--from", "aPI")
    assert "forwarded to" in told["outcome"], told


def test_nobody_ends_a_request_that_takes_its_time(mesh):
    """Through both sidecars: an answer that is late, and one that never stops for long."""

    def answer(request, client):
        if b" /late " in request.start:
            time.sleep(LONG)
            return OK
        client.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(LONG):
            time.sleep(1)
            client.send(b"2\r\n%02d\r\n" % number)
        client.send(b"0\r\n\r\n")
        return b""

    made = mesh(answer=answer)
    answers = {}

    def call(target):
        begun = time.monotonic()
        answers[target] = (get(made.local, target, timeout=180.0), time.monotonic() - begun)

    callers = [threading.Thread(target=call, args=(target,)) for target in ("/late", "/drops")]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert answers["/late"][0].status == 200 and answers["/late"][1] >= LONG
    drops = answers["/drops"][0]
    assert (drops.status, drops.body) == (200, b"".join(b"%02d" % n for n in range(LONG)))


def test_shares_are_the_same_each_time(nodes, ports):
    """Nested thirds sum to the whole, in the same order, whenever they are compiled."""
    thirds = [{"weight": 33.33, "service": name} for name in ("a", "b")]
    entries = [defaults(name) for name in ("web", "inner", "a", "b", "c", "d")] + [
        {
            "kind": "service-splitter",
            "name": "web",
            "splits": [*thirds, {"weight": 33.34, "service": "inner"}],
        },
        {
            "kind": "service-splitter",
            "name": "inner",
            "splits": [{"weight": 50, "service": "c"}, {"weight": 50, "service": "d"}],
        },
    ]
    node = nodes(config_entries=entries).start()

    def shares():
        chain = node.json("chain", "web")["Chain"]
        start = chain["Nodes"][chain["StartNode"]]
        return [(leg["Weight"], leg["NextNode"]) for leg in start["Splits"]]

    first = shares()
    assert [weight for weight, _ in first] == [33.33, 33.33, 16.67, 16.67]
    assert all(shares() == first for _ in range(3))
    assert node.stop() == 0
    node.start()
    assert shares() == first


def test_an_upstream_in_another_datacenter(nodes, ports, recorders):
    """503 that says why, or the failover that leads home; the own datacenter may be named."""
    web, spare = recorders(), recorders()
    local, own, lost, sides = *ports.take(3), ports.take(4)
    upstreams = [
        {"destination_name": "web", "local_bind_port": own, "datacenter": "DC1"},
        {"destination_name": "db", "local_bind_port": lost, "datacenter": "dc2"},
        {"destination_name": "web", "local_bind_port": local, "datacenter": "dc2"},
    ]
    api = {"sidecar_service": {"port": sides[0], "proxy": {"upstreams": upstreams}}}
    home = {"targets": [{"service": "spare", "datacenter": "dc1"}]}
    node = nodes(
        services=[
            service("web", web.port, connect=sidecar(sides[1])),
            service("db", web.port, connect=sidecar(sides[2])),
            service("spare", spare.port, connect=sidecar(sides[3])),
            service("api", ports.dead(), connect=api),
        ],
        config_entries=[
            *[defaults(name) for name in ("web", "db", "spare")],
            {"kind": "service-resolver", "name": "web", "failover": {"*": home}},
        ],
        mesh={"intentions_default": "allow"},
    ).start()
    assert get(own).status == 200 and web.connections == 1
    assert get(lost).status == 503
    told = node.json("explain", "GET", f"http://127.0.0.1:{lost}/", "--from", "api")
    assert "503" in told["outcome"], told
    assert "db.default.dc2" in json.dumps(told), told
    wait_for(lambda: get(local).status == 200, PATIENCE, "the failover leads home")
    assert spare.connections >= 1 and web.connections == 1
    problems = [p["message"] for p in node.status()["problems"]]
    for name in ("db", "web"):
        assert any(
            f'leads to "{name}" in datacenter "dc2", which is not connected' in text
            for text in problems
        ), problems
