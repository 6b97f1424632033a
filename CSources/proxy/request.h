/* One exchange: an HTTP request with its answer, or an L4 connection with its upstream. */
#ifndef PROXY_REQUEST_H
#define PROXY_REQUEST_H

#include "conn.h"
#include "generation.h"
#include "limits.h"
#include "outlier.h"
#include "retry.h"
#include "table/route.h"
#include "wire/h1body.h"
#include "wire/ip.h"
#include "wire/trace.h"

#define REQUEST_HEAD_INLINE 2048u
#define REQUEST_TRIES       (LIMIT_DIALS + LIMIT_RETRIES)
#define REQUEST_OPS_MAX     8192u /* bytes of a route's changes to answers, packed */
_Static_assert(REQUEST_TRIES <= UINT8_MAX, "tried_count and may_try");
_Static_assert(REQUEST_OPS_MAX <= SPILL_BLOCK_SIZE, "kept in one block");

enum request_flag {
    REQUEST_L4 = 1,
    REQUEST_REUSED = 2,        /* its upstream connection came from the pool */
    REQUEST_SENT = 4,          /* the head went to the upstream */
    REQUEST_BODY_SENT = 8,     /* so did some of the body: see REQUEST_BODY_KEPT */
    REQUEST_BODY_DONE = 16,    /* the request body is complete */
    REQUEST_ANSWERED = 32,     /* a final response head went to the client */
    REQUEST_ANSWER_DONE = 64,  /* the response is complete */
    REQUEST_CLOSE_DOWN = 128,  /* the client's connection ends with this answer */
    REQUEST_CLOSE_UP = 256,    /* the upstream's connection does */
    REQUEST_HTTP10 = 512,      /* the client speaks HTTP/1.0 */
    REQUEST_CHUNK_DOWN = 1024, /* the response body is chunked to the client */
    REQUEST_UPGRADE = 2048,    /* asks for another protocol */
    REQUEST_TUNNEL = 4096,     /* both sides are bytes now */
    REQUEST_CHUNK_UP = 8192,   /* the request body is chunked to the upstream */
    REQUEST_TIMED_OUT = 16384,
    REQUEST_INTERIM = 32768,      /* an interim answer went to the client */
    REQUEST_CLIENT = 65536,       /* `client` is who asks; else the connection's peer is */
    REQUEST_TRACED = 131072,      /* `trace` is what the upstream gets */
    REQUEST_TRACE_BEGUN = 262144, /* ... and began here */
    REQUEST_RETRIES = 524288,     /* its route asks for more about tries than a number: `retry` */
    REQUEST_QUEUED = 1048576,     /* in proxy.queue: no connection was to be had */
    REQUEST_WATCHED = 2097152,    /* its endpoint is watched: `watched_key` */
    REQUEST_BODY_BOUND = 4194304, /* of its body no more than `max_body` is taken */
    REQUEST_SPARED = 8388608,     /* had a second try for nothing */
    REQUEST_BODY_KEPT = 16777216, /* what was sent of its body is kept: `kept` */
    REQUEST_SPANS = 33554432,     /* its trace is told to the control plane */
    REQUEST_MIRROR = 67108864,    /* a copy: it has no client */
    REQUEST_HASHED = 134217728,   /* `hash` decides about its endpoint, where a table is asked */
    REQUEST_GRPC = 268435456,     /* its client speaks gRPC */
    REQUEST_IDLES = 536870912,    /* it ends when nothing moves for so long: `idle` */
};

/* The sum is that of 30 bits only where no two are the same. */
_Static_assert((uint64_t)REQUEST_L4 + REQUEST_REUSED + REQUEST_SENT + REQUEST_BODY_SENT +
                       REQUEST_BODY_DONE + REQUEST_ANSWERED + REQUEST_ANSWER_DONE +
                       REQUEST_CLOSE_DOWN + REQUEST_CLOSE_UP + REQUEST_HTTP10 + REQUEST_CHUNK_DOWN +
                       REQUEST_UPGRADE + REQUEST_TUNNEL + REQUEST_CHUNK_UP + REQUEST_TIMED_OUT +
                       REQUEST_INTERIM + REQUEST_CLIENT + REQUEST_TRACED + REQUEST_TRACE_BEGUN +
                       REQUEST_RETRIES + REQUEST_QUEUED + REQUEST_WATCHED + REQUEST_BODY_BOUND +
                       REQUEST_SPARED + REQUEST_SPANS + REQUEST_BODY_KEPT + REQUEST_MIRROR +
                       REQUEST_HASHED + REQUEST_GRPC + REQUEST_IDLES ==
                   (1u << 30) - 1,
               "every flag has a bit of its own");

struct record;

struct request {
    struct wheel_timer timer; /* of the whole request */
    struct conn *down;
    struct conn *up;                     /* NULL: none yet, or no longer */
    struct proxy_generation *generation; /* held until the upstream connection is made */
    struct abi_target_stats *target_stats;
    struct abi_tally_target *target_tally; /* set together with target_stats */
    struct request *mirror; /* its copy, or of a copy its original while that lasts; NULL: none */
    uint64_t target_key;
    uint64_t started_ns;
    uint64_t sent_ns;
    uint64_t hash;         /* with REQUEST_HASHED */
    uint64_t bytes_in;     /* of its body, or of the stream */
    uint64_t bytes_out;    /* as above, to the client */
    struct record *record; /* NULL: neither logged nor sampled */
    uint32_t flags;        /* enum request_flag */
    uint32_t target;       /* TARGET section of `generation` */
    uint32_t retries;      /* left */
    uint32_t retry_on;
    uint32_t tried[REQUEST_TRIES]; /* ENDPOINT section of `generation` */
    uint8_t tried_count;
    uint8_t may_try;           /* ... of which there may be so many: each retry adds one */
    uint8_t tries;             /* endpoints tried, all in all */
    bool answered;             /* ... of which the newest was counted */
    uint16_t route;            /* its statistics slot and 1; 0: not counted */
    uint8_t method;            /* enum h1_method */
    uint8_t outcome;           /* enum abi_outcome: why the newest try failed */
    uint16_t status;           /* sent to the client */
    uint8_t held;              /* set of 1 << enum abi_tally_gauge: places of `held_slot` */
    uint32_t held_slot;        /* statistics slot of a target with a guard */
    uint32_t overlay_slot;     /* counted in proxy.loads; ABI_NONE: not */
    uint32_t decay_ms;         /* what its endpoint takes is noted in proxy.latencies; 0: not */
    struct ip_address client;  /* with REQUEST_CLIENT: named by trusted hops */
    struct trace_parent trace; /* with REQUEST_TRACED */
    struct compress *coder;    /* of the answer's body, or NULL; in proxy.coders */
    uint8_t coding;            /* enum coding: what the client likes best */
    bool varies;               /* the answer depends on Accept-Encoding, and says so */
    struct h1body request_body;
    struct h1body response_body;
    uint32_t head_length;              /* of `head`, or 0 when it is in `big_head` */
    struct spill big_head;             /* later trailers of the request */
    struct spill trailers;             /* of the answer */
    struct spill big_ops;              /* what the route changes in the answer: packed, where ... */
    uint32_t ops_length;               /* ... it does not fit into `head` behind the head */
    uint32_t kept;                     /* bytes of its body, in `head` behind both ... */
    uint32_t max_replay;               /* ... and of it all that may be kept */
    struct list_link queue;            /* with REQUEST_QUEUED; these are not even cleared */
    uint64_t queued_until_ms;          /* as above */
    uint64_t max_body;                 /* with REQUEST_BODY_BOUND */
    uint64_t watched_key;              /* with REQUEST_WATCHED: key of the target */
    struct spill kept_more;            /* with REQUEST_BODY_KEPT: its body behind `kept` */
    struct wheel_timer idle;           /* with REQUEST_IDLES */
    uint32_t idle_ms;                  /* as above */
    struct retry retry;                /* with REQUEST_RETRIES; else not even cleared */
    uint8_t head[REQUEST_HEAD_INLINE]; /* as sent to the upstream; kept for another try */
};

/* NULL when the pool is empty. Counts it and takes the current generation. */
struct request *request_create(struct proxy *proxy, struct conn *down);

/* Counts the end and gives it back. Its connections must have been let go. */
void request_end(struct proxy *proxy, struct request *request, enum abi_outcome outcome);

/* The generation is no longer needed: the upstream is connected. */
void request_unpin(struct proxy *proxy, struct request *request);

static inline bool request_has(const struct request *request, uint32_t flag)
{
    return (request->flags & flag) != 0;
}

/* The changes of the answer's fields, packed (l7ops.h). */
static inline struct bytes request_answer_ops(const struct request *request)
{
    if (request->big_ops.length > 0) { /* one block: REQUEST_OPS_MAX */
        const struct spill_block *block = request->big_ops.first;

        return bytes_of(block->data + block->from, request->big_ops.length);
    }
    return bytes_of(request->head + request->head_length, request->ops_length);
}

/* --- upstream.c --- */

enum upstream_result {
    UPSTREAM_READY = 0, /* request.up is open */
    UPSTREAM_WAIT,      /* it is being connected */
    UPSTREAM_FAILED,    /* request.outcome says why */
};

/* Chooses an endpoint of request.target and gets a connection to it. `ops` is for a new one. */
enum upstream_result upstream_start(struct proxy *proxy, struct request *request,
                                    const struct conn_ops *ops);

/* request.up failed before anything was sent: drops it and goes on to the next endpoint, if one is
 * left. */
enum upstream_result upstream_retry(struct proxy *proxy, struct request *request,
                                    enum abi_outcome outcome, const struct conn_ops *ops);

/* ops.connected of upstream connections: tells the endpoint who the client is, where it wants to
 * know by a PROXY header. */
void upstream_connected(struct proxy *proxy, struct conn *conn);

/* What the endpoint of request.up has answered; 0: nothing. Once for each try. */
void upstream_count_answer(struct proxy *proxy, struct request *request, uint16_t status);
/* With request.decay_ms: what the endpoint took to answer; that it did not. */
void upstream_note_latency(struct proxy *proxy, struct request *request, uint64_t us);
void upstream_note_failure(struct proxy *proxy, struct request *request);

/* Lets request.up go: back to the pool, or closed; an unfinished stream is reset. */
void upstream_leave(struct proxy *proxy, struct request *request, bool reusable);

/* --- uppool.c --- */

void uppool_init(struct uppool *pool);
void uppool_release(struct proxy *proxy);
/* An idle connection with this key, taken out, or NULL. `client`: of those whose PROXY header names
 * this downstream connection; NULL: of those that any client may use. */
struct conn *uppool_take(struct proxy *proxy, uint64_t key, struct conn *client);
/* Keeps an open connection; closes it when the pool's bounds say so. With `client` it is kept for
 * that one alone and ends with it. */
void uppool_put(struct proxy *proxy, struct conn *conn, struct conn *client);
/* The newest session of this key, for tls_session_create; the pool keeps it. */
struct tls_resume *uppool_resume(struct proxy *proxy, uint64_t key);
void uppool_keep_resume(struct proxy *proxy, uint64_t key, struct tls_session *session);

/* --- tables.c: what is built for a generation --- */

[[nodiscard]] bool tables_build(struct proxy *proxy, struct proxy_generation *generation,
                                struct view_refusal *refusal);
/* It becomes current: servers' contexts, taken over ones too, get its ticket keys and certificates.
 */
void tables_activate(struct proxy_generation *generation);
void tables_release(struct proxy_generation *generation);
/* The context of a TLS record, made at first use for clients; NULL when it cannot be made. */
struct tls_context *tables_tls(struct proxy_generation *generation, uint32_t tls);

/* --- listener.c --- */

void listener_on_accept(struct proxy *proxy, uint32_t slot, const struct ring_event *event);
void listener_on_timer(struct proxy *proxy, uint32_t slot);
/* Takes over the listeners of the generation that has just become current. */
void listener_refresh(struct proxy *proxy);
void listener_stop_all(struct proxy *proxy);
/* No connection is accepted any more; what the sockets' clients need stays. listener_is_accepting()
 * while one that was accepted before may still come. */
void listener_retire_all(struct proxy *proxy);
bool listener_is_accepting(const struct proxy *proxy);
static inline struct listener *listener_of(struct proxy *proxy, const struct conn *conn)
{
    return &proxy->listeners[conn->listener];
}
/* Goes on with a connection whose peer is known: TLS, or its first bytes. */
void listener_welcome(struct proxy *proxy, struct conn *conn);
/* Its connection ends before there is an exchange: counted, told, reset. */
void listener_refuse(struct proxy *proxy, struct conn *conn, enum abi_outcome outcome);
/* What the listener believes of those in front, or NULL. */
const struct abi_hops *listener_hops(const struct proxy *proxy, const struct listener *listener);
/* The listener's record in the current generation, or NULL when it is gone. */
const struct abi_listener *listener_entry(const struct proxy *proxy,
                                          const struct listener *listener);

/* --- authz.c --- */

/* The service that this downstream connection proved to be, or whose sidecar it entered; empty:
 * none. */
struct bytes authz_source(struct proxy *proxy, struct conn *conn);
enum authz_copied {
    AUTHZ_COPY_DENIED = 0,
    AUTHZ_COPY_ALLOWED,
    AUTHZ_COPY_AWAITED, /* if the token that tokens_judge() lacked is good: tokens_await_copy() */
};
/* Whether the caller may send a copy of this request to this target. */
enum authz_copied authz_copy(struct proxy *proxy, struct conn *conn,
                             const struct route_input *input, uint32_t target);
/* Whether the connection as such may go on; counts a denial. */
bool authz_connection(struct proxy *proxy, struct conn *conn);
/* Whether what decides about a request of a listener that is there depends on a token that
 * tokens_judge() knows nothing of. */
bool authz_lacks_token(struct proxy *proxy, struct conn *conn, const struct route_input *input);
/* Whether this request may: inbound policy, then (outbound) the target's. */
bool authz_request(struct proxy *proxy, struct conn *conn, const struct route_input *input,
                   uint32_t target);
/* Whether an outbound L4 connection may use this target. */
bool authz_target(struct proxy *proxy, struct conn *conn, uint32_t target);
/* Digest of all policies that decide about a listener's connections. */
uint64_t authz_digest(const struct view *view, const struct abi_listener *entry);
/* Examines connections of changed listeners again, a bounded number; true while some are left. */
bool authz_reexamine(struct proxy *proxy);

/* --- l4.c --- */

extern const struct conn_ops l4_ops;
/* Connects it to one of the destinations; what it has sent so far is held. */
void l4_begin(struct proxy *proxy, struct conn *conn, struct abi_ref splits);
/* Where a server name leads, by the routes of a listener; no splits: nowhere. */
struct abi_ref l4_route(const struct view *view, const struct abi_listener *entry,
                        struct bytes name);

/* --- sniff.c --- */

/* TLS that is not terminated: awaits the client's hello, then goes on as L4. */
extern const struct conn_ops sniff_ops;

/* --- relay.c --- */

/* Both connections of the request carry bytes from now on. */
void relay_start(struct proxy *proxy, struct request *request);

/* --- l7.c --- */

extern const struct conn_ops l7_ops;   /* client side */
extern const struct conn_ops l7up_ops; /* upstream side */

#endif
