"""Proves when a request is tried again: after listed answers, after silence, never twice for POST,
and never more often than a fifth of what clients ask.
"""

from ringmesh import listener, service
from wire import HOLD, get


def answering(status, body=b"x"):
    return lambda request, client: (
        b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)
    )


def serve(nodes, port, recorders, **policy):
    services = [service("web", r.port, id=f"web-{i}") for i, r in enumerate(recorders)]
    route = {"service": "web", **policy}
    return nodes(services=services, listeners=[listener("public", port, routes=[route])]).start()


def test_listed_answers_are_tried_elsewhere(nodes, ports, recorders):
    bad, good, port = recorders(answering(503)), recorders(answering(200, b"good")), ports.take()
    node = serve(nodes, port, [bad, good], num_retries=2, retry_on=["gateway-error"])
    assert [get(port).body for _ in range(12)] == [b"good"] * 12
    assert len(bad.requests) > 0
    explained = node.meshctl("explain", "GET", f"http://127.0.0.1:{port}/").stdout
    assert "at most 2 further tries" in explained and "502, 503, 504" in explained


def test_other_answers_pass(nodes, ports, recorders):
    web, port = recorders(answering(500)), ports.take()
    serve(nodes, port, [web], num_retries=3, retry_on_status_codes=[503])
    assert get(port).status == 500
    assert len(web.requests) == 1


def test_post_is_tried_again_only_when_asked(nodes, ports, recorders):
    web, port, asked = recorders(answering(503)), ports.take(), ports.take()
    route = {"service": "web", "num_retries": 1, "retry_on": ["5xx"]}
    listeners = [
        listener("public", port, routes=[route]),
        listener("asked", asked, routes=[{**route, "retry_non_idempotent": True}]),
    ]
    nodes(services=[service("web", web.port)], listeners=listeners).start()
    assert get(port, method="POST").status == 503
    assert len(web.requests) == 1
    assert get(asked, method="POST").status == 503
    assert len(web.requests) == 3
    assert get(asked, method="POST", body=b"kept nowhere").status == 503
    assert len(web.requests) == 4


def test_a_silent_instance_is_left_for_another(nodes, ports, recorders):
    def silent(request, client):
        return HOLD

    slow, good, port = recorders(silent), recorders(answering(200, b"good")), ports.take()
    serve(nodes, port, [slow, good], num_retries=1, try_timeout="100ms")
    assert [get(port).body for _ in range(4)] == [b"good"] * 4
    assert len(slow.requests) > 0


def test_silence_everywhere_is_504(nodes, ports, recorders):
    slow, port = recorders(lambda request, client: HOLD), ports.take()
    serve(nodes, port, [slow], num_retries=1, try_timeout="100ms", retry_backoff="0s")
    assert get(port).status == 504
    assert len(slow.requests) == 2


def test_a_retry_storm_is_bounded(nodes, ports, recorders):
    """An upstream that fails every time gets at most a fifth more than clients send."""
    web, port, count = recorders(answering(503)), ports.take(), 200
    services = [service("web", web.port)]
    route = {"service": "web", "num_retries": 3, "retry_on": ["5xx"], "retry_backoff": "0s"}
    nodes(
        services=services, listeners=[listener("public", port, routes=[route])], workers=1
    ).start()
    for _ in range(count):
        assert get(port).status == 503
    assert count * 1.1 < len(web.requests) <= count * 1.2 + 10
