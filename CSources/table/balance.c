#include "table/balance.h"

#include "choice.h"
#include "base/hash.h"

/* Turns of a round-robin cursor that are tried before the work becomes linear: a turn is passed on
 * when its endpoint is down, was tried, or is lighter than the heaviest one. */
#define ROUNDS    4u
#define MAX_TURNS 256u

/* The functions with `grows` are made twice: for targets without a balancer weights are numbers of
 * the table and of the overlay, and nothing is asked about time. */
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

/* By weight over all that are usable, leaving out `except`: linear, for when chance has not found
 * one. */
[[gnu::noinline]] static uint32_t pick_by_scan(const struct choice *choice, uint64_t random,
                                               uint32_t except, bool grows)
{
    uint32_t end = choice->from + choice->count;
    uint64_t total = 0, number;

    for (uint32_t i = choice->from; i < end; i++) {
        total += i == except ? 0 : choice_weight(choice, i, grows);
    }
    if (total == 0) {
        return ABI_NONE;
    }
    number = random % total;
    for (uint32_t i = choice->from; i < end; i++) {
        uint32_t weight = i == except ? 0 : choice_weight(choice, i, grows);

        if (number < weight) {
            return i;
        }
        number -= weight;
    }
    return ABI_NONE; /* the overlay moved between the two passes and nothing is left */
}

/* An endpoint by chance and weight, not `except`; ABI_NONE: chance has found none. */
[[gnu::always_inline]] static inline uint32_t
pick_by_chance(const struct choice *choice, uint64_t *random, uint32_t except, bool grows)
{
    for (uint32_t tries = 0; tries < 2 * ROUNDS; tries++) {
        uint64_t bits = next_random(random);
        uint32_t i = choice->from + choice_scale((uint32_t)bits, choice->count);

        if (i != except && choice_scale((uint32_t)(bits >> 32), choice_max_weight(choice, grows)) <
                               choice_weight(choice, i, grows)) {
            return i;
        }
    }
    return ABI_NONE;
}

[[gnu::always_inline]] static inline uint32_t
pick_random(const struct choice *choice, uint64_t *random, uint32_t except, bool grows)
{
    uint32_t i = pick_by_chance(choice, random, except, grows);

    return i != ABI_NONE ? i : pick_by_scan(choice, next_random(random), except, grows);
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
[[gnu::always_inline]] static inline uint32_t pick_round_robin(const struct choice *choice,
                                                               bool grows)
{
    const struct balance_input *input = choice->input;
    uint32_t count = choice->count;
    uint32_t most = choice_max_weight(choice, grows);
    uint32_t turns = count < MAX_TURNS / ROUNDS ? count * ROUNDS : MAX_TURNS;
    uint64_t random = input->random;
    uint64_t up = 0;

    if (*input->cursor == 0) { /* workers do not go round together */
        *input->cursor = (uint32_t)(random >> 32);
    }
    for (uint32_t t = 0; t < turns; t++) {
        uint32_t turn = (*input->cursor)++;
        uint32_t i = choice->from + turn % count;
        uint32_t weight = choice_weight(choice, i, grows);

        if (weight == most) {
            return i;
        }
        if ((uint64_t)reverse16(turn / count) * most < (uint64_t)weight << 16) {
            return i;
        }
        up += weight;
        if (t + 1 == count && up == 0) {
            return ABI_NONE;
        }
    }
    return pick_by_scan(choice, next_random(&random), ABI_NONE, grows);
}

/* What another request to an endpoint costs, before its weight is asked for. */
[[gnu::always_inline]] static inline uint64_t cost_of(const struct choice *choice,
                                                      uint32_t endpoint, uint32_t decay_ms)
{
    const struct balance_input *input = choice->input;
    uint64_t load = input->load == NULL ? 0 : input->load(input->context, endpoint);
    const struct latency *latency;

    if (decay_ms == 0 || input->more->latencies == NULL) {
        return load;
    }
    latency = &input->more->latencies[choice->view->endpoints[endpoint].overlay_slot];
    load =
        load < 4095 ? load : 4095; /* 26 bits of latency and 24 of weight are multiplied with it */
    if (latency->us == 0) {
        return load == 0 ? 0 : LATENCY_UNKNOWN_US * (load + 1);
    }
    return (latency_now(latency, input->more->now_ms, decay_ms) + 1ull) * (load + 1);
}

/* The one that costs least for its weight of several by chance. */
[[gnu::always_inline]] static inline uint32_t
pick_least(const struct choice *choice, uint32_t choices, uint32_t decay_ms, bool grows)
{
    uint64_t random = choice->input->random;
    uint32_t best = pick_random(choice, &random, ABI_NONE, grows);
    uint32_t count = choice->count;
    uint64_t cost, weight;

    if (best == ABI_NONE || count == 1 || choice->input->load == NULL) {
        return best;
    }
    cost = cost_of(choice, best, decay_ms);
    weight = grows ? choice_weight(choice, best, true) : choice->view->endpoints[best].weight;
    for (uint32_t i = 1; i < choices; i++) {
        uint32_t other = i == 1 ? pick_random(choice, &random, best, grows)
                                : pick_by_chance(choice, &random, best, grows);
        uint64_t other_cost, other_weight;

        if (other == ABI_NONE) {
            return best;
        }
        other_cost = cost_of(choice, other, decay_ms);
        other_weight =
            grows ? choice_weight(choice, other, true) : choice->view->endpoints[other].weight;
        if (other_cost * weight < cost * other_weight) {
            best = other;
            cost = other_cost;
            weight = other_weight;
        }
    }
    return best;
}

/* --- targets with a balancer --- */

static uint32_t pick_from_tier(const struct choice *choice, const struct abi_target *target,
                               const struct abi_balancer *balancer, const struct abi_tier *tier)
{
    uint64_t random = choice->input->random;

    switch ((enum abi_balance)target->balance) {
    case ABI_BALANCE_ROUND_ROBIN:
        choice_tell(choice, BALANCE_TURN);
        return pick_round_robin(choice, true);
    case ABI_BALANCE_LEAST_REQUEST:
        choice_tell(choice, BALANCE_LOAD);
        return pick_least(choice, balancer->choices, 0, true);
    case ABI_BALANCE_LATENCY:
        choice_tell(choice, BALANCE_LATENCY);
        return pick_least(choice, balancer->choices, balancer->decay_ms, true);
    case ABI_BALANCE_RING:
    case ABI_BALANCE_MAGLEV:
        if (choice->input->more->hashed) {
            return balance_hash_pick(choice, tier);
        }
        break;
    case ABI_BALANCE_RANDOM:
    case ABI_BALANCE_COUNT:
        break;
    }
    choice_tell(choice, BALANCE_CHANCE);
    return pick_random(choice, &random, ABI_NONE, true);
}

/* The part of a tier's weight that takes new work, of 65536. */
static uint32_t healthy_part(const struct view *view, const struct abi_overlay *overlay,
                             uint32_t from, uint32_t count)
{
    uint64_t up = 0, all = 0;

    for (uint32_t i = from; i < from + count; i++) {
        uint32_t weight = view->endpoints[i].weight;

        all += weight;
        up += balance_is_up(view, overlay, i) ? weight : 0;
    }
    return all == 0 ? 0 : (uint32_t)((up << 16) / all);
}

/* A tier takes as much as it can, the nearest first: all when `spill` per cent of it are healthy,
 * in proportion below. What nobody can take is divided as what they take is. */
void balance_divide(const struct view *view, const struct abi_target *target,
                    const struct abi_overlay *overlay, struct balance_shares *shares)
{
    const struct abi_balancer *balancer = &view->balancers[target->balancer];
    uint32_t count = balancer->tiers.count;
    uint64_t taken[LIMIT_TIERS];
    uint64_t total = 0, sum = 0;

    for (uint32_t i = 0; i < count; i++) {
        const struct abi_tier *tier = &view->tiers[balancer->tiers.at + i];
        uint64_t able = healthy_part(view, overlay, target->endpoints.at + tier->endpoints.at,
                                     tier->endpoints.count) *
                        100ull / balancer->spill;
        uint64_t left = 65536 - total;

        taken[i] = able < left ? able : left;
        total += taken[i];
    }
    for (uint32_t i = 0; i < count; i++) {
        sum += taken[i];
        shares->upto[i] = total == 0 ? 0 : (uint32_t)((sum << 16) / total);
    }
}

/* The tier that a request begins at. A hash decides for itself, so that a request that is the same
 * spills or stays. */
static uint32_t first_tier(const struct view *view, const struct abi_target *target,
                           const struct balance_input *input)
{
    const struct balance_more *more = input->more;
    struct balance_shares own = {.generation = 0};
    struct balance_shares *shares = more->shares != NULL ? more->shares : &own;
    uint64_t changes = __atomic_load_n(&input->overlay->changes, __ATOMIC_ACQUIRE);
    uint64_t generation = view->head->generation;
    uint32_t count = view->balancers[target->balancer].tiers.count;
    uint64_t number = more->hashed ? hash_finish(more->hash ^ HASH_START) : input->random;
    uint32_t tier = 0;

    if (shares->changes != changes || shares->generation != generation) {
        balance_divide(view, target, input->overlay, shares);
        shares->changes = changes;
        shares->generation = generation;
    }
    while (tier < count - 1 && (number >> 48) >= shares->upto[tier]) {
        tier++;
    }
    return tier;
}

static uint32_t pick_by_balancer(const struct view *view, const struct abi_target *target,
                                 const struct balance_input *input)
{
    const struct abi_balancer *balancer = &view->balancers[target->balancer];
    uint32_t count = balancer->tiers.count;
    uint32_t first = count == 1 ? 0 : first_tier(view, target, input);

    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = first + i < count ? first + i : first + i - count;
        const struct abi_tier *tier = &view->tiers[balancer->tiers.at + number];
        struct choice choice = {view,
                                input,
                                target->endpoints.at + tier->endpoints.at,
                                tier->endpoints.count,
                                tier->max_weight,
                                balancer->slow_start_ms};
        uint32_t endpoint =
            choice.count == 0 ? ABI_NONE : pick_from_tier(&choice, target, balancer, tier);

        if (endpoint != ABI_NONE) {
            if (input->more->why != NULL) {
                input->more->why->tier = number;
            }
            return endpoint;
        }
    }
    return ABI_NONE;
}

/* Round robin whose next turn is not simply taken, and the other policies. */
[[gnu::noinline]] static uint32_t pick_else(const struct view *view,
                                            const struct abi_target *target,
                                            const struct balance_input *input)
{
    struct choice choice = {
        view, input, target->endpoints.at, target->endpoints.count, target->max_weight, 0};
    uint64_t random = input->random;

    if (target->balancer != ABI_NONE) {
        return pick_by_balancer(view, target, input);
    }
    if (choice.count == 0) {
        return ABI_NONE;
    }
    switch ((enum abi_balance)target->balance) {
    case ABI_BALANCE_ROUND_ROBIN:
        return pick_round_robin(&choice, false);
    case ABI_BALANCE_LEAST_REQUEST:
        return pick_least(&choice, 2, 0, false);
    case ABI_BALANCE_RANDOM:
        return pick_random(&choice, &random, ABI_NONE, false);
    case ABI_BALANCE_RING: /* not without a balancer: view_open */
    case ABI_BALANCE_MAGLEV:
    case ABI_BALANCE_LATENCY:
    case ABI_BALANCE_COUNT:
        break;
    }
    return ABI_NONE;
}

uint32_t balance_pick(const struct view *view, const struct abi_target *target,
                      const struct balance_input *input)
{
    const struct choice turns = {
        view, input, target->endpoints.at, target->endpoints.count, target->max_weight, 0};

    /* Nearly always: the default policy, and one of the heaviest is next. */
    if (target->balance == ABI_BALANCE_ROUND_ROBIN && target->balancer == ABI_NONE &&
        *input->cursor != 0 && turns.count > 0) {
        uint32_t endpoint = turns.from + *input->cursor % turns.count;

        if (choice_weight(&turns, endpoint, false) == turns.max_weight) {
            ++*input->cursor;
            return endpoint;
        }
    }
    return pick_else(view, target, input);
}
