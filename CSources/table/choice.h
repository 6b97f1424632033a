/* The endpoints that one choice is made among; private to the room. */
#ifndef TABLE_CHOICE_H
#define TABLE_CHOICE_H

#include "table/balance.h"

/* Weights that grow have so many bits behind the point: a weight of 1 can be less, too. */
#define CHOICE_POINT 8u
/* The least part of its weight that an endpoint begins with, in per cent. */
#define CHOICE_START_PERCENT 10u

struct choice {
    const struct view *view;
    const struct balance_input *input;
    uint32_t from; /* ENDPOINT section */
    uint32_t count;
    uint32_t max_weight;
    uint32_t slow_start_ms;
};

/* Whether it failed and is left out for a while. */
static inline bool choice_ejected(const struct balance_input *input,
                                  const struct abi_endpoint *endpoint)
{
    const struct abi_tally_endpoint *watched = &input->watched[endpoint->overlay_slot];

    return __atomic_load_n(&watched->ejected_until_ms, __ATOMIC_RELAXED) > input->now_ms &&
           __atomic_load_n(&watched->key, __ATOMIC_RELAXED) == endpoint->key;
}

/* The weight of an endpoint that takes work: the overlay's, else the snapshot's; else 0. */
static inline uint32_t choice_plain_weight(const struct choice *choice, uint32_t endpoint,
                                           uint64_t word)
{
    const struct balance_input *input = choice->input;
    uint32_t weight;

    if ((word & (ABI_OVERLAY_DOWN | ABI_OVERLAY_DRAIN)) != 0) {
        return 0;
    }
    for (uint32_t i = 0; i < input->tried_count; i++) {
        if (input->tried[i] == endpoint) {
            return 0;
        }
    }
    if (input->watched != NULL && choice_ejected(input, &choice->view->endpoints[endpoint])) {
        return 0;
    }
    weight = (uint32_t)(word >> ABI_OVERLAY_WEIGHT_SHIFT) & UINT16_MAX;
    if (weight == 0) {
        weight = choice->view->endpoints[endpoint].weight;
    }
    return weight < choice->max_weight ? weight : choice->max_weight;
}

/* What a weight of 1 amounts to for an endpoint that is there since `since`: it grows in a line
 * over the slow start. */
static inline uint32_t choice_growth(const struct choice *choice, uint32_t since)
{
    uint64_t units = choice->input->more->now_ms / ABI_OVERLAY_SINCE_UNIT_MS + 1;
    uint64_t age_ms = (uint64_t)((uint32_t)units - since) * ABI_OVERLAY_SINCE_UNIT_MS;
    uint64_t least = (uint64_t)choice->slow_start_ms * CHOICE_START_PERCENT / 100;

    if (since == 0 || age_ms >= choice->slow_start_ms) {
        return 1u << CHOICE_POINT;
    }
    age_ms = age_ms > least ? age_ms : least;
    return (uint32_t)((age_ms << CHOICE_POINT) / choice->slow_start_ms) | 1;
}

/* With `grows` weights have CHOICE_POINT bits behind the point. */
static inline uint32_t choice_weight(const struct choice *choice, uint32_t endpoint, bool grows)
{
    uint32_t slot = choice->view->endpoints[endpoint].overlay_slot;
    uint64_t word = abi_overlay_get(choice->input->overlay, slot);
    uint32_t weight = choice_plain_weight(choice, endpoint, word);

    if (!grows) {
        return weight;
    }
    return choice->slow_start_ms == 0
               ? weight << CHOICE_POINT
               : weight * choice_growth(choice, (uint32_t)(word >> ABI_OVERLAY_SINCE_SHIFT));
}

/* The greatest that choice_weight can say. */
static inline uint32_t choice_max_weight(const struct choice *choice, bool grows)
{
    return grows ? choice->max_weight << CHOICE_POINT : choice->max_weight;
}

/* A number below `bound` from 32 random bits. */
static inline uint32_t choice_scale(uint32_t bits, uint32_t bound)
{
    return (uint32_t)((uint64_t)bits * bound >> 32);
}

static inline void choice_tell(const struct choice *choice, enum balance_reason reason)
{
    if (choice->input->more != NULL && choice->input->more->why != NULL) {
        choice->input->more->why->reason = reason;
    }
}

/* --- balance_hash.c --- */

/* The endpoint that the request's hash leads to by the tier's table, or ABI_NONE. */
uint32_t balance_hash_pick(const struct choice *choice, const struct abi_tier *tier);

#endif
