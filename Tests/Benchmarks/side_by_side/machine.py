"""What the machine is, how its processors are shared out, and a network of our own for the run."""

import contextlib
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

INSIDE = "RINGMESH_BENCH_NETWORK"  # its value: the machine's own congestion control
CONGESTION = "/proc/sys/net/ipv4/tcp_congestion_control"


def read(path):
    try:
        return Path(path).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def cores():
    """The processors that this process may use, in order."""
    return sorted(os.sched_getaffinity(0))


class Places:
    """Who runs where: backend, proxies, loader. With four processors nobody shares one."""

    def __init__(self, available):
        self.available = available
        self.backend = available[0]
        self.proxy = available[1] if len(available) > 1 else available[0]
        self.loader = available[2:4] or [available[0]]

    @property
    def alone(self):
        """Throughput means something: loader and backend have cores of their own."""
        return len(self.available) >= 4

    def text(self):
        loader = ",".join(map(str, self.loader))
        return f"backend core {self.backend}, proxies core {self.proxy}, loader cores {loader}"


def default_congestion():
    """What the machine uses where nobody chooses."""
    return os.environ.get(INSIDE) or read(CONGESTION)


def own_network(wanted):
    """Begins the program again in a network namespace of its own, where the congestion control of
    every socket, the peers' too, is `wanted` and no port is taken. Returns what is in force, and
    whether that worked; without the right to do so the machine's own network is used as it is.
    """
    setting = Path(CONGESTION)
    if os.environ.get(INSIDE) is None and shutil.which("unshare"):
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        probe = ["unshare", *user, "--net", "true"]
        if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            sys.stdout.flush()
            environment = {**os.environ, INSIDE: read(setting)}
            command = ["unshare", *user, "--net", sys.executable, *sys.argv]
            os.execvpe("unshare", command, environment)
    if os.environ.get(INSIDE) is None:
        return read(setting), False
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    return use_congestion(wanted or read(setting)), True


def use_congestion(name):
    """For sockets made from now on; what is in force then."""
    setting = Path(CONGESTION)
    with contextlib.suppress(OSError):
        setting.write_text(name, encoding="ascii")
    return read(setting)


def open_files():
    """Raises the limit of descriptors to what is allowed; the new limit."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def facts(available):
    """What a reader has to know to judge the figures; `available` are the processors of the run."""
    cpuinfo = read("/proc/cpuinfo")
    model = re.search(r"model name\s*:\s*(.+)", cpuinfo)
    memory = re.search(r"MemTotal:\s*(\d+)", read("/proc/meminfo"))
    return {
        "cpu": model.group(1) if model else platform.machine(),
        "cores": len(available),
        "memory_mib": int(memory.group(1)) // 1024 if memory else 0,
        "kernel": platform.release(),
        "hypervisor": "hypervisor" in cpuinfo.split(),
        "load_average_at_start": read("/proc/loadavg").split()[0],
    }


def cpu_times():
    """(busy, total) ticks of every processor since the machine started."""
    found = {}
    for line in read("/proc/stat").splitlines():
        match = re.match(r"cpu(\d+) (.*)", line)
        if match:
            ticks = [int(field) for field in match.group(2).split()[:8]]
            found[int(match.group(1))] = (sum(ticks) - ticks[3] - ticks[4], sum(ticks))
    return found
