"""Proves `max_connection_lifetime`: connections end when they have lasted so long, by what their
protocol has for it.

Streams are cut on both sides, a request that is under way is answered and its answer says that it
is the last one, an idle connection ends at once; new connections are taken all the time. The option
of a proxy, of its service and of all proxies decide in this order, and a change reaches connections
that are open.
"""

import re

from ringmesh import defaults, listener, service, sidecar
from sidecars import Agent
from test_access_log import Log
from wire import OK, PATIENCE, Client, get, wait_for

SOON = "1s"


def proxies(**config):
    return {"kind": "proxy-defaults", "name": "global", "config": config}


def grown_old(node, name):
    """How many connections of a listener have come to the end of their time."""
    labels = f'listener="{re.escape(name)}",outcome="max_lifetime"'
    counts = re.findall(rf"ringmesh_listener_outcomes_total\{{{labels}\}} (\d+)", node.metrics())
    return sum(int(count) for count in counts)


def pair(nodes, ports, port, *entries, **more):
    """`web` and its caller `api`, both with sidecars; the caller's local port."""
    web_port, api_port, local = ports.take(3)
    node = nodes(
        services=[
            service("web", port, connect=sidecar(web_port)),
            service("api", ports.dead(), connect=sidecar(api_port, {"web": local})),
        ],
        config_entries=list(entries),
        mesh={"intentions_default": "allow"},
        **more,
    ).start()
    return node, local


def test_streams_are_cut(nodes, ports, recorders, tmp_path):
    web = recorders()
    log = Log(tmp_path / "access.log")
    node, local = pair(
        nodes,
        ports,
        web.port,
        proxies(max_connection_lifetime=SOON),
        access_log={"path": str(log.path)},
    )
    for _ in range(2):
        with Client(local) as client:
            assert client.get().status == 200
            assert client.closes_within(PATIENCE)
            wait_for(lambda: not web.open, PATIENCE, "the connection to the application ends too")
    wait_for(lambda: "max_lifetime" in {r["flag"] for r in log.records()}, PATIENCE, "the flag")
    kept = {r["flag"] for r in log.records()}
    assert kept <= {"max_lifetime", "client_gone", "upstream_reset"}, kept
    assert node.status()["problems"] == []


def test_what_is_under_way_is_answered(nodes, ports, recorders):
    """The upstream waits for the time of the connections to be over before it answers."""
    seen = {}

    def answer(request, client):
        if request.target == "/long":
            wait_for(
                lambda: grown_old(seen["node"], seen["local"]) > seen["before"],
                PATIENCE,
                "the connection has grown old",
            )
        return OK

    web = recorders(answer)
    node, local = pair(
        nodes, ports, web.port, defaults("web"), proxies(max_connection_lifetime=SOON)
    )
    seen.update(node=node, local=f"api-sidecar-proxy:web:{local}", before=0)
    with Client(local) as client:
        answer = client.get("/long")
        assert answer.status == 200 and answer.body == b"ok"
        assert answer.header("connection") == "close"
        assert client.closes_within(PATIENCE)
    # Between two requests it ends without a word, and there is always a next one.
    with Client(local) as client:
        assert client.get("/short").header("connection") is None
        assert client.closes_within(PATIENCE)
    assert get(local).status == 200
    assert [r.target for r in web.complete()] == ["/long", "/short", "/"]
    assert grown_old(node, "web-sidecar-proxy") > 0, "callers' connections end as well"


def test_a_change_reaches_open_connections(nodes, ports, recorders):
    web, port = recorders(), ports.take()
    node, local = pair(nodes, ports, web.port, api={"bind_addr": f"127.0.0.1:{port}"})
    agent = Agent(port)
    with Client(local) as client:
        assert client.get().status == 200
        agent.entry(Kind="service-defaults", Name="api", MaxConnectionLifetime="100ms")
        assert client.closes_within(PATIENCE)
    assert agent.get("/v1/config/service-defaults/api")["MaxConnectionLifetime"] == "100ms"
    assert grown_old(node, f"api-sidecar-proxy:web:{local}") == 1
    agent.entry(Kind="service-defaults", Name="api", MaxConnectionLifetime="0s")
    with Client(local) as client:
        assert client.get().status == 200
        assert client.stays_open(0.5)
    status, told = agent.ask(
        "PUT",
        "/v1/config",
        {"Kind": "service-defaults", "Name": "api", "MaxConnectionLifetime": "25h"},
    )
    assert status >= 400 and b"write 0s for none, or a time of 100ms to 24h" in told


def test_whose_option_decides(nodes, ports, recorders):
    """The proxy's own, then its service's, then those of all; and explain says which time it is."""
    web = recorders()
    names = ["own", "defaulted", "usual", "none"]
    config = {"own": {"max_connection_lifetime": "50m"}, "none": {"max_connection_lifetime": "0s"}}
    services, locals_ = [], {}
    for name in names:
        locals_[name] = ports.take()
        wanted = sidecar(ports.take(), {"web": locals_[name]})
        wanted["sidecar_service"].setdefault("proxy", {})["config"] = config.get(name, {})
        services.append(service(name, ports.dead(), connect=wanted))
    entry = {"kind": "service-defaults", "max_connection_lifetime": "40m"}
    node = nodes(
        services=[service("web", web.port, connect=sidecar(ports.take())), *services],
        config_entries=[
            proxies(MaxConnectionLifetime="30m"),
            {**entry, "name": "defaulted"},
            {**entry, "name": "own"},
            defaults("web"),
        ],
        mesh={"intentions_default": "allow"},
    ).start()
    for name, minutes in [("own", 50), ("defaulted", 40), ("usual", 30), ("none", None)]:
        text = node.meshctl("explain", "GET", f"http://web:{locals_[name]}/").stdout
        if minutes is None:
            assert "max_connection_lifetime" not in text
        else:
            most = minutes * 60000
            assert f"connections end after {most - most // 10} to {most} ms" in text, text
    assert get(locals_["own"]).status == 200


def test_what_cannot_be_is_refused(nodes, ports):
    """Each with its place."""
    port = ports.take()
    node = nodes(
        services=[
            service(
                "web",
                80,
                connect={
                    "sidecar_service": {
                        "port": ports.take(),
                        "proxy": {"config": {"max_connection_lifetime": "25h"}},
                    }
                },
            )
        ],
        config_entries=[
            {"kind": "service-defaults", "name": "web", "max_connection_lifetime": "1ms"}
        ],
        listeners=[listener("public", port, "web", max_connection_lifetime="48h")],
    )
    node.start(ready=False)
    assert node.control.wait(PATIENCE) == 78
    told = node.control.text()
    assert "48h is out of range" in told
    assert "1ms is out of range: write 0s for none, or a time of 100ms to 24h" in told
    assert "write 0s for none, or a time of 100ms to 24h" in told.replace("1ms is out of range", "")
