"""A suite that fails says what failed, however long its log is; a peer that cannot be fetched is
told in one line and missed by nobody else.
"""

import subprocess
from pathlib import Path

LIB = Path(__file__).resolve().parent.parent / "lib.sh"
TAIL = [str(number) for number in range(61, 101)]


def bash(folder, script):
    """What a script says that has read lib.sh, with logs and tools of its own."""
    places = f"LOGS={folder} ROOT={folder} VENV={folder}/venv"
    return subprocess.run(
        ["bash", "-c", f". {LIB}; {places}; {script}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def failed(folder, *lines):
    """What is shown of a suite that says these lines, much else after them, and fails."""
    text = "".join(f"{line}\n" for line in lines)
    (folder / "words").write_text(text, encoding="utf-8")
    done = bash(folder, f"run_logged suite bash -c 'cat {folder}/words; seq 100; exit 3'")
    assert done.returncode == 3
    assert "suite failed (exit 3)" in done.stdout
    return [line.removeprefix("    | ") for line in done.stdout.splitlines() if "    | " in line]


def test_names_of_failed_tests_come_before_the_tail(tmp_path):
    told = (
        "FAILED Tests/Integration/test_a.py::test_b - AssertionError: 1 == 2",
        "ERROR Tests/Integration/test_c.py - no module",
        "✘ Test d() recorded an issue at D.swift:7:9: Expectation failed",
        "Sources/E/E.swift:1:2: error: cannot find 'f' in scope",
    )
    shown = failed(tmp_path, "12 FAILED elsewhere", *told, "an error like any other")
    assert shown == [*told, "...", *TAIL]


def test_they_are_bounded(tmp_path):
    lines = [f"FAILED test_{number}" for number in range(100)]
    shown = failed(tmp_path, *lines)
    assert shown[:42] == [*lines[:40], "... and 60 more like these", "..."]


def test_nothing_is_added_when_nothing_is_named(tmp_path):
    assert failed(tmp_path, "it was cold") == TAIL


def test_a_log_of_a_few_lines_is_shown_once(tmp_path):
    done = bash(tmp_path, "run_logged suite bash -c 'echo FAILED test_a; exit 1'")
    assert done.stdout.count("FAILED test_a") == 1


def test_a_peer_that_cannot_be_fetched_is_told_in_one_line(tmp_path):
    nowhere = "export http_proxy=http://127.0.0.1:9 APT_CONFIG=/dev/null"
    done = bash(
        tmp_path,
        f"unset RINGMESH_CONSUL; dpkg() {{ echo amd64; }}; {nowhere}; need_consul;"
        ' echo "then ${RINGMESH_CONSUL:-none}"',
    )
    assert done.returncode == 0, done.stderr
    fetching, told, then = done.stdout.splitlines()
    assert "consul 1.8.7" in fetching
    assert "no consul: " in told
    assert then == "then none"
    assert not (tmp_path / ".build-tools/consul").exists()


def test_a_peer_that_is_named_is_not_fetched(tmp_path):
    named = "export RINGMESH_CONSUL=/x/consul ENVOY_BIN=/x/envoy"
    done = bash(tmp_path, f'{named}; need_consul; need_envoy; echo "$RINGMESH_CONSUL $ENVOY_BIN"')
    assert done.stdout == "/x/consul /x/envoy\n"
