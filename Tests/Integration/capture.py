"""What really went over the wire: TCP payloads on loopback, seen by a packet socket."""

import ctypes
import socket
import struct
import threading


class Capture:
    """Collects the payload bytes of TCP segments from and to `port` on loopback.

    Needs CAP_NET_RAW; opening raises PermissionError without it, and the test says so.
    """

    ALL_PROTOCOLS = 0x0003

    def __init__(self, port):
        self.port = port
        self.socket = socket.socket(
            socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(self.ALL_PROTOCOLS)
        )
        # Others' packets would fill its buffer, and ours be lost.
        self.filter(port)
        self.socket.bind(("lo", 0))
        self.socket.settimeout(0.1)
        self.to_port, self.from_port = [], []
        self.running = True
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.running = False
        self.thread.join(2)
        self.socket.close()

    SO_ATTACH_FILTER = 26

    def filter(self, port):
        """Only TCP over IPv4 from or to the port gets through (a classic BPF program)."""
        program = [
            (0x30, 0, 0, 9),  # the protocol
            (0x15, 0, 6, socket.IPPROTO_TCP),
            (0xB1, 0, 0, 0),  # where TCP begins
            (0x48, 0, 0, 0),  # the source port
            (0x15, 2, 0, port),
            (0x48, 0, 0, 2),  # the destination port
            (0x15, 0, 1, port),
            (0x06, 0, 0, 0x40000),  # all of it
            (0x06, 0, 0, 0),  # nothing
        ]
        code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
        self.socket.setsockopt(
            socket.SOL_SOCKET,
            self.SO_ATTACH_FILTER,
            struct.pack("HL", len(program), ctypes.addressof(code)),
        )

    def run(self):
        while self.running:
            try:
                packet, address = self.socket.recvfrom(65536)
            except TimeoutError:
                continue
            outgoing = address[2] == socket.PACKET_OUTGOING
            if not outgoing and len(packet) > 40 and packet[0] >> 4 == 4 and packet[9] == 6:
                self.segment(packet[(packet[0] & 15) * 4 :])

    def segment(self, tcp):
        source, destination = struct.unpack(">HH", tcp[:4])
        payload = tcp[(tcp[12] >> 4) * 4 :]
        if payload and destination == self.port:
            self.to_port.append(payload)
        elif payload and source == self.port:
            self.from_port.append(payload)

    def bytes(self):
        return b"".join(self.to_port) + b"".join(self.from_port)
