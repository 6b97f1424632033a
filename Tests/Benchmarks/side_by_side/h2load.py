"""The loader of rows of HTTP/2 and of coded answers: h2load of nghttp2, which many measure with.

It checks statuses and counts bytes, where our own loader compares every byte; and it tells means
of latencies, no quantiles.
"""

import gzip
import http.client
import re
import subprocess
import time

from void import Void

AS_IT_IS = "identity"
WARM = 0.3


def takes(entry, load):
    """Whether a row is loaded by it."""
    return entry in ("h2", "grpc") or "coding" in load


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
    elif entry == "text":
        words += ["--h1", "-H", f"accept-encoding: {options['coding']}"]
        words += [f"http://127.0.0.1:{port}/t/{options['down']}/1"]
    else:
        words += ["--tls13-ciphers=TLS_AES_128_GCM_SHA256"]
        words += [f"https://127.0.0.1:{port}/b/{options['down']}/1"]
    return [str(word) for word in words]


def processor_ns(pid):
    """Processor time of a whole process: its clock by number, as clock_getcpuclockid() makes it."""
    return int(time.clock_gettime(~pid << 3 | 2) * 1e9)


def run(words, watched, seconds, load):
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
        "errors": errors(text, load["down"], load.get("coding", AS_IT_IS) != AS_IT_IS),
        "watched_ns": {name: ended[name] - begun[name] for name in watched},
        "own_cpu_ns": ended["own"] - begun["own"],
    }


def coded_length(port, load):
    """Bytes of one answer in the coding that the row asks for; Void when it has none of it."""
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        asked.request("GET", f"/t/{load['down']}/1", headers={"Accept-Encoding": load["coding"]})
        answer = asked.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise Void(f"the first answer: {error!r}") from error
    finally:
        asked.close()
    coding = answer.getheader("Content-Encoding", AS_IT_IS)
    if answer.status != 200 or coding != load["coding"]:
        raise Void(f"{answer.status}, coded by {coding}, where {load['coding']} was asked for")
    if (len(gzip.decompress(body)) if coding == "gzip" else load["down"]) != load["down"]:
        raise Void("what is undone has another length")
    return len(body)


def number(pattern, text):
    found = re.search(pattern, text)
    if found is None:
        raise Void(f"h2load said nothing of {pattern}")
    return int(found.group(1))


def errors(text, down, coded=False):
    """What was wrong: answers of another status, none, or bodies that are too short; one of those
    that are coded was looked at before.
    """
    succeeded = number(r" (\d+) succeeded", text)
    least = succeeded * (1 if coded else down)
    return {
        "failed": number(r" (\d+) failed", text),
        "errored": number(r" (\d+) errored", text),
        "timed out": number(r" (\d+) timeout", text),
        # Not by those of 2xx: heads are counted when they come, requests when they are done.
        "status": sum(number(rf"(\d+) {kind}xx", text) for kind in (3, 4, 5)),
        "bytes missing": max(0, least - number(r"\((\d+)\) data", text)),
    }
