"""The loader of the rows of HTTP/2: h2load of nghttp2, which many measure with.

It checks statuses and counts bytes, where our own loader compares every byte; and it tells means
of latencies, no quantiles.
"""

import re
import subprocess
import time

from void import Void

ENTRIES = ("h2", "grpc")
WARM = 0.3


def command(plan, entry, port, options):
    """The command line for a row's options: for some `seconds`, or for a `count` of requests."""
    clients = options["connections"]
    words = ["taskset", "-c", options.get("cpus", ",".join(map(str, plan.places.loader)))]
    threads = min(clients, len(plan.places.loader))
    words += ["h2load", "-t", threads, "-c", clients, "-m", options.get("streams", 1)]
    if "count" in options:
        words += ["-n", options["count"]]
    else:
        words += ["-D", f"{options['seconds'] * 1000:.0f}ms"]
        words += ["--warm-up-time", f"{WARM * 1000:.0f}ms"]
    if "rate" in options:
        words += ["--rps", f"{options['rate'] / clients:.3f}"]
    if entry == "grpc":
        message = plan.directory / "message"
        message.write_bytes((options["up"] - 5).to_bytes(5, "big") + b"x" * (options["up"] - 5))
        words += ["-d", message, "-H", "content-type: application/grpc", "-H", "te: trailers"]
        words += [f"http://127.0.0.1:{port}/bench.Calls/Unary"]
    else:
        words += ["--tls13-ciphers=TLS_AES_128_GCM_SHA256"]
        words += [f"https://127.0.0.1:{port}/b/{options['down']}/1"]
    return [str(word) for word in words]


def processor_ns(pid):
    """Processor time of a whole process: its clock by number, as clock_getcpuclockid() makes it."""
    return int(time.clock_gettime(~pid << 3 | 2) * 1e9)


def run(words, watched, seconds, down):
    """What the loader said, in the words of our own one; the processor time of `watched` is that
    of the measured part.
    """
    begun = {}
    ended = {}
    text = []
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as done:
        own = {"own": done.pid, **watched}
        for line in done.stdout:
            if "Main benchmark duration is started" in line:
                begun = {name: processor_ns(pid) for name, pid in own.items()}
            elif "Main benchmark duration is over" in line and not ended:
                ended = {name: processor_ns(pid) for name, pid in own.items()}
            text.append(line)
        trouble = done.stderr.read().strip()
    text = "".join(text)
    if done.returncode != 0 or not begun or not ended:
        raise Void(trouble or text.strip()[-200:] or f"h2load ended with {done.returncode}")
    return {
        "requests": number(r" (\d+) succeeded", text),
        "seconds": seconds,
        "bytes": number(r"\((\d+)\) data", text),
        "errors": errors(text, down),
        "watched_ns": {name: ended[name] - begun[name] for name in watched},
        "own_cpu_ns": ended["own"] - begun["own"],
    }


def number(pattern, text):
    found = re.search(pattern, text)
    if found is None:
        raise Void(f"h2load said nothing of {pattern}")
    return int(found.group(1))


def errors(text, down):
    """What was wrong: answers of another status, none, or bodies of another length."""
    succeeded = number(r" (\d+) succeeded", text)
    return {
        "failed": number(r" (\d+) failed", text),
        "errored": number(r" (\d+) errored", text),
        "timed out": number(r" (\d+) timeout", text),
        "status": succeeded - number(r"status codes: (\d+) 2xx", text),
        "bytes missing": max(0, succeeded * down - number(r"\((\d+)\) data", text)),
    }
