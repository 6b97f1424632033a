"""Proves that trouble with the disk stays with the disk.

Database locked by somebody else, disk full: traffic is unaffected, the failed change is reported
with its cause, nothing that was acknowledged is lost, and work goes on when the trouble is over.
"""

import os
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest
from load import Load
from ringmesh import binary
from wire import get


def test_database_locked(mesh):
    pair = mesh()
    node = pair.node
    lock = sqlite3.connect(node.config["store"]["path"], isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    with Load(pair.local, host="web") as load:
        load.wait_for_more(50)
        begun = time.monotonic()
        refused = node.meshctl("intention", "create", "--allow", "batch", "web", check=False)
        assert time.monotonic() - begun < 60, "the command hangs on a locked database"
        load.wait_for_more(50)
    assert [f.what for f in load.failures] == []
    assert refused.returncode != 0
    assert "state.db" in refused.stdout + refused.stderr, refused.stderr
    assert get(pair.batch_local, "/", "web").status == 403, "a refused change is live"
    lock.execute("ROLLBACK")
    lock.close()
    node.allow("batch", "web")
    assert get(pair.batch_local, "/", "web").status == 200
    restart_keeps(pair, ["api", "batch"])


def test_one_control_plane_for_each_store(mesh):
    """A second one ends at once, with the status of a lock, and names the first."""
    node = mesh().node
    second = subprocess.run(
        [binary("controlplane"), "server", "--config.path", str(node.config_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 75, second.stderr
    assert f"in use by process {node.control.pid}" in second.stderr
    assert node.admin("/ready").status == 200


def restart_keeps(pair, sources):
    """What was acknowledged is there after kill -9 and a new start."""
    pair.node.control.kill()
    pair.node.start()
    listed = pair.node.meshctl("intention", "list", "--json").stdout
    for source in sources:
        assert f'"{source}"' in listed, listed


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MiB of our own."""
    place = Path(tmp_path) / "disk"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_disk_full(mesh, small_disk):
    pair = mesh(store={"path": str(small_disk / "state.db")})
    node = pair.node
    filler = small_disk / "filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            pass
    acknowledged = []
    with Load(pair.local, host="web") as load:
        for number in range(200):
            name = f"caller-{number}"
            done = node.meshctl("intention", "create", "--allow", name, "web", check=False)
            if done.returncode != 0:
                assert (done.stdout + done.stderr).strip(), "the failure is not explained"
                break
            acknowledged.append(name)
        else:
            pytest.fail("two hundred changes on a full disk succeeded")
        load.wait_for_more(50)
    assert [f.what for f in load.failures] == []
    filler.unlink()
    node.meshctl("intention", "create", "--allow", "after", "web")
    restart_keeps(pair, ["api", "after", *acknowledged])


def test_wrong_key_is_a_clear_error(mesh):
    """Another store key: the node does not start, says why, and harms nothing."""
    pair = mesh()
    node = pair.node
    key = Path(node.config["store"]["key_file"])
    assert key.stat().st_mode & 0o777 == 0o600
    good = key.read_bytes()
    assert node.stop() == 0
    key.write_bytes(bytes(reversed(good)) if good != good[::-1] else b"x" * len(good))
    node.start(ready=False)
    assert node.control.wait(60) != 0
    assert "key" in node.control.tail().lower()
    key.write_bytes(good)
    node.start()
    assert get(pair.local, "/", "web").status == 200


def test_no_private_key_in_clear(mesh):
    """Neither database nor write-ahead log nor log output holds a private key in PEM or DER."""
    pair = mesh()
    folder = Path(pair.node.config["store"]["path"]).parent
    pkcs8 = bytes.fromhex("06082a8648ce3d030107046d306b020101")  # P-256 in PKCS #8
    marks = [b"PRIVATE KEY", pkcs8]
    for path in [*folder.iterdir(), pair.node.control.log]:
        data = path.read_bytes()
        assert not any(mark in data for mark in marks), f"{path.name} holds a private key"
