"""Runs the loader against a side and reads what it cost."""

import json
import os
import subprocess
from pathlib import Path

import h2load
import idle_h2
import machine
from void import Disturbed, Void


class Rig:
    """Backend and loader; built beforehand, both pinned."""

    def __init__(self, programs, plan, spin=False):
        self.programs = Path(programs)
        self.plan = plan
        self.spin = spin
        self.backend = None

    def start(self):
        plan = self.plan
        command = [self.programs / "backend", "--http", plan.backend["h1"]]
        command += ["--exchange", plan.backend["l4"], "--grpc", plan.backend["grpc"]]
        command += ["--cpu", plan.places.backend]
        command += ["--congestion", plan.congestion] if plan.congestion else []
        command += ["--spin"] if self.spin else []
        self.backend = subprocess.Popen([str(part) for part in command])

    def stop(self):
        if self.backend and self.backend.poll() is None:
            self.backend.terminate()
            self.backend.wait(5)

    def command(self, side, entry, options):
        """The loader's command line; an option that is True stands alone."""
        plan = self.plan
        if h2load.takes(entry, options):
            return h2load.command(plan, entry, side.entries[entry], options)
        words = [self.programs / "load", "--port", side.entries[entry]]
        if plan.congestion:
            words += ["--congestion", plan.congestion]
        if entry in ("tls", "resume"):
            words += ["--tls", plan.ca]
        for name, value in options.items():
            words += [f"--{name}"] if value is True else [f"--{name}", value]
        return [str(word) for word in words]

    def watched(self, side):
        names = {"backend": self.backend.pid}
        if side.worker():
            names["proxy"] = side.worker()
        for number, pid in enumerate(side.helpers()):
            names[f"helper{number}"] = pid
        return names

    def run(self, side, row, seconds, rate):
        """One measurement as a dictionary of figures, or Void."""
        options = {**row.load, "seconds": seconds}
        options["cpus"] = ",".join(map(str, self.plan.places.loader))
        if row.paced:
            options["rate"] = rate
        if self.spin:
            options["spin"] = True
        command = self.command(side, row.entry, options)
        if h2load.takes(row.entry, row.load):
            coded = {}
            if "coding" in row.load:
                coded["body_bytes"] = h2load.coded_length(side.entries[row.entry], row.load)
            before = machine.cpu_times()
            said = h2load.run(command, self.watched(side), seconds, row.load)
            return {**self.figures(said, row, rate, busy(before, machine.cpu_times())), **coded}
        for name, pid in self.watched(side).items():
            command += ["--watch", f"{name}={pid}"]
        before = machine.cpu_times()
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds + 60, check=False
        )
        after = machine.cpu_times()
        if done.returncode != 0:
            raise Void(done.stderr.strip() or f"the loader ended with {done.returncode}")
        return self.figures(json.loads(done.stdout), row, rate, busy(before, after))

    def figures(self, said, row, rate, busy_cores):
        errors = {kind: count for kind, count in said["errors"].items() if count}
        if errors:
            raise Void(", ".join(f"{count} × {kind}" for kind, count in errors.items()))
        requests, seconds = said["requests"], said["seconds"]
        if requests == 0:
            raise Void("nothing was answered")
        if row.load.get("resume") and said["resumed"] < 0.98 * requests:
            raise Void(f"{said['resumed']} of {requests} handshakes were resumed")
        if row.paced and requests / seconds < 0.98 * rate:
            raise Disturbed(f"{requests / seconds:.0f} of {rate} requests/s were kept")
        watched = said["watched_ns"]
        helpers = sum(ns for name, ns in watched.items() if name.startswith("helper"))
        return {
            "per_second": requests / seconds,
            "gb_per_second": said["bytes"] / seconds / 1e9,
            "cpu_ns": watched.get("proxy", 0) / requests,
            "helper_cpu_ns": helpers / requests,
            "p50_us": said.get("p50_us"),
            "p99_us": said.get("p99_us"),
            "late": said.get("late", 0),
            "proxy_busy": watched.get("proxy", 0) / seconds / 1e9,
            "backend_busy": watched["backend"] / seconds / 1e9,
            "loader_busy": said["own_cpu_ns"] / seconds / 1e9,
            "cores_busy": busy_cores,
        }


def busy(before, after):
    """Share of time that every processor was not idle, ours or another's doing."""
    found = {}
    for cpu, (work, total) in after.items():
        span = total - before[cpu][1]
        found[cpu] = round((work - before[cpu][0]) / span, 2) if span else 0.0
    return found


def rss(pid):
    """Resident bytes of a process, shared memory and files included."""
    for line in machine.read(f"/proc/{pid}/status").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(pid)


class Crowd:
    """Idle connections to one entry of a side."""

    def __init__(self, rig, side, entry, most):
        command = rig.command(side, entry, {"idle": True, "connections": most})
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def say(self, word):
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer:
            raise Void(self.process.stderr.read().strip() or "the idle loader ended")
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)


def idle_memory(rig, side, entry, counts):
    """Bytes per idle connection between two crowds, one request done by each connection."""
    few, many = counts
    crowd = (idle_h2.Crowd if entry == "h2" else Crowd)(rig, side, entry, many)
    try:
        crowd.say(few)
        low = rss(side.worker())
        crowd.say(many)
        high = rss(side.worker())
        answer = crowd.say("check")
        if answer != f"answered {many} dropped 0":
            raise Void(f"of {many} idle connections: {answer}")
    finally:
        crowd.close()
    return (high - low) / (many - few)


def stripped_size(program, directory):
    """Bytes of a program without symbols, its shared libraries not counted."""
    copy = Path(directory) / "stripped"
    subprocess.run(["strip", "-o", str(copy), program], check=True)
    size = os.path.getsize(copy)
    copy.unlink()
    return size
