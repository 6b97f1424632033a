#!/usr/bin/env python3
"""Prints `passed failed skipped` of one suite's log: pytest, Swift Testing or `N passed, N failed`.

The last line of each kind counts; kinds add up (Swift prints XCTest's line and Swift Testing's).
What failed before a second try (tools/confirm.py) is counted in that one.
"""

import re
import sys

SECOND_TRY = "second try"


def counts(text):
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    passed = failed = skipped = 0
    ours = re.findall(r"(?m)^(?:.*: )?(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\.?$", text)
    if ours:
        passed, failed, skipped = (int(n or 0) for n in ours[-1])
    ended = r"(?m)^(?:=+ )?((?:\d+ [a-z]+(?:, )?)+) in [\d.]+s|^%s of \d+, alone$" % SECOND_TRY
    for line in re.findall(ended, text):
        failed = failed if line else 0
        found = {word: int(n) for n, word in re.findall(r"(\d+) ([a-z]+)", line)}
        passed += found.get("passed", 0)
        failed += found.get("failed", 0) + found.get("error", 0) + found.get("errors", 0)
        skipped += found.get("skipped", 0) + found.get("xfailed", 0)
    run = re.findall(r"Test run with (\d+) tests?.* (passed|failed) after", text)
    if run:
        total = int(run[-1][0])
        bad = len(set(re.findall(r"(?m)^.*Test (?!run )(.*) failed after [\d.]+ seconds", text)))
        bad = max(bad, 1) if run[-1][1] == "failed" else bad
        passed += total - bad
        failed += bad
    return passed, failed, skipped


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8", errors="replace") as log:
        print(*counts(log.read()))
