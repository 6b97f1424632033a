"""An HTTP/2 connection of a client that keeps every frame and can send anything.

Nothing happens behind the caller's back but what `Http2` is told to do: SETTINGS are acknowledged
(`acknowledge`), windows are opened again only when `open_windows` is set. Every wait has a deadline
and waits for a condition.
"""

import contextlib
import socket
import ssl
import time
from dataclasses import dataclass, field

import frames
import hpack
from wire import PATIENCE, connect

SECONDS = PATIENCE


@dataclass
class Answer:
    """What came on one stream."""

    headers: list = field(default_factory=list)
    trailers: list = field(default_factory=list)
    interim: list = field(default_factory=list)
    body: bytes = b""
    pieces: list = field(default_factory=list)  # length of each DATA frame
    ended: bool = False
    reset: int | None = None

    @property
    def status(self):
        return int(dict(self.headers).get(":status", 0))

    @property
    def over(self):
        return self.ended or self.reset is not None

    def values(self, name):
        return [v for n, v in self.headers if n == name]

    def __str__(self):
        if self.reset is not None:
            return f"{self.status or 'no status'}, reset {frames.error_name(self.reset)}"
        return f"{self.status or 'no status'}{'' if self.ended else ', not ended'}"


def tls_context(alpn=("h2",), cafile=None):
    """A client's context; without `cafile` no certificate is checked."""
    context = ssl.create_default_context(cafile=cafile)
    if cafile is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(list(alpn))
    return context


def dial(port, tls=None, timeout=SECONDS, name="ex.test", receive_buffer=0):
    """A connected socket; `tls` is a context."""
    if receive_buffer:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(timeout)
        sock.connect(("127.0.0.1", port))
    else:
        sock = connect(port, timeout=timeout)
    if tls is None:
        return sock
    try:
        return tls.wrap_socket(sock, server_hostname=name)
    except (OSError, ssl.SSLError):
        sock.close()
        raise


class Http2:
    """One connection, from the preface on."""

    def __init__(self, port, tls=None, timeout=SECONDS, acknowledge=True, **more):
        """`open_windows`: gives back what it reads; `receive_buffer`: of the socket, in octets."""
        self.sock = dial(port, tls, timeout, receive_buffer=more.get("receive_buffer", 0))
        self.timeout = timeout
        self.acknowledge, self.open_windows = acknowledge, more.get("open_windows", False)
        self.buffer = b""
        self.closed = False
        self.history = []
        self.answers = {}
        self.settings = {}
        self.settings_acks = 0
        self.pings = []
        self.goaways = []
        self.decoder = hpack.Decoder(max_header_list_size=1 << 24)
        self.fragments = None  # (stream, flags, block so far)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.sock.close()

    @property
    def alpn(self):
        return getattr(self.sock, "selected_alpn_protocol", lambda: None)()

    # --- sending ---

    def send(self, *parts):
        """Sends octets in one write; False when the peer has closed."""
        try:
            self.sock.settimeout(self.timeout)
            self.sock.sendall(b"".join(parts))
            return True
        except TimeoutError:
            raise
        except OSError:
            return False

    def start(self, *pairs, wait=True):
        """Preface and SETTINGS; then waits for the peer's SETTINGS and its acknowledgement."""
        self.send(frames.PREFACE, frames.settings(*pairs))
        if wait and not self.until(lambda: self.settings_acks and self.greeted):
            raise ConnectionError(f"no HTTP/2 handshake: {self.story()}")
        return self

    def get(self, stream=1, method="GET", path="/p", fields=(), body=b"", **more):
        """One request as it should be, and its whole answer."""
        self.ask(stream, method, path, fields, body, **more)
        return self.answer(stream)

    def ask(self, stream=1, method="GET", path="/p", fields=(), body=b"", **more):
        made = frames.block(frames.request(method, path, fields=fields, **more))
        parts = [frames.headers(stream, made, end_stream=not body)]
        for at in range(0, len(body), frames.DEFAULT_FRAME):
            end = at + frames.DEFAULT_FRAME
            parts.append(frames.data(stream, body[at:end], end >= len(body)))
        self.send(*parts)

    # --- receiving ---

    def fill(self, seconds):
        """Reads once more; False at the end of the connection."""
        if self.closed:
            return False
        self.sock.settimeout(max(0.001, seconds))
        try:
            chunk = self.sock.recv(65536)
        except (TimeoutError, ssl.SSLWantReadError):
            return True
        except OSError:
            chunk = b""
        if not chunk:
            self.closed = True
            return False
        self.buffer += chunk
        while self.buffer and (found := frames.parse(self.buffer)):
            got, self.buffer = found
            self.take(got)
        return True

    def until(self, condition, seconds=None):
        """Reads until `condition()` holds; False when time or connection ended before."""
        end = time.monotonic() + (self.timeout if seconds is None else seconds)
        while not condition():
            left = end - time.monotonic()
            if left <= 0 or not self.fill(left):
                return bool(condition())
        return True

    def answer(self, stream=1, seconds=None):
        """The answer on a stream when it is over, the stream is reset, or time has ended."""
        self.until(lambda: stream in self.answers and self.answers[stream].over, seconds)
        return self.answers.get(stream, Answer())

    def ponged(self, payload=b"alive?!\0", seconds=None):
        """Whether a PING comes back: the connection is usable, and all before was read."""
        known = self.pings.count(payload)
        self.send(frames.ping(payload))
        return self.until(lambda: self.pings.count(payload) > known, seconds)

    def closes_within(self, seconds):
        """Whether the peer ends the connection; `seconds` at rest, PATIENCE on a busy machine."""
        self.until(lambda: self.closed, max(seconds, PATIENCE))
        return self.closed

    @property
    def greeted(self):
        return any(f.kind == frames.SETTINGS and not f.flags & frames.ACK for f in self.history)

    @property
    def streams_allowed(self):
        return self.settings.get(frames.MAX_CONCURRENT_STREAMS, 1 << 31)

    def resets(self, stream=None):
        """Codes of the RST_STREAM frames."""
        return [
            f.code
            for f in self.history
            if f.kind == frames.RST_STREAM and stream in (None, f.stream)
        ]

    def story(self):
        told = "; ".join(str(f) for f in self.history[-12:]) or "nothing"
        rest = f"; rest {self.buffer[:60]!r}" if self.buffer else ""
        return f"{told}{rest}; {'closed' if self.closed else 'open'}"

    # --- frames as they come ---

    def take(self, got):
        self.history.append(got)
        handler = HANDLERS.get(got.kind)
        if handler:
            handler(self, got)

    def take_settings(self, got):
        if got.flags & frames.ACK:
            self.settings_acks += 1
            return
        for at in range(0, len(got.payload) - 5, 6):
            number = int.from_bytes(got.payload[at : at + 2], "big")
            self.settings[number] = int.from_bytes(got.payload[at + 2 : at + 6], "big")
        if self.acknowledge:
            self.send(frames.settings(flags=frames.ACK))

    def take_ping(self, got):
        if got.flags & frames.ACK:
            self.pings.append(got.payload)
        else:
            self.send(frames.ping(got.payload, ack=True))

    def take_headers(self, got):
        if got.kind == frames.HEADERS:
            self.fragments = [got.stream, got.flags, got.body]
        elif self.fragments:
            self.fragments[2] += got.payload
        if not got.flags & frames.END_HEADERS or not self.fragments:
            return
        (stream, flags, block), self.fragments = self.fragments, None
        fields = [
            (n.decode("latin-1"), v.decode("latin-1"))
            for n, v in self.decoder.decode(block, raw=True)
        ]
        answer = self.answers.setdefault(stream, Answer())
        status = dict(fields).get(":status", "")
        if status.startswith("1") and not flags & frames.END_STREAM:
            answer.interim.append(fields)
        elif not answer.headers:
            answer.headers = fields
        else:
            answer.trailers = fields
        answer.ended |= bool(flags & frames.END_STREAM)

    def take_data(self, got):
        answer = self.answers.setdefault(got.stream, Answer())
        answer.body += got.body
        answer.pieces.append(len(got.body))
        answer.ended |= bool(got.flags & frames.END_STREAM)
        if self.open_windows and got.payload:
            size = len(got.payload)
            self.send(frames.window_update(0, size), frames.window_update(got.stream, size))

    def take_reset(self, got):
        self.answers.setdefault(got.stream, Answer()).reset = got.code

    def take_goaway(self, got):
        self.goaways.append(got.code)


HANDLERS = {
    frames.DATA: Http2.take_data,
    frames.HEADERS: Http2.take_headers,
    frames.CONTINUATION: Http2.take_headers,
    frames.RST_STREAM: Http2.take_reset,
    frames.SETTINGS: Http2.take_settings,
    frames.PING: Http2.take_ping,
    frames.GOAWAY: Http2.take_goaway,
}


def half_close(client):
    """Ends our direction of the TCP connection, without a word on the level of TLS."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(client.sock, socket.SHUT_WR)
