"""The table of wrong requests, held against Consul's own program: what we say to them is what it
says, in status and form. Differences stand here with their reasons.
"""

import http.client
import json
import re

import consul_endpoints as table
import pytest
from ports import Ports
from test_consul_agent import MASTER, PROGRAM, Consul

pytestmark = pytest.mark.skipif(
    not PROGRAM, reason="no consul: set RINGMESH_CONSUL, or install it (Debian 11's package)"
)
# 1.8.7 has no such endpoint, or not with this method.
NOT_THERE = {
    ("PUT", "/v1/agent/connect/authorize"): "an old client sends it: taken here",
    ("PUT", "/v1/connect/intentions/exact"): "since 1.9",
}
ALLOWED = {
    "/v1/agent/connect/authorize": "PUT is of an old client",
    "/v1/agent/connect/proxy/": "of Consul 1.2",
    "/v1/query/": "what POST may be used for is told by the query",
    "/v1/connect/intentions/exact": "since 1.9",
    "/v1/connect/intentions/": "since 1.9 names are told from ids",
}
# What Consul lets pass: text behind a document, null for one (where some endpoints panic).
LENIENT = {"null", "{} x"}
# A definition that is left out is an empty one, which is refused for what it lacks.
EMPTY = {("", "/v1/query/")}
# Its older reader turns numbers to texts, and passes over what it does not know.
WEAK = {"/v1/discovery-chain/", "/v1/config"}


@pytest.fixture(name="consul", scope="module")
def fixture_consul():
    ports = Ports()
    made = Consul(ports)
    try:
        yield made.start()
    finally:
        made.close()
        ports.close()


def ask(consul, method, target, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", consul.port, timeout=60)
    try:
        connection.request(method, target, body, {"X-Consul-Token": MASTER})
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace"), answer.headers
    finally:
        connection.close()


def test_methods(consul):
    for path, methods in table.METHODS.items():
        if path in ALLOWED:
            continue
        status, _, headers = ask(consul, "OPTIONS", table.target(path))
        assert status == 200, path
        assert headers["Allow"] == "OPTIONS," + methods.replace(" ", ","), path
        if "PATCH" not in methods:
            status, text, _ = ask(consul, "PATCH", table.target(path), "{}")
            assert (status, text) == (405, "method PATCH not allowed"), path


def plain(text):
    """Without the names that Go's types have inside the program."""
    text = re.sub(r"(Go value of type ).*", r"\1T", text, flags=re.DOTALL)
    return re.sub(r"Go struct field \S*?(\w+) of", r"Go struct field \1 of", text)


@pytest.mark.parametrize(
    "reader",
    [one for one in table.READERS if (one.method, one.path) not in NOT_THERE],
    ids=lambda reader: f"{reader.method} {reader.path}",
)
def test_bodies(consul, reader):
    for body, words in table.wrong_bodies(reader):
        is_weak = reader.path in WEAK and body in (
            json.dumps(reader.wrong),
            json.dumps(reader.unknown) if reader.path != "/v1/config" else None,
        )
        if body in LENIENT or is_weak or (body, reader.path) in EMPTY:
            continue
        status, text, _ = ask(consul, reader.method, reader.target, body)
        assert status == reader.status, (body[:60], status, text)
        assert text.startswith(reader.before), (body[:60], text)
        if words:
            assert plain(text).endswith(words), (body[:60], text)
