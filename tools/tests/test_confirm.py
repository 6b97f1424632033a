"""A failure that comes twice is a failure; one that comes once is named, and many are all real."""

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import confirm

TOOLS = Path(confirm.__file__).parent

ONCE = """
import pathlib
import pytest

def fails_once(place):
    first = not place.exists()
    place.touch()
    assert not first

@pytest.mark.parametrize("odd", ["it's", "[x]"])
def test_once(odd):
    fails_once(pathlib.Path({place!r}) / str(len(odd)))

@pytest.fixture
def broken():
    fails_once(pathlib.Path({place!r}) / "fixture")

def test_of_a_fixture(broken):
    pass
"""
TWICE = "def test_twice():\n    assert False\n"
MANY = "import pytest\n@pytest.mark.parametrize('n', range(4))\ndef test(n):\n    assert False\n"


def run(tmp_path, capfd, monkeypatch, **files):
    monkeypatch.setattr(confirm, "LOGS", tmp_path)
    for name, text in files.items():
        (tmp_path / f"test_{name}.py").write_text(text.replace("{place!r}", repr(str(tmp_path))))
    # What spreads tests over processes is taken away before the second try.
    code = confirm.main("x", ["-q", "-n", "2", "--dist", "loadfile", str(tmp_path)])
    return code, capfd.readouterr().out


def test_what_fails_once_is_named(tmp_path, capfd, monkeypatch):
    code, said = run(tmp_path, capfd, monkeypatch, once=ONCE)
    assert code == 0
    assert said.splitlines()[-3:] == [
        "UNSTEADY test_once.py::test_of_a_fixture",
        "UNSTEADY test_once.py::test_once[[x]]",
        "UNSTEADY test_once.py::test_once[it's]",
    ]


@pytest.mark.parametrize("text", [TWICE, "no Python"])
def test_what_fails_twice_fails(tmp_path, capfd, monkeypatch, text):
    code, said = run(tmp_path, capfd, monkeypatch, twice=text)
    assert code != 0
    assert "second try of 1, alone" in said
    assert "UNSTEADY" not in said


def test_many_failures_are_not_tried_again(tmp_path, capfd, monkeypatch):
    code, said = run(tmp_path, capfd, monkeypatch, many=MANY)
    assert code == 1
    assert "second try" not in said


def test_passing_is_passing(tmp_path, capfd, monkeypatch):
    code, said = run(tmp_path, capfd, monkeypatch, good="def test_good():\n    pass\n")
    assert code == 0
    assert "second try" not in said
    assert subprocess.run([sys.executable, TOOLS / "confirm.py"], check=False).returncode != 0
