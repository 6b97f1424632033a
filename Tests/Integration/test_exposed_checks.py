"""Config entries say which sidecars expose what checks of their services ask for.

While they do, the path is open at a port of its own, and the API names that port.
"""

import pytest
from ringmesh import service, sidecar
from sidecars import Agent
from wire import Closed, get, wait_for

WAIT = 60


@pytest.mark.parametrize(
    "entry",
    [
        {"Kind": "service-defaults", "Name": "web", "Protocol": "http"},
        {"Kind": "proxy-defaults", "Name": "global"},
    ],
    ids=lambda entry: entry["Kind"],
)
def test_entries_say_that_checks_are_exposed(nodes, ports, recorders, entry):
    web, first, (api, entrance) = recorders(), ports.block(2), ports.take(2)
    check = {"id": "alive", "http": f"http://127.0.0.1:{web.port}/health", "interval": "60s"}
    nodes(
        api={"bind_addr": f"127.0.0.1:{api}"},
        ports={"expose_min_port": first, "expose_max_port": first + 1},
        services=[service("web", web.port, [check], connect=sidecar(entrance))],
    ).start()
    agent = Agent(api)

    def port():
        return agent.get("/v1/agent/checks")["alive"].get("ExposedPort", 0)

    def answers():
        try:
            return get(first, "/health").status == 200
        except (OSError, Closed):
            return False

    assert port() == 0 and not answers()
    agent.entry(**entry, Expose={"Checks": True})
    wait_for(lambda: port() == first and answers(), WAIT, "the path is open", 0.1)
    assert get(first, "/").status == 404
    known = {one["CheckID"]: one for one in agent.get("/v1/health/checks/web")}
    assert known["alive"]["ExposedPort"] == first
    paths = agent.get("/v1/agent/service/web-sidecar-proxy")["Proxy"]["Expose"]["Paths"]
    assert [(one["ListenerPort"], one["Path"]) for one in paths] == [(first, "/health")]
    assert agent.ask("DELETE", f"/v1/config/{entry['Kind']}/{entry['Name']}")[0] == 200
    wait_for(lambda: port() == 0 and not answers(), WAIT, "the end of it", 0.1)
