/* Targets with a balancer: slow start, choices, latency, tiers. */
#include <stdlib.h>

#include "balance_field.h"
#include "balance_kit.h"
#include "cunit.h"
#include "table_faults.h"

/* --- slow start --- */

TEST(a_new_endpoint_grows)
{
    const uint8_t kinds[] = {ABI_BALANCE_ROUND_ROBIN, ABI_BALANCE_RANDOM, ABI_BALANCE_RING,
                             ABI_BALANCE_MAGLEV, ABI_BALANCE_LEAST_REQUEST};
    const struct {
        uint64_t age_ms;
        uint32_t percent; /* of a full share */
    } steps[] = {{0, 10},     {3000, 10},   {15000, 25}, {30000, 50},
                 {45000, 75}, {60000, 100}, {90000, 100}};

    for (size_t k = 0; k < 5; k++) {
        struct abi_balancer balancer = balance_field_settings();
        uint32_t last = 0;
        struct balance_field field;

        balancer.slow_start_ms = 60000;
        balance_field_begin(&field, kinds[k], &balancer, NULL, 4);
        field.overlay->changes = 1;
        for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++) {
            /* What it does not take of its keys goes to the others. */
            uint32_t rest = kinds[k] == ABI_BALANCE_RING || kinds[k] == ABI_BALANCE_MAGLEV
                                ? (100 - steps[s].percent) / 3
                                : 0;
            uint32_t shares[] = {100 + rest, steps[s].percent, 100 + rest, 100 + rest};

            memset(field.picks, 0, 4 * sizeof(uint32_t));
            balance_field_set(&field, 1, balance_field_since(&field, steps[s].age_ms));
            for (uint32_t key = 0; key < BALANCE_FIELD_KEYS; key++) {
                balance_field_pick_key(&field, key);
            }
            cunit_context("balance %u at %llu ms", kinds[k], (unsigned long long)steps[s].age_ms);
            CHECK(field.picks[1] >= last);
            last = rest > 0 ? field.picks[1] : 0;
            balance_field_check_shares(&field, shares, kinds[k] == ABI_BALANCE_RING ? 45 : 15);
        }
        balance_field_end(&field);
    }
}

/* All are new: none is, compared with the others. */
TEST(all_of_a_target_may_be_new)
{
    for (uint8_t kind = 0; kind < ABI_BALANCE_COUNT; kind++) {
        struct abi_balancer balancer = balance_field_settings();
        struct balance_field field;

        balancer.slow_start_ms = 60000;
        balance_field_begin(&field, kind, &balancer, NULL, 5);
        for (uint32_t i = 0; i < 5; i++) {
            balance_field_set(&field, i, balance_field_since(&field, 1000));
        }
        for (uint32_t key = 0; key < BALANCE_FIELD_KEYS; key++) {
            balance_field_pick_key(&field, key);
        }
        cunit_context("balance %u", kind);
        balance_field_check_shares(&field, NULL, kind == ABI_BALANCE_RING ? 40 : 10);
        balance_field_end(&field);
    }
}

/* A time of another boot, or of the future, is no time to begin from. */
TEST(a_strange_time_does_not_hold_back)
{
    struct abi_balancer balancer = balance_field_settings();
    struct balance_field field;

    balancer.slow_start_ms = LIMIT_SLOW_START_MS;
    balance_field_begin(&field, ABI_BALANCE_RANDOM, &balancer, NULL, 2);
    balance_field_set(&field, 0,
                      balance_field_since(&field, 0) + (1000ULL << ABI_OVERLAY_SINCE_SHIFT));
    for (uint32_t i = 0; i < BALANCE_FIELD_KEYS; i++) {
        balance_field_pick(&field);
    }
    balance_field_check_shares(&field, NULL, 10);
    balance_field_end(&field);
}

/* --- choices and latency --- */

TEST(more_choices_find_the_idle_one)
{
    struct abi_balancer balancer = balance_field_settings();
    uint32_t found[2] = {0, 0};

    for (size_t i = 0; i < 2; i++) {
        struct balance_field field;

        balancer.choices = i == 0 ? 2 : 20;
        balance_field_begin(&field, ABI_BALANCE_LEAST_REQUEST, &balancer, NULL, 10);
        for (uint32_t n = 0; n < 10; n++) {
            field.loads[n] = n == 4 ? 0 : 5;
        }
        for (uint32_t n = 0; n < 2000; n++) {
            found[i] += balance_field_pick(&field) == 4;
        }
        balance_field_end(&field);
    }
    /* two of ten: it is among them for a fifth */
    CHECK(found[0] > 300 && found[0] < 500);
    CHECK(found[1] > 1600);
}

/* Loads that answer to the choices follow the weights. */
TEST(choices_level_loads_by_weight)
{
    const uint32_t weights[] = {1, 2, 4, 1};
    const uint8_t choices[] = {2, 3, 10};

    for (size_t c = 0; c < 3; c++) {
        struct abi_balancer balancer = balance_field_settings();
        struct balance_field field;

        balancer.choices = choices[c];
        balance_field_begin(&field, ABI_BALANCE_LEAST_REQUEST, &balancer, weights, 4);
        for (uint32_t i = 0; i < 8000; i++) {
            uint32_t chosen = balance_field_pick(&field);

            if (CHECK(chosen < 4)) {
                field.loads[chosen]++;
            }
        }
        balance_field_check_shares(&field, weights, 8);
        balance_field_end(&field);
    }
}

TEST(a_mean_rises_at_once_and_forgets)
{
    struct latency latency = {0, 0};

    latency_observe(&latency, 1000, 5000, 10000);
    CHECK_UINT(latency.us, 1000);
    latency_observe(&latency, 50000, 5001, 10000); /* the peak */
    CHECK_UINT(latency.us, 50000);
    latency_observe(&latency, 1000, 5001, 10000); /* no time has gone by: nothing is forgotten */
    CHECK_UINT(latency.us, 50000);
    CHECK_UINT(latency_now(&latency, 15001, 10000), 25000);
    latency_observe(&latency, 1000, 15001, 10000);
    CHECK_UINT(latency.us, 25500);
    for (uint32_t i = 0; i < 100; i++) {
        latency_observe(&latency, 1000, 15001 + 1000 * i, 10000);
    }
    CHECK(latency.us >= 1000 && latency.us < 1100);
    latency_failed(&latency, 200000, 10000);
    CHECK_UINT(latency.us, LATENCY_UNKNOWN_US);
    latency_observe(&latency, UINT64_MAX, 200001, 10000);
    CHECK_UINT(latency.us, LATENCY_MAX_US);
    latency_observe(&latency, 0, UINT32_MAX * 3ull, 10000);
    CHECK(latency.us >= 1);
}

/* The slow one gets little, and more again once it is fast. */
TEST(the_slow_one_is_avoided)
{
    struct abi_balancer balancer = balance_field_settings();
    struct balance_field field;

    balance_field_begin(&field, ABI_BALANCE_LATENCY, &balancer, NULL, 4);
    for (uint32_t i = 0; i < BALANCE_FIELD_KEYS; i++) {
        uint32_t chosen = balance_field_pick(&field);
        uint64_t us =
            chosen == 2 && i < BALANCE_FIELD_KEYS / 2 ? 50000 : 500 + cunit_random() % 1000;

        field.more.now_ms += 1;
        if (!CHECK(chosen < 4)) {
            break;
        }
        latency_observe(&field.latencies[chosen + 1], us, field.more.now_ms, 10000);
        if (i == BALANCE_FIELD_KEYS / 2) {
            cunit_context("%u picks of the slow one", field.picks[2]);
            CHECK(field.picks[2] < BALANCE_FIELD_KEYS / 2 / 40);
            memset(field.picks, 0, 4 * sizeof(uint32_t));
            field.more.now_ms += 6000000; /* what it was is long ago */
        }
    }
    CHECK(field.picks[2] > BALANCE_FIELD_KEYS / 2 / 8);
    balance_field_end(&field);
}

/* Of one that has not answered yet a single request is wanted, not all. */
TEST(an_unknown_endpoint_is_asked_once)
{
    struct abi_balancer balancer = balance_field_settings();
    struct balance_field field;

    balance_field_begin(&field, ABI_BALANCE_LATENCY, &balancer, NULL, 3);
    for (uint32_t i = 1; i < 3; i++) {
        latency_observe(&field.latencies[i + 1], 1000, field.more.now_ms, 10000);
    }
    for (uint32_t i = 0; i < 100; i++) {
        uint32_t chosen = balance_field_pick(&field);

        if (chosen == 0) {
            field.loads[0]++;
        }
    }
    CHECK_UINT(field.loads[0], 1);
    balance_field_end(&field);
}

/* --- tiers --- */

static void check_near(struct balance_field *field, uint32_t percent, const char *what)
{
    uint32_t near = 0;

    memset(field->picks, 0, field->count * sizeof(uint32_t));
    for (uint32_t key = 0; key < BALANCE_FIELD_KEYS; key++) {
        balance_field_pick_key(field, key);
    }
    for (uint32_t i = 0; i < field->count / 2; i++) {
        near += field->picks[i];
    }
    cunit_context("balance %u, %s: %u of %u are near", field->target->balance, what, near,
                  BALANCE_FIELD_KEYS);
    CHECK(near * 100ull + 2ull * BALANCE_FIELD_KEYS >= (uint64_t)BALANCE_FIELD_KEYS * percent);
    CHECK(near * 100ull <= (uint64_t)BALANCE_FIELD_KEYS * percent + 2ull * BALANCE_FIELD_KEYS);
}

TEST(the_near_ones_take_all_while_they_can)
{
    for (uint8_t kind = 0; kind < ABI_BALANCE_COUNT; kind++) {
        struct abi_balancer balancer = balance_field_settings();
        struct balance_field field;

        balancer.tiers.count = 2;
        balance_field_begin(&field, kind, &balancer, NULL, 20);
        check_near(&field, 100, "all are well");
        balance_field_set(&field, 0, ABI_OVERLAY_DOWN);
        balance_field_set(&field, 1, ABI_OVERLAY_DOWN);
        balance_field_set(&field, 2, ABI_OVERLAY_DRAIN);
        check_near(&field, 100, "seven of ten");
        balance_field_set(&field, 3, ABI_OVERLAY_DOWN);
        balance_field_set(&field, 4, ABI_OVERLAY_DOWN);
        balance_field_set(&field, 5, ABI_OVERLAY_DOWN);
        balance_field_set(&field, 6, ABI_OVERLAY_DOWN);
        check_near(&field, 43, "three of ten"); /* 30 / 70 */
        for (uint32_t i = 7; i < 10; i++) {
            balance_field_set(&field, i, ABI_OVERLAY_DOWN);
        }
        check_near(&field, 0, "none");
        for (uint32_t i = 10; i < 20; i++) {
            balance_field_set(&field, i, ABI_OVERLAY_DOWN);
        }
        CHECK_UINT(balance_field_pick_key(&field, 1), ABI_NONE);
        /* one is left, and it is not where most would go */
        balance_field_set(&field, 0, 0);
        check_near(&field, 100, "one of all");
        balance_field_end(&field);
    }
    cunit_context(NULL);
}

/* Nobody has enough: what they have decides. */
TEST(tiers_that_are_both_ill_share)
{
    struct abi_balancer balancer = balance_field_settings();
    struct balance_field field;

    balancer.tiers.count = 2;
    balance_field_begin(&field, ABI_BALANCE_RANDOM, &balancer, NULL, 20);
    for (uint32_t i = 0; i < 20; i++) {
        balance_field_set(&field, i, i == 0 || i >= 18 ? 0 : ABI_OVERLAY_DOWN);
    }
    check_near(&field, 33, "one and two of ten");
    balance_field_end(&field);
}

/* A key that spills over does so every time. */
TEST(a_hash_stays_in_its_tier)
{
    struct abi_balancer balancer = balance_field_settings();
    struct balance_field field;
    uint32_t *first, *second;

    balancer.tiers.count = 2;
    balance_field_begin(&field, ABI_BALANCE_MAGLEV, &balancer, NULL, 20);
    for (uint32_t i = 0; i < 6; i++) {
        balance_field_set(&field, i, ABI_OVERLAY_DOWN);
    }
    first = balance_field_map_keys(&field);
    second = balance_field_map_keys(&field);
    CHECK(memcmp(first, second, BALANCE_FIELD_KEYS * sizeof(*first)) == 0);
    free(first);
    free(second);
    balance_field_end(&field);
}

/* --- what a snapshot may say --- */

/* Of table_kit_everything: balancer 0 with a ring in tiers 0 and 1, 1 with a table in tier 2, 2
 * with the tiers 3 and 4; targets 2, 3 and 4. */
static const struct table_fault faults[] = {
    {"no such balancer", ABI_SECTION_TARGET, 0, FIELD(abi_target, balancer), 3,
     ABI_REFUSAL_REFERENCE},
    {"a balancer of others", ABI_SECTION_TARGET, 2, FIELD(abi_target, balancer), 1,
     ABI_REFUSAL_VALUE},
    {"a ring without a balancer", ABI_SECTION_TARGET, 2, FIELD(abi_target, balancer), ABI_NONE,
     ABI_REFUSAL_VALUE},
    {"latency without a balancer", ABI_SECTION_TARGET, 4, FIELD(abi_target, balancer), ABI_NONE,
     ABI_REFUSAL_VALUE},
    {"a table for nothing", ABI_SECTION_TARGET, 3, FIELD(abi_target, balance), ABI_BALANCE_RANDOM,
     ABI_REFUSAL_VALUE},
    {"a table for a ring", ABI_SECTION_TARGET, 3, FIELD(abi_target, balance), ABI_BALANCE_RING,
     ABI_REFUSAL_VALUE},
    {"end padding of a target", ABI_SECTION_TARGET, 0, FIELD(abi_target, _pad1), 1,
     ABI_REFUSAL_PADDING},
    {"no tiers", ABI_SECTION_BALANCER, 0, FIELD(abi_balancer, tiers.count), 0, ABI_REFUSAL_LIMIT},
    {"four tiers", ABI_SECTION_BALANCER, 0, FIELD(abi_balancer, tiers.count), 4, ABI_REFUSAL_LIMIT},
    {"tiers out of bounds", ABI_SECTION_BALANCER, 2, FIELD(abi_balancer, tiers.at), 4,
     ABI_REFUSAL_REFERENCE},
    {"hashes out of bounds", ABI_SECTION_BALANCER, 0, FIELD(abi_balancer, hashes.count), 4,
     ABI_REFUSAL_REFERENCE},
    {"slow start", ABI_SECTION_BALANCER, 0, FIELD(abi_balancer, slow_start_ms),
     LIMIT_SLOW_START_MS + 1, ABI_REFUSAL_VALUE},
    {"decay", ABI_SECTION_BALANCER, 0, FIELD(abi_balancer, decay_ms), LIMIT_DECAY_MS + 1,
     ABI_REFUSAL_VALUE},
    {"no decay", ABI_SECTION_BALANCER, 2, FIELD(abi_balancer, decay_ms), 0, ABI_REFUSAL_VALUE},
    {"one choice", ABI_SECTION_BALANCER, 2, FIELD(abi_balancer, choices), 1, ABI_REFUSAL_VALUE},
    {"choices", ABI_SECTION_BALANCER, 2, FIELD(abi_balancer, choices), LIMIT_CHOICES + 1,
     ABI_REFUSAL_VALUE},
    {"no spill", ABI_SECTION_BALANCER, 0, FIELD(abi_balancer, spill), 0, ABI_REFUSAL_VALUE},
    {"spill", ABI_SECTION_BALANCER, 0, FIELD(abi_balancer, spill), 101, ABI_REFUSAL_VALUE},
    {"padding of a balancer", ABI_SECTION_BALANCER, 0, offsetof(struct abi_balancer, _pad0) + 5, 1,
     1, ABI_REFUSAL_PADDING},
    {"a gap between tiers", ABI_SECTION_TIER, 1, FIELD(abi_tier, endpoints.at), 2,
     ABI_REFUSAL_ORDER},
    {"a tier begins late", ABI_SECTION_TIER, 0, FIELD(abi_tier, endpoints.at), 1,
     ABI_REFUSAL_ORDER},
    {"an endpoint without a tier", ABI_SECTION_TIER, 4, FIELD(abi_tier, endpoints.count), 1,
     ABI_REFUSAL_REFERENCE},
    {"an endpoint too many", ABI_SECTION_TIER, 4, FIELD(abi_tier, endpoints.count), 3,
     ABI_REFUSAL_REFERENCE},
    {"table out of bounds", ABI_SECTION_TIER, 2, FIELD(abi_tier, table.count),
     BALANCE_KIT_SLOTS + 1, ABI_REFUSAL_REFERENCE},
    {"shared tables", ABI_SECTION_TIER, 1, FIELD(abi_tier, table.at), 0, ABI_REFUSAL_ORDER},
    {"half a point", ABI_SECTION_TIER, 1, FIELD(abi_tier, table.count), 2 * BALANCE_KIT_POINTS - 1,
     ABI_REFUSAL_VALUE},
    {"no table", ABI_SECTION_TIER, 2, FIELD(abi_tier, table.count), 0, ABI_REFUSAL_VALUE},
    {"no such table", ABI_SECTION_TIER, 2, FIELD(abi_tier, kind), ABI_TABLE_COUNT,
     ABI_REFUSAL_VALUE},
    {"a table of no kind", ABI_SECTION_TIER, 2, FIELD(abi_tier, kind), ABI_TABLE_NONE,
     ABI_REFUSAL_VALUE},
    {"small max_weight of a tier", ABI_SECTION_TIER, 4, FIELD(abi_tier, max_weight), 0,
     ABI_REFUSAL_VALUE},
    {"great max_weight of a tier", ABI_SECTION_TIER, 4, FIELD(abi_tier, max_weight), 65536,
     ABI_REFUSAL_VALUE},
    {"padding of a tier", ABI_SECTION_TIER, 0, offsetof(struct abi_tier, _pad0) + 2, 1, 1,
     ABI_REFUSAL_PADDING},
    {"places out of order", ABI_SECTION_SLOT, 7, 0, 4, UINT32_MAX, ABI_REFUSAL_ORDER},
    {"no such owner of a point", ABI_SECTION_SLOT, 3 * BALANCE_KIT_POINTS, 0, 4, 3,
     ABI_REFUSAL_REFERENCE},
    {"no such owner of a slot", ABI_SECTION_SLOT, 8 * BALANCE_KIT_POINTS + 17, 0, 4, 3,
     ABI_REFUSAL_REFERENCE},
    {"nothing is hashed", ABI_SECTION_HASH, 0, FIELD(abi_hash, of), ABI_HASH_OF_COUNT,
     ABI_REFUSAL_VALUE},
    {"terminal 2", ABI_SECTION_HASH, 1, FIELD(abi_hash, terminal), 2, ABI_REFUSAL_VALUE},
    {"padding of a hash", ABI_SECTION_HASH, 1, offsetof(struct abi_hash, _pad0) + 5, 1, 1,
     ABI_REFUSAL_PADDING},
    {"a hash of nothing", ABI_SECTION_HASH, 1, FIELD(abi_hash, name.len), 0, ABI_REFUSAL_VALUE},
    {"an address with a name", ABI_SECTION_HASH, 1, FIELD(abi_hash, of), ABI_HASH_ADDRESS,
     ABI_REFUSAL_VALUE},
    {"a cookie for a field", ABI_SECTION_HASH, 0, FIELD(abi_hash, of), ABI_HASH_HEADER,
     ABI_REFUSAL_VALUE},
};

TEST(every_broken_rule_of_a_balancer_is_refused)
{
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        table_faults_check(&faults[i]);
    }
}

/* Of a balancer that no target names. */
TEST(balancers_do_not_share_tiers)
{
    struct snapshot_builder *b = table_kit_everything();
    struct abi_balancer balancer = {.tiers = {0, 1}, .spill = 1};
    struct view view;
    struct view_refusal refusal;

    snapshot_builder_add(b, ABI_SECTION_BALANCER, &balancer);
    CHECK(!view_open(&view, snapshot_builder_bytes(b), snapshot_builder_size(b), &refusal));
    CHECK_INT(refusal.code, ABI_REFUSAL_ORDER);
    snapshot_builder_free(b);
}

TEST(a_heavy_endpoint_of_a_light_tier_is_refused)
{
    struct snapshot_builder *b = table_kit_everything();
    struct abi_target *mail = snapshot_builder_record(b, ABI_SECTION_TARGET, 4);
    struct abi_endpoint *endpoint =
        snapshot_builder_record(b, ABI_SECTION_ENDPOINT, mail->endpoints.at);
    struct view view;
    struct view_refusal refusal;

    endpoint->weight = 2;
    mail->max_weight = 2;
    CHECK(!view_open(&view, snapshot_builder_bytes(b), snapshot_builder_size(b), &refusal));
    CHECK_INT(refusal.code, ABI_REFUSAL_VALUE);
    snapshot_builder_free(b);
}
