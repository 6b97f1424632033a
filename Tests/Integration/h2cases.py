"""Plays the HTTP/2 sequences of Tests/Vectors/http-cases.json and judges what came of them.

Every sequence goes over plain TCP and over TLS, in three write modes: preface and all frames in one
write, octet by octet, one write for each frame. Each word of the file's `outcomes` that a sequence
of HTTP/2 may have is a function judge_<word> here. The attacks (`survive`) are played by
test_http2_attacks.py.
"""

import time
from dataclasses import dataclass, field

import frames
from h2client import Http2, half_close
from judge import canonical, need
from vectors import Fault
from wire import OK, echo_upgrade, values, wait_for

MODES = ("whole", "octets", "frames")
OCTETS_LIMIT = 1 << 14
SECONDS = 15.0  # a safety net: what has to come comes at once
SHRUNK_BODY = b"0123456789abcdefghij"


@dataclass
class Seen:
    """The connection, what the upstream got, and how long the case took."""

    client: Http2
    case: dict
    lane: object
    mode: str
    upstream: list = field(default_factory=list)

    @property
    def complete(self):
        return [r for r in self.upstream if r.complete]

    @property
    def answer(self):
        return self.client.answers.get(1)

    def __str__(self):
        got = ", ".join(f"{r.start!r}{'' if r.complete else ' (partial)'}" for r in self.upstream)
        return f"{self.client.story()}; upstream: {got or 'nothing'}"


def modes_of(case):
    wire = bytes.fromhex(case.get("wire_hex", ""))
    if not wire:
        return ("whole",)
    return MODES if len(wire) <= OCTETS_LIMIT else ("whole", "frames")


def sequences(known):
    """The sequences that are no attacks."""
    return [c for c in known["http2"] if c["expect"] != "survive"]


# --- sending ---


def transmit(client, case, mode):
    """Preface, SETTINGS and the frames of the case, cut as the mode says."""
    wire = bytes.fromhex(case.get("wire_hex", ""))
    if case.get("replaces_preface"):
        pieces = [wire]
    elif case["steps"][0] == ["PREFACE_ONLY"]:
        pieces = [frames.PREFACE, frames.ping()]
    else:
        pieces = [frames.PREFACE, frames.settings(), *frames.split(wire)]
    if mode == "octets":
        pieces = [bytes([octet]) for octet in b"".join(pieces)]
    elif mode == "whole":
        pieces = [b"".join(pieces)]
    for piece in pieces:
        if not client.send(piece):
            break
    for step in case["steps"]:
        SPECIAL.get(step[0], lambda *_: None)(client, case)


def credit(client, stream):
    """How much we may send on a stream by all that the peer has said."""

    def opened(number):
        return sum(
            int.from_bytes(f.payload, "big")
            for f in client.history
            if f.kind == frames.WINDOW_UPDATE and f.stream == number
        )

    initial = client.settings.get(frames.INITIAL_WINDOW_SIZE, frames.DEFAULT_WINDOW)
    return min(initial + opened(stream), frames.DEFAULT_WINDOW + opened(0))


def beyond_window(client, _case):
    """Three times the DATA that the windows allow, in one write."""
    client.until(lambda: client.settings_acks and client.greeted)
    count = 3 * credit(client, 1) // frames.DEFAULT_FRAME + 1
    client.send(frames.headers(1, frames.block(frames.request("POST")), end_stream=False))
    client.send(frames.data(1, b"x" * frames.DEFAULT_FRAME, end_stream=False) * count)
    client.oversent = count * frames.DEFAULT_FRAME


def open_streams(client, _case):
    """One stream more than is allowed; none ends."""
    client.until(lambda: client.settings_acks and client.greeted)
    count = min(client.streams_allowed, 2000) + 1
    block = frames.block(frames.request("POST"))
    client.send(*(frames.headers(1 + 2 * i, block, end_stream=False) for i in range(count)))


def truncated(client, case):
    """The end of the connection within a DATA frame; the frame's octets are in wire_hex."""
    time.sleep(0.05)  # they arrive before the end
    half_close(client)


SPECIAL = {
    "DATA_BEYOND_WINDOW": beyond_window,
    "OPEN_STREAMS": open_streams,
    "RAW_TRUNCATED_DATA": truncated,
}


# --- playing ---


def reply(case):
    """The upstream's answer for a case."""
    if case["expect"] == "accept_flow":
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(SHRUNK_BODY)
        return lambda request, client: head + SHRUNK_BODY
    if case["expect"] == "malformed_or_tunnel":
        return echo_upgrade()
    return lambda request, client: OK


def play(case, transport, mode, lane):
    """One sequence; raises Fault when it is not passed."""
    lane.recorder.reset(reply(case))
    port, tls = lane.where(transport)
    with Http2(port, tls, timeout=SECONDS) as client:
        seen = Seen(client, case, lane, mode)
        transmit(client, case, mode)
        word, _, codes = case["expect"].partition(":")
        judge = globals().get(f"judge_{word}")
        if judge is None:
            raise Fault(f"the runner does not know the outcome {word}")
        try:
            judge(seen, codes)
            need(client.greeted or speaks_first(case), "HTTP/2 is not spoken here")
        except Fault as fault:
            seen.upstream = list(lane.recorder.requests)
            raise Fault(f"{fault}: {seen}") from fault
    return seen


def settle(seen):
    """Lets what is on its way reach the recorder, then takes what it has."""
    if not seen.client.closed:
        seen.client.ponged()
    time.sleep(0.03)
    seen.upstream = list(seen.lane.recorder.requests)
    need(not [r for r in seen.upstream if "/SMUGGLED" in r.target], "/SMUGGLED was asked for")
    for request in seen.complete:
        canonical(request)


def speaks_first(case):
    """Whether a case is wrong before the server's SETTINGS are due."""
    return case.get("replaces_preface") or case["steps"][0] == ["PREFACE_ONLY"]


def number(name):
    return frames.ERRORS.index(name)


def usable(seen):
    """Another stream of the connection is answered."""
    stream = max([f.stream for f in seen.client.history] + [5]) + 2000 | 1
    need(seen.client.get(stream).status == 200, "the connection is not usable afterwards")


def body_of(case):
    """The octets of the DATA frames."""
    return b"".join(
        step[3]["data"].encode("latin-1").decode("unicode_escape").encode("latin-1")
        for step in case["steps"]
        if step[0] == "DATA" and isinstance(step[3], dict) and "data" in step[3]
    )


# --- outcomes ---


def judge_accept(seen, _codes):
    answer = seen.client.answer(1)
    need(answer.status == 200 and answer.ended, f"answered {answer}")
    need(answer.body == b"ok", f"body {answer.body!r}")
    settle(seen)
    need(len(seen.complete) == 1, f"{len(seen.complete)} requests upstream")
    request = seen.complete[0]
    need(request.body == body_of(seen.case), f"the upstream got the body {request.body!r}")
    need(request.header("host") == "ex.test", f"the upstream got Host {request.header('host')}")
    need(request.target == "/p", f"the upstream got the target {request.target}")
    for step in seen.case["steps"][1:]:
        if step[0] == "HEADERS" and request.trailers:
            sent = [tuple(pair) for pair in step[3]["fields"]]
            need(request.trailers == sent, f"the upstream got trailers {request.trailers}")


def judge_accept_or_ignore(seen, _codes):
    """A request behind the client's GOAWAY. One that comes later than it may find the end of the
    connection, which says by its GOAWAY that the request was not looked at (RFC 9113 6.8).
    """
    client = seen.client
    answer = client.answer(1)
    left = seen.mode != "whole" and client.goaways == [frames.NO_ERROR]
    need(answer.status == 200 or client.ponged() or left, "neither answered nor alive")
    settle(seen)
    need(answer.status == 200 or not seen.upstream, "not answered, but asked of the upstream")


def judge_accept_flow(seen, _codes):
    """As far as the window reaches and not further; all of it once the window is open."""
    client = seen.client
    need(client.until(lambda: client.settings_acks >= 3), "SETTINGS are not acknowledged")
    client.until(lambda: 1 in client.answers and client.answers[1].body)
    need(client.ponged(), "not alive")
    need(len(client.answers[1].body) <= 5, "DATA beyond the window")
    client.send(frames.window_update(1, len(SHRUNK_BODY) + 10))
    answer = client.answer(1)
    need(answer.ended and answer.body == SHRUNK_BODY, f"got {answer} {answer.body!r}")


def judge_conn_error(seen, _codes):
    """GOAWAY with an error, any, or none; and the connection ends."""
    client = seen.client
    need(client.closes_within(5.0), "the connection stays open")
    need(frames.NO_ERROR not in client.goaways, "GOAWAY without an error")
    settle(seen)


def judge_stream_error(seen, codes):
    client, wanted = seen.client, [number(code) for code in codes.split("|")]
    need(client.until(client.resets), "no stream was reset")
    need(set(client.resets()) <= set(wanted), "reset with another code")
    settle(seen)
    if seen.case["steps"][0][0] != "OPEN_STREAMS":
        usable(seen)


def judge_stream_or_conn_error(seen, codes):
    client = seen.client
    client.until(lambda: client.resets() or client.goaways)
    if getattr(client, "oversent", 1 << 62) <= credit(client, 1):
        return  # it read as fast as we sent, and opened its windows in time
    if client.resets() and not client.goaways and not client.closed:
        judge_stream_error(seen, codes)
    else:
        judge_conn_error(seen, codes)


def was_malformed(seen, statuses=(400,)):
    """Whether the request was taken for malformed; waits for the verdict."""
    client = seen.client
    client.until(lambda: client.goaways or (seen.answer and seen.answer.over))
    if client.goaways:
        return client.goaways[-1] != frames.NO_ERROR and client.closes_within(5.0)
    if seen.answer and seen.answer.status:
        return seen.answer.status in statuses
    return client.closed or frames.PROTOCOL_ERROR in client.resets(1)


def judge_malformed(seen, _codes, statuses=(400,)):
    need(was_malformed(seen, statuses), "not taken for malformed")
    settle(seen)
    need(not seen.complete, "a malformed request was forwarded")
    if not seen.client.closed:
        usable(seen)


def judge_malformed_or_404(seen, codes):
    judge_malformed(seen, codes, (400, 404, 421))
    need(not [r for r in seen.upstream if r.target == "/p" and not r.header("host")], "forwarded")


def judge_malformed_or_tunnel(seen, codes):
    client = seen.client
    client.until(lambda: client.greeted)
    if not client.settings.get(frames.ENABLE_CONNECT_PROTOCOL):
        judge_malformed(seen, codes)
        return
    client.until(lambda: seen.answer and (seen.answer.headers or seen.answer.over))
    need(seen.answer and seen.answer.status == 200, f"no tunnel: {seen.answer}")
    settle(seen)
    request = seen.upstream[0]
    need(request.method == "GET", f"the upstream was asked by {request.method}")
    need(values(request.headers, "upgrade") == ["websocket"], "no Upgrade to the upstream")


def judge_reject_4xx(seen, _codes):
    """A status of 4xx; where extended CONNECT is not offered, the request is malformed."""
    client = seen.client
    client.until(lambda: client.goaways or (seen.answer and seen.answer.over))
    extended = any(name == ":protocol" for name, _ in seen.case["steps"][0][3]["fields"])
    if extended and not client.settings.get(frames.ENABLE_CONNECT_PROTOCOL):
        need(was_malformed(seen, range(400, 500)), "not refused")
    else:
        need(seen.answer and 400 <= seen.answer.status < 500, f"answered {seen.answer}")
    settle(seen)
    need(not seen.upstream, "it reached the upstream")


def judge_no_trailer_merge(seen, _codes):
    client = seen.client
    client.until(lambda: client.goaways or (seen.answer and seen.answer.over))
    need(client.closed or client.goaways or seen.answer, "no answer")
    settle(seen)
    sent = dict(seen.case["steps"][-1][3]["fields"])
    for request in seen.complete:
        for name, value in sent.items():
            need(not values(request.trailers, name), f"{name} forwarded as a trailer")
            merged = value in values(request.headers, name) and value != "chunked"
            need(not merged, f"{name} merged into the head")


def judge_ping_ack(seen, _codes):
    client = seen.client
    need(client.until(lambda: b"\0" * 8 in client.pings), "no answer to PING")
    usable(seen)


def judge_limit(seen, _codes):
    client = seen.client
    client.until(lambda: client.goaways or (seen.answer and seen.answer.over))
    refused = seen.answer and (seen.answer.reset is not None or 400 <= seen.answer.status < 500)
    need(refused or client.goaways or client.closed, f"not limited: {seen.answer}")
    settle(seen)
    need(not seen.upstream, "it reached the upstream")


def judge_abort(seen, _codes):
    recorder = seen.lane.recorder
    need(seen.client.closes_within(5.0), "the connection stays open")
    wait_for(lambda: not carrying(seen), 3, "the upstream of a cut request is let go")
    need(not recorder.complete(), "a cut request was completed")


def carrying(seen):
    """Upstream connections that hold a request without its end."""
    recorder = seen.lane.recorder
    return [r for r in list(recorder.requests) if not r.complete and r.connection in recorder.open]


def judge_no_desync(seen, _codes):
    """A cancelled request leaves no connection that a next one could use."""
    need(seen.client.ponged(), "not alive after RST_STREAM")
    wait_for(lambda: not carrying(seen), 3, "the upstream of a cancelled request is let go")
    seen.lane.recorder.reset(
        lambda request, client: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
        % (len(request.target), request.target.encode())
    )
    for stream in range(3, 23, 2):
        answer = seen.client.get(stream, path=f"/{stream}")
        need(answer.body == b"/%d" % stream, f"stream {stream} got {answer} {answer.body!r}")
    settle(seen)
