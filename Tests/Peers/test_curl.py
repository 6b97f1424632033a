"""Proves the main job with the client that everybody has: curl, through both sidecars."""

import subprocess

import peers
import pytest


@pytest.fixture(autouse=True)
def curl():
    lacking = peers.missing("curl")
    if lacking:
        pytest.skip(f"{lacking} is not installed")


def run(*arguments):
    return subprocess.run(
        ["curl", "-sS", "--max-time", "60", *arguments], capture_output=True, check=False
    )


def test_allowed_and_denied(mesh):
    pair = mesh()
    done = run("-w", "%{http_code}", f"http://127.0.0.1:{pair.local}/hello")
    assert done.stdout == b"ok200", done.stderr
    done = run("-o", "/dev/null", "-w", "%{http_code}", f"http://127.0.0.1:{pair.batch_local}/")
    assert done.stdout == b"403", done.stderr


def test_upload_and_download(mesh, tmp_path):
    """16 MiB up with Expect: 100-continue, and the same down; then chunked from a pipe."""
    pair = mesh(
        answer=lambda request, client: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
        % (len(request.body), request.body)
    )
    data = bytes(range(256)) * 65536
    source, back = tmp_path / "source", tmp_path / "back"
    source.write_bytes(data)
    url = f"http://127.0.0.1:{pair.local}/"
    done = run("-H", "Expect: 100-continue", "--data-binary", f"@{source}", "-o", str(back), url)
    assert done.returncode == 0, done.stderr
    assert back.read_bytes() == data
    done = run("-H", "Transfer-Encoding: chunked", "-T", str(source), "-o", str(back), url)
    assert done.returncode == 0, done.stderr
    assert back.read_bytes() == data


def test_keep_alive_and_head(mesh):
    pair = mesh()
    url = f"http://127.0.0.1:{pair.local}/"
    done = run("-w", "%{num_connects} ", *[url] * 10)
    connects = [int(n) for n in done.stdout.replace(b"ok", b"").split()]
    assert sum(connects) == 1, connects
    done = run("-I", url)
    assert b"200 OK" in done.stdout and b"ontent-" in done.stdout
