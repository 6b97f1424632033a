"""Proves what RFC 9113 and RFC 7541 ask of a server, one requirement a test; h2check.py has them.

All are played at once, over plain TCP and over TLS, against a data plane with ASan and UBSan.
"""

import h2check
import http2
import pytest
from h2runner import TRANSPORTS, play_checks
from ports import Ports

pytestmark = http2.needed
LANES = 6

# (name, transport) -> why it does not hold yet. Shrinks only.
NOT_YET = {}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    ports = Ports()
    with http2.Front(ports, tmp_path_factory.mktemp("http2"), LANES, asan=True) as front:
        pids = front.node.worker_pids()
        found = play_checks(front.lanes)
        assert front.node.worker_pids() == pids, "a worker died while the checks were played"
    ports.close()
    return found


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("name", [c.name for c in h2check.CHECKS])
def test_requirement(results, name, transport):
    fault = results[(name, transport)]
    if (name, transport) in NOT_YET:
        assert fault, "this holds now: take it out of NOT_YET"
    else:
        assert fault is None, fault


def test_there_are_as_many_as_the_known_tool_has():
    names = [c.name for c in h2check.CHECKS]
    assert len(names) == len(set(names)) == 147
    assert sum(not c.recommended for c in h2check.CHECKS) == 146
