/* What one worker's traffic consists of; private to the room. */
#ifndef PROXY_STATE_H
#define PROXY_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/limits.h"
#include "abi/stats.h"
#include "base/list.h"
#include "core/pool.h"
#include "core/ring.h"
#include "core/spill.h"
#include "core/wheel.h"
#include "http2/h2_memory.h"
#include "proxy/proxy.h"
#include "table/balance.h"
#include "tls/tls.h"
#include "wire/fwd.h"
#include "wire/h1.h"
#include "wire/uri.h"

#define PROXY_SCRATCH_SIZE 65536u /* a rewritten head; plaintext of one receive */

/* A listening socket and what its connections need to know of it; lives as long as its key is in
 * the current generation or one of its connections is open. */
struct listener {
    uint64_t key;
    int fd;              /* -1: none yet */
    uint32_t index;      /* LISTENER section of the current generation; ABI_NONE: gone */
    uint32_t generation; /* of the slot, for tokens */
    bool used;
    bool accepting;          /* a multishot accept is armed */
    uint32_t open;           /* connections */
    uint32_t epoch;          /* raised when an intention that covers its connections changed, or
                                how long these may last */
    uint64_t authority;      /* digest of the policies that decide about its connections, and of
                                their lifetime */
    struct tls_context *tls; /* of the current generation; NULL: plaintext */
    struct abi_listener_stats *stats;
    struct list_link conns;   /* by `conn.group`, those of the newest epoch last */
    struct list_link reauth;  /* in proxy.reauth while connections of an older epoch may be left */
    struct wheel_timer retry; /* accept again after EMFILE and the like */
};

#define LISTENER_NOWHERE UINT16_MAX

/* Idle upstream connections by pool key, newest first. */
#define UPPOOL_BUCKETS 1024u
struct uppool {
    struct list_link buckets[UPPOOL_BUCKETS];
    struct list_link muxes[UPPOOL_BUCKETS]; /* those that carry streams, idle or not */
    uint32_t idle;
    struct { /* newest client TLS session by pool key */
        uint64_t key;
        struct tls_resume *session;
    } resume[256];
};

/* One proxy in front, as the one behind it names it. */
struct l7_hop {
    struct ip_address ip;
    struct bytes address; /* text of `ip`; empty: it is not named by address */
    struct bytes element; /* of Forwarded; empty: it was named by X-Forwarded-For */
    struct bytes proto;   /* of that element */
};

struct l7_chain { /* the nearest last */
    uint32_t count;
    struct l7_hop hops[LIMIT_HOPS];
};

struct bulk;

/* Small writes to upstreams that leave together, when all of a client's read is worked on. */
#define PROXY_JOINED_MAX 128u
struct proxy_joined {
    bool on;
    uint32_t count;
    uint32_t length;                      /* of `bytes` */
    struct conn *conns[PROXY_JOINED_MAX]; /* each once ... */
    uint32_t ends[PROXY_JOINED_MAX];      /* ... and where its bytes end */
    uint8_t *bytes;                       /* PROXY_SCRATCH_SIZE */
};

/* What intentions said last: about the connection or request that is being handled. */
struct proxy_decided {
    uint32_t policy;     /* POLICY section of the current generation; ABI_NONE: nothing was asked */
    uint32_t intention;  /* INTENTION section; ABI_NONE: the policy's default */
    uint32_t permission; /* PERMISSION section; ABI_NONE: it was not one of them */
};

struct proxy {
    struct proxy_config config;
    struct ring *ring;
    struct abi_stats *stats;
    struct pool conns;    /* struct conn: those with a socket, and streams */
    uint32_t max_sockets; /* of `conns` */
    uint32_t mirrors;     /* of `requests`: copies */
    struct pool requests;
    struct pool blocks; /* struct spill_block */
    struct pool bulks;
    struct pool records;  /* struct record */
    struct pool proxieds; /* struct proxied */
    struct pool muxes;    /* struct mux */
    struct pool streams;  /* struct stream */
    struct h2_memory h2_memory;
    struct pool coders; /* memory of struct compress */
    struct wheel wheel;
    uint64_t now_ms;
    uint64_t random;
    uint64_t trace_random[4]; /* of trace ids; not all zero */
    struct proxy_generation *current;
    struct proxy_generation *prepared;
    struct list_link generations;              /* struct tables of retired ones still in use */
    uint32_t listener_count;                   /* slots ever used */
    struct listener *listeners;                /* LIMIT_LISTENERS */
    uint16_t listener_places[LIMIT_LISTENERS]; /* of `listeners`, by LISTENER record of the current
                                                  generation; LISTENER_NOWHERE: it has none */
    struct uppool uppool;
    struct list_link queue;         /* requests that wait for a connection; limits.c */
    struct wheel_timer queue_timer; /* armed while there are some */
    bool queue_moves;               /* one may be had now */
    struct list_link ready;         /* conns whose held input is to be delivered */
    struct list_link dead;          /* conns to be given back at the end of the turn */
    struct list_link starved;       /* conns whose receive found no buffer */
    struct list_link mux_turn;      /* HTTP/2 connections that have something to send */
    struct proxy_joined joined;
    struct list_link reauth;       /* listeners whose connections are being examined again */
    uint32_t *cursors;             /* round robin, by target stats slot */
    uint32_t *loads;               /* requests in flight, by overlay slot */
    uint32_t *idles;               /* idle upstream connections, by overlay slot */
    struct latency *latencies;     /* by overlay slot; of targets that are balanced by them */
    struct balance_shares *shares; /* by target stats slot; of targets with tiers */
    uint8_t *scratch;              /* heads are rewritten here; PROXY_SCRATCH_SIZE */
    uint8_t *plain;                /* decrypted input; PROXY_SCRATCH_SIZE */
    uint8_t *linear;               /* held input in one piece; PROXY_SCRATCH_SIZE */
    uint8_t *small;                /* small pieces of a body, gathered; PROXY_SCRATCH_SIZE */
    uint8_t *coded;                /* coded pieces of a body; PROXY_SCRATCH_SIZE */
    uint8_t *h2_arena;             /* of h2_memory */
    uint8_t *frames;               /* of HTTP/2, on their way out; PROXY_SCRATCH_SIZE */
    uint32_t frames_length;
    struct h1_head head;            /* of the message being handled */
    struct l7_chain chain;          /* of the request being handled */
    uint8_t host[URI_MAX_HOST + 1]; /* normal form of its host */
    uint8_t path[H1_MAX_TARGET];    /* normal form of its path, when it differs */
    struct proxy_decided decided;
    struct tokens *tokens; /* what is known of tokens of requests */
    struct bytes sniffed;  /* server name of the hello that is looked at; else NULL */
    struct wheel_timer drain_timer;
    bool draining;
    bool retiring; /* draining, and nobody is turned away or cut between two requests */
    char date[32]; /* IMF-fixdate of this second */
    uint64_t date_ms;
};

/* xorshift64*: spread, not secrecy. */
static inline uint64_t proxy_random(struct proxy *proxy)
{
    uint64_t x = proxy->random;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    proxy->random = x;
    return x * 0x2545f4914f6cdd1dULL;
}

static inline void proxy_count(struct proxy *proxy, enum abi_worker_stat stat, uint64_t amount)
{
    abi_stat_add(&proxy->stats->counters[stat], amount);
}

static inline void proxy_gauge_down(struct proxy *proxy, enum abi_worker_stat stat)
{
    abi_stat_set(&proxy->stats->counters[stat], proxy->stats->counters[stat] - 1);
}

#endif
