/* Choice by a hash of the request: tables that the control plane made, read only.
 *
 * A request whose endpoint is not to be had goes on to the next one of the table, so that the
 * requests of one that is down are spread over all others, and nobody else's move. After a bounded
 * number of steps all endpoints are ranked by the hash, and the first one that is to be had is
 * taken: that is as stable, and linear. */
#include "choice.h"
#include "base/hash.h"

/* Steps along the table before all endpoints are ranked. */
#define HASH_STEPS 64u

/* The number of an endpoint's turn with a request: the same for every worker and at any time. */
static uint64_t hash_with(const struct choice *choice, uint32_t endpoint)
{
    return hash_finish(choice->input->more->hash ^
                       hash_finish(choice->view->endpoints[endpoint].key + HASH_START));
}

/* Whether the endpoint takes this request. One that weighs less at the moment than the table was
 * made for takes that part of its requests, always the same ones. */
static bool hash_takes(const struct choice *choice, uint32_t endpoint)
{
    uint32_t weight = choice_weight(choice, endpoint, true);
    uint32_t full = choice->view->endpoints[endpoint].weight << CHOICE_POINT;

    return weight >= full ||
           (weight > 0 &&
            choice_scale((uint32_t)(hash_with(choice, endpoint) >> 32), full) < weight);
}

/* Of all endpoints the first by rank; lighter ones take part in fewer rankings, until only they are
 * left. */
static uint32_t hash_rank(const struct choice *choice)
{
    uint32_t best = ABI_NONE, best_light = ABI_NONE;
    uint64_t rank = 0, rank_light = 0;
    uint32_t most = choice_max_weight(choice, true);

    for (uint32_t i = choice->from; i < choice->from + choice->count; i++) {
        uint32_t weight = choice_weight(choice, i, true);
        uint64_t number = hash_with(choice, i);
        uint64_t own = hash_finish(number);

        if (weight == 0) {
            continue;
        }
        if (best_light == ABI_NONE || own > rank_light) {
            best_light = i;
            rank_light = own;
        }
        if (choice_scale((uint32_t)number, most) < weight && (best == ABI_NONE || own > rank)) {
            best = i;
            rank = own;
        }
    }
    return best != ABI_NONE ? best : best_light;
}

/* The first place on the ring that is not before `place`. */
static uint32_t hash_find_place(const uint32_t *places, uint32_t count, uint32_t place)
{
    const uint32_t *at = places;

    for (uint32_t left = count; left > 0;) {
        uint32_t half = left / 2;

        if (at[half] < place) {
            at += half + 1;
            left -= half + 1;
        } else {
            left = half;
        }
    }
    return at == places + count ? 0 : (uint32_t)(at - places);
}

uint32_t balance_hash_pick(const struct choice *choice, const struct abi_tier *tier)
{
    const struct balance_more *more = choice->input->more;
    const uint32_t *owners = choice->view->slots + tier->table.at;
    uint32_t count = tier->table.count;
    uint32_t start, steps;

    if (count == 0) {
        return ABI_NONE;
    }
    if (tier->kind == ABI_TABLE_RING) {
        count /= 2;
        start = hash_find_place(owners, count, (uint32_t)(more->hash >> 32));
        owners += count;
    } else {
        start = (uint32_t)(more->hash % count);
    }
    if (more->why != NULL) {
        more->why->place = start;
    }
    for (steps = 0; steps < HASH_STEPS && steps < count; steps++) {
        uint32_t at = start + steps < count ? start + steps : start + steps - count;
        uint32_t endpoint = choice->from + owners[at];

        if (hash_takes(choice, endpoint)) {
            choice_tell(choice, steps == 0 ? BALANCE_TABLE : BALANCE_NEXT);
            break;
        }
    }
    if (more->why != NULL) {
        more->why->steps = steps;
    }
    if (steps < HASH_STEPS && steps < count) {
        uint32_t at = start + steps < count ? start + steps : start + steps - count;

        return choice->from + owners[at];
    }
    choice_tell(choice, BALANCE_RANK);
    return hash_rank(choice);
}
