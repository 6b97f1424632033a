/* What the files of this room share: the memory of a ring, whichever engine drives it. */
#ifndef RING_PARTS_H
#define RING_PARTS_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "core/ring.h"
#include "ring_watch.h"

#define RING_NS 1000000000ull

/* Buffer ids are 15 bits of index and, for completions of io_uring, which do not tell their group,
 * one of group. */
#define RING_GROUP_BIT 15u

/* What differs between the engines. Chosen at the start and constant from there on; operations that
 * the owner calls per message (send, splice, buffers) are the same for both and not in here. */
struct ring_engine {
    enum ring_engine_kind kind;
    const char *name;
    /* With the buffers and the number of descriptors set. 0, or -errno and maybe a likely cause;
     * stop() follows in any case. */
    int (*start)(struct ring *ring, const struct ring_config *config, const char **hint);
    void (*stop)(struct ring *ring);
    const char *(*mode)(const struct ring *ring);
    /* As the functions of core/ring.h. */
    int (*wait)(struct ring *ring, uint64_t timeout_ns, struct ring_event *events, uint32_t max);
    void (*accept)(struct ring *ring, int listener, uint64_t token);
    void (*recv)(struct ring *ring, int fd, enum ring_group group, uint64_t token);
    void (*recv_once)(struct ring *ring, int fd, enum ring_group group, uint64_t token);
    void (*poll)(struct ring *ring, int fd, uint32_t mask, uint64_t token);
    void (*connect)(struct ring *ring, int fd, const struct sockaddr_storage *address,
                    socklen_t length, uint64_t token);
    void (*cancel)(struct ring *ring, int fd, uint64_t token);
    void (*close)(struct ring *ring, int fd, bool reset);
};

extern const struct ring_engine ring_uring_engine;
extern const struct ring_engine ring_epoll_engine;

/* io_uring: which pending operations a descriptor may have. Their tokens are kept, one of each use,
 * so that ring_close() can end them by token. The kernel finds an operation by its token in a hash
 * table; by its descriptor only by walking over all of them. */
enum ring_use {
    RING_USE_START = 0, /* accept or connect */
    RING_USE_RECV = 1,
    RING_USE_POLL_IN = 2, /* poll without POLLOUT */
    RING_USE_POLL_OUT = 3,
    RING_USE_COUNT,
};

struct ring_fd {
    uint64_t tokens[RING_USE_COUNT];
    uint8_t used;    /* bit per use: its token was armed on this descriptor */
    uint8_t crowded; /* two tokens met in one use: ring_close() walks */
};

/* Receive buffers of one group. `stack` holds the idle ones, the warmest on top. Of io_uring, only
 * a window of them is given to the kernel, which uses them first in, first out: so what light
 * traffic touches stays small and warm. The window grows when the kernel runs dry. */
struct ring_buffers {
    struct io_uring_buf_ring *shared; /* NULL with epoll, which offers none */
    uint8_t *memory;
    uint16_t *stack;
    uint32_t size;     /* bytes of one buffer */
    uint32_t stride;   /* bytes from one to the next */
    uint32_t capacity; /* a power of two */
    uint32_t idle;     /* on the stack */
    uint32_t offered;  /* with the kernel, or in completions not reaped yet */
    uint32_t lent;     /* with the owner; idle + offered + lent == capacity */
    uint32_t window;   /* most to offer */
    uint32_t peak;     /* most taken between two refills, lately */
    uint32_t refills;  /* since the window was last looked at */
};

struct ring_pipes {
    int (*ends)[2]; /* idle pipes */
    uint32_t idle;
    uint32_t open; /* idle or taken */
    uint32_t max;
};

struct ring {
    const struct ring_engine *engine;
    int broken; /* -errno of a ring that cannot go on, else 0 */
    uint64_t now_ns;
    uint32_t fd_count; /* descriptors that the tables have room for */
    struct ring_pipes pipes;
    struct ring_buffers buffers[RING_GROUP_COUNT];
    struct ring_stats stats;

    /* io_uring */
    struct io_uring uring; /* mapped by liburing; its own submission counters are not used */
    uint32_t sq_tail;      /* next entry to fill; published by ring_enter() */
    struct sockaddr_storage *addresses; /* of connects, one per submission entry */
    struct ring_fd *fds;

    /* epoll */
    struct ring_watches watches;
};

/* Sets now_ns. */
void ring_read_clock(struct ring *ring);

/* Makes the coming close of a socket send RST. */
void ring_will_reset(int fd);

/* Zeroed pages that cost nothing until touched, or NULL. */
void *ring_pages(size_t size);
void ring_pages_release(void *at, size_t size);

/* 0 or -errno. */
[[nodiscard]] int ring_buffers_init(struct ring *ring, enum ring_group group, uint32_t capacity);
void ring_buffers_release(struct ring *ring, enum ring_group group);
/* Room for one receive, or false when no buffer is idle, which is counted. What was received goes
 * with an event by ring_buffers_lend_taken(); without it the room is simply not used. */
[[nodiscard]] bool ring_buffers_take(struct ring *ring, enum ring_group group, struct iovec *room);
void ring_buffers_lend_taken(struct ring *ring, enum ring_group group, struct ring_event *event);

[[nodiscard]] int ring_pipes_init(struct ring_pipes *pipes, uint32_t max);
void ring_pipes_release(struct ring_pipes *pipes);

#endif
