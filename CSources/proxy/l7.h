/* HTTP/1.1 exchanges; private to the room. The files in the order of a request's life:
 *   l7_client.c  client side: heads and bodies as they arrive, time limits
 *   l7.c         phases route - authorize - choose - connect, and the ends
 *   l7hops.c     Max-Forwards, loops
 *   l7grpc.c     what is different for clients of gRPC
 *   l7idle.c     exchanges in which nothing moves
 *   l7keep.c     bodies kept for another try
 *   l7front.c    who is in front: fields that are believed, the client, the trace
 *   sticky.c     what decides about the endpoint, and the cookie that carries it
 *   l7head.c     heads rewritten for the next hop
 *   l7tokens.c   what of its tokens a request's service sees
 *   l7ops.c      fields that a route changes
 *   l7_body.c    bodies framed again
 *   l7code.c     bodies coded for clients that take it
 *   l7up.c       upstream side: answer head, body, failures
 *   retry.c      second tries
 *   answer.c     answers of our own */
#ifndef PROXY_L7_H
#define PROXY_L7_H

#include "compress/compress.h"
#include "l7ops.h"
#include "request.h"

struct answer;

/* conn.stage of a client connection. */
enum l7_stage {
    L7_AWAIT_HEAD = 0, /* between requests */
    L7_IN_HEAD,        /* part of a head is held */
    L7_AWAIT_UPSTREAM, /* request parsed, upstream being connected */
    L7_IN_BODY,        /* the request body goes to the upstream */
    L7_AWAIT_ANSWER,   /* request complete */
    L7_ENDING,         /* last answer on its way: input is discarded */
    L7_AWAIT_VERDICT,  /* its head is held until a token of it is known */
};

/* A request as the phases see it; slices live as long as the head's bytes. */
struct l7_view {
    const uint8_t *start; /* of the head's bytes; proxy.head describes them */
    struct bytes host;
    struct bytes path;
    struct bytes query;
    struct bytes authority; /* as sent, for Host */
    bool counts_hops;       /* Max-Forwards is written with what is left of it ... */
    uint32_t max_forwards;
    struct route_input input;
    uint32_t keep;          /* set of 1 << enum hdr_id: judged fields that go on as they came;
                               HDR_OTHER: those that tell of a client's certificate */
    uint8_t fields;         /* set of enum abi_hop_fields: to be written */
    struct l7_chain *chain; /* hops in front of the peer that are believed, or NULL */
    struct bytes proto;     /* scheme that the client used, as a trusted hop says; may be empty */
    struct abi_ref ops;     /* HEADER_OP section: what its route, or the leg of it, changes */
};

/* Parts of one write: heads and sizes from scratch memory, data from the receive buffer. */
#define L7_GATHER_PARTS 60u
#define L7_GATHER_SIZES 20u

struct l7_gather {
    struct conn *to;
    uint64_t room; /* body bytes that l7_pass_body takes; set by its callers */
    uint32_t count;
    uint32_t sizes;
    uint32_t small_from; /* proxy.small: small pieces that will be one chunk */
    uint32_t small_to;
    struct request *keep;   /* whose body it is, to be kept, or NULL */
    struct compress *coder; /* data is coded by it first, or NULL */
    uint32_t coded_from;    /* proxy.coded: what it made and is not a part yet */
    uint32_t coded_to;
    uint64_t coded; /* bytes that it made */
    struct bytes parts[L7_GATHER_PARTS];
    uint8_t size_lines[L7_GATHER_SIZES][20];
};

/* Not by an initializer: that would clear all of it on the hot path. */
static inline void l7_gather_start(struct l7_gather *gather, struct conn *to)
{
    gather->to = to;
    gather->count = 0;
    gather->sizes = 0;
    gather->small_from = 0;
    gather->small_to = 0;
    gather->keep = NULL;
    gather->coder = NULL;
}

/* Body bytes will be coded. */
static inline void l7_gather_code(struct l7_gather *gather, struct compress *coder)
{
    gather->coder = coder;
    gather->coded_from = 0;
    gather->coded_to = 0;
    gather->coded = 0;
}

/* Body bytes through a decoder into a write: returns bytes used, or < 0 (MESH_E_*). *data counts
 * body bytes. `chunk` frames them again. Trailer lines collect in `trailers`. */
int64_t l7_pass_body(struct proxy *proxy, struct h1body *body, struct bytes in, bool chunk,
                     struct spill *trailers, struct l7_gather *gather, uint64_t *data);
void l7_gather_add(struct proxy *proxy, struct l7_gather *gather, struct bytes part);
/* A piece of a body, with `chunk` as a chunk. */
void l7_gather_data(struct proxy *proxy, struct l7_gather *gather, struct bytes data, bool chunk);
void l7_gather_flush(struct proxy *proxy, struct l7_gather *gather);

/* --- l7keep.c --- */

/* Before some of a body is sent: whether it is to be kept, since another try could send it. */
bool l7keep_begin(struct request *request);
/* A piece of it; all is dropped when it becomes too long. */
void l7keep_add(struct proxy *proxy, struct request *request, struct bytes data);
void l7keep_drop(struct proxy *proxy, struct request *request);
/* Sends what was kept, all of the body, behind a head that was sent again. */
void l7keep_send(struct proxy *proxy, struct request *request);

/* --- l7grpc.c --- */

/* Whether the head is that of a call of gRPC. */
bool l7grpc_asks(const struct h1_head *head, const uint8_t *start);
/* What a call's grpc-timeout leaves of a timeout; 0: none. */
uint32_t l7grpc_bound(const struct h1_head *head, const uint8_t *start, uint32_t timeout_ms);
/* Which of the conditions of enum abi_retry the answer's head meets: ABI_RETRY_GRPC_*, or 0. */
uint32_t l7grpc_condition(const struct h1_head *head, const uint8_t *start);
/* Says an answer of ours as gRPC does: by a head alone. */
void l7grpc_form(struct answer *answer, enum abi_outcome outcome);

/* --- l7idle.c --- */

void l7idle_begin(struct proxy *proxy, struct request *request, uint32_t idle_ms);
void l7idle_on_timer(struct proxy *proxy, struct request *request);

/* Whether the route's rewrite leaves a path that every reader resolves alike: what was cut off and
 * what was put in its place must not make a dot segment together. */
bool l7head_may_rewrite(struct proxy *proxy, const struct l7_view *view,
                        const struct abi_route *route);
/* Fills view.keep, fields, chain, proto and what the request knows of its client and trace. */
void l7front_judge(struct proxy *proxy, struct request *request, struct l7_view *view);
/* Whether the client spoke TLS, here or in front. */
bool l7front_is_https(const struct request *request, const struct l7_view *view);

/* Writes the request head for the upstream into `out`; its length, 0 when it does not fit. */
size_t l7head_request(struct proxy *proxy, struct request *request, const struct l7_view *view,
                      const struct abi_route *route, uint8_t *out, size_t capacity);
/* As above for a response head going to the client; `start` is what proxy.head was parsed from. */
size_t l7head_response(struct proxy *proxy, struct request *request, const uint8_t *start,
                       uint8_t *out, size_t capacity);
/* The first field with this name, which enum hdr_id does not have, or NULL. */
const struct h1_field *l7head_find(const struct h1_head *head, const uint8_t *start,
                                   struct bytes name);
/* Fields with this id go no further, as if Connection had named them. */
void l7head_hold_back(struct h1_head *head, enum hdr_id id);
/* The Date of now. */
struct bytes l7head_date(struct proxy *proxy);

/* A complete head in proxy.head, parsed from `start`: the request begins. false: not yet, the same
 * head is to be parsed again (L7_AWAIT_VERDICT). */
bool l7_begin(struct proxy *proxy, struct conn *down, const uint8_t *start);
/* Counts Max-Forwards down; at 0 the request is ours to answer. false: it is over. */
bool l7hops_count(struct proxy *proxy, struct request *request, struct l7_view *view);
/* Whether Via says that the request has been here (RFC 9110 7.6.3). */
bool l7hops_is_loop(struct proxy *proxy, const struct conn *down, const uint8_t *start);
/* A head that cannot be read: answered without a request of its own. */
void l7_refuse(struct proxy *proxy, struct conn *down, uint16_t status, enum abi_outcome outcome);
/* The exchange goes on once its upstream is connected. */
void l7_upstream_ready(struct proxy *proxy, struct request *request);
/* It failed: answers if nothing was answered, else cuts the client off. */
void l7_fail(struct proxy *proxy, struct request *request, enum abi_outcome outcome);
/* Its body is longer than its route takes: 413, as far as that can still be said. */
void l7_body_too_large(struct proxy *proxy, struct request *request);
/* The answer is complete. */
void l7_done(struct proxy *proxy, struct request *request, enum abi_outcome outcome);
/* The client's connection waits for its next request, or ends. */
void l7_next(struct proxy *proxy, struct conn *down, bool keep);
void l7_request_timeout(struct proxy *proxy, struct request *request);
void l7_count_status(struct proxy *proxy, struct conn *down, uint16_t status);

/* --- answer.c --- */

struct answer {
    uint16_t status;
    bool head_only; /* HEAD */
    bool close;     /* the connection ends with it */
    struct bytes content_type;
    struct bytes body;
    struct bytes location; /* empty: none */
    struct bytes allow;    /* empty: none */
    uint32_t retry_after;  /* seconds; 0: not said */
    bool grpc;             /* a head alone: `grpc_status`, and `body` is its message */
    uint8_t grpc_status;
    struct l7ops ops; /* fields that the route adds or removes */
};

/* Writes an answer of our own; how much body it has. */
size_t answer_write(struct proxy *proxy, struct conn *down, const struct answer *answer);
/* Answers a request and ends it. */
void l7_answer(struct proxy *proxy, struct request *request, struct answer *answer,
               enum abi_outcome outcome);
/* A short text for a failure status, ending in a line feed. */
struct bytes answer_text(enum abi_outcome outcome, uint16_t status);
uint16_t answer_status(enum abi_outcome outcome);

#endif
