/* Streams of HTTP/2; private to the room.
 *
 * A stream is a connection without a socket: a struct conn whose bytes are HTTP/1.1, carried by the
 * HTTP/2 connection that it belongs to. Whoever handles an exchange (l7*.c, relay.c, authz.c) sees
 * no difference; conn.c sends what it would do with a socket here instead. */
#ifndef PROXY_STREAM_H
#define PROXY_STREAM_H

#include "conn.h"
#include "http2/h2.h"

enum stream_flag {
    STREAM_CHUNKED = 1,  /* the body that comes is framed in chunks for its reader */
    STREAM_ANSWERED = 2, /* our head was given; of an answer the final one */
    STREAM_FINISHED = 4, /* our message is out */
    STREAM_GONE = 8,     /* the session knows it no more */
    STREAM_REFUSED = 16, /* the peer has not looked at it */
    STREAM_WHOLE = 32,   /* the message that comes is a head alone */
    STREAM_HELD = 128,   /* `held` is the last octet of a request: whether no more come shows yet */
    STREAM_WAITS = 64,   /* the session had nothing to send of it: it is to be told when */
};

struct stream {
    struct mux *mux;
    struct conn *conn;
    struct list_link group;
    int32_t id;
    uint32_t flags;  /* enum stream_flag */
    uint64_t unused; /* bytes of DATA that the peer may not send anew yet */
    uint64_t owed;   /* bytes of a request that content-length announces and that are to come */
    uint8_t held;
    uint32_t trickle;      /* bytes sent since conn.sent_ms */
    struct spill trailers; /* of our message */
};

/* --- what conn.c does with a stream --- */

void stream_write(struct proxy *proxy, struct conn *conn, const struct bytes *parts,
                  uint32_t count);
bool stream_is_full(const struct conn *conn);
/* Its output has an end. */
void stream_shut(struct proxy *proxy, struct conn *conn);
/* Input was taken. */
void stream_taken(struct proxy *proxy, struct conn *conn);
void stream_close(struct proxy *proxy, struct conn *conn, bool reset);

/* --- what the phases do with one --- */

/* The head of an answer, interim or final, as HTTP/1.1 text. `end`: without a body. */
void stream_answer(struct proxy *proxy, struct conn *conn, struct bytes text, bool end);
/* The head of a request, likewise. */
void stream_ask(struct proxy *proxy, struct conn *conn, struct bytes text, bool end);
/* A line of trailers, to go behind the body. */
void stream_add_trailer(struct proxy *proxy, struct conn *conn, struct bytes line);

/* --- what the session tells (l7h2.c) --- */

/* How much of its output may be sent. */
struct h2_ready stream_ready(struct stream *stream, size_t max);
/* So much of it was. */
void stream_sent(struct proxy *proxy, struct stream *stream, size_t count);
/* Bytes for whoever handles it; their end. */
void stream_receive(struct proxy *proxy, struct stream *stream, struct bytes bytes);
void stream_end(struct proxy *proxy, struct stream *stream);

#endif
