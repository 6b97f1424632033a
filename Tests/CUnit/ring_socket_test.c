/* Immediate operations: short writes, options, broken peers. */
#include "ring_kit.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cunit.h"

enum { KIND_POLL = 1 };

/* The peer does not read: what the socket takes is told exactly, then 0; POLLOUT says when there is
 * room again; no byte is lost or doubled. */
RING_TEST(short_writes_add_up)
{
    enum { TOTAL = 8 * 1024 * 1024 };
    struct ring *ring = kit_ring();
    uint8_t *data = malloc(TOTAL);
    uint8_t back[65536];
    size_t sent = 0;
    size_t got = 0;
    uint32_t blocked = 0;
    int ends[2];

    kit_fill(data, 0, TOTAL);
    kit_pair(ends);
    while (sent < TOTAL) {
        size_t half = (TOTAL - sent) / 2;
        const struct iovec parts[3] = {
            {data + sent, half},
            {data + sent + half, TOTAL - sent - half},
            {data, 0},
        };
        ssize_t took = ring_send(ring, ends[0], parts, 3);

        if (!CHECK(took >= 0)) {
            break;
        }
        sent += (size_t)took;
        if (took > 0) {
            continue;
        }
        blocked++;
        ring_poll(ring, ends[0], POLLOUT, ring_token(KIND_POLL, 1, 1));
        if (blocked == 1) {
            CHECK_UINT(kit_next(ring, KIT_MOMENT).token, 0);
        }
        while (kit_next(ring, 0).token == 0) {
            ssize_t part = recv(ends[1], back, sizeof(back), MSG_DONTWAIT);

            if (part > 0) {
                CHECK(kit_matches(bytes_of(back, (size_t)part), got));
                got += (size_t)part;
            }
        }
    }
    CHECK(blocked > 0);
    ring_close(ring, ends[0], false);
    kit_turn(ring);
    for (ssize_t part; (part = recv(ends[1], back, sizeof(back), 0)) > 0; got += (size_t)part) {
        CHECK(kit_matches(bytes_of(back, (size_t)part), got));
    }
    CHECK_UINT(got, TOTAL);
    close(ends[1]);
    free(data);
    ring_destroy(ring);
}

RING_TEST(sending_to_a_broken_connection_is_an_error_and_no_signal)
{
    const struct linger now = {.l_onoff = 1};
    struct iovec part = {(void *)"x", 1};
    struct ring *ring = kit_ring();
    int ends[2];

    kit_pair(ends);
    setsockopt(ends[1], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(ends[1]);
    CHECK_INT(ring_send(ring, ends[0], &part, 1), -ECONNRESET);
    CHECK_INT(ring_send(ring, ends[0], &part, 1), -EPIPE);
    ring_shutdown_write(ring, ends[0]); /* harmless */
    ring_close(ring, ends[0], false);
    ring_destroy(ring);
}

RING_TEST(sockets_carry_their_options)
{
    struct ring *ring = kit_ring();
    char name[16] = "";
    socklen_t length = sizeof(name);
    int value = 0;
    int fd = ring_socket(ring, AF_INET6, "reno");

    CHECK(fd >= 0);
    CHECK_INT(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &length), 0);
    CHECK_STRING(name, "reno");
    length = sizeof(value);
    CHECK_INT(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &length), 0);
    CHECK_INT(value, 1);
    close(fd);
    fd = ring_socket(ring, AF_INET, "no such algorithm"); /* the system's default stays */
    CHECK(fd >= 0);
    close(fd);
    fd = ring_socket(ring, AF_UNIX, NULL);
    CHECK(fd >= 0);
    close(fd);
    CHECK_INT(ring_socket(ring, 12345, NULL), -EAFNOSUPPORT);
    ring_destroy(ring);
}
