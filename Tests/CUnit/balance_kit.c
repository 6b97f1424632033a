#include "balance_kit.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/must.h"

struct point {
    uint32_t place;
    uint32_t owner;
};

/* Neighbours in, strangers out: hash_finish() of small numbers is not enough for that. */
static uint64_t scatter(uint64_t number)
{
    return hash_finish(hash_finish(number * 0x9e3779b97f4a7c15ULL + 1));
}

static int by_place(const void *a, const void *b)
{
    const struct point *x = a, *y = b;

    return x->place != y->place ? (x->place > y->place) - (x->place < y->place)
                                : (x->owner > y->owner) - (x->owner < y->owner);
}

/* The points of an endpoint are its own: others do not change them. */
static void add_ring(struct snapshot_builder *b, struct abi_tier *tier,
                     const struct abi_endpoint *endpoints)
{
    uint32_t count = 0, at = 0;
    struct point *points;

    for (uint32_t i = 0; i < tier->endpoints.count; i++) {
        count += endpoints[i].weight * BALANCE_KIT_POINTS;
    }
    points = calloc(count + 1, sizeof(*points));
    MUST(points != NULL);
    for (uint32_t i = 0; i < tier->endpoints.count; i++) {
        for (uint32_t n = 0; n < endpoints[i].weight * BALANCE_KIT_POINTS; n++) {
            uint64_t hash = scatter(scatter(endpoints[i].key) + n);

            points[at++] = (struct point){(uint32_t)(hash >> 32), i};
        }
    }
    qsort(points, count, sizeof(*points), by_place);
    for (uint32_t i = 0; i < count; i++) {
        snapshot_builder_add(b, ABI_SECTION_SLOT, &points[i].place);
    }
    for (uint32_t i = 0; i < count; i++) {
        snapshot_builder_add(b, ABI_SECTION_SLOT, &points[i].owner);
    }
    free(points);
    tier->kind = ABI_TABLE_RING;
    tier->table.count = 2 * count;
}

/* Maglev, 3.4: endpoints take slots in turn, each in an order of its own; one of weight w has w
 * turns of max_weight. */
static void add_maglev(struct snapshot_builder *b, struct abi_tier *tier,
                       const struct abi_endpoint *endpoints)
{
    uint32_t size = tier->endpoints.count == 0 ? 0 : BALANCE_KIT_SLOTS;
    uint32_t *slots = calloc(size + 1, sizeof(*slots));
    uint32_t *next = calloc(tier->endpoints.count + 1, sizeof(*next));
    uint32_t *paid = calloc(tier->endpoints.count + 1, sizeof(*paid));
    uint32_t filled = 0;

    MUST(slots != NULL && next != NULL && paid != NULL);
    for (uint32_t i = 0; i < size; i++) {
        slots[i] = ABI_NONE;
    }
    while (filled < size) {
        for (uint32_t i = 0; i < tier->endpoints.count && filled < size; i++) {
            uint64_t offset = scatter(endpoints[i].key);
            uint64_t skip = scatter(~endpoints[i].key) % (size - 1) + 1;
            uint32_t slot;

            paid[i] += endpoints[i].weight;
            if (paid[i] < tier->max_weight) {
                continue;
            }
            paid[i] -= tier->max_weight;
            do {
                slot = (uint32_t)((offset + next[i]++ * skip) % size);
            } while (slots[slot] != ABI_NONE);
            slots[slot] = i;
            filled++;
        }
    }
    for (uint32_t i = 0; i < size; i++) {
        snapshot_builder_add(b, ABI_SECTION_SLOT, &slots[i]);
    }
    free(slots);
    free(next);
    free(paid);
    tier->kind = ABI_TABLE_MAGLEV;
    tier->table.count = size;
}

static void add_tier(struct snapshot_builder *b, enum abi_balance balance, uint32_t first,
                     struct abi_tier *tier)
{
    const struct abi_endpoint *endpoints =
        tier->endpoints.count == 0
            ? NULL
            : snapshot_builder_record(b, ABI_SECTION_ENDPOINT, first + tier->endpoints.at);

    for (uint32_t i = 0; i < tier->endpoints.count; i++) {
        tier->max_weight =
            endpoints[i].weight > tier->max_weight ? endpoints[i].weight : tier->max_weight;
    }
    tier->table.at = snapshot_builder_count(b, ABI_SECTION_SLOT);
    if (balance == ABI_BALANCE_RING) {
        add_ring(b, tier, endpoints);
    } else if (balance == ABI_BALANCE_MAGLEV) {
        add_maglev(b, tier, endpoints);
    }
    snapshot_builder_add(b, ABI_SECTION_TIER, tier);
}

void balance_kit_target(struct snapshot_builder *b, uint32_t target, enum abi_balance balance,
                        const struct abi_balancer *settings, const uint32_t *tiers,
                        uint32_t tier_count)
{
    struct abi_target *record = snapshot_builder_record(b, ABI_SECTION_TARGET, target);
    struct abi_balancer balancer = *settings;
    uint32_t at = 0;

    record->balance = (uint8_t)balance;
    record->balancer = snapshot_builder_count(b, ABI_SECTION_BALANCER);
    balancer.tiers = (struct abi_ref){snapshot_builder_count(b, ABI_SECTION_TIER), tier_count};
    for (uint32_t i = 0; i < tier_count; i++) {
        struct abi_tier tier = {.endpoints = {at, tiers[i]}};

        add_tier(b, balance, record->endpoints.at, &tier);
        at += tiers[i];
    }
    MUST(at == record->endpoints.count);
    snapshot_builder_add(b, ABI_SECTION_BALANCER, &balancer);
}
