"""Every endpoint of the Consul-compatible API with its methods, and what each reads: the table that
the tests of wrong requests go through.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[2] / "Sources"
ENDPOINT = re.compile(r'Endpoint\(\s*"(/v1/[^"]*)"')
# Endpoints whose paths are made of a list: what is not there of access control.
ABSENT = [("roles", "role"), ("auth-methods", "auth-method"), ("binding-rules", "binding-rule")]
MADE = {
    "/v1/acl/\\(list)": [f"/v1/acl/{many}" for many, _ in ABSENT],
    "/v1/acl/\\(single)": [f"/v1/acl/{one}" for _, one in ABSENT],
    "/v1/acl/\\(single)/": [f"/v1/acl/{one}/" for _, one in ABSENT],
}


def declared():
    """The paths of all endpoints, as the sources of the control plane declare them."""
    found = set()
    for source in sorted(SOURCES.rglob("*.swift")):
        for path in ENDPOINT.findall(source.read_text(encoding="utf-8")):
            found.update(MADE.get(path, [path]))
    return found


# Path and methods, in the order of `Allow`. One that ends in `/` has a name behind it.
METHODS = {
    "/v1/acl/auth-method": "PUT",
    "/v1/acl/auth-method/": "GET PUT DELETE",
    "/v1/acl/auth-methods": "GET",
    "/v1/acl/binding-rule": "PUT",
    "/v1/acl/binding-rule/": "GET PUT DELETE",
    "/v1/acl/binding-rules": "GET",
    "/v1/acl/bootstrap": "PUT",
    "/v1/acl/login": "POST",
    "/v1/acl/logout": "POST",
    "/v1/acl/policies": "GET",
    "/v1/acl/policy": "PUT",
    "/v1/acl/policy/": "GET PUT DELETE",
    "/v1/acl/policy/name/": "GET",
    "/v1/acl/replication": "GET",
    "/v1/acl/role": "PUT",
    "/v1/acl/role/": "GET PUT DELETE",
    "/v1/acl/roles": "GET",
    "/v1/acl/token": "PUT",
    "/v1/acl/token/": "GET PUT DELETE",
    "/v1/acl/token/self": "GET",
    "/v1/acl/tokens": "GET",
    "/v1/agent/check/deregister/": "PUT",
    "/v1/agent/check/fail/": "PUT",
    "/v1/agent/check/pass/": "PUT",
    "/v1/agent/check/register": "PUT",
    "/v1/agent/check/update/": "PUT",
    "/v1/agent/check/warn/": "PUT",
    "/v1/agent/checks": "GET",
    "/v1/agent/connect/authorize": "POST PUT",
    "/v1/agent/connect/ca/leaf/": "GET",
    "/v1/agent/connect/ca/roots": "GET",
    "/v1/agent/connect/proxy/": "GET",
    "/v1/agent/health/service/id/": "GET",
    "/v1/agent/health/service/name/": "GET",
    "/v1/agent/members": "GET",
    "/v1/agent/metrics": "GET",
    "/v1/agent/self": "GET",
    "/v1/agent/service/": "GET",
    "/v1/agent/service/deregister/": "PUT",
    "/v1/agent/service/maintenance/": "PUT",
    "/v1/agent/service/register": "PUT",
    "/v1/agent/services": "GET",
    "/v1/catalog/connect/": "GET",
    "/v1/catalog/datacenters": "GET",
    "/v1/catalog/deregister": "PUT",
    "/v1/catalog/node-services/": "GET",
    "/v1/catalog/node/": "GET",
    "/v1/catalog/nodes": "GET",
    "/v1/catalog/register": "PUT",
    "/v1/catalog/service/": "GET",
    "/v1/catalog/services": "GET",
    "/v1/config": "PUT",
    "/v1/config/": "GET DELETE",
    "/v1/connect/ca/configuration": "GET PUT",
    "/v1/connect/ca/roots": "GET",
    "/v1/connect/intentions": "GET POST",
    "/v1/connect/intentions/": "GET PUT DELETE",
    "/v1/connect/intentions/check": "GET",
    "/v1/connect/intentions/exact": "GET PUT DELETE",
    "/v1/connect/intentions/match": "GET",
    "/v1/coordinate/datacenters": "GET",
    "/v1/coordinate/node/": "GET",
    "/v1/coordinate/nodes": "GET",
    "/v1/coordinate/update": "PUT",
    "/v1/discovery-chain/": "GET POST",
    "/v1/event/fire/": "PUT",
    "/v1/event/list": "GET",
    "/v1/health/checks/": "GET",
    "/v1/health/connect/": "GET",
    "/v1/health/ingress/": "GET",
    "/v1/health/node/": "GET",
    "/v1/health/service/": "GET",
    "/v1/health/state/": "GET",
    "/v1/kv/": "GET PUT DELETE",
    "/v1/query": "GET POST",
    "/v1/query/": "GET PUT DELETE POST",
    "/v1/session/create": "PUT",
    "/v1/session/destroy/": "PUT",
    "/v1/session/info/": "GET",
    "/v1/session/list": "GET",
    "/v1/session/node/": "GET",
    "/v1/session/renew/": "PUT",
    "/v1/status/leader": "GET",
    "/v1/status/peers": "GET",
    "/v1/txn": "PUT",
}
# Bodies that may be any bytes.
RAW = {("PUT", "/v1/kv/"), ("PUT", "/v1/event/fire/")}
USUAL_LIMIT = 1 << 20
LIMITS = {"/v1/kv/": 512 * 1024, "/v1/event/fire/": 512, "/v1/txn": 764_588}


@dataclass
class Reader:
    """A method that reads JSON: a member of a wrong kind, one that nobody knows (None: such are
    left alone, as with Consul), what stands before every complaint, and its status.
    """

    method: str
    path: str
    before: str
    wrong: object = None
    unknown: object = None
    status: int = 400
    query: str = ""
    # Whether no body at all is a request, too.
    may_be_empty: bool = False

    @property
    def target(self):
        return target(self.path) + self.query


def target(path):
    """The path with a name behind it that nothing has."""
    return path + (TAILS.get(path, "no") if path.endswith("/") else "")


NOBODY = "00000000-0000-4000-8000-000000000000"
ANONYMOUS = "00000000-0000-0000-0000-000000000002"
TAILS = {"/v1/connect/intentions/": NOBODY, "/v1/acl/token/": ANONYMOUS}
DECODE = "Request decode failed: "
BAD = "Bad request: "
EXTRA = {"Nonsense": 1}
READERS = [
    Reader("PUT", "/v1/acl/policy", f"{BAD}Policy decoding failed: ", {"Name": 5}, EXTRA),
    Reader("PUT", "/v1/acl/policy/", f"{BAD}Policy decoding failed: ", {"Name": 5}, EXTRA),
    Reader("PUT", "/v1/acl/token", f"{BAD}Token decoding failed: ", {"Local": 5}, EXTRA),
    Reader("PUT", "/v1/acl/token/", f"{BAD}Token decoding failed: ", {"Local": 5}, EXTRA),
    Reader(
        "PUT", "/v1/agent/check/register", DECODE, {"Name": 5},
        {"Name": "no", "TTL": "9s", "Tll": 1},
    ),
    Reader("PUT", "/v1/agent/check/update/", DECODE, {"Status": 5}, EXTRA),
    Reader("POST", "/v1/agent/connect/authorize", BAD + DECODE, {"Target": 5}, EXTRA),
    Reader("PUT", "/v1/agent/connect/authorize", BAD + DECODE, {"Target": 5}, EXTRA),
    Reader(
        "PUT", "/v1/agent/service/register", DECODE, {"Name": 5}, {"Name": "no", "Prot": 1}
    ),
    Reader("PUT", "/v1/catalog/deregister", DECODE, {"Node": 5}, EXTRA),
    Reader("PUT", "/v1/catalog/register", DECODE, {"Node": 5}, EXTRA),
    Reader(
        "PUT", "/v1/config", f"{BAD}Request decoding failed: ",
        {"Kind": "service-resolver", "Name": "no", "DefaultSubset": ["x"]},
        {"Kind": "service-defaults", "Name": "no", "Protcol": "http"},
    ),
    Reader("PUT", "/v1/connect/ca/configuration", BAD + DECODE, {"Provider": 5}, EXTRA),
    Reader(
        "POST", "/v1/connect/intentions", "Failed to decode request body: ",
        {"SourceName": 5}, EXTRA, status=500,
    ),
    Reader("PUT", "/v1/connect/intentions/", BAD + DECODE, {"SourceName": 5}, EXTRA),
    Reader(
        "PUT", "/v1/connect/intentions/exact", BAD + DECODE, {"SourceName": 5}, EXTRA,
        query="?source=no&destination=no",
    ),
    Reader("PUT", "/v1/coordinate/update", DECODE, {"Node": 5}, EXTRA),
    Reader(
        "POST", "/v1/discovery-chain/", f"{BAD}Request decoding failed: ",
        {"OverrideProtocol": 5}, {"OverideProtocol": "tcp"},
    ),
    Reader("POST", "/v1/query", DECODE, {"Name": 5}, EXTRA),
    Reader("PUT", "/v1/query/", DECODE, {"Name": 5}, EXTRA),
    Reader("PUT", "/v1/session/create", DECODE, {"Name": 5}, may_be_empty=True),
    Reader("PUT", "/v1/txn", "Failed to parse body: ", [5]),
]  # fmt: skip
# What is no JSON, or none that anybody awaits, with words of Go where they are always the same.
MALFORMED = {
    "{": "unexpected EOF",
    '{"a":}': "invalid character '}' looking for beginning of value",
    "{} x": "invalid character 'x' after top-level value",
    "3": None,
    '"x"': None,
    "null": None,
    "\x00": None,
    "[" * 10_000: None,
}


def wrong_bodies(reader):
    """(body, the end of the text that is awaited or None) of a method that reads JSON."""
    yield from MALFORMED.items()
    other = [] if reader.path != "/v1/txn" else {}
    yield json.dumps(other), None
    if not reader.may_be_empty:
        yield "", "EOF"
    yield json.dumps(reader.wrong), None
    if reader.unknown:
        name = next(reversed(reader.unknown))
        is_entry = reader.path == "/v1/config"
        yield (
            json.dumps(reader.unknown),
            f'invalid config key "{name}"\n\n' if is_entry else f'json: unknown field "{name}"',
        )
