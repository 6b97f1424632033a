"""Proves that the tests of HTTP/2 run exactly when the data plane speaks it."""

import http2
from h2client import Http2, dial, tls_context
from h2server import Http2Recorder
from ports import Ports
from wire import get


def speaks(port, tls=None):
    with Http2(port, tls, timeout=30) as client:
        client.start(wait=False)
        client.until(lambda: client.greeted or client.closed)
        return client.greeted


def test_the_switch_tells_the_truth(tmp_path):
    """When this fails, say in http2.py what is spoken now."""
    ports = Ports()
    with http2.Front(ports, tmp_path) as front:
        lane = front.lanes[0]
        with dial(lane.tls_port, tls_context(("h2", "http/1.1"))) as sock:
            chosen = sock.selected_alpn_protocol()
        expected = "clients" in http2.SPOKEN
        assert (chosen == "h2") == expected, f"ALPN chose {chosen}"
        assert speaks(lane.port) == expected, "prior knowledge on a plain listener"
    ports.close()


def test_the_switch_tells_the_truth_about_upstreams(tmp_path):
    ports = Ports()
    with http2.Front(ports, tmp_path, upstream=Http2Recorder, protocol="http2") as front:
        status = get(front.lanes[0].port).status
        assert (status == 200) == ("upstreams" in http2.SPOKEN), f"answered {status}"
    ports.close()
