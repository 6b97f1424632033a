"""The control channel spoken from Python: a control plane that publishes what it likes.

Message layouts are those of CSources/abi/include/abi/control.h; `check_layout` compares sizes and
numbers with the header, so that a change there cannot go unnoticed here.
"""

import fcntl
import os
import re
import socket
import struct
from pathlib import Path

from wire import PATIENCE

ABI = Path(__file__).resolve().parents[2] / "CSources/abi/include/abi"
MESSAGE = 4096

# name -> struct format behind the head {type u32, length u32}
LAYOUT = {
    "hello": "II16s",
    "welcome": "IIIIQQQ16s64s",
    "refuse": "II240s",
    "publish": "QQII",
    "worker": "IIIIQ",
    "phase": "IIQII240s",
    "published": "QIIQ",
}
PREPARED, REFUSED, COMMITTED, TIMED_OUT = range(4)
LIVE, PARTIAL, OUTCOME_REFUSED = range(3)


def header(name):
    return (ABI / name).read_text(encoding="utf-8")


def constants():
    """NAME -> number of every enum member with a value and every simple macro of the abi."""
    found = {}
    for name in ("control.h", "snapshot.h", "limits.h"):
        text = header(name)
        found.update(re.findall(r"\b(ABI_\w+) = (\d+)", text))
        found.update(re.findall(r"#define\s+(\w+)\s+(0x[0-9a-fA-F]+|\d+)(?:u|U|ULL)?\b", text))
    return {name: int(value, 0) for name, value in found.items()}


def check_layout():
    text = header("control.h")
    reason = constants()["LIMIT_REASON"]
    for name, fields in LAYOUT.items():
        pattern = rf"sizeof\(struct abi_control_{name}\) == (\d+)( \+ LIMIT_REASON)?"
        match = re.search(pattern, text)
        assert match, f"control.h asserts no size of abi_control_{name}"
        size = int(match.group(1)) + (reason if match.group(2) else 0)
        assert struct.calcsize("=II" + fields) == size, f"layout of {name} changed"


def memfd(data, name="test"):
    """A sealed memory file with `data`."""
    fd = os.memfd_create(name, os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    os.write(fd, data)
    seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


class Channel:
    """One connection to a supervisor's control socket."""

    def __init__(self, path, installation=b"\x01" * 16, timeout=PATIENCE):
        self.numbers = constants()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))
        self.installation = installation

    def close(self):
        self.socket.close()

    def send(self, name, *fields, fds=()):
        number = self.numbers[f"ABI_CONTROL_{name.upper()}"]
        body = struct.pack("=" + LAYOUT[name], *fields)
        packet = struct.pack("=II", number, 8 + len(body)) + body
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack(f"{len(fds)}i", *fds))]
        self.socket.sendmsg([packet], rights if fds else [])

    def receive(self):
        """(name, fields, descriptors) of the next message."""
        data, ancillary, _, _ = self.socket.recvmsg(MESSAGE, socket.CMSG_SPACE(4 * 64))
        fds = []
        for level, kind, rights in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds += struct.unpack(f"{len(rights) // 4}i", rights[: len(rights) // 4 * 4])
        if not data:
            raise ConnectionError("the supervisor closed the channel")
        number, length = struct.unpack("=II", data[:8])
        assert length == len(data), "the length of a message is wrong"
        for name, fields in LAYOUT.items():
            if self.numbers[f"ABI_CONTROL_{name.upper()}"] == number:
                return name, struct.unpack("=" + fields, data[8:]), fds
        return number, (data[8:],), fds

    def hello(self):
        """Introduces itself; the fields of WELCOME."""
        version = self.numbers["ABI_VERSION"]
        self.send("hello", version, os.getpid(), self.installation)
        while True:
            name, fields, fds = self.receive()
            for fd in fds:
                os.close(fd)
            if name == "welcome":
                return fields
            assert name != "refuse", fields

    def publish(self, generation, snapshot, secrets=None, secrets_generation=0):
        """Publishes and waits for the end: (outcome, [(worker, phase, code, reason)])."""
        fds = [memfd(snapshot, "snapshot")]
        if secrets is not None:
            fds.append(memfd(secrets, "secrets"))
        has = int(secrets is not None)
        self.send("publish", generation, secrets_generation, has, 0, fds=fds)
        for fd in fds:
            os.close(fd)
        phases = []
        while True:
            name, fields, received = self.receive()
            for fd in received:
                os.close(fd)
            if name == "phase":
                worker, phase, of, code, _, reason = fields
                if of == generation:
                    phases.append((worker, phase, code, reason.split(b"\0")[0].decode()))
            elif name == "published" and fields[0] == generation:
                return fields[1], phases
