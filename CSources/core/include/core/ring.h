/* The interface of a worker's ring: what the protocols may ask of the kernel. `ring/` implements it
 * with two engines, io_uring and epoll, one of which is chosen when a ring is made; `Tests/Sim`
 * implements it with a simulated kernel and is chosen at link time.
 *
 * Order of a loop turn: ring_wait() submits what was queued, reaps completions into an array and
 * returns; the caller then runs them one by one. Nothing is called back from inside the ring.
 *
 * Tokens. Every operation carries a 64-bit token of its owner: kind, slot and generation (see
 * ring_token). The ring never looks inside. An event whose generation is no longer the slot's
 * belongs to a closed object: its owner drops it with ring_event_drop(), which also gives a buffer
 * back. At any time the operations with one token are on one descriptor; a slot that gets a new
 * descriptor takes a new generation, or the last events of the old one would pass for the new
 * one's.
 *
 * Descriptors are the caller's until ring_close(). Receive buffers belong to the ring: an event
 * lends one until ring_buffer_return(). Sending is immediate (see ring_send). */
#ifndef CORE_RING_H
#define CORE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/bytes.h"

#define RING_KIND_OWN 255 /* kind of no owner's token */

/* kind: 8 bits, slot: 24 bits, generation: 32 bits. */
static inline uint64_t ring_token(uint8_t kind, uint32_t slot, uint32_t generation)
{
    MUST(slot < (1u << 24));
    return (uint64_t)kind << 56 | (uint64_t)slot << 32 | generation;
}

/* The same slot and generation, for another kind of operation. */
static inline uint64_t ring_token_as(uint64_t token, uint8_t kind)
{
    return (token & (UINT64_MAX >> 8)) | (uint64_t)kind << 56;
}

static inline uint8_t ring_token_kind(uint64_t token)
{
    return (uint8_t)(token >> 56);
}

static inline uint32_t ring_token_slot(uint64_t token)
{
    return (uint32_t)(token >> 32) & 0xffffffu;
}

static inline uint32_t ring_token_generation(uint64_t token)
{
    return (uint32_t)token;
}

/* Which pool of receive buffers an operation draws from. */
enum ring_group {
    RING_GROUP_SMALL = 0, /* messages: RING_SMALL_SIZE bytes each */
    RING_GROUP_LARGE = 1, /* bulk: RING_LARGE_SIZE bytes each */
    RING_GROUP_COUNT,
};

#define RING_SMALL_SIZE 4096u
#define RING_LARGE_SIZE 65536u

enum ring_event_flag {
    RING_EVENT_MORE = 1,   /* the multishot operation stays armed */
    RING_EVENT_BUFFER = 2, /* `buffer` of `group` is lent with this event */
};

struct ring_event {
    uint64_t token;
    int32_t result; /* as the system call's: count, descriptor, poll mask or -errno */
    uint16_t buffer;
    uint8_t group; /* enum ring_group */
    uint8_t flags; /* enum ring_event_flag */
};

enum ring_engine_kind {
    RING_ENGINE_AUTO = 0, /* io_uring where the kernel allows it, else epoll */
    RING_ENGINE_URING = 1,
    RING_ENGINE_URING_COOPERATIVE = 2, /* as kernels before 6.1 run it: for tests and comparisons */
    RING_ENGINE_EPOLL = 3,
};

struct ring_config {
    enum ring_engine_kind engine;
    uint32_t entries;       /* submission queue size; a full queue is submitted early */
    uint32_t small_buffers; /* a power of two, at most 32768 */
    uint32_t large_buffers; /* a power of two */
    uint32_t pipes;         /* at most this many pipes for splice */
};

/* Counted since the start. */
struct ring_stats {
    uint64_t enters;      /* system calls that wait, and with io_uring submit */
    uint64_t events;      /* handed out by ring_wait() */
    uint64_t sends;       /* calls of ring_send() */
    uint64_t splices;     /* calls of ring_splice() */
    uint64_t queue_full;  /* early submissions, the queue being full */
    uint64_t starved;     /* receives that ended with -ENOBUFS */
    uint64_t close_walks; /* closes that had to look at every pending operation */
};

struct ring;

/* 0 and *out, or -errno. `hint` (may be NULL) is set to the likely cause of the failure (static
 * text: an old kernel, a seccomp profile, RLIMIT_MEMLOCK) or to NULL; with RING_ENGINE_AUTO and 0
 * it says why the ring is not io_uring's. The ring belongs to the calling thread. */
[[nodiscard]] int ring_create(const struct ring_config *config, struct ring **out,
                              const char **hint);
void ring_destroy(struct ring *ring);

/* "io_uring", "epoll" or "simulated". */
const char *ring_engine(const struct ring *ring);

const struct ring_stats *ring_stats(const struct ring *ring);

/* Submits, then waits until there is an event or `timeout_ns` has passed (0: does not wait).
 * Returns the number of events stored, at most `max`; the rest stays for the next call. It may be 0
 * before the time has passed (a signal). -errno only for a broken ring. */
[[nodiscard]] int ring_wait(struct ring *ring, uint64_t timeout_ns, struct ring_event *events,
                            uint32_t max);

/* CLOCK_MONOTONIC in nanoseconds, read by ring_create() and once per ring_wait(). */
uint64_t ring_now_ns(const struct ring *ring);

/* Seconds since 1970 by the system's clock, which may jump: for dates in messages. Read at the
 * call. */
int64_t ring_wall_s(const struct ring *ring);

/* --- queued operations; each ends in at least one event with `token` --- */

/* Multishot: one event per connection; result = new non-blocking descriptor or -errno. */
void ring_accept(struct ring *ring, int listener, uint64_t token);

/* Multishot: result > 0 with a buffer; 0 = end of stream; -ENOBUFS = the group was empty: arm again
 * at once if ring_buffers_free() says there are some by now, else when ring_buffer_return() says
 * so; other -errno = broken. Without RING_EVENT_MORE it has ended and may be armed again. */
void ring_recv(struct ring *ring, int fd, enum ring_group group, uint64_t token);

/* As ring_recv(), but for one event only: bulk that must be paced by its consumer. */
void ring_recv_once(struct ring *ring, int fd, enum ring_group group, uint64_t token);

/* One event with the poll mask when any of `mask` (POLLIN, POLLOUT, POLLRDHUP) holds. */
void ring_poll(struct ring *ring, int fd, uint32_t mask, uint64_t token);

/* result 0 or -errno. The address is copied. */
void ring_connect(struct ring *ring, int fd, const struct sockaddr_storage *address,
                  socklen_t length, uint64_t token);

/* Ends every pending operation with this token, all of which are on `fd`; each still gives its last
 * event (-ECANCELED or what came first). The cancellation itself gives none. */
void ring_cancel(struct ring *ring, int fd, uint64_t token);

/* Ends every pending operation on `fd` and closes it. Last events of the ended operations still
 * come, with their tokens: the caller's generations tell them apart. `reset` sends RST. */
void ring_close(struct ring *ring, int fd, bool reset);

/* --- immediate operations --- */

/* Sends what the socket takes now: bytes sent, 0 when it takes none (poll for POLLOUT), or -errno.
 * `count` <= 64. */
[[nodiscard]] ssize_t ring_send(struct ring *ring, int fd, const struct iovec *parts, int count);

/* Half-close. -errno is not reported: a broken connection shows at its next receive. */
void ring_shutdown_write(struct ring *ring, int fd);

/* A non-blocking stream socket for `family` (AF_INET, AF_INET6, AF_UNIX), TCP_NODELAY set;
 * `congestion` is a NUL-terminated algorithm name or NULL. Descriptor or -errno. */
[[nodiscard]] int ring_socket(struct ring *ring, int family, const char *congestion);

/* A connection that waits at the listener, as ring_accept() would tell of it; -EAGAIN: none does;
 * or another -errno. No ring_accept() is pending there. */
[[nodiscard]] int ring_accept_now(struct ring *ring, int listener);

/* Options of an accepted connection: TCP_NODELAY and, unless NULL, the congestion control. */
void ring_accepted(struct ring *ring, int fd, const char *congestion);

/* Peer and local address of a connected socket. false when the kernel no longer knows. */
bool ring_peer(struct ring *ring, int fd, struct sockaddr_storage *peer);
bool ring_local(struct ring *ring, int fd, struct sockaddr_storage *local);

/* The address that an accepted connection was made to before the kernel redirected it. false: it
 * was made to this socket, or the kernel does not know. */
bool ring_original(struct ring *ring, int fd, struct sockaddr_storage *original);

/* --- receive buffers --- */

/* The bytes of an event that has RING_EVENT_BUFFER. */
struct bytes ring_event_bytes(const struct ring *ring, const struct ring_event *event);

/* Gives a lent buffer back. Returns true when its group was empty before: the caller then arms
 * again what had ended with -ENOBUFS. */
bool ring_buffer_return(struct ring *ring, uint8_t group, uint16_t buffer);

/* Drops an event nobody waits for: returns its buffer, closes an accepted descriptor. `accepts`
 * says that the token's kind was given to ring_accept(). */
void ring_event_drop(struct ring *ring, const struct ring_event *event, bool accepts);

/* Buffers of the group not lent at the moment. */
uint32_t ring_buffers_free(const struct ring *ring, enum ring_group group);

/* --- splice: bulk plaintext without copies --- */

/* A pipe of the pool: 0 and its two ends, or -ENFILE when all are in use. */
[[nodiscard]] int ring_pipe_take(struct ring *ring, int ends[2]);
/* `empty` says that nothing is left inside; a pipe that is not empty is closed, not pooled. */
void ring_pipe_give(struct ring *ring, const int ends[2], bool empty);
/* Moves at most `length` bytes without blocking: count; 0 = end of stream; -EAGAIN = not now;
 * other -errno = broken. */
[[nodiscard]] ssize_t ring_splice(struct ring *ring, int from, int to, size_t length, bool more);

#endif
