"""Child processes of the tests: own process group, output in a file, only they are ever killed, and
none outlives the tests.
"""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import reaper
import wire


class Child:
    """One program that a test started."""

    def __init__(self, name, command, directory, env=None):
        self.name = name
        self.log = Path(directory) / f"{name}.log"
        reaper.arm()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=directory,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process.poll() is None

    def text(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def tail(self, lines=30):
        return "\n".join(self.text().splitlines()[-lines:])

    def wait(self, seconds=wire.PATIENCE):
        return self.process.wait(seconds)

    def terminate(self, seconds=wire.PATIENCE):
        """SIGTERM, then SIGKILL to the group when it does not end in time; the exit status."""
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
            try:
                return self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill_group()
        return self.process.wait(wire.PATIENCE)

    def kill(self):
        """SIGKILL to the process itself, not to its children."""
        if self.alive():
            self.process.kill()
        return self.process.wait(wire.PATIENCE)

    def kill_group(self):
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(wire.PATIENCE)


def rss_kib(pid):
    """Resident memory of a process that is its own: shared memory files are not counted."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1])
    raise ProcessLookupError(pid)


def fds(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def work_within(pids, seconds):
    """Processor seconds that processes use within so much time."""
    before = sum(cpu_seconds(pid) for pid in pids)
    time.sleep(seconds)
    return sum(cpu_seconds(pid) for pid in pids) - before


def work_so_far(pids):
    """Processor seconds of processes to the nanosecond; of one that is gone, none."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            total += int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0])
    return total / 1e9


def state(pid):
    """One letter, as in proc(5): R, S, T, Z; X when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def exists(pid):
    return state(pid) not in ("Z", "X")


def stop(pid):
    """SIGSTOP, and it stands still: on a busy machine it runs on for a while."""
    os.kill(pid, signal.SIGSTOP)
    wire.wait_for(lambda: state(pid) == "T", what=f"process {pid} to stop")


def parent(pid):
    """The process id of a process's parent; 0 when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[1])


def children(pid):
    """Process ids whose parent is `pid`."""
    entries = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    return [entry for entry in entries if parent(entry) == pid]


def listens(port):
    try:
        wire.connect(port, timeout=0.5).close()
        return True
    except OSError:
        return False


def wait_for_port(port, child, seconds=wire.PATIENCE):
    end = time.monotonic() + seconds
    while not listens(port):
        if not child.alive() or time.monotonic() > end:
            raise AssertionError(f"{child.name} does not listen on {port}:\n{child.tail()}")
        time.sleep(0.05)
