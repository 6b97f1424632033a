"""Hosts as network namespaces of the test's own: one router between them, which can be cut."""

import contextlib
import ctypes
import os
import shutil
import subprocess
import threading

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def missing():
    """Why there can be no hosts on this machine; None: there can."""
    for program in ("ip", "unshare", "nsenter"):
        if not shutil.which(program):
            return f"{program} is not installed"
    made = subprocess.run(
        ["unshare", "--net", "ip", "link", "set", "lo", "up"], capture_output=True, check=False
    )
    return None if made.returncode == 0 else "network namespaces need the right to make them"


class Host:
    """A network of its own, for as long as a process of it lives."""

    def __init__(self):
        self.process = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec sleep 86400"],
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout.readline() == b"up\n"

    @property
    def under(self):
        """What a program is started with to be on this host."""
        return ("nsenter", f"--net=/proc/{self.process.pid}/ns/net", "--")

    def ip(self, *arguments):
        subprocess.run([*self.under, "ip", *map(str, arguments)], check=True, capture_output=True)

    def run(self, body):
        """Runs a function on this host: sockets that it makes are the host's."""
        result = []

        def inside():
            try:
                handle = os.open(f"/proc/{self.process.pid}/ns/net", os.O_RDONLY)
                try:
                    if LIBC.setns(handle, CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
                finally:
                    os.close(handle)
                result.append((body(), None))
            except BaseException as error:  # told in the caller's thread
                result.append((None, error))

        # The thread's network ends with the thread.
        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        value, error = result[0]
        if error is not None:
            raise error
        return value

    def close(self):
        self.process.kill()
        self.process.wait(10)
        self.process.stdout.close()


class Network:
    """Hosts at 10.77.N.2, each behind the same router."""

    def __init__(self, count):
        self.router = Host()
        self.hosts = []
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            for number in range(1, count + 1):
                self.add(number)
            self.forward(True)
            undo.pop_all()

    def add(self, number):
        host = Host()
        self.hosts.append(host)
        self.router.ip(
            "link", "add", f"to{number}", "type", "veth",
            "peer", "name", "up0", "netns", host.process.pid,
        )  # fmt: skip
        self.router.ip("addr", "add", f"10.77.{number}.1/24", "dev", f"to{number}")
        self.router.ip("link", "set", f"to{number}", "up")
        host.ip("addr", "add", f"10.77.{number}.2/24", "dev", "up0")
        host.ip("link", "set", "up0", "up")
        host.ip("route", "add", "default", "via", f"10.77.{number}.1")

    def forward(self, on):
        """Packets between hosts pass, or are lost without a word."""

        def write():
            with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as file:
                file.write("1" if on else "0")

        self.router.run(write)

    def close(self):
        for host in [*self.hosts, self.router]:
            host.close()
