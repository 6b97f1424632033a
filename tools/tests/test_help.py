"""Every command says what it does when it is asked, and does nothing else then."""

import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parent.parent
COMMANDS = ["run", "check", "fmt", "sim", "cunit", "fuzz"]


def ask(command, *arguments):
    return subprocess.run(
        [TOOLS / command, *arguments], capture_output=True, text=True, timeout=10, check=False
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_the_top_of_the_script(command):
    done = ask(command, "--help")
    assert done.returncode == 0, done.stderr
    top = (TOOLS / command).read_text(encoding="utf-8").splitlines()[1]
    assert done.stdout.startswith(top.removeprefix("# ")), done.stdout
    assert f"tools/{command}" in done.stdout
    assert "set -euo" not in done.stdout


@pytest.mark.parametrize("command", ["run", "check", "fmt"])
def test_an_unknown_option_is_wrong_usage(command):
    done = ask(command, "--nonsense")
    assert done.returncode == 64
    assert "--nonsense" in done.stderr
    assert "--help" in done.stderr
