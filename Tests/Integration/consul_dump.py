"""All that a client of the Consul-compatible API can see of a node's state, to compare by."""

import json

ENTRIES = [
    "proxy-defaults", "service-defaults", "service-router", "service-splitter", "service-resolver",
    "service-intentions", "ingress-gateway", "terminating-gateway",
]  # fmt: skip
LISTS = [
    "/v1/catalog/nodes", "/v1/catalog/services", "/v1/catalog/node/far", "/v1/agent/services",
    "/v1/agent/checks", "/v1/health/state/any", "/v1/connect/intentions", "/v1/kv/?recurse",
    "/v1/session/list", "/v1/query", "/v1/acl/tokens", "/v1/acl/policies", "/v1/event/list",
    "/v1/coordinate/nodes", "/v1/connect/ca/configuration", "/v1/connect/ca/roots",
    *(f"/v1/config/{kind}" for kind in ENTRIES),
]  # fmt: skip
# What a check says of itself may come at any time.
PASSING = {"Output", "Age", "ModifyIndex"}


def dump(api):
    """{path: (index, document)} of everything; `api(method, target)` gives (status, text, …)."""
    found = {}
    for path in LISTS:
        status, text, headers = api("GET", path)
        document = json.loads(text) if status == 200 else text
        is_told = "check" in path or "health" in path
        found[path] = (
            status,
            None if is_told else headers["X-Consul-Index"],
            without(document, PASSING) if is_told else document,
        )
    return found


def without(document, names):
    if isinstance(document, dict):
        return {k: without(v, names) for k, v in document.items() if k not in names}
    if isinstance(document, list):
        return [without(v, names) for v in document]
    return document
