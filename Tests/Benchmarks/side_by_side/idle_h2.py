"""Idle connections of HTTP/2 over TLS, as `load --idle` makes those of HTTP/1.1."""

import socket
import ssl

from void import Void

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, SETTINGS = 1, 4
END_STREAM, END_HEADERS, ACK = 1, 4, 1
SECONDS = 10


def frame(kind, flags, stream, payload=b""):
    return (
        len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload
    )


def request(stream):
    """GET of 128 bytes, its fields without compression (RFC 7541 6.2.2)."""
    path, host = b"/b/128/1", b"bench.test"
    block = b"\x82\x87\x04" + bytes((len(path),)) + path + b"\x01" + bytes((len(host),)) + host
    return frame(HEADERS, END_STREAM | END_HEADERS, stream, block)


class Connection:
    """One connection; `ask` does one exchange."""

    def __init__(self, port, context):
        plain = socket.create_connection(("127.0.0.1", port), SECONDS)
        self.socket = context.wrap_socket(plain, server_hostname="bench.test")
        if self.socket.selected_alpn_protocol() != "h2":
            raise Void("it does not speak HTTP/2")
        self.stream = 1
        self.socket.sendall(PREFACE + frame(SETTINGS, 0, 0) + frame(SETTINGS, ACK, 0))

    def ask(self):
        self.socket.sendall(request(self.stream))
        data = b""
        while not self.is_answered(data):
            more = self.socket.recv(16384)
            if not more:
                raise OSError("it ended")
            data += more
        self.stream += 2

    def is_answered(self, data):
        """Whether the frames so far end the stream."""
        while len(data) >= 9:
            length, kind, flags = int.from_bytes(data[:3], "big"), data[3], data[4]
            stream = int.from_bytes(data[5:9], "big")
            if len(data) < 9 + length:
                return False
            if stream == self.stream and kind in (0, HEADERS) and flags & END_STREAM:
                return True
            data = data[9 + length :]
        return False


class Crowd:
    """Takes the same words as the loader: a number opens as many, `check` asks on each again."""

    def __init__(self, rig, side, entry, most):
        self.port = side.entries[entry]
        self.context = ssl.create_default_context(cafile=str(rig.plan.ca))
        self.context.set_alpn_protocols(["h2"])
        self.connections = []

    def say(self, word):
        if word != "check":
            try:
                while len(self.connections) < word:
                    connection = Connection(self.port, self.context)
                    connection.ask()
                    self.connections.append(connection)
            except OSError as error:
                raise Void(f"connection {len(self.connections) + 1}: {error!r}") from error
            return f"connected {word}"
        answered = 0
        for connection in self.connections:
            try:
                connection.ask()
                answered += 1
            except OSError:
                pass  # counted below
        return f"answered {answered} dropped {len(self.connections) - answered}"

    def close(self):
        for connection in self.connections:
            connection.socket.close()
