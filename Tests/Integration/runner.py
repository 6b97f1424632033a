"""Plays all http-cases over several lanes at once and tells what failed.

Against haproxy, by hand:   python3 Tests/Integration/runner.py
"""

import queue
import sys
import tempfile
import threading
from collections import Counter

import cases
import peers
import vectors
from ports import Ports
from wire import Closed, Recorder


def play_all(lanes, requests=(), responses=()):
    """{(id, mode): text of the fault} of all cases; lanes are used by one case at a time."""
    work, faults, lock = queue.Queue(), {}, threading.Lock()
    for case in requests:
        for mode in cases.modes_of(case, vectors.input_of(case)):
            work.put((case, mode))
    for case in responses:
        work.put((case, "response"))

    def drain(lane):
        while True:
            try:
                case, mode = work.get_nowait()
            except queue.Empty:
                return
            fault = play_one(case, mode, lane)
            if fault:
                with lock:
                    faults[(case["id"], mode)] = fault

    threads = [threading.Thread(target=drain, args=(lane,)) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return faults


def play_one(case, mode, lane):
    """The fault of one case in one mode, or None."""
    try:
        if mode == "response":
            cases.play_response(case, lane)
        else:
            cases.play_request(case, mode, lane)
        return None
    except vectors.Fault as fault:
        return str(fault)
    except (OSError, Closed, ValueError, IndexError) as error:
        return f"{type(error).__name__}: {error}"


def report(listed_cases, faults, out=sys.stdout):
    """One line per failed case with the modes in which it failed; counts by strength."""
    parts = ("http1_requests", "http1_responses")
    listed = {case["id"]: case for part in parts for case in listed_cases[part]}
    by_case = {}
    for (name, mode), text in sorted(faults.items()):
        by_case.setdefault(name, {}).setdefault(text, []).append(mode)
    strengths = Counter()
    for name, texts in by_case.items():
        case = listed[name]
        strengths[case["strength"]] += 1
        kind = f"{case['strength']:9} {name:32} {case['expect']:22}"
        for text, modes in texts.items():
            print(f"{kind} {'+'.join(modes)}: {text}", file=out)
    total = Counter(c["strength"] for c in listed.values())
    summary = ", ".join(f"{s} {strengths[s]}/{total[s]}" for s in sorted(total))
    print(f"cases failed: {summary}", file=out)
    return strengths


def haproxy_lanes(directory, ports, recorders):
    places = [(ports.take(), ports.take(), r.port) for r in recorders]
    child = peers.haproxy(directory, peers.haproxy_lanes(places), places[0][0])
    return child, [cases.Lane(p, g, r) for (p, g, _), r in zip(places, recorders, strict=True)]


def main():
    known = vectors.load()
    ports, recorders = Ports(), [Recorder() for _ in range(8)]
    special = {"rs-connect-refused", "rs-connect-blackhole"}
    with tempfile.TemporaryDirectory() as directory:
        child, lanes = haproxy_lanes(directory, ports, recorders)
        try:
            only = set(sys.argv[1:])
            chosen = [c for c in known["http1_requests"] if not only or c["id"] in only]
            answers = [c for c in known["http1_responses"] if not only or c["id"] in only]
            faults = play_all(lanes, chosen, [c for c in answers if c["id"] not in special])
            report(known, faults)
        finally:
            child.terminate()
            ports.close()


if __name__ == "__main__":
    main()
