"""Proves that intentions can ask for tokens: JSON web tokens of providers that entries describe.

Requests go through a pair of sidecars; tokens are signed by OpenSSL. What is wrong with a token
makes it none, whatever it is; a verdict is asked for once; keys follow their issuer, and an issuer
that is away changes nothing; without a control plane what is known goes on and what is not is 503.
"""

import json
import os
import signal
import time

import pytest
from h2client import Http2
from ringmesh import defaults
from tokens import Issuer, Key, b64, key_set, part, provider, required
from wire import Client, get, wait_for

PATIENCE = 30


@pytest.fixture(name="asking")
def fixture_asking(mesh):
    """Makes the usual mesh with these entries besides; `sources` are of web's intentions."""

    def make(*entries, token=None, sources=None, **config):
        pair = mesh(start=False, **config)
        intentions = {
            "Kind": "service-intentions",
            "Name": "web",
            "Sources": sources or [{"Name": "api", "Action": "allow"}],
        }
        if token:
            intentions["JWT"] = token
        pair.node.config["config_entries"] = [defaults("web", "http"), intentions, *entries]
        pair.node.write_config()
        pair.node.start()
        return pair

    return make


def status(pair, token=None, path="/", scheme="Bearer"):
    headers = [f"Authorization: {scheme} {token}"] if token else []
    return get(pair.local, path, "web", headers).status


def questions(pair):
    """Verdicts that were given, as the control plane counts them."""
    found = 0
    for line in pair.node.metrics().splitlines():
        if line.startswith("ringmesh_token_verdicts_total"):
            found += int(float(line.rsplit(" ", 1)[1]))
    return found


@pytest.mark.parametrize("algorithm", ["RS256", "PS384", "ES256", "ES384"])
def test_a_good_token_is_let_in(asking, tmp_path, algorithm):
    key = Key(tmp_path, "one", algorithm)
    pair = asking(provider("okta", key_set(key)), token=required("okta"))
    assert status(pair) == 403
    assert not pair.web.requests
    good = key.token()
    assert [status(pair, good) for _ in range(10)] == [200] * 10
    assert len(pair.web.requests) == 10
    # A verdict is asked for once in each worker, for each of the two sidecars.
    assert 1 <= questions(pair) <= 4
    # The caller of another intention needs no token, and has no right.
    assert get(pair.batch_local, "/", "web", [f"Authorization: Bearer {good}"]).status == 403


def test_what_is_wrong_with_a_token_makes_it_none(asking, tmp_path):
    key, stranger = Key(tmp_path, "one", "RS256"), Key(tmp_path, "two", "RS256")
    entry = provider("okta", key_set(key), Audiences=["shop", "till"], ClockSkewSeconds=60)
    pair = asking(entry, token=required("okta", role="admin"))
    now = int(time.time())
    claims = {"aud": ["till", "x"], "role": ["admin", "user"], "exp": now + 600}
    good = key.token(claims)
    head, body, signature = good.split(".")
    forged = Key(tmp_path, "forged", "RS256")
    forged.kid = "one"
    wrong = {
        "expired": key.token({**claims, "exp": now - 600}),
        "not yet": key.token({**claims, "nbf": now + 600}),
        "another audience": key.token({**claims, "aud": "others"}),
        "no audience": key.token({**claims, "aud": None}),
        "another issuer": key.token({**claims, "iss": "https://elsewhere.test"}),
        "no issuer": key.token({**claims, "iss": None}),
        "another claim": key.token({**claims, "role": "guest"}),
        "no claim": key.token({**claims, "role": None}),
        "unknown kid": stranger.token(claims),
        "another's key under its name": forged.token(claims),
        "alg none": f"{part({'alg': 'none'})}.{body}.",
        "alg none, signed": f"{part({'alg': 'none', 'kid': 'one'})}.{body}.{signature}",
        "secret for a public key": key.token(claims, alg="HS256"),
        "another algorithm": key.token(claims, alg="RS512"),
        "not of its key's kind": key.token(claims, alg="ES256"),
        "what is not understood": key.token(claims, crit=["exp"]),
        "another body": f"{head}.{part({**claims, 'role': 'admin', 'sub': 'me'})}.{signature}",
        "cut": good[:-8],
        "two parts": f"{head}.{body}",
        "encrypted": f"{head}.{body}.{signature}.x.y",
        "no json": f"{b64(b'{')}.{body}.{signature}",
        "no token": "x",
        "expiry of words": key.token({**claims, "exp": "tomorrow"}),
    }
    answers = {name: status(pair, token) for name, token in wrong.items()}
    assert answers == dict.fromkeys(wrong, 403)
    assert not pair.web.requests
    now = int(time.time())
    within_skew = key.token({**claims, "exp": now - 1, "nbf": now + 30, "aud": "shop"})
    assert status(pair, within_skew) == 200
    assert status(pair, good) == 200
    assert status(pair, key.token(claims, kid=None)) == 200, "the only key needs no name"
    assert status(pair, good, scheme="Basic") == 403
    assert status(pair, good, scheme="bearer") == 200


def test_where_tokens_stand_and_what_the_service_sees(asking, tmp_path):
    key = Key(tmp_path, "one")
    places = [
        {"Header": {"Name": "X-Token", "ValuePrefix": "T ", "Forward": True}},
        {"Header": {"Name": "Authorization", "ValuePrefix": "Bearer "}},
        {"QueryParam": {"Name": "t"}},
        {"Cookie": {"Name": "session"}},
    ]
    entry = provider(
        "okta",
        key_set(key),
        Locations=places,
        Forwarding={"HeaderName": "X-Claims", "PadForwardPayloadHeader": True},
    )
    pair = asking(entry, token=required("okta"))
    token = key.token({"sub": "me"})
    payload = token.split(".")[1]
    padded = payload + "=" * (-len(payload) % 4)
    forged = "X-Claims: eyJzdWIiOiJyb290In0="

    def seen(path, *headers):
        with Client(pair.local) as client:
            answer = client.get(path, "web", headers=[*headers, forged])
        assert answer.status == 200, headers
        return pair.web.requests[-1]

    request = seen("/", f"X-Token: T {token}")
    assert request.header("x-token") == f"T {token}"
    request = seen("/", f"Authorization: Bearer {token}")
    assert request.header("authorization") is None, "it stays here unless it is forwarded"
    assert seen(f"/a?b=1&t={token}&c").target == f"/a?b=1&t={token}&c"
    assert "session=" in seen("/", f"Cookie: a=b; session={token}; c=d").header("cookie")
    for request in pair.web.requests:
        claims = [v for n, v in request.headers if n == "x-claims"]
        assert claims == [padded], "what a client says by this name is not believed"
    assert status(pair) == 403


def test_permissions_ask_for_tokens_of_their_own(asking, tmp_path):
    """The entry's token and the permission's hold together; providers of one are alternatives."""
    staff, guests = Key(tmp_path, "staff"), Key(tmp_path, "guests", "RS256")
    either = {"Providers": [{"Name": "staff"}, {"Name": "guests"}]}
    admin = required("staff", **{"realm.roles": "admin"})
    sources = [
        {
            "Name": "api",
            "Permissions": [
                {"Action": "allow", "HTTP": {"PathPrefix": "/admin"}, "JWT": admin},
                {"Action": "deny", "HTTP": {"PathPrefix": "/admin"}},
                {"Action": "allow", "HTTP": {"PathPrefix": "/"}},
            ],
        }
    ]
    guest_place = [{"Header": {"Name": "x-guest"}}]
    pair = asking(
        provider("staff", key_set(staff)),
        provider("guests", key_set(guests), Locations=guest_place),
        token=either,
        sources=sources,
    )
    good, user = staff.token({"realm": {"roles": ["admin"]}}), staff.token()
    assert status(pair, good, "/admin/x") == 200
    assert status(pair, user, "/admin/x") == 403
    assert status(pair, user, "/open") == 200
    guest = [f"X-Guest: {guests.token()}"]
    assert get(pair.local, "/open", "web", guest).status == 200
    assert get(pair.local, "/admin", "web", guest).status == 403
    assert status(pair, None, "/open") == 403
    assert status(pair, guests.token(), "/open") == 403, "in the place of another provider"


def test_keys_follow_their_issuer(asking, tmp_path):
    """Rotation without a word from us; an issuer that fails leaves its last good keys."""
    first, second = Key(tmp_path, "first", "RS256"), Key(tmp_path, "second")
    with Issuer(key_set(first)) as issuer:
        pair = asking(provider("okta", issuer), token=required("okta"))
        old, new = first.token(), second.token()
        wait_for(lambda: status(pair, old) == 200, PATIENCE, "the keys are fetched")
        assert status(pair, new) == 403
        issuer.body = key_set(second, first)
        wait_for(lambda: status(pair, new) == 200, PATIENCE, "an unknown key is looked for")
        assert status(pair, old) == 200
        issuer.body = key_set(second)
        unknown = Key(tmp_path, "third")
        wait_for(
            lambda: status(pair, unknown.token()) == 403 and status(pair, old) == 403,
            PATIENCE,
            "a key that was taken back is good no more, though its verdict was kept",
        )
        assert status(pair, new) == 200
        issuer.status, asked = 500, issuer.asked
        wait_for(
            lambda: status(pair, unknown.token()) == 403 and issuer.asked > asked + 2,
            PATIENCE,
            "it is asked again and again",
        )
        assert status(pair, second.token({"sub": "other"})) == 200, "the last good keys go on"
        problems = str(pair.node.status())
        assert "jwt-provider okta" in problems and "the keys of before go on" in problems


def test_a_file_of_keys_is_followed(asking, tmp_path):
    """Replaced, written in place, spoiled, gone: workers judge by the last good content."""
    first, second, file = Key(tmp_path, "first"), Key(tmp_path, "second"), tmp_path / "keys.json"
    file.write_text(key_set(first))
    pair = asking(provider("okta", file), token=required("okta"))
    old, new = first.token(), second.token()
    assert status(pair, old) == 200
    assert status(pair, new) == 403
    fresh = tmp_path / "fresh.json"
    fresh.write_text(key_set(second))
    os.replace(fresh, file)
    wait_for(lambda: status(pair, new) == 200, PATIENCE, "another file in its place")
    assert status(pair, old) == 403, "though its verdict was kept"
    file.write_text(key_set(second)[:-20])
    wait_for(
        lambda: "the keys of before go on" in str(pair.node.status()), PATIENCE, "it is told of"
    )
    assert status(pair, second.token({"sub": "other"})) == 200
    file.write_text(key_set(first, second))
    wait_for(lambda: status(pair, first.token()) == 200, PATIENCE, "it is whole again")
    assert status(pair, new) == 200
    assert "jwt-provider okta" not in str(pair.node.status())
    file.unlink()
    wait_for(lambda: "cannot open" in str(pair.node.status()), PATIENCE, "it is gone")
    assert status(pair, first.token({"sub": "last"})) == 200


def test_an_issuer_that_comes_late(asking, tmp_path):
    key = Key(tmp_path, "one")
    with Issuer("{}") as issuer:
        pair = asking(provider("okta", issuer), token=required("okta"))
        good = key.token()
        wait_for(lambda: issuer.asked > 1, PATIENCE, "it is asked again")
        assert status(pair, good) == 403
        issuer.body = key_set(key)
        wait_for(lambda: status(pair, good) == 200, PATIENCE, "its keys come in the end")


def test_an_issuer_that_is_away_when_we_start(asking, tmp_path):
    """Keys that were fetched outlive the control plane, and verdicts with them."""
    key = Key(tmp_path, "one")
    with Issuer(key_set(key)) as issuer:
        pair = asking(provider("okta", issuer), token=required("okta"))
        known = key.token()
        wait_for(lambda: status(pair, known) == 200, PATIENCE, "the keys are fetched")
        issuer.status, asked = 500, issuer.asked
        assert pair.node.stop() == 0
        pair.node.start()
        wait_for(lambda: issuer.asked > asked + 1, PATIENCE, "it is asked again and again")
        assert status(pair, known) == 200
        assert status(pair, key.token({"sub": "new"})) == 200
        assert "the keys of before go on" in str(pair.node.status())


def test_a_pinned_generation_has_its_own_providers(asking, tmp_path):
    """A provider changes under a pin: the one of then decides, also after a restart."""
    first, second, file = Key(tmp_path, "first"), Key(tmp_path, "second"), tmp_path / "keys.json"
    file.write_text(key_set(first))
    pair = asking(provider("okta", file), token=required("okta"))
    node, elsewhere = pair.node, {"iss": "https://elsewhere.test"}
    good = node.status()["generation"]
    node.config["config_entries"][-1]["Issuer"] = elsewhere["iss"]
    node.write_config()
    node.control.process.send_signal(signal.SIGHUP)
    wait_for(lambda: status(pair, first.token(elsewhere)) == 200, PATIENCE, "another issuer")
    node.meshctl("generations", "rollback", good)
    assert status(pair, first.token()) == 200
    assert status(pair, first.token({**elsewhere, "sub": "a"})) == 403
    time.sleep(2)  # what was published is stored within a second
    node.control.kill()
    node.start()
    assert node.status()["pin"]["generation"] == good
    assert status(pair, first.token({"sub": "b"})) == 200
    assert status(pair, first.token({**elsewhere, "sub": "b"})) == 403
    assert "tokens of providers" not in str(node.status())
    file.write_text(key_set(first, second))
    node.meshctl("generations", "resume")
    wait_for(lambda: status(pair, second.token(elsewhere)) == 200, PATIENCE, "the one of now")
    assert status(pair, first.token({"sub": "c"})) == 403


def test_without_a_control_plane(asking, tmp_path):
    """What is known goes on; a token that is new is nobody's to judge: 503, never let in."""
    key = Key(tmp_path, "one")
    pair = asking(provider("okta", key_set(key)), token=required("okta"), dataplane={"workers": 1})
    known, fresh = key.token(), key.token({"sub": "new"})
    assert status(pair, known) == 200
    pid = pair.node.control.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        assert status(pair, known) == 200
        assert status(pair) == 403
        served = len(pair.web.requests)
        assert status(pair, fresh) == 503
        assert len(pair.web.requests) == served
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: status(pair, fresh) == 200, PATIENCE, "it is judged again")
    pair.node.control.kill()
    assert status(pair, known) == 200
    assert status(pair, key.token({"sub": "newer"})) == 503
    pair.node.start()
    wait_for(lambda: status(pair, key.token({"sub": "last"})) == 200, PATIENCE, "it is back")


def test_many_streams_wait_for_one_verdict(asking, tmp_path):
    """Bodies and pipelines are whole after the wait, of HTTP/1.1 and HTTP/2."""
    key = Key(tmp_path, "one", "RS256")
    pair = asking(provider("okta", key_set(key)), token=required("okta"))
    token = key.token()
    with Http2(pair.local) as client:
        client.start()
        field = [("authorization", f"Bearer {token}")]
        for stream in range(1, 60, 2):
            client.ask(stream, "POST", f"/{stream}", field, body=b"x" * 5000)
        assert {client.answer(s, PATIENCE).status for s in range(1, 60, 2)} == {200}
        assert client.get(61).status == 403
    bodies = {r.target: r.body for r in pair.web.complete()}
    assert bodies == {f"/{s}": b"x" * 5000 for s in range(1, 60, 2)}
    other = key.token({"sub": "pipeline"})
    with Client(pair.local) as client:
        head = f"Host: web\r\nAuthorization: Bearer {other}\r\n"
        post = f"POST /p HTTP/1.1\r\n{head}Content-Length: 3\r\n\r\nabc"
        client.send((post + f"GET /q HTTP/1.1\r\n{head}\r\n").encode())
        assert client.stream.until(b"ok").startswith(b"HTTP/1.1 200")
        assert client.stream.until(b"ok").startswith(b"HTTP/1.1 200")
    assert [r.body for r in pair.web.complete()[-2:]] == [b"abc", b""]


def test_entries_over_the_api(asking, tmp_path, ports):
    """What is asked for can be written and read, and a provider that is none is refused."""
    key, api = Key(tmp_path, "one"), ports.take()
    pair = asking(defaults("db"), api={"bind_addr": f"127.0.0.1:{api}"})

    def put(entry):
        body = json.dumps(entry).encode()
        return get(api, "/v1/config", "localhost", method="PUT", body=body)

    okta = provider("okta", key_set(key))
    assert put(okta).body.strip() == b"true"
    assert put({**okta, "JSONWebKeySet": {}}).status == 400
    asked = required("okta", role="admin")
    entry = {"Kind": "service-intentions", "Name": "db", "JWT": asked}
    entry["Sources"] = [
        {"Name": "api", "Action": "allow"},
        {"Name": "batch", "Permissions": [{"Action": "allow", "JWT": asked}]},
    ]
    assert put(entry).body.strip() == b"true"
    found = json.loads(get(api, "/v1/config/service-intentions/db", "localhost").body)
    assert found["JWT"] == asked
    permission = next(s for s in found["Sources"] if s["Name"] == "batch")["Permissions"]
    assert permission == [{"Action": "allow", "JWT": asked}]
    # Another source of the entry, written by itself, is asked for the token as well.
    pair.node.allow("web", "db")
    listed = json.loads(get(api, "/v1/connect/intentions", "localhost").body)
    assert {i["SourceName"] for i in listed if i.get("JWT") == asked} == {"api", "batch", "web"}
    why = pair.node.meshctl("intention", "why", "web", "db", check=False)
    assert why.returncode == 1 and "there is no good token of okta" in why.stdout
    good = key.token({"role": "admin"})
    why = pair.node.meshctl("intention", "why", "web", "db", "--token", good)
    assert "allow" in why.stdout


def test_a_request_is_explained_with_its_token(asking, tmp_path):
    key = Key(tmp_path, "one")
    pair = asking(provider("okta", key_set(key)), token=required("okta"))
    url = f"http://127.0.0.1:{pair.local}/x"
    said = pair.node.meshctl("explain", "GET", url, "--token", key.token()).stdout
    assert "permission 1, whose token the request has" in said
    said = pair.node.meshctl("explain", "GET", url).stdout
    assert "403" in said and "no permission covers the request" in said
