"""Proves that our framing is everybody's framing: client → ringmesh → nginx or haproxy → recorder.

The second proxy must see exactly the requests that the client sent, whatever framing they had: one
request more or less would be smuggling.
"""

import peers
import pytest
from ringmesh import listener, service
from wire import Client, read_response

REQUESTS = [
    b"GET /a HTTP/1.1\r\nHost: ex.test\r\n\r\n",
    b"POST /b HTTP/1.1\r\nHost: ex.test\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /c HTTP/1.1\r\nHost: ex.test\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;x=y\r\nhello\r\n0\r\n\r\n",
    b"POST /d HTTP/1.1\r\nHost: ex.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-T: 1\r\n\r\n",
    b"PUT /e HTTP/1.1\r\nHost: ex.test\r\nContent-Length: 41\r\n\r\n"
    b"GET /SMUGGLED HTTP/1.1\r\nHost: ex.test\r\n\r\n",
    b"DELETE /f HTTP/1.1\r\nHost: ex.test\r\nContent-Length: 0\r\n\r\n",
    b"GET /g HTTP/1.1\r\nHost: ex.test\r\nContent-Length: 3\r\n\r\nabc",
    b"OPTIONS /h HTTP/1.1\r\nHost: ex.test\r\n\r\n",
]


@pytest.fixture(params=["haproxy", "nginx"])
def hop(request, ports, recorders, tmp_path):
    """(port of the second proxy, recorder behind it)."""
    lacking = peers.missing(request.param)
    if lacking:
        pytest.skip(f"{lacking} is not installed")
    recorder, port = recorders(), ports.take()
    if request.param == "haproxy":
        text = f"listen second\n  bind 127.0.0.1:{port}\n  server s 127.0.0.1:{recorder.port}\n"
        child = peers.haproxy(tmp_path, text, port)
    else:
        http = (
            f"upstream u {{ server 127.0.0.1:{recorder.port}; keepalive 8; }}\n"
            f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://u;\n"
            'proxy_http_version 1.1; proxy_set_header Connection ""; } }'
        )
        child = peers.nginx(tmp_path, http, port=port)
    yield port, recorder
    child.terminate()


def test_same_number_of_requests(nodes, ports, hop):
    second, recorder = hop
    port = ports.take()
    nodes(services=[service("web", second)], listeners=[listener("public", port, "web")]).start()
    rounds = 5
    with Client(port, timeout=10) as client:
        for _ in range(rounds):
            for request in REQUESTS:
                client.send(request)
                assert read_response(client.stream).status == 200, request
        client.send(b"".join(REQUESTS))
        for request in REQUESTS:
            assert read_response(client.stream).status == 200, request
    seen = [r.target for r in recorder.complete()]
    assert seen == [r.split()[1].decode() for r in REQUESTS] * (rounds + 1)
    bodies = [r.body for r in recorder.complete()[: len(REQUESTS)]]
    assert bodies[:5] == [b"", b"hello", b"hello", b"", REQUESTS[4].partition(b"\r\n\r\n")[2]]
