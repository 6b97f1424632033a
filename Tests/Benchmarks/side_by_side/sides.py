"""The sides that are compared, each configured for one worker on one core.

Entries, which a row names: h1, l4, tls (no resumption), resume (session tickets), mesh (plain HTTP
into a pair of proxies with mutual TLS between them, both in the one worker, as in one node),
h2 (TLS with ALPN, to HTTP/1.1), grpc (HTTP/2 without TLS on both sides), text (answers of text are
compressed for who asks), routes (chosen by host and path; ours only).
"""

import contextlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import processes
import ringmesh
from certificates import authority, leaf
from processes import Child, wait_for_port

SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LONG = 3600  # seconds: no timeout may strike while idle connections are counted


class Plan:
    """What every side is told: where the backend is, its own ports, certificates, its core."""

    def __init__(self, directory, programs, ports, places, congestion):
        self.directory = Path(directory)
        self.programs = Path(programs)
        self.ports = ports
        self.places = places
        self.congestion = congestion
        self.backend = {kind: ports.take() for kind in ("h1", "l4", "grpc")}
        self.certificate = self.key = self.ca = None
        self.open_files = 0

    def make_certificates(self):
        ca = authority(self.directory)
        self.ca = ca[0]
        self.certificate, self.key = leaf(self.directory, "bench", ca, "DNS:bench.test")


class Side:
    """One proxy; `entries` maps the kinds of a row to ports."""

    name = ""
    floor = False  # not a proxy that anybody could choose, but what its kind of row costs at least
    kinds = ("h1", "l4", "tls", "resume", "mesh", "inbound", "h2", "grpc", "text")
    entries: dict

    def __init__(self, plan):
        self.plan = plan
        self.child = None
        self.directory = plan.directory / self.name
        self.directory.mkdir(exist_ok=True)

    def takes(self, row):
        """Whether the row is one of its own."""
        return row.entry in self.kinds

    def take_ports(self):
        self.entries = {kind: self.plan.ports.take() for kind in self.kinds}

    def launch(self, command):
        """Starts on the proxies' core and waits until every entry listens."""
        pinned = ["taskset", "-c", self.plan.places.proxy, *command]
        self.child = Child(self.name, pinned, self.directory)
        for port in self.entries.values():
            wait_for_port(port, self.child)

    def worker(self):
        """Process id of the one that moves the bytes."""
        return self.child.pid

    def helpers(self):
        """Processes besides the worker, whose processor time is told as well."""
        return []

    def stop(self):
        if self.child:
            self.child.terminate()

    def program(self, name=None):
        path = shutil.which(name or self.name, path=SEARCH)
        if path is None:
            raise AssertionError(f"{name or self.name} is not installed")
        return path


class Direct(Side):
    """No proxy: what loader and backend can do by themselves."""

    name = "direct"
    floor = True
    kinds = ("h1", "l4")

    def takes(self, row):
        return super().takes(row) and not row.fixed_rate

    def start(self):
        self.entries = dict(self.plan.backend)

    def version(self):
        return "no proxy"

    def worker(self):
        return None


class Forward(Side):
    """The bare forwarder: epoll, bytes copied through one buffer, no protocol."""

    name = "forward"
    floor = True
    kinds = ("h1", "l4")
    options = ()

    def version(self):
        return "epoll, recv and send"

    def takes(self, row):
        return super().takes(row) and not row.bulk and "fresh" not in row.load

    def start(self):
        self.take_ports()
        pairs = [f"--pair={self.entries[kind]}={self.plan.backend[kind]}" for kind in self.kinds]
        congestion = ["--congestion", self.plan.congestion] if self.plan.congestion else []
        program = str(self.plan.programs / "forward")
        self.launch([program, *pairs, *congestion, *self.options])


class ForwardSplice(Forward):
    """The bare forwarder with a pipe per direction."""

    name = "forward-splice"
    options = ("--splice",)

    def version(self):
        return "epoll, splice"

    def takes(self, row):
        return row.entry in self.kinds and row.bulk


class Haproxy(Side):
    """haproxy as it is fastest, with the header every reverse proxy of the run adds."""

    name = "haproxy"
    splice = ""

    def version(self):
        text = subprocess.check_output([self.program("haproxy"), "-v"], text=True)
        return re.search(r"version (\S+)", text).group(1)

    def start(self):
        self.take_ports()
        plan = self.plan
        most = 1000 if self.splice else 9900  # pipes count as descriptors, too
        bundle = self.directory / "bench.pem"
        bundle.write_bytes(plan.certificate.read_bytes() + plan.key.read_bytes())
        config = self.directory / "haproxy.cfg"
        config.write_text(
            f"""global
  nbthread 1
  maxconn {min(most, (plan.open_files - 200) // 2)}
  tune.ssl.cachesize 0
  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
  ssl-default-bind-options ssl-min-ver TLSv1.3
  ssl-default-server-ciphersuites TLS_AES_128_GCM_SHA256
  ssl-default-server-options ssl-min-ver TLSv1.3
defaults
{self.splice}
  timeout connect 5s
  timeout client {LONG}s
  timeout server {LONG}s
frontend h1
  mode http
  option forwardfor
  bind 127.0.0.1:{self.entries["h1"]}
  bind 127.0.0.1:{self.entries["tls"]} ssl crt {bundle} no-tls-tickets
  bind 127.0.0.1:{self.entries["resume"]} ssl crt {bundle}
  bind 127.0.0.1:{self.entries["inbound"]} ssl crt {bundle} ca-file {plan.ca} verify required
  default_backend h1
frontend text
  mode http
  option forwardfor
  compression algo gzip
  compression type text/html
  bind 127.0.0.1:{self.entries["text"]}
  default_backend h1
frontend h2
  mode http
  option forwardfor
  bind 127.0.0.1:{self.entries["h2"]} ssl crt {bundle} no-tls-tickets alpn h2
  default_backend h1
frontend grpc
  mode http
  option forwardfor
  bind 127.0.0.1:{self.entries["grpc"]} proto h2
  default_backend grpc
backend grpc
  mode http
  http-reuse always
  server s 127.0.0.1:{plan.backend["grpc"]} proto h2
frontend mesh
  mode http
  option forwardfor
  bind 127.0.0.1:{self.entries["mesh"]}
  default_backend mesh
backend mesh
  mode http
  http-reuse always
  server s 127.0.0.1:{self.entries["inbound"]} ssl crt {bundle} ca-file {plan.ca} verify required \
    sni str(bench.test) verifyhost bench.test
backend h1
  mode http
  http-reuse always
  server s 127.0.0.1:{plan.backend["h1"]}
listen l4
  mode tcp
  bind 127.0.0.1:{self.entries["l4"]}
  server s 127.0.0.1:{plan.backend["l4"]}
""",
            encoding="ascii",
        )
        self.launch([self.program("haproxy"), "-db", "-f", config])

    def takes(self, row):
        return super().takes(row) and row.load.get("coding") in (None, "identity", "gzip")


class HaproxySplice(Haproxy):
    """haproxy with splice, in the rows that could gain by it."""

    name = "haproxy-splice"
    splice = "  option splice-request\n  option splice-response"

    def takes(self, row):
        return row.bulk and row.entry in ("h1", "l4")


class Nginx(Side):
    """nginx with the stream module."""

    name = "nginx"

    def version(self):
        text = subprocess.run([self.program(), "-v"], capture_output=True, text=True, check=True)
        return re.search(r"nginx/(\S+)", text.stderr).group(1)

    def start(self):
        self.take_ports()
        plan = self.plan
        temporary = "".join(
            f"  {kind}_temp_path {self.directory}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        config = self.directory / "nginx.conf"
        config.write_text(
            f"""load_module /usr/lib/nginx/modules/ngx_stream_module.so;
{"user root;" if os.geteuid() == 0 else ""}
daemon off;
worker_processes 1;
worker_rlimit_nofile {plan.open_files};
pid {self.directory}/nginx.pid;
error_log stderr crit;
events {{ worker_connections {plan.open_files - 100}; multi_accept on; }}
http {{
{temporary}  access_log off;
  keepalive_timeout {LONG}s;
  keepalive_requests 1000000000;
  upstream h1 {{
    server 127.0.0.1:{plan.backend["h1"]};
    keepalive 1024;
    keepalive_requests 1000000000;
    keepalive_timeout {LONG}s;
  }}
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $host;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_buffers 16 64k;
  proxy_busy_buffers_size 128k;
  proxy_max_temp_file_size 0;
  server {{
    listen 127.0.0.1:{self.entries["h1"]} backlog=4096;
    listen 127.0.0.1:{self.entries["tls"]} ssl backlog=4096;
    ssl_certificate {plan.certificate};
    ssl_certificate_key {plan.key};
    ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
    ssl_session_tickets off;
    ssl_session_cache off;
    location / {{ proxy_pass http://h1; }}
  }}
  server {{
    listen 127.0.0.1:{self.entries["text"]} backlog=4096;
    gzip on;
    gzip_comp_level 1;
    location / {{ proxy_pass http://h1; }}
  }}
  server {{
    listen 127.0.0.1:{self.entries["h2"]} ssl http2 backlog=4096;
    ssl_certificate {plan.certificate};
    ssl_certificate_key {plan.key};
    ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
    ssl_session_tickets off;
    ssl_session_cache off;
    location / {{ proxy_pass http://h1; }}
  }}
  upstream grpc {{
    server 127.0.0.1:{plan.backend["grpc"]};
    keepalive 1024;
    keepalive_requests 1000000000;
    keepalive_timeout {LONG}s;
  }}
  server {{
    listen 127.0.0.1:{self.entries["grpc"]} http2 backlog=4096;
    location / {{
      grpc_pass grpc://grpc;
      grpc_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }}
  }}
  server {{
    listen 127.0.0.1:{self.entries["resume"]} ssl backlog=4096;
    ssl_certificate {plan.certificate};
    ssl_certificate_key {plan.key};
    ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
    ssl_session_tickets on;
    ssl_session_cache off;
    location / {{ proxy_pass http://h1; }}
  }}
  server {{
    listen 127.0.0.1:{self.entries["inbound"]} ssl backlog=4096;
    ssl_certificate {plan.certificate};
    ssl_certificate_key {plan.key};
    ssl_client_certificate {plan.ca};
    ssl_verify_client on;
    ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
    ssl_session_tickets off;
    ssl_session_cache off;
    location / {{ proxy_pass http://h1; }}
  }}
  upstream inbound {{
    server 127.0.0.1:{self.entries["inbound"]};
    keepalive 1024;
    keepalive_requests 1000000000;
    keepalive_timeout {LONG}s;
  }}
  server {{
    listen 127.0.0.1:{self.entries["mesh"]} backlog=4096;
    location / {{
      proxy_pass https://inbound;
      proxy_ssl_certificate {plan.certificate};
      proxy_ssl_certificate_key {plan.key};
      proxy_ssl_trusted_certificate {plan.ca};
      proxy_ssl_verify on;
      proxy_ssl_server_name on;
      proxy_ssl_name bench.test;
      proxy_ssl_protocols TLSv1.3;
      proxy_ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
    }}
  }}
}}
stream {{
  proxy_buffer_size 64k;
  proxy_timeout {LONG}s;
  server {{
    listen 127.0.0.1:{self.entries["l4"]} backlog=4096;
    proxy_pass 127.0.0.1:{plan.backend["l4"]};
  }}
}}
""",
            encoding="ascii",
        )
        self.launch([self.program(), "-e", "stderr", "-c", config])

    def takes(self, row):
        return super().takes(row) and row.load.get("coding") in (None, "identity", "gzip")

    def worker(self):
        return processes.children(self.child.pid)[0]

    def helpers(self):
        return [self.child.pid]


def route(host, path):
    return {"match": {"host": host, "path_prefix": path}, "service": "web"}


class Ringmesh(Side):
    """Control plane and data plane as a user starts them: one file of configuration."""

    name = "ringmesh"
    kinds = (*Side.kinds, "routes")
    engine = "io_uring"
    tracing = None  # a section of the configuration
    patience = ringmesh.READY_SECONDS

    def routes(self):
        """The last of them is the loader's."""
        return [route("bench.test", "/b")]

    def program(self):
        return str(ringmesh.binary("dataplane"))

    def version(self):
        text = subprocess.check_output([self.program(), "--version"], text=True)
        return text.split()[1]

    def start(self):
        self.take_ports()
        plan = self.plan
        local, dead = self.entries["mesh"], plan.ports.dead()
        outbound, inbound = plan.ports.take(), self.entries["inbound"]
        timeouts = {"head": "30s", "idle": f"{LONG}s", "request": "0s"}
        tls = {"cert": str(plan.certificate), "key": str(plan.key), "min_version": "1.3"}
        full = {**tls, "tickets": False}
        self.node = ringmesh.Node(
            plan.ports,
            workers=1,
            dataplane={
                "cpus": str(plan.places.proxy),
                "tcp_congestion": plan.congestion,
                "engine": self.engine,
            },
            services=[
                ringmesh.service("web", plan.backend["h1"], connect=ringmesh.sidecar(inbound)),
                ringmesh.service("api", dead, connect=ringmesh.sidecar(outbound, {"web": local})),
                ringmesh.service("raw", plan.backend["l4"]),
                ringmesh.service("calls", plan.backend["grpc"]),
            ],
            config_entries=[
                ringmesh.defaults("web"),
                ringmesh.defaults("raw", "tcp"),
                ringmesh.defaults("calls", "grpc"),
                ringmesh.intentions("web", api="allow"),
            ],
            tracing=self.tracing or {},
            listeners=[
                ringmesh.listener("h1", self.entries["h1"], "web", timeouts=timeouts),
                ringmesh.listener("tls", self.entries["tls"], "web", timeouts=timeouts, tls=full),
                ringmesh.listener(
                    "resume", self.entries["resume"], "web", timeouts=timeouts, tls=tls
                ),
                ringmesh.listener("l4", self.entries["l4"], "raw", kind="l4"),
                ringmesh.listener("h2", self.entries["h2"], "web", timeouts=timeouts, tls=tls),
                ringmesh.listener("grpc", self.entries["grpc"], "calls", timeouts=timeouts),
                ringmesh.listener(
                    "text",
                    self.entries["text"],
                    "web",
                    timeouts=timeouts,
                    compression={"levels": {"gzip": 1, "br": 3, "zstd": 3}},
                ),
                ringmesh.listener(
                    "routes", self.entries["routes"], timeouts=timeouts, routes=self.routes()
                ),
            ],
        )
        self.node.start(seconds=self.patience)
        self.child = self.node.control
        for port in self.entries.values():
            wait_for_port(port, self.child)

    def worker(self):
        return processes.children(self.node.supervisor())[0]

    def helpers(self):
        return [self.node.supervisor(), self.child.pid]

    def stop(self):
        with contextlib.suppress(AttributeError):
            self.node.close()


class RingmeshEpoll(Ringmesh):
    """The same programs on the other engine; beside the others only when asked for."""

    name = "ringmesh-epoll"
    engine = "epoll"

    def takes(self, row):
        return super().takes(row) and row.entry != "routes"


class RingmeshRoutes(Ringmesh):
    """The loader's route is the last of 100,000, of 10 for each of 10,000 hosts."""

    name = "ringmesh-routes"
    patience = 300  # a machine that measures may be slow, and the programs unoptimised

    def routes(self):
        hosts = (*(f"h{number}.bench.test" for number in range(9_999)), "bench.test")
        paths = (*(f"/p{number}" for number in range(9)), "/b")
        return [route(host, path) for host in hosts for path in paths]

    def takes(self, row):
        return row.entry == "routes"


def kinds():
    """Every side by its name, in the order of the report."""
    import envoy  # here, since it is made of what stands above

    found = (
        Direct,
        Forward,
        ForwardSplice,
        Ringmesh,
        RingmeshEpoll,
        RingmeshRoutes,
        Haproxy,
        HaproxySplice,
        Nginx,
        envoy.Envoy,
    )
    return {kind.name: kind for kind in found}
