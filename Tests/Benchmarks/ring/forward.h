/* Bare L4 forwarders that differ only in how they move bytes: what a proxy cannot do better than.
 * All share this: one thread, connections of 127.0.0.1, Reno and TCP_NODELAY on every socket, no
 * timeouts, no limits beyond FORWARD_PAIRS_MAX connections. */
#ifndef FORWARD_H
#define FORWARD_H

#include <stdbool.h>
#include <stdint.h>

#define FORWARD_PAIRS_MAX  1024
#define FORWARD_LANES_MAX  (2 * FORWARD_PAIRS_MAX)
#define FORWARD_PIPE_SIZE  (256 * 1024)
#define FORWARD_CONGESTION "reno"

struct forward_options {
    int listener;
    uint16_t upstream; /* port */
    bool large;        /* bulk: 64 KiB receive buffers instead of 4 KiB */
    bool once;         /* forward_ring: one-shot receives */
    bool splice;       /* splice instead of copying */
    bool level;        /* forward_epoll: level-triggered */
};

/* Each serves until it is killed. */
void forward_epoll(const struct forward_options *options);
void forward_ring(const struct forward_options *options);
void forward_uring(const struct forward_options *options);

/* A connected non-blocking socket to 127.0.0.1:port. */
int forward_dial(uint16_t port);
/* Options of a socket of this program. */
void forward_tune(int fd);
/* Ends the program with the reason; benchmarks do not go on after an error. */
[[noreturn]] void forward_fail(const char *what, int err);

#endif
