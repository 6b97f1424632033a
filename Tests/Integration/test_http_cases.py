"""Plays all HTTP/1.1 cases of Tests/Vectors/http-cases.json against a real listener.

Each request case runs in three write modes: at once, byte by byte, line by line. What fails must
stand in NOT_YET with its reason; what stands there and passes must be taken out.
"""

import io

import cases
import pytest
import vectors
from ports import Ports
from ringmesh import Node, listener, service
from runner import play_all, report
from wire import Recorder, get

LANES = 6

# case id -> why it is not passed yet. Shrinks only.
NOT_YET = {}
# What the applications take for the caller's name; only a proxy may say it.
IDENTITY_FIELDS = ["x-auth-user"]
# Cases that need a listener of their own; played by the tests below.
OWN_SETUP = {"rs-connect-refused", "rs-connect-blackhole"}


@pytest.fixture(scope="module")
def faults():
    """Plays everything once for all tests of this file."""
    ports, recorders = Ports(), [Recorder() for _ in range(LANES)]
    known = vectors.load()
    timeouts = {"head": "5s", "idle": "8s", "request": "10s"}
    services, listeners, lanes = [], [], []
    for number, recorder in enumerate(recorders):
        name, port, guarded = f"up-{number}", ports.take(), ports.take()
        services.append(service(name, recorder.port))
        match = {"host": "ex.test"}
        listeners.append(
            listener(
                f"plain-{number}",
                port,
                timeouts=timeouts,
                routes=[
                    {
                        "match": match,
                        "service": name,
                        "request_headers": {"remove": IDENTITY_FIELDS},
                    }
                ],
            )
        )
        listeners.append(
            listener(
                f"guarded-{number}",
                guarded,
                timeouts=timeouts,
                routes=[
                    {"match": {**match, "path_prefix": "/admin"}, "respond": {"status": 403}},
                    {"match": {**match, "path_prefix": "/public"}, "service": name},
                ],
            )
        )
        lanes.append(cases.Lane(port, guarded, recorder, head_timeout=5.0, read_timeout=30.0))
    node = Node(ports, asan=True, services=services, listeners=listeners)
    try:
        node.start()
        pids = node.worker_pids()
        answers = [c for c in known["http1_responses"] if c["id"] not in OWN_SETUP]
        found = play_all(lanes, known["http1_requests"], answers)
        assert get(lanes[0].port).status == 200
        assert node.worker_pids() == pids, "a worker died while the cases were played"
    finally:
        node.close()
        for recorder in recorders:
            recorder.close()
        ports.close()
    text = io.StringIO()
    report(known, found, text)
    print(text.getvalue())
    return found, text.getvalue()


def test_no_unknown_failures(faults):
    found, text = faults
    unknown = {name for name, _ in found} - set(NOT_YET)
    assert unknown == set(), text


def test_not_yet_is_still_true(faults):
    found, _ = faults
    passing = set(NOT_YET) - {name for name, _ in found}
    assert passing == set(), f"these pass now, take them out of NOT_YET: {sorted(passing)}"


def test_connect_refused(nodes, ports):
    port = ports.take()
    nodes(
        services=[service("web", ports.dead())], listeners=[listener("public", port, "web")]
    ).start()
    assert get(port).status in (502, 503)


def test_connect_blackhole(nodes, ports, recorders):
    """A dropped SYN: the next instance is tried after the connect timeout, alone it is a 504."""
    web, alone, both = recorders(), ports.take(), ports.take()
    timeouts = {"connect": "500ms"}
    nodes(
        services=[
            service("hole", ports.black_hole()),
            service("web", ports.black_hole(), id="web-hole"),
            service("web", web.port, id="web-good"),
        ],
        listeners=[
            listener("alone", alone, "hole", timeouts=timeouts),
            listener("both", both, "web", timeouts=timeouts),
        ],
    ).start()
    assert get(alone).status in (502, 504)
    assert {get(both).status for _ in range(6)} == {200}
