"""Plays Tests/Vectors/http-cases.json against a proxy and judges what came of it.

A lane is one listener of the proxy with one recording upstream of its own, so that what reaches the
upstream belongs to one case. The words of a case's `expect` are judged by the functions named
judge_<word>; the vector file explains each word.
"""

import base64
import json
import re
import socket
import time
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path

from wire import OK, Client, Closed, echo_upgrade, get, read_response, reset, values

VECTORS = Path(__file__).resolve().parents[1] / "Vectors" / "http-cases.json"
MODES = ("plain", "bytes", "lines")
BYTES_MODE_LIMIT = 1 << 20  # longer inputs are played in one write only: minutes otherwise


def load():
    with open(VECTORS, encoding="utf-8") as file:
        return json.load(file)


def unescape(text):
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


def input_of(case):
    """The exact bytes that a case sends."""
    if "b64" in case:
        return base64.b64decode(case["b64"])
    if "generate" in case:
        make = case["generate"]
        unit = unescape(make["unit"])
        if b"%d" in unit:
            units = b"".join(unit.replace(b"%d", str(i).encode()) for i in range(make["count"]))
        else:
            units = unit * make["count"]
        return unescape(make["prefix"]) + units + unescape(make["suffix"])
    return unescape(case["raw"])


@dataclass
class Seen:
    """What happened: answers to the client, whether it was closed, what the upstream got."""

    answers: list = field(default_factory=list)
    partial: object = None
    closed: bool = False
    junk: bytes = b""
    upstream: list = field(default_factory=list)
    seconds: float = 0.0

    @property
    def status(self):
        return self.answers[0].status if self.answers else 0

    @property
    def complete(self):
        return [r for r in self.upstream if r.complete]

    def smuggled(self):
        return [r for r in self.upstream if "/SMUGGLED" in r.target]

    def __str__(self):
        answers = ",".join(str(a.status) for a in self.answers) or "none"
        got = ", ".join(f"{r.start!r}{'' if r.complete else ' (partial)'}" for r in self.upstream)
        end = "closed" if self.closed else "open"
        return f"answers {answers}; {end} after {self.seconds:.1f} s; upstream: {got or 'nothing'}"


class Fault(Exception):
    """Why a case is not passed."""


@dataclass
class Lane:
    """One listener (and one with /admin denied) of the proxy under test, and its upstream."""

    port: int
    guarded_port: int
    recorder: object
    head_timeout: float = 2.0
    read_timeout: float = 3.0


def pieces(data, mode):
    if mode == "plain":
        return [data]
    if mode == "bytes":
        return [data[i : i + 1] for i in range(len(data))]
    return [p for p in re.split(rb"(?<=\r\n)", data) if p]


def modes_of(case, data):
    if case.get("send_mode", "").startswith("drip"):
        return ("drip",)
    return MODES if len(data) <= BYTES_MODE_LIMIT else ("plain",)


def expected_answers(case):
    upstream = case.get("upstream", {})
    return max(1, upstream.get("requests", 1))


def methods_of(data):
    found = re.findall(rb"(?:^|\r\n\r\n)([A-Z]+) \S+ HTTP/1\.", data)
    return [m.decode() for m in found] or ["GET"]


def transmit(client, case, data, mode, lane):
    """Sends the case's bytes; stops early when the proxy has closed."""
    if mode == "drip":
        begun = time.monotonic()
        for i in range(len(data)):
            if not client.send(data[i : i + 1]):
                return
            if client.closes_within(lane.head_timeout / 4):
                return
            if time.monotonic() - begun > lane.head_timeout + 3:
                return
        return
    for piece in pieces(data, mode):
        if not client.send(piece):
            break
    send_mode = case.get("send_mode", "")
    if send_mode.startswith("wait_100_then:"):
        head = client.stream.until(b"\r\n\r\n")
        if b" 100 " not in head.split(b"\r\n")[0]:
            raise Fault(f"no 100 before the body: {head!r}")
        client.send(send_mode.partition(":")[2].encode())
    elif send_mode == "half_close_after":
        try:
            client.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def receive(client, case, data, seen, lane):
    """Reads answers until there are as many as expected, then sees whether the proxy closes."""
    methods = methods_of(data)
    end = time.monotonic() + lane.read_timeout
    try:
        while time.monotonic() < end:
            client.stream.timeout = max(0.05, end - time.monotonic())
            if len(seen.answers) >= expected_answers(case):
                client.stream.timeout = patience(case, seen)
            method = methods[min(len(seen.answers), len(methods) - 1)]
            seen.answers.append(read_response(client.stream, method))
            if seen.answers[-1].status == 101:
                return
    except TimeoutError:
        pass
    except Closed as cut:
        seen.partial = getattr(cut, "partial", None)
        seen.junk = client.stream.buffer
        seen.closed = client.stream.closed


def patience(case, seen):
    """How long to watch a connection after the expected answers: for a close, or a surprise."""
    if case["expect"] in ("reject_close", "first_ok_then_reject") or case.get("must_close"):
        return 1.0
    return 0.05 if is_success(seen, expected_answers(case)) else 0.3


def play_request(case, mode, lane):
    """One case of http1_requests in one write mode."""
    recorder = lane.recorder
    answer = echo_upgrade() if case["expect"] == "tunnel" else None
    recorder.reset(answer)
    if case["expect"] == "tunnel_guard":
        recorder.hold_back = 0.15
    guarded = case.get("setup", "").startswith("two routes")
    data = input_of(case)
    seen = Seen()
    begun = time.monotonic()
    with Client(lane.guarded_port if guarded else lane.port) as client:
        transmit(client, case, data, mode, lane)
        receive(client, case, data, seen, lane)
        seen.seconds = time.monotonic() - begun
        if case["expect"] == "tunnel" and seen.status == 101:
            tunnel_echo(client)
    time.sleep(0.03)  # lets a request that was on its way reach the recorder
    seen.upstream = list(recorder.requests)
    judge(case, seen, lane)
    return seen


def tunnel_echo(client):
    client.send(b"through\r\n\r\nGET / HTTP/1.1\r\n")
    back = client.stream.exactly(26)
    if back != b"through\r\n\r\nGET / HTTP/1.1\r\n"[:26]:
        raise Fault(f"the tunnel returned {back!r}")
    client.sock.shutdown(socket.SHUT_WR)
    if not client.closes_within(3):
        raise Fault("half-close did not pass through the tunnel")


# --- judgements ---


def need(condition, text):
    if not condition:
        raise Fault(text)


def was_rejected(case, seen):
    allowed = case.get("reject_status") or [400]
    if not seen.answers:
        return seen.closed and not seen.partial
    return seen.answers[-1].status in allowed and 300 <= seen.answers[-1].status


def is_success(seen, count=1):
    return len(seen.answers) >= count and all(200 <= a.status < 300 for a in seen.answers[:count])


def no_smuggling(seen):
    need(not seen.smuggled(), "the upstream was asked for /SMUGGLED")


def canonical(request):
    """The message that the upstream got is well-formed and has one framing."""
    head = request.raw[:-4]
    need(b"\0" not in head, "NUL in a forwarded head")
    rest = head.replace(b"\r\n", b"")
    need(b"\r" not in rest and b"\n" not in rest, "bare CR or LF in a forwarded head")
    need(not re.search(rb"\r\n[ \t]", head), "folded line forwarded")
    need(re.fullmatch(rb"[!-~]+ [!-~\x80-\xff]+ HTTP/1\.1", request.start), "odd request line")
    lengths = values(request.headers, "content-length")
    codings = values(request.headers, "transfer-encoding")
    need(len(lengths) <= 1 and len(codings) <= 1, "several framing headers forwarded")
    need(not (lengths and codings), "Content-Length and Transfer-Encoding forwarded together")
    need(not lengths or re.fullmatch(r"[0-9]+", lengths[0]), "odd Content-Length forwarded")
    need(not codings or codings[0].lower() == "chunked", "odd Transfer-Encoding forwarded")


def check_form(form, request):
    name, _, argument = form.partition(":")
    text = request.raw.decode("latin-1")
    if name == "no_hash_in_path":
        need("#" not in request.target and "%23" not in request.target, "fragment forwarded")
    elif name == "version_1_1":
        need(request.start.endswith(b" HTTP/1.1"), "version forwarded as it came")
    elif name == "origin_form":
        need(request.target.startswith("/"), "absolute form forwarded")
    elif name == "host_is":
        need(values(request.headers, "host") == [argument], f"Host is not {argument}")
    elif name == "not_contains":
        need(argument not in text, f"{argument} forwarded")
    elif name == "cl_is":
        length, body = request.header("content-length"), len(request.body)
        need((length or str(body)).lstrip("0") == argument and body == int(argument), "wrong length")
    elif name == "te_is":
        need(values(request.headers, "transfer-encoding") in ([argument], []), "not canonical")
    elif name == "one_cl":
        need(len(values(request.headers, "content-length")) <= 1, "several lengths")
    elif name in ("no_bare_lf", "no_fold", "no_ctl_in_values"):
        canonical(request)
    else:
        raise Fault(f"the runner does not know the form {form}")


def check_upstream(case, seen):
    """What `upstream` of a case says about the requests that arrived."""
    want = case.get("upstream", {})
    got = seen.complete
    if "requests" in want:
        need(len(got) == want["requests"], f"{len(got)} requests upstream, not {want['requests']}")
    if "max_requests" in want:
        need(len(got) <= want["max_requests"], f"{len(got)} requests upstream")
    if "complete_requests" in want:
        need(len(got) == want["complete_requests"], f"{len(got)} complete requests upstream")
    if not got:
        return
    first = got[0]
    if "body" in want:
        need(first.body == want["body"].encode("latin-1"), f"body {first.body!r}")
    if "path" in want:
        need(first.target == want["path"], f"target {first.target}")
    if "not_method" in want:
        need(first.method != want["not_method"], "the method was changed")
    if "order" in want:
        need([r.target for r in got] == want["order"], "order changed")
    for name, value in want.get("header", {}).items():
        need(values(first.headers, name) == [value], f"{name}: {values(first.headers, name)}")
    for name, listed in want.get("header_list", {}).items():
        flat = [v.strip() for v in ",".join(values(first.headers, name)).split(",")]
        need(flat == listed, f"{name}: {flat}")
    for name, value in want.get("header_not", {}).items():
        need(value not in values(first.headers, name), f"{name} is {value}")
    for name in want.get("header_absent", []):
        both = [values(first.headers, n) for n in name.split("+")]
        need(not all(both), f"{name} forwarded")


def judge(case, seen, lane):
    """Raises Fault when the case is not passed."""
    words = case["expect"]
    function = globals().get(f"judge_{words}")
    if function is None:
        raise Fault(f"the runner does not know the outcome {words}")
    function(case, seen, lane)


def judge_reject_close(case, seen, _lane):
    no_smuggling(seen)
    need(not seen.complete, f"{len(seen.complete)} complete requests upstream, none allowed")
    need(was_rejected(case, seen), "not rejected")
    need(seen.closed, "rejected, but the connection stays open")


def judge_accept(case, seen, _lane):
    wanted = case.get("upstream", {}).get("requests", 1)
    need(is_success(seen, wanted), "not answered with success")
    check_upstream(case, seen)
    for request in seen.complete:
        canonical(request)
    if case.get("must_close"):
        need(seen.closed, "the connection stays open")


def judge_accept_normalize(case, seen, lane):
    judge_accept(case, seen, lane)
    for form in case.get("normalized_form", []):
        for request in seen.complete:
            check_form(form, request)


def judge_reject_or_normalize(case, seen, _lane):
    no_smuggling(seen)
    if was_rejected(case, seen) and not seen.complete:
        need(seen.closed or not case.get("must_close"), "rejected, but the connection stays open")
        return
    need(is_success(seen), "neither rejected nor answered with success")
    allowed = case.get("upstream", {}).get("max_requests", 1)
    need(1 <= len(seen.complete) <= allowed, f"{len(seen.complete)} requests upstream")
    for request in seen.complete:
        canonical(request)
        for form in case.get("normalized_form", []):
            check_form(form, request)
    check_upstream(case, seen)
    if case.get("must_close"):
        need(seen.closed, "answered, but the connection stays open")


def judge_accept_or_reject(case, seen, _lane):
    no_smuggling(seen)
    check_upstream(case, seen)
    need(seen.answers or seen.closed, "neither answered nor closed")
    for request in seen.complete:
        canonical(request)
        if case["id"] == "hdr-value-obs-text":
            need(b"caf\xe9\xff" in request.raw, "obs-text was changed")


def judge_accept_or_411(case, seen, lane):
    if seen.status != 411:
        judge_accept(case, seen, lane)


def judge_accept_or_drop(case, seen, lane):
    judge_accept(case, seen, lane)


def judge_accept_or_limit(case, seen, lane):
    if seen.status != 431:
        judge_accept(case, seen, lane)


def judge_limit(case, seen, _lane):
    no_smuggling(seen)
    check_upstream(case, seen)
    refused = seen.answers and seen.answers[-1].status in (case.get("reject_status") or [431])
    need(refused or seen.closed or not seen.complete, "not limited")
    need(seen.closed or refused, "neither answered nor closed")


def judge_limit_or_accept(case, seen, lane):
    if not is_success(seen):
        judge_limit(case, seen, lane)


def judge_timeout_close(case, seen, lane):
    need(seen.closed, "still open")
    need(not seen.answers or seen.status in case["reject_status"], f"status {seen.status}")
    need(seen.seconds <= lane.head_timeout + 1.5, f"closed only after {seen.seconds:.1f} s")


def judge_abort(case, seen, lane):
    check_upstream(case, seen)
    need(not is_success(seen), "answered with success")
    need(seen.closed, "the connection stays open")
    need(not lane.recorder.open or not seen.upstream or still_closes(lane), "upstream stays open")


def still_closes(lane, seconds=2.0):
    end = time.monotonic() + seconds
    while lane.recorder.open and time.monotonic() < end:
        time.sleep(0.02)
    return not lane.recorder.open


def judge_abort_or_timeout(case, seen, lane):
    check_upstream(case, seen)
    need(not is_success(seen), "answered with success")
    need(seen.closed, "the connection stays open")


def judge_first_ok_then_reject(case, seen, _lane):
    no_smuggling(seen)
    need(is_success(seen), "the first request was not answered")
    need(len(seen.complete) == 1, f"{len(seen.complete)} requests upstream")
    need(len(seen.answers) == 1 or seen.answers[1].status == 400, "the second was not refused")
    need(seen.closed, "the connection stays open")


def resolved(target):
    """The path as a backend of any habit may read it."""
    path = urllib.parse.unquote_to_bytes(target.partition("?")[0]).replace(b"\xc0\xae", b".")
    path = re.sub(rb";[^/]*", b"", path.replace(b"\\", b"/"))
    out = []
    for part in path.split(b"/"):
        if part == b"..":
            out = out[:-1]
        elif part not in (b"", b"."):
            out.append(part)
    return b"/" + b"/".join(out)


def judge_route_consistency(case, seen, _lane):
    for request in seen.upstream:
        path = resolved(request.target)
        inside = path == b"/admin" or path.startswith(b"/admin/")
        need(not inside, f"the backend got {request.target}, which resolves to /admin")
    if not seen.upstream:
        need(was_rejected(case, seen) or seen.closed, f"status {seen.status}")


def judge_no_open_redirect(case, seen, _lane):
    for answer in seen.answers:
        for place in values(answer.headers, "location"):
            host = urllib.parse.urlsplit(place).netloc
            need(host in ("", "ex.test"), f"Location: {place}")
    for request in seen.complete:
        need(values(request.headers, "host") == ["ex.test"], "the Host was changed")


def judge_no_default_leak(case, seen, _lane):
    need(not seen.upstream, "a host without a route reached an upstream")
    need(seen.status in case["reject_status"] or not seen.answers, f"status {seen.status}")


def judge_strip(case, seen, _lane):
    check_upstream(case, seen)
    absent = case.get("upstream", {}).get("header_absent", ["upgrade"])
    for request in seen.complete:
        for name in absent:
            need(not values(request.headers, name), f"{name} forwarded")


def judge_proxy_headers_kept(case, seen, lane):
    need(is_success(seen), "not answered with success")
    nominated = input_of(case).decode("latin-1").split("Connection: close, ")[1].split("\r\n")[0]
    name = nominated.lower()
    recorder = lane.recorder
    recorder.reset()
    get(lane.port, "/p")
    usual = values(recorder.complete()[-1].headers, name)
    got = values(seen.complete[0].headers, name)
    need(bool(got) == bool(usual), f"{name} is {got}, without the nomination {usual}")


def judge_underscore_policy(case, seen, _lane):
    sent = re.findall(rb"\r\n([\w.]*[_.][\w.]*):", input_of(case))
    names = {n.lower().decode() for n in sent}
    for request in seen.complete:
        for name, _ in request.headers:
            need(name not in names, f"{name} forwarded unchanged")


def judge_no_trailer_merge(case, seen, _lane):
    check_upstream(case, seen)
    line = input_of(case).split(b"\r\n0\r\n")[1].split(b"\r\n")[0]
    name, _, value = line.decode("latin-1").partition(":")
    name, value = name.lower(), value.strip()
    for request in seen.complete:
        need(value not in values(request.headers, name) or value == "chunked", f"{name} merged")
        if name in ("content-length", "transfer-encoding", "host"):
            need(not values(request.trailers, name), f"{name} forwarded as trailer")
        canonical(request)


def judge_tunnel(case, seen, _lane):
    need(seen.status == 101, f"status {seen.status}")
    need(len(seen.complete) == 1, "one request upstream expected")


def judge_tunnel_guard(case, seen, _lane):
    need(is_success(seen), "not answered")
    check_upstream(case, seen)
    early = seen.upstream[0].early if seen.upstream else b""
    need(not early, f"bytes before the answer: {early!r}")


def judge_reject_or_h2(case, seen, _lane):
    need(not seen.upstream, "the preface was forwarded")
    speaks_h2 = seen.junk[3:4] == b"\x04"
    need(seen.closed or speaks_h2 or 400 <= seen.status < 600, "no answer")


def judge_reject_or_exact(case, seen, _lane):
    check_upstream(case, seen)
    if not was_rejected(case, seen):
        need(seen.complete and seen.complete[0].method == "get", "the method was changed")


def judge_reject_or_scheme_by_transport(case, seen, _lane):
    if not was_rejected(case, seen):
        need(is_success(seen), f"status {seen.status}")
        check_upstream(case, seen)


# --- answers of a misbehaving upstream ---


def upstream_answer(case):
    """What the recorder does with the first request of a case of http1_responses."""
    then = case["upstream_then"]
    if case["id"] == "rs-hdr-huge":
        raw = b"HTTP/1.1 200 OK\r\nX-A: " + b"v" * (1 << 20) + b"\r\nContent-Length: 2\r\n\r\nok"
    elif case["id"] == "rs-slow-body":
        raw, then = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhe", "stall"
    else:
        raw = input_of(case)
    state = {"asked": 0}

    def answer(_request, client):
        state["asked"] += 1
        if state["asked"] > 1:
            return b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond"
        if then == "send_when_idle":
            client.send(OK)
            time.sleep(0.1)
            return raw
        client.send(raw)
        if then == "keep":
            return b""
        if then == "stall":
            while client.stream.fill():
                pass
        if then == "rst":
            time.sleep(0.05)
            reset(client.sock)
        return None

    return answer


def play_response(case, lane):
    """One case of http1_responses, and one polite request after it on the same pool."""
    lane.recorder.drop()
    lane.recorder.reset(upstream_answer(case))
    method = case["client_request"].split()[0]
    seen = Seen()
    begun = time.monotonic()
    with Client(lane.port, timeout=lane.read_timeout + 3) as client:
        client.send(f"{method} /p HTTP/1.1\r\nHost: ex.test\r\n\r\n".encode())
        try:
            seen.answers.append(read_response(client.stream, method))
        except TimeoutError:
            pass
        except Closed as cut:
            seen.partial = getattr(cut, "partial", None)
            seen.junk = client.stream.buffer
            seen.closed = client.stream.closed
        seen.seconds = time.monotonic() - begun
        time.sleep(0.2 if case["upstream_then"] == "send_when_idle" else 0.02)
    second = None
    if case["expect"] in ("no_desync", "accept"):
        second = get(lane.port, "/second")
    seen.upstream = list(lane.recorder.requests)
    judge_response(case, seen, second)
    return seen


def clean_answer(seen):
    answer = seen.answers[0]
    rest = answer.raw[:-4].replace(b"\r\n", b"")
    clean = not re.search(rb"[\r\n\0]", rest) and not re.search(rb"\r\n[^:\r]*[ \t]:", answer.raw)
    lengths = values(answer.headers, "content-length")
    return answer.status == 200 and clean and len(lengths) <= 1 and answer.body == b"ok"


def judge_response(case, seen, second):
    words = case["expect"]
    truncated = seen.partial is not None or (not seen.answers and seen.closed)
    if words == "gateway_error":
        need(seen.status == 502, f"status {seen.status}, not 502")
    elif words == "gateway_error_or_normalize":
        need(seen.status == 502 or (seen.answers and clean_answer(seen)), "neither 502 nor clean")
    elif words == "abort_downstream":
        need(truncated, "the client cannot tell that the body is cut")
    elif words == "abort_or_502":
        need(truncated or seen.status == 502, "neither cut nor 502")
    elif words == "abort_after_idle_timeout":
        need(truncated or seen.status in (502, 504), "no abort")
    elif words == "no_desync":
        need(second.body in (b"second", b"ok"), f"the next request got {second.raw!r}")
        need(second.status == 200, f"the next request got {second.status}")
    elif words == "accept":
        need(is_success(seen) and seen.answers[0].body == b"ok", "not delivered")
        need(second is not None and second.status == 200, "the next request failed")
    elif words == "strip":
        need(is_success(seen), "not delivered")
        for name in ("x-h", "keep-alive"):
            need(not values(seen.answers[0].headers, name), f"{name} forwarded")
    else:
        raise Fault(f"the runner does not know the outcome {words}")
