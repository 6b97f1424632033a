/* The tally: what the workers of a node count together, so that limits hold for the node and not
 * for each worker. The supervisor makes it once; it outlives control planes and workers.
 *
 *   +----------------------+ 0
 *   | abi_tally            |  header
 *   +----------------------+
 *   | abi_tally_target[]   |  LIMIT_TARGETS, by a target's statistics slot: written by all workers
 *   +----------------------+
 *   | abi_tally_endpoint[] |  LIMIT_ENDPOINTS, by overlay slot: written by all workers
 *   +----------------------+
 *   | abi_tally_bucket[]   |  LIMIT_BUCKETS, sets of eight by a hash: written by all workers
 *   +----------------------+
 *   | gauges               |  LIMIT_TARGETS x ABI_TALLY_GAUGE_COUNT x workers: each column has one
 *   +----------------------+  writer, and the sum of a row is what the node has
 *
 * A gauge is the sum of its row rather than one shared number, so that a worker that dies takes
 * what it held with it: the supervisor clears its column. Pages that nobody touched take no
 * memory. */
#ifndef ABI_TALLY_H
#define ABI_TALLY_H

#include <stdint.h>

#include "abi/limits.h"

#define ABI_TALLY_MAGIC 0x594c4c41544d5252ULL

enum abi_tally_gauge {
    ABI_TALLY_CONNECTIONS = 0, /* open or being opened, idle ones too */
    ABI_TALLY_PENDING,         /* requests that wait for a connection */
    ABI_TALLY_REQUESTS,        /* under way, with a connection or waiting for one */
    ABI_TALLY_RETRIES,         /* second tries under way */
    ABI_TALLY_GAUGE_COUNT
};

struct abi_tally {
    uint64_t magic;
    uint32_t version;
    uint32_t workers; /* columns of each gauge */
    uint64_t _pad0[6];
};

struct abi_tally_target {
    uint32_t retries_owed; /* second tries, paid back by answers */
    uint32_t wanted_by;    /* 1 + the worker that last found no connection left; 0: none did */
    uint64_t wanted_ms;    /* CLOCK_MONOTONIC: when that was */
};

/* How an endpoint has served. Times are CLOCK_MONOTONIC. */
struct abi_tally_endpoint {
    uint64_t key;              /* of the endpoint that this is about; another: nothing is known */
    uint64_t ejected_until_ms; /* not chosen before */
    uint32_t failures;         /* in a row */
    uint32_t gateway_failures; /* in a row, those of them where the endpoint may not have worked */
    uint32_t ejections;        /* so far, less those that were forgiven */
    uint32_t _pad0;
};

/* A token bucket that is not full: it is full again at `full_ns`, which every token taken puts off
 * by the time that one takes to come. */
struct abi_tally_bucket {
    uint64_t key; /* of the rate and of who shares it; 0: free */
    uint64_t full_ns;
};

_Static_assert(sizeof(struct abi_tally_bucket) == 16, "layout");
_Static_assert(sizeof(struct abi_tally) == 64, "layout");
_Static_assert(sizeof(struct abi_tally_target) == 16, "layout");
_Static_assert(sizeof(struct abi_tally_endpoint) == 32, "layout");

#define ABI_TALLY_TARGETS_AT ((uint64_t)sizeof(struct abi_tally))
#define ABI_TALLY_ENDPOINTS_AT                                                                     \
    (ABI_TALLY_TARGETS_AT + (uint64_t)LIMIT_TARGETS * sizeof(struct abi_tally_target))
#define ABI_TALLY_BUCKETS_AT                                                                       \
    (ABI_TALLY_ENDPOINTS_AT + (uint64_t)LIMIT_ENDPOINTS * sizeof(struct abi_tally_endpoint))
#define ABI_TALLY_GAUGES_AT                                                                        \
    (ABI_TALLY_BUCKETS_AT + (uint64_t)LIMIT_BUCKETS * sizeof(struct abi_tally_bucket))
#define ABI_TALLY_ROWS ((uint64_t)LIMIT_TARGETS * ABI_TALLY_GAUGE_COUNT)

static inline uint64_t abi_tally_size(uint32_t workers)
{
    return ABI_TALLY_GAUGES_AT + ABI_TALLY_ROWS * workers * sizeof(uint32_t);
}

static inline struct abi_tally_target *abi_tally_target(struct abi_tally *tally, uint32_t slot)
{
    return (struct abi_tally_target *)(void *)(tally + 1) + slot;
}

static inline struct abi_tally_endpoint *abi_tally_endpoints(struct abi_tally *tally)
{
    return (struct abi_tally_endpoint *)(void *)((unsigned char *)tally + ABI_TALLY_ENDPOINTS_AT);
}

static inline struct abi_tally_bucket *abi_tally_buckets(struct abi_tally *tally)
{
    return (struct abi_tally_bucket *)(void *)((unsigned char *)tally + ABI_TALLY_BUCKETS_AT);
}

/* A row of `workers` numbers. */
static inline uint32_t *abi_tally_row(struct abi_tally *tally, uint32_t slot,
                                      enum abi_tally_gauge gauge)
{
    uint32_t *rows = (uint32_t *)(void *)((unsigned char *)tally + ABI_TALLY_GAUGES_AT);

    return rows + ((uint64_t)slot * ABI_TALLY_GAUGE_COUNT + (uint32_t)gauge) * tally->workers;
}

/* What the node has. */
static inline uint64_t abi_tally_sum(struct abi_tally *tally, uint32_t slot,
                                     enum abi_tally_gauge gauge)
{
    const uint32_t *row = abi_tally_row(tally, slot, gauge);
    uint64_t sum = 0;

    for (uint32_t i = 0; i < tally->workers; i++) {
        sum += __atomic_load_n(&row[i], __ATOMIC_RELAXED);
    }
    return sum;
}

#endif
