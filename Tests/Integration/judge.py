"""Judges what one HTTP case did: `judge(case, seen, lane)` raises Fault with the reason.

Every word of the vector file's `outcomes` has a function judge_<word> here.
"""

import re
import time
import urllib.parse

from vectors import Fault, input_of
from wire import PATIENCE, get, values


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
        need((length or str(body)).lstrip("0") == argument, f"Content-Length: {length}")
        need(body == int(argument), f"{body} bytes of body")
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
    need(is_success(seen, wanted), f"not answered with success: {seen}")
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
    # What drips would take longer than this: a proxy whose time begins anew with every octet fails.
    need(seen.seconds <= 2 * lane.head_timeout + 5, f"closed only after {seen.seconds:.1f} s")


def judge_abort(case, seen, lane):
    check_upstream(case, seen)
    need(not is_success(seen), "answered with success")
    need(seen.closed, "the connection stays open")
    end = time.monotonic() + PATIENCE
    while carries_on(seen, lane) and time.monotonic() < end:
        time.sleep(0.02)
    need(not carries_on(seen, lane), "the upstream connection of the cut request stays open")


def carries_on(seen, lane):
    """Whether a connection that carried part of this case's request is still open."""
    return [r for r in seen.upstream if r.connection in lane.recorder.open]


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


# What a case means whose vector names no header.
STRIPPED = {"up-http10": ["upgrade"], "conn-identity-header-spoof": ["x-auth-user"]}


def judge_strip(case, seen, _lane):
    check_upstream(case, seen)
    absent = case.get("upstream", {}).get("header_absent") or STRIPPED[case["id"]]
    need(seen.complete, "nothing reached the upstream")
    for request in seen.complete:
        for name in absent:
            need(not values(request.headers, name), f"{name} forwarded")


def judge_proxy_headers_kept(case, seen, lane):
    need(is_success(seen), f"not answered with success: {seen}")
    nominated = input_of(case).decode("latin-1").split("Connection: close, ")[1].split("\r\n")[0]
    name = nominated.lower()
    recorder = lane.recorder
    recorder.reset()
    usually = get(lane.port, "/p")
    need(usually.status == 200, f"without the nomination {usually.status}")
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
