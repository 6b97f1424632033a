/* What ring_close() costs while many other operations are pending: by token, as it does, or by
 * descriptor, as it does only when it lost track.
 *
 * usage: close PENDING token|walk */
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include "core/ring.h"

enum { KIND_RECV = 1, KIND_FIRST, KIND_SECOND, CLOSED = 500, EVENTS = 256 };

static uint64_t cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static void drain(struct ring *ring)
{
    struct ring_event events[EVENTS];

    while (ring_wait(ring, 0, events, EVENTS) > 0) {
    }
}

/* A socket with a receive pending, and for a walk two owners' polls. */
static int open_one(struct ring *ring, uint32_t slot, bool walk)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0) {
        perror("close: socketpair");
        exit(70);
    }
    ring_recv(ring, ends[0], RING_GROUP_SMALL, ring_token(KIND_RECV, slot, 1));
    if (walk) {
        ring_poll(ring, ends[0], POLLIN, ring_token(KIND_FIRST, slot, 1));
        ring_poll(ring, ends[0], POLLIN, ring_token(KIND_SECOND, slot, 1));
    }
    return ends[0];
}

int main(int argc, char **argv)
{
    const struct ring_config config = {.entries = 1024, .small_buffers = 64, .large_buffers = 1};
    const struct rlimit files = {20000, 20000};
    static int fds[CLOSED];
    struct ring *ring = NULL;
    const char *hint = NULL;
    uint32_t pending = argc == 3 ? (uint32_t)atoi(argv[1]) : 0;
    bool walk = argc == 3 && strcmp(argv[2], "walk") == 0;
    uint64_t before;

    if (argc != 3 || pending > 9000) {
        fprintf(stderr, "usage: close PENDING token|walk (at most 9000)\n");
        return 64;
    }
    if (setrlimit(RLIMIT_NOFILE, &files) != 0 || ring_create(&config, &ring, &hint) != 0) {
        fprintf(stderr, "close: no ring: %s\n", hint != NULL ? hint : "limit of descriptors");
        return 70;
    }
    for (uint32_t i = 0; i < pending; i++) {
        (void)open_one(ring, i, false);
    }
    for (uint32_t i = 0; i < CLOSED; i++) {
        fds[i] = open_one(ring, pending + i, walk);
    }
    drain(ring);
    before = cpu_ns();
    for (uint32_t i = 0; i < CLOSED; i++) {
        ring_close(ring, fds[i], false);
        drain(ring);
    }
    printf("%u pending, by %s: %.2f us per close\n", pending, walk ? "walk" : "token",
           (double)(cpu_ns() - before) / (1e3 * (double)CLOSED));
    ring_destroy(ring);
    return 0;
}
