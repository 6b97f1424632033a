/* Between the files of the room. */
#ifndef HTTP2_H2_PRIVATE_H
#define HTTP2_H2_PRIVATE_H

#include <nghttp2/nghttp2.h>

#include "http2/h2.h"

/* --- h2_guard.c: frames counted before the library sees them --- */

struct h2_guard {
    uint8_t preface; /* bytes of the client's preface still to come */
    uint8_t have;    /* of the header of a frame */
    bool within;     /* a block of fields: no END_HEADERS yet, or its frame is not complete */
    bool closes;     /* it ends with the frame at hand */
    uint32_t left;   /* bytes of the frame's payload */
    uint32_t id;     /* its stream */
    uint32_t block;  /* bytes of the block so far */
    uint32_t credit; /* frames that do no work and are still let through */
    uint64_t filled_ms;
    uint8_t header[9];
    uint8_t dependency; /* bytes of PRIORITY in `depends` */
    uint8_t depends[4];
};

void h2_guard_start(struct h2_guard *guard, const struct h2_limits *limits, bool server);
/* Credit for the time that has passed. */
void h2_guard_refill(struct h2_guard *guard, const struct h2_limits *limits, uint64_t now_ms);
/* Looks at the beginning of *in, at most to the end of one frame's header or payload, and cuts it
 * off. *header: that was a header, of the frame that the guard describes now. H2_NO_ERROR, or what
 * to end the connection with. */
[[nodiscard]] enum h2_code h2_guard_step(struct h2_guard *guard, const struct h2_limits *limits,
                                         struct bytes *in, bool *header);
/* false: enough. */
[[nodiscard]] bool h2_guard_charge(struct h2_guard *guard, uint32_t cost);
void h2_guard_repay(struct h2_guard *guard, const struct h2_limits *limits, uint32_t amount);

/* --- h2_head.c: blocks of fields become text --- */

enum h2_pseudo {
    H2_PSEUDO_METHOD = 0,
    H2_PSEUDO_SCHEME,
    H2_PSEUDO_AUTHORITY,
    H2_PSEUDO_PATH,
    H2_PSEUDO_PROTOCOL,
    H2_PSEUDO_STATUS,
    H2_PSEUDO_COUNT
};

/* A block on its way in. */
struct h2_block {
    int32_t stream;
    uint8_t part;       /* enum h2_part */
    bool begun;         /* its first line is written */
    bool length;        /* it has Content-Length ... */
    bool empty;         /* ... of 0 */
    uint64_t announced; /* bytes of the body, by content-length */
    bool connects;      /* CONNECT, plain or extended: what follows is no body */
    uint16_t refusal;
    uint32_t used;   /* of `text` */
    uint32_t listed; /* bytes as SETTINGS_MAX_HEADER_LIST_SIZE counts them */
    uint32_t fields;
    uint32_t cookie; /* bytes of `cookies` */
    nghttp2_rcbuf *pseudo[H2_PSEUDO_COUNT];
    uint8_t text[H2_MAX_HEAD + 256]; /* and what is added to it */
    uint8_t cookies[H2_MAX_HEAD];    /* the crumbs, joined */
};

#define H2_RESETS    32u /* remembered */
#define H2_ABANDONED 32u

struct h2_session {
    nghttp2_session *library;
    const struct h2_owner *owner;
    void *context;
    struct h2_memory *memory;
    struct h2_limits limits;
    struct h2_guard guard;
    struct h2_block *block; /* of the block on its way, or NULL */
    uint64_t seed;
    size_t emitted; /* in this h2_send() */
    bool server;
    bool secure;
    bool settled;   /* the peer's settings came */
    bool angry;     /* the guard has had enough */
    bool finished;  /* nothing that comes is looked at any more */
    bool ended;     /* ... and the peer was told so */
    bool left;      /* the peer was told which stream was the last */
    bool said_last; /* GOAWAY was submitted: `said` is the last stream that is served */
    int32_t said;
    int32_t asked;    /* client: the last request that was sent; others wait for their turn */
    uint8_t fault;    /* enum h2_code: why a callback stopped the library */
    int32_t known_id; /* a stream that is open, 0: none is kept in mind ... */
    void *known;      /* ... and what its owner attached */
    int32_t last;     /* greatest number of a stream that the peer opened */
    uint64_t opened;  /* bit i: so did it `last` - 2i */
    uint32_t resets;  /* streams that we reset: their frames may still be on their way */
    int32_t reset[H2_RESETS];
    uint32_t abandoned_count;
    struct {
        int32_t id;
        uint32_t code;
    } abandoned[H2_ABANDONED]; /* to be reset, unless they end before */
};

/* h2_callbacks.c; NULL: memory was out. */
nghttp2_session_callbacks *h2_callbacks(void);
nghttp2_option *h2_options(void);
/* Whether the stream was, and its peer must know that it is no more. */
bool h2_is_closed(const struct h2_session *session, int32_t id);

/* A block begins. NULL: memory is out. */
struct h2_block *h2_block_open(struct h2_session *session, const nghttp2_frame *frame);
void h2_block_drop(struct h2_session *session);
/* false: it is so far above the limits that it is not even read to its end. */
bool h2_block_add(struct h2_session *session, nghttp2_rcbuf *name, nghttp2_rcbuf *value);
/* It is complete: the message for the owner, with slices of the block. */
struct h2_message h2_block_close(struct h2_session *session, bool end);

/* --- h2_fields.c: text becomes lists of fields --- */

#define H2_MAX_LIST 160u

struct h2_list {
    size_t count;
    uint16_t status; /* of an answer */
    nghttp2_nv fields[H2_MAX_LIST];
};

/* The text of an answer, of a request, lines of trailers. false: it is none. */
bool h2_list_answer(struct h2_list *list, struct bytes text);
bool h2_list_request(struct h2_list *list, struct bytes text, bool secure);
bool h2_list_trailers(struct h2_list *list, struct bytes lines);

#endif
