"""Requests that are wrong, to every endpoint of the Consul-compatible API over a real socket: the
status and the form are Consul's, the text says what was wrong, and nothing has changed.

The table is `consul_endpoints`; an endpoint that the sources declare and the table has not is a
failure. With Consul's own program (RINGMESH_CONSUL) `Tests/Peers` holds the table against it.
"""

import http.client
import json
import socket

import consul_endpoints as table
import pytest
from consul_dump import dump

SECRET = "5d1a1a1c-0f4e-4a9e-8d0c-5f3f7d2f1c01"
METHODS = ["GET", "PUT", "POST", "DELETE", "PATCH", "TRACE"]


class API:
    """Requests under a token that may do everything."""

    def __init__(self, port):
        self.port = port

    def __call__(self, method, target, body=None):
        """(status, text, headers)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, target, body, {"X-Consul-Token": SECRET})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), answer.headers
        finally:
            connection.close()

    def ok(self, method, target, body=None):
        status, text, _ = self(method, target, None if body is None else json.dumps(body))
        assert status == 200, (method, target, status, text)
        return text


@pytest.fixture(name="api")
def fixture_api(nodes, ports, tmp_path):
    """A node with access control and something of everything."""
    port = ports.take()
    token = tmp_path / "token"
    token.write_text(SECRET, encoding="ascii")
    nodes(
        workers=1,
        api={"bind_addr": f"127.0.0.1:{port}"},
        acl={"enabled": True, "management_token_file": str(token)},
    ).start()
    api = API(port)
    ttl = {"CheckID": "web-ttl", "TTL": "24h", "Status": "passing"}
    api.ok("PUT", "/v1/agent/service/register", {"Name": "web", "Port": 80, "Check": ttl})
    node = {"Node": "far", "Address": "10.1.1.1", "Service": {"Service": "db", "Port": 1}}
    api.ok("PUT", "/v1/catalog/register", node)
    api.ok("PUT", "/v1/config", {"Kind": "service-defaults", "Name": "web", "Protocol": "http"})
    api.ok("PUT", "/v1/connect/intentions/exact?source=a&destination=web", {"Action": "allow"})
    api.ok("PUT", "/v1/kv/there", "x")
    api.ok("PUT", "/v1/session/create", {"TTL": "24h"})
    api.ok("POST", "/v1/query", {"Name": "q", "Service": {"Service": "web"}})
    api.ok("PUT", "/v1/acl/policy", {"Name": "p", "Rules": ""})
    return api


def test_every_endpoint_has_a_row(api):
    """And every row is an endpoint with these methods and no other."""
    assert table.declared() == set(table.METHODS)
    readers = {(reader.method, reader.path) for reader in table.READERS}
    for path, methods in table.METHODS.items():
        status, _, headers = api("OPTIONS", table.target(path))
        assert (status, headers["Allow"]) == (200, "OPTIONS," + methods.replace(" ", ",")), path
        assert {m for m, p in readers if p == path} <= set(methods.split()), path


def test_wrong_methods(api):
    """405 with those that are right."""
    before = dump(api)
    for path, methods in table.METHODS.items():
        allowed = methods.split()
        for method in METHODS:
            if method not in allowed:
                status, text, headers = api(method, table.target(path), "{}")
                assert status == 405, (method, path, status)
                assert text == f"method {method} not allowed"
                assert headers["Allow"] == ",".join(["OPTIONS", *allowed]), path
    assert dump(api) == before


def test_bodies_that_are_too_large(api):
    """One byte more than an endpoint takes is refused before it has come; one less is not."""
    before = dump(api)
    for path in table.METHODS:
        limit = table.LIMITS.get(path, table.USUAL_LIMIT)
        for method in ("PUT", "POST", "GET"):
            status, text = announced(api.port, method, table.target(path), limit + 1)
            assert status == 413, (method, path)
            assert text == f"Request body too large, max size: {limit} bytes."
        assert announced(api.port, "PUT", table.target(path), limit) == (None, ""), path
    assert dump(api) == before


def announced(port, method, path, length):
    """What is said to a head that announces so many bytes; (None, "") when they are awaited."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nX-Consul-Token: {SECRET}\r\n"
        # A server that goes on to read says so; one that refuses says why.
        head += f"Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
        client.sendall(head.encode())
        answer = http.client.HTTPResponse(client)
        first = client.recv(64, socket.MSG_PEEK)
        if first.startswith(b"HTTP/1.1 100"):
            return None, ""
        answer.begin()
        return answer.status, answer.read().decode()


def test_bodies_that_are_none(api):
    """Malformed, of a wrong kind, with a member that nobody knows."""
    before = dump(api)
    for reader in table.READERS:
        for body, words in table.wrong_bodies(reader):
            status, text, _ = api(reader.method, reader.target, body)
            place = (reader.method, reader.target, body[:60], status, text)
            assert status == reader.status, place
            assert text.startswith(reader.before) and len(text) > len(reader.before), place
            if words:
                assert text.endswith(words), place
        assert dump(api) == before, (reader.method, reader.target)


def test_bodies_that_nobody_reads(api):
    """What is no document changes nothing where none is awaited: the answer is the usual one.
    Left out is what does its work without a body: the first token of access control.
    """
    before = dump(api)
    readers = {(reader.method, reader.path) for reader in table.READERS}
    for path, methods in table.METHODS.items():
        for method in methods.split():
            if (method, path) in readers | table.RAW or path == "/v1/acl/bootstrap":
                continue
            usual, broken = (api(method, table.target(path), body)[:2] for body in (None, "{"))
            assert broken[0] == usual[0], (method, path, usual, broken)
            assert usual[0] < 500 or usual[1], "an error without words"
            assert dump(api) == before, (method, path)
