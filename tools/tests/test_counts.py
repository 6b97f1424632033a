"""tools/check adds up what the suites say; a suite that fails can never look green."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from counts import counts

SWIFT = "◇ Test run started.\n{}Test run with 16 tests in 3 suites {} after 0.012 seconds{}.\n"

FLAKY = "F..\n= 1 failed, 2 passed, 1 skipped in 9.03s =\nsecond try of 1, alone\n"

LOGS = {
    "ours": ("cunit: ok\n12 passed, 0 failed\n", (12, 0, 0)),
    "ours with a name": ("sim: 8 passed, 1 failed\n", (8, 1, 0)),
    "pytest": ("....\n4 passed, 1 skipped in 0.10s\n", (4, 0, 1)),
    "pytest failing": ("= 1 failed, 2 passed, 1 error in 3.21s =\n", (2, 2, 0)),
    "pytest colour": ("\x1b[32m4 passed\x1b[0m\x1b[32m in 0.10s\x1b[0m\n", (4, 0, 0)),
    "pytest long": ("3 passed in 75.02s (0:01:15)\n", (3, 0, 0)),
    "pytest, second try": (FLAKY + "1 passed in 0.03s\nUNSTEADY a.py::b\n", (3, 0, 1)),
    "pytest, failing twice": (FLAKY + "= 1 failed in 0.03s =\n", (2, 1, 1)),
    "swift": (SWIFT.format("", "passed", ""), (16, 0, 0)),
    "swift failing": (
        SWIFT.format(
            "✘ Test a() failed after 0.001 seconds with 2 issues.\n"
            "✘ Test b() failed after 0.001 seconds with 1 issue.\n",
            "failed",
            " with 3 issues",
        ),
        (14, 2, 0),
    ),
    "nothing": ("compiled\n", (0, 0, 0)),
}


@pytest.mark.parametrize("name", LOGS)
def test_counts(name):
    log, expected = LOGS[name]
    assert counts(log) == expected
