#!/usr/bin/env python3
"""Runs pytest, and what failed in it a second time alone: a failure counts when it happens twice.

    tools/confirm.py NAME PYTEST-ARGUMENT...

Hundreds of tests of real processes share a few cores, and now and then one of them meets a moment
that it was not written for. Such a test is a defect too, so its first failure stays in the log and
its name is printed as `UNSTEADY`; but it says nothing against the change at hand. More than MOST
failures are no accident: then nothing is tried again. The second run has no other test beside it.
"""

import json
import subprocess
import sys
from pathlib import Path

from counts import SECOND_TRY

MOST = 3
FAILED = 1
LOGS = Path(__file__).resolve().parents[1] / ".build-logs"


def alone(arguments):
    """The arguments without those that spread tests over processes."""
    kept, skip = [], False
    for argument in arguments:
        if skip or argument in ("-n", "--dist"):
            skip = not skip
        elif argument != "--no-loadscope-reorder":
            kept.append(argument)
    return kept


def failures(cache):
    """Names of the tests that pytest's own `cache` directory holds as failed."""
    try:
        return set(json.loads((cache / "v/cache/lastfailed").read_text()))
    except FileNotFoundError:
        return set()


def main(name, arguments):
    cache = LOGS / f"pytest-{name}"
    pytest = [sys.executable, "-m", "pytest", "-o", f"cache_dir={cache}"]
    first = subprocess.run([*pytest, "--cache-clear", *arguments], check=False).returncode
    names = failures(cache) if first == FAILED else set()
    if not 0 < len(names) <= MOST:
        return first
    print(f"{SECOND_TRY} of {len(names)}, alone", flush=True)
    again = [*alone(arguments), "--last-failed", "--last-failed-no-failures=none"]
    second = subprocess.run([*pytest, *again], check=False).returncode
    for steady in sorted(names - failures(cache)):
        print(f"UNSTEADY {steady}", flush=True)
    return second


if __name__ == "__main__":
    LOGS.mkdir(exist_ok=True)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
