/* Thousands of connections on one ring: all are accepted, echo their own bytes, are closed from
 * either side, and nothing is left. */
#include "ring_kit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/pool.h"
#include "cunit.h"

enum { KIND_ACCEPT = 1, KIND_CONN = 2, CONNECTIONS = 5000, BATCH = 100, EVENTS = 128 };

struct conn {
    int fd;
    uint32_t echoed;
};

/* A small server: accepts, echoes, closes at the end of the stream. */
struct server {
    struct ring *ring;
    struct pool conns;
    uint32_t accepted;
    uint32_t closed;
    uint32_t stale;
    uint64_t echoed;
};

static uint64_t server_token(const struct server *server, const struct conn *conn)
{
    return ring_token(KIND_CONN, pool_slot(&server->conns, conn),
                      pool_generation(&server->conns, conn));
}

static void server_accept(struct server *server, const struct ring_event *event)
{
    struct conn *conn;

    CHECK(event->result >= 0);
    conn = pool_take(&server->conns);
    if (!CHECK(conn != NULL)) {
        ring_event_drop(server->ring, event, true);
        return;
    }
    conn->fd = event->result;
    server->accepted++;
    ring_recv(server->ring, conn->fd, RING_GROUP_SMALL, server_token(server, conn));
}

static void server_close(struct server *server, struct conn *conn)
{
    ring_close(server->ring, conn->fd, false);
    pool_give(&server->conns, conn);
    server->closed++;
}

static void server_event(struct server *server, const struct ring_event *event)
{
    struct conn *conn;

    if (ring_token_kind(event->token) == KIND_ACCEPT) {
        server_accept(server, event);
        return;
    }
    conn = pool_get(&server->conns, ring_token_slot(event->token),
                    ring_token_generation(event->token));
    if (conn == NULL) {
        server->stale++;
        ring_event_drop(server->ring, event, false);
        return;
    }
    if (event->result > 0) {
        struct bytes in = ring_event_bytes(server->ring, event);

        CHECK_INT(ring_send(server->ring, conn->fd,
                            &(struct iovec){(void *)(uintptr_t)in.ptr, in.len}, 1),
                  in.len);
        conn->echoed++;
        server->echoed++;
        (void)ring_buffer_return(server->ring, event->group, event->buffer);
    } else if (event->result != -ENOBUFS) {
        CHECK_INT(event->result, 0);
        server_close(server, conn);
        return;
    }
    if ((event->flags & RING_EVENT_MORE) == 0) {
        ring_recv(server->ring, conn->fd, RING_GROUP_SMALL, event->token);
    }
}

/* Runs the server until *counter is `target`. */
static bool server_until(struct server *server, const uint64_t *wide, const uint32_t *counter,
                         uint64_t target)
{
    struct ring_event events[EVENTS];

    while ((wide != NULL ? *wide : *counter) < target) {
        int count = ring_wait(server->ring, KIT_PATIENT, events, EVENTS);

        if (!CHECK(count > 0)) {
            return false;
        }
        for (int i = 0; i < count; i++) {
            server_event(server, &events[i]);
        }
    }
    return true;
}

static bool connect_all(struct server *server, const struct sockaddr_storage *address, int *fds)
{
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (!CHECK_INT(connect(fds[i], (const struct sockaddr *)address, sizeof(*address)), 0)) {
            return false;
        }
        if (i % BATCH == BATCH - 1 && !server_until(server, NULL, &server->accepted, i + 1)) {
            return false;
        }
    }
    return true;
}

/* Every client sends its own number and gets it back. */
static bool echo_all(struct server *server, const int *fds)
{
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        CHECK_INT(send(fds[i], &i, sizeof(i), 0), sizeof(i));
    }
    if (!server_until(server, &server->echoed, NULL, server->echoed + CONNECTIONS)) {
        return false;
    }
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        uint32_t back = UINT32_MAX;

        CHECK_INT(recv(fds[i], &back, sizeof(back), MSG_DONTWAIT), sizeof(back));
        CHECK_UINT(back, i);
    }
    return true;
}

/* Half of the connections end by the client, half by the server with its receive pending. */
static void close_all(struct server *server, int *fds)
{
    for (uint32_t i = 0; i < CONNECTIONS; i += 2) {
        close(fds[i]);
        fds[i] = -1;
    }
    if (!server_until(server, NULL, &server->closed, CONNECTIONS / 2)) {
        return;
    }
    for (uint32_t slot = 0; slot < CONNECTIONS; slot++) {
        struct conn *conn = pool_at(&server->conns, slot);

        if (conn != NULL) {
            server_close(server, conn);
        }
    }
    CHECK_UINT(server->closed, CONNECTIONS);
    CHECK(server_until(server, NULL, &server->stale, CONNECTIONS / 2));
    for (uint32_t i = 1; i < CONNECTIONS; i += 2) {
        CHECK_INT(kit_read(fds[i]), 0);
        close(fds[i]);
    }
}

RING_TEST(five_thousand_connections)
{
    const struct ring_config config = {
        .entries = 256,
        .small_buffers = 512,
        .large_buffers = 1,
    };
    struct server server = {0};
    struct sockaddr_storage address;
    static int fds[CONNECTIONS];
    struct rlimit limit;
    uint32_t before;
    int listener;

    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < 2 * CONNECTIONS + 100) {
        cunit_skip("RLIMIT_NOFILE is %llu", (unsigned long long)limit.rlim_max);
    }
    server.ring = kit_ring_of(&config);
    before = kit_open_fds();
    CHECK_INT(pool_init(&server.conns, sizeof(struct conn), CONNECTIONS), 0);
    listener = kit_listener(&address, 2 * BATCH);
    ring_accept(server.ring, listener, ring_token(KIND_ACCEPT, 0, 1));
    if (connect_all(&server, &address, fds) && echo_all(&server, fds) && echo_all(&server, fds)) {
        CHECK_UINT(server.accepted, CONNECTIONS);
        close_all(&server, fds);
    }
    CHECK_UINT(ring_stats(server.ring)->close_walks, 0);
    ring_close(server.ring, listener, false);
    CHECK_INT(kit_next(server.ring, KIT_PATIENT).result, -ECANCELED);
    CHECK_UINT(kit_open_fds(), before);
    CHECK_UINT(ring_buffers_free(server.ring, RING_GROUP_SMALL), 512);
    CHECK_UINT(server.conns.used, 0);
    ring_destroy(server.ring);
    pool_release(&server.conns);
}
