"""Plays the HTTP/2 sequences of Tests/Vectors/http-cases.json against real listeners.

Each runs over plain TCP and over TLS, whole, octet by octet and frame by frame, against a data
plane with ASan and UBSan. What fails must stand in NOT_YET with its reason; what stands there and
passes must be taken out. The attacks among them are played by test_http2_attacks.py.
"""

import h2cases
import http2
import pytest
import vectors
from h2runner import play_cases
from ports import Ports
from wire import get

LANES = 6
KNOWN = h2cases.sequences(vectors.load())

# id -> why it does not pass yet. Shrinks only.
NOT_YET = {}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    ports = Ports()
    with http2.Front(ports, tmp_path_factory.mktemp("http2"), LANES, asan=True) as front:
        pids = front.node.worker_pids()
        found = play_cases(front.lanes, KNOWN)
        assert get(front.lanes[0].port).status == 200
        assert front.node.worker_pids() == pids, "a worker died while the cases were played"
    ports.close()
    return found


@http2.needed
@pytest.mark.parametrize("name", [c["id"] for c in KNOWN])
def test_sequence(results, name):
    faults = {job[1:]: fault for job, fault in results.items() if job[0] == name and fault}
    if name in NOT_YET:
        assert faults, "this passes now: take it out of NOT_YET"
    else:
        assert faults == {}
