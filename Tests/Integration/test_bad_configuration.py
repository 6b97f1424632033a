"""Proves that a bad configuration starts nothing and is explained completely.

All problems come at once, each with file, line and column; the exit code is 78 (EX_CONFIG); no
process, socket or database is left behind.
"""

import re
import subprocess

import pytest
from processes import listens
from ringmesh import binary

BROKEN = """\
node: { name: node-1, datacenter: dc1 }
admin: { bind_addr: "127.0.0.1:PORT", socket: admin.sock, colour: blue }
dataplane: { workers: many, control_socket: control.sock }
store: { driver: sqlite, path: state.db, key_file: store.key }
services:
  - name: "bad name!"
    port: 99999
  - name: web
    port: 8080
    checks: [ { http: "http://127.0.0.1:8080/", interval: soon } ]
listeners:
  - { name: public, bind_addr: 127.0.0.1:1, kind: l9, service: web }
"""
# line -> what its problem must name
PROBLEMS = {2: "colour", 3: "workers", 6: "name", 7: "port", 10: "interval", 12: "kind"}


def run(directory, command, text, *flags):
    path = directory / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    return subprocess.run(
        [binary("controlplane"), command, "--config.path", path, *flags],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=directory,
        check=False,
    )


@pytest.mark.parametrize("command", ["server", "validate"])
def test_all_problems_at_once(tmp_path, ports, command):
    port = ports.take()
    done = run(tmp_path, command, BROKEN.replace("PORT", str(port)))
    assert done.returncode == 78, done.stderr
    text = done.stdout + done.stderr
    places = {int(m) for m in re.findall(r"bad\.yaml:(\d+):\d+", text)}
    assert set(PROBLEMS) <= places, text
    for line, word in PROBLEMS.items():
        said = [t for t in text.splitlines() if f"bad.yaml:{line}:" in t]
        assert any(word in t for t in said), f"line {line} does not speak of {word}: {said}"
    assert not listens(port)
    assert {p.name for p in tmp_path.iterdir()} == {"bad.yaml"}, "something was started or made"


def test_column_points_at_the_value(tmp_path):
    done = run(tmp_path, "validate", "dataplane:\n  workers: many\n")
    assert re.search(r"bad\.yaml:2:12: ", done.stdout + done.stderr), done.stderr


@pytest.mark.parametrize("text", ["node: {", "\tnode: x\n", "a: 1\na: 2\n", "node: [\x00]\n"])
def test_unreadable_yaml(tmp_path, text):
    done = run(tmp_path, "validate", text)
    assert done.returncode == 78
    assert re.search(r"bad\.yaml:\d+:\d+", done.stdout + done.stderr), done.stderr


def test_missing_file(tmp_path):
    done = subprocess.run(
        [binary("controlplane"), "validate", "--config.path", tmp_path / "none.yaml"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 78
    assert "none.yaml" in done.stdout + done.stderr


def test_flags_override_and_expansion(tmp_path):
    """`${VAR:default}` is expanded on request, a flag beats the file, the result is printed."""
    text = 'node: { name: "${NODE_NAME:fallback}" }\nlog: { level: info }\n'
    done = run(tmp_path, "validate", text, "--config.expand-env", "--log.level", "debug")
    assert done.returncode == 0, done.stderr
    assert "fallback" in done.stdout
    assert re.search(r"level:\s*\"?debug", done.stdout), done.stdout


@pytest.mark.parametrize(
    "flags", [["--nonsense"], ["--log.level"], ["--config.path"], ["nonsense"]]
)
def test_bad_usage_is_64(flags):
    done = subprocess.run(
        [binary("controlplane"), *flags], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 64, done.stderr
