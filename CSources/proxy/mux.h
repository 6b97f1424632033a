/* Connections that carry streams (stream.h); private to the room. */
#ifndef PROXY_MUX_H
#define PROXY_MUX_H

#include "stream.h"

enum mux_flag {
    MUX_LISTED = 1,  /* in proxy.muxes */
    MUX_WITHIN = 2,  /* a head is not complete, since `since_ms` */
    MUX_LEAVING = 4, /* the peer was told that no more streams are taken */
    MUX_FINAL = 8,   /* ... and those that were on their way are refused */
    MUX_LEFT = 32,   /* no more streams are opened: the peer said so, or another worker waits */
    MUX_OVER = 16,   /* nothing that comes is looked at any more */
    MUX_LOST = 64,   /* ... and what is left are answers that came whole and are being passed on */
};

struct mux {
    struct proxy *proxy;
    struct conn *conn;
    struct h2_session *session;
    struct list_link turn;    /* proxy.muxes: has something to send */
    struct list_link pool;    /* upstream: a bucket of uppool.muxes, while it takes streams */
    struct list_link streams; /* by stream.group */
    uint32_t flags;           /* enum mux_flag */
    uint32_t open;            /* streams */
    uint64_t held;            /* bytes of all streams' output that wait */
    uint64_t since_ms;        /* when the present wait began: a head, or without streams */
};

/* Makes the connection one that carries streams; NULL when memory is out. */
struct mux *mux_create(struct proxy *proxy, struct conn *conn);
/* The connection is being closed: its streams fail. */
void mux_end(struct proxy *proxy, struct conn *conn);
/* All its streams do but those whose answer is here to its end, and it gets no more. Without
 * streams it is the caller's to close; else the last of them closes it. */
void mux_fail(struct proxy *proxy, struct mux *mux, enum abi_outcome outcome);
/* A stream on it, or NULL. `id` 0: it has none yet. */
struct conn *mux_open(struct mux *mux, const struct conn_ops *ops, int32_t id);
/* It has something to send in this turn. */
void mux_list(struct proxy *proxy, struct mux *mux);
/* Sends what the turn has brought. */
void mux_flush(struct proxy *proxy);
/* Everything was said: closes it when that is sent. */
void mux_finish(struct proxy *proxy, struct conn *conn);
/* The round trip after the notice of leaving is over. */
void mux_answered(void *context);

#endif
