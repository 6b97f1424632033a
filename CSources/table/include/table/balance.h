/* Which endpoint of a target takes the next request or connection. The table is read-only: what
 * moves (cursor, loads, latencies, shares) is the caller's. */
#ifndef TABLE_BALANCE_H
#define TABLE_BALANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/overlay.h"
#include "abi/tally.h"
#include "table/latency.h"
#include "table/view.h"

/* How much of a target's traffic each tier takes; kept per target, made anew when the overlay or
 * the snapshot has changed. Zeros are a good start. */
struct balance_shares {
    uint64_t changes;           /* of the overlay */
    uint64_t generation;        /* of the snapshot */
    uint32_t upto[LIMIT_TIERS]; /* of 65536: the tiers up to this one together */
};

enum balance_reason {
    BALANCE_TURN = 0, /* its turn of the round */
    BALANCE_CHANCE,   /* by chance and weight */
    BALANCE_LOAD,     /* the least loaded of those that chance chose */
    BALANCE_LATENCY,  /* ... of the least latency */
    BALANCE_TABLE,    /* the hash leads to it */
    BALANCE_NEXT,     /* the hash leads to one that is not to be had, and from there to it */
    BALANCE_RANK, /* as many in a row are not to be had: the hash ranks it first of all others */
};

/* For explanations. */
struct balance_why {
    enum balance_reason reason;
    uint32_t tier;  /* of the target */
    uint32_t place; /* of the table, where the hash leads to */
    uint32_t steps; /* from there */
};

/* What targets with a balancer need besides. */
struct balance_more {
    uint64_t now_ms; /* CLOCK_MONOTONIC */
    uint64_t hash;   /* of the request, with `hashed` */
    bool hashed;
    const struct latency *latencies; /* by overlay slot; NULL: nothing is known */
    struct balance_shares *shares;   /* of this target; NULL: not kept */
    struct balance_why *why;         /* filled when not NULL */
};

struct balance_input {
    const struct abi_overlay *overlay;
    const struct abi_tally_endpoint *watched; /* by overlay slot; NULL: nothing is left out */
    uint64_t now_ms;                          /* with `watched` */
    uint32_t *cursor; /* round robin: of this target; advanced. 0: begins somewhere */
    uint64_t random;  /* fresh for each call */
    /* Requests in flight to an endpoint, for least-request; NULL = all equal. */
    uint32_t (*load)(const void *context, uint32_t endpoint);
    const void *context;
    const uint32_t *tried; /* ENDPOINT indexes not to be chosen again */
    uint32_t tried_count;
    const struct balance_more *more; /* may be NULL for targets without a balancer */
};

/* Index into ENDPOINT, or ABI_NONE when none is healthy and untried. Weights count. Never
 * allocates; work is linear in the target's endpoints only when its first choices are down. */
uint32_t balance_pick(const struct view *view, const struct abi_target *target,
                      const struct balance_input *input);

/* Whether the overlay lets an endpoint take new work. */
bool balance_is_up(const struct view *view, const struct abi_overlay *overlay, uint32_t endpoint);

/* How the traffic of a target is divided among its tiers now. */
void balance_divide(const struct view *view, const struct abi_target *target,
                    const struct abi_overlay *overlay, struct balance_shares *shares);

#endif
