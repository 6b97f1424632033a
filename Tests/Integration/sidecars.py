"""Sidecars of a Consul agent: `controlplane sidecar` as a process, and what an agent is asked."""

import contextlib
import http.client
import json
import socket
import threading
import urllib.parse

from processes import Child
from ringmesh import Node, binary

SECONDS = 60


class Sidecar(Node):
    """One `controlplane sidecar`, with its data plane, told by options which one it is."""

    def __init__(self, ports, agent, /, *options, env=None, workers=1, **config):
        super().__init__(ports, workers=workers, **config)
        self.agent = agent
        self.options = options
        self.env = {"ASAN_OPTIONS": "abort_on_error=1:detect_leaks=0", **(env or {})}

    def start(self, ready=True, seconds=SECONDS, under=()):
        address = ["--http-addr", self.agent] if self.agent else []
        command = [
            *under,
            binary("controlplane"),
            "sidecar",
            *self.options,
            "--state-dir",
            self.directory,
            *address,
            "--config.path",
            self.config_path,
        ]
        self.control = Child("sidecar", command, self.directory, self.env)
        if ready:
            self.wait_ready(seconds)
        return self

    def problems(self):
        return [p["message"] for p in self.status()["problems"]]


class Agent:
    """The HTTP API of an agent, ours or Consul's."""

    def __init__(self, port, token=None):
        self.port = port
        self.token = token
        self.address = f"127.0.0.1:{port}"

    def ask(self, method, path, body=None, **query):
        """(status, body)."""
        status, body, _ = self.answer(method, path, body, **query)
        return status, body

    def answer(self, method, path, body=None, **query):
        """(status, body, headers)."""
        text = path + ("?" + urllib.parse.urlencode(query) if query else "")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(
                method,
                text,
                None if body is None else json.dumps(body),
                {"X-Consul-Token": self.token} if self.token else {},
            )
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers
        finally:
            connection.close()

    def put(self, path, body=None, **query):
        status, text = self.ask("PUT", path, body, **query)
        assert status == 200, (path, status, text)
        return text

    def get(self, path, **query):
        status, text = self.ask("GET", path, **query)
        assert status == 200, (path, status, text)
        return json.loads(text)

    def entry(self, **entry):
        self.put("/v1/config", entry)

    def intention(self, source, destination, action):
        """As every version takes it: by the older API where there is no other."""
        status, _ = self.ask(
            "PUT",
            "/v1/connect/intentions/exact",
            {"Action": action},
            source=source,
            destination=destination,
        )
        if status == 200:
            return
        pair = {"SourceName": source, "DestinationName": destination, "SourceType": "consul"}
        found = [
            one
            for one in self.get("/v1/connect/intentions")
            if (one["SourceName"], one["DestinationName"]) == (source, destination)
        ]
        if found:
            self.put(f"/v1/connect/intentions/{found[0]['ID']}", {**pair, "Action": action})
            return
        status, text = self.ask("POST", "/v1/connect/intentions", {**pair, "Action": action})
        assert status == 200, (status, text)

    def native(self, name, address, port, **more):
        """An instance that speaks mutual TLS itself: as a sidecar that nobody registered does."""
        self.put(
            "/v1/agent/service/register",
            {"Name": name, "Address": address, "Port": port, "Connect": {"Native": True}, **more},
        )


class Relay:
    """Stands between a sidecar and its agent: counts what is asked, and can be silent."""

    def __init__(self, port):
        self.target = port
        self.requests = []
        self.flows = threading.Event()
        self.flows.set()
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(128)
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        self.flows.wait()
        try:
            server = socket.create_connection(("127.0.0.1", self.target), timeout=30)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        threading.Thread(target=self.pump, args=(server, client, False), daemon=True).start()
        self.pump(client, server, True)

    def pump(self, source, sink, is_request):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                # Nothing is lost while nothing flows, as on a network that comes back.
                self.flows.wait()
                if is_request:
                    self.note(data)
                sink.sendall(data)
        for sock in (source, sink):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def note(self, data):
        """Heads of one client come one at a time: it waits for each answer."""
        line = data.split(b"\r\n", 1)[0]
        if line.endswith(b" HTTP/1.1"):
            self.requests.append(line.decode("latin-1"))

    def close(self):
        self.flows.set()
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
