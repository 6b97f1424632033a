"""Instructions per request of the worker's own code, counted by callgrind.

Two runs of different length; their difference leaves out start and end. Nothing of the machine's
load is in the figure, and nothing of the kernel: it is for comparing a program with itself.
"""

import os
import re
import stat
import subprocess

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


def one_run(rig, entry, seconds):
    """(instructions, requests) of a worker's whole life."""
    side = sides.Ringmesh(rig.plan)
    try:
        side.start()
        pid = side.worker()
        options = {**COUNTED[entry][1], "connections": 64, "seconds": seconds, "warmup": 0}
        if entry in h2load.ENTRIES:  # it cannot begin to measure before all are connected
            options["count"] = round(COUNT * seconds)
        command = rig.command(side, entry, options)
        subprocess.run(command, check=True, capture_output=True, timeout=seconds + PATIENCE)
        requests = answered(side, entry)
    finally:
        side.stop()
    return counted(rig.plan.directory, pid), requests


def measured(rig):
    """{entry: instructions per request}."""
    os.environ["RINGMESH_DATAPLANE"] = str(wrapper(rig.plan.directory))
    try:
        found = {}
        for entry in COUNTED:
            (few, short), (many, long) = (one_run(rig, entry, seconds) for seconds in SECONDS)
            found[entry] = round((many - few) / (long - short))
        return found
    finally:
        del os.environ["RINGMESH_DATAPLANE"]
