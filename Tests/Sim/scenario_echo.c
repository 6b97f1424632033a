/* An echo server on the ring: the smallest program that meets every rule of core/ring.h. Clients
 * send streams of their own and want them back whole, whatever the network does. The canary is the
 * same server with the classic mistake: it takes a short send for a whole one. */
#include <errno.h>
#include <poll.h>

#include "base/err.h"
#include "base/must.h"
#include "core/pool.h"
#include "core/ring.h"
#include "core/spill.h"
#include "echo_back.h"

enum { ECHO_ACCEPT = 1, ECHO_RECV, ECHO_WRITABLE };

#define ECHO_PORT   80
#define ECHO_CONNS  64
#define ECHO_HIGH   32768u /* more than this unsent: the source is not read */
#define ECHO_EVENTS 16

struct echo_conn {
    int fd;
    bool receiving; /* a receive is armed */
    bool starved;   /* waits for a buffer */
    bool stopped;   /* its receive is being cancelled */
    bool polling;
    bool ended; /* the client has sent all */
    struct spill rest;
};

struct echo {
    struct ring *ring;
    struct pool conns;
    struct pool blocks;
    int listener;
    bool sloppy; /* the canary */
};

static struct echo echo;

static uint64_t echo_token(uint8_t kind, const struct echo_conn *conn)
{
    return ring_token(kind, pool_slot(&echo.conns, conn), pool_generation(&echo.conns, conn));
}

static void echo_receive(struct echo_conn *conn)
{
    if (conn->receiving || conn->ended || conn->rest.length > 0) {
        return;
    }
    conn->receiving = true;
    conn->starved = false;
    ring_recv(echo.ring, conn->fd, RING_GROUP_SMALL, echo_token(ECHO_RECV, conn));
}

static void echo_close(struct echo_conn *conn)
{
    ring_close(echo.ring, conn->fd, false);
    spill_clear(&conn->rest, &echo.blocks);
    pool_give(&echo.conns, conn);
}

static void echo_return(const struct ring_event *event)
{
    if (!ring_buffer_return(echo.ring, event->group, event->buffer)) {
        return;
    }
    for (uint32_t slot = 0; slot < ECHO_CONNS; slot++) {
        struct echo_conn *conn = pool_at(&echo.conns, slot);

        if (conn != NULL && conn->starved) {
            echo_receive(conn);
        }
    }
}

/* Sends what is left; goes on reading or ends when there is nothing. */
static void echo_flush(struct echo_conn *conn)
{
    struct iovec parts[8];

    while (conn->rest.length > 0) {
        int count = spill_parts(&conn->rest, parts, 8);
        ssize_t sent = ring_send(echo.ring, conn->fd, parts, count);

        if (sent < 0) {
            echo_close(conn);
            return;
        }
        if (sent == 0) {
            if (!conn->polling) {
                conn->polling = true;
                ring_poll(echo.ring, conn->fd, POLLOUT, echo_token(ECHO_WRITABLE, conn));
            }
            return;
        }
        spill_consume(&conn->rest, &echo.blocks, (size_t)sent);
    }
    if (conn->ended) {
        echo_close(conn);
    } else {
        echo_receive(conn);
    }
}

static void echo_bytes(struct echo_conn *conn, struct bytes in)
{
    if (conn->rest.length == 0) {
        const struct iovec part = {(void *)(uintptr_t)in.ptr, in.len};
        ssize_t sent = ring_send(echo.ring, conn->fd, &part, 1);

        if (sent < 0) {
            echo_close(conn);
            return;
        }
        if (echo.sloppy) {
            return;
        }
        in = bytes_from(in, (size_t)sent);
    }
    if (spill_append(&conn->rest, &echo.blocks, in) != MESH_OK) {
        echo_close(conn);
        return;
    }
    if (conn->rest.length > ECHO_HIGH && conn->receiving && !conn->stopped) {
        conn->stopped = true;
        ring_cancel(echo.ring, conn->fd, echo_token(ECHO_RECV, conn));
    }
    if (conn->rest.length > 0) {
        echo_flush(conn);
    }
}

static void echo_received(struct echo_conn *conn, const struct ring_event *event)
{
    uint32_t slot = pool_slot(&echo.conns, conn);
    uint32_t generation = pool_generation(&echo.conns, conn);

    conn->receiving = (event->flags & RING_EVENT_MORE) != 0;
    conn->stopped = conn->stopped && conn->receiving;
    if (event->result > 0) {
        echo_bytes(conn, ring_event_bytes(echo.ring, event));
        echo_return(event);
        conn = pool_get(&echo.conns, slot, generation);
        if (conn != NULL) {
            echo_receive(conn);
        }
        return;
    }
    switch (event->result) {
    case 0:
        conn->ended = true;
        echo_flush(conn);
        break;
    case -ENOBUFS:
        conn->starved = ring_buffers_free(echo.ring, RING_GROUP_SMALL) == 0;
        if (!conn->starved) {
            echo_receive(conn);
        }
        break;
    case -ECANCELED:
        echo_receive(conn);
        break;
    default:
        echo_close(conn);
        break;
    }
}

static void echo_accepted(const struct ring_event *event)
{
    struct echo_conn *conn;

    if ((event->flags & RING_EVENT_MORE) == 0) {
        ring_accept(echo.ring, echo.listener, event->token);
    }
    if (event->result < 0) {
        return;
    }
    conn = pool_take(&echo.conns);
    if (conn == NULL) {
        ring_event_drop(echo.ring, event, true);
        return;
    }
    conn->fd = event->result;
    echo_receive(conn);
}

static void echo_event(const struct ring_event *event)
{
    struct echo_conn *conn;

    if (ring_token_kind(event->token) == ECHO_ACCEPT) {
        echo_accepted(event);
        return;
    }
    conn =
        pool_get(&echo.conns, ring_token_slot(event->token), ring_token_generation(event->token));
    if (conn == NULL) {
        if ((event->flags & RING_EVENT_BUFFER) != 0) {
            echo_return(event);
        }
    } else if (ring_token_kind(event->token) == ECHO_RECV) {
        echo_received(conn, event);
    } else {
        conn->polling = false;
        echo_flush(conn);
    }
}

static void echo_start(bool sloppy)
{
    const struct ring_config config = {
        .entries = 64,
        .small_buffers = 1u << sim_random_below(5),
        .large_buffers = 1,
    };

    echo = (struct echo){.sloppy = sloppy, .listener = sim_listen(ECHO_PORT)};
    MUST(pool_init(&echo.conns, sizeof(struct echo_conn), ECHO_CONNS) == MESH_OK);
    MUST(pool_init(&echo.blocks, sizeof(struct spill_block), 4 * ECHO_CONNS) == MESH_OK);
    MUST(ring_create(&config, &echo.ring, NULL) == 0);
    ring_accept(echo.ring, echo.listener, ring_token(ECHO_ACCEPT, 0, 1));
}

/* One turn; false when nothing happened in it. */
static bool echo_turn(void)
{
    struct ring_event events[ECHO_EVENTS];
    int count = ring_wait(echo.ring, 100000000, events, ECHO_EVENTS);

    for (int i = 0; i < count; i++) {
        echo_event(&events[i]);
    }
    return count > 0;
}

static void echo_run(bool sloppy)
{
    struct echo_back_totals totals = {0};
    uint32_t clients = 1 + sim_random_below(ECHO_CONNS);

    echo_start(sloppy);
    for (uint32_t i = 0; i < clients; i++) {
        echo_back_client(ECHO_PORT, &totals);
    }
    while (sim_running() || echo_turn()) {
        (void)echo_turn();
    }
    SIM_CHECK(totals.completed + totals.broken == clients);
    SIM_CHECK(totals.cut == 0);
    if (sim_faults()->peer_reset == 0) {
        SIM_CHECK(totals.broken == 0);
    }
    SIM_CHECK(echo.conns.used == 0);
    SIM_CHECK(echo.blocks.used == 0);
    sim_check_quiet();
    ring_destroy(echo.ring);
    pool_release(&echo.conns);
    pool_release(&echo.blocks);
}

SIM_SCENARIO(echo)
{
    echo_run(false);
}

SIM_CANARY(echo_that_forgets_short_sends)
{
    echo_run(true);
}
