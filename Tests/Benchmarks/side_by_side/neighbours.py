"""Nodes, benchmarks and test runs of others on this machine: what runs beside a measurement takes
processor time from it, and is said with the result.

    neighbours.py    tells of them on standard error
"""

import os
import sys
from pathlib import Path

PROGRAMS = {"controlplane", "dataplane", "snapshot-bench", "pytest"}
SCRIPTS = {"bench.py", "end_to_end.py", "soak.py", "pytest"}


def words_of(pid):
    """The command line of a process; none when it is gone or has none."""
    try:
        return [w.decode("utf-8", "replace") for w in read(pid, "cmdline").split(b"\0") if w]
    except OSError:
        return []


def read(pid, name):
    return Path(f"/proc/{pid}/{name}").read_bytes()


def parent(pid):
    try:
        return int(read(pid, "stat").rpartition(b")")[2].split()[1])
    except OSError:
        return 0


def command(words):
    """What a command line runs, when it is a node or a measurement: its name and what it is asked
    to do. Options are left out: they may hold secrets.
    """
    if not words:
        return None
    words = [Path(words[0]).name, *words[1:]]
    if words[0].startswith("python"):
        rest = [w for w in words[1:] if not w.startswith("-")]
        words = [Path(rest[0]).name, *words[words.index(rest[0]) + 1 :]] if rest else words
        if words[0] not in SCRIPTS:
            return None
    elif words[0] not in PROGRAMS:
        return None
    end = next((at for at, word in enumerate(words) if word.startswith("-")), len(words))
    return " ".join(words[: min(end, 2)])


def chosen(processes, own):
    """Of {pid: (parent, words)} those to tell of: [{pid, command}], without `own`, its ancestors
    and descendants, and without the workers of a data plane or of a test run.
    """

    def line(pid):
        while pid in processes:
            yield pid
            pid = processes[pid][0]

    related = set(line(own))
    found = []
    for pid, (above, words) in sorted(processes.items()):
        name = command(words)
        if name is None or pid in related or own in line(pid):
            continue
        if command(processes.get(above, (0, []))[1]) == name:
            continue
        found.append({"pid": pid, "command": name})
    return found


def found(own=None):
    """Those that run now."""
    pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    return chosen({pid: (parent(pid), words_of(pid)) for pid in pids}, own or os.getpid())


def lines(neighbours):
    """One line for each of them, for people."""
    return [
        f"runs beside and disturbs the measurement: process {one['pid']}, {one['command']}"
        for one in neighbours
    ]


if __name__ == "__main__":
    for text in lines(found()):
        print(f"warning: {text}", file=sys.stderr)
