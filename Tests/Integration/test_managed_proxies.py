"""Proves the life of managed proxies: registered, started, configured, found again and ended.

`connect: { proxy: {} }` without a command is a listener of the data plane; with one it is a process
with its own port, token and files, which is started again when it ends, adopted by the next control
plane, and stopped with its service.
"""

import contextlib
import json
import os
import signal
import sys
import time

import processes
import pytest
from ringmesh import binary, defaults, service
from wire import Client, get, wait_for

# A proxy that somebody wrote: it listens where it is told over the API, and writes what it got.
PROXY = r"""
import json, os, signal, socket, sys, time, urllib.request

names = ["CONNECT_PROXY_ID", "CONNECT_PROXY_TOKEN", "CONSUL_PROXY_ID", "CONSUL_PROXY_TOKEN",
         "CONSUL_HTTP_TOKEN", "CONSUL_HTTP_ADDR"]
seen = {name: os.environ.get(name) for name in names}
seen["session"] = os.getsid(0) == os.getpid()
base = "http://" + seen["CONSUL_HTTP_ADDR"]

def ask(path):
    request = urllib.request.Request(base + path)
    request.add_header("X-Consul-Token", seen["CONNECT_PROXY_TOKEN"])
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, None

status, wanted = ask("/v1/agent/connect/proxy/" + seen["CONNECT_PROXY_ID"])
seen["wanted"] = wanted
seen["leaf"] = ask("/v1/agent/connect/ca/leaf/web")[0]
seen["other"] = ask("/v1/agent/connect/ca/leaf/db")[0]
seen["roots"] = ask("/v1/agent/connect/ca/roots")[0]
seen["self"] = ask("/v1/agent/service/" + seen["CONNECT_PROXY_ID"])[0]
listener = socket.create_server(("127.0.0.1", wanted["Config"]["bind_port"]))
if "--stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open(sys.argv[1] + ".new", "w") as file:
    json.dump(seen, file)
os.rename(sys.argv[1] + ".new", sys.argv[1])
print("ready " + seen["CONNECT_PROXY_ID"], file=sys.stderr, flush=True)
while True:
    accepted, _ = listener.accept()
    accepted.close()
"""


class Managed:
    """A node whose service web has a managed proxy with a command."""

    def __init__(self, nodes, ports, *arguments, allow_root=True, command=None, **config):
        self.api, self.first = ports.take(), ports.block(4)
        self.node = nodes(
            api={"bind_addr": f"127.0.0.1:{self.api}"},
            connect={"proxy": {"allow_managed_root": allow_root}},
            ports={"proxy_min_port": self.first, "proxy_max_port": self.first + 3},
            **config,
        )
        self.report = self.node.directory / "proxy.json"
        program = self.node.directory / "proxy.py"
        program.write_text(PROXY, encoding="utf-8")
        self.command = command or [sys.executable, str(program), str(self.report), *arguments]
        self.node.config["services"] = [
            service("web", ports.dead(), connect={"proxy": {"command": self.command}}),
            service("db", ports.dead()),
        ]
        self.node.write_config()
        self.folder = self.node.directory / "state" / "proxy"

    def start(self):
        self.node.start()
        return self

    def ask(self, path, token=""):
        with Client(self.api, timeout=30.0) as client:
            headers = ["Connection: close", f"X-Consul-Token: {token}"]
            return client.get(path, "localhost", "GET", headers)

    def listed(self, proxy="web-proxy"):
        found = [p for p in self.node.json("proxy", "list") if p["id"] == proxy]
        return found[0] if found else None

    def pid(self):
        return ((self.listed() or {}).get("process") or {}).get("pid")

    def ready(self):
        """What the proxy says that it got."""
        wait_for(self.report.exists, 60, "the proxy")
        return json.loads(self.report.read_text(encoding="utf-8"))

    def end(self):
        """Ends what a test left running."""
        for file in self.folder.glob("pids/*.pid"):
            with contextlib.suppress(ProcessLookupError, ValueError):
                os.kill(int(file.read_text().split()[0]), signal.SIGKILL)


@pytest.fixture
def managed(nodes, ports):
    made = []

    def make(*arguments, **config):
        made.append(Managed(nodes, ports, *arguments, **config))
        return made[-1]

    yield make
    for one in made:
        one.end()


def test_the_built_in_proxy(nodes, ports, recorders):
    """Without a command the data plane is the proxy, on a port of the range for proxies."""
    web, local, api, first = recorders(), ports.take(), ports.take(), ports.block(4)
    upstreams = [{"destination_name": "web", "local_bind_port": local, "connect_timeout_ms": 5000}]
    node = nodes(
        api={"bind_addr": f"127.0.0.1:{api}"},
        ports={"proxy_min_port": first, "proxy_max_port": first + 3},
        services=[
            service("web", web.port, connect={"proxy": {}}),
            service("api", ports.dead(), connect={"proxy": {"config": {"upstreams": upstreams}}}),
        ],
        config_entries=[defaults("web")],
    ).start()
    assert node.status()["problems"] == []
    assert get(local, "/", "web").status == 403
    node.allow("api", "web")
    assert get(local, "/", "web").status == 200
    listed = {p["id"]: p for p in node.json("proxy", "list")}
    assert listed["web-proxy"]["kind"] == "managed" and listed["web-proxy"]["state"] == "serving"
    assert {p["address"] for p in listed.values()} == {
        f"127.0.0.1:{first}",
        f"127.0.0.1:{first + 1}",
    }
    found = json.loads(get(api, "/v1/catalog/connect/web").body)
    assert [e["ServiceID"] for e in found] == ["web-proxy"]
    assert found[0]["ServiceKind"] == "connect-proxy"


def test_a_command_is_started_with_what_it_needs(managed):
    made = managed().start()
    seen = made.ready()
    assert seen["CONNECT_PROXY_ID"] == seen["CONSUL_PROXY_ID"] == "web-proxy"
    token = seen["CONNECT_PROXY_TOKEN"]
    assert token == seen["CONSUL_PROXY_TOKEN"] == seen["CONSUL_HTTP_TOKEN"]
    assert seen["session"], "it leads a session of its own"
    wanted = seen["wanted"]
    assert wanted["ProxyServiceID"] == "web-proxy" and wanted["TargetServiceID"] == "web"
    assert wanted["ExecMode"] == "daemon" and wanted["Command"] == made.command
    assert wanted["Config"]["bind_port"] == made.first
    # Its token is good for its own service and for no other.
    assert (seen["leaf"], seen["roots"], seen["self"], seen["other"]) == (200, 200, 200, 403)
    # The catalog has it, and the check finds it.
    found = json.loads(made.ask("/v1/health/connect/web").body)
    assert [(e["Service"]["ID"], e["Service"]["Port"]) for e in found] == [
        ("web-proxy", made.first)
    ]
    names = {c["Name"] for c in found[0]["Checks"]}
    assert "Connect Proxy Listening" in names, names
    # Files are for their owner only.
    pid = made.pid()
    assert (made.folder / "pids" / "web-proxy.pid").read_text().split()[0] == str(pid)
    for path in [made.folder, *made.folder.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path
    said = f"ready {seen['CONNECT_PROXY_ID']}"
    wait_for(lambda: said in made.node.meshctl("proxy", "logs", "web-proxy").stdout, what=said)


def test_a_token_with_access_control(managed):
    """It reads its own service, what that calls, and nothing else, where tokens are needed."""
    made = managed(acl={"enabled": True, "default_policy": "deny"}).start()
    token = made.ready()["CONNECT_PROXY_TOKEN"]
    assert made.ask("/v1/agent/connect/ca/leaf/web", token).status == 200
    assert made.ask("/v1/agent/connect/ca/leaf/db", token).status == 403
    assert made.ask("/v1/agent/service/db", token).status == 403
    assert made.ask("/v1/agent/self", token).status == 403
    assert json.loads(made.ask("/v1/health/service/db", token).body) == []
    assert len(json.loads(made.ask("/v1/health/service/web", token).body)) == 1
    assert made.ask("/v1/agent/connect/ca/leaf/web", "no-such-token").status == 403
    with Client(made.api, timeout=30.0) as client:
        headers = ["Connection: close", f"X-Consul-Token: {token}"]
        body = json.dumps({"Name": "web", "Port": 1}).encode()
        answer = client.get("/v1/agent/service/register", "localhost", "PUT", headers, body)
        assert answer.status == 403, "it may be its service, but not change it"


def test_it_is_started_again(managed):
    made = managed().start()
    made.ready()
    token = made.ready()["CONNECT_PROXY_TOKEN"]
    pid = made.pid()
    made.report.unlink()
    os.kill(pid, signal.SIGKILL)
    again = made.ready()
    assert wait_for(lambda: made.pid() not in (None, pid) and made.pid(), 60, "another process")
    assert again["CONNECT_PROXY_TOKEN"] != token
    assert made.ask("/v1/agent/connect/proxy/web-proxy", again["CONNECT_PROXY_TOKEN"]).status == 200
    assert made.listed()["process"]["starts"] == 2


def test_back_off(managed):
    """A program that ends at once is started four times, and then waited with."""
    made = managed(command=["/bin/sh", "-c", "echo tried >&2; exit 3"]).start()
    log = made.folder / "logs" / "web-proxy-stderr.log"

    def tries():
        return log.read_text().count("tried") if log.exists() else 0

    wait_for(lambda: tries() >= 4, 60, "the first tries")
    process = wait_for(lambda: made.pid() is None and made.listed()["process"], 60, "a pause")
    assert "status 3" in process["end"], process
    # 2 s until the fifth, then 4 s: a loop without pauses would be at hundreds.
    time.sleep(1)
    assert tries() <= 6


def test_adopted_by_the_next_control_plane(managed):
    made = managed().start()
    token = made.ready()["CONNECT_PROXY_TOKEN"]
    pid = made.pid()
    made.node.control.kill()
    assert processes.exists(pid)
    made.node.start()
    wait_for(lambda: made.pid() == pid, 60, "the same process")
    assert made.listed()["process"]["adopted"]
    # The token that it has goes on.
    assert made.ask("/v1/agent/connect/proxy/web-proxy", token).status == 200
    assert made.ask("/v1/agent/connect/ca/leaf/db", token).status == 403
    # Also one that is not ours any more is watched.
    made.report.unlink()
    os.kill(pid, signal.SIGKILL)
    made.ready()
    assert wait_for(lambda: made.pid() not in (None, pid) and made.pid(), 60, "a new process")


def test_a_number_that_another_process_has(managed):
    """A number alone is no proof: without the same start nothing is adopted and nobody killed."""
    made = managed()
    made.folder.joinpath("pids").mkdir(parents=True)
    stranger = processes.Child("stranger", ["/bin/sleep", "600"], made.node.directory)
    try:
        lines = [str(stranger.pid), "start 1", "boot x", "what y", "token z", ""]
        (made.folder / "pids" / "web-proxy.pid").write_text("\n".join(lines))
        made.start()
        made.ready()
        assert made.pid() != stranger.pid
        assert stranger.alive()
    finally:
        stranger.terminate()


def test_it_ends_with_its_service(managed):
    made = managed().start()
    made.ready()
    pid = made.pid()
    made.node.config["services"] = []
    made.node.write_config()
    os.kill(made.node.control.pid, signal.SIGHUP)
    wait_for(lambda: not processes.exists(pid), 60, "its end")
    wait_for(lambda: made.listed() is None, 60, "nothing listed")
    assert not list(made.folder.glob("pids/*.pid"))


def test_it_ends_with_the_node_and_by_force(managed):
    """SIGTERM to the control plane; a proxy that does not care is killed."""
    made = managed("--stubborn").start()
    made.ready()
    pid = made.pid()
    made.node.stop(60)
    wait_for(lambda: not processes.exists(pid), what="the end of the proxy")
    assert not list(made.folder.glob("pids/*.pid"))


def test_another_command_replaces_it(managed):
    made = managed().start()
    made.ready()
    pid = made.pid()
    made.report.unlink()
    made.node.config["services"][0]["connect"]["proxy"]["command"] = [*made.command, "--more"]
    made.node.write_config()
    os.kill(made.node.control.pid, signal.SIGHUP)
    made.ready()
    wait_for(lambda: not processes.exists(pid), what="the end of the first")
    wait_for(lambda: made.pid() not in (None, pid), 60, "the other command")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is told that root starts nothing")
def test_root_starts_nothing_unless_told(managed):
    made = managed(allow_root=False).start()
    told = "running as root, will not start managed proxies"
    wait_for(lambda: any(told in p["message"] for p in made.node.status()["problems"]), what=told)
    assert made.pid() is None and not made.report.exists()
    assert made.listed()["state"] == "stopped"


def test_not_over_http(managed, ports):
    """Neither Consul's API nor ours takes one: who may register may not start programs."""
    made = managed().start()
    body = {"Name": "evil", "Port": 1, "Connect": {"Proxy": {"Command": ["/bin/true"]}}}
    with Client(made.api, timeout=30.0) as client:
        answer = client.get(
            "/v1/agent/service/register",
            "localhost",
            "PUT",
            ["Connection: close"],
            json.dumps(body).encode(),
        )
    assert answer.status == 400
    assert answer.body == b"Managed proxy registration via the API is disallowed."
    document = made.node.directory / "evil.yaml"
    document.write_text("service: { name: evil, port: 1, connect: { proxy: {} } }\n")
    done = made.node.meshctl("service", "register", str(document), check=False)
    assert done.returncode != 0 and "disallowed" in done.stderr
    assert made.ask("/v1/agent/service/evil").status == 404


def test_defaults_of_the_agent(nodes, ports, managed):
    """`proxy_defaults` names the command and options of proxies that do not."""
    made = managed()
    made.node.config["connect"]["proxy_defaults"] = {
        "exec_mode": "daemon",
        "command": made.command,
        "config": {"handshake_timeout_ms": 1234},
    }
    made.node.config["services"][0]["connect"] = {
        "proxy": {"config": {"bind_port": made.first + 2}}
    }
    made.node.write_config()
    made.start()
    config = made.ready()["wanted"]["Config"]
    assert config["handshake_timeout_ms"] == 1234 and config["bind_port"] == made.first + 2


def test_logs_are_followed(managed):
    made = managed(command=["/bin/sh", "-c", "echo one; sleep 1; echo two; sleep 600"]).start()
    wait_for(lambda: made.pid(), 60, "the proxy")
    found = made.node.json("proxy", "logs", "web-proxy", "--stdout")
    assert set(found) == {"text", "next"}
    env = {"RINGMESH_ADDR": f"unix://{made.node.admin_socket}"}
    command = [binary("meshctl"), "proxy", "logs", "web-proxy", "--stdout", "--follow"]
    child = processes.Child("follow", command, made.node.directory, env)
    try:
        wait_for(lambda: "one" in child.text() and "two" in child.text(), 60, "both lines")
    finally:
        child.terminate()
    done = made.node.meshctl("proxy", "logs", "nobody", check=False)
    assert done.returncode != 0 and "meshctl proxy list" in done.stderr
