"""Raw sockets that speak HTTP/1.1 to the byte: a client that can misbehave, and an upstream that
records what reaches it. Nothing here repairs what it sees.
"""

import base64
import hashlib
import socket
import struct
import threading
import time
from dataclasses import dataclass, field

# How long a test waits for what has to happen, in seconds: a safety net, no claim about speed. Test
# machines are slow and run other tests beside; who waits goes on as soon as the condition holds.
PATIENCE = 30.0


class Closed(Exception):
    """The peer ended the stream before what was waited for."""


class Stream:
    """Buffered reading of a socket with a deadline for every wait."""

    def __init__(self, sock, timeout=PATIENCE):
        self.sock = sock
        self.timeout = timeout
        self.buffer = b""
        self.closed = False

    def fill(self, timeout=None):
        """Reads once more; False at the end of the stream."""
        if self.closed:
            return False
        self.sock.settimeout(self.timeout if timeout is None else timeout)
        try:
            data = self.sock.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            data = b""
        if not data:
            self.closed = True
            return False
        self.buffer += data
        return True

    def until(self, mark, limit=4 << 20):
        while mark not in self.buffer:
            if len(self.buffer) > limit or not self.fill():
                raise Closed(self.buffer[:200])
        at = self.buffer.index(mark) + len(mark)
        taken, self.buffer = self.buffer[:at], self.buffer[at:]
        return taken

    def exactly(self, count):
        parts, length = [self.buffer], len(self.buffer)
        while length < count:
            self.buffer = b""
            try:
                more = self.fill()
            except TimeoutError:
                self.buffer = b"".join(parts)
                raise
            if not more:
                self.buffer = b"".join(parts)
                raise Closed(self.buffer[:200])
            parts.append(self.buffer)
            length += len(self.buffer)
        whole = b"".join(parts)
        self.buffer = whole[count:]
        return whole[:count]

    def rest(self):
        parts = [self.buffer]
        self.buffer = b""
        while self.fill():
            parts.append(self.buffer)
            self.buffer = b""
        return b"".join(parts)


def split_head(raw):
    """Start line and (lower-case name, value) pairs of a head, as lenient as a sloppy server."""
    lines = raw.split(b"\r\n")
    headers = []
    for line in lines[1:]:
        if line:
            name, _, value = line.partition(b":")
            headers.append((name.lower().decode("latin-1"), value.strip(b" \t").decode("latin-1")))
    return lines[0], headers


def values(headers, name):
    return [v for n, v in headers if n == name]


@dataclass
class Message:
    """A request or an answer, with the raw bytes of its head."""

    raw: bytes
    start: bytes = b""
    headers: list = field(default_factory=list)
    body: bytes = b""
    trailers: list = field(default_factory=list)
    complete: bool = False
    at: float = field(default_factory=time.monotonic)
    interim: list = field(default_factory=list)
    early: bytes = b""
    connection: int = 0

    def header(self, name):
        found = values(self.headers, name)
        return found[0] if found else None

    @property
    def status(self):
        parts = self.start.split(b" ", 2)
        return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0

    @property
    def method(self):
        return self.start.split(b" ")[0].decode("latin-1")

    @property
    def target(self):
        parts = self.start.split(b" ")
        return parts[1].decode("latin-1") if len(parts) > 1 else ""


def read_chunked(stream, message):
    parts = []
    try:
        while True:
            size = int(stream.until(b"\r\n").split(b";")[0].strip() or b"x", 16)
            if size == 0:
                break
            parts.append(stream.exactly(size))
            if stream.exactly(2) != b"\r\n":
                raise ValueError("chunk data without CRLF")
    finally:
        message.body = b"".join(parts)
    raw = b""
    while True:
        line = stream.until(b"\r\n")
        if line == b"\r\n":
            break
        raw += line
    message.trailers = split_head(b"\r\n" + raw)[1]


def read_response(stream, method="GET"):
    """One answer with its interim answers; raises Closed when it is cut short (`.partial`)."""
    interim = []
    while True:
        raw = stream.until(b"\r\n\r\n")
        start, headers = split_head(raw)
        message = Message(raw, start, headers, interim=interim)
        if 100 <= message.status < 200 and message.status != 101:
            interim.append(message)
            continue
        break
    try:
        read_response_body(stream, message, method)
    except (Closed, ValueError) as cut:
        error = Closed(f"answer cut short: {cut}")
        error.partial = message
        raise error from cut
    message.complete = True
    return message


def read_response_body(stream, message, method):
    if method == "HEAD" or message.status in (101, 204, 304):
        return
    if method == "CONNECT" and 200 <= message.status < 300:
        return
    if "chunked" in ",".join(values(message.headers, "transfer-encoding")).lower():
        read_chunked(stream, message)
    elif message.header("content-length") is not None:
        want = int(message.header("content-length"))
        try:
            message.body = stream.exactly(want)
        except Closed:
            message.body, stream.buffer = stream.buffer, b""
            raise
    else:
        message.body = stream.rest()


def connect(port, host="127.0.0.1", timeout=PATIENCE):
    sock = socket.create_connection((host, port), timeout=timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class Client:
    """One connection to a proxy, or to anything."""

    def __init__(self, port, sock=None, timeout=PATIENCE):
        self.sock = sock or connect(port, timeout=timeout)
        self.stream = Stream(self.sock, timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        """Sends all of `data`; False when the peer has closed in between."""
        try:
            self.sock.sendall(data)
            return True
        except (ConnectionResetError, BrokenPipeError, ConnectionAbortedError):
            return False

    def get(self, target="/", host="ex.test", method="GET", headers=(), body=b""):
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *headers]
        if body or method in ("POST", "PUT"):
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        return read_response(self.stream, method)

    def closes_within(self, seconds):
        """Whether the peer ends the connection; what it still sends is kept. `seconds` is what it
        takes at rest: a busy machine is given PATIENCE.
        """
        return not self.stays_open(max(seconds, PATIENCE))

    def stays_open(self, seconds):
        """Watches for exactly so long; whether the peer has not ended the connection by then."""
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                if not self.stream.fill(max(0.01, end - time.monotonic())):
                    return False
        except TimeoutError:
            pass
        return True


def get(port, target="/", host="ex.test", headers=(), timeout=PATIENCE, method="GET", body=b""):
    """One request on a connection of its own."""
    with Client(port, timeout=timeout) as client:
        return client.get(target, host, method, headers, body)


def reset(sock):
    """Closes with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HOLD = object()  # an answer that never comes


class Recorder:
    """An upstream that keeps every request as it arrived.

    `answer(request, client)` returns the bytes of the answer, None to close, or HOLD to say
    nothing and keep the connection open; it may also write to `client` itself and return b"".
    """

    def __init__(self, port=0, answer=None, host="127.0.0.1"):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((host, port))
        self.socket.listen(1024)
        self.port = self.socket.getsockname()[1]
        self.answer = answer or (lambda request, client: OK)
        self.lock = threading.Lock()
        self.requests = []
        self.connections = 0
        self.open = {}
        self.hold_back = 0.0
        self.running = True
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.running = False
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()
        self.drop()

    def drop(self):
        """Closes the connections that are open now; the listener stays."""
        with self.lock:
            sockets = list(self.open.values())
        for sock in sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def reset(self, answer=None):
        with self.lock:
            self.requests = []
            self.answer = answer or (lambda request, client: OK)
            self.hold_back = 0.0

    def complete(self):
        with self.lock:
            return [r for r in self.requests if r.complete]

    def accept(self):
        while self.running:
            try:
                sock, _ = self.socket.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.connections += 1
                number = self.connections
                self.open[number] = sock
            threading.Thread(target=self.serve, args=(sock, number), daemon=True).start()

    def serve(self, sock, number):
        client = Client(0, sock, timeout=None)
        try:
            while self.running and self.one(client, number):
                pass
        except (Closed, OSError, ValueError):
            pass
        finally:
            with self.lock:
                self.open.pop(number, None)
            client.close()

    def one(self, client, number):
        raw = client.stream.until(b"\r\n\r\n")
        start, headers = split_head(raw)
        request = Message(raw, start, headers, connection=number)
        with self.lock:
            self.requests.append(request)
            answer, hold_back = self.answer, self.hold_back
        if any(v.lower() == "100-continue" for v in values(headers, "expect")):
            client.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if values(headers, "transfer-encoding"):
            read_chunked(client.stream, request)
        else:
            length = request.header("content-length") or "0"
            request.body = client.stream.exactly(int(length))
        request.complete = True
        if hold_back:
            self.peek(client, request, hold_back)
        reply = answer(request, client)
        if reply is None:
            return False
        if reply is HOLD:
            while client.stream.fill():
                pass
            return False
        return client.send(reply)

    @staticmethod
    def peek(client, request, seconds):
        """Keeps what arrives before the answer: nothing should."""
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end and client.stream.fill(max(0.01, end - time.monotonic())):
                pass
        except TimeoutError:
            pass
        request.early = client.stream.buffer


def echo_upgrade(protocol="websocket"):
    """An answer that switches protocols and then returns every byte."""

    def answer(request, client):
        if "upgrade" not in (request.header("connection") or "").lower():
            return OK
        head = f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n"
        key = request.header("sec-websocket-key")
        if key:
            digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
            head += f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}\r\n"
        client.send(head.encode() + b"\r\n")
        while True:
            if not client.stream.buffer and not client.stream.fill():
                return None
            data, client.stream.buffer = client.stream.buffer, b""
            client.send(data)

    return answer


def wait_for(condition, seconds=5.0, what="condition", interval=0.02):
    """Waits until `condition()` is true and returns its value; fails loudly when it never is.
    `seconds` is what it takes at rest: a busy machine is given PATIENCE.
    """
    seconds = max(seconds, PATIENCE)
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s for: {what}")
        time.sleep(interval)
