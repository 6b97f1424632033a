"""Shell sessions of documents: run them, compare them, write them.

A session is every ```console block of a document, one after another in one shell. A line that
begins with `$ ` is a command, the lines below it are what it prints. A command ends with status 0
unless a comment behind it says `# exit N`. `tools/run` is up while a session runs, in a network and
a folder for temporary files of its own, so that ports and paths are those of the document.

    sessions.py DOCUMENT BIN     runs the session and writes what the commands printed
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MARK = "-- end of a command:"

# Brings the private network up, hides the real temporary files, and starts the demo. The clone and
# the programs are bound elsewhere first: they may lie among the temporary files themselves.
PROLOGUE = """
ip link set lo up && mount -t tmpfs tmpfs /mnt && mkdir /mnt/clone /mnt/bin &&
    mount --bind "$ROOT" /mnt/clone && mount --bind "$BIN" /mnt/bin &&
    mount -t tmpfs tmpfs /tmp && cd /mnt/clone && BIN=/mnt/bin || exit 77
tools/run --bin "$BIN" >/tmp/run.log 2>&1 & run=$!
for _ in $(seq 900); do
    grep -q 'Ringmesh runs' /tmp/run.log && break
    kill -0 $run 2>/dev/null || break
    sleep 0.1
done
grep -q 'Ringmesh runs' /tmp/run.log || { cat /tmp/run.log; exit 1; }
export PATH="$BIN:$PATH" RINGMESH_ADDR=unix:///tmp/ringmesh-demo/admin.sock
"""
EPILOGUE = "\nkill -TERM $run; wait $run\n"


@dataclass
class Command:
    """One command of a session."""

    text: str
    line: int
    expected: list = field(default_factory=list)
    printed: list = field(default_factory=list)
    status: int = -1

    @property
    def wanted_status(self):
        stated = re.search(r"#.*\bexit (\d+)\b", self.text)
        return int(stated.group(1)) if stated else 0

    @property
    def is_setup(self):
        """Lines that point the shell at the programs: the prologue has done that."""
        return self.text.startswith("export PATH=")


def read(document):
    """The commands of a document."""
    commands, inside = [], False
    for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            inside = line == "```console"
        elif inside and line.startswith("$ "):
            commands.append(Command(line[2:], number))
        elif inside:
            commands[-1].expected.append(line)
    return commands


def namespaces():
    """The command that gives a network, mounts and processes of its own; None: not permitted."""
    command = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if os.getuid() != 0:
        command.append("--map-root-user")
    done = subprocess.run([*command, "true"], capture_output=True, check=False)
    return command if done.returncode == 0 else None


def play(commands, binaries, inside):
    """Runs the commands; each knows afterwards what it printed and how it ended."""
    played = [c for c in commands if not c.is_setup]
    script = [PROLOGUE]
    for command in played:
        script.append(f"{{ {command.text}\n}} 2>&1; printf '\\n{MARK} %d\\n' $?")
    done = subprocess.run(
        [*inside, "bash", "-c", "\n".join(script) + EPILOGUE],
        env={**os.environ, "TMPDIR": "/tmp", "ROOT": str(ROOT), "BIN": str(binaries)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    parts = re.split(rf"\n{MARK} (\d+)\n", done.stdout)
    if len(parts) != 2 * len(played) + 1:
        raise AssertionError(f"the session broke off: {done.stdout}{done.stderr}")
    for command, printed, status in zip(played, parts[::2], parts[1::2], strict=False):
        command.printed = printed.rstrip("\n").splitlines()
        command.status = int(status)


def essence(lines):
    """What stays the same from run to run: words, not times, identifiers and widths."""
    text = "\n".join(re.sub(r"\s+", " ", line).strip() for line in lines)
    for pattern, name in [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME"),
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID"),
        (r"\b[0-9a-f]{2}(:[0-9a-f]{2}){15,}\b", "SERIAL"),
        (r"\b\d+(\.\d)? (µs|ms|s|B|KiB|MiB)(?= |$)|(?<= )-(?= |$)", "AMOUNT"),
        (r"(?<![\w.:])\d+(?![\w.:])", "N"),
    ]:
        text = re.sub(pattern, name, text, flags=re.MULTILINE)
    return text


def rewrite(document, commands):
    """Puts what was printed below each command."""
    lines = document.read_text(encoding="utf-8").splitlines()
    for command in reversed(commands):
        if not command.is_setup:
            lines[command.line : command.line + len(command.expected)] = command.printed
    document.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main():
    document, binaries = Path(sys.argv[1]), Path(sys.argv[2]).resolve()
    inside = namespaces()
    if inside is None:
        sys.exit("a private network is not permitted here")
    commands = read(document)
    play(commands, binaries, inside)
    rewrite(document, commands)
    for command in commands:
        if not command.is_setup and command.status != command.wanted_status:
            print(f"{document}:{command.line}: ends with {command.status}: {command.text}")


if __name__ == "__main__":
    main()
