"""Requests from many keep-alive connections; every failure is counted and kept."""

import threading
import time
from dataclasses import dataclass, field

from wire import PATIENCE, Client, Closed


@dataclass
class Failure:
    """One request that did not get its answer."""

    at: float
    local_port: int
    what: str


@dataclass
class Tally:
    """What one connection of the load saw."""

    ok: int = 0
    failures: list = field(default_factory=list)
    slowest: float = 0.0
    longest_gap: float = 0.0


class Load:
    """Keeps asking until stopped. A connection that breaks is counted and opened anew.

    A request fails when it was not answered with `expect`, whatever the reason: refused, reset,
    closed, timed out, another status, another body.
    """

    def __init__(self, port, connections=8, pause=0.002, target="/", body=b"ok", host="ex.test"):
        self.port, self.pause, self.target, self.body, self.host = port, pause, target, body, host
        self.clock = time.monotonic
        self.stopping = threading.Event()
        self.tallies = [Tally() for _ in range(connections)]
        self.threads = [
            threading.Thread(target=self.run, args=(tally,), daemon=True) for tally in self.tallies
        ]

    def measured_in(self, clock):
        """Measures waits by another clock than time: by the work that somebody else does."""
        self.clock = clock
        return self

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(PATIENCE)
        return self

    def run(self, tally):
        client, last = None, self.clock()
        while not self.stopping.is_set():
            begun = self.clock()
            local = 0
            try:
                client = client or Client(self.port)
                local = client.sock.getsockname()[1]
                answer = client.get(self.target, self.host)
                if answer.status != 200 or answer.body != self.body:
                    raise Closed(f"status {answer.status}, body {answer.body[:40]!r}")
                tally.ok += 1
                now = self.clock()
                tally.slowest = max(tally.slowest, now - begun)
                tally.longest_gap = max(tally.longest_gap, now - last)
                last = now
            except (OSError, Closed, ValueError) as error:
                tally.failures.append(
                    Failure(time.monotonic(), local, f"{type(error).__name__}: {error}")
                )
                if client:
                    client.close()
                client = None
            time.sleep(self.pause)
        if client:
            client.close()

    @property
    def ok(self):
        return sum(t.ok for t in self.tallies)

    @property
    def failures(self):
        return sorted((f for t in self.tallies for f in t.failures), key=lambda f: f.at)

    @property
    def slowest(self):
        return max(t.slowest for t in self.tallies)

    def wait_for_more(self, count, seconds=PATIENCE):
        """Waits until `count` more requests were answered."""
        end, goal = time.monotonic() + seconds, self.ok + count
        while self.ok < goal:
            if time.monotonic() > end:
                raise AssertionError(
                    f"only {self.ok - goal + count} of {count} answers in {seconds} s; "
                    f"newest failures: {[f.what for f in self.failures[-3:]]}"
                )
            time.sleep(0.01)
