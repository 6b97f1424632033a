/* HTTP/2 connections, which carry streams (stream.h); private to the room. */
#ifndef PROXY_L7H2_H
#define PROXY_L7H2_H

#include "stream.h"

enum mux_flag {
    MUX_LISTED = 1,  /* in proxy.muxes */
    MUX_WITHIN = 2,  /* a head is not complete, since `since_ms` */
    MUX_LEAVING = 4, /* the peer was told that no more streams are taken */
    MUX_FINAL = 8,   /* ... and those that were on their way are refused */
    MUX_LEFT = 32,   /* the peer said that it opens no more streams */
    MUX_OVER = 16,   /* nothing that comes is looked at any more */
};

struct mux {
    struct proxy *proxy;
    struct conn *conn;
    struct h2_session *session;
    struct list_link turn;    /* proxy.muxes: has something to send */
    struct list_link streams; /* by stream.group */
    uint32_t flags;           /* enum mux_flag */
    uint32_t open;            /* streams */
    uint64_t held;            /* bytes of all streams' output that wait */
    uint64_t since_ms;        /* when the present wait began: a head, or without streams */
};

/* The connection speaks HTTP/2 from its first byte on. */
void l7h2_start(struct proxy *proxy, struct conn *conn);
/* Whether `in` is the beginning of HTTP/2 without TLS, as far as it goes. */
bool l7h2_is_preface(struct bytes in);
#define L7H2_PREFACE_SIZE 24u

/* Sends what the turn has brought. */
void l7h2_flush(struct proxy *proxy);
/* No more streams; those that are open are served. */
void l7h2_leave(struct proxy *proxy, struct conn *conn);
/* ... and those that are on their way are not taken either. */
void l7h2_leave_now(struct proxy *proxy, struct conn *conn);
/* The connection is being closed: its streams fail. */
void l7h2_end(struct proxy *proxy, struct conn *conn);

#endif
