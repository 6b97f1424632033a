/* Which endpoint of a target takes the next request or connection. The table is read-only: what
 * moves (cursor, loads) is the caller's. */
#ifndef TABLE_BALANCE_H
#define TABLE_BALANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/overlay.h"
#include "abi/tally.h"
#include "table/view.h"

struct balance_input {
    const struct abi_overlay *overlay;
    const struct abi_tally_endpoint *watched; /* by overlay slot; NULL: nothing is left out */
    uint64_t now_ms;                          /* with `watched` */
    uint32_t *cursor;                         /* round robin: of this target; advanced */
    uint64_t random;                          /* fresh for each call */
    /* Requests in flight to an endpoint, for least-request; NULL = all equal. */
    uint32_t (*load)(const void *context, uint32_t endpoint);
    const void *context;
    const uint32_t *tried; /* ENDPOINT indexes not to be chosen again */
    uint32_t tried_count;
};

/* Index into ENDPOINT, or ABI_NONE when none is healthy and untried. Weights count. Never
 * allocates; work is linear in the target's endpoints only when its first choices are down. */
uint32_t balance_pick(const struct view *view, const struct abi_target *target,
                      const struct balance_input *input);

/* Whether the overlay lets an endpoint take new work. */
bool balance_is_up(const struct view *view, const struct abi_overlay *overlay, uint32_t endpoint);

#endif
