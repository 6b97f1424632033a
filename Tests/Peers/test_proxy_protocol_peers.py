"""PROXY protocol between programs of other people: client → haproxy → ringmesh → nginx.

nginx answers with the address and port that the header in front of its connection names; they must
be those of the client itself, two proxies away.
"""

import socket
import ssl
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import certificates
import peers
import pytest
from proxyprotocol.v2 import ProxyProtocolV2
from ringmesh import defaults, listener, service
from wire import Client

NETWORKS = ["127.0.0.0/8"]
CLOSED = (35, 52, 55, 56)  # what curl exits with when it is closed: in TLS, empty, sending, reading


class Chain:
    """Ports of the ways in: `front` through haproxy, `own` straight to a listener, by its name."""

    def __init__(self, ports):
        self.front = {name: ports.take() for name in ("http", "tls", "tcp")}
        self.own = {name: ports.take() for name in ("http", "tls", "tcp")}


@pytest.fixture(params=["v1", "v2"])
def chain(request, nodes, ports, tmp_path):
    lacking = peers.missing("haproxy", "nginx", "curl")
    if lacking:
        pytest.skip(f"{lacking} is not installed")
    chain, behind = Chain(ports), ports.take()
    (tmp_path / "nginx").mkdir()
    children = [
        peers.nginx(
            tmp_path / "nginx",
            f"server {{ listen 127.0.0.1:{behind} proxy_protocol; location / {{ return 200 "
            '"$proxy_protocol_addr $proxy_protocol_port $http_x_forwarded_for"; } }',
            port=behind,
        )
    ]
    authority = certificates.authority(tmp_path)
    cert, key = certificates.leaf(tmp_path, "edge", authority, "DNS:edge.test")
    sent = {"in": request.param, "from": NETWORKS}
    nodes(
        services=[service("web", behind)],
        config_entries=[{**defaults("web"), "proxy_protocol": request.param}],
        listeners=[
            listener("http", chain.own["http"], "web", proxy_protocol=sent),
            listener(
                "tls",
                chain.own["tls"],
                "web",
                proxy_protocol=sent,
                tls={"cert": str(cert), "key": str(key)},
            ),
            listener("tcp", chain.own["tcp"], "web", kind="l4", proxy_protocol=sent),
        ],
    ).start()
    option = {"v1": "send-proxy", "v2": "send-proxy-v2 proxy-v2-options crc32c"}[request.param]
    text = "".join(
        f"frontend {name}\n  mode tcp\n  bind 127.0.0.1:{port}\n  default_backend to-{name}\n"
        f"backend to-{name}\n  mode tcp\n  server s 127.0.0.1:{chain.own[name]} {option}\n"
        for name, port in chain.front.items()
    )
    children.append(peers.haproxy(tmp_path, text, chain.front["http"]))
    yield chain
    for child in children:
        child.terminate(1)


def curl(*arguments):
    """(what the answers say, local ports of the connections they came over)."""
    done = subprocess.run(
        ["curl", "-sS", "-k", "--max-time", "10", "-w", " %{local_port}\n", *arguments],
        capture_output=True,
        check=False,
        text=True,
    )
    return [line.split() for line in done.stdout.splitlines()], done


def check(answers, forwarded):
    assert answers
    for answer in answers:
        address, port, *rest = answer
        assert address == "127.0.0.1" and port == rest[-1], answer
        assert rest[:-1] == (["127.0.0.1"] if forwarded else []), answer


def test_the_client_is_named_through_both(chain):
    """Two requests over a kept connection each, by HTTP, TLS and plain TCP."""
    for name, scheme in (("http", "http"), ("tls", "https"), ("tcp", "http")):
        url = f"{scheme}://127.0.0.1:{chain.front[name]}/"
        answers, done = curl(url, url)
        assert len(answers) == 2, done.stderr
        check(answers, forwarded=name != "tcp")


def test_clients_are_not_mixed(chain):
    """Eight clients at once, three requests each: each is named on connections of its own."""
    url = f"http://127.0.0.1:{chain.front['http']}/"
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda _: curl(url, url, url)[0], range(8)))
    assert [len(answers) for answers in done] == [3] * 8
    for answers in done:
        check(answers, forwarded=True)
    assert len({answers[0][1] for answers in done}) == 8, "they were one client"


def test_a_client_without_a_header_is_closed(chain):
    for name, scheme in (("http", "http"), ("tls", "https"), ("tcp", "http")):
        answers, done = curl(f"{scheme}://127.0.0.1:{chain.own[name]}/")
        assert done.returncode in CLOSED, (name, answers, done.stderr)


def test_curl_sends_the_header_itself(chain, request):
    """curl speaks version 1; a listener of version 2 closes it."""
    answers, done = curl("--haproxy-protocol", f"http://127.0.0.1:{chain.own['http']}/")
    if "v1" in request.node.name:
        check(answers, forwarded=True)
    else:
        assert done.returncode in CLOSED, (answers, done.stderr)


# --- what version 2 tells of TLS, read by others ---


def crc32c(data):
    """RFC 3720 B.4, a bit at a time."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


class Reader:
    """A server that reads the header of each connection with the library `proxy-protocol`."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.headers, self.sums = [], []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                sock, _ = self.socket.accept()
            except OSError:
                return
            with sock:
                sock.settimeout(30)
                data = b""
                while b"\r\n\r\n" not in data[16:]:  # the signature has one, too
                    data += sock.recv(65536)
                length = 16 + int.from_bytes(data[14:16])
                self.headers.append(ProxyProtocolV2().unpack(data[:length]))
                self.check_sum(data[:length])
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def check_sum(self, data):
        """The sum is last, and counts itself as zero."""
        assert data[-7:-4] == b"\x03\x00\x04"
        self.sums.append(crc32c(data[:-4] + bytes(4)) == int.from_bytes(data[-4:]))

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


@pytest.fixture
def told(nodes, ports, tmp_path):
    """Starts a listener that asks for client certificates, before a reader of version 2; asks it as
    (certificate or None, versions of TLS) and gives what the reader was told of each connection.
    """
    reader, port = Reader(), ports.take()
    authority = certificates.authority(tmp_path)
    cert, key = certificates.leaf(tmp_path, "edge", authority, "DNS:edge.test")
    client = certificates.leaf(tmp_path, "somebody", authority, "DNS:somebody.test")
    nodes(
        services=[service("web", reader.port)],
        config_entries=[{**defaults("web"), "proxy_protocol": "v2"}],
        listeners=[
            listener(
                "tls",
                port,
                "web",
                tls={
                    "cert": str(cert),
                    "key": str(key),
                    "client_ca": str(authority[0]),
                    "client_verify": "request",
                    "min_version": "1.2",
                },
            )
        ],
    ).start()

    def ask(with_certificate, version):
        context = ssl.create_default_context(cafile=str(authority[0]))
        context.maximum_version = context.minimum_version = version
        context.set_alpn_protocols(["http/1.1"])
        if with_certificate:
            context.load_cert_chain(*client)
        plain = socket.create_connection(("127.0.0.1", port), timeout=30)
        with context.wrap_socket(plain, server_hostname="edge.test") as sock:
            assert Client(port, sock=sock).get("/", "edge.test").status == 200
            assert reader.sums[-1], "the CRC32c is another"
            return sock.getsockname(), reader.headers[-1]

    yield ask
    reader.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_with_a_certificate_is_told(told, version):
    """Address, server name, ALPN, version, and whose good certificate was shown."""
    own, header = told(True, version)
    assert header.source[0].exploded == own[0] and header.source[1] == own[1]
    tlv = header.tlv
    assert (tlv.authority, tlv.alpn) == ("edge.test", b"http/1.1")
    assert tlv.ssl.has_ssl and tlv.ssl.has_cert_conn and tlv.ssl.has_cert_sess
    assert (
        tlv.ssl.verify == 0
        and tlv.ssl.version
        == {
            ssl.TLSVersion.TLSv1_2: "TLSv1.2",
            ssl.TLSVersion.TLSv1_3: "TLSv1.3",
        }[version]
    )
    assert tlv.ssl.cn == "somebody"


def test_a_client_without_a_certificate_is_told(told):
    _, header = told(False, ssl.TLSVersion.TLSv1_3)
    assert header.tlv.ssl.has_ssl and not header.tlv.ssl.has_cert_conn
    assert not header.tlv.ssl.has_cert_sess and header.tlv.ssl.verify != 0
    assert header.tlv.ssl.cn is None
