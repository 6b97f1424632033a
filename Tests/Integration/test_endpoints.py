"""Proves what happens when instances are missing: 503 without a healthy one, 502 when none can be
reached, another one tried when nothing was sent, a failing health check takes an instance out.
"""

import time

from ringmesh import listener, service
from wire import Recorder, get, wait_for


def named(name):
    text = name.encode()
    return lambda request, client: (
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)
    )


def test_no_instance_is_503(nodes, ports):
    port = ports.take()
    nodes(
        services=[service("other", ports.dead())],
        listeners=[listener("public", port, "web")],
    ).start()
    assert get(port).status == 503


def test_refused_connection_is_502(nodes, ports):
    port = ports.take()
    nodes(
        services=[service("web", ports.dead())],
        listeners=[listener("public", port, "web")],
    ).start()
    assert get(port).status == 502


def test_next_instance_is_tried(nodes, ports, recorders):
    """Two instances, one of which refuses: every request is answered by the other."""
    web, port = recorders(named("alive")), ports.take()
    nodes(
        services=[
            service("web", ports.dead(), id="web-dead"),
            service("web", web.port, id="web-alive"),
        ],
        listeners=[listener("public", port, "web")],
    ).start()
    assert [get(port).body for _ in range(20)] == [b"alive"] * 20


def test_post_is_not_sent_twice(nodes, ports, recorders):
    """An upstream that takes a POST and dies: one request arrived, the client hears 502."""
    web, port = recorders(lambda request, client: None), ports.take()
    other = recorders(lambda request, client: None)
    nodes(
        services=[service("web", web.port, id="a"), service("web", other.port, id="b")],
        listeners=[listener("public", port, "web")],
    ).start()
    assert get(port, method="POST", body=b"once").status == 502
    time.sleep(0.1)
    assert len(web.requests) + len(other.requests) == 1


def test_load_is_shared(nodes, ports, recorders):
    made = [recorders(named(n)) for n in ("one", "two", "three")]
    port = ports.take()
    nodes(
        services=[service("web", r.port, id=f"web-{i}") for i, r in enumerate(made)],
        listeners=[listener("public", port, "web")],
    ).start()
    seen = [get(port).body for _ in range(60)]
    assert {b"one", b"two", b"three"} == set(seen)
    assert all(seen.count(name) >= 8 for name in set(seen)), seen


def test_failing_check_takes_an_instance_out(nodes, ports, recorders):
    """The check's verdict reaches the workers without a new configuration, both ways."""
    good, port, web_port = recorders(named("good")), ports.take(), ports.take()
    sick = {"status": 200}

    def answer(request, client):
        if request.target == "/health":
            return b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % sick["status"]
        return named("sick")(request, client)

    with Recorder(web_port, answer):
        check = {
            "http": f"http://127.0.0.1:{web_port}/health",
            "interval": "200ms",
            "timeout": "1s",
        }
        nodes(
            services=[
                service("web", good.port, id="good"),
                service("web", web_port, id="sick", checks=[check]),
            ],
            listeners=[listener("public", port, "web")],
        ).start()

        def answers():
            return {get(port).body for _ in range(12)}

        wait_for(lambda: answers() == {b"good", b"sick"}, 15, "both are in use")
        sick["status"] = 500
        wait_for(lambda: answers() == {b"good"}, 5, "the sick one is out")
        sick["status"] = 200
        wait_for(lambda: answers() == {b"good", b"sick"}, 5, "the healed one is back")
