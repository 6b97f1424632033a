"""Proves that a worker runs on the engine it is told, or on the one that the kernel allows.

A profile that forbids io_uring, as containers have it, makes `auto` take epoll and say why; who
asks for io_uring by name is told that it is not to be had. Status, metrics and log name the engine.
"""

import errno
import subprocess

import pytest
import without_io_uring
from ringmesh import binary, dataplane_command, listener, service
from wire import get, wait_for


def serve(nodes, ports, recorders, under=(), **dataplane):
    web, port = recorders(), ports.take()
    node = nodes(
        services=[service("web", web.port)],
        listeners=[listener("public", port, "web"), listener("raw", ports.take(), "web", "l4")],
        dataplane=dataplane,
    ).start(under=under)
    assert get(port).status == 200
    return node


def messages(node):
    return [line.get("message", line.get("msg", "")) for line in node.log_lines()]


@pytest.mark.parametrize("name", ["io_uring", "epoll"])
def test_the_engine_that_is_named(nodes, ports, recorders, name):
    node = serve(nodes, ports, recorders, engine=name)
    report = node.status()["dataplane"]
    assert report["engine"] == name
    assert report["kernel_tls"] in (True, False)
    assert f'ringmesh_dataplane_info{{engine="{name}"' in node.metrics()
    assert f"engine {name}" in node.meshctl("status").stdout
    wait_for(lambda: any(f"engine {name}, " in text for text in messages(node)), what="its line")
    assert not any("not on io_uring" in text for text in messages(node))


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (errno.EPERM, "seccomp profile"),
        (errno.ENOSYS, "no io_uring"),
        (errno.EINVAL, "too old"),
    ],
)
def test_auto_takes_epoll_where_io_uring_is_forbidden(nodes, ports, recorders, error, why):
    node = serve(nodes, ports, recorders, under=without_io_uring.command(error, []))
    assert node.status()["dataplane"]["engine"] == "epoll"
    told = wait_for(
        lambda: [text for text in messages(node) if "on epoll, not on io_uring" in text],
        what="the reason in the log",
    )
    assert len(told) == 1 and why in told[0]
    victim = node.worker_pids()[0]
    node.kill_worker(victim)
    wait_for(lambda: victim not in node.worker_pids() and all(node.worker_pids()), 5, "a worker")
    assert node.status()["dataplane"]["engine"] == "epoll"


def test_io_uring_by_name_where_it_is_forbidden(tmp_path):
    command = [*dataplane_command(tmp_path / "c.sock", 1), "--engine", "io_uring"]
    done = subprocess.run(
        without_io_uring.command(errno.EPERM, [str(part) for part in command]),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 69
    assert "io_uring cannot be used: Operation not permitted" in done.stderr
    assert "sysctl kernel.io_uring_disabled" in done.stderr


def test_an_engine_that_does_not_exist(tmp_path):
    done = subprocess.run(
        [binary("dataplane"), "--control-socket", tmp_path / "c.sock", "--engine", "kqueue"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 64
    assert "--engine: expected auto, io_uring or epoll, got 'kqueue'" in done.stderr


def test_a_running_data_plane_keeps_its_engine(nodes, ports, recorders):
    """A control plane with another engine in its configuration finds it, and says so."""
    node = serve(nodes, ports, recorders, engine="io_uring")
    node.control.kill()
    node.config["dataplane"]["engine"] = "epoll"
    node.write_config()
    node.start()
    status = node.status()
    assert status["dataplane"]["engine"] == "io_uring"
    problem = [p["message"] for p in status["problems"] if "as configured" in p["message"]]
    assert problem and "runs on io_uring, not on epoll" in problem[0]
