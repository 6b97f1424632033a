/* What the files of this room share: the ring's memory and how one gets a submission entry. */
#ifndef RING_PARTS_H
#define RING_PARTS_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/ring.h"

/* User data of the room's own operations, of a kind that no owner's token has. */
#define RING_OWN_CANCEL (~0ULL)
#define RING_OWN_CLOSE  (~0ULL - 1)

/* Buffer ids are 15 bits of index and one of group: a completion does not tell its group. */
#define RING_GROUP_BIT 15u

/* Which pending operations a descriptor may have: their tokens are kept, one of each use, so that
 * ring_close() can end them by token. The kernel finds an operation by its token in a hash table;
 * by its descriptor only by walking over all of them. */
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

/* Receive buffers of one group. `stack` holds the idle ones, the warmest on top. Only a window of
 * them is given to the kernel, which uses them first in, first out: so what light traffic touches
 * stays small and warm. The window grows when the kernel runs dry. */
struct ring_buffers {
    struct io_uring_buf_ring *shared;
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
    struct io_uring uring; /* mapped by liburing; its own submission counters are not used */
    uint32_t sq_tail;      /* next entry to fill; published by ring_enter() */
    int broken;            /* -errno of a ring that cannot go on, else 0 */
    uint64_t now_ns;
    struct sockaddr_storage *addresses; /* of connects, one per submission entry */
    struct ring_fd *fds;
    uint32_t fd_count;
    struct ring_pipes pipes;
    struct ring_buffers buffers[RING_GROUP_COUNT];
    struct ring_stats stats;
};

/* A fresh entry; a full queue is submitted first. Never NULL: on a broken ring it is one that will
 * not be submitted. */
struct io_uring_sqe *ring_sqe(struct ring *ring);

/* Sets now_ns. */
void ring_read_clock(struct ring *ring);

/* Zeroed pages that cost nothing until touched, or NULL. */
void *ring_pages(size_t size);
void ring_pages_release(void *at, size_t size);

/* 0 or -errno. */
[[nodiscard]] int ring_buffers_init(struct ring *ring, enum ring_group group, uint32_t capacity);
void ring_buffers_release(struct ring *ring, enum ring_group group);
/* Offers idle buffers to the kernel up to the window. */
void ring_buffers_refill(struct ring *ring, enum ring_group group);
/* A completion brought the buffer with this id: sets the event's buffer, group and flag. */
void ring_buffers_lend(struct ring *ring, uint16_t id, struct ring_event *event);
/* A receive found nothing: a group that ran dry with idle buffers left gets a bigger window. */
void ring_buffers_starved(struct ring *ring);

[[nodiscard]] int ring_pipes_init(struct ring_pipes *pipes, uint32_t max);
void ring_pipes_release(struct ring_pipes *pipes);

#endif
