"""Foreign proxies and servers from Debian, configured for one test: haproxy, nginx, h2o, Apache."""

import shutil
from pathlib import Path

from processes import Child, wait_for_port


def program(name):
    """Where a program is, or None; /usr/sbin is looked into as well."""
    return shutil.which(name, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")


def missing(*programs):
    """The first program that is not installed, or None."""
    return next((p for p in programs if program(p) is None), None)


def haproxy(directory, text, port):
    """haproxy in the foreground with `text` after the usual defaults."""
    config = Path(directory) / "haproxy.cfg"
    config.write_text(
        "global\n  maxconn 2000\ndefaults\n  mode http\n"
        "  timeout connect 5s\n  timeout client 10s\n"
        "  timeout server 3s\n  timeout http-request 2s\n  timeout http-keep-alive 5s\n" + text,
        encoding="ascii",
    )
    child = Child("haproxy", ["/usr/sbin/haproxy", "-db", "-f", config], directory)
    wait_for_port(port, child)
    return child


def haproxy_lanes(lanes):
    """Frontends of haproxy for the lanes of cases.py: (port, guarded port, upstream port)."""
    text = ""
    for number, (port, guarded, upstream) in enumerate(lanes):
        for kind, bind in (("p", port), ("g", guarded)):
            rules = "  option forwardfor\n  acl ours hdr(host),host_only -i ex.test\n"
            if kind == "g":
                rules += "  http-request deny if { path_beg /admin }\n"
                rules += f"  use_backend b{number} if ours {{ path_beg /public }}\n"
            else:
                rules += f"  use_backend b{number} if ours\n"
            text += f"frontend {kind}{number}\n  bind 127.0.0.1:{bind}\n{rules}"
            text += "  default_backend none\n"
        text += f"backend b{number}\n  server s 127.0.0.1:{upstream}\n"
    return text + "backend none\n  http-request return status 404\n"


def haproxy_http2(lanes, pem):
    """Frontends with HTTP/2: (port, TLS port, upstream port); `pem` holds certificate and key."""
    text = ""
    for number, (port, tls_port, upstream) in enumerate(lanes):
        text += f"frontend f{number}\n  bind 127.0.0.1:{port}\n"
        text += f"  bind 127.0.0.1:{tls_port} ssl crt {pem} alpn h2,http/1.1\n"
        text += f"  acl ours hdr(host),host_only -i ex.test\n  use_backend b{number} if ours\n"
        text += f"  default_backend none\nbackend b{number}\n  server s 127.0.0.1:{upstream}\n"
    return text + "backend none\n  http-request return status 404\n"


def nginx_http2(lanes, cert, key):
    """Servers of nginx with HTTP/2 alone: (port, TLS port, upstream port)."""
    return "".join(
        f"upstream u{number} {{ server 127.0.0.1:{upstream}; keepalive 8; }}\n"
        f"server {{ listen 127.0.0.1:{port} http2; listen 127.0.0.1:{tls_port} ssl http2;\n"
        f"server_name ex.test; ssl_certificate {cert}; ssl_certificate_key {key};\n"
        f"location / {{ proxy_pass http://u{number}; proxy_http_version 1.1;\n"
        'proxy_set_header Connection ""; proxy_set_header Host $http_host; } }\n'
        for number, (port, tls_port, upstream) in enumerate(lanes)
    )


def h2o_http2(directory, lane, cert, key):
    """h2o with HTTP/2 on one lane, since it chooses by host: (port, TLS port, upstream port)."""
    port, tls_port, upstream = lane
    config = Path(directory) / "h2o.conf"
    config.write_text(
        "num-threads: 1\nerror-log: /dev/stderr\nproxy.preserve-host: ON\n"
        f"proxy.timeout.io: 3000\nlisten:\n  host: 127.0.0.1\n  port: {port}\n"
        f"listen:\n  host: 127.0.0.1\n  port: {tls_port}\n"
        f"  ssl:\n    certificate-file: {cert}\n    key-file: {key}\n"
        'hosts:\n  "*":\n    paths:\n      "/":\n'
        f'        proxy.reverse.url: "http://127.0.0.1:{upstream}/"\n',
        encoding="ascii",
    )
    child = Child("h2o", [program("h2o"), "-c", config], directory)
    wait_for_port(port, child)
    return child


def http2_servers(name, directory, lanes, cert, key):
    """The processes of haproxy, nginx or h2o with HTTP/2, on plain TCP and by ALPN."""
    if name == "haproxy":
        pem = Path(directory) / "both.pem"
        pem.write_bytes(Path(cert).read_bytes() + Path(key).read_bytes())
        return [haproxy(directory, haproxy_http2(lanes, pem), lanes[0][0])]
    if name == "nginx":
        return [nginx(directory, nginx_http2(lanes, cert, key), port=lanes[0][0])]
    folders = [Path(directory) / f"lane-{number}" for number in range(len(lanes))]
    for folder in folders:
        folder.mkdir()
    return [h2o_http2(f, lane, cert, key) for f, lane in zip(folders, lanes, strict=True)]


def nginx(directory, http="", stream="", port=0):
    """nginx in the foreground with blocks of our own."""
    directory = Path(directory)
    for name in ("body", "proxy", "fastcgi", "uwsgi", "scgi"):
        (directory / name).mkdir(exist_ok=True)
    modules = "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n" if stream else ""
    paths = "".join(
        f"{n}_temp_path {directory}/{p};\n"
        for n, p in (
            ("client_body", "body"),
            ("proxy", "proxy"),
            ("fastcgi", "fastcgi"),
            ("uwsgi", "uwsgi"),
            ("scgi", "scgi"),
        )
    )
    text = (
        f"{modules}daemon off;\nworker_processes 1;\npid {directory}/nginx.pid;\n"
        f"error_log stderr warn;\nevents {{ worker_connections 4096; }}\n"
        f"http {{\naccess_log off;\n{paths}{http}\n}}\n"
    )
    if stream:
        text += f"stream {{\n{stream}\n}}\n"
    config = directory / "nginx.conf"
    config.write_text(text, encoding="ascii")
    child = Child("nginx", ["/usr/sbin/nginx", "-e", "stderr", "-c", config], directory)
    if port:
        wait_for_port(port, child)
    return child


def h2o(directory, port, upstream):
    """h2o in front of one upstream."""
    config = Path(directory) / "h2o.conf"
    config.write_text(
        f"user: root\nnum-threads: 1\nproxy.preserve-host: ON\nproxy.timeout.io: 3000\n"
        f"listen:\n  host: 127.0.0.1\n  port: {port}\n"
        'hosts:\n  "*":\n    paths:\n      "/":\n'
        f'        proxy.reverse.url: "http://127.0.0.1:{upstream}/"\n',
        encoding="ascii",
    )
    child = Child("h2o", [program("h2o"), "-c", config], directory)
    wait_for_port(port, child)
    return child


def apache(directory, port, upstream):
    """Apache in front of one upstream."""
    modules = ("mpm_event", "authz_core", "unixd", "proxy", "proxy_http")
    built_in = "/usr/lib/apache2/modules/mod_"
    loads = "".join(
        f"LoadModule {m}_module {built_in}{m}.so\n"
        for m in modules
        if Path(f"{built_in}{m}.so").exists()
    )
    config = Path(directory) / "apache.conf"
    config.write_text(
        f"ServerRoot {directory}\nServerName second.test\nPidFile {directory}/apache.pid\n{loads}"
        f"Listen 127.0.0.1:{port}\nErrorLog /dev/stderr\nProxyPreserveHost On\nProxyTimeout 3\n"
        "User www-data\nGroup www-data\nAllowEncodedSlashes NoDecode\n"
        f"ProxyPass / http://127.0.0.1:{upstream}/ nocanon\n",
        encoding="ascii",
    )
    child = Child("apache", [program("apache2"), "-X", "-f", config], directory)
    wait_for_port(port, child)
    return child


SECOND_HOPS = {"haproxy": "haproxy", "nginx": "nginx", "h2o": "h2o", "apache": "apache2"}


def second_hop(name, directory, port, upstream):
    """The named proxy as it comes, between `port` and `upstream`."""
    if name == "haproxy":
        text = f"listen second\n  bind 127.0.0.1:{port}\n  server s 127.0.0.1:{upstream}\n"
        return haproxy(directory, text, port)
    if name == "nginx":
        http = (
            f"upstream u {{ server 127.0.0.1:{upstream}; keepalive 8; }}\n"
            f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://u;\n"
            'proxy_http_version 1.1; proxy_set_header Connection ""; '
            "proxy_set_header Host $http_host; } }"
        )
        return nginx(directory, http, port=port)
    return (h2o if name == "h2o" else apache)(directory, port, upstream)
