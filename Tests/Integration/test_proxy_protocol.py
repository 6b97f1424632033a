"""Plays the PROXY protocol cases of Tests/Vectors/http-cases.json in all three write modes.

The client that a header names is the one that the upstream hears of; without a good header from a
trusted peer nothing reaches it.
"""

import cases
import pytest
import vectors
from ringmesh import listener, service
from wire import values

CASES = [c for c in vectors.load()["proxy_protocol_and_tls"] if c["category"] == "proxy-protocol"]
CLIENTS = {"pp1-valid": "1.2.3.4", "pp1-valid6": "2001:db8::1", "pp2-valid": "1.2.3.4"}


def played(case):
    """The case in the words that the judge of requests knows."""
    expect = "reject_close" if case["expect"] == "close" else case["expect"]
    return {"reject_status": [400, 408], **case, "expect": expect}


@pytest.mark.parametrize("others", ["refuse", "direct"])
def test_cases(nodes, ports, recorders, others):
    recorder, trusted, strange = recorders(), ports.take(), ports.take()
    header = {"in": "any", "others": others, "timeout": "1s"}
    nodes(
        services=[service("web", recorder.port)],
        listeners=[
            listener("trusted", trusted, "web", proxy_protocol={**header, "from": ["127.0.0.1"]}),
            listener(
                "strange", strange, "web", proxy_protocol={**header, "from": ["192.0.2.0/24"]}
            ),
        ],
    ).start()
    assert len(CASES) == 14
    for case in map(played, CASES):
        port = strange if case["id"] == "pp1-untrusted" else trusted
        lane = cases.Lane(port, port, recorder, read_timeout=30.0)
        for mode in cases.MODES:
            try:
                seen = cases.play_request(case, mode, lane)
            except vectors.Fault as fault:
                pytest.fail(f"{case['id']} in mode {mode}: {fault}")
            if case["expect"] == "accept":
                client = CLIENTS.get(case["id"], "127.0.0.1")
                got = values(seen.complete[0].headers, "x-forwarded-for")
                assert got == [client], f"{case['id']} in mode {mode}: {got}"
