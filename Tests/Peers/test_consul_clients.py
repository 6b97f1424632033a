"""Public Python clients of Consul drive the Consul-compatible API of a node. Both packages are
called `consul`, so each runs in a process of its own with its package on the path.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CALLS = Path(__file__).with_name("consul_calls.py")
CLIENTS = ["py-consul==1.8.0", "python-consul2==0.1.5"]


@pytest.fixture(name="package", params=CLIENTS)
def fixture_package(request, tmp_path):
    """A folder with the client's own package; what it needs is in the tools' environment."""
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    done = subprocess.run(
        [*install, "--target", str(tmp_path), request.param],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    if done.returncode != 0:
        pytest.skip(f"{request.param} cannot be installed: {done.stderr.strip()[-200:]}")
    return tmp_path


def test_a_client_finds_its_consul(nodes, ports, package):
    """Registrations, reports, blocking reads, catalog and roots, as the client calls them."""
    port = ports.take()
    node = nodes(api={"bind_addr": f"127.0.0.1:{port}"})
    node.start()
    done = subprocess.run(
        [sys.executable, str(CALLS), "127.0.0.1", str(port)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(package)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    called = "agent checks blocking catalog health policy pairs locks several told"
    assert done.stdout.split() == called.split()
