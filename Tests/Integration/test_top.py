"""Proves `meshctl top`: rates, quantiles and errors of the moment, while load runs, and an upgrade
of the data plane in between is no reset.
"""

import json
import threading

from lanes import Asking, Lanes
from ringmesh import listener, service
from wire import PATIENCE, get, wait_for

BROKEN = b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n"


def test_top_shows_what_happens_now(nodes, ports, recorders):
    web, port, quiet = recorders(), ports.take(), ports.take()
    node = nodes(
        services=[service("web", web.port)],
        listeners=[listener("busy", port, "web"), listener("quiet", quiet, "web")],
    ).start()

    def top(*more):
        return json.loads(node.meshctl("top", "--once", "--json", *more).stdout)

    with Lanes(Asking("load", port), Asking("more", port)) as lanes:
        lanes.each_goes_on()
        rows = {(r["kind"], r["name"]): r for r in top()["rows"]}
        busy, silent = rows["listener", "busy"], rows["listener", "quiet"]
        assert busy["requests_per_second"] > 0 and busy["errors_per_second"] == 0
        assert 0 < busy["p50_us"] <= busy["p90_us"] <= busy["p99_us"]
        assert silent["requests_per_second"] == 0 and "p50_us" not in silent
        assert [r["name"] for r in top("--filter", "quiet")["rows"]] == ["quiet"]
        rates = [r["requests_per_second"] for r in top("--sort", "requests")["rows"]]
        assert rates == sorted(rates, reverse=True) and rates[0] > 0
        ways = top("--kind", "route", "--kind", "endpoint")["rows"]
        assert {r["kind"] for r in ways} == {"route", "endpoint"}
        for row in ways:
            assert row["requests_per_second"] > 0 and row["errors_per_second"] == 0
            assert 0 < row["p50_us"] <= row["p99_us"] and "open" not in row
        assert {r["name"] for r in ways if r["kind"] == "route"} == {"listener busy, its service"}
        series = node.metrics()
        assert 'ringmesh_route_responses_total{code="2xx",listener="busy"' in series
        assert f'address="127.0.0.1:{web.port}"' in series
        text = node.meshctl("top", "--once").stdout
        assert "REQUESTS/S" in text and "busy" in text
        node.meshctl("dataplane", "upgrade")
        rows = top()["rows"]
        assert not any(r["was_reset"] for r in rows)
        lanes.stop()
    assert lanes.failures == []


def test_errors_belong_to_their_route_and_endpoint(nodes, ports, recorders):
    """Of two routes and two endpoints only those show errors that have some."""
    good, bad, port = recorders(), recorders(lambda request, client: BROKEN), ports.take()
    node = nodes(
        services=[service("good", good.port), service("bad", bad.port)],
        listeners=[
            listener(
                "public",
                port,
                routes=[
                    {"match": {"path_prefix": "/bad"}, "service": "bad"},
                    {"match": {"path_prefix": "/"}, "service": "good"},
                ],
            )
        ],
    ).start()
    over = threading.Event()

    def ask():
        while not over.is_set():
            get(port, "/bad")
            get(port, "/good")

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    try:
        found = {}

        def all_are_in_use():
            shown = node.meshctl("top", "--once", "--json", "--kind", "route", "--kind", "endpoint")
            found.clear()
            found.update((row["name"], row) for row in json.loads(shown.stdout)["rows"])
            return [row["requests_per_second"] > 0 for row in found.values()] == [True] * 4

        wait_for(all_are_in_use, PATIENCE, "a reading with requests of all four")
        wrong = [name for name, row in found.items() if row["errors_per_second"] > 0]
        assert len(wrong) == 2, found
        assert any("route 1" in name for name in wrong), wrong
        assert any(str(bad.port) in name or "bad" in name for name in wrong), wrong
        for row in found.values():
            assert 0 < row["p50_us"] <= row["p99_us"]
    finally:
        over.set()
        asking.join()
