/* Statistics of one worker: one writer, any readers, counters that only grow (gauges are named so).
 * Two counters of each region are the logger's. Behind the counters stands the ring of spans.
 * The supervisor makes one region per worker slot; a replacement worker goes on counting where its
 * predecessor stopped, with the gauges set to zero. */
#ifndef ABI_STATS_H
#define ABI_STATS_H

#include <stdint.h>

#include "abi/errors.h"
#include "abi/limits.h"
#include "abi/span.h"

#define ABI_STATS_MAGIC 0x5354415453534d52ULL

enum abi_worker_stat {
    ABI_WORKER_CONNECTIONS_OPEN = 0, /* gauge: downstream */
    ABI_WORKER_UPSTREAM_OPEN,        /* gauge */
    ABI_WORKER_UPSTREAM_IDLE,        /* gauge */
    ABI_WORKER_REQUESTS_ACTIVE,      /* gauge */
    ABI_WORKER_TLS_OPEN,             /* gauge: sessions */
    ABI_WORKER_ACCEPTED,
    ABI_WORKER_ACCEPT_ERRORS, /* EMFILE and the like */
    ABI_WORKER_SHED,          /* connections refused because a pool was empty */
    ABI_WORKER_TURNS,         /* loop turns */
    ABI_WORKER_EVENTS,        /* completions */
    ABI_WORKER_STALE_EVENTS,  /* completions for objects that were gone */
    ABI_WORKER_NO_BUFFERS,    /* receives that found their buffer group empty */
    ABI_WORKER_SPLICED_BYTES,
    ABI_WORKER_SPILL_BLOCKS,        /* gauge */
    ABI_WORKER_SPILL_BLOCKS_HIGH,   /* gauge: high-water mark */
    ABI_WORKER_CONNECTIONS_HIGH,    /* gauge: high-water mark */
    ABI_WORKER_REQUESTS_HIGH,       /* gauge: high-water mark */
    ABI_WORKER_VIEWS_LIVE,          /* gauge */
    ABI_WORKER_REAUTHORIZED_CLOSED, /* connections ended because an intention changed */
    ABI_WORKER_STARTS,              /* processes that have served this slot */
    ABI_WORKER_LOG_RECORDS,         /* access records handed to the logger */
    ABI_WORKER_LOG_DROPPED,         /* access records that found the ring full */
    ABI_WORKER_LOG_WRITTEN,         /* the logger's: lines written */
    ABI_WORKER_LOG_LOST,            /* the logger's: records that could not be written */
    ABI_WORKER_SPANS,               /* spans handed to the control plane */
    ABI_WORKER_SPANS_DROPPED,       /* spans that found the ring full */
    ABI_WORKER_MIRRORS,             /* copies of requests begun */
    ABI_WORKER_MIRRORS_FAILED,      /* copies that failed, were given up or never begun */
    ABI_WORKER_STAT_COUNT
};

enum abi_listener_stat {
    ABI_LISTENER_ACCEPTED = 0,
    ABI_LISTENER_OPEN,       /* gauge */
    ABI_LISTENER_BYTES_IN,   /* from clients, plaintext */
    ABI_LISTENER_BYTES_OUT,  /* to clients, plaintext */
    ABI_LISTENER_HANDSHAKES, /* complete */
    ABI_LISTENER_HANDSHAKES_RESUMED,
    ABI_LISTENER_HANDSHAKES_FAILED,
    ABI_LISTENER_DENIED, /* connections and requests refused by intentions */
    ABI_LISTENER_REQUESTS,
    ABI_LISTENER_CODE_1XX,
    ABI_LISTENER_CODE_2XX,
    ABI_LISTENER_CODE_3XX,
    ABI_LISTENER_CODE_4XX,
    ABI_LISTENER_CODE_5XX,
    ABI_LISTENER_STAT_COUNT
};

enum abi_target_stat {
    ABI_TARGET_CONNECTS = 0,
    ABI_TARGET_CONNECT_FAILURES,
    ABI_TARGET_OPEN, /* gauge: upstream connections */
    ABI_TARGET_REQUESTS,
    ABI_TARGET_RETRIES,
    ABI_TARGET_BYTES_IN,  /* from upstreams */
    ABI_TARGET_BYTES_OUT, /* to upstreams */
    ABI_TARGET_CODE_2XX,
    ABI_TARGET_CODE_3XX,
    ABI_TARGET_CODE_4XX,
    ABI_TARGET_CODE_5XX,
    ABI_TARGET_RESETS,
    ABI_TARGET_EJECTIONS, /* endpoints left out for a while */
    ABI_TARGET_STAT_COUNT
};

/* Latency histogram in microseconds, two buckets per power of two: bucket 0 is [0, 1), then
 * [2^k, 1.5 * 2^k) and [1.5 * 2^k, 2^(k+1)). */
#define ABI_HISTOGRAM_BUCKETS 56u

struct abi_histogram {
    uint64_t sum_us;
    uint64_t counts[ABI_HISTOGRAM_BUCKETS];
};

struct abi_listener_stats {
    uint64_t counters[ABI_LISTENER_STAT_COUNT];
    uint64_t outcomes[ABI_OUTCOME_COUNT]; /* by enum abi_outcome */
    struct abi_histogram latency;         /* first byte of a request to last byte of its answer */
};

struct abi_target_stats {
    uint64_t counters[ABI_TARGET_STAT_COUNT];
    uint64_t outcomes[ABI_OUTCOME_COUNT]; /* by enum abi_outcome */
    struct abi_histogram latency;         /* head sent to head of the answer */
};

/* What a route or an endpoint has done. Of endpoints the answers are those that came from there; a
 * try that brought none is an error. Of routes they are those that went to clients; what ended
 * otherwise is an error. */
enum abi_way_stat {
    ABI_WAY_CODE_1XX = 0,
    ABI_WAY_CODE_2XX,
    ABI_WAY_CODE_3XX,
    ABI_WAY_CODE_4XX,
    ABI_WAY_CODE_5XX,
    ABI_WAY_ERRORS,
    ABI_WAY_RETRIES, /* routes: tries after the first; endpoints: tries that were not the first */
    ABI_WAY_STAT_COUNT
};

struct abi_way_stats {
    uint64_t counters[ABI_WAY_STAT_COUNT];
    struct abi_histogram latency; /* as that of listeners (routes), of targets (endpoints) */
};

struct abi_stats {
    uint64_t magic;
    uint32_t version;
    uint32_t worker;         /* slot, from 0 */
    uint32_t pid;            /* of the process that writes now */
    uint32_t listener_slots; /* LIMIT_LISTENERS */
    uint32_t target_slots;   /* LIMIT_TARGETS */
    uint32_t _pad0;
    uint64_t heartbeat_ns; /* CLOCK_MONOTONIC of the newest loop turn */
    uint64_t generation;   /* committed snapshot; 0 = none yet */
    uint64_t counters[ABI_WORKER_STAT_COUNT];
    /* Then follow: struct abi_listener_stats[listener_slots], abi_target_stats[target_slots],
     * abi_way_stats[LIMIT_ROUTE_SLOTS] of routes, abi_way_stats[LIMIT_ENDPOINT_SLOTS] of endpoints,
     * and, from the next whole page on, the ring of spans. Only what is used has memory. */
};

#define ABI_STATS_LISTENERS_AT ((uint64_t)sizeof(struct abi_stats))
#define ABI_STATS_TARGETS_AT                                                                       \
    (ABI_STATS_LISTENERS_AT + (uint64_t)LIMIT_LISTENERS * sizeof(struct abi_listener_stats))
#define ABI_STATS_ROUTES_AT                                                                        \
    (ABI_STATS_TARGETS_AT + (uint64_t)LIMIT_TARGETS * sizeof(struct abi_target_stats))
#define ABI_STATS_ENDPOINTS_AT                                                                     \
    (ABI_STATS_ROUTES_AT + (uint64_t)LIMIT_ROUTE_SLOTS * sizeof(struct abi_way_stats))
#define ABI_STATS_SPANS_AT                                                                         \
    ((ABI_STATS_ENDPOINTS_AT + (uint64_t)LIMIT_ENDPOINT_SLOTS * sizeof(struct abi_way_stats) +     \
      4095u) &                                                                                     \
     ~(uint64_t)4095u)
#define ABI_STATS_SIZE (ABI_STATS_SPANS_AT + sizeof(struct abi_records) + LIMIT_SPAN_RING)

static inline uint64_t abi_stats_targets_at(void)
{
    return ABI_STATS_TARGETS_AT;
}

static inline uint64_t abi_stats_routes_at(void)
{
    return ABI_STATS_ROUTES_AT;
}

static inline uint64_t abi_stats_endpoints_at(void)
{
    return ABI_STATS_ENDPOINTS_AT;
}

static inline uint64_t abi_stats_spans_at(void)
{
    return ABI_STATS_SPANS_AT;
}

static inline uint64_t abi_stats_size(void)
{
    return ABI_STATS_SIZE;
}

static inline struct abi_listener_stats *abi_stats_listener(struct abi_stats *stats, uint32_t slot)
{
    return (struct abi_listener_stats *)(void *)(stats + 1) + slot;
}

static inline struct abi_target_stats *abi_stats_target(struct abi_stats *stats, uint32_t slot)
{
    return (struct abi_target_stats *)(void *)((unsigned char *)stats + ABI_STATS_TARGETS_AT) +
           slot;
}

/* `slot` below LIMIT_ROUTE_SLOTS. */
static inline struct abi_way_stats *abi_stats_route(struct abi_stats *stats, uint32_t slot)
{
    return (struct abi_way_stats *)(void *)((unsigned char *)stats + ABI_STATS_ROUTES_AT) + slot;
}

/* `slot`, an overlay slot, below LIMIT_ENDPOINT_SLOTS. */
static inline struct abi_way_stats *abi_stats_endpoint(struct abi_stats *stats, uint32_t slot)
{
    return (struct abi_way_stats *)(void *)((unsigned char *)stats + ABI_STATS_ENDPOINTS_AT) + slot;
}

static inline struct abi_records *abi_stats_spans(struct abi_stats *stats)
{
    return (struct abi_records *)(void *)((unsigned char *)stats + ABI_STATS_SPANS_AT);
}

/* Only the worker calls this: a single writer needs no locked instruction. */
static inline void abi_stat_add(uint64_t *counter, uint64_t amount)
{
    __atomic_store_n(counter, *counter + amount, __ATOMIC_RELAXED);
}

static inline void abi_stat_set(uint64_t *gauge, uint64_t value)
{
    __atomic_store_n(gauge, value, __ATOMIC_RELAXED);
}

static inline uint64_t abi_stat_get(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static inline uint32_t abi_histogram_bucket(uint64_t us)
{
    uint32_t power, bucket;

    if (us == 0) {
        return 0;
    }
    power = 63u - (uint32_t)__builtin_clzll(us);
    bucket = 1u + 2u * power;
    if (power > 0 && (us >> (power - 1) & 1u) != 0) {
        bucket++;
    }
    return bucket < ABI_HISTOGRAM_BUCKETS ? bucket : ABI_HISTOGRAM_BUCKETS - 1;
}

static inline void abi_histogram_add(struct abi_histogram *histogram, uint64_t us)
{
    abi_stat_add(&histogram->sum_us, us);
    abi_stat_add(&histogram->counts[abi_histogram_bucket(us)], 1);
}

/* An answer with this status, `us` after the request. */
static inline void abi_way_answered(struct abi_way_stats *way, uint32_t status, uint64_t us)
{
    uint32_t class = status / 100u - 1u;

    abi_stat_add(&way->counters[class <= ABI_WAY_CODE_5XX ? class : ABI_WAY_ERRORS], 1);
    abi_histogram_add(&way->latency, us);
}

_Static_assert(sizeof(struct abi_way_stats) == 512, "whole cache lines");
_Static_assert((LIMIT_ROUTE_SLOTS + LIMIT_ENDPOINT_SLOTS) * sizeof(struct abi_way_stats) <=
                   16u * 1024u * 1024u,
               "all ways of a worker, each of them used, take 16 MiB");

#endif
