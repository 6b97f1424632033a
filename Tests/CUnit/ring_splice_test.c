/* Splicing: contents and counts through real sockets, the pool of pipes, broken peers. */
#include "ring_kit.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "cunit.h"

enum { KIND_IN = 1, KIND_OUT = 2 };

RING_TEST(pipes_are_pooled_and_bounded)
{
    struct ring *ring = kit_ring(); /* 4 pipes */
    uint32_t before = kit_open_fds();
    int taken[5][2];
    int again[2];

    for (int i = 0; i < 4; i++) {
        CHECK_INT(ring_pipe_take(ring, taken[i]), 0);
    }
    CHECK_INT(ring_pipe_take(ring, taken[4]), -ENFILE);
    ring_pipe_give(ring, taken[2], true);
    CHECK_INT(ring_pipe_take(ring, again), 0);
    CHECK_INT(again[0], taken[2][0]);
    CHECK_UINT(kit_open_fds(), before + 8);
    ring_pipe_give(ring, taken[0], false); /* something is inside: closed */
    CHECK_UINT(kit_open_fds(), before + 6);
    CHECK_INT(ring_pipe_take(ring, taken[0]), 0);
    CHECK_INT(ring_pipe_take(ring, taken[4]), -ENFILE);
    ring_pipe_give(ring, taken[0], true);
    ring_pipe_give(ring, taken[1], true);
    ring_pipe_give(ring, again, false);
    ring_pipe_give(ring, taken[3], true);
    ring_destroy(ring);
    CHECK_UINT(kit_open_fds(), before - 1); /* the ring itself */
}

/* One direction of a proxied stream. */
struct flow {
    struct ring *ring;
    int from;
    int to;
    int pipe[2];
    size_t inside; /* bytes in the pipe */
    size_t moved;  /* bytes out of it */
    bool ended;
};

/* Moves what can be moved now; arms the poll that will make it go on. */
static void flow_run(struct flow *flow, uint32_t slot)
{
    for (;;) {
        ssize_t in = 0;
        ssize_t out = 0;

        if (!flow->ended && flow->inside == 0) {
            in = ring_splice(flow->ring, flow->from, flow->pipe[1], 1 << 20, true);
            if (in == -EAGAIN) {
                ring_poll(flow->ring, flow->from, POLLIN, ring_token(KIND_IN, slot, 1));
                return;
            }
            CHECK(in >= 0);
            flow->ended = in <= 0;
            flow->inside += (size_t)(in > 0 ? in : 0);
        }
        if (flow->inside == 0) {
            ring_shutdown_write(flow->ring, flow->to);
            return;
        }
        out = ring_splice(flow->ring, flow->pipe[0], flow->to, flow->inside, false);
        if (out == -EAGAIN) {
            ring_poll(flow->ring, flow->to, POLLOUT, ring_token(KIND_OUT, slot, 1));
            return;
        }
        if (!CHECK(out > 0)) {
            flow->ended = true;
            return;
        }
        flow->inside -= (size_t)out;
        flow->moved += (size_t)out;
    }
}

/* The far ends: writes what fits, reads what is there, checks the bytes. */
struct far_end {
    int fd;
    size_t sent;
    size_t received;
    size_t total;
    bool ended;
};

static void far_end_run(struct far_end *end, uint64_t sends_from, uint64_t reads_from)
{
    static uint8_t data[65536];
    size_t count = end->total - end->sent < sizeof(data) ? end->total - end->sent : sizeof(data);
    ssize_t got;

    if (count > 0) {
        kit_fill(data, sends_from + end->sent, count);
        got = send(end->fd, data, count, MSG_DONTWAIT | MSG_NOSIGNAL);
        end->sent += (size_t)(got > 0 ? got : 0);
        if (end->sent == end->total) {
            shutdown(end->fd, SHUT_WR);
        }
    }
    got = recv(end->fd, data, sizeof(data) / 3, MSG_DONTWAIT);
    if (got > 0) {
        CHECK(kit_matches(bytes_of(data, (size_t)got), reads_from + end->received));
        end->received += (size_t)got;
    } else if (got == 0) {
        end->ended = true;
    }
}

RING_TEST(both_directions_arrive_whole_and_in_order)
{
    enum { UP = 5 * 1024 * 1024 + 13, DOWN = 3 * 1024 * 1024 + 1 };
    struct ring *ring = kit_ring();
    struct ring_event events[16];
    struct far_end client = {.total = UP};
    struct far_end server = {.total = DOWN};
    struct flow flows[2] = {{.ring = ring}, {.ring = ring}};
    uint32_t turns = 0;
    int near[2];
    int far[2];

    kit_pair(near);
    kit_pair(far);
    client.fd = near[1];
    server.fd = far[1];
    flows[0].from = flows[1].to = near[0];
    flows[0].to = flows[1].from = far[0];
    for (uint32_t i = 0; i < 2; i++) {
        CHECK_INT(ring_pipe_take(ring, flows[i].pipe), 0);
        flow_run(&flows[i], i + 1);
    }
    while (!(client.ended && server.ended) && turns++ < 100000) {
        int count;

        far_end_run(&client, 0, 1ull << 40);
        far_end_run(&server, 1ull << 40, 0);
        count = ring_wait(ring, 0, events, 16);
        for (int i = 0; i < count; i++) {
            uint32_t slot = ring_token_slot(events[i].token);

            flow_run(&flows[slot - 1], slot);
        }
    }
    CHECK(client.ended && server.ended);
    CHECK_UINT(server.received, UP);
    CHECK_UINT(client.received, DOWN);
    CHECK_UINT(flows[0].moved, UP);
    CHECK_UINT(flows[1].moved, DOWN);
    for (uint32_t i = 0; i < 2; i++) {
        CHECK_UINT(flows[i].inside, 0);
        ring_pipe_give(ring, flows[i].pipe, true);
    }
    ring_close(ring, near[0], false);
    ring_close(ring, far[0], false);
    close(near[1]);
    close(far[1]);
    ring_destroy(ring);
}

/* No SIGPIPE, which would end the process; the error is told. */
RING_TEST(splicing_to_a_peer_that_is_gone)
{
    const struct linger now = {.l_onoff = 1};
    struct ring *ring = kit_ring();
    int from[2];
    int to[2];
    int ends[2];

    kit_pair(from);
    kit_pair(to);
    CHECK_INT(ring_pipe_take(ring, ends), 0);
    CHECK_INT(send(from[1], "lost", 4, 0), 4);
    setsockopt(to[1], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(to[1]);
    CHECK_INT(ring_splice(ring, from[0], ends[1], 1 << 20, false), 4);
    CHECK_INT(ring_splice(ring, ends[0], to[0], 4, false), -ECONNRESET);
    CHECK_INT(ring_splice(ring, ends[0], to[0], 4, false), -EPIPE);
    ring_pipe_give(ring, ends, false);
    close(from[1]);
    ring_close(ring, from[0], false);
    ring_close(ring, to[0], false);
    ring_destroy(ring);
}
