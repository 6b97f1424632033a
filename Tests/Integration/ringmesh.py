"""Starts and stops real nodes of the product on loopback: control plane, supervisor, workers.

A Node lives in one temporary directory, gets its ports from the kernel, and ends only processes
that it started. Configuration is written as JSON, which is YAML.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path

import processes
from processes import Child
from wire import PATIENCE, Client, Closed

READY_SECONDS = 60


def binary(name):
    """A built program; tools/check sets RINGMESH_BIN."""
    root = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("RINGMESH_BIN", root / ".build" / "debug"))
    if name == "dataplane" and "RINGMESH_DATAPLANE" in os.environ:
        path = Path(os.environ["RINGMESH_DATAPLANE"])
    elif name == "dataplane-asan":
        built = root / ".build-c-asan" / "debug" / "dataplane"
        path = Path(os.environ.get("RINGMESH_DATAPLANE_ASAN", built))
    else:
        path = folder / name
    if not path.exists():
        raise AssertionError(f"{path} is not built; run tools/check, or set RINGMESH_BIN")
    return path


def engine():
    """The engine that all data planes of this run are told to use; None: each takes its default."""
    return os.environ.get("RINGMESH_ENGINE") or None


def service(name, port, protocol_checks=(), **more):
    """A service definition in Consul's shape."""
    definition = {"name": name, "address": "127.0.0.1", "port": port}
    if protocol_checks:
        definition["checks"] = list(protocol_checks)
    return {**definition, **more}


def sidecar(port, upstreams=None):
    """The `connect` part: a sidecar on `port` with {destination: local port}."""
    proxy = {
        "upstreams": [
            {"destination_name": name, "local_bind_port": local}
            for name, local in (upstreams or {}).items()
        ]
    }
    return {"sidecar_service": {"port": port, "proxy": proxy}}


def defaults(name, protocol="http"):
    return {"kind": "service-defaults", "name": name, "protocol": protocol}


def intentions(name, **sources):
    listed = [{"name": source, "action": action} for source, action in sources.items()]
    return {"kind": "service-intentions", "name": name, "sources": listed}


def listener(name, port, service_name=None, kind="l7", **more):
    entry = {"name": name, "bind_addr": f"127.0.0.1:{port}", "kind": kind}
    if service_name:
        entry["service"] = service_name
    return {**entry, **more}


def peer_pid(path):
    """Process id of whoever listens on a unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.connect(str(path))
        return struct.unpack("iII", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]


def dataplane_command(control_socket, workers=2):
    """A supervisor in the foreground, as a service manager starts it."""
    return [
        binary("dataplane"),
        "--control-socket",
        control_socket,
        "--workers",
        str(workers),
        *(["--engine", engine()] if engine() else []),
    ]


class Node:
    """One node: its configuration, its programs and what they say."""

    def __init__(self, ports, /, asan=False, workers=2, **config):
        self.directory = Path(tempfile.mkdtemp(prefix="ringmesh-"))
        self.ports = ports
        self.asan = asan
        self.admin_port = ports.take()
        self.control_socket = self.directory / "control.sock"
        self.admin_socket = self.directory / "admin.sock"
        self.control = None
        self.known = set()
        self.signals_sent = set()
        self.config = self.base(workers)
        for key, value in config.items():
            if isinstance(value, dict) and isinstance(self.config.get(key), dict):
                self.config[key].update(value)
            else:
                self.config[key] = value
        self.write_config()

    def base(self, workers):
        return {
            "node": {"name": "node-1", "datacenter": "dc1"},
            "admin": {
                "bind_addr": f"127.0.0.1:{self.admin_port}",
                "socket": str(self.admin_socket),
            },
            # Off unless a test asks for it: nodes of several tests run side by side.
            "api": {"bind_addr": ""},
            "store": {
                "driver": "sqlite",
                "path": str(self.directory / "state" / "state.db"),
                "key_file": str(self.directory / "keys" / "store.key"),
            },
            "dataplane": {
                "workers": workers,
                "control_socket": str(self.control_socket),
                "path": str(binary("dataplane-asan" if self.asan else "dataplane")),
                **({"engine": engine()} if engine() else {}),
            },
            "mesh": {"intentions_default": "deny"},
        }

    def write_config(self):
        self.config_path = self.directory / "node.yaml"
        self.config_path.write_text(json.dumps(self.config, indent=2) + "\n", encoding="utf-8")

    # --- life ---

    def start(self, ready=True, seconds=READY_SECONDS, under=()):
        """`under`: a command that runs the control plane, and so the data plane, in its way."""
        env = {"ASAN_OPTIONS": "abort_on_error=1:detect_leaks=0"}
        command = [*under, binary("controlplane"), "server", "--config.path", self.config_path]
        self.control = Child("controlplane", command, self.directory, env)
        if ready:
            self.wait_ready(seconds)
        return self

    def wait_ready(self, seconds=READY_SECONDS):
        end = time.monotonic() + seconds
        while True:
            if not self.control.alive():
                raise AssertionError(f"controlplane ended:\n{self.control.tail()}")
            with contextlib.suppress(OSError, Closed):
                if self.admin("/ready").status == 200:
                    break
            if time.monotonic() > end:
                raise AssertionError(f"not ready in {seconds} s:\n{self.control.tail()}")
            time.sleep(0.05)
        self.note()

    def note(self):
        """Remembers the processes of this node, so that the end finds all of them."""
        with contextlib.suppress(OSError):
            supervisor = peer_pid(self.control_socket)
            self.known |= {supervisor, *processes.children(supervisor)}

    def stop(self, seconds=60.0):
        """SIGTERM; the exit status of the control plane."""
        self.note()
        return self.control.terminate(seconds)

    def close(self):
        """Ends whatever of this node still runs; called once, at the end of a test."""
        self.note()
        if self.control and self.control.alive():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.control.terminate(10)
        left = self.left()
        # Supervisors first: a live one tells of its children's end, as if it had hurt them.
        for pid in sorted(left, key=lambda pid: processes.parent(pid) in left):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        text = self.control.text() if self.control else ""
        shutil.rmtree(self.directory, ignore_errors=True)
        bad = self.bad_lines(text)
        if bad:
            raise AssertionError("the data plane was hurt:\n" + "\n".join(bad[:40]))

    def bad_lines(self, text):
        """Sanitizer reports, and deaths by a signal that this test did not send."""
        bad = []
        for line in text.splitlines():
            death = re.search(r"has ended: signal (\d+)", line)
            if death and int(death.group(1)) not in self.signals_sent:
                bad.append(line)
            elif re.search(r"(Address|Leak|UndefinedBehavior)Sanitizer|runtime error:", line):
                bad.append(line)
        return bad

    @staticmethod
    def is_ours(pid):
        with contextlib.suppress(OSError):
            return "dataplane" in os.readlink(f"/proc/{pid}/exe")
        return False

    def supervisor(self):
        return peer_pid(self.control_socket)

    def left(self):
        """Processes of this node that still exist."""
        return [pid for pid in self.known if processes.exists(pid) and self.is_ours(pid)]

    # --- talking to it ---

    def admin(self, target, method="GET", headers=(), body=b"", timeout=PATIENCE):
        with Client(self.admin_port, timeout=timeout) as client:
            return client.get(target, "localhost", method, ["Connection: close", *headers], body)

    def meshctl(self, *arguments, check=True, seconds=60.0):
        """Runs `meshctl` against the admin socket of this node."""
        done = subprocess.run(
            [binary("meshctl"), *[str(a) for a in arguments]],
            env={**os.environ, "RINGMESH_ADDR": f"unix://{self.admin_socket}"},
            capture_output=True,
            text=True,
            timeout=seconds,
            cwd=self.directory,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(
                f"meshctl {' '.join(map(str, arguments))} exited {done.returncode}:\n"
                f"{done.stdout}{done.stderr}\n{self.control.tail() if self.control else ''}"
            )
        return done

    def json(self, *arguments):
        return json.loads(self.meshctl(*arguments, "--json").stdout)

    def status(self):
        return self.json("status")

    def workers(self):
        """[{id, pid, generation, connections, …}], ordered by id."""
        self.note()
        return sorted(self.status()["workers"], key=lambda w: w["id"])

    def worker_pids(self):
        return [w["pid"] for w in self.workers()]

    def kill_worker(self, pid, number=signal.SIGKILL):
        """Ends a worker of this node from outside."""
        self.signals_sent.add(int(number))
        os.kill(pid, number)

    def allow(self, source, destination):
        self.meshctl("intention", "create", "--allow", "--replace", source, destination)

    def deny(self, source, destination):
        self.meshctl("intention", "create", "--deny", "--replace", source, destination)

    def metrics(self):
        return self.admin("/metrics").body.decode()

    def log_lines(self):
        """The log of the control plane, one dictionary per line that is JSON."""
        found = []
        for line in self.control.text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                found.append(json.loads(line))
        return found


def sockets_of(pid):
    """{(local port, remote port)} of the established IPv4 connections that a process holds."""
    inodes = set()
    for entry in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            match = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{entry}"))
            if match:
                inodes.add(match.group(1))
    found = set()
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        if fields[3] == "01" and fields[9] in inodes:
            found.add(tuple(int(part.split(":")[1], 16) for part in fields[1:3]))
    return found


def memfds(pid):
    """{name: bytes} of the memory files that a process holds open."""
    found = {}
    for entry in os.listdir(f"/proc/{pid}/fd"):
        path = f"/proc/{pid}/fd/{entry}"
        with contextlib.suppress(OSError):
            name = os.readlink(path)
            if name.startswith("/memfd:"):
                found.setdefault(name, Path(path).read_bytes())
    return found
