"""One requirement of RFC 9113 or RFC 7541 on a server: what is sent, and what must come of it.

The list covers what the known conformance tool for HTTP/2 servers looks at, in our own words and
code: 146 checks and one that only asks for a GOAWAY which the RFC recommends. They stand in
h2checks_accepted.py (what must work), h2checks_refused.py (what must not) and h2checks_fields.py
(messages and compression). A closed connection is taken for an error of the connection, as RFC 9113
5.4.1 allows; a GOAWAY or RST_STREAM must have the right code.
"""

import contextlib
from dataclasses import dataclass

import frames
from h2client import Http2
from vectors import Fault
from wire import OK

SECONDS = 15.0  # a safety net: what has to come comes at once
CHECKS = []
BODY = b"0123456789"


@dataclass
class Check:
    """A requirement by the section that states it."""

    section: str  # "9113 5.1"
    words: str
    play: object
    recommended: bool = False

    @property
    def name(self):
        return f"{self.section} {self.words}"


def check(section, words, recommended=False):
    """Registers a function of one connection, opened and shaken."""

    def register(function):
        CHECKS.append(Check(section, words, function, recommended))
        return function

    return register


def answer(request, _client):
    """What the upstream says: ten octets, so that windows can be smaller."""
    body = b"" if request.method == "HEAD" else BODY
    return OK.split(b"\r\n")[0] + b"\r\nContent-Length: 10\r\n\r\n" + body


class Peer(Http2):
    """The connection under test, with the verdicts."""

    def fails_connection(self, *codes):
        """An error of the connection with one of `codes`."""
        self.until(lambda: self.goaways)
        if self.goaways:
            if self.goaways[-1] not in codes:
                raise Fault(f"GOAWAY with another code: {self.story()}")
        elif not self.closed:
            raise Fault(f"no error of the connection: {self.story()}")

    def fails_stream(self, stream, *codes):
        """An error of the stream, or of the whole connection, with one of `codes`."""

        def found():
            return set(self.resets(stream) + self.goaways)

        self.until(lambda: found() & set(codes))
        if found() and not found() & set(codes):
            raise Fault(f"another code: {self.story()}")
        if not found() and not self.closed:
            raise Fault(f"no error: {self.story()}")

    def answers_on(self, stream=1, whole=False):
        """An answer begins (or ends) on the stream."""

        def came():
            got = self.answers.get(stream)
            return got and got.headers and (got.ended or not whole)

        if not self.until(came):
            raise Fault(f"no answer on stream {stream}: {self.story()}")
        return self.answers[stream]

    def lives(self):
        if not self.ponged():
            raise Fault(f"no answer to PING: {self.story()}")

    def lives_or_leaves(self):
        if not self.ponged() and not self.closed:
            raise Fault(f"neither alive nor closed: {self.story()}")

    def gets_data(self, size, stream=1):
        """The first DATA frame that carries octets has exactly `size` of them."""

        def pieces():
            return [n for n in self.answers[stream].pieces if n] if stream in self.answers else []

        if not self.until(pieces) or pieces()[0] != size:
            raise Fault(f"no DATA of {size} octets: {self.story()}")

    def gets_no_data(self, stream=1):
        """Everything sent was read, and no DATA with octets came."""
        self.lives()
        if stream in self.answers and self.answers[stream].body:
            raise Fault(f"DATA beyond the window: {self.story()}")

    def acknowledges(self, *pairs):
        """SETTINGS are applied: their acknowledgement is there."""
        known = self.settings_acks
        self.send(frames.settings(*pairs))
        if not self.until(lambda: self.settings_acks > known):
            raise Fault(f"no acknowledgement of SETTINGS: {self.story()}")


def run(item, port, tls=None):
    """Plays one check on a connection of its own; the text of its fault, or None."""
    peer = None
    try:
        peer = Peer(port, tls, timeout=SECONDS)
        if getattr(item.play, "bare", False):
            item.play(peer)
        else:
            item.play(peer.start())
        return None
    except Fault as fault:
        return str(fault)
    except (OSError, ValueError, IndexError) as error:
        return f"{type(error).__name__}: {error}; {peer.story() if peer else 'not connected'}"
    finally:
        if peer:
            with contextlib.suppress(OSError):
                peer.close()


def bare(function):
    """Marks a check that sends preface and SETTINGS itself."""
    function.bare = True
    return function


def get_block(*fields):
    return frames.block(frames.request(fields=fields))


def post_block(*fields):
    return frames.block(frames.request("POST", fields=fields))


def filler(count=1):
    """Fields without meaning."""
    return frames.block([(f"x-filler-{i}", "f" * 20) for i in range(count)])
