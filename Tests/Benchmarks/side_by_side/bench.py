"""Ringmesh beside haproxy, nginx and envoy: one run, the same backend, one worker on one core each.

Started by tools/bench, which installs the peers, builds everything, and makes the modules of
Tests/Integration importable.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import instructions
import machine
import measure
import neighbours
import report
import sides
from ports import Ports
from rows import LIMITS, ROWS, USUAL

BEGUN = time.monotonic()


def say(text):
    print(f"[{time.monotonic() - BEGUN:4.0f}s] {text}", flush=True)


def arguments():
    parser = argparse.ArgumentParser(prog="tools/bench", description=__doc__.split("\n")[0])
    names = ", ".join(row.name for row in ROWS)
    parser.add_argument("--rows", default="usual", help=f"usual, all, none, or some of: {names}")
    parser.add_argument(
        "--memory", default="all", help="all, none, or some of: " + ", ".join(LIMITS)
    )
    parser.add_argument(
        "--sides",
        default="direct,forward,forward-splice,ringmesh,ringmesh-epoll,ringmesh-routes,haproxy,"
        "haproxy-splice,nginx,envoy",
        help="some of the sides above; each row takes those it is meant for (all)",
    )
    parser.add_argument("--rounds", type=int, default=10, help="interleaved rounds (10)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of one measurement (2)")
    parser.add_argument("--rate", type=int, default=20000, help="fixed rate at most (20000/s)")
    parser.add_argument("--congestion", default="reno", help="of every socket; '' for the default")
    parser.add_argument("--spin", action="store_true", help="loader and backend never sleep")
    parser.add_argument("--out", type=Path, help="folder of the results")
    parser.add_argument(
        "--join",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="measures nothing: makes one report of the results of several runs of other rows",
    )
    parser.add_argument(
        "--instructions",
        action="store_true",
        help="also counts the worker's instructions per request with callgrind (valgrind)",
    )
    parser.add_argument("--gate", action="store_true", help="exit 1 when a target is missed")
    parser.add_argument("--programs", type=Path, required=True, help=argparse.SUPPRESS)
    return parser.parse_args()


def chosen(wanted, names, usual):
    """Names out of `names`: usual, all, none, or a list that is checked."""
    if wanted in ("usual", "all", "none"):
        return {"usual": usual, "all": names, "none": []}[wanted]
    picked = wanted.split(",")
    unknown = [name for name in picked if name not in names]
    if unknown:
        sys.exit(f"bench: unknown: {', '.join(unknown)}; there are: {', '.join(names)}")
    return picked


def thousands(rate):
    return int(rate / 1000) * 1000 or 500


class Bench:
    """One run from the first start to the last report."""

    def __init__(self, options, plan, result):
        self.options = options
        self.plan = plan
        self.result = result
        self.rig = measure.Rig(options.programs, plan, options.spin)
        self.names = list(result.sides)
        self.rows = []
        self.default_congestion = machine.default_congestion()

    def side(self, name):
        return sides.kinds()[name](self.plan)

    @contextlib.contextmanager
    def started(self, name):
        side = self.side(name)
        try:
            side.start()
            yield side
        finally:
            side.stop()

    def void(self, what, side, reason):
        say(f"  void: {what}, {side}: {reason}")
        self.result.voids.append((what, side, str(reason)))

    # --- memory ---

    def measure_memory(self, kinds):
        """Every kind on a fresh start of every side: what one workload left would hide the next."""
        top = min(9000, self.plan.open_files // 2 - 900)
        for kind in kinds:
            self.result.memory[kind] = {}
        for name in self.result.proxies:
            if name in report.SAME_MEMORY:
                continue
            say(f"memory of {name}: {', '.join(kinds)}")
            for kind in kinds:
                try:
                    value = self.memory_of(name, kind, (top // 9, top))
                    self.result.memory[kind][name] = value
                except measure.Void as reason:
                    self.void(kind, name, reason)

    def memory_of(self, name, kind, counts):
        if kind == "size":
            return measure.stripped_size(self.side(name).program(), self.plan.directory)
        with self.started(name) as side:
            if kind == "base":
                return measure.rss(side.worker())
            entry = {"idle-plain": "h1", "idle-tls": "tls", "idle-h2": "h2"}[kind]
            return measure.idle_memory(self.rig, side, entry, counts)

    # --- speed ---

    def run(self, side, row, seconds, tries=3):
        rate = self.result.settings["half_rate" if row.half else "rate"]
        try:
            return self.rig.run(side, row, seconds, rate)
        except measure.Void as reason:
            if isinstance(reason, measure.Disturbed) and tries > 1:
                return self.run(side, row, seconds, tries - 1)
            self.void(row.name, side.name, reason)
            return None

    def calibrate(self, running):
        """Warms every side; finds the fixed rate and half of what the best peer can do."""
        speeds = {}
        for row in ROWS:
            for side in running if row.name in ("h1-64", "l4-64") else ():
                figures = self.run(side, row, 1.0) if side.takes(row) else None
                if figures and side.name in self.result.proxies:
                    speeds[row.name, side.name] = figures["per_second"]
        settings = self.result.settings
        if speeds:
            settings["rate"] = min(self.options.rate, thousands(min(speeds.values()) / 2))
        peers = [speeds.get(("h1-64", name), 0) for name in self.result.peers]
        settings["half_rate"] = thousands(max(peers, default=0) / 2)
        say(f"fixed rate {settings['rate']}/s, half of the best peer {settings['half_rate']}/s")

    def measure_speed(self):
        samples = {row.name: {name: [] for name in self.names} for row in self.rows}
        self.result.rows = [(row, samples[row.name]) for row in self.rows]
        for default in (False, True):
            rows = [row for row in self.rows if row.default_congestion is default]
            if rows:
                self.measure_group(rows, samples, default)

    def measure_group(self, rows, samples, default):
        """Rows with one congestion control: backend and sides are started anew for it."""
        chosen = self.plan.congestion
        if default:
            self.plan.congestion = machine.use_congestion(self.default_congestion)
            say(f"congestion control {self.plan.congestion}")
            self.rig.stop()
            self.rig.start()
        names = [name for name in self.names if any(self.side(name).takes(row) for row in rows)]
        try:
            with contextlib.ExitStack() as stack:
                running = [stack.enter_context(self.started(name)) for name in names]
                if any(row.paced for row in rows):
                    self.calibrate(running)
                for number in range(self.options.rounds):
                    self.round(number, rows, running, samples)
        finally:
            self.plan.congestion = chosen

    def round(self, number, rows, running, samples):
        """Every row on every side, another side first each time."""
        begun = time.monotonic()
        for row in rows:
            turn = number % len(running)
            for side in running[turn:] + running[:turn]:
                figures = self.run(side, row, self.options.seconds) if side.takes(row) else None
                if figures:
                    samples[row.name][side.name].append(figures)
        took = time.monotonic() - begun
        left = (self.options.rounds - number - 1) * took
        say(f"round {number + 1} of {self.options.rounds}; about {left:.0f} s left")

    def count_instructions(self):
        say("instructions per request")
        try:
            self.result.instructions = instructions.measured(self.rig)
        except (measure.Void, subprocess.SubprocessError, OSError) as reason:
            self.void("instructions", report.OURS, reason)

    def run_all(self, kinds):
        self.rig.start()
        try:
            if kinds:
                self.measure_memory(kinds)
            if self.rows:
                self.measure_speed()
            if self.options.instructions:
                self.count_instructions()
        finally:
            self.rig.stop()


def prepare(options, directory):
    """The plan of a run and an empty result."""
    congestion, own_network = machine.own_network(options.congestion)
    places = machine.Places(machine.cores())
    os.sched_setaffinity(0, places.loader)  # for what is not pinned: control plane, this program
    plan = sides.Plan(directory, options.programs, Ports(), places, congestion)
    plan.open_files = machine.open_files()
    plan.make_certificates()
    if options.congestion and congestion != options.congestion:
        say(f"congestion control {options.congestion} cannot be had, all use {congestion}")
    beside = neighbours.found()
    for text in neighbours.lines(beside):
        say(f"warning: {text}")
    settings = {
        "neighbours": beside,
        "congestion": congestion,
        "own_network": own_network,
        "places": places.text(),
        "spin": options.spin,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "rate": options.rate,
        "half_rate": options.rate,
    }
    kinds = sides.kinds()
    wanted = chosen(options.sides, list(kinds), [])
    versions = {name: kinds[name](plan).version() for name in kinds if name in wanted}
    return plan, report.Result(machine.facts(places.available), settings, versions)


def finish(options, result):
    """Writes the report and ends with what the exit status says."""
    folder = options.out or Path(".build-bench") / time.strftime("results-%Y%m%d-%H%M%S")
    print("\n" + report.write(result, folder))
    say(f"written to {folder}/: results.md, results.json, chart.svg")
    if result.voids or (options.gate and result.missed()):
        sys.exit(1)


def main():
    options = arguments()
    if options.join:
        try:
            finish(options, report.join([report.read(folder) for folder in options.join]))
        except (OSError, ValueError) as error:
            sys.exit(f"bench: {error}")
        return
    names = chosen(options.rows, [row.name for row in ROWS], USUAL)
    kinds = chosen(options.memory, list(LIMITS), [])
    with tempfile.TemporaryDirectory(prefix="ringmesh-bench-") as directory:
        plan, result = prepare(options, directory)
        bench = Bench(options, plan, result)
        bench.rows = [row for row in ROWS if row.name in names]
        if not plan.places.alone:
            say("fewer than 4 cores: only rows of processor time, the loader saturates first")
            cores = len(plan.places.available)
            bench.rows = [row for row in bench.rows if row.needs_cores <= cores]
        try:
            bench.run_all(kinds)
        except KeyboardInterrupt:
            sys.exit(130)
        finally:
            plan.ports.close()
    finish(options, result)


if __name__ == "__main__":
    main()
