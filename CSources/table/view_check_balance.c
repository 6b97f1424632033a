/* Rules of balancers, tiers, their tables, and of what is hashed. */
#include "abi/limits.h"
#include "view_walk.h"

static bool all_zero(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

static bool check_balancer(struct view_walk *walk)
{
    const struct abi_balancer *balancer = &walk->view->balancers[walk->record];

    return view_ref(walk, balancer->tiers, ABI_SECTION_TIER, "tiers of a balancer") &&
           view_rule(walk, balancer->tiers.count >= 1 && balancer->tiers.count <= LIMIT_TIERS,
                     ABI_REFUSAL_LIMIT, "tiers of a balancer") &&
           view_own_range(walk, balancer->tiers, "two balancers share tiers") &&
           view_ref(walk, balancer->hashes, ABI_SECTION_HASH, "hashes of a balancer") &&
           view_rule(walk, balancer->hashes.count <= LIMIT_TARGET_HASHES, ABI_REFUSAL_LIMIT,
                     "hashes of a balancer") &&
           view_rule(walk, balancer->slow_start_ms <= LIMIT_SLOW_START_MS, ABI_REFUSAL_VALUE,
                     "slow start") &&
           view_rule(walk, balancer->decay_ms <= LIMIT_DECAY_MS, ABI_REFUSAL_VALUE, "decay") &&
           view_rule(walk, balancer->choices != 1 && balancer->choices <= LIMIT_CHOICES,
                     ABI_REFUSAL_VALUE, "choices") &&
           view_rule(walk, balancer->spill >= 1 && balancer->spill <= 100, ABI_REFUSAL_VALUE,
                     "share of a tier that must be healthy") &&
           view_rule(walk, all_zero(balancer->_pad0, sizeof(balancer->_pad0)), ABI_REFUSAL_PADDING,
                     "balancer");
}

static bool check_tier_numbers(struct view_walk *walk, const struct abi_tier *tier)
{
    uint32_t slots = tier->table.count;
    bool fits = false;

    switch ((enum abi_table)tier->kind) {
    case ABI_TABLE_NONE:
        fits = slots == 0;
        break;
    case ABI_TABLE_RING:
        fits = slots % 2 == 0 && slots / 2 <= LIMIT_RING_POINTS &&
               (slots > 0) == (tier->endpoints.count > 0);
        break;
    case ABI_TABLE_MAGLEV:
        fits = slots <= LIMIT_MAGLEV_SLOTS && (slots > 0) == (tier->endpoints.count > 0);
        break;
    case ABI_TABLE_COUNT:
        break;
    }
    return view_rule(walk, fits, ABI_REFUSAL_VALUE, "size of a tier's table") &&
           view_rule(walk, tier->max_weight <= UINT16_MAX, ABI_REFUSAL_VALUE,
                     "max_weight of a tier") &&
           view_rule(walk, all_zero(tier->_pad0, sizeof(tier->_pad0)), ABI_REFUSAL_PADDING, "tier");
}

/* The slots of a table, view->_part of them are done. */
static bool check_table(struct view_walk *walk, const struct abi_tier *tier)
{
    struct view *view = walk->view;
    const uint32_t *slots = view->slots + tier->table.at;
    uint64_t places = tier->kind == ABI_TABLE_RING ? tier->table.count / 2 : 0;

    for (; view->_part < tier->table.count && view_goes_on(walk); view->_part++) {
        uint64_t i = view->_part;
        bool held =
            i < places ? i == 0 || slots[i - 1] <= slots[i] : slots[i] < tier->endpoints.count;

        if (!view_rule(walk, held, i < places ? ABI_REFUSAL_ORDER : ABI_REFUSAL_REFERENCE,
                       "slots of a tier's table")) {
            return false;
        }
        walk->budget -= i % 8 == 7;
    }
    if (view->_part >= tier->table.count) {
        view->_part = 0;
    }
    return true;
}

static bool check_tier(struct view_walk *walk)
{
    const struct abi_tier *tier = &walk->view->tiers[walk->record];

    if (walk->view->_part > 0) {
        return check_table(walk, tier);
    }
    return view_ref(walk, tier->table, ABI_SECTION_SLOT, "table of a tier") &&
           view_own_range(walk, tier->table, "two tiers share a table") &&
           check_tier_numbers(walk, tier) && check_table(walk, tier);
}

static bool check_hash(struct view_walk *walk)
{
    const struct abi_hash *hash = &walk->view->hashes[walk->record];
    bool named = hash->of != ABI_HASH_ADDRESS;

    return view_rule(walk, hash->of < ABI_HASH_OF_COUNT && hash->terminal <= 1, ABI_REFUSAL_VALUE,
                     "what is hashed") &&
           view_rule(walk, all_zero(hash->_pad0, sizeof(hash->_pad0)), ABI_REFUSAL_PADDING,
                     "hash") &&
           view_rule(walk, named == (hash->name.len > 0), ABI_REFUSAL_VALUE, "name of a hash") &&
           (hash->of == ABI_HASH_QUERY
                ? view_check_word(walk, hash->name, "parameter that is hashed")
                : view_check_token(walk, hash->name, !named, "name of a hash")) &&
           (hash->of != ABI_HASH_HEADER || view_check_lower(walk, hash->name, "field to hash")) &&
           view_rule(walk, hash->of == ABI_HASH_COOKIE || hash->attributes.len == 0,
                     ABI_REFUSAL_VALUE, "a cookie is made for a cookie alone") &&
           view_rule(walk,
                     hash->of != ABI_HASH_COOKIE || (hash->name.len <= LIMIT_COOKIE_NAME &&
                                                     hash->attributes.len <= LIMIT_COOKIE_REST),
                     ABI_REFUSAL_LIMIT, "cookie") &&
           view_check_line(walk, hash->attributes, "attributes of a cookie");
}

bool view_check_balancing(struct view_walk *walk)
{
    if (walk->view->_section == ABI_SECTION_BALANCER) {
        return check_balancer(walk);
    }
    return walk->view->_section == ABI_SECTION_TIER ? check_tier(walk) : check_hash(walk);
}

bool view_check_target_balancer(struct view_walk *walk, const struct abi_target *target)
{
    const struct view *view = walk->view;
    static const uint8_t tables[ABI_BALANCE_COUNT] = {
        [ABI_BALANCE_RING] = ABI_TABLE_RING,
        [ABI_BALANCE_MAGLEV] = ABI_TABLE_MAGLEV,
    };
    uint8_t table = tables[target->balance]; /* after check_target_numbers */
    const struct abi_balancer *balancer;
    uint64_t next = 0;

    if (!view_index(walk, target->balancer, ABI_SECTION_BALANCER, "balancer of a target") ||
        !view_rule(walk, target->balancer != ABI_NONE || target->balance < ABI_BALANCE_RING,
                   ABI_REFUSAL_VALUE, "a target without the balancer that it needs")) {
        return false;
    }
    if (target->balancer == ABI_NONE) {
        return true;
    }
    balancer = &view->balancers[target->balancer];
    if (!view_ref(walk, balancer->tiers, ABI_SECTION_TIER, "tiers of a balancer") ||
        !view_rule(walk, balancer->tiers.count >= 1 && balancer->tiers.count <= LIMIT_TIERS,
                   ABI_REFUSAL_LIMIT, "tiers of a balancer") ||
        !view_rule(walk, target->balance != ABI_BALANCE_LATENCY || balancer->decay_ms > 0,
                   ABI_REFUSAL_VALUE, "decay")) {
        return false;
    }
    for (uint32_t i = 0; i < balancer->tiers.count; i++) {
        const struct abi_tier *tier = &view->tiers[balancer->tiers.at + i];

        if (!view_rule(walk, tier->endpoints.at == next, ABI_REFUSAL_ORDER,
                       "tiers follow each other") ||
            !view_rule(walk, tier->kind == table, ABI_REFUSAL_VALUE, "table of a tier") ||
            !view_rule(walk, (tier->max_weight > 0) == (tier->endpoints.count > 0),
                       ABI_REFUSAL_VALUE, "max_weight of a tier")) {
            return false;
        }
        next += tier->endpoints.count;
    }
    return view_rule(walk, next == target->endpoints.count, ABI_REFUSAL_REFERENCE,
                     "tiers have all endpoints of their target");
}

bool view_check_tier_weight(struct view_walk *walk, const struct abi_target *target,
                            uint32_t number)
{
    const struct view *view = walk->view;
    const struct abi_tier *tier;

    if (target->balancer == ABI_NONE) {
        return true;
    }
    /* Tiers have all endpoints: view_check_target_balancer. */
    tier = &view->tiers[view->balancers[target->balancer].tiers.at];
    while (number >= tier->endpoints.at + tier->endpoints.count) {
        tier++;
    }
    return view_rule(walk,
                     view->endpoints[target->endpoints.at + number].weight <= tier->max_weight,
                     ABI_REFUSAL_VALUE, "an endpoint heavier than max_weight of its tier");
}
