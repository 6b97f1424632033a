"""What the scenarios of the access log look at: its file, its counters, its process."""

import contextlib
import json
import re
from pathlib import Path

import processes
from wire import wait_for


class Log:
    """A log of JSON lines, followed."""

    def __init__(self, path):
        self.path = Path(path)

    def lines(self):
        if not self.path.exists():
            return []
        text = self.path.read_text(encoding="utf-8")
        assert text == "" or text.endswith("\n") or "\n" in text
        return text[: text.rfind("\n") + 1].splitlines()

    def records(self):
        return [json.loads(line) for line in self.lines()]

    def find(self, **wanted):
        """The record with these members, waited for."""
        found = []

        def there():
            found[:] = [r for r in self.records() if wanted.items() <= r.items()]
            return found

        wait_for(there, 10, f"a record with {wanted}")
        assert len(found) == 1, found
        return found[0]


def counter(node, name):
    values = re.findall(rf"^ringmesh_worker_{name}_total\{{.*\}} (\d+)$", node.metrics(), re.M)
    return sum(int(value) for value in values)


def logger_of(node):
    """Process number of the logger: a child of the supervisor, named a moment after it is made."""
    return wait_for(lambda: find_logger(node), what="a logger")


def find_logger(node):
    for pid in processes.children(node.supervisor()):
        with contextlib.suppress(OSError):  # it has just ended
            if Path(f"/proc/{pid}/comm").read_text(encoding="ascii") == "mesh-logger\n":
                return pid
    return None
