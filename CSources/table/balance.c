#include "table/balance.h"

/* Turns of a round-robin cursor that are tried before the work becomes linear: a turn is passed on
 * when its endpoint is down, was tried, or is lighter than the heaviest one. */
#define ROUNDS 4u

/* Whether it failed and is left out for a while. */
static bool is_ejected(const struct abi_endpoint *endpoint, const struct balance_input *input)
{
    const struct abi_tally_endpoint *watched = &input->watched[endpoint->overlay_slot];

    return __atomic_load_n(&watched->ejected_until_ms, __ATOMIC_RELAXED) > input->now_ms &&
           __atomic_load_n(&watched->key, __ATOMIC_RELAXED) == endpoint->key;
}

static uint32_t word_weight(const struct view *view, const struct abi_target *target,
                            const struct balance_input *input, uint32_t endpoint)
{
    const struct abi_endpoint *record = &view->endpoints[endpoint];
    uint64_t word = abi_overlay_get(input->overlay, record->overlay_slot);
    uint32_t weight;

    if ((word & (ABI_OVERLAY_DOWN | ABI_OVERLAY_DRAIN)) != 0) {
        return 0;
    }
    for (uint32_t i = 0; i < input->tried_count; i++) {
        if (input->tried[i] == endpoint) {
            return 0;
        }
    }
    if (input->watched != NULL && is_ejected(record, input)) {
        return 0;
    }
    weight = (uint32_t)(word >> ABI_OVERLAY_WEIGHT_SHIFT) & UINT16_MAX;
    if (weight == 0) {
        weight = record->weight;
    }
    return weight < target->max_weight ? weight : target->max_weight;
}

bool balance_is_up(const struct view *view, const struct abi_overlay *overlay, uint32_t endpoint)
{
    uint64_t word = abi_overlay_get(overlay, view->endpoints[endpoint].overlay_slot);

    return (word & (ABI_OVERLAY_DOWN | ABI_OVERLAY_DRAIN)) == 0;
}

/* splitmix64: several numbers from the caller's one. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

/* A number below `bound` from 32 random bits. */
static uint32_t scale(uint32_t bits, uint32_t bound)
{
    return (uint32_t)((uint64_t)bits * bound >> 32);
}

/* By weight over all that are usable, leaving out `except`: linear, for when chance has not found
 * one. */
static uint32_t pick_by_scan(const struct view *view, const struct abi_target *target,
                             const struct balance_input *input, uint64_t random, uint32_t except)
{
    uint32_t from = target->endpoints.at, end = from + target->endpoints.count;
    uint64_t total = 0, number;

    for (uint32_t i = from; i < end; i++) {
        total += i == except ? 0 : word_weight(view, target, input, i);
    }
    if (total == 0) {
        return ABI_NONE;
    }
    number = random % total;
    for (uint32_t i = from; i < end; i++) {
        uint32_t weight = i == except ? 0 : word_weight(view, target, input, i);

        if (number < weight) {
            return i;
        }
        number -= weight;
    }
    return ABI_NONE; /* the overlay moved between the two passes and nothing is left */
}

/* An endpoint by chance and weight, not `except`. */
static uint32_t pick_random(const struct view *view, const struct abi_target *target,
                            const struct balance_input *input, uint64_t *random, uint32_t except)
{
    for (uint32_t tries = 0; tries < 2 * ROUNDS; tries++) {
        uint64_t bits = next_random(random);
        uint32_t i = target->endpoints.at + scale((uint32_t)bits, target->endpoints.count);

        if (i != except && scale((uint32_t)(bits >> 32), target->max_weight) <
                               word_weight(view, target, input, i)) {
            return i;
        }
    }
    return pick_by_scan(view, target, input, next_random(random), except);
}

/* Bits of a 16-bit number in reverse: consecutive rounds spread evenly over all thresholds. */
static uint32_t reverse16(uint32_t v)
{
    v = (v & 0x5555u) << 1 | (v >> 1 & 0x5555u);
    v = (v & 0x3333u) << 2 | (v >> 2 & 0x3333u);
    v = (v & 0x0f0fu) << 4 | (v >> 4 & 0x0f0fu);
    return (v & 0x00ffu) << 8 | (v >> 8 & 0x00ffu);
}

/* Every value of the cursor is one endpoint's turn in one round. The heaviest takes every turn; one
 * of weight w takes w of max_weight turns, evenly spread over the rounds. A turn that is not taken
 * is the next endpoint's, which keeps its own turn too only in the next round: so the turns of an
 * endpoint that is down are shared by all. */
static uint32_t pick_round_robin(const struct view *view, const struct abi_target *target,
                                 const struct balance_input *input)
{
    uint32_t count = target->endpoints.count;
    uint64_t random = input->random;

    for (uint64_t turns = (uint64_t)count * ROUNDS, up = 0, t = 0; t < turns; t++) {
        uint32_t turn = (*input->cursor)++;
        uint32_t i = target->endpoints.at + turn % count;
        uint32_t weight = word_weight(view, target, input, i);

        if (weight == target->max_weight) {
            return i;
        }
        if ((uint64_t)reverse16(turn / count) * target->max_weight < (uint64_t)weight << 16) {
            return i;
        }
        up += weight;
        if (t + 1 == count && up == 0) {
            return ABI_NONE;
        }
    }
    return pick_by_scan(view, target, input, next_random(&random), ABI_NONE);
}

/* The less loaded for its weight of two by chance. */
static uint32_t pick_least_request(const struct view *view, const struct abi_target *target,
                                   const struct balance_input *input)
{
    uint64_t random = input->random;
    uint32_t a = pick_random(view, target, input, &random, ABI_NONE);
    uint32_t b;

    if (a == ABI_NONE || target->endpoints.count == 1 || input->load == NULL) {
        return a;
    }
    b = pick_random(view, target, input, &random, a);
    if (b == ABI_NONE) {
        return a;
    }
    return (uint64_t)input->load(input->context, b) * view->endpoints[a].weight <
                   (uint64_t)input->load(input->context, a) * view->endpoints[b].weight
               ? b
               : a;
}

uint32_t balance_pick(const struct view *view, const struct abi_target *target,
                      const struct balance_input *input)
{
    uint64_t random = input->random;

    if (target->endpoints.count == 0) {
        return ABI_NONE;
    }
    switch ((enum abi_balance)target->balance) {
    case ABI_BALANCE_ROUND_ROBIN:
        return pick_round_robin(view, target, input);
    case ABI_BALANCE_LEAST_REQUEST:
        return pick_least_request(view, target, input);
    case ABI_BALANCE_RANDOM:
        return pick_random(view, target, input, &random, ABI_NONE);
    case ABI_BALANCE_COUNT:
        break;
    }
    return ABI_NONE;
}
