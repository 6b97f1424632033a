"""Proves that the tests of HTTP/2 run exactly when the data plane speaks it."""

import http2
from h2client import Http2, dial, tls_context
from ports import Ports


def speaks(port, tls=None):
    with Http2(port, tls, timeout=3) as client:
        client.start(wait=False)
        client.until(lambda: client.greeted or client.closed)
        return client.greeted


def test_the_switch_tells_the_truth(tmp_path):
    """When this fails, write `SPOKEN = True` (or False) into http2.py."""
    ports = Ports()
    with http2.Front(ports, tmp_path) as front:
        lane = front.lanes[0]
        with dial(lane.tls_port, tls_context(("h2", "http/1.1"))) as sock:
            chosen = sock.selected_alpn_protocol()
        assert (chosen == "h2") == http2.SPOKEN, f"ALPN chose {chosen}"
        assert speaks(lane.port) == http2.SPOKEN, "prior knowledge on a plain listener"
    ports.close()
