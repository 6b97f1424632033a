#!/usr/bin/env python3
"""Measures bare forwarders against each other: how should a worker move bytes on this kernel?

usage: run.py [--rounds N] [--seconds S] [--rate R] [--variants abcdefg] [--json FILE]

Every round runs every workload with every variant, in an order that turns from round to round, so
that drift of the machine hits all alike. Forwarder, sink and loader are pinned to cores of their
own. Before anything is timed, each variant must carry 64 MiB both ways without a wrong byte.

The figures to trust on a shared machine are CPU nanoseconds of the forwarder per round trip at a
fixed rate, and per MiB: they are what the scheduler counted for its process, not elapsed time.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
OUT = ROOT / ".build-bench/ring"
HERE = ROOT / "Tests/Benchmarks/ring"
WARNINGS = (
    "-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wvla -Wmissing-prototypes "
    "-Wstrict-prototypes -Wimplicit-fallthrough -Werror -Wno-c23-extensions -Wno-gnu"
).split()
FLAGS = ["-std=gnu17", "-O3", "-march=x86-64-v2", "-fvisibility=hidden", "-D_GNU_SOURCE", *WARNINGS]
VARIANTS = {
    "a": "multishot recv, queued send",
    "b": "multishot recv, send(2)",
    "c": "epoll, read/write",
    "d": "one-shot recv, send(2)",
    "e": "epoll, splice(2)",
    "f": "ring poll, splice(2)",
    "g": "level-triggered epoll, read/write",
}
SINKS = {"echo": 7701, "discard": 7702, "source": 7703}
SINK_CORE, FORWARD_CORE, LOAD_CORES = "0", "1", "2,3"


class Workload:
    """What is offered: `rate` 0 is as fast as it goes."""

    def __init__(self, name, mode, sink, size, conns, rate=0):
        self.name, self.mode, self.sink, self.size = name, mode, sink, size
        self.conns, self.rate = conns, rate


def workloads(rate):
    return [
        Workload("64 B, 1 connection", "pingpong", "echo", "small", 1),
        Workload(f"64 B, 64 connections, {rate}/s", "pingpong", "echo", "small", 64, rate),
        Workload(f"64 B, 512 connections, {rate}/s", "pingpong", "echo", "small", 512, rate),
        Workload("64 B, 64 connections, full", "pingpong", "echo", "small", 64),
        Workload("64 B, 512 connections, full", "pingpong", "echo", "small", 512),
        Workload("bulk up, 4 connections", "up", "discard", "large", 4),
        Workload("bulk down, 4 connections", "down", "source", "large", 4),
    ]


def compiler():
    if os.environ.get("MESH_CC"):
        return os.environ["MESH_CC"]
    swift = shutil.which("swift")
    beside = Path(swift).resolve().parent / "clang" if swift else None
    return str(beside) if beside and beside.exists() else "clang"


def build():
    OUT.mkdir(parents=True, exist_ok=True)
    includes = [f"-I{ROOT}/CSources/{room}/include" for room in ("base", "core", "ring")]
    sources = [
        str(p)
        for room in ("base", "core", "ring")
        for p in sorted((ROOT / "CSources" / room).glob("*.c"))
    ]
    forward = [str(p) for p in sorted(HERE.glob("forward*.c"))]
    base = [compiler(), *FLAGS, *includes]
    subprocess.run([*base, str(HERE / "load.c"), "-o", str(OUT / "load")], check=True)
    close = [str(HERE / "close.c"), *sources, "-luring", "-o", str(OUT / "close")]
    subprocess.run([*base, *close], check=True)
    subprocess.run([*base, *forward, *sources, "-luring", "-o", str(OUT / "forward")], check=True)


class Process:
    """A pinned child that is ended with the block."""

    def __init__(self, core, *command):
        self.child = subprocess.Popen(["taskset", "-c", core, *map(str, command)])

    def __enter__(self):
        return self.child

    def __exit__(self, *_):
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()


class Ports:
    """A fresh port per run: the last one's connections may still be closing."""

    next = 7800

    @classmethod
    def take(cls):
        cls.next = cls.next + 1 if cls.next < 9700 else 7801
        return cls.next


def listening(port):
    wanted = f"0100007F:{port:04X} 00000000:0000 0A"
    return wanted in Path("/proc/net/tcp").read_text()


def wait_for(port):
    deadline = time.monotonic() + 5
    while not listening(port):
        if time.monotonic() > deadline:
            sys.exit(f"nobody listens on port {port}")
        time.sleep(0.01)


def measure(variant, load, seconds):
    port = Ports.take()
    with Process(
        FORWARD_CORE, OUT / "forward", variant, port, SINKS[load.sink], load.size
    ) as child:
        wait_for(port)
        result = subprocess.run(
            [
                "taskset",
                "-c",
                LOAD_CORES,
                str(OUT / "load"),
                "run",
                str(port),
                load.mode,
                str(load.conns),
                str(seconds),
                str(load.rate),
                str(child.pid),
            ],
            check=False,
            stdout=subprocess.PIPE,
            timeout=seconds + 30,
        )
    if result.returncode != 0:
        sys.exit(f"variant {variant}, {load.name}: the loader failed: {result.stdout.decode()}")
    return json.loads(result.stdout)


def verify(variants):
    for variant in variants:
        for size in ("small", "large"):
            measure(variant, Workload("verify", "verify", "echo", size, 1), 1)
    print("every variant carries 64 MiB both ways unchanged", flush=True)


def quartiles(values):
    """First quartile, median, third quartile."""
    values = sorted(values)
    quarter = len(values) // 4
    return [round(v, 2) for v in (values[quarter], statistics.median(values), values[-1 - quarter])]


def summary(samples, load):
    """What is kept of the rounds: CPU microseconds per round trip or MiB, and what was reached."""
    bulk = load.mode in ("up", "down")
    unit, scale = ("cpu_us_per_mib", 2**20 / 1e3) if bulk else ("cpu_us", 1 / 1e3)
    rate, factor = ("gb_per_second", 1e9) if bulk else ("k_per_second", 1e3)
    return {
        unit: quartiles([s["cpu_ns_each"] * scale for s in samples]),
        rate: quartiles([s["per_second"] / factor for s in samples]),
    }


def cell(kept, load):
    (low, median, high), reached = kept.values()
    text = f"{median:.1f} ({low:.1f}–{high:.1f})"
    if load.mode in ("up", "down"):
        return text + f", {reached[1]:.2f} GB/s"
    return text if load.rate else text + f", {reached[1]:.1f} k/s"


def table(kept, loads, variants):
    print("\nCPU microseconds of the forwarder per round trip, or per MiB: median (quartiles)\n")
    print("| workload | " + " | ".join(f"{v}: {VARIANTS[v]}" for v in variants) + " |")
    print("|---|" + "---|" * len(variants))
    for load in loads:
        cells = [cell(kept[load.name][v], load) for v in variants]
        print(f"| {load.name} | " + " | ".join(cells) + " |")


def close_costs(rounds):
    """Microseconds of CPU per ring_close(), by what else is pending and how it finds its own."""
    costs = {}
    for pending in (0, 1000, 9000):
        for way in ("token", "walk"):
            output = [
                subprocess.run(
                    [str(OUT / "close"), str(pending), way], check=True, stdout=subprocess.PIPE
                ).stdout.decode()
                for _ in range(rounds)
            ]
            values = [float(line.split(": ")[1].split()[0]) for line in output]
            costs[f"{pending} pending, by {way}"] = statistics.median(values)
    return costs


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rate", type=int, default=10000)
    parser.add_argument("--variants", default="abcdefg")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if os.cpu_count() < 4:
        print("fewer than 4 cores: only CPU time at the fixed rate means anything", file=sys.stderr)
    build()
    loads = workloads(options.rate)
    results = {load.name: {v: [] for v in options.variants} for load in loads}
    sinks = [Process(SINK_CORE, OUT / "load", "sink", port, mode) for mode, port in SINKS.items()]
    try:
        for port in SINKS.values():
            wait_for(port)
        verify(options.variants)
        for number in range(options.rounds):
            turn = number % len(options.variants)
            for load in loads:
                for variant in options.variants[turn:] + options.variants[:turn]:
                    sample = measure(variant, load, options.seconds)
                    results[load.name][variant].append(sample)
            print(
                f"round {number + 1} of {options.rounds}, load average {os.getloadavg()[0]:.1f}",
                flush=True,
            )
    finally:
        for sink in sinks:
            sink.__exit__()
    kept = {
        load.name: {v: summary(results[load.name][v], load) for v in options.variants}
        for load in loads
    }
    table(kept, loads, options.variants)
    closes = close_costs(options.rounds)
    print("\nCPU time per ring_close(), median")
    for name, cost in closes.items():
        print(f"  {name}: {cost:.1f} us")
    if options.json:
        machine = {
            "kernel": platform.release(),
            "cpus": os.cpu_count(),
            "rounds": options.rounds,
            "seconds": options.seconds,
            "rate": options.rate,
            "congestion": "reno",
        }
        document = {"machine": machine, "results": kept, "close_us": closes}
        options.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
