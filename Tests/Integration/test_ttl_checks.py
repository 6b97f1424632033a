"""Proves that a service's own reports decide whether it gets traffic: a report that fails or does
not come takes the instance out, one that passes brings it back, and the workers know when the
command returns. A restarted control plane takes nobody out before his time to report is over.
"""

import json
import socket

import pytest
from ringmesh import listener, service
from test_endpoints import named
from wire import get, wait_for


@pytest.fixture
def pair(nodes, ports, recorders):
    """Instances `plain` without a check and `vocal` with a TTL check, behind one listener."""

    def make(ttl):
        plain, vocal = recorders(named("plain")), recorders(named("vocal"))
        port = ports.take()
        check = {"ttl": ttl, "status": "passing"}
        node = nodes(
            services=[
                service("web", plain.port, id="plain"),
                service("web", vocal.port, id="vocal", checks=[check]),
            ],
            listeners=[listener("public", port, "web")],
        ).start()
        return node, lambda: {get(port).body for _ in range(12)}

    return make


def state(node):
    (check,) = node.json("check", "list")
    return check["status"], check["output"], check["proven"]


def test_reports_decide(pair):
    """No waiting between a command and the requests that follow it."""
    node, answers = pair("60s")
    assert answers() == {b"plain", b"vocal"}
    assert state(node) == ("passing", "", False)
    generation = node.status()["generation"]
    for _ in range(3):
        done = node.meshctl("check", "fail", "service:vocal", "--note", "disk is full")
        assert done.stdout == "service:vocal is critical\n"
        assert answers() == {b"plain"}
        assert state(node) == ("critical", "disk is full", True)
        node.meshctl("check", "pass", "service:vocal")
        assert answers() == {b"plain", b"vocal"}
    node.meshctl("check", "warn", "service:vocal", "--note", "queue is long")
    assert state(node)[0] == "warning"
    assert answers() == {b"plain", b"vocal"}
    assert node.status()["generation"] == generation, "health made a snapshot"


def test_silence_takes_out_and_a_report_brings_back(pair):
    node, answers = pair("3s")
    wait_for(lambda: answers() == {b"plain"}, 10, "the silent instance is out")
    assert state(node) == ("critical", "no report within 3s", True)
    node.meshctl("check", "pass", "service:vocal")
    assert b"vocal" in answers()
    wait_for(lambda: answers() == {b"plain"}, 10, "silent again, out again")


def test_reports_go_on_after_a_restart(pair):
    """What the workers were told holds until the service reports or its time is over."""
    node, answers = pair("60s")
    node.meshctl("check", "fail", "service:vocal")
    node.control.kill()
    node.start()
    assert state(node)[2] is False
    assert answers() == {b"plain"}, "the restart brought a failed instance back"
    node.meshctl("check", "pass", "service:vocal")
    assert answers() == {b"plain", b"vocal"}
    node.control.kill()
    node.start()
    assert answers() == {b"plain", b"vocal"}, "the restart took a working instance out"


def put(node, target, document):
    """PUT over the admin socket; status and document of the answer."""
    body = json.dumps(document).encode()
    head = f"PUT {target} HTTP/1.1\r\nHost: node\r\nConnection: close\r\nContent-Length: "
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(30)
        sock.connect(str(node.admin_socket))
        sock.sendall(head.encode() + b"%d\r\n\r\n%s" % (len(body), body))
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    start, _, rest = answer.partition(b"\r\n\r\n")
    return int(start.split()[1]), json.loads(rest)


def test_update_names_the_status(pair):
    node, answers = pair("60s")
    target = "/v1/checks/service:vocal/update"
    status, check = put(node, target, {"status": "critical", "output": "full"})
    assert (status, check["status"], check["output"]) == (200, "critical", "full")
    assert answers() == {b"plain"}
    status, error = put(node, target, {"status": "excellent"})
    assert (status, error["code"]) == (400, "invalid")
    assert '"excellent" is not passing, warning or critical' in error["message"]
    assert answers() == {b"plain"}


def test_what_cannot_be_reported(pair):
    """A check that nobody has; over TCP a report needs the token."""
    node, answers = pair("60s")
    done = node.meshctl("check", "pass", "nobody", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "meshctl: there is no check nobody on this node\n"
    assert node.admin("/v1/checks/service:vocal/fail", "PUT").status == 403
    assert answers() == {b"plain", b"vocal"}
