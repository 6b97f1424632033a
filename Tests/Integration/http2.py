"""Whether the data plane speaks HTTP/2, and listeners of it that do.

SPOKEN is the one switch of all tests that need it: with "clients", with "upstreams".
test_http2_switch.py asks a real node whether it tells the truth. RINGMESH_HTTP2=clients,upstreams
is for a run against another data plane.
"""

import os
from pathlib import Path

import certificates
import pytest
from h2runner import Lane
from ringmesh import Node, defaults, listener, service
from wire import Recorder

SPOKEN = {"clients", "upstreams"}
if "RINGMESH_HTTP2" in os.environ:
    SPOKEN = set(os.environ["RINGMESH_HTTP2"].split(",")) - {""}

needed = pytest.mark.skipif(
    "clients" not in SPOKEN, reason="the data plane does not speak HTTP/2 with clients"
)
needed_upstream = pytest.mark.skipif(
    "upstreams" not in SPOKEN, reason="the data plane does not speak HTTP/2 with upstreams"
)


def not_yet(why):
    """Marks what does not hold yet; it is told, and told again when it holds."""
    return pytest.mark.xfail(reason=why, strict=False)


# Short enough to be waited for, long enough for a client that is kept from its processor.
TIMEOUTS = {"head": "5s", "idle": "8s", "request": "10s"}
ALPN = ["h2", "http/1.1"]


class Front:
    """A node with `count` lanes: a plain and a TLS listener in front of one recorder each."""

    def __init__(self, ports, folder, count=1, upstream=Recorder, **node):
        """`upstream` makes a recorder; `protocol`, `timeouts` (of all lanes, or a list with each
        one's), and what a Node takes.
        """
        protocol = node.pop("protocol", "http")
        timeouts = node.pop("timeouts", TIMEOUTS)
        timeouts = timeouts if isinstance(timeouts, list) else [timeouts] * count
        self.ca = certificates.authority(folder)
        cert, key = certificates.leaf(folder, "server", self.ca, "DNS:ex.test")
        tls = {"cert": str(cert), "key": str(key), "alpn": ALPN}
        self.recorders = [upstream() for _ in range(count)]
        self.lanes, services, listeners, entries = [], [], [], []
        for number, recorder in enumerate(self.recorders):
            name, port, tls_port = f"up-{number}", ports.take(), ports.take()
            services.append(service(name, recorder.port))
            entries.append(defaults(name, protocol))
            routes = [{"match": {"host": "ex.test"}, "service": name}]
            limits = {"timeouts": timeouts[number]}
            listeners.append(listener(f"plain-{number}", port, routes=routes, **limits))
            listeners.append(listener(f"tls-{number}", tls_port, routes=routes, tls=tls, **limits))
            self.lanes.append(Lane(port, tls_port, recorder))
        self.node = Node(
            ports, services=services, listeners=listeners, config_entries=entries, **node
        )
        self.cafile = Path(self.ca[0])

    def __enter__(self):
        try:
            self.node.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.node.close()
        finally:
            for recorder in self.recorders:
                recorder.close()
