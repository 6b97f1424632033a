"""Proves that the judge of the HTTP cases can fail: Debian's haproxy must not pass all of them.

haproxy 2.6 is a good proxy with known, deliberate leniencies. A judge that finds none is broken;
one that finds many is too strict to say anything about us.
"""

import peers
import pytest
import vectors
from runner import haproxy_lanes, play_all, report


def test_haproxy_fails_some(ports, recorders, tmp_path):
    lacking = peers.missing("haproxy")
    if lacking:
        pytest.skip(f"{lacking} is not installed")
    known = vectors.load()
    child, lanes = haproxy_lanes(tmp_path, ports, [recorders() for _ in range(8)])
    try:
        faults = play_all(lanes, [c for c in known["http1_requests"] if "raw" in c])
    finally:
        child.terminate()
    strengths = report(known, faults)
    failed = {name for name, _ in faults}
    assert 5 <= strengths["MUST"] <= 40, strengths
    controls = {"rl-valid-get", "cl-valid", "te-valid", "conn-pipeline-3", "ck-trailer"}
    assert controls.isdisjoint(failed), sorted(controls & failed)
    assert {"ck-size-ext-nul", "host-bad-portalpha", "up-http10"} <= failed
