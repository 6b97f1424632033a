"""Plays the HTTP/2 checks and cases over several lanes at once.

Against a foreign server, by hand:   python3 Tests/Integration/h2runner.py haproxy|nginx|h2o [word]
"""

import queue
import sys
import tempfile
import threading
from dataclasses import dataclass

import certificates
import h2cases
import h2check
import h2checks_accepted  # noqa: F401 - registers its checks
import h2checks_fields  # noqa: F401
import h2checks_refused  # noqa: F401
import peers
import vectors
from h2client import tls_context
from ports import Ports
from vectors import Fault
from wire import Closed, Recorder

TRANSPORTS = ("h2c", "tls")


@dataclass
class Lane:
    """One server under test: a plain port, a TLS port, and the upstream behind both."""

    port: int
    tls_port: int
    recorder: object
    head_timeout: float = 2.0

    def where(self, transport):
        """(port, TLS context) for a connection."""
        return (self.tls_port, tls_context()) if transport == "tls" else (self.port, None)


def spread(lanes, jobs, play):
    """{job: play(job, lane)} over all lanes; a lane does one job at a time."""
    work, results = queue.Queue(), {}
    for job in jobs:
        work.put(job)

    def drain(lane):
        while True:
            try:
                job = work.get_nowait()
            except queue.Empty:
                return
            results[job] = play(job, lane)

    threads = [threading.Thread(target=drain, args=(lane,)) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def play_checks(lanes, transports=TRANSPORTS, chosen=None):
    """{(name, transport): text of the fault or None}."""
    named = {c.name: c for c in (chosen or h2check.CHECKS)}

    def play(job, lane):
        name, transport = job
        lane.recorder.reset(h2check.answer)
        return h2check.run(named[name], *lane.where(transport))

    return spread(lanes, [(name, t) for t in transports for name in named], play)


def play_cases(lanes, chosen, transports=TRANSPORTS):
    """{(id, transport, mode): text of the fault or None}."""
    named = {c["id"]: c for c in chosen}

    def play(job, lane):
        name, transport, mode = job
        try:
            h2cases.play(named[name], transport, mode, lane)
            return None
        except Fault as fault:
            return str(fault)
        except (OSError, Closed, ValueError, IndexError, AssertionError) as error:
            return f"{type(error).__name__}: {error}"

    jobs = [(n, t, m) for n, c in named.items() for t in transports for m in h2cases.modes_of(c)]
    return spread(lanes, jobs, play)


def main():
    server, words = sys.argv[1], sys.argv[2:]
    ports = Ports()
    chosen = [c for c in h2check.CHECKS if not words or any(w in c.name for w in words)]
    listed = [
        c
        for c in h2cases.sequences(vectors.load())
        if not words or any(w in c["id"] for w in words)
    ]
    with tempfile.TemporaryDirectory() as directory:
        cert, key = certificates.leaf(
            directory, "server", certificates.authority(directory), "DNS:ex.test"
        )
        recorders = [Recorder() for _ in range(8)]
        places = [(ports.take(), ports.take(), r.port) for r in recorders]
        children = peers.http2_servers(server, directory, places, cert, key)
        lanes = [Lane(p, t, r) for (p, t, _), r in zip(places, recorders, strict=True)]
        try:
            results = play_checks(lanes, chosen=chosen) if chosen else {}
            cases = play_cases(lanes, listed)
        finally:
            for child in children:
                child.terminate(1)
            ports.close()
    for transport in TRANSPORTS:
        failed = [(n, f) for (n, t), f in sorted(results.items()) if t == transport and f]
        print(f"{transport}: {len(chosen) - len(failed)} of {len(chosen)} checks passed")
        for name, fault in failed:
            print(f"    {name}: {fault[:400]}")
    by_case = {}
    for (name, transport, mode), fault in sorted(cases.items()):
        if fault:
            by_case.setdefault(name, {}).setdefault(fault, []).append(f"{transport} {mode}")
    print(f"{len(listed) - len(by_case)} of {len(listed)} cases passed")
    for name, faults in by_case.items():
        for fault, where in faults.items():
            print(f"    {name} ({', '.join(where)}): {fault[:400]}")


if __name__ == "__main__":
    main()
