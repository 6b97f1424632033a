"""Exchanges that were recorded with a real Consul 1.9.8 agent, and how ours are held against them.

Names, values and types of every member are compared, and the status and the headers that clients
read. What no two installations have in common (indexes, ids, hashes, times, addresses of servers)
is compared by its type only.
"""

import json
import re
import urllib.error
import urllib.request
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "Vectors" / "consul" / "samples"

# Members whose values differ from one installation, or one moment, to the next.
VOLATILE = {
    "CreateIndex", "ModifyIndex", "CreateTime", "ContentHash", "Hash", "NodeID", "Output", "Addr",
    "build",
    "id", "CreatedAt", "UpdatedAt", "leader_addr", "port", "wan_join_port", "ActiveRootID",
    "CertPEM", "PrivateKeyPEM", "RootCert", "SerialNumber", "SigningKeyID", "NotBefore",
    "NotAfter", "ValidAfter", "ValidBefore", "CustomizationHash",
}  # fmt: skip
HEADERS = [
    "content-type", "allow", "x-cache", "x-consul-knownleader", "x-consul-lastcontact",
    "x-consul-effective-consistency", "x-consul-default-acl-policy", "x-consul-reason",
]  # fmt: skip
PRESENT = ["age", "x-consul-index", "x-consul-contenthash"]
# A UUID, or the fingerprint of a root.
ID = re.compile(r"^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{2}(:[0-9a-f]{2}){19})$")


def load(name):
    """Recorded exchanges of one file, in their order."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def send(base, request, seconds=60):
    """(status, headers by lower-case name, body) of a recorded request."""
    body = request.get("body")
    if body is not None and not isinstance(body, str):
        body = json.dumps(body)
    call = urllib.request.Request(
        base + request["path"],
        method=request["method"],
        data=None if body is None else body.encode(),
        headers=request.get("headers", {}),
    )
    opener = urllib.request.build_opener(NoRedirect)
    try:
        with opener.open(call, timeout=seconds) as answer:
            return answer.status, lower(answer.headers), answer.read()
    except urllib.error.HTTPError as answer:
        return answer.code, lower(answer.headers), answer.read()


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Answers are looked at, not followed."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        return None


def cluster(base):
    """The id of a node's installation in its identities."""
    _, _, body = send(base, {"method": "GET", "path": "/v1/connect/ca/roots"})
    return json.loads(body)["TrustDomain"].removesuffix(".consul")


def lower(headers):
    return {name.lower(): value for name, value in headers.items()}


def differences(recorded, answer, index=True):
    """What is not as it was recorded, one line each."""
    status, headers, body = answer
    found = []
    if status != recorded["status"]:
        found.append(f"status {status}, recorded {recorded['status']}: {body[:200]!r}")
        return found
    wanted = lower(recorded["headers"])
    for name in HEADERS:
        if wanted.get(name) != headers.get(name):
            found.append(f"{name}: {headers.get(name)!r}, recorded {wanted.get(name)!r}")
    if index:
        for name in PRESENT:
            if (name in wanted) != (name in headers):
                found.append(f"{name}: {headers.get(name)!r}, recorded {wanted.get(name)!r}")
    if "json" in recorded:
        compare(recorded["json"], json.loads(body), "", found)
    elif recorded.get("text", "") != body.decode():
        found.append(f"text {body.decode()!r}, recorded {recorded.get('text')!r}")
    return found


def compare(wanted, got, place, found):
    """Adds what differs below one place of a document."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        for name in sorted(wanted.keys() | got.keys()):
            here = f"{place}.{name}"
            if name not in got:
                found.append(f"{here} is missing")
            elif name not in wanted:
                found.append(f"{here} is not in the recording: {got[name]!r}")
            elif name in VOLATILE:
                if type(wanted[name]) is not type(got[name]):
                    found.append(f"{here} is {got[name]!r}, recorded {wanted[name]!r}")
            else:
                compare(wanted[name], got[name], here, found)
    elif isinstance(wanted, list) and isinstance(got, list):
        if len(wanted) != len(got):
            found.append(f"{place} has {len(got)} elements, recorded {len(wanted)}")
        for number, (left, right) in enumerate(zip(wanted, got, strict=False)):
            compare(left, right, f"{place}[{number}]", found)
    elif isinstance(wanted, str) and isinstance(got, str) and ID.match(wanted):
        if not ID.match(got):
            found.append(f"{place} is {got!r}, recorded an id")
    elif wanted != got or type(wanted) is not type(got):
        found.append(f"{place} is {got!r}, recorded {wanted!r}")
