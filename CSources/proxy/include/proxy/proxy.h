/* The traffic of one worker: listeners, connections, requests. Driven by the worker's loop:
 *
 *   n = ring_wait(...);
 *   for each event: if its token's kind is below PROXY_KIND_COUNT, proxy_event(); else the worker's
 * own proxy_turn();
 *
 * All memory is taken by proxy_create(). Nothing here blocks, makes a system call of its own, or
 * knows where generations come from. */
#ifndef PROXY_PROXY_H
#define PROXY_PROXY_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/log.h"
#include "abi/overlay.h"
#include "abi/stats.h"
#include "abi/tally.h"
#include "abi/tokens.h"
#include "core/ring.h"
#include "table/secrets.h"
#include "table/view.h"

struct proxy;

/* Token kinds of the proxy; a worker's own begin at PROXY_KIND_COUNT. */
enum proxy_kind {
    PROXY_KIND_NONE = 0,
    PROXY_KIND_ACCEPT,  /* slot: listener */
    PROXY_KIND_RECEIVE, /* slot: connection */
    PROXY_KIND_CONNECT,
    PROXY_KIND_WRITABLE,
    PROXY_KIND_READABLE, /* splice */
    PROXY_KIND_TIMER,    /* timer wheel only, as all below: slot is a connection */
    PROXY_KIND_REQUEST_TIMER,
    PROXY_KIND_LISTENER_TIMER,
    PROXY_KIND_DRAIN_TIMER,
    PROXY_KIND_RETRY_TIMER, /* slot is a request */
    PROXY_KIND_IDLE_TIMER,  /* slot is a request */
    PROXY_KIND_QUEUE_TIMER,
    PROXY_KIND_LIFE_TIMER, /* slot is a connection */
    PROXY_KIND_COUNT = 16
};

/* One snapshot with its secrets, mapped and checked by the worker. The proxy counts who began with
 * it and gives it back through `released` when it is neither current nor in use. */
struct proxy_generation {
    struct view view;
    struct secrets secrets; /* head NULL: none */
    uint32_t users;         /* the proxy's: connections and requests that began with it */
    bool retired;           /* the proxy's: no longer current */
    void *tables;           /* the proxy's: what it built for this generation */
};

struct proxy_config {
    uint32_t worker; /* slot */
    struct ring *ring;
    struct abi_stats *stats;
    const struct abi_overlay *overlay;
    struct abi_tally *tally;  /* of all workers of the node */
    struct abi_records *log;  /* for access records; NULL: they are dropped */
    uint64_t seed;            /* of the worker's random numbers */
    uint64_t trace_seed[4];   /* of the trace ids it begins; from the kernel's generator */
    uint32_t max_connections; /* downstream and upstream; at most LIMIT_CONNECTIONS, bounded by
                                 RLIMIT_NOFILE */
    /* Sends a question about a token, head and bytes; false: not now. NULL: nobody can be asked. */
    bool (*ask)(void *context, const struct abi_token_question *question);
    void (*released)(void *context, struct proxy_generation *generation);
    void *context;
};

/* MESH_OK, MESH_E_NO_MEMORY or MESH_E_TLS. */
[[nodiscard]] int proxy_create(const struct proxy_config *config, struct proxy **out);
void proxy_destroy(struct proxy *proxy);

/* A listening socket for the listener with this key; the proxy owns it from here. It accepts only
 * while the current generation has that listener. */
void proxy_add_socket(struct proxy *proxy, uint64_t listener_key, int fd);

/* Builds what the generation needs (TLS contexts). On false the refusal says why and nothing has
 * changed. At most one generation is prepared at a time. */
[[nodiscard]] bool proxy_prepare(struct proxy *proxy, struct proxy_generation *generation,
                                 struct view_refusal *refusal);

/* Makes the prepared generation current: new work uses it from now on; connections whose intentions
 * changed are visited during the following turns; sockets of listeners that are gone are closed. */
void proxy_commit(struct proxy *proxy);

/* Drops the prepared generation (it is released at once) and the sockets only it would use. */
void proxy_abort(struct proxy *proxy);

/* Some of the `count` completions that are run next, in this order: what they will ask for first is
 * brought near meanwhile. Only ever a hint. */
void proxy_foresee(const struct proxy *proxy, const struct ring_event *next, uint32_t count);

/* Runs one completion whose token's kind is the proxy's. */
void proxy_event(struct proxy *proxy, const struct ring_event *event);

/* What the control plane says to a question of config.ask. */
void proxy_take_verdict(struct proxy *proxy, const struct abi_token_verdict *verdict);

/* After the events of a turn: timers, paced work. */
void proxy_turn(struct proxy *proxy);

/* How long the next ring_wait() may sleep, nanoseconds. */
uint64_t proxy_sleep_ns(const struct proxy *proxy);

/* Stops accepting, lets what is in flight finish, closes what is left after `grace_ms`. A client
 * that is between two requests is let go at once. */
void proxy_drain(struct proxy *proxy, uint64_t grace_ms);

/* As above when another process goes on accepting at the same sockets: whoever was accepted here is
 * served here, and a client that stays connected is told at its next answer that it is the last. */
void proxy_retire(struct proxy *proxy, uint64_t grace_ms);
bool proxy_is_drained(const struct proxy *proxy);

/* Oldest generation still in use, 0 when none was committed. */
uint64_t proxy_oldest_generation(const struct proxy *proxy);

#endif
