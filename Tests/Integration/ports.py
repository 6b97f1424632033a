"""Ports from the kernel that stay ours until a program takes them."""

import random
import socket


class Ports:
    """Asks the kernel for free ports and holds them by sockets that never listen.

    A bound socket with SO_REUSEADDR and SO_REUSEPORT lets the program under test bind and listen on
    the same port (servers set one of the two), while no outgoing connection of this machine can be
    given that port in between.
    """

    def __init__(self):
        self.held = []

    def take(self, count=None):
        """One port, or a list of `count`."""
        if count is not None:
            return [self.take() for _ in range(count)]
        holder = socket.socket()
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        self.held.append(holder)
        return holder.getsockname()[1]

    def block(self, count):
        """The first of `count` ports in a row, below those that the kernel gives away."""
        for _ in range(1000):
            first = random.randrange(10_000, 19_000)
            made = []
            try:
                for port in range(first, first + count):
                    probe = socket.socket()
                    made.append(probe)
                    # Without options this fails where anybody holds the port, another test too.
                    probe.bind(("127.0.0.1", port))
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            except OSError:
                for probe in made:
                    probe.close()
                continue
            self.held += made
            return first
        raise AssertionError(f"no {count} free ports in a row")

    def dead(self):
        """A port that nobody listens on: connections to it are refused."""
        return self.take()

    def black_hole(self):
        """A port where connections hang: its listener's queue is full and never emptied."""
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        self.held.append(listener)
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            self.held.append(filler)
        return listener.getsockname()[1]

    def close(self):
        for sock in self.held:
            sock.close()
        self.held = []
