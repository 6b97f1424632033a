"""Proves that a worker refuses what it cannot trust, says why, and goes on with what it has.

The publisher here is a Python program on the control channel: it takes a good snapshot out of a
running node, gives it to a supervisor of its own, and then publishes broken ones.
"""

import os
import struct
from pathlib import Path

import control_channel
import processes
import pytest
from control_channel import COMMITTED, LIVE, OUTCOME_REFUSED, REFUSED, Channel
from load import Load
from ringmesh import dataplane_command, listener, memfds, service
from wire import get, wait_for

HEADER = struct.Struct("=QIIQQQQQ")  # magic version header_size size generation secrets at checksum
MASK = (1 << 64) - 1


def checksum(data):
    """abi_checksum() of snapshot.h."""
    h = 0x9E3779B97F4A7C15 ^ len(data)
    padded = data + b"\0" * (-len(data) % 8)
    for (word,) in struct.iter_unpack("=Q", padded):
        h = ((h ^ word) * 0xFF51AFD7ED558CCD) & MASK
        h ^= h >> 32
    return h


def header_size(snapshot):
    return HEADER.unpack_from(snapshot)[2]


def again(snapshot, generation, change=None, seal=True):
    """`snapshot` as another generation, with `change(bytearray)`, and a checksum that fits."""
    data = bytearray(snapshot)
    struct.pack_into("=Q", data, 24, generation)
    if change:
        change(data)
    if seal:
        struct.pack_into("=Q", data, 48, checksum(bytes(data[header_size(snapshot) :])))
    return bytes(data)


def has_listener(port):
    """Whether a socket of this network listens on a port, asked without a connection to it."""
    rows = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    places = [row.split()[1] for row in rows if row.split()[3] == "0A"]
    return any(int(place.split(":")[1], 16) == port for place in places)


@pytest.fixture
def good(nodes, ports, recorders):
    """(snapshot bytes, secrets bytes, web port, listener port) taken from a real node."""
    control_channel.check_layout()
    web, port = recorders(), ports.take()
    node = nodes(
        services=[service("web", web.port)], listeners=[listener("public", port, "web")]
    ).start()
    assert get(port).status == 200
    magic = struct.pack("=Q", control_channel.constants()["ABI_SNAPSHOT_MAGIC"])
    secret_magic = struct.pack("=Q", control_channel.constants()["ABI_SECRETS_MAGIC"])
    files = memfds(node.supervisor()).values()
    snapshot = next(f for f in files if f[:8] == magic)
    secrets = next((f for f in files if f[:8] == secret_magic), None)
    assert node.stop() == 0
    # io_uring lets go of a listener a moment after its process is gone.
    wait_for(lambda: not has_listener(port), 5, "the listener is free")
    return snapshot, secrets, port


@pytest.fixture
def publisher(good, ports, tmp_path):
    """A supervisor that serves the good snapshot, and the channel that gave it."""
    snapshot, secrets, port = good
    path = Path(tmp_path) / "control.sock"
    command = dataplane_command(path)
    child = processes.Child("dataplane", command, tmp_path)
    wait_for(path.exists, 5, "the control socket")
    channel = Channel(path)
    channel.hello()
    outcome, phases = channel.publish(100, again(snapshot, 100), secrets, 1)
    assert outcome == LIVE, phases
    assert {p[1] for p in phases if p[0] < 2} >= {COMMITTED}
    yield channel, snapshot, port
    channel.close()
    child.terminate(10)


def truncate(data):
    del data[-64:]


def forge_magic(data):
    data[0] ^= 0xFF


def forge_version(data):
    struct.pack_into("=I", data, 8, 999)


def forge_size(data):
    struct.pack_into("=Q", data, 16, len(data) * 2)


def far_section(data):
    """The place of the listener section points far outside of the file."""
    struct.pack_into("=Q", data, 80 + 16 * 2, 1 << 40)


def huge_count(data):
    struct.pack_into("=I", data, 80 + 16 * 2 + 8, 0xFFFFFFFF)


def unaligned(data):
    at = struct.unpack_from("=Q", data, 80 + 16 * 2)[0]
    struct.pack_into("=Q", data, 80 + 16 * 2, at + 1)


def wild_records(data):
    """Every record is made of the largest number there is: all references point nowhere."""
    for at in range(header_size(data), len(data)):
        data[at] = 0xFF


BROKEN = {
    "truncated": (truncate, True),
    "magic": (forge_magic, True),
    "version": (forge_version, True),
    "size": (forge_size, True),
    "section outside": (far_section, True),
    "count": (huge_count, True),
    "alignment": (unaligned, True),
    "wild references": (wild_records, True),
    "checksum": (lambda data: data.__setitem__(-1, data[-1] ^ 1), False),
    "empty": (lambda data: data.clear(), None),
}


@pytest.mark.parametrize("name", BROKEN)
def test_refused_with_a_reason(publisher, name):
    channel, snapshot, port = publisher
    change, seal = BROKEN[name]
    broken = b"" if seal is None else again(snapshot, 101, change, seal)
    with Load(port, connections=4) as load:
        load.wait_for_more(50)
        outcome, phases = channel.publish(101, broken)
        load.wait_for_more(50)
    assert outcome == OUTCOME_REFUSED
    refusals = [p for p in phases if p[1] == REFUSED]
    assert refusals and all(p[3] for p in refusals), phases
    assert [f.what for f in load.failures] == []
    outcome, _ = channel.publish(102, again(snapshot, 102))
    assert outcome == LIVE, "a good snapshot after a bad one is not taken"


def test_generation_must_grow(publisher):
    channel, snapshot, port = publisher
    outcome, phases = channel.publish(100, again(snapshot, 100))
    assert outcome == OUTCOME_REFUSED, phases
    assert get(port).status == 200


def test_unsealed_memory_is_refused(publisher, monkeypatch):
    """Bytes that could still change under the reader are not looked at."""
    channel, snapshot, port = publisher

    def unsealed(data, name="test"):
        fd = os.memfd_create(name, os.MFD_CLOEXEC)
        os.write(fd, data)
        return fd

    monkeypatch.setattr(control_channel, "memfd", unsealed)
    outcome, phases = channel.publish(101, again(snapshot, 101))
    assert outcome == OUTCOME_REFUSED, phases
    assert get(port).status == 200


def test_stranger_is_refused(publisher):
    """A second installation cannot take over a data plane."""
    channel, _, port = publisher
    path = channel.socket.getpeername()
    stranger = Channel(path, installation=b"\x02" * 16)
    stranger.send("hello", stranger.numbers["ABI_VERSION"], 1, stranger.installation)
    name, fields, _ = stranger.receive()
    assert name == "refuse", name
    assert fields[2].split(b"\0")[0], "no reason was given"
    stranger.close()
    assert get(port).status == 200


@pytest.mark.parametrize("packet", [b"", b"\0" * 8, b"\xff" * 4096, b"\x01\0\0\0\x20\0\0\0"])
def test_garbage_on_the_channel(publisher, packet):
    channel, _, port = publisher
    other = Channel(channel.socket.getpeername())
    other.socket.send(packet)
    other.close()
    assert get(port).status == 200
