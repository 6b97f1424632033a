"""The workloads. Figures are requests per second, ns of processor time, or bytes of memory."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """One workload, measured for every side in every round."""

    name: str
    title: str
    entry: str  # which port of a side: h1, l4, tls
    load: dict = field(default_factory=dict)  # options of the loader
    fixed_rate: bool = (
        False  # measured by processor time per request instead of requests per second
    )
    bulk: bool = False  # shown in GB/s
    target: float | None = None  # against the best peer
    needs_cores: int = 4

    @property
    def unit(self):
        if self.fixed_rate:
            return "CPU ns/request"
        return "GB/s" if self.bulk else "requests/s"


SMALL = {"down": 128}
PING = {"exchange": True, "up": 48, "down": 64}

ROWS = [
    Row(
        "h1-rate",
        "HTTP/1.1 keep-alive, 128 B, fixed rate, 64 connections",
        "h1",
        {**SMALL, "connections": 64},
        fixed_rate=True,
        target=1.0,
        needs_cores=2,
    ),
    Row(
        "l4-rate",
        "L4 64 B ping-pong, fixed rate, 64 connections",
        "l4",
        {**PING, "connections": 64},
        fixed_rate=True,
        target=1.0,
        needs_cores=2,
    ),
    Row(
        "h1-64",
        "HTTP/1.1 keep-alive, 128 B, 64 connections",
        "h1",
        {**SMALL, "connections": 64},
        target=1.0,
    ),
    Row(
        "h1-512",
        "HTTP/1.1 keep-alive, 128 B, 512 connections",
        "h1",
        {**SMALL, "connections": 512},
        target=1.0,
    ),
    Row(
        "l4-64", "L4 64 B ping-pong, 64 connections", "l4", {**PING, "connections": 64}, target=1.0
    ),
    Row(
        "tls-rate",
        "TLS 1.3 keep-alive, 128 B, fixed rate, 64 connections",
        "tls",
        {**SMALL, "connections": 64},
        fixed_rate=True,
        needs_cores=2,
    ),
    Row("tls-64", "TLS 1.3 keep-alive, 128 B, 64 connections", "tls", {**SMALL, "connections": 64}),
    Row(
        "h1-64k",
        "HTTP/1.1 keep-alive, 64 KiB bodies, 64 connections",
        "h1",
        {"down": 65536, "connections": 64},
        bulk=True,
    ),
    Row(
        "h1-1m",
        "HTTP/1.1 keep-alive, 1 MiB bodies, 16 connections",
        "h1",
        {"down": 1048576, "connections": 16},
        bulk=True,
    ),
    Row(
        "tls-1m",
        "TLS 1.3, 1 MiB bodies, 16 connections",
        "tls",
        {"down": 1048576, "connections": 16},
        bulk=True,
    ),
    Row(
        "cps",
        "HTTP/1.1, a new connection per request",
        "h1",
        {**SMALL, "connections": 64, "fresh": True},
    ),
    Row(
        "tls-hs",
        "TLS 1.3, a full handshake per request",
        "tls",
        {**SMALL, "connections": 64, "fresh": True},
    ),
    Row(
        "l4-up",
        "L4 bulk to the backend, 8 connections",
        "l4",
        {"exchange": True, "up": 1048576, "down": 8, "depth": 2, "connections": 8},
        bulk=True,
    ),
    Row(
        "l4-down",
        "L4 bulk from the backend, 8 connections",
        "l4",
        {"exchange": True, "up": 0, "down": 1048576, "depth": 2, "connections": 8},
        bulk=True,
    ),
]

# The rows that a plain `tools/bench` runs; --rows all runs every one.
USUAL = ["h1-rate", "l4-rate", "h1-64", "h1-512", "l4-64"]

# Memory and size: name, title, limit in bytes that the product keeps.
KIB = 1024
LIMITS = {
    "idle-plain": ("memory per idle plain connection", 2 * KIB),
    "idle-tls": ("memory per idle TLS connection", 20 * KIB),
    "base": ("resident memory of an unused worker", 16 * KIB * KIB),
    "size": ("program, stripped", 2 * KIB * KIB),
}
