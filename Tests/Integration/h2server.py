"""An HTTP/2 upstream (prior knowledge) that keeps every request, and can answer however wrong.

`answer(request, connection)` runs on a thread of its own for every stream, so that it may wait; it
writes to the connection, or does nothing and leaves the stream open.
"""

import contextlib
import socket
import threading
import time
from dataclasses import dataclass, field

import frames
import hpack
from wire import PATIENCE, values


@dataclass
class Asked:
    """One request as it came."""

    stream: int
    connection: object
    headers: list = field(default_factory=list)
    body: bytes = b""
    trailers: list = field(default_factory=list)
    complete: bool = False
    reset: int | None = None
    at: float = field(default_factory=time.monotonic)

    def header(self, name):
        found = values(self.headers, name)
        return found[0] if found else None

    @property
    def method(self):
        return self.header(":method")

    @property
    def target(self):
        return self.header(":path")


class Connection:
    """One connection of a client, served by a thread."""

    def __init__(self, owner, sock):
        self.owner, self.sock = owner, sock
        self.lock = threading.Lock()
        self.streams = {}
        self.history = []
        self.windows = {0: frames.DEFAULT_WINDOW}
        self.initial = frames.DEFAULT_WINDOW
        self.changed = threading.Condition()
        self.decoder = hpack.Decoder(max_header_list_size=1 << 24)
        self.fragments = None
        self.preface = b""
        self.closed = False

    def send(self, *parts):
        try:
            with self.lock:
                self.sock.sendall(b"".join(parts))
            return True
        except OSError:
            return False

    def respond(self, stream, status=200, body=b"ok", fields=(), trailers=None):
        """A whole answer, as far as the client's windows allow."""
        head = [(":status", str(status)), *fields]
        ends = not body and trailers is None
        self.send(frames.headers(stream, frames.block(head), end_stream=ends))
        if body:
            self.write(stream, body, end=trailers is None)
        if trailers is not None:
            self.send(frames.headers(stream, frames.block(trailers)))

    def write(self, stream, body, end=False):
        """DATA, waiting for windows; False when the stream is gone."""
        while body:
            size = self.credit(stream, min(len(body), frames.DEFAULT_FRAME))
            if not size:
                return False
            piece, body = body[:size], body[size:]
            self.send(frames.data(stream, piece, end and not body))
        return True

    def credit(self, stream, wanted, seconds=PATIENCE):
        """Takes up to `wanted` octets of both windows; 0 when the stream or time is over."""

        def some():
            if self.closed or self.streams[stream].reset is not None:
                return -1
            return min(self.windows[0], self.windows[stream], wanted)

        with self.changed:
            self.changed.wait_for(lambda: some() != 0 and (some() > 0 or some() == -1), seconds)
            size = max(0, some())
            self.windows[0] -= size
            self.windows[stream] -= size
            return size

    def run(self):
        buffer = b""
        with contextlib.suppress(OSError):
            while len(self.preface) < len(frames.PREFACE):
                chunk = self.sock.recv(len(frames.PREFACE) - len(self.preface))
                if not chunk:
                    break
                self.preface += chunk
            if self.preface == frames.PREFACE:
                self.send(frames.settings(*self.owner.settings))
                while chunk := self.sock.recv(65536):
                    buffer += chunk
                    while found := frames.parse(buffer):
                        got, buffer = found
                        self.take(got)
        with self.changed:
            self.closed = True
            self.changed.notify_all()
        self.sock.close()
        self.owner.gone(self)

    def take(self, got):
        self.history.append(got)
        if got.kind == frames.SETTINGS and not got.flags & frames.ACK:
            self.take_settings(got)
        elif got.kind == frames.PING and not got.flags & frames.ACK:
            self.send(frames.ping(got.payload, ack=True))
        elif got.kind == frames.WINDOW_UPDATE:
            with self.changed:
                self.windows[got.stream] += int.from_bytes(got.payload, "big")
                self.changed.notify_all()
        elif got.kind in (frames.HEADERS, frames.CONTINUATION):
            self.take_headers(got)
        elif got.kind == frames.DATA:
            self.take_data(got)
        elif got.kind == frames.RST_STREAM and got.stream in self.streams:
            with self.changed:
                self.streams[got.stream].reset = got.code
                self.changed.notify_all()

    def take_settings(self, got):
        for at in range(0, len(got.payload), 6):
            if int.from_bytes(got.payload[at : at + 2], "big") == frames.INITIAL_WINDOW_SIZE:
                value = int.from_bytes(got.payload[at + 2 : at + 6], "big")
                with self.changed:
                    for stream in self.windows:
                        self.windows[stream] += (value - self.initial) if stream else 0
                    self.initial = value
                    self.changed.notify_all()
        self.send(frames.settings(flags=frames.ACK))

    def take_headers(self, got):
        if got.kind == frames.HEADERS:
            self.fragments = [got.stream, got.flags, got.body]
        else:
            self.fragments[2] += got.payload
        if not got.flags & frames.END_HEADERS:
            return
        (stream, flags, block), self.fragments = self.fragments, None
        fields = [
            (n.decode("latin-1"), v.decode("latin-1"))
            for n, v in self.decoder.decode(block, raw=True)
        ]
        if stream in self.streams:
            self.streams[stream].trailers = fields
        else:
            request = Asked(stream, self, fields)
            with self.changed:
                self.streams[stream] = request
                self.windows[stream] = self.initial
            self.owner.asked(request)
        if flags & frames.END_STREAM:
            self.finished(stream)

    def take_data(self, got):
        request = self.streams[got.stream]
        request.body += got.body
        if got.payload and self.owner.open_windows:
            size = len(got.payload)
            self.send(frames.window_update(0, size))
            if not got.flags & frames.END_STREAM:
                self.send(frames.window_update(got.stream, size))
        if got.flags & frames.END_STREAM:
            self.finished(got.stream)

    def finished(self, stream):
        self.streams[stream].complete = True
        if not self.owner.early:
            self.owner.start(self.streams[stream])


class Http2Recorder:
    """Listens on a port and keeps what comes; see the top of this file."""

    def __init__(self, port=0, answer=None, **more):
        """`settings`: of ours; `early`: answers when the head is there, not when all is."""
        self.socket = socket.create_server(("127.0.0.1", port), backlog=256)
        self.port = self.socket.getsockname()[1]
        self.settings = more.get("settings", ())
        self.early = more.get("early", False)
        self.open_windows = more.get("open_windows", True)
        self.default = answer or (lambda request, connection: connection.respond(request.stream))
        self.answer = self.default
        self.lock = threading.Lock()
        self.requests, self.open, self.connections = [], [], []
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.socket.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection = Connection(self, sock)
                with self.lock:
                    self.open.append(connection)
                    self.connections.append(connection)
                threading.Thread(target=connection.run, daemon=True).start()

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.drop()

    def drop(self):
        """Ends the connections that are open now."""
        with self.lock:
            listed = list(self.open)
        for connection in listed:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def gone(self, connection):
        with self.lock:
            self.open.remove(connection)

    def reset(self, answer=None, early=False):
        with self.lock:
            self.requests = []
            self.answer, self.early = answer or self.default, early

    def complete(self):
        with self.lock:
            return [r for r in self.requests if r.complete]

    def asked(self, request):
        with self.lock:
            self.requests.append(request)
        if self.early:
            self.start(request)

    def start(self, request):
        threading.Thread(
            target=self.answer, args=(request, request.connection), daemon=True
        ).start()
