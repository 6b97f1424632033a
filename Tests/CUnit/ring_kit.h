/* Sockets and a ring for the tests of the ring room: real kernel, loopback only. */
#ifndef RING_KIT_H
#define RING_KIT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/ring.h"

#define KIT_MS      1000000ull
#define KIT_PATIENT (60000 * KIT_MS) /* for something that must come; it may be a busy machine */
#define KIT_MOMENT  (30 * KIT_MS)    /* for something that must not */

/* Defines a test that runs on every engine: on io_uring as it is chosen here, on io_uring as
 * kernels before 6.1 run it, and on epoll. kit_ring() makes rings of the engine whose turn it is.
 */
#define RING_TEST(name)                                                                            \
    static void name##_on_each(void);                                                              \
    TEST(name##_io_uring)                                                                          \
    {                                                                                              \
        kit_engine = RING_ENGINE_URING;                                                            \
        name##_on_each();                                                                          \
    }                                                                                              \
    TEST(name##_io_uring_cooperative)                                                              \
    {                                                                                              \
        kit_engine = RING_ENGINE_URING_COOPERATIVE;                                                \
        name##_on_each();                                                                          \
    }                                                                                              \
    TEST(name##_epoll)                                                                             \
    {                                                                                              \
        kit_engine = RING_ENGINE_EPOLL;                                                            \
        name##_on_each();                                                                          \
    }                                                                                              \
    static void name##_on_each(void)

extern enum ring_engine_kind kit_engine;

/* A ring with 64 entries, 64 small and 8 large buffers and 4 pipes; the test is skipped where it is
 * to be io_uring's and the kernel forbids that. */
struct ring *kit_ring(void);
struct ring *kit_ring_of(const struct ring_config *config);

/* The next event, at most `timeout_ns` away; token 0 when none came. */
struct ring_event kit_next(struct ring *ring, uint64_t timeout_ns);
/* The next event with that token; others in between are dropped. */
struct ring_event kit_expect(struct ring *ring, uint64_t token);
/* Submits what is queued and runs the ring's own work; no event may come. */
void kit_turn(struct ring *ring);

/* Loopback TCP. A listener on a free port; its address is stored. */
int kit_listener(struct sockaddr_storage *address, int backlog);
/* A connected pair: ends[0] non-blocking for the ring, ends[1] blocking with a time limit. */
void kit_pair(int ends[2]);
/* Whether the peer's next read tells the end (0) or what else: count or -errno. */
int kit_read(int fd);
/* Descriptors that this process has open. */
uint32_t kit_open_fds(void);

/* `count` bytes of a stream without short periods, from position `at`. */
void kit_fill(uint8_t *to, uint64_t at, size_t count);
bool kit_matches(struct bytes in, uint64_t at);

#endif
