"""Ends what a killed run of tests leaves behind: nodes, data planes, foreign programs.

A program that a test starts outlives the test's process when that is killed, and a data plane
outlives its control plane by design. `arm()` marks the environment of this process, which all that
it starts from then on inherits, and starts this file as a program of its own session. That waits
for the end of a pipe, which the kernel closes however this process ends, and then kills whatever
carries the mark, until nothing does.

    reaper.py MARK    (standard input: the pipe)
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

VARIABLE = "RINGMESH_TESTS"
AT_REST = 3  # so many looks in a row find nothing: what was just being started is seen, too
PAUSE = 0.1

_armed = []


def arm():
    """Once for each process; the mark."""
    if not _armed:
        mark = f"{VARIABLE}={uuid.uuid4()}"
        # Our end of the pipe is inherited by nobody, forks included: it closes with this process.
        watcher = subprocess.Popen(
            [sys.executable, "-I", __file__, mark],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            # Neither its mark nor that of another run, whose watcher would end this one first.
            env={name: value for name, value in os.environ.items() if name != VARIABLE},
            start_new_session=True,
        )
        os.register_at_fork(after_in_child=watcher.stdin.close)
        os.environ[VARIABLE] = mark.partition("=")[2]
        _armed.extend((watcher, mark))
    return _armed[1]


def carries(pid, mark):
    """Whether a process was started with the mark in its environment."""
    try:
        return mark.encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # gone, a zombie, or somebody else's
        return False


def marked(mark):
    """The processes that carry the mark, but this one."""
    pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    return [pid for pid in pids if pid != os.getpid() and carries(pid, mark)]


def end(pid, mark):
    """Kills this very process: a descriptor holds it while it is looked at once more."""
    with contextlib.suppress(OSError):
        descriptor = os.pidfd_open(pid)
        try:
            if carries(pid, mark):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        finally:
            os.close(descriptor)


def end_all(mark):
    quiet = 0
    while quiet < AT_REST:
        found = marked(mark)
        for pid in found:
            end(pid, mark)
        quiet = 0 if found else quiet + 1
        time.sleep(PAUSE)


if __name__ == "__main__":
    while os.read(0, 4096):
        pass
    end_all(sys.argv[1])
