"""Proves that what `tools/install` puts into a system is sound and runs: programs with their
libraries, units that systemd accepts, the example configuration, and that both programs tell a
service manager when they are ready, alive and stopping. Nothing outside the test's folder changes.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from ringmesh import binary, listener, service
from wire import get, wait_for

ROOT = Path(__file__).resolve().parents[2]


def run(*command, **more):
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **more,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """The programs under test in one folder, as a build leaves them."""
    folder = tmp_path_factory.mktemp("bin")
    for name in ("controlplane", "meshctl", "dataplane"):
        (folder / name).symlink_to(binary(name))
    return folder


@pytest.fixture(scope="module")
def installed(programs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("system")
    run(
        *(ROOT / "tools/install", "--bin", programs),
        *("--prefix", folder / "usr", "--sysconfdir", folder / "etc"),
    )
    return folder


def test_programs_run_from_their_place(installed):
    """Without the environment of the build, through the links that people type."""
    for name in ("controlplane", "meshctl", "dataplane"):
        path = installed / "usr/bin" / name
        assert path.is_symlink() and path.resolve().parent == installed / "usr/lib/ringmesh"
        assert run(path, "--version", env={}).strip()
    library = installed / "usr/lib/ringmesh/libswiftCore.so"
    assert library.exists(), "the Swift runtime is missing: a machine without Swift cannot run it"


def test_destdir_is_in_front_of_every_path(programs, tmp_path):
    run(
        ROOT / "tools/install",
        *("--bin", programs, "--prefix", "/usr"),
        env={**os.environ, "DESTDIR": str(tmp_path)},
    )
    unit = (tmp_path / "usr/lib/systemd/system/ringmesh-dataplane.service").read_text()
    assert "ExecStart=/usr/bin/dataplane --control-socket /run/ringmesh/control.sock" in unit
    assert (tmp_path / "etc/ringmesh/ringmesh.yaml").exists()
    assert run(tmp_path / "usr/bin/dataplane", "--version")


def test_units_are_sound(installed):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    for path in sorted((installed / "usr/lib/systemd/system").iterdir()):
        assert run("systemd-analyze", "verify", path) == "", path.name
        assert "@" not in re.sub("(?m)^(#|SystemCallFilter).*", "", path.read_text()), path.name


def test_a_mistake_in_a_unit_is_seen(installed, tmp_path):
    """The check above can fail."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    good = (installed / "usr/lib/systemd/system/ringmesh-dataplane.service").read_text()
    bad = tmp_path / "bad.service"
    bad.write_text(good.replace("ProtectHome=yes", "ProtectHouse=yes"))
    with pytest.raises(AssertionError):
        assert run("systemd-analyze", "verify", bad) == ""


def test_user_and_folders(installed, tmp_path):
    if os.geteuid() != 0 or shutil.which("systemd-sysusers") is None:
        pytest.skip("needs root and systemd-sysusers")
    usr = installed / "usr/lib"
    (tmp_path / "etc").mkdir()
    run("systemd-sysusers", f"--root={tmp_path}", usr / "sysusers.d/ringmesh.conf")
    (line,) = (tmp_path / "etc/passwd").read_text().splitlines()
    assert line.startswith("ringmesh:") and line.endswith(":/usr/sbin/nologin")
    conf = tmp_path / "ringmesh.conf"
    conf.write_text((usr / "tmpfiles.d/ringmesh.conf").read_text().replace(str(installed), ""))
    run("systemd-tmpfiles", "--create", f"--root={tmp_path}", conf)
    owner = int(line.split(":")[2])
    for name, mode, uid in (
        ("etc/ringmesh", 0o750, 0),
        ("etc/ringmesh/keys", 0o700, owner),
        ("run/ringmesh", 0o750, owner),
        ("var/lib/ringmesh", 0o700, owner),
        ("var/log/ringmesh", 0o750, owner),
    ):
        status = (tmp_path / name).stat()
        assert (status.st_mode & 0o777, status.st_uid) == (mode, uid), name


def test_the_example_configuration_is_sound(installed):
    """As it is installed, and with what it suggests in comments."""
    etc = installed / "etc/ringmesh"
    for name in ("services", "config_entries"):
        (etc / name).mkdir(exist_ok=True)
    validate = (installed / "usr/bin/controlplane", "validate", "--config.path")
    printed = run(*validate, etc / "ringmesh.yaml")
    assert "managed: false" in printed
    text = (etc / "ringmesh.yaml").read_text().replace("listeners: []", "listeners:")
    text, changed = re.subn(r"(?m)^#(?:(?=  - |    \w)| (?=access_log))", "", text)
    assert changed >= 5
    full = etc / "full.yaml"
    full.write_text(text + "services: [ { name: web, port: 8080 } ]\n")
    printed = run(*validate, full)
    assert "public" in printed and "access.log" in printed


def test_what_is_configured_is_kept(programs, installed):
    etc = installed / "etc/ringmesh/ringmesh.yaml"
    before = etc.read_text()
    etc.write_text(before + "# mine\n")
    again = (ROOT / "tools/install", "--bin", programs, "--prefix", installed / "usr")
    run(*again, "--sysconfdir", installed / "etc")
    assert etc.read_text() == before + "# mine\n"
    etc.write_text(before)


def test_logrotate_understands_its_file(installed, tmp_path):
    logrotate = shutil.which("logrotate") or shutil.which("logrotate", path="/usr/sbin")
    if logrotate is None:
        pytest.skip("logrotate is not installed")
    text = (installed / "etc/logrotate.d/ringmesh").read_text()
    assert f"{installed}/usr/bin/meshctl --addr unix:///run/ringmesh/admin.sock log reopen" in text
    conf = tmp_path / "ringmesh"
    conf.write_text(text.replace("ringmesh ringmesh", "root root"))
    said = run(logrotate, "--debug", "--state", tmp_path / "state", conf)
    assert "error" not in said.lower(), said


@pytest.mark.parametrize("arguments", [["--prefix"], ["--prefix", "usr"], ["--colour"]])
def test_wrong_usage_of_install(arguments):
    done = subprocess.run(
        [ROOT / "tools/install", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 64 and done.stderr.startswith("install: ")


class Manager:
    """The socket of a service manager."""

    def __init__(self, folder):
        self.path = str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.setblocking(False)
        self.lines = []

    def heard(self, line):
        while True:
            try:
                self.lines += self.socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return line in self.lines


@pytest.fixture
def manager(tmp_path, monkeypatch):
    manager = Manager(tmp_path)
    monkeypatch.setenv("NOTIFY_SOCKET", manager.path)
    yield manager
    manager.socket.close()


def test_the_data_plane_tells_its_manager(manager, tmp_path):
    child = subprocess.Popen(
        [binary("dataplane"), "--control-socket", tmp_path / "control.sock", "--workers", "1"],
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: manager.heard("READY=1"), 10, "the data plane is ready")
        assert (tmp_path / "control.sock").is_socket()
        child.send_signal(signal.SIGTERM)
        wait_for(lambda: manager.heard("STOPPING=1"), 10, "the data plane stops")
        assert child.wait(60) == 0
    finally:
        child.kill()
        child.wait()


def test_the_control_plane_tells_its_manager(manager, monkeypatch, nodes, ports, recorders):
    monkeypatch.setenv("WATCHDOG_USEC", "300000")
    upstream, port = recorders(lambda request, client: b"HTTP/1.1 204 \r\n\r\n"), ports.take()
    node = nodes(
        services=[service("web", upstream.port)], listeners=[listener("public", port, "web")]
    ).start()
    wait_for(lambda: manager.heard("READY=1"), 10, "the node is ready")
    said = "STATUS=every worker has the current configuration"
    wait_for(lambda: manager.heard(said), 10, said)
    assert not any("listening sockets" in line for line in manager.lines), "that was its child"
    assert get(port).status == 204
    manager.lines.clear()
    wait_for(lambda: manager.heard("WATCHDOG=1"), 5, "a sign of life")
    node.stop()
    assert manager.heard("STOPPING=1")
