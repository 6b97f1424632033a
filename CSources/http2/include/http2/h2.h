/* HTTP/2 sessions (RFC 9113) over libnghttp2: bytes in, bytes out. No sockets, no clock, no memory
 * but that of struct h2_memory. One session belongs to one connection.
 *
 * Heads arrive as HTTP/1.1 text and are given as such, so that whoever handles a message has one
 * form of it, and one parser decides for both protocols what a head may be. What has a place in one
 * protocol only is translated here: pseudo fields, cookie crumbs, framing, extended CONNECT. */
#ifndef HTTP2_H2_H
#define HTTP2_H2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "http2/h2_memory.h"

struct h2_session;

enum h2_code { /* of RST_STREAM and GOAWAY (RFC 9113 7) */
               H2_NO_ERROR = 0,
               H2_PROTOCOL_ERROR = 1,
               H2_INTERNAL_ERROR = 2,
               H2_STREAM_CLOSED = 5,
               H2_FRAME_SIZE_ERROR = 6,
               H2_REFUSED_STREAM = 7,
               H2_CANCEL = 8,
               H2_CONNECT_ERROR = 10,
               H2_ENHANCE_YOUR_CALM = 11,
};

#define H2_MAX_HEAD 16384u /* bytes of a head as text */

/* What a session may take from its peer. */
struct h2_limits {
    uint32_t streams;       /* open at a time, announced */
    uint32_t head;          /* bytes of a list of fields, announced: each with 32 more */
    uint32_t fields;        /* of one head, crumbs of cookies one by one */
    uint32_t block;         /* bytes of a block of fields as it is compressed */
    uint32_t stream_window; /* bytes of a body that may be on their way or held */
    uint32_t window;        /* ... of all streams together */
    uint32_t calm;          /* frames in a row that do no work (h2_guard.c) */
    uint32_t calm_per_second;
};

enum h2_part {              /* what one piece of a message is */
               H2_HEAD = 0, /* text of a head */
               H2_TRAILERS, /* lines of trailers; the message is complete */
};

struct h2_message {
    struct bytes text; /* valid during the callback */
    uint8_t part;      /* enum h2_part */
    bool end;          /* nothing of the message follows */
    bool empty;        /* H2_HEAD: a body of no bytes is announced, its end is still to come */
    bool chunked;      /* H2_HEAD: the text says that the body comes in chunks */
    uint64_t length;   /* H2_HEAD: of the body, as content-length says; 0: it does not, or none */
    uint16_t refusal;  /* not 0: the status to refuse the request with; `text` is empty */
};

struct h2_ready {
    size_t count;          /* bytes of a body that may be sent now */
    bool last;             /* the message ends with them ... */
    struct bytes trailers; /* ... or with these lines; valid until the next callback */
};

/* What the session tells its owner; `stream` is what the owner attached, never NULL. A callback
 * must not end the session. */
struct h2_owner {
    /* Server: a request begins. NULL refuses the stream: it was not processed. */
    void *(*opened)(void *context, int32_t id);
    void (*message)(void *context, void *stream, const struct h2_message *message);
    /* Bytes of a body. They are the owner's to acknowledge: h2_consume(). */
    void (*data)(void *context, void *stream, struct bytes bytes);
    /* The peer's message ends without trailers. */
    void (*ended)(void *context, void *stream);
    /* The stream is no more; `code` is H2_NO_ERROR when both sides ended it. */
    void (*closed)(void *context, void *stream, uint32_t code);
    /* How much of a body may be sent now, at most `max`. */
    struct h2_ready (*ready)(void *context, void *stream, size_t max);
    /* Emits `count` bytes of that body behind what was emitted so far. */
    void (*emit_data)(void *context, void *stream, size_t count);
    /* Our message is out, to its end. */
    void (*finished)(void *context, void *stream);
    /* Emits bytes of the connection. */
    void (*emit)(void *context, struct bytes bytes);
    /* The peer's settings came or changed. */
    void (*settled)(void *context);
    /* The peer answered h2_ping(). */
    void (*answered)(void *context);
    /* The peer takes no more streams. */
    void (*leaving)(void *context);
};

struct h2_config {
    bool server;
    bool secure;   /* client: the scheme is https */
    uint64_t seed; /* of keys that HTTP/1.1 wants for WebSocket; any number */
    struct h2_limits limits;
    struct h2_memory *memory;
    const struct h2_owner *owner; /* static */
    void *context;
};

/* NULL when memory is out. Its settings wait for h2_send(). */
[[nodiscard]] struct h2_session *h2_create(const struct h2_config *config);
void h2_destroy(struct h2_session *session);

/* Takes all of `in`. false: the session is over, and with what h2_send() emits all is said. */
[[nodiscard]] bool h2_receive(struct h2_session *session, struct bytes in, uint64_t now_ms);

/* Emits what waits, until more than about `most` bytes were emitted. true: nothing is left that may
 * be sent now. */
bool h2_send(struct h2_session *session, size_t most);

/* Whether neither side has anything to say any more. */
bool h2_is_over(const struct h2_session *session);
/* Whether the peer is within a block of fields, or has not yet sent its settings. */
bool h2_is_within_head(const struct h2_session *session);

/* --- streams --- */

/* Server: an answer's head, interim or final, as HTTP/1.1 text. `end`: no body follows. */
[[nodiscard]] bool h2_answer(struct h2_session *session, int32_t id, struct bytes text, bool end);
/* Client: a request's. The stream's id, or 0: the peer takes no more, or memory is out. */
[[nodiscard]] int32_t h2_request(struct h2_session *session, void *stream, struct bytes text,
                                 bool end);
/* There is something of the body, or its end. */
void h2_resume(struct h2_session *session, int32_t id);
void h2_reset(struct h2_session *session, int32_t id, enum h2_code code);
/* As both of the next, where the peer may be about to end the stream: it is reset only if it has
 * not by the next h2_send(). */
void h2_abandon(struct h2_session *session, int32_t id, enum h2_code code);
/* The owner's pointer is of no use any more: the session tells nothing about the stream. */
void h2_forget(struct h2_session *session, int32_t id);
/* The owner has used so many bytes of bodies, of a stream (or of none that is open, 0). */
void h2_consume(struct h2_session *session, int32_t id, size_t count);

/* --- the connection --- */

/* No new streams: told at once to those who can wait a moment (`final` false: those on their way
 * are still served), or now. */
void h2_leave(struct h2_session *session, bool final);
/* Ends it for a fault of the peer. */
void h2_terminate(struct h2_session *session, enum h2_code code);
void h2_ping(struct h2_session *session);
/* Client: how many more streams the peer would take now. */
uint32_t h2_room(const struct h2_session *session);
/* Client: whether the peer takes extended CONNECT (RFC 8441). */
bool h2_takes_protocols(const struct h2_session *session);

#endif
