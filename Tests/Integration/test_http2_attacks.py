"""Proves that attacks over HTTP/2 cost us little processor time and memory, and others nothing.

The number in a test's name is the row of attacks.py; a case of Tests/Vectors/http-cases.json whose
outcome is `survive` stands at the test that plays it. While an attack runs, polite
clients are served without a failure.
"""

import contextlib
from dataclasses import dataclass

import frames
import h2attacks
import http2
import pytest
import vectors
from h2client import Http2
from load import Load
from ports import Ports
from processes import work_so_far, work_within
from wire import HOLD, OK, wait_for

pytestmark = http2.needed

MICROSECONDS = 100  # of processor time for one unit of an attack; plain builds need a tenth of it
WAIT_SECONDS = 2.0  # of processor time of the workers, while one polite request waits
BASE_SECONDS = 0.3  # of processor time for connections, polite clients and the clock's ticks
MEMORY_MIB = 32
BIG = 4 << 20
QUICK = {"head": "2s", "idle": "4s", "request": "6s"}  # for the attacked; the polite have time

PLAYED = set()


def plays(case):
    """Says that a test plays an attack of the cases."""
    PLAYED.add(case)
    return lambda function: function


@pytest.fixture(scope="module")
def front(tmp_path_factory):
    """A node with two lanes: lane 0 is attacked, lane 1 serves the polite."""
    ports = Ports()
    with http2.Front(ports, tmp_path_factory.mktemp("attacks"), 2, timeouts=[QUICK, {}]) as made:
        yield made
    ports.close()


@dataclass
class Cost:
    """What an attack did: `units` is set by the test."""

    units: int = 0
    watch: object = None


@contextlib.contextmanager
def bounded(front, microseconds=MICROSECONDS, memory_mib=MEMORY_MIB):
    """What happens inside costs no more than this, and the polite notice nothing."""
    pids = front.node.worker_pids()
    cost = Cost()
    with (
        Load(front.lanes[1].port, connections=2, pause=0.01).measured_in(
            lambda: work_so_far(pids)
        ) as load,
        h2attacks.Watch(pids) as watch,
    ):
        cost.watch = watch
        yield cost
    failures = [f.what for tally in load.tallies for f in tally.failures]
    assert not failures, failures[:5]
    assert load.ok > 0, "the polite were not served"
    assert load.slowest < WAIT_SECONDS, f"the polite had to wait for {load.slowest:.2f} s of work"
    served = sum(tally.ok for tally in load.tallies)
    allowed = BASE_SECONDS + (cost.units + served) * microseconds / 1e6
    assert watch.cpu <= allowed, f"{watch.cpu:.2f} s for {cost.units} units, {allowed:.2f} allowed"
    assert watch.growth_kib <= memory_mib << 10, f"{watch.growth_kib} KiB more memory"
    assert front.node.worker_pids() == pids, "a worker was replaced"
    wait_for(lambda: work_within(pids, 0.3) < 0.1, 1, "the workers rest")


def attackers(front, count, **more):
    """Connected clients of lane 0, shaken, each when it is its turn: its idle time runs."""
    front.recorders[0].reset()
    for number in range(count):
        where = front.lanes[0].where("tls" if number % 2 else "h2c")
        yield Http2(*where, **more).start()


def attack(front, count, what, *arguments, **more):
    """Runs an attack on `count` connections, one after the other; (units, clients)."""
    clients, units = [], 0
    for client in attackers(front, count, **more):
        units += what(client, *arguments)
        clients.append(client)
    return units, clients


def all_ended(clients, seconds=3.0):
    for client in clients:
        assert client.closes_within(seconds), f"still open: {client.story()}"


def ended_early(clients):
    """Not more streams than these were looked at, however many were sent meanwhile."""
    for client in clients:
        for told in (f for f in client.history if f.kind == frames.GOAWAY):
            last = int.from_bytes(told.payload[:4], "big")
            assert last < h2attacks.stream_of(3000), f"ended late: {client.story()}"


def close(clients):
    for client in clients:
        client.close()


# --- 18, 19: streams that are reset ---


@plays("h2-dos-rapid-reset")
def test_row_18_rapid_reset(front):
    with bounded(front) as cost:
        cost.units, clients = attack(front, 6, h2attacks.rapid_reset, 10_000)
        all_ended(clients)
    for client in clients:
        calm = frames.ENHANCE_YOUR_CALM
        assert client.goaways in ([calm], []), f"the GOAWAY says other things: {client.story()}"
    assert any(client.goaways for client in clients), "no GOAWAY came through"
    ended_early(clients)
    assert len(front.recorders[0].requests) < 2000, "the upstream was flooded"


def test_row_18_a_client_that_cancels_now_and_then_is_no_attacker(front):
    with Http2(front.lanes[1].port) as client:
        client.start()
        for number in range(60):
            stream = 4 * number + 1
            client.send(frames.headers(stream, h2attacks.GET))
            client.send(frames.rst_stream(stream))
            assert client.get(stream + 2).status == 200


@plays("h2-dos-made-you-reset")
@pytest.mark.parametrize("kind", h2attacks.MADE_YOU_RESET)
def test_row_19_resets_made_by_the_server_count(front, kind):
    with bounded(front) as cost:
        cost.units, clients = attack(front, 4, h2attacks.made_you_reset, 10_000, kind)
        all_ended(clients)
    ended_early(clients)
    assert len(front.recorders[0].requests) < 2000, "the upstream was flooded"


# --- 20, 21, 22: field blocks ---


@plays("h2-dos-continuation-flood")
@pytest.mark.parametrize("size", [0, 1, 100, 16_000])
def test_row_20_continuations_without_end(front, size):
    with bounded(front) as cost:
        count = 20_000 if size < 1000 else 2_000
        cost.units, clients = attack(front, 4, h2attacks.continuation_flood, count, size)
        all_ended(clients)
    assert front.recorders[0].requests == []


@plays("h2-dos-hpack-bomb")
def test_row_21_one_entry_referred_to_ten_thousand_times(front):
    with bounded(front, microseconds=2_000) as cost:
        cost.units, clients = attack(front, 4, h2attacks.hpack_bomb, 50)
        for client in clients:
            client.until(lambda c=client: c.goaways or c.answers or c.closed)
            assert {a.status for a in client.answers.values()} <= {0, 431}, client.story()
    assert front.recorders[0].requests == []
    close(clients)


@plays("h2-dos-h2-bomb")
def test_row_21_tiny_fields_by_the_thousand_and_windows_that_stay_shut(front):
    clients = []
    with bounded(front, microseconds=2_000, memory_mib=64) as cost:
        for _ in range(25):
            units, made = attack(front, 4, h2attacks.small_bomb, 25)
            cost.units += units
            clients += made
        for client in clients:
            client.until(lambda c=client: c.goaways or c.answers or c.closed)
    assert front.recorders[0].requests == []
    close(clients)


@pytest.mark.parametrize("crumbs", [1000, 5000])
def test_row_21_cookie_crumbs_count(front, crumbs):
    """The many small fields of a split Cookie count one by one."""
    fields = frames.block([("cookie", "a=b")]) * crumbs
    with bounded(front, microseconds=2_000) as cost:
        for client in attackers(front, 4):
            cost.units += h2attacks.pour(client, [h2attacks.in_frames(1, h2attacks.GET + fields)])
            client.until(lambda c=client: c.goaways or (c.answers and c.answers[1].over))
            refused = client.goaways or client.closed or client.answers[1].status in (0, 431)
            assert refused, client.story()
            client.close()
    assert front.recorders[0].requests == []


def test_row_22_fields_that_are_dropped_count(front):
    """Fields that would never go on (a Host again and again) are bounded like all others."""
    block = h2attacks.GET + frames.literal("host", "ex.test", frames.INCREMENTAL)
    block += frames.indexed(62) * 14_000
    with bounded(front, microseconds=2_000) as cost:
        for client in attackers(front, 8):
            parts = (h2attacks.in_frames(h2attacks.stream_of(n), block) for n in range(20))
            cost.units += h2attacks.pour(client, parts)
            client.until(lambda c=client: c.goaways or c.answers)
            client.close()
    assert front.recorders[0].requests == []


# --- 23: frames without work in them ---


@pytest.mark.parametrize("read", [True, False], ids=["read", "unread"])
def test_row_23_settings(front, read):
    with bounded(front) as cost:
        cost.units, clients = attack(
            front, 2, h2attacks.settings_flood, 200_000, read, receive_buffer=4096
        )
    close(clients)


@pytest.mark.parametrize("read", [True, False], ids=["read", "unread"])
def test_row_23_pings(front, read):
    with bounded(front) as cost:
        cost.units, clients = attack(
            front, 2, h2attacks.ping_flood, 200_000, read, receive_buffer=4096
        )
    close(clients)


@plays("h2-dos-reset-flood-out")
@pytest.mark.parametrize("kind", ["window overflow", "malformed", "wrong length"])
def test_row_23_resets_that_nobody_reads(front, kind):
    with bounded(front) as cost:
        cost.units, clients = attack(
            front, 2, h2attacks.made_you_reset, 50_000, kind, False, receive_buffer=4096
        )
    assert len(front.recorders[0].requests) < 2000, "the upstream was flooded"
    close(clients)


@plays("h2-dos-window-update-flood")
def test_row_23_window_updates(front):
    with bounded(front, microseconds=10) as cost:
        cost.units, clients = attack(front, 2, h2attacks.window_update_flood, 500_000)
    close(clients)


@pytest.mark.parametrize(
    ("what", "count"),
    [
        (h2attacks.priority_flood, 50_000),
        (h2attacks.table_flood, 50_000),
        (h2attacks.window_swing, 20_000),
        (h2attacks.empty_data_flood, 50_000),
        (h2attacks.padding_flood, 20_000),
        (h2attacks.unknown_flood, 50_000),
        (h2attacks.empty_names, 4_000),
    ],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_row_23_other_floods(front, what, count):
    with bounded(front) as cost:
        cost.units, clients = attack(front, 2, what, count)
        close(clients)
    assert len(front.recorders[0].complete()) == 0


# --- 24: frames that are malformed where nobody looks ---


@pytest.mark.parametrize("flags", [0, frames.ACK], ids=["ping", "ack"])
@pytest.mark.parametrize("size", [0, 1, 7, 9, 16, 16384])
def test_row_24_pings_of_another_size(front, size, flags):
    with Http2(front.lanes[0].port) as client:
        client.start()
        client.send(frames.frame(frames.PING, flags, 0, b"p" * size))
        assert client.closes_within(3), client.story()
        assert set(client.goaways) <= {frames.FRAME_SIZE_ERROR}, client.story()


@pytest.mark.parametrize(
    "octets",
    [
        frames.frame(frames.PING, frames.ACK, 1, b"p" * 8),
        frames.frame(frames.SETTINGS, frames.ACK, 1),
        frames.frame(frames.GOAWAY, 0, 0, b"\0" * 7),
        frames.frame(frames.WINDOW_UPDATE, 0, 0, b"\0" * 5),
        frames.frame(frames.PRIORITY, 0, 0, b"\0" * 5),
        frames.frame(frames.PUSH_PROMISE, frames.END_HEADERS, 1, b"\0" * 4),
        frames.frame(frames.DATA, frames.PADDED, 1, b""),
        frames.frame(frames.HEADERS, frames.PADDED | frames.END_HEADERS, 1, b""),
        frames.frame(frames.HEADERS, frames.WITH_PRIORITY | frames.END_HEADERS, 1, b"\0" * 4),
    ],
    ids=lambda octets: f"{frames.NAMES[octets[3]]} {len(octets) - 9} flags {octets[4]}",
)
def test_row_24_frames_without_what_they_must_have(front, octets):
    with Http2(front.lanes[0].port) as client:
        client.start()
        client.send(octets)
        assert client.closes_within(3), client.story()
        assert frames.NO_ERROR not in client.goaways, client.story()


# --- 26: slow on purpose ---


@plays("h2-dos-slow-headers")
@pytest.mark.parametrize(
    "begun",
    [
        b"",
        frames.PREFACE[:10],
        frames.PREFACE,
        frames.PREFACE + frames.settings() + frames.headers(1, h2attacks.GET)[:30],
        frames.PREFACE + frames.settings() + frames.headers(1, h2attacks.GET, end_headers=False),
    ],
    ids=["nothing", "half a preface", "no SETTINGS", "half a frame", "half a block"],
)
def test_row_26_a_head_that_does_not_come(front, begun):
    with bounded(front):
        clients = [Http2(*front.lanes[0].where("h2c")) for _ in range(20)]
        for client in clients:
            client.send(begun)
        for client in clients:
            assert client.closes_within(5), f"still open: {client.story()}"
    assert front.recorders[0].requests == []
    close(clients)


def test_row_26_a_head_that_drips(front):
    """An octet now and then, and a CONTINUATION now and then, win no time."""
    one = frames.continuation(1, frames.literal("x-slow", "v"), end_headers=False)
    whole = frames.headers(1, h2attacks.GET)
    for start, drops in (
        (frames.headers(1, h2attacks.GET, end_headers=False), [one] * 40),
        (b"", [whole[at : at + 1] for at in range(len(whole) - 1)]),
    ):
        with Http2(front.lanes[0].port) as client:
            client.start()
            client.send(start)
            for drop in drops:
                if client.closed or not client.send(drop):
                    break
                client.until(lambda c=client: c.closed, 0.2)
            else:
                pytest.fail(f"every drop was taken: {client.story()}")


@plays("h2-dos-idle-streams")
def test_row_26_bodies_that_never_end(front):
    """As many streams as there may be, without the end of any."""
    recorder = front.recorders[0]
    with bounded(front, memory_mib=64) as cost:
        clients = list(attackers(front, 20))
        for client in clients:
            streams = range(1, 2 * min(client.streams_allowed, 100), 2)
            parts = (frames.headers(s, h2attacks.POST, end_stream=False) for s in streams)
            cost.units += h2attacks.pour(client, [b"".join(parts)])
        for client in clients:
            client.timeout = 30

            def let_go(c=client):
                over = [a for a in c.answers.values() if a.over]
                return c.goaways or len(over) >= min(c.streams_allowed, 100)

            assert client.until(let_go), f"streams are kept: {client.story()}"
            client.close()
    wait_for(lambda: not [r for r in recorder.requests if unfinished(recorder, r)], 3, "let go")


def unfinished(recorder, request):
    return not request.complete and request.connection in recorder.open


def big_answer(request, client):
    if request.target != "/big":
        return OK
    client.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG)
    for _ in range(BIG >> 16):
        if not client.send(b"x" * 65536):
            return None
    return b""


@pytest.mark.parametrize("window", [0, 1])
def test_row_26_windows_that_stay_shut(front, window):
    """Answers that cannot go out are given up, and the upstream with them.

    Each of 160 may hold 256 KiB that came (LIMIT_SPILL_HIGH) and 64 KiB on their way out
    (LIMIT_H2_STREAM_HIGH), 50 MiB in all; the rest is for receive buffers and the sanitizer.
    """
    recorder = front.recorders[0]
    with bounded(front, memory_mib=96) as cost:
        clients = list(attackers(front, 8))
        recorder.reset(big_answer)
        for client in clients:
            client.send(frames.settings((frames.INITIAL_WINDOW_SIZE, window)))
            cost.units += h2attacks.ask_all(client, 20)
        wait_for(lambda: recorder.requests, 3, "the first ask")
        wait_for(lambda: not recorder.open, 12, "the upstreams of who does not read are let go")
    close(clients)


@plays("h2-dos-data-dribble")
def test_row_23_windows_of_one_octet(front):
    """A window that opens octet by octet makes no flood of frames."""
    recorder = front.recorders[0]
    clients = list(attackers(front, 4))
    recorder.reset(big_answer)
    with bounded(front, memory_mib=64) as cost:
        for client in clients:
            client.send(frames.settings((frames.INITIAL_WINDOW_SIZE, 0)))
            h2attacks.ask_all(client, 20)
        for _ in range(100):
            for client in clients:
                parts = [frames.window_update(h2attacks.stream_of(n), 1) for n in range(20)]
                cost.units += 20 * h2attacks.pour(client, [b"".join(parts)])
        received = sum(len(a.body) for c in clients for a in c.answers.values())
        assert received <= 100 * 20 * len(clients)
    close(clients)


def test_row_23_windows_open_but_nothing_is_read(front):
    """All the windows in the world, and a socket that is never read: what waits is bounded."""
    recorder = front.recorders[0]
    with bounded(front, memory_mib=64) as cost:
        clients = list(attackers(front, 4, receive_buffer=4096))
        recorder.reset(big_answer)
        for client in clients:
            client.send(frames.settings((frames.INITIAL_WINDOW_SIZE, frames.MAX_WINDOW)))
            client.send(frames.window_update(0, frames.MAX_WINDOW - frames.DEFAULT_WINDOW))
            cost.units += h2attacks.ask_all(client, 20)
        wait_for(lambda: recorder.requests, 3, "the first ask")
        wait_for(lambda: not recorder.open, 12, "the upstreams of who does not read are let go")
    close(clients)


# --- 17, 28: lengths that lie ---


def test_row_17_no_more_is_announced_than_came(front):
    """Less than Content-Length says, then the end of the stream: the upstream sees it cut."""
    recorder = front.recorders[1]
    recorder.reset()
    block = frames.block(frames.request("POST", fields=[("content-length", "1000")]))
    with Http2(front.lanes[1].port) as client:
        client.start()
        client.send(frames.headers(1, block, end_stream=False), frames.data(1, b"x" * 10))
        answer = client.answer(1)
        assert answer.reset == frames.PROTOCOL_ERROR or answer.status == 400, client.story()
        assert client.get(3).status == 200
    assert [r.target for r in recorder.complete()] == ["/p"], "the cut request was completed"


@plays("h2-dos-grpc-zip")
def test_row_28_nothing_is_taken_for_a_length_that_was_claimed(front):
    """A gRPC message that says it has 4 GiB: octets go on as they come."""
    recorder = front.recorders[0]
    recorder.reset(lambda request, client: HOLD)
    claim = b"\x01\xff\xff\xff\xff" + b"z" * 1000
    block = frames.block(
        frames.request("POST", fields=[("content-type", "application/grpc"), ("te", "trailers")])
    )
    clients = []
    with bounded(front, memory_mib=8) as cost:
        for client in attackers(front, 10):
            client.send(frames.headers(1, block, end_stream=False), frames.data(1, claim, False))
            clients.append(client)
            cost.units += 1
        wait_for(lambda: len(recorder.requests) == 10, 3, "the heads go on")
    close(clients)


# --- the list ---


def test_every_attack_of_the_cases_is_played():
    listed = {c["id"] for c in vectors.load()["http2"] if c["expect"] == "survive"}
    assert listed == PLAYED
