"""Proves every command of `meshctl`: tables for people, JSON for programs, honest exit codes."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from ringmesh import binary, defaults
from sidecars import Agent
from wire import get, wait_for

READS = [
    ["status"],
    ["services"],
    ["instances"],
    ["instances", "web"],
    ["intention", "list"],
    ["routes"],
    ["stats"],
    ["cert", "list"],
    ["cert", "roots"],
]


def run(*arguments, env=None):
    return subprocess.run(
        [binary("meshctl"), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=env,
        check=False,
    )


def test_reading_commands(mesh):
    """Each prints a table with a heading, and the same as JSON."""
    pair = mesh()
    for arguments in READS:
        table = pair.node.meshctl(*arguments).stdout
        assert table.strip(), f"{arguments} prints nothing"
        assert not table.lstrip().startswith(("{", "[")), f"{arguments} prints JSON to people"
        json.loads(pair.node.meshctl(*arguments, "--json").stdout)


TREE = """\
web in dc1, protocol http
router web.default
├─ path begins with /admin, header x-debug is there: path becomes /, timeout 7s, retries 3
│  └─ resolver admin.default.dc1 (default), connect timeout 5s
│     └─ target admin.default.dc1
└─ any request
   └─ splitter web.default
      ├─ 90 % resolver v1.web.default.dc1, connect timeout 3s, balanced by least_request
      │  ├─ target v1.web.default.dc1, where Service.Meta.version == 1
      │  └─ failover v2.web.default.dc1, where Service.Meta.version == 2
      └─ 10 % resolver v2.web.default.dc1, connect timeout 3s, balanced by least_request
         └─ target v2.web.default.dc1, where Service.Meta.version == 2
"""


def chain_entries():
    """The example of the handbook."""
    match = {"path_prefix": "/admin", "header": [{"name": "x-debug", "present": True}]}
    to = {
        "service": "admin", "prefix_rewrite": "/", "request_timeout": "7s", "num_retries": 3
    }  # fmt: skip
    splits = [{"weight": 90, "service_subset": "v1"}, {"weight": 10, "service_subset": "v2"}]
    subsets = {f"v{n}": {"filter": f"Service.Meta.version == {n}"} for n in (1, 2)}
    route = {"match": {"http": match}, "destination": to}
    return [
        defaults("web"),
        defaults("admin"),
        {"kind": "service-router", "name": "web", "routes": [route]},
        {"kind": "service-splitter", "name": "web", "splits": splits},
        {
            "kind": "service-resolver",
            "name": "web",
            "connect_timeout": "3s",
            "subsets": subsets,
            "failover": {"v1": {"service_subset": "v2"}},
            "load_balancer": {"policy": "least_request"},
        },
    ]


def test_chains(nodes, ports):
    """The example of the handbook as a tree; as JSON the very document of Consul's API."""
    port = ports.take()
    node = nodes(
        workers=1, api={"bind_addr": f"127.0.0.1:{port}"}, config_entries=chain_entries()
    ).start()
    assert node.meshctl("chain", "web").stdout == TREE
    handbook = Path(__file__).resolve().parents[2] / "Sources/Handbook.docc/Meshctl.md"
    assert TREE in handbook.read_text(encoding="utf-8")
    for path, options in (("web", []), ("web?compile-dc=dc2", ["--dc", "dc2"]), ("new", [])):
        told = Agent(port).get(f"/v1/discovery-chain/{path}")
        assert node.json("chain", path.split("?")[0], *options) == told
    wrong = node.meshctl("chain", "no/name", check=False)
    assert wrong.returncode == 1 and "no/name" in wrong.stderr


def test_status_schema(mesh):
    pair = mesh()
    status = pair.node.status()
    assert isinstance(status["generation"], int) and status["generation"] > 0
    assert [w["id"] for w in status["workers"]] == [0, 1]
    for worker in status["workers"]:
        assert worker["generation"] == status["generation"]
        assert isinstance(worker["pid"], int) and worker["connections"] >= 0


def test_intentions(mesh):
    pair = mesh()
    node = pair.node
    check = node.meshctl("intention", "check", "api", "web")
    assert "allow" in check.stdout.lower()
    denied = node.meshctl("intention", "check", "batch", "web", check=False)
    assert "den" in denied.stdout.lower()
    assert denied.returncode != check.returncode, "a script cannot tell allow from deny"
    twice = node.meshctl("intention", "create", "--deny", "api", "web", check=False)
    assert twice.returncode != 0, "an existing intention was replaced without --replace"
    assert get(pair.local, "/", "web").status == 200
    node.meshctl("intention", "delete", "api", "web")
    assert get(pair.local, "/", "web").status == 403
    assert node.meshctl("intention", "delete", "api", "web", check=False).returncode != 0


def test_register_and_deregister(mesh, recorders, tmp_path):
    """A service registered from a file is routed to when the command returns, and gone after."""
    pair = mesh()
    other = recorders(lambda request, client: b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew")
    definition = {
        "service": {"name": "web", "id": "web-2", "address": "127.0.0.1", "port": other.port}
    }
    for name, text in {
        "web.json": json.dumps(definition),
        "web.yaml": "service:\n  Name: web\n  ID: web-2\n  Address: 127.0.0.1\n"
        f"  Port: {other.port}\n",
    }.items():
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        pair.node.meshctl("service", "register", path)
        bodies = {get(pair.local, "/", "web").body for _ in range(24)}
        assert bodies == {b"ok", b"new"}, (name, bodies)
        pair.node.meshctl("service", "deregister", path)
        bodies = {get(pair.local, "/", "web").body for _ in range(12)}
        assert bodies == {b"ok"}, (name, bodies)


def test_what_the_file_owns_is_not_changed(mesh, tmp_path):
    """An API write to a service of the configuration is refused with the name of the file."""
    pair = mesh()
    path = tmp_path / "web.json"
    path.write_text(json.dumps({"service": {"name": "web", "port": 1}}), encoding="utf-8")
    done = pair.node.meshctl("service", "register", path, check=False)
    assert done.returncode != 0
    assert "node.yaml" in done.stderr + done.stdout, done.stderr


def test_explain(mesh):
    """The decision with its rule, as the workers take it."""
    pair = mesh()
    url = f"http://127.0.0.1:{pair.local}/x"
    told = pair.node.meshctl("explain", "GET", url, "--from", "api").stdout
    assert "web" in told and "allow" in told.lower(), told
    told = pair.node.json("explain", "GET", url, "--from", "batch", "--header", "X-A: 1")
    assert "deny" in json.dumps(told).lower(), told


def test_stats_count(mesh):
    pair = mesh()
    before = json.dumps(pair.node.json("stats"))
    for _ in range(10):
        assert get(pair.local, "/", "web").status == 200
    assert json.dumps(pair.node.json("stats")) != before


def test_certificates(mesh):
    """One leaf per service with a sidecar, its SPIFFE id, valid for three days at most."""
    pair = mesh()
    text = pair.node.meshctl("cert", "list", "--json").stdout
    for name in ("api", "web", "batch"):
        assert f"/svc/{name}" in text
    assert "BEGIN CERTIFICATE" in pair.node.meshctl("cert", "roots", "--json").stdout
    assert "PRIVATE" not in text


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions(shell):
    done = run("--generate-completion-script", shell)
    assert done.returncode == 0
    for word in ("intention", "explain", "status"):
        assert word in done.stdout


@pytest.mark.parametrize("arguments", [["nonsense"], ["intention", "create", "a"], ["--nope"]])
def test_bad_usage(arguments):
    assert run(*arguments).returncode == 64


def test_nobody_there(tmp_path):
    """No node to talk to: a message that names the address, and an exit code of its own."""
    where = f"unix://{tmp_path}/none.sock"
    done = run("status", env={**os.environ, "RINGMESH_ADDR": where})
    assert done.returncode not in (0, 64)
    assert "none.sock" in done.stderr
    done = run("status", "--addr", "http://127.0.0.1:1")
    assert done.returncode not in (0, 64)
    assert "127.0.0.1:1" in done.stderr


def test_over_http(mesh):
    """Reads work over TCP; a write without a token is refused."""
    pair = mesh()
    addr = f"http://127.0.0.1:{pair.node.admin_port}"
    assert run("status", "--addr", addr).returncode == 0
    done = run("intention", "create", "--deny", "--replace", "api", "web", "--addr", addr)
    assert done.returncode not in (0, 64), done.stdout
    assert get(pair.local, "/", "web").status == 200


def test_worker_that_does_not_answer(mesh):
    """A stopped worker has no veto: exit code 4 names it, the others have the change."""
    pair = mesh()
    victim = pair.node.workers()[0]
    pair.node.signals_sent.add(int(signal.SIGKILL))  # the supervisor may replace it
    os.kill(victim["pid"], signal.SIGSTOP)
    try:
        done = pair.node.meshctl("intention", "create", "--allow", "batch", "web", check=False)
        assert done.returncode == 4, done.stderr
        assert str(victim["id"]) in done.stderr + done.stdout
    finally:
        os.kill(victim["pid"], signal.SIGCONT)
    generation = pair.node.status()["generation"]
    wait_for(
        lambda: {w["generation"] for w in pair.node.workers()} == {generation},
        10,
        "the worker catches up or is replaced",
    )
