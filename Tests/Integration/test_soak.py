"""A soak in small: half a minute of every kind of load, a change every second, an upgrade or two.
By hand: `tools/soak --minutes 10`.
"""

import pytest
from soak import soak


@pytest.mark.timeout(600)
def test_half_a_minute():
    report = soak(30, upgrade_every=12)
    assert report["failures"] == [] and report["silent"] == []
    assert report["changes"]["other"] == [] and report["changes"]["live"] >= 10
    assert report["upgrades"] >= 1
    assert report["passed"], report["growth"]
