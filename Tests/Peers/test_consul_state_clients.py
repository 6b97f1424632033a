"""py-consul speaks to our API: pairs, sessions, transactions, queries, events, tokens.

What its own tests of these endpoints expect of Consul is expected of us, except where the handbook
(ConsulAPI, ACL) says that we are different.
"""

import base64
import struct

import pytest

consul = pytest.importorskip("consul", reason="py-consul is not installed")

MANAGEMENT = "6f1f7a52-5d0c-4b5e-9d0c-0f6b5a1c2d3e"


@pytest.fixture
def api(nodes, ports):
    """A node with the API, and a client of it."""
    port = ports.take()
    nodes(workers=1, api={"bind_addr": f"127.0.0.1:{port}"}).start()
    return consul.Consul(port=port)


@pytest.fixture
def guarded(nodes, ports, tmp_path):
    """A node with access control, and a client without a token."""
    port = ports.take()
    (tmp_path / "management").write_text(MANAGEMENT + "\n", encoding="utf-8")
    nodes(
        workers=1,
        api={"bind_addr": f"127.0.0.1:{port}"},
        acl={"enabled": True, "management_token_file": str(tmp_path / "management")},
    ).start()
    return consul.Consul(port=port)


def test_pairs(api):
    """Values of every kind, flags, compare-and-set, prefixes, blocking."""
    assert api.kv.get("foo")[1] is None
    for value, read in [
        ("bar", b"bar"),
        (struct.pack("i", 1000), struct.pack("i", 1000)),
        ("", None),
        (None, None),
    ]:
        assert api.kv.put("foo", value) is True
        assert api.kv.get("foo")[1]["Value"] == read
    assert api.kv.put("foo", "bar", flags=50) is True
    index, data = api.kv.get("foo")
    assert data["Flags"] == 50
    assert api.kv.get("foo", index=index, wait="20ms")[0] == index
    assert api.kv.put("foo", "no", cas=data["ModifyIndex"] - 1) is False
    assert api.kv.put("foo", "yes", cas=data["ModifyIndex"]) is True
    for key in ("foo/", "foo/1", "foo/2/x", "foo/2/y"):
        assert api.kv.put(key, "1") is True
    assert [pair["Key"] for pair in api.kv.get("foo/", recurse=True)[1]] == [
        "foo/",
        "foo/1",
        "foo/2/x",
        "foo/2/y",
    ]
    assert api.kv.get("foo/", keys=True, separator="/")[1] == ["foo/", "foo/1", "foo/2/"]
    assert api.kv.delete("foo", cas=1) is False
    assert api.kv.delete("foo", recurse=True) is True
    assert api.kv.get("foo", recurse=True)[1] is None


def test_locks(api):
    """Sessions hold keys; their end lets go or deletes."""
    with pytest.raises(consul.ConsulException):
        api.kv.put("foo", "bar", acquire="foo")
    with pytest.raises(consul.ConsulException):
        api.session.create(node="other")
    with pytest.raises(consul.ConsulException):
        api.session.create(dc="dc2")
    first = api.session.create("first")
    second = api.session.create("second", behavior="delete", ttl=20, lock_delay=0)
    assert api.kv.put("foo", "1", acquire=first) is True
    assert api.kv.put("foo", "2", acquire=second) is False
    assert api.kv.get("foo")[1]["Session"] == first
    assert api.kv.put("foo", "2", release=second) is False
    assert api.kv.put("foo", "2", release=first) is True
    assert api.kv.put("foo", "3", acquire=second) is True
    assert api.session.renew(second)["TTL"] == "20s"
    with pytest.raises(consul.NotFound):
        api.session.renew("1" * 36)
    node = api.session.info(first)[1]["Node"]
    assert {session["Name"] for session in api.session.node(node)[1]} == {"first", "second"}
    assert api.session.info("1" * 36)[1] is None
    assert api.session.destroy(second) is True
    assert api.kv.get("foo")[1] is None
    assert api.session.destroy(first) is True
    assert api.session.list()[1] == []


def test_transactions(api):
    """All operations or none."""
    value = base64.b64encode(b"1").decode()
    done = api.txn.put([{"KV": {"Verb": "set", "Key": "a", "Value": value}}])
    assert done["Errors"] is None
    read = api.txn.put([{"KV": {"Verb": "get", "Key": "a"}}])
    assert read["Results"][0]["KV"]["Value"] == value
    failing = [
        {"KV": {"Verb": "delete", "Key": "a"}},
        {"KV": {"Verb": "check-not-exists", "Key": "a"}},
        {"KV": {"Verb": "get", "Key": "gone"}},
    ]
    with pytest.raises(consul.ConsulException) as refused:
        api.txn.put(failing)
    assert "gone" in str(refused.value)
    assert api.kv.get("a")[1]["Value"] == b"1"


def test_queries(api):
    """Definitions of prepared queries come and go."""
    assert api.query.list() == []
    made = api.query.create("web", "webs")
    (read,) = api.query.get(made["ID"])
    assert (read["ID"], read["Name"]) == (made["ID"], "webs")
    assert api.query.explain("webs")["Query"]["Service"]["Service"] == "web"
    with pytest.raises(consul.ConsulException):
        api.query.create("web", "webs")
    assert api.query.update(made["ID"], name="other", service="web") is not False
    assert [query["Name"] for query in api.query.list()] == ["other"]
    assert api.query.delete(made["ID"])
    assert api.query.list() == []


def test_events_and_coordinates(api):
    """What clients probe for: messages are kept, coordinates told."""
    assert api.event.fire("deploy", "now")
    assert api.event.list(name="other")[1] == []
    assert [event["Name"] for event in api.event.list(name="deploy")[1]] == ["deploy"]
    (place,) = api.coordinate.datacenters()
    assert set(place) == {"Datacenter", "Coordinates", "AreaID"}
    node = place["Coordinates"][0]["Node"]
    told = {"Adjustment": 0, "Error": 1.25, "Height": 0, "Vec": [1, 0, 0, 0, 0, 0, 0, 0]}
    assert api.coordinate.update(node, told) is True
    assert api.coordinate.node(node)[1][0]["Coord"]["Error"] == 1.25


def test_who_may_not(guarded):
    """Without a token nothing is listed, and nothing may be done."""
    for call in (
        guarded.acl.token.list,
        guarded.acl.token.create,
        guarded.acl.policy.list,
        lambda: guarded.kv.put("a", "1"),
        lambda: guarded.kv.get("a"),
        lambda: guarded.acl.token.list(token="anonymous"),
    ):
        with pytest.raises(consul.ACLPermissionDenied):
            call()
    with pytest.raises(consul.ConsulException):
        guarded.acl.bootstrap()


def test_tokens_and_policies(guarded):
    """A token does what its policies say, from its making to its end."""
    as_management = {"token": MANAGEMENT}
    policy = guarded.acl.policy.create(
        name="app", rules={"key_prefix": {"app/": {"policy": "write"}}}, **as_management
    )
    assert guarded.acl.policy.read(uuid=policy["ID"], **as_management)["Name"] == "app"
    made = guarded.acl.token.create(policies_name=["app"], description="d", **as_management)
    app = made["SecretID"]
    assert guarded.kv.put("app/a", "1", token=app) is True
    with pytest.raises(consul.ACLPermissionDenied):
        guarded.kv.put("other", "1", token=app)
    assert guarded.kv.get("", recurse=True, token=MANAGEMENT)[1][0]["Key"] == "app/a"
    read = guarded.acl.token.read(accessor_id=made["AccessorID"], **as_management)
    assert read["Description"] == "d"
    assert read["SecretID"] == "<hidden>"
    clone = guarded.acl.token.clone(
        accessor_id=made["AccessorID"], description="c", **as_management
    )
    assert guarded.kv.put("app/a", "2", token=clone["SecretID"]) is True
    assert guarded.acl.token.delete(accessor_id=made["AccessorID"], **as_management) is True
    with pytest.raises(consul.ACLPermissionDenied):
        guarded.kv.put("app/a", "3", token=app)
    assert guarded.acl.policy.delete(uuid=policy["ID"], **as_management) is True
    with pytest.raises(consul.ACLPermissionDenied):
        guarded.kv.put("app/a", "3", token=clone["SecretID"])
