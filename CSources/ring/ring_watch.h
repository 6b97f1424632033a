/* The epoll engine's side of descriptors and operations: who waits for what. ring_watch.c arms and
 * ends operations, ring_epoll.c runs the turn. */
#ifndef RING_WATCH_H
#define RING_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "core/ring.h"

/* Operations that may be pending or ended at once, per descriptor on average: a receive, a poll for
 * either direction, a close. Their owner arms no more. */
#define RING_OPS_PER_FD 4u

/* Most descriptors that one turn asks the kernel about; the rest is told in the next. */
#define RING_TOLD_MAX 256u

enum ring_op_kind : uint8_t {
    RING_OP_POLL = 0, /* ends when its mask holds */
    RING_OP_CONNECT,  /* ends when the handshake has */
    RING_OP_RECV,     /* reads when something is there */
    RING_OP_ACCEPT,   /* accepts when somebody is there */
    RING_OP_CLOSE,    /* waits for the next turn */
};

/* An operation is in one list: of a descriptor (pending), of the ended ones whose event has not
 * been told, of the closes, or of the free ones. */
struct ring_op {
    uint64_t token;
    uint32_t next;  /* in its list; 0 = the last */
    int32_t result; /* of an ended one; the descriptor of a close */
    uint16_t mask;  /* of a poll */
    enum ring_op_kind kind;
    uint8_t group; /* of a receive */
    bool once;     /* a receive for one event */
};

enum ring_watch_flag {
    RING_WATCH_KNOWN = 1,    /* the kernel has it in its set */
    RING_WATCH_READABLE = 2, /* told so, and has not been read empty since */
    RING_WATCH_ENDED = 4,    /* its end or error is there too: a short read leaves it readable */
    RING_WATCH_QUEUED = 8,   /* in the list of the readable, though maybe another file by now */
    RING_WATCH_OURS = 16,    /* no other process has this file: closing it ends all telling */
};

/* What is known of one descriptor, by its number. All-zero: nothing. */
struct ring_watch {
    uint32_t ops;           /* pending; 0 = none */
    uint32_t next_readable; /* descriptor */
    uint16_t asked;         /* what the kernel tells edges of */
    uint8_t flags;          /* enum ring_watch_flag */
};

struct ring_op_list {
    uint32_t first;
    uint32_t last;
};

struct ring_watches {
    int epoll; /* the kernel's set */
    struct ring_watch *list;
    struct ring_op *ops; /* the first is never used: 0 is no operation */
    uint32_t ops_free;   /* list */
    uint32_t ops_fresh;  /* those from here on were never used */
    struct ring_op_list ended;
    struct ring_op_list closes;
    uint32_t readable_first; /* a list of descriptors, each at most once */
    uint32_t readable_last;
    uint32_t readable; /* how many */
    struct epoll_event told[RING_TOLD_MAX];
};

/* 0 or -errno. */
[[nodiscard]] int ring_watch_start(struct ring *ring);
void ring_watch_stop(struct ring *ring);

void ring_watch_accept(struct ring *ring, int listener, uint64_t token);
void ring_watch_recv(struct ring *ring, int fd, enum ring_group group, uint64_t token);
void ring_watch_recv_once(struct ring *ring, int fd, enum ring_group group, uint64_t token);
void ring_watch_poll(struct ring *ring, int fd, uint32_t mask, uint64_t token);
void ring_watch_connect(struct ring *ring, int fd, const struct sockaddr_storage *address,
                        socklen_t length, uint64_t token);
void ring_watch_cancel(struct ring *ring, int fd, uint64_t token);
void ring_watch_close(struct ring *ring, int fd, bool reset);

/* Closes what ring_watch_close() was asked to. */
void ring_watch_run_closes(struct ring *ring);
/* The kernel has told `mask` of `fd`: ends what waited for it, queues what can be read. */
void ring_watch_told(struct ring *ring, int fd, uint32_t mask);
/* Tells of ended operations: the number of events stored, at most `max`. */
uint32_t ring_watch_tell_ended(struct ring *ring, struct ring_event *events, uint32_t max);
/* The next descriptor in the list of the readable, out of it; there must be one. */
int ring_watch_next_readable(struct ring *ring);
/* Puts it (back) at the end if it is readable and somebody waits for that. */
void ring_watch_queue(struct ring *ring, int fd);
/* The pending receive or accept of `fd`; NULL: none. */
struct ring_op *ring_watch_reader(struct ring *ring, int fd);
/* That operation is over, its last event made by the caller. */
void ring_watch_drop_reader(struct ring *ring, int fd);
/* No other process has this file. */
void ring_watch_accepted(struct ring *ring, int fd);
/* What was known of this number is about a file that is gone. */
void ring_watch_forget(struct ring *ring, int fd);

#endif
