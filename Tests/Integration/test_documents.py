"""Proves that what documents show happens: the tour of the README and the page about meshctl.

Every command is typed as it is printed, against `tools/run`, and must end and print as the document
says; times, identifiers, counts and widths may differ.
"""

from pathlib import Path

import pytest
import sessions
from ringmesh import binary

DOCUMENTS = ["README.md", "Sources/Handbook.docc/Meshctl.md"]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_sessions_run_as_printed(name):
    inside = sessions.namespaces()
    if inside is None:
        pytest.skip("a private network needs the right to make namespaces")
    commands = sessions.read(sessions.ROOT / name)
    assert len(commands) > 5
    sessions.play(commands, Path(binary("meshctl")).resolve().parent, inside)
    for command in commands:
        if command.is_setup:
            continue
        where = f"{name}:{command.line}: {command.text}"
        assert command.status == command.wanted_status, where
        assert sessions.essence(command.printed) == sessions.essence(command.expected), where


def test_a_difference_is_noticed():
    """The comparison can fail: a word, a name or a heading that changes is seen."""
    line = ["shop => prices: allow; generation 5 is live in every worker"]
    assert sessions.essence(line) == sessions.essence([line[0].replace("5", "71")])
    for old, new in [("allow", "deny"), ("prices", "price"), ("live", "stored")]:
        assert sessions.essence(line) != sessions.essence([line[0].replace(old, new)])
    table = ["NAME  P50", "a     1 µs", "b     -"]
    assert sessions.essence(table) == sessions.essence(["NAME P50", "a 1.5 ms", "b 20 s"])
    assert sessions.essence(table) != sessions.essence(["NAME P99", "a 1 µs", "b -"])
