#include "balance_field.h"

#include <stdlib.h>

#include "balance_kit.h"
#include "base/hash.h"
#include "cunit.h"

struct abi_balancer balance_field_settings(void)
{
    return (struct abi_balancer){.spill = 70, .choices = 2, .decay_ms = 10000};
}

/* `weights` NULL: all 1. `tiers` NULL: one. */
void balance_field_begin(struct balance_field *field, enum abi_balance balance,
                         const struct abi_balancer *balancer, const uint32_t *weights,
                         uint32_t count)
{
    uint16_t *ports = malloc((count + 1) * sizeof(*ports));
    struct view_refusal refusal;
    struct abi_target *target;

    for (uint32_t i = 0; i <= count; i++) {
        ports[i] = 80;
    }
    *field = (struct balance_field){.builder = snapshot_builder_new(), .count = count};
    snapshot_builder_target(field->builder, "other", ports, 1);
    snapshot_builder_target(field->builder, "web", ports, count);
    target = snapshot_builder_record(field->builder, ABI_SECTION_TARGET, 1);
    for (uint32_t i = 0; i < count; i++) {
        struct abi_endpoint *endpoint =
            snapshot_builder_record(field->builder, ABI_SECTION_ENDPOINT, i + 1);

        endpoint->key = 1000 + i; /* the same whatever else the snapshot has */
        endpoint->weight = weights == NULL ? 1 : weights[i];
        target->max_weight =
            endpoint->weight > target->max_weight ? endpoint->weight : target->max_weight;
    }
    free(ports);
    balance_kit_target(field->builder, 1, balance, balancer,
                       balancer->tiers.count == 2 ? (uint32_t[]){count / 2, count - count / 2}
                                                  : (uint32_t[]){count},
                       balancer->tiers.count == 2 ? 2 : 1);
    CHECK(view_open(&field->view, snapshot_builder_bytes(field->builder),
                    snapshot_builder_size(field->builder), &refusal));
    field->target = &field->view.targets[1];
    field->overlay = calloc(1, ABI_OVERLAY_SIZE);
    field->picks = calloc(count + 1, sizeof(uint32_t));
    field->loads = calloc(count + 1, sizeof(uint32_t));
    field->latencies = calloc(count + 1, sizeof(struct latency));
    field->more = (struct balance_more){.now_ms = 100000000,
                                        .latencies = field->latencies,
                                        .shares = &field->shares,
                                        .why = &field->why};
}

void balance_field_end(struct balance_field *field)
{
    free(field->overlay);
    free(field->picks);
    free(field->loads);
    free(field->latencies);
    snapshot_builder_free(field->builder);
}

static uint32_t load_of(const void *context, uint32_t endpoint)
{
    const struct balance_field *field = context;

    return field->loads[endpoint - 1];
}

uint32_t balance_field_pick(struct balance_field *field)
{
    struct balance_input input = {.overlay = field->overlay,
                                  .cursor = &field->cursor,
                                  .random = cunit_random(),
                                  .load = load_of,
                                  .context = field,
                                  .tried = field->tried,
                                  .tried_count = field->tried_count,
                                  .more = &field->more};
    uint32_t chosen = balance_pick(&field->view, field->target, &input);

    if (chosen == ABI_NONE) {
        return ABI_NONE;
    }
    if (!CHECK(chosen >= 1 && chosen <= field->count)) {
        return ABI_NONE;
    }
    field->picks[chosen - 1]++;
    return chosen - 1;
}

uint64_t balance_field_key_hash(uint32_t key)
{
    return hash_finish(key * 0x9e3779b97f4a7c15ULL + 7);
}

uint32_t balance_field_pick_key(struct balance_field *field, uint32_t key)
{
    field->more.hashed = true;
    field->more.hash = balance_field_key_hash(key);
    return balance_field_pick(field);
}

/* The endpoints of all keys; freed with free(). */
uint32_t *balance_field_map_keys(struct balance_field *field)
{
    uint32_t *map = calloc(BALANCE_FIELD_KEYS, sizeof(*map));

    memset(field->picks, 0, (field->count + 1) * sizeof(uint32_t));
    for (uint32_t key = 0; key < BALANCE_FIELD_KEYS; key++) {
        map[key] = balance_field_pick_key(field, key);
    }
    return map;
}

void balance_field_set(struct balance_field *field, uint32_t endpoint, uint64_t word)
{
    abi_overlay_set(field->overlay, endpoint + 1, word);
}

uint64_t balance_field_since(const struct balance_field *field, uint64_t age_ms)
{
    uint64_t units = (field->more.now_ms - age_ms) / ABI_OVERLAY_SINCE_UNIT_MS + 1;

    return (units & UINT32_MAX) << ABI_OVERLAY_SINCE_SHIFT;
}

/* Within `slack` per cent of what is due to each. */
void balance_field_check_shares(const struct balance_field *field, const uint32_t *weights,
                                uint32_t slack)
{
    uint64_t total = 0, picks = 0;

    for (uint32_t i = 0; i < field->count; i++) {
        total += weights == NULL ? 1 : weights[i];
        picks += field->picks[i];
    }
    for (uint32_t i = 0; i < field->count; i++) {
        uint64_t due = picks * (weights == NULL ? 1 : weights[i]) / total;

        cunit_context("endpoint %u: %u picks, %llu due", i, field->picks[i],
                      (unsigned long long)due);
        CHECK(field->picks[i] * 100ull + 2000 >= due * (100 - slack));
        CHECK(field->picks[i] * 100ull <= due * (100 + slack) + 2000);
    }
    cunit_context(NULL);
}
