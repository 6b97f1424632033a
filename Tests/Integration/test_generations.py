"""Proves going back: every publication is listed with its cause and outcome, two of them compare
object by object, an old one is published again and pinned, changes wait until resumed, also over a
restart of the control plane, and certificates are renewed meanwhile.
"""

import contextlib
import json
import os
import sqlite3
import ssl

import pytest
from certificates import authority, leaf
from ringmesh import listener, service
from wire import Closed, get, wait_for


@pytest.fixture
def node(nodes, ports, recorders):
    def answering(name):
        body = name.encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        return recorders(lambda request, client: head + body)

    old, new, port = answering("old"), answering("new"), ports.take()
    made = nodes(
        services=[service("web", old.port, id="web-1")],
        listeners=[listener("public", port, "web")],
    ).start()
    made.port, made.old, made.new = port, old, new
    return made


def register(node, name, port, **more):
    path = node.directory / f"{name}.json"
    path.write_text(json.dumps({"service": {**service(name, port), **more}}), encoding="utf-8")
    return node.meshctl("service", "register", path).stdout


def listed(node):
    return node.json("generations")["generations"]


def seen(node, times=12):
    return {get(node.port).body.decode() for _ in range(times)}


def test_list_show_diff(node):
    before = listed(node)[-1]["generation"]
    register(node, "web", node.new.port, id="web-2")
    node.allow("web", "db")
    entries = listed(node)
    assert [e["outcome"] for e in entries] == ["live"] * len(entries)
    assert "service web registered over the API" in entries[-2]["causes"]
    assert "intention web to db: allow" in entries[-1]["causes"]
    assert entries[-1]["generation"] == node.status()["generation"]
    text = node.meshctl("generations", "list").stdout
    assert f"*{entries[-1]['generation']}" in text and "intention web to db: allow" in text
    shown = node.meshctl("generations", "show", before).stdout
    assert f"generation  {before}" in shown and "listener 1" in shown
    diff = node.json("generations", "diff", before)
    changed = {(line["kind"], line["change"]) for line in diff["lines"]}
    assert changed == {("endpoint", "added"), ("policy", "added")}, diff
    (endpoint,) = [line for line in diff["lines"] if line["kind"] == "endpoint"]
    assert f"127.0.0.1:{node.new.port}" in endpoint["name"]
    assert node.meshctl("generations", "diff").stdout.startswith("from generation")
    assert node.json("generations", "diff", before, before)["lines"] == []
    assert node.meshctl("generations", "show", "999999", check=False).returncode == 1
    assert node.meshctl("generations", "diff", "999999", check=False).returncode == 1


def test_rollback_pins_and_resume_ends_it(node):
    good = node.status()["generation"]
    register(node, "web", node.new.port, id="web-2")
    wait_for(lambda: seen(node) == {"old", "new"}, what="both instances")
    done = node.meshctl("generations", "rollback", good).stdout
    assert "is live in every worker" in done
    assert seen(node) == {"old"}
    assert node.status()["generation"] > good
    waiting = register(node, "later", node.new.port)
    assert f"generation {good} is pinned" in waiting
    assert "later" not in {target["service"] for target in node.json("routes")["targets"]}
    status = node.status()
    assert status["pin"]["generation"] == good
    assert status["pin"]["waiting"] == ["service later registered over the API"]
    assert f"pinned to {good}, 1 change waits" in node.meshctl("status").stdout
    assert seen(node) == {"old"}
    assert "is live in every worker" in node.meshctl("generations", "resume").stdout
    wait_for(lambda: seen(node) == {"old", "new"}, what="both instances again")
    assert "pin" not in node.status()
    assert node.meshctl("generations", "resume", check=False).returncode == 1
    assert node.meshctl("generations", "rollback", "999999", check=False).returncode == 1
    assert "pin" not in node.status(), "a rollback to nothing pins nothing"


def test_what_a_later_generation_no_longer_had_comes_back(nodes, ports, recorders):
    """A listener that was removed is opened again by a rollback."""
    web, first, second = recorders(), ports.take(), ports.take()
    node = nodes(
        services=[service("web", web.port)],
        listeners=[listener("one", first, "web"), listener("two", second, "web")],
    ).start()
    both = node.status()["generation"]
    node.config["listeners"] = [listener("one", first, "web")]
    node.write_config()
    node.control.process.send_signal(1)
    wait_for(lambda: node.status()["generation"] > both, what="the configuration was read")
    wait_for(lambda: not answers(second), what="the listener is closed")
    diff = node.json("generations", "diff")
    assert ("listener", "removed", "two") in {
        (line["kind"], line["change"], line["name"]) for line in diff["lines"]
    }
    node.meshctl("generations", "rollback", both)
    assert get(second).status == 200
    node.meshctl("generations", "resume")
    wait_for(lambda: not answers(second), what="the listener goes again")
    assert get(first).status == 200


def answers(port):
    try:
        return get(port).status == 200
    except (Closed, OSError):
        return False


def test_a_pin_outlives_the_control_plane(node):
    """Killed and started again: the workers stay on the pinned routes, and changes wait."""
    good = node.status()["generation"]
    register(node, "web", node.new.port, id="web-2")
    node.meshctl("generations", "rollback", good)
    node.control.kill()
    assert seen(node) == {"old"}
    node.start()
    assert node.status()["pin"]["generation"] == good
    assert f"generation {good} is pinned" in register(node, "later", node.new.port)
    assert seen(node) == {"old"}
    assert "web" in {target["service"] for target in node.json("routes")["targets"]}
    node.meshctl("dataplane", "upgrade")
    assert seen(node) == {"old"}
    node.meshctl("generations", "resume")
    wait_for(lambda: seen(node) == {"old", "new"}, what="both instances again")


def test_a_pin_outlives_both_programs(node):
    """The data plane ended with the control plane: the next one gets what was pinned."""
    good = node.status()["generation"]
    register(node, "web", node.new.port, id="web-2")
    node.meshctl("generations", "rollback", good)
    assert node.stop() == 0
    node.start()
    assert node.status()["pin"]["generation"] == good
    assert seen(node) == {"old"}
    node.meshctl("generations", "resume")
    wait_for(lambda: seen(node) == {"old", "new"}, what="both instances again")


def stored(node):
    """The generations that a restart finds."""
    where = f"file:{node.config['store']['path']}?mode=ro"
    with contextlib.closing(sqlite3.connect(where, uri=True)) as store:
        names = store.execute("SELECT name FROM secrets WHERE name LIKE 'node/generations/%'")
        return {int(name.rpartition("/")[2]) for (name,) in names}


@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_earlier_generations_outlive_a_restart(node, end):
    """Listed as before, compared, and gone back to: the data plane may be another one, too."""
    good = node.status()["generation"]
    register(node, "web", node.new.port, id="web-2")
    node.allow("web", "db")
    last = node.status()["generation"]
    before, told = listed(node), node.json("generations", "diff", good, last)
    if end == "stopped":
        assert node.stop() == 0
    else:
        wait_for(lambda: last in stored(node), what="what was published is stored")
        node.control.kill()
    node.start()
    assert listed(node)[: len(before)] == before
    assert node.json("generations", "diff", good, last) == told
    assert "listener 1" in node.meshctl("generations", "show", good).stdout
    assert seen(node) == {"old", "new"}
    assert "is live in every worker" in node.meshctl("generations", "rollback", good).stdout
    assert seen(node) == {"old"}
    assert node.status()["pin"]["generation"] == good
    node.meshctl("generations", "resume")
    wait_for(lambda: seen(node) == {"old", "new"}, what="both instances again")


def test_a_listener_of_before_a_restart_comes_back_with_its_certificate(
    nodes, ports, recorders, tmp_path
):
    """Neither the listener nor the files of its certificate are there any more: what the
    generation was published with is.
    """
    web, port = recorders(), ports.take()
    ca = authority(tmp_path, "ca")
    cert, key = leaf(tmp_path, "server", ca, "DNS:ex.test")
    node = nodes(
        services=[service("web", web.port)],
        listeners=[listener("tls", port, "web", tls={"cert": str(cert), "key": str(key)})],
    ).start()
    good = node.status()["generation"]
    served = ssl.get_server_certificate(("127.0.0.1", port))
    node.config["listeners"] = []
    node.write_config()
    node.control.process.send_signal(1)
    wait_for(lambda: node.status()["generation"] > good, what="the configuration was read")
    assert node.stop() == 0
    for file in (node.directory / "state").iterdir():
        assert key.read_bytes()[60:120] not in file.read_bytes(), "a key stands in the open"
    cert.unlink()
    key.unlink()
    node.start()
    node.meshctl("generations", "rollback", good)
    assert ssl.get_server_certificate(("127.0.0.1", port)) == served


@pytest.mark.parametrize("restart", [False, True])
def test_certificates_are_renewed_while_pinned(nodes, ports, recorders, tmp_path, restart):
    """A listener's certificate file is replaced under a pin, also one from before a restart."""
    web, port = recorders(), ports.take()
    ca = authority(tmp_path, "ca")
    cert, key = leaf(tmp_path, "server", ca, "DNS:ex.test")
    node = nodes(
        services=[service("web", web.port)],
        listeners=[listener("tls", port, "web", tls={"cert": str(cert), "key": str(key)})],
    ).start()
    good = node.status()["generation"]
    node.allow("a", "web")
    node.meshctl("generations", "rollback", good)
    if restart:
        node.control.kill()
        node.start()
    before = ssl.get_server_certificate(("127.0.0.1", port))
    (tmp_path / "fresh").mkdir()
    fresh = leaf(tmp_path / "fresh", "server", ca, "DNS:ex.test")
    for new, old in zip(fresh, (cert, key), strict=True):
        os.replace(new, old)
    wait_for(
        lambda: ssl.get_server_certificate(("127.0.0.1", port)) != before,
        10,
        "the renewed certificate",
    )
    assert node.status()["pin"] == {"generation": good, "waiting": []}
