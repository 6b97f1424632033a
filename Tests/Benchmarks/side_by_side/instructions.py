"""Instructions per request of the worker's own code, counted by callgrind.

Two runs of different length; their difference leaves out start and end. Nothing of the machine's
load is in the figure, and nothing of the kernel: it is for comparing a program with itself.
"""

import contextlib
import os
import re
import stat
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import h2load
import measure
import ringmesh
import sides
from rows import COUNTED

SECONDS = (1.0, 4.0)
PATIENCE = 60
COUNT = 2560  # requests in a second, for the loader that is told how many


def wrapper(directory):
    """A program that runs the data plane under callgrind. Without debugging information, since old
    valgrinds cannot read that of new compilers; functions keep their names.
    """
    program = directory / "dataplane-counted"
    subprocess.run(["strip", "-g", "-o", program, ringmesh.binary("dataplane")], check=True)
    script = directory / "dataplane"
    script.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && exec "' + str(program) + '" "$@"\n'
        f"exec valgrind --quiet --tool=callgrind --trace-children=yes "
        f'--callgrind-out-file="{directory}/callgrind.%p" "{program}" "$@"\n',
        encoding="ascii",
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script


def counted(directory, pid):
    """Instructions that a process executed, from its file."""
    text = (directory / f"callgrind.{pid}").read_text(encoding="ascii", errors="replace")
    return int(re.search(r"^(?:summary|totals): (\d+)", text, re.MULTILINE).group(1))


def answered(side, entry):
    """Requests or exchanges that the worker has handled on one listener; exchanges have no counter
    of their own, so their bytes tell.
    """
    metrics = side.node.metrics()
    name = "bytes_in" if entry == "l4" else "requests"
    pattern = rf'^\w*listener\w*{name}\w*\{{[^}}]*"{entry}"[^}}]*\}} (\d+)'
    found = re.search(pattern, metrics, re.MULTILINE)
    if found is None:
        raise measure.Void(f"the metrics of the node do not tell {name} of {entry}")
    return int(found.group(1)) / (64 if entry == "l4" else 1)


class Collector(BaseHTTPRequestHandler):
    """Takes every span, so that none waits."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def collecting(sampled):
    """The section `tracing` of a configuration; None where nothing is sampled."""
    if sampled is None:
        yield None
        return
    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        yield {"otlp": {"endpoint": endpoint}, "sample": sampled}
    finally:
        server.shutdown()
        server.server_close()


def load(rig, side, what, seconds):
    """Requests that were answered."""
    options = {**what.load, "connections": 64, "seconds": seconds, "warmup": 0}
    if h2load.takes(what.entry, what.load):
        options["count"] = round(COUNT * seconds)  # it cannot begin before all are connected
    words = rig.command(side, what.entry, options)
    subprocess.run(words, check=True, capture_output=True, timeout=seconds + PATIENCE)
    if what.sampled is not None and re.search(
        r"^\w*spans_dropped\w*\{.*\} [1-9]", side.node.metrics()
    ):
        raise measure.Void("spans found no room: fewer were made than were asked for")
    return answered(side, what.entry)


def one_run(rig, name, seconds):
    """(instructions, requests) of a worker's whole life."""
    what = COUNTED[name]
    with collecting(what.sampled) as tracing:
        side = sides.kinds()[what.side](rig.plan)
        side.tracing = tracing
        try:
            side.start()
            pid = side.worker()
            requests = load(rig, side, what, seconds)
        finally:
            side.stop()
    return counted(rig.plan.directory, pid), requests


def measured(rig, names=tuple(COUNTED)):
    """{name: instructions per request}."""
    os.environ["RINGMESH_DATAPLANE"] = str(wrapper(rig.plan.directory))
    try:
        found = {}
        for name in names:
            (few, short), (many, long) = (one_run(rig, name, seconds) for seconds in SECONDS)
            found[name] = round((many - few) / (long - short))
        return found
    finally:
        del os.environ["RINGMESH_DATAPLANE"]
