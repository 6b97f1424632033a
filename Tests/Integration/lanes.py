"""Constant load of every kind that must survive a change of the data plane: each lane is one client
that behaves as real ones do, and counts what it did not get.

A lane that keeps its connection opens a new one when the server says that an answer is the last,
and only then: a connection that ends in any other way is a failure. Those that hold streams
(WebSocket, L4) may be cut when the time to drain is over, at any other time it is a failure.
"""

import contextlib
import socket
import ssl
import threading
import time

import frames
from h2client import Http2
from wire import PATIENCE, Client, Closed

UPGRADE = ["Connection: Upgrade", "Upgrade: websocket"]


class Lane(threading.Thread):
    """Runs `turn` until stopped; what it raises is a failure."""

    def __init__(self, name, pause=0.003):
        super().__init__(name=name, daemon=True)
        self.pause = pause
        self.stopping = threading.Event()
        self.ok = 0
        self.failures = []
        self.client = None

    def run(self):
        while not self.stopping.is_set():
            begun = time.monotonic()
            try:
                self.turn()
                self.ok += 1
            except (OSError, Closed, ValueError, ssl.SSLError) as error:
                self.failures.append(
                    f"{self.name} after {time.monotonic() - begun:.3f} s: "
                    f"{type(error).__name__}: {error}"
                )
                self.drop()
            time.sleep(self.pause)
        self.drop()

    def drop(self):
        if self.client:
            self.client.close()
        self.client = None

    def turn(self):
        raise NotImplementedError


class Asking(Lane):
    """Requests to `port`; `keep`: on one connection for as long as the server wants."""

    def __init__(self, name, port, keep=True, context=None, host="ex.test", target="/", **more):
        super().__init__(name, **more)
        self.port, self.keep, self.context = port, keep, context
        self.host, self.target = host, target
        self.session = None

    def dial(self):
        if not self.context:
            return Client(self.port)
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Client(self.port, self.context.wrap_socket(plain, server_hostname=self.host))

    def turn(self):
        self.client = self.client or self.dial()
        headers = [] if self.keep else ["Connection: close"]
        answer = self.client.get(self.target, self.host, headers=headers)
        if answer.status != 200 or answer.body != b"ok":
            raise Closed(f"status {answer.status}, body {answer.body[:40]!r}")
        if not self.keep or (answer.header("connection") or "").lower() == "close":
            self.drop()


class Multiplexed(Lane):
    """`streams` requests at once on one HTTP/2 connection, for as long as the server takes them.
    What its GOAWAY says was not looked at is asked again on a new one (RFC 9113 6.8).
    """

    def __init__(self, name, port, context=None, streams=4, **more):
        """`context` offers h2; without, HTTP/2 by prior knowledge."""
        super().__init__(name, **more)
        self.port, self.context, self.streams = port, context, streams
        self.next = 1

    def dial(self):
        self.next = 1
        return Http2(self.port, self.context, open_windows=True).start()

    def turn(self):
        while not self.asked_all():
            self.drop()

    def asked_all(self):
        """Whether anything of what was asked was answered; false: the connection takes no more."""
        client = self.client = self.client or self.dial()
        asked = range(self.next, self.next + 2 * self.streams, 2)
        self.next = asked.stop
        for stream in asked:
            post = stream % 4 == 3
            client.ask(stream, "POST" if post else "GET", "/", body=b"x" * 64 if post else b"")
        client.until(lambda: all(self.is_over(stream) for stream in asked))
        last = last_taken(client)
        for stream in asked:
            answer = client.answers.pop(stream, None)
            if stream > last:
                continue
            if answer is None or answer.status != 200 or answer.body != b"ok" or not answer.ended:
                raise Closed(f"stream {stream} of {last}: {answer}; {client.story()}")
        if client.goaways or client.closed:
            self.drop()
        else:
            client.history.clear()
        return asked[0] <= last

    def is_over(self, stream):
        answer = self.client.answers.get(stream)
        return (answer is not None and answer.over) or stream > last_taken(self.client)


def last_taken(client):
    """The last stream that the server looks at; others are asked for elsewhere (RFC 9113 6.8)."""
    told = [f for f in client.history if f.kind == frames.GOAWAY]
    return min((int.from_bytes(f.payload[:4], "big") for f in told), default=1 << 31)


class Streaming(Lane):
    """One stream held open, a few bytes there and back at a time. `cuts` are ends of the stream."""

    def __init__(self, name, port, websocket=False, may_be_cut=lambda: False, **more):
        super().__init__(name, pause=0.02, **more)
        self.port, self.websocket, self.may_be_cut = port, websocket, may_be_cut
        self.cuts = 0
        self.opened_at = 0.0
        self.lives = []

    def open(self):
        self.client = Client(self.port)
        self.opened_at = time.monotonic()
        if self.websocket and self.client.get("/", headers=UPGRADE).status != 101:
            raise Closed("no 101")

    def there_and_back(self, word):
        if not self.client.send(word):
            raise Closed("cannot send")
        if self.client.stream.exactly(len(word)) != word:
            raise Closed("other bytes than were sent")

    def turn(self):
        if not self.client:
            self.open()
        word = f"{self.name} {self.ok}\n".encode()
        try:
            self.there_and_back(word)
        except (OSError, Closed):
            if not self.may_be_cut():
                raise
            self.cuts += 1
            self.lives.append(time.monotonic() - self.opened_at)
            self.drop()


class Tunnelled(Streaming):
    """A WebSocket on a stream of HTTP/2 (RFC 8441), the only one of its connection."""

    def open(self):
        self.dial()
        while last_taken(self.client) < 1:
            self.drop()
            self.dial()
        if self.client.answers.get(1) is None or self.client.answers[1].status != 200:
            raise Closed(f"no 200: {self.client.story()}")

    def dial(self):
        self.client = Http2(self.port, open_windows=True).start()
        self.opened_at = time.monotonic()
        fields = [
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "ex.test"),
            ("sec-websocket-version", "13"),
        ]
        self.client.send(frames.headers(1, frames.block(fields), end_stream=False))
        self.client.until(lambda: 1 in self.client.answers or last_taken(self.client) < 1)

    def there_and_back(self, word):
        answer = self.client.answers[1]
        self.client.history.clear()
        answer.body = b""
        if not self.client.send(frames.data(1, word, end_stream=False)):
            raise Closed("cannot send")
        self.client.until(lambda: len(answer.body) >= len(word) or answer.over)
        if answer.body != word:
            raise Closed(f"{answer.body!r} came back; {self.client.story()}")


class Lanes:
    """All of them, from entry to exit."""

    def __init__(self, *lanes):
        self.lanes = lanes

    def __enter__(self):
        for lane in self.lanes:
            lane.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        for lane in self.lanes:
            lane.stopping.set()
        for lane in self.lanes:
            lane.join(PATIENCE)
        return self

    @property
    def failures(self):
        return [failure for lane in self.lanes for failure in lane.failures]

    @property
    def ok(self):
        return sum(lane.ok for lane in self.lanes)

    def each_goes_on(self, count=3, seconds=PATIENCE):
        """Waits until every lane that asks often got `count` more answers."""
        goals = {lane: lane.ok + count for lane in self.lanes if lane.pause < 0.1}
        end = time.monotonic() + seconds
        while any(lane.ok < goal for lane, goal in goals.items()):
            if time.monotonic() > end:
                stuck = [lane.name for lane, goal in goals.items() if lane.ok < goal]
                raise AssertionError(f"no more answers for {stuck}; {self.failures[-5:]}")
            time.sleep(0.01)


@contextlib.contextmanager
def echo_server():
    """A TCP service that returns what it gets; its port."""
    server = socket.create_server(("127.0.0.1", 0), backlog=256)

    def serve(sock):
        with sock, contextlib.suppress(OSError):
            while data := sock.recv(65536):
                sock.sendall(data)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                sock, _ = server.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=serve, args=(sock,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield server.getsockname()[1]
    server.close()
