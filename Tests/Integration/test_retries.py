"""Proves when a request is tried again: after listed answers, after silence, with a body that is
kept, never twice for POST, and never more often than a fifth of what clients ask. And what ends
when nothing moves, what changes for one leg of a splitter.
"""

import time

import pytest
from ringmesh import defaults, listener, service
from wire import HOLD, Client, get, read_response, values, wait_for


def answering(status, body=b"x"):
    return lambda request, client: (
        b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)
    )


def silent(request, client):
    return HOLD


def serve(nodes, port, recorders, workers=2, **policy):
    services = [service("web", r.port, id=f"web-{i}") for i, r in enumerate(recorders)]
    route = {"service": "web", **policy}
    listeners = [listener("public", port, routes=[route])]
    return nodes(services=services, listeners=listeners, workers=workers).start()


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
    assert get(asked, method="POST", body=b"kept").status == 503
    assert [request.body for request in web.requests[3:]] == [b"kept"] * 2


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_kept_is_sent_again(nodes, ports, recorders, chunked):
    bad, good, port = recorders(answering(503)), recorders(answering(200, b"good")), ports.take()
    policy = {"num_retries": 1, "retry_on": ["5xx"], "retry_body_bytes": 60000}
    serve(nodes, port, [bad, good], workers=1, **policy)

    def put(size):
        body = bytes(range(250)) * (size // 250)
        frame = b"Content-Length: %d\r\n\r\n%s" % (size, body)
        if chunked:
            frame = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (size, body)
        with Client(port) as client:
            client.send(b"PUT / HTTP/1.1\r\nHost: ex.test\r\n" + frame)
            return read_response(client.stream, "PUT").status, body

    for size in (250, 5000, 60000):
        bad.requests.clear()
        good.requests.clear()
        answers = [put(size) for _ in range(4)]
        assert [status for status, _ in answers] == [200] * 4
        assert {r.body for r in bad.requests + good.requests} == {answers[0][1]}
        assert len(bad.requests) > 0 and len(good.requests) == 4
    assert 503 in [put(60250)[0] for _ in range(4)]


def test_an_upstream_says_when_to_come_again(nodes, ports, recorders):
    def busy(seconds):
        head = b"HTTP/1.1 503 X\r\nRetry-After: %d\r\nContent-Length: 0\r\n\r\n" % seconds
        return lambda request, client: head

    web, port, patient = recorders(busy(1)), ports.take(), ports.take()
    route = {"service": "web", "num_retries": 1, "retry_on": ["5xx"]}
    listeners = [
        listener("public", port, routes=[route]),
        listener("patient", patient, routes=[{**route, "retry_backoff_max": "2s"}]),
    ]
    nodes(services=[service("web", web.port)], listeners=listeners).start()
    answer = get(port)
    assert answer.status == 503 and values(answer.headers, "retry-after") == ["1"]
    assert len(web.requests) == 1, "longer than the longest pause"
    began = time.monotonic()
    assert get(patient, timeout=30).status == 503
    assert time.monotonic() - began >= 1 and len(web.requests) == 3


def test_a_silent_instance_is_left_for_another(nodes, ports, recorders):
    slow, good, port = recorders(silent), recorders(answering(200, b"good")), ports.take()
    serve(nodes, port, [slow, good], num_retries=1, try_timeout="3s")
    assert [get(port, timeout=60).body for _ in range(4)] == [b"good"] * 4
    assert len(slow.requests) > 0


def test_silence_everywhere_is_504(nodes, ports, recorders):
    slow, port = recorders(silent), ports.take()
    serve(nodes, port, [slow], num_retries=1, try_timeout="1s", retry_backoff="0s")
    assert get(port, timeout=60).status == 504
    wait_for(lambda: len(slow.requests) == 2, what="both tries arrive")


def test_an_exchange_in_which_nothing_moves_ends(nodes, ports, recorders):
    slow, port = recorders(silent), ports.take()
    node = serve(nodes, port, [slow], idle_timeout="1s", request_timeout="120s")
    assert get(port, timeout=60).status == 504
    with Client(port, timeout=60) as client:
        client.send(b"PUT / HTTP/1.1\r\nHost: ex.test\r\nContent-Length: 9\r\n\r\nabc")
        assert read_response(client.stream, "PUT").status == 408
    explained = node.meshctl("explain", "GET", f"http://127.0.0.1:{port}/").stdout
    assert "1000 ms in which nothing of the request moves" in explained


def test_a_leg_of_a_splitter_has_rules_of_its_own(nodes, ports, recorders):
    one, two, port = recorders(answering(200, b"1")), recorders(answering(200, b"2")), ports.take()
    legs = [
        {"weight": 50, "request_headers": {"set": {"x-leg": "one", "x-way": "leg"}}},
        {"weight": 50, "service": "web2", "response_headers": {"add": {"x-served": "two"}}},
    ]
    entries = [
        defaults("web"),
        defaults("web2"),
        {"kind": "service-splitter", "name": "web", "splits": legs},
    ]
    route = {"service": "web", "request_headers": {"set": {"x-way": "route"}}}
    node = nodes(
        services=[service("web", one.port), service("web2", two.port)],
        config_entries=entries,
        listeners=[listener("public", port, routes=[route])],
    ).start()
    answers = [get(port) for _ in range(40)]
    for answer in answers:
        served = values(answer.headers, "x-served")
        assert served == (["two"] if answer.body == b"2" else [])
    assert {answer.body for answer in answers} == {b"1", b"2"}
    for recorder, leg in ((one, ["one"]), (two, [])):
        for request in recorder.requests:
            assert values(request.headers, "x-leg") == leg
            assert values(request.headers, "x-way") == ["route"]
    explained = node.meshctl("explain", "GET", f"http://127.0.0.1:{port}/").stdout
    assert "request: sets x-leg: one" in explained and "answer: adds x-served: two" in explained


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
