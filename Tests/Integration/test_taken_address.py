"""Proves that a listener whose address another program has costs itself only, and little: it is
tried again with growing pauses, the log says once that it is left out and once that it is open,
`status` says it all the while, and a configuration that is read again is not kept waiting.
"""

import os
import re
import signal
import socket

from ringmesh import listener, service
from wire import get, wait_for


def refusals(node):
    """Publications that were refused: one for each try in vain."""
    series = r'^ringmesh_pipeline_publications_total\{outcome="refused"\} (\d+)'
    found = re.search(series, node.metrics(), re.M)
    return int(found.group(1)) if found else 0


def problems(node):
    return [p["message"] for p in node.status()["problems"]]


def said(node, *words):
    return [li for li in node.control.text().splitlines() if all(word in li for word in words)]


def test_a_taken_address_is_told_once_and_tried_with_growing_pauses(nodes, ports, recorders):
    web, port = recorders(), ports.take()
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        node = nodes(
            services=[service("web", web.port)],
            listeners=[listener("free", port, "web"), listener("taken", taken, "web")],
        ).start(ready=False)
        wait_for(lambda: node.admin_socket.exists() and problems(node), 60, "the problem")
        assert get(port).status == 200, "the other listener serves"
        (problem,) = problems(node)
        assert f"127.0.0.1:{taken}: Address already in use" in problem
        assert "the listener is left out and tried again" in problem
        wait_for(lambda: refusals(node) >= 3, 60, "two tries in vain, 5 s and 10 s later")
        assert problems(node) == [problem]
        assert len(said(node, f"127.0.0.1:{taken}")) == 1, "each try is told"
        assert not said(node, "generation", "refused")
    # The next try is due in 20 s.
    os.kill(node.control.pid, signal.SIGHUP)
    wait_for(lambda: problems(node) == [], what="it is taken up")
    assert get(taken).status == 200
    wait_for(lambda: len(said(node, "a listener is open now")) == 1, what="its line")
    assert len(said(node, f"127.0.0.1:{taken}")) == 1
