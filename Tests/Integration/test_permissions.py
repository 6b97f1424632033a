"""Proves what permissions decide about requests, in the words of a real Consul's entries.

Every case of `l7-permissions.json` under both default policies: through a pair of sidecars (the
caller's, mutual TLS, the destination's) with HTTP/1.1 and HTTP/2, between the two as well, and at
the destination's sidecar alone, as a peer of another make would call it with a certificate of its
own. What is denied never reaches the application.
"""

import contextlib
import json
import ssl
from pathlib import Path

import pytest
from certificates import authority, leaf
from h2client import Http2
from h2server import Http2Recorder
from ringmesh import defaults, service, sidecar
from wire import Client, Recorder, wait_for

CASES = json.loads(
    (Path(__file__).parents[1] / "Vectors/consul/l7-permissions.json").read_text(encoding="utf-8")
)
DOMAIN = "mesh.test"
CALLERS = sorted({r["source"] for c in CASES for r in c["requests"]})


def entries(cases, protocol):
    """The entries of these cases, each with a destination of its own."""
    made = []
    for case in cases:
        name = f"db-{case['id']}"
        made.append(defaults(name, protocol))
        made.append({"Kind": "service-intentions", "Name": name, "Sources": case["sources"]})
        if case["wildcard_destination_sources"]:
            made.append(
                {
                    "Kind": "service-intentions",
                    "Name": "*",
                    "Sources": case["wildcard_destination_sources"],
                }
            )
    return made


class Pairs:
    """A node with the destinations of some cases, and callers with an upstream to each."""

    def __init__(self, nodes, ports, folder, cases, default, protocol):
        self.ca = authority(folder)
        self.application = (Http2Recorder if protocol == "http2" else Recorder)()
        self.inbound = {case["id"]: ports.take() for case in cases}
        self.outbound = {(caller, case["id"]): ports.take() for case in cases for caller in CALLERS}
        destinations = [
            service(f"db-{key}", self.application.port, connect=sidecar(port))
            for key, port in self.inbound.items()
        ]
        callers = [
            service(
                caller,
                ports.dead(),
                connect=sidecar(
                    ports.take(),
                    {f"db-{c['id']}": self.outbound[caller, c["id"]] for c in cases},
                ),
            )
            for caller in CALLERS
        ]
        self.certificates = {
            caller: leaf(
                folder, caller, self.ca, f"URI:spiffe://{DOMAIN}/ns/default/dc/dc1/svc/{caller}"
            )
            for caller in CALLERS
        }
        self.node = nodes(
            services=destinations + callers,
            config_entries=entries(cases, protocol),
            mesh={
                "intentions_default": default,
                "trust_domain": DOMAIN,
                "ca_cert": str(self.ca[0]),
                "ca_key": str(self.ca[1]),
            },
        ).start()

    def tls(self, caller, alpn):
        context = ssl.create_default_context(cafile=self.ca[0])
        context.check_hostname = False
        context.load_cert_chain(*self.certificates[caller])
        context.set_alpn_protocols([alpn])
        return context

    def ways(self, case, caller):
        """Each way to ask: its name, and a function of a request."""
        out, at = self.outbound[caller, case["id"]], self.inbound[case["id"]]
        return {
            "pair, HTTP/1.1": lambda request: ask_h1(out, None, request),
            "pair, HTTP/2": lambda request: ask_h2(out, None, request),
            "sidecar alone, HTTP/1.1": lambda r: ask_h1(at, self.tls(caller, "http/1.1"), r),
            "sidecar alone, HTTP/2": lambda r: ask_h2(at, self.tls(caller, "h2"), r),
        }


def ask_h1(port, tls, request):
    """The status that HTTP/1.1 has; `tls` is a context."""
    with Client(port) as client:
        if tls:
            client.sock = client.stream.sock = tls.wrap_socket(client.sock)
        headers = [f"{name}: {value}" for name, value in request["headers"].items()]
        return client.get(request["path"], "db", request["method"], headers).status


def ask_h2(port, tls, request):
    with Http2(port, tls) as client:
        fields = [(name.lower(), value) for name, value in request["headers"].items()]
        client.start()
        return client.get(1, request["method"], request["path"], fields).status


@pytest.mark.parametrize("protocol", ["http", "http2"])
@pytest.mark.parametrize("default", ["allow", "deny"])
@pytest.mark.parametrize("wildcards", [False, True])
def test_permissions_as_in_consul(nodes, ports, tmp_path, wildcards, default, protocol):
    cases = [c for c in CASES if bool(c["wildcard_destination_sources"]) == wildcards]
    assert cases
    pairs = Pairs(nodes, ports, tmp_path, cases, default, protocol)
    wrong, asked, allowed = [], 0, 0
    with contextlib.closing(pairs.application):
        for case in cases:
            for request in case["requests"]:
                expected = request["allowed"][f"default_{default}"]
                for way, ask in pairs.ways(case, request["source"]).items():
                    status = ask(request)
                    asked, allowed = asked + 1, allowed + expected
                    if status != (200 if expected else 403):
                        wrong.append(f"{case['id']}: {way}: {request} was answered {status}")
        assert not wrong, "\n".join(wrong)
        assert asked >= 4 * len(cases) and allowed < asked
        done = wait_for(
            lambda: len(pairs.application.complete()) == allowed, 20, "all allowed ones arrive"
        )
        assert done and len(pairs.application.requests) == allowed


MATCHERS = {
    "exact": ({"exact": "Ab.c"}, ["Ab.c"], ["ab.c", "Abxc", "xAb.c", "Ab.cx"]),
    "prefix": ({"prefix": "Ab"}, ["Ab", "Abc"], ["abc", "xAb"]),
    "suffix": ({"suffix": "yZ"}, ["yZ", "xyZ"], ["xyz", "yZx"]),
    "contains": ({"contains": "mM"}, ["mM", "amMb"], ["amb", "MM"]),
    "regex": ({"regex": "[0-9]+b"}, ["1b", "123b"], ["b", "1b2", "x1b"]),
    "present": ({"present": True}, ["", "x"], [None]),
    "not-present": ({"present": True, "invert": True}, [None], ["", "x"]),
    "not-exact": ({"exact": "a", "invert": True}, ["b", "A"], ["a", None]),
    "exact-i": ({"exact": "Ab", "ignore_case": True}, ["aB", "AB"], ["abc"]),
    "prefix-i": ({"prefix": "Ab", "ignore_case": True}, ["aBc"], ["xab"]),
    "suffix-i": ({"suffix": "yZ", "ignore_case": True}, ["xYz"], ["yzx"]),
    "contains-i": ({"contains": "mM", "ignore_case": True}, ["aMmb"], ["am"]),
    "regex-i": ({"regex": "x[a-c]+", "ignore_case": True}, ["XaBC"], ["XaBD"]),
}


def test_every_matcher_of_a_header(mesh):
    """Permissions of one intention, told apart by path: the header decides in each."""
    permissions = [
        {
            "action": "allow",
            "http": {"path_exact": f"/{name}", "header": [{"name": "X-It", **match}]},
        }
        for name, (match, _, _) in MATCHERS.items()
    ]
    pair = mesh(start=False)
    pair.node.config["config_entries"].append(
        {
            "kind": "service-intentions",
            "name": "web",
            "sources": [{"name": "api", "permissions": permissions}],
        }
    )
    pair.node.write_config()
    pair.node.start()
    wrong = []
    for name, (_, good, bad) in MATCHERS.items():
        for value, expected in [(v, 200) for v in good] + [(v, 403) for v in bad]:
            request = {
                "method": "GET",
                "path": f"/{name}",
                "headers": {} if value is None else {"x-it": value},
            }
            for ask in (ask_h1, ask_h2):
                status = ask(pair.local, None, request)
                if status != expected:
                    wrong.append(f"{ask.__name__} {name} {value!r}: {status}, not {expected}")
    assert not wrong, "\n".join(wrong)
