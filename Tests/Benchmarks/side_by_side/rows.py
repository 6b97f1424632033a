"""The workloads. Figures are requests per second, ns of processor time, or bytes of memory."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """One workload, measured for every side that takes it in every round."""

    name: str
    title: str
    entry: str  # which port of a side: h1, l4, tls, resume, mesh, h2, grpc, text, routes
    load: dict = field(default_factory=dict)  # options of the loader
    fixed_rate: bool = False  # at one rate, judged by processor time per request
    half: bool = False  # at half of the best peer's saturation, judged by p99
    bulk: bool = False  # shown in GB/s
    target: float | None = None  # against the best peer
    floor: str | None = None  # the bare forwarder of this kind of row
    floor_target: float | None = None
    default_congestion: bool = False  # with the system's congestion control
    beside: tuple = ()  # the peers that count as the best one; empty: all
    ours: str = "ringmesh"  # the side that is judged
    needs_cores: int = 4

    @property
    def paced(self):
        return self.fixed_rate or self.half

    @property
    def key(self):
        """The figure that is judged."""
        if self.half:
            return "p99_us"
        return "cpu_ns" if self.fixed_rate else "gb_per_second" if self.bulk else "per_second"

    @property
    def unit(self):
        return UNITS[self.key]


UNITS = {
    "cpu_ns": "CPU ns/request",
    "p99_us": "p99 µs",
    "gb_per_second": "GB/s",
    "per_second": "requests/s",
}


def smaller_is_better(key):
    return key in ("cpu_ns", "p99_us")


SMALL = {"down": 128}
PING = {"exchange": True, "up": 48, "down": 64}

BULK_UP = {"exchange": True, "up": 1048576, "down": 8, "depth": 2, "connections": 8}
BULK_DOWN = {"exchange": True, "up": 0, "down": 1048576, "depth": 2, "connections": 8}
H1, TLS, L4 = "HTTP/1.1 keep-alive", "TLS 1.3 keep-alive", "L4 64 B ping-pong"
OPENSSL = ("haproxy", "nginx")  # envoy has BoringSSL
EXACTLY = {"fixed_rate": True, "needs_cores": 2}
H2, GRPC = "HTTP/2 over TLS 1.3", "gRPC unary, HTTP/2 to HTTP/2"
TEXT = {"down": 65536, "connections": 16}
UNARY = {"down": 133, "up": 133}  # a message of 128 bytes behind its length


def connections(count, **load):
    return {**load, "connections": count}


# The least noisy come first.
ROWS = [
    Row(
        "h1-rate",
        f"{H1}, 128 B, fixed rate, 64 connections",
        "h1",
        connections(64, **SMALL),
        target=1.3,
        **EXACTLY,
    ),
    Row(
        "l4-rate",
        f"{L4}, fixed rate, 64 connections",
        "l4",
        connections(64, **PING),
        target=1.1,
        floor="forward",
        floor_target=0.95,
        **EXACTLY,
    ),
    Row(
        "tls-rate",
        f"{TLS}, 128 B, fixed rate, 64 connections",
        "tls",
        connections(64, **SMALL),
        target=1.3,
        **EXACTLY,
    ),
    Row(
        "h1-64",
        f"{H1}, 128 B, 64 connections",
        "h1",
        connections(64, **SMALL),
        target=1.3,
        floor="forward",
        floor_target=0.85,
    ),
    Row("h1-512", f"{H1}, 128 B, 512 connections", "h1", connections(512, **SMALL), target=1.4),
    Row(
        "h1-p99",
        f"{H1}, 128 B, 64 connections, half of the best peer's saturation",
        "h1",
        connections(64, **SMALL),
        half=True,
        target=1.0,
    ),
    Row(
        "l4-64",
        f"{L4}, 64 connections",
        "l4",
        connections(64, **PING),
        target=1.1,
        floor="forward",
        floor_target=0.95,
    ),
    Row("tls-64", f"{TLS}, 128 B, 64 connections", "tls", connections(64, **SMALL), target=1.3),
    Row(
        "h1-64k",
        f"{H1}, 64 KiB bodies, 64 connections",
        "h1",
        connections(64, down=65536),
        bulk=True,
        target=1.5,
    ),
    Row(
        "h1-1m",
        f"{H1}, 1 MiB bodies, 16 connections",
        "h1",
        connections(16, down=1048576),
        bulk=True,
        target=1.8,
    ),
    Row(
        "tls-1m",
        f"{TLS}, 1 MiB bodies, 16 connections",
        "tls",
        connections(16, down=1048576),
        bulk=True,
        target=1.2,
    ),
    Row(
        "cps",
        "HTTP/1.1, a new connection per request",
        "h1",
        connections(64, **SMALL, fresh=True),
        target=1.2,
    ),
    Row(
        "tls-hs",
        "TLS 1.3, a full handshake per request",
        "tls",
        connections(64, **SMALL, fresh=True),
        target=1.3,
        beside=OPENSSL,
    ),
    Row(
        "tls-resume",
        "TLS 1.3, a resumed handshake per request",
        "resume",
        connections(64, **SMALL, fresh=True, resume=True),
        target=1.3,
        beside=OPENSSL,
    ),
    Row(
        "l4-up",
        "L4 bulk to the backend, 8 connections",
        "l4",
        BULK_UP,
        bulk=True,
        target=2.0,
        floor="forward-splice",
        floor_target=0.8,
    ),
    Row(
        "l4-down",
        "L4 bulk from the backend, 8 connections",
        "l4",
        BULK_DOWN,
        bulk=True,
        target=2.0,
        floor="forward-splice",
        floor_target=0.8,
    ),
    Row(
        "mesh-64",
        "pair with mutual TLS, 128 B, 64 connections",
        "mesh",
        connections(64, **SMALL),
        target=1.2,
    ),
    Row(
        "mesh-1m",
        "pair with mutual TLS, 1 MiB bodies, 16 connections",
        "mesh",
        connections(16, down=1048576),
        bulk=True,
        target=1.3,
    ),
    Row(
        "h2-rate",
        f"{H2}, 128 B, fixed rate, 64 connections",
        "h2",
        connections(64, **SMALL, streams=10),
        target=1.3,
        **EXACTLY,
    ),
    Row(
        "h2-64",
        f"{H2}, 128 B, 64 connections of 10 streams",
        "h2",
        connections(64, **SMALL, streams=10),
        target=1.6,
    ),
    Row(
        "h2-8",
        f"{H2}, 128 B, 8 connections of 100 streams",
        "h2",
        connections(8, **SMALL, streams=100),
        target=1.6,
    ),
    Row(
        "grpc-rate",
        f"{GRPC}, 128 B, fixed rate, 64 connections",
        "grpc",
        connections(64, **UNARY, streams=10),
        target=1.3,
        beside=("envoy",),
        **EXACTLY,
    ),
    Row(
        "grpc-64",
        f"{GRPC}, 128 B, 64 connections of 10 streams",
        "grpc",
        connections(64, **UNARY, streams=10),
        target=1.3,
        beside=("envoy",),
    ),
    Row(
        "text-64k",
        "HTTP/1.1, 64 KiB of text as it is, 16 connections",
        "text",
        {**TEXT, "coding": "identity"},
    ),
    *(
        Row(
            f"{name}-64k",
            f"HTTP/1.1, 64 KiB of text coded by {coding} {level}, 16 connections",
            "text",
            {**TEXT, "coding": name},
        )
        for name, coding, level in (("gzip", "gzip", 1), ("br", "brotli", 3), ("zstd", "zstd", 3))
    ),
    Row(
        "routes-rate",
        f"{H1}, 128 B, fixed rate, the last of 100,000 routes against the only one",
        "routes",
        connections(64, **SMALL),
        target=1 / 1.1,
        beside=("ringmesh",),
        ours="ringmesh-routes",
        **EXACTLY,
    ),
    Row(
        "l4-up-default",
        "L4 bulk to the backend, the system's congestion control",
        "l4",
        BULK_UP,
        bulk=True,
        floor="forward-splice",
        default_congestion=True,
    ),
]

# The rows that a plain `tools/bench` runs; --rows all runs every one.
USUAL = ["h1-rate", "l4-rate", "tls-rate", "h1-64", "h1-512", "l4-64"]

# Memory and size: name, title, limit in bytes that the product keeps.
KIB = 1024
LIMITS = {
    "idle-plain": ("memory per idle plain connection", 1 * KIB),
    "idle-tls": ("memory per idle TLS connection", 15 * KIB),
    "idle-h2": ("memory per idle connection of HTTP/2 over TLS", 32 * KIB),
    "base": ("resident memory of an unused worker", 8 * KIB * KIB),
    "size": ("program, stripped", 2 * KIB * KIB),
}


@dataclass(frozen=True)
class Counted:
    """What instructions are counted of."""

    title: str
    entry: str
    load: dict
    side: str = "ringmesh"
    sampled: float | None = None  # the share of requests that become spans; None: no tracing


CALM = {**SMALL, "rate": 1500}  # what the control plane can take spans of

COUNTED = {
    "h1": Counted(f"{H1}, 128 B", "h1", SMALL),
    "tls": Counted(f"{TLS}, 128 B", "tls", SMALL),
    "l4": Counted(L4, "l4", PING),
    "h2": Counted(f"{H2}, 128 B", "h2", {**SMALL, "streams": 10}),
    "grpc": Counted(f"{GRPC}, 128 B", "grpc", {**UNARY, "streams": 10}),
    "h1-untraced": Counted(f"{H1}, 128 B, 1,500/s", "h1", CALM),
    "h1-traced-1": Counted(f"{H1}, 128 B, 1,500/s, 1 % sampled", "h1", CALM, sampled=0.01),
    "h1-traced": Counted(f"{H1}, 128 B, 1,500/s, all sampled", "h1", CALM, sampled=1.0),
    "h1-uncoded": Counted(f"{H1}, 128 B, compression that no client wants", "text", SMALL),
    "h1-route": Counted(f"{H1}, 128 B, one route by host and path", "routes", SMALL),
    "h1-routes": Counted(
        f"{H1}, 128 B, the last route of 10,000 hosts by 10 paths",
        "routes",
        SMALL,
        side="ringmesh-routes",
    ),
}
