"""A soak: mixed load for minutes on one node, while its configuration changes every second and its
data plane is upgraded now and then. It passes when no request failed, and memory and descriptors
of every process are as high at the end as they were at the beginning.

    tools/soak --minutes 10 --report soak.json
"""

import argparse
import contextlib
import itertools
import json
import re
import ssl
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from certificates import authority, leaf
from h2client import tls_context
from lanes import Asking, Lanes, Multiplexed, Streaming, Tunnelled, echo_server
from ports import Ports
from processes import fds, rss_kib
from ringmesh import Node, defaults, listener, service, sidecar
from wire import OK, Recorder, echo_upgrade

DRAIN_SECONDS = 5
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
SAMPLE_SECONDS = 2.0
# What may be higher at the end: allocators keep what they had, and a sample may meet a change.
SLACK_RATIO, SLACK_KIB, SLACK_FDS = 1.15, 6144, 8


class Forgetful(Recorder):
    """An upstream that does not keep what it was sent, only how much it was."""

    asked = 0

    def one(self, client, number):
        more = super().one(client, number)
        with self.lock:
            self.asked += len(self.requests)
            self.requests.clear()
        return more


def moody():
    """An answer that is 503 every tenth time."""
    turns = itertools.count(1)
    return lambda request, client: BUSY if next(turns) % 10 == 0 else OK


def router(name, **destination):
    route = {"match": {"http": {"path_prefix": "/"}}, "destination": destination}
    return {"kind": "service-router", "name": name, "routes": [route]}


class Soak:
    """One node with its services, its load, its changes and what was measured of it."""

    def __init__(self, folder, ports, stack, workers=2):
        self.web = Forgetful(answer=echo_upgrade())
        self.shadow, self.moody = Forgetful(), Forgetful(answer=moody())
        for upstream in (self.web, self.shadow, self.moody):
            stack.callback(upstream.close)
        self.raw = stack.enter_context(echo_server())
        self.plain, self.tls, self.l4, self.mesh, self.flaky = ports.take(5)
        self.mirrored, self.busy, web_port, api_port = ports.take(4)
        ca = authority(folder, "ca")
        cert, key = leaf(folder, "server", ca, "DNS:ex.test")
        self.context = ssl.create_default_context(cafile=str(ca[0]))
        self.h2_context = tls_context(cafile=str(ca[0]))
        dead = ports.dead()
        self.node = Node(
            ports,
            workers=workers,
            services=[
                service("web", self.web.port, connect=sidecar(web_port)),
                service("api", ports.dead(), connect=sidecar(api_port, {"web": self.mesh})),
                service("raw", self.raw),
                service("flaky", self.web.port, id="flaky-1"),
                service("flaky", dead, id="flaky-2"),
                service("moody", self.moody.port),
                service("shadow", self.shadow.port),
            ],
            config_entries=[
                *[defaults(name) for name in ("web", "flaky", "moody", "shadow")],
                router("flaky", num_retries=3, retry_on_connect_failure=True),
                router("moody", num_retries=3, retry_on_status_codes=[503]),
            ],
            listeners=[
                listener("public", self.plain, "web"),
                listener("tls", self.tls, "web", tls={"cert": str(cert), "key": str(key)}),
                listener("raw", self.l4, "raw", kind="l4"),
                listener("flaky", self.flaky, "flaky"),
                listener("moody", self.busy, "moody"),
                listener(
                    "mirrored",
                    self.mirrored,
                    routes=[{"service": "web", "mirror": {"service": "shadow"}}],
                ),
            ],
        )
        self.node.config["dataplane"]["drain_timeout"] = f"{DRAIN_SECONDS}s"
        self.node.write_config()
        stack.callback(self.node.close)
        self.folder = folder
        self.began = time.monotonic()
        self.upgraded_at = []
        self.changes = {"live": 0, "late": 0, "other": []}
        self.upgrades = []
        self.samples = []
        self.over = threading.Event()

    # --- load ---

    def may_be_cut(self):
        """Streams of an old data plane end with its time to drain, a little early or late."""
        age = time.monotonic() - self.upgraded_at[-1] if self.upgraded_at else 0
        return 0 < age < DRAIN_SECONDS + 5 or len(self.upgraded_at) > len(self.upgrades)

    def lanes(self):
        return Lanes(
            *[Asking(f"h1 kept {n}", self.plain, pause=0.005) for n in range(3)],
            *[Asking(f"h1 fresh {n}", self.plain, keep=False, pause=0.005) for n in range(2)],
            Asking("h1 idle", self.plain, pause=1.3),
            Asking("tls kept", self.tls, context=self.context, pause=0.01),
            Asking("tls fresh", self.tls, keep=False, context=self.context, pause=0.02),
            Asking("mesh kept", self.mesh, pause=0.01),
            Asking("mesh fresh", self.mesh, keep=False, pause=0.01),
            Asking("retries of connects", self.flaky, pause=0.01),
            Asking("retries of answers", self.busy, pause=0.01),
            Asking("mirrored", self.mirrored, pause=0.01),
            Multiplexed("mirrored over h2", self.mirrored, pause=0.02),
            Multiplexed("h2", self.plain, pause=0.01),
            Multiplexed("h2 tls", self.tls, self.h2_context, pause=0.01),
            Multiplexed("h2 idle", self.plain, pause=1.3),
            Streaming("websocket", self.plain, websocket=True, may_be_cut=self.may_be_cut),
            Tunnelled("websocket over h2", self.plain, may_be_cut=self.may_be_cut),
            Streaming("l4", self.l4, may_be_cut=self.may_be_cut),
        )

    # --- changes ---

    def change(self, number):
        """Another thing each time; all of them leave the load allowed."""
        kind = number % 4
        if kind == 0:
            action = "--allow" if number % 8 else "--deny"
            command = ("intention", "create", action, "--replace", f"caller-{number % 5}", "web")
        elif kind == 1:
            document = self.folder / "web-2.yaml"
            port = self.web.port
            document.write_text(
                f"service: {{ id: web-2, name: web, address: 127.0.0.1, port: {port} }}\n"
            )
            command = ("service", "register", document)
        elif kind == 2:
            command = ("service", "deregister", "web-2")
        else:
            document = self.folder / "other.yaml"
            document.write_text(
                f"service: {{ name: other-{number % 9}, port: {number % 99 + 1} }}\n"
            )
            command = ("service", "register", document)
        done = self.node.meshctl(*command, check=False, seconds=40)
        if done.returncode == 0 and "is live in every worker" in done.stdout:
            self.changes["live"] += 1
        elif done.returncode == 4:
            self.changes["late"] += 1  # a busy machine: it is live as soon as the worker runs
        else:
            self.changes["other"].append((done.stdout + done.stderr).strip()[-300:])

    def upgrade(self):
        self.upgraded_at.append(time.monotonic())
        done = self.node.meshctl("dataplane", "upgrade", "--wait", "30", check=False, seconds=80)
        self.upgraded_at[-1] = time.monotonic()
        self.upgrades.append((done.stdout + done.stderr).strip())
        self.node.note()
        return done.returncode == 0

    def sample(self):
        """Memory that is a process' own, and its descriptors; nothing while it is replaced."""
        with contextlib.suppress(OSError, ProcessLookupError, AssertionError, ValueError):
            supervisor = self.node.supervisor()
            workers = self.node.worker_pids()
            control = self.node.control.pid
            self.samples.append(
                {
                    "at": round(time.monotonic() - self.began, 1),
                    "supervisor": [rss_kib(supervisor), fds(supervisor)],
                    "workers": [sum(map(rss_kib, workers)), sum(map(fds, workers))],
                    "control plane": [rss_kib(control), fds(control)],
                }
            )

    # --- the run ---

    def run(self, seconds, upgrade_every):
        self.node.start()
        self.node.allow("api", "web")
        self.began = time.monotonic()
        lanes = self.lanes()
        with lanes:
            threading.Thread(target=self.sampling, daemon=True).start()
            number, next_upgrade, fine = 0, upgrade_every, True
            while self.goes_on(now := time.monotonic() - self.began, seconds):
                if upgrade_every and now >= next_upgrade:
                    fine = self.upgrade() and fine
                    next_upgrade += upgrade_every
                self.change(number)
                number += 1
                time.sleep(max(0.0, 1.0 - (time.monotonic() - self.began - now)))
            lanes.stop()
        self.over.set()
        return self.report(lanes, seconds, fine)

    def goes_on(self, now, seconds):
        """For so long, and on a busy machine until there is enough to judge by."""
        enough = len(self.samples) >= 10 and self.changes["live"] >= 10
        return now < seconds or (not enough and now < 10 * seconds)

    def sampling(self):
        while not self.over.is_set():
            self.sample()
            time.sleep(SAMPLE_SECONDS)

    def side_effects(self):
        """What clients do not see: copies at the mirror's service, and second tries."""
        tries = re.findall(
            r"^ringmesh_endpoint_retries_total\{.*\} (\d+)", self.node.metrics(), re.M
        )
        return {"copies": self.shadow.asked, "retries": sum(map(int, tries))}

    def growth(self):
        """What is higher in the last fifth of the run than in the second."""
        found = []
        fifth = len(self.samples) // 5
        if fifth == 0:
            return ["too few samples"]
        for name in ("supervisor", "workers", "control plane"):
            for index, unit in enumerate(("KiB", "descriptors")):
                early = statistics.median(s[name][index] for s in self.samples[fifth : 2 * fifth])
                late = statistics.median(s[name][index] for s in self.samples[-fifth:])
                slack = SLACK_KIB if index == 0 else SLACK_FDS
                if late > early * SLACK_RATIO + slack:
                    found.append(f"{name}: {early} to {late} {unit}")
        return found

    def report(self, lanes, seconds, upgraded):
        silent = [lane.name for lane in lanes.lanes if lane.ok == 0]
        unseen = self.side_effects()
        silent += [name for name, count in unseen.items() if count == 0]
        failures = lanes.failures
        passed = not failures and not silent and upgraded and not self.changes["other"]
        growth = self.growth()
        return {
            "passed": passed and not growth,
            "seconds": seconds,
            "answers": {lane.name: lane.ok for lane in lanes.lanes},
            "failures": failures[:100],
            "failed": len(failures),
            "silent": silent,
            **unseen,
            "changes": self.changes,
            "upgrades": len(self.upgrades),
            "growth": growth,
            "samples": self.samples,
        }


def soak(seconds, upgrade_every):
    """The report of one run."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        ports = Ports()
        stack.callback(ports.close)
        return Soak(folder, ports, stack).run(seconds, upgrade_every)


def main():
    parser = argparse.ArgumentParser(prog="tools/soak", description=__doc__.split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default 10)")
    parser.add_argument(
        "--upgrade-every", type=float, default=60.0, metavar="SECONDS", help="0: never (default 60)"
    )
    parser.add_argument("--report", type=Path, help="a file for the report as JSON")
    asked = parser.parse_args()
    report = soak(asked.minutes * 60, asked.upgrade_every)
    if asked.report:
        asked.report.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(
        f"{sum(report['answers'].values())} answers, {report['failed']} failures, "
        f"{report['copies']} copies, {report['retries']} retries, "
        f"{report['changes']['live']} changes, {report['upgrades']} upgrades; "
        f"grown: {', '.join(report['growth']) or 'nothing'}"
    )
    for failure in report["failures"][:20] + report["changes"]["other"][:5]:
        print(f"  {failure}")
    return 0 if report["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
