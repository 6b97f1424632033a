/* Endpoints by a hash of the request: what the tables say, and who moves when one is down. */
#include <stdlib.h>

#include "balance_field.h"
#include "cunit.h"

static const uint8_t tables[] = {ABI_BALANCE_RING, ABI_BALANCE_MAGLEV};

/* --- tables --- */

/* What the tables say, read in the plainest way. */
static uint32_t model(const struct balance_field *field, uint64_t hash)
{
    const struct abi_tier *tier = &field->view.tiers[0];
    const uint32_t *slots = field->view.slots + tier->table.at;
    uint32_t points = tier->table.count / 2, best = ABI_NONE;

    if (tier->kind == ABI_TABLE_MAGLEV) {
        return slots[hash % tier->table.count];
    }
    for (uint32_t i = points; i > 0; i--) {
        best = slots[i - 1] >= (uint32_t)(hash >> 32) ? i - 1 : best;
    }
    return slots[points + (best == ABI_NONE ? 0 : best)];
}

TEST(a_hash_leads_where_the_table_says)
{
    const uint32_t weights[] = {1, 2, 3, 1, 5, 2, 1};

    for (size_t t = 0; t < 2; t++) {
        struct abi_balancer balancer = balance_field_settings();
        struct balance_field field;

        balance_field_begin(&field, tables[t], &balancer, weights, 7);
        for (uint32_t key = 0; key < BALANCE_FIELD_KEYS; key++) {
            CHECK_UINT(balance_field_pick_key(&field, key),
                       model(&field, balance_field_key_hash(key)));
            CHECK_INT(field.why.reason, BALANCE_TABLE);
        }
        balance_field_check_shares(&field, weights, tables[t] == ABI_BALANCE_RING ? 35 : 8);
        /* the ends of the ring */
        field.more.hash = 0;
        CHECK_UINT(balance_field_pick(&field), model(&field, 0));
        field.more.hash = UINT64_MAX;
        CHECK_UINT(balance_field_pick(&field), model(&field, UINT64_MAX));
        balance_field_end(&field);
    }
}

/* Of one that goes down only its own keys move, to all others; when it is back, so are they. */
TEST(the_keys_of_others_stay_when_one_goes_down)
{
    for (size_t t = 0; t < 2; t++) {
        struct abi_balancer balancer = balance_field_settings();
        struct balance_field field;
        uint32_t *before, *after, *again;

        balance_field_begin(&field, tables[t], &balancer, NULL, 10);
        before = balance_field_map_keys(&field);
        balance_field_set(&field, 3, t == 0 ? ABI_OVERLAY_DOWN : ABI_OVERLAY_DRAIN);
        after = balance_field_map_keys(&field);
        CHECK_UINT(field.picks[3], 0);
        for (uint32_t i = 0; i < 10; i++) {
            /* a ninth of a tenth comes to each; the ring is less even */
            CHECK(i == 3 || field.picks[i] > BALANCE_FIELD_KEYS / 10 * 8 / 10);
        }
        balance_field_set(&field, 3, 0);
        again = balance_field_map_keys(&field);
        for (uint32_t key = 0; key < BALANCE_FIELD_KEYS; key++) {
            CHECK(before[key] == 3 || before[key] == after[key]);
            CHECK_UINT(again[key], before[key]);
        }
        free(before);
        free(after);
        free(again);
        balance_field_end(&field);
    }
}

/* Most are down: keys find the living, and where they do not by walking, they do by rank. One more
 * that comes back takes keys, and no key moves from one living endpoint to another. */
TEST(few_of_many_are_left)
{
    for (size_t t = 0; t < 2; t++) {
        struct abi_balancer balancer = balance_field_settings();
        struct balance_field field;
        uint32_t *before, *after;
        uint32_t ranked = 0, came = 0;

        balance_field_begin(&field, tables[t], &balancer, NULL, 1000);
        for (uint32_t i = 0; i < 1000; i++) {
            balance_field_set(&field, i, i == 7 || i == 500 || i == 993 ? 0 : ABI_OVERLAY_DOWN);
        }
        before = calloc(2000, sizeof(*before));
        after = calloc(2000, sizeof(*after));
        for (uint32_t key = 0; key < 2000; key++) {
            before[key] = balance_field_pick_key(&field, key);
            ranked += field.why.reason == BALANCE_RANK;
            CHECK(before[key] == 7 || before[key] == 500 || before[key] == 993);
        }
        CHECK(ranked > 1000);
        CHECK(field.picks[7] > 450 && field.picks[500] > 450 && field.picks[993] > 450);
        balance_field_set(&field, 12, 0);
        for (uint32_t key = 0; key < 2000; key++) {
            after[key] = balance_field_pick_key(&field, key);
            came += after[key] == 12;
            CHECK(after[key] == 12 || after[key] == before[key]);
        }
        CHECK(came > 350 && came < 650);
        free(before);
        free(after);
        balance_field_end(&field);
    }
}

/* An endpoint more or less in the table itself. */
TEST(a_new_endpoint_takes_its_part_and_no_more)
{
    for (size_t t = 0; t < 2; t++) {
        struct abi_balancer balancer = balance_field_settings();
        struct balance_field ten, eleven;
        uint32_t *before, *after;
        uint32_t came = 0, moved = 0;

        balance_field_begin(&ten, tables[t], &balancer, NULL, 10);
        balance_field_begin(&eleven, tables[t], &balancer, NULL, 11);
        before = balance_field_map_keys(&ten);
        after = balance_field_map_keys(&eleven);
        for (uint32_t key = 0; key < BALANCE_FIELD_KEYS; key++) {
            came += after[key] == 10;
            moved += after[key] != 10 && after[key] != before[key];
        }
        cunit_context("table %zu: %u came, %u moved", t, came, moved);
        CHECK(came > BALANCE_FIELD_KEYS / 11 * 7 / 10 && came < BALANCE_FIELD_KEYS / 11 * 13 / 10);
        /* nothing on the ring; a table moves a few per cent */
        CHECK(moved <= (tables[t] == ABI_BALANCE_RING ? 0 : BALANCE_FIELD_KEYS / 10));
        free(before);
        free(after);
        balance_field_end(&ten);
        balance_field_end(&eleven);
    }
}

/* One that weighs half of what it did keeps half of its keys, always the same ones. */
TEST(a_lighter_endpoint_gives_keys_away)
{
    for (size_t t = 0; t < 2; t++) {
        const uint32_t weights[] = {10, 10, 10, 10};
        struct abi_balancer balancer = balance_field_settings();
        struct balance_field field;
        uint32_t *before, *after, *less;
        uint32_t kept = 0, own = 0;

        balance_field_begin(&field, tables[t], &balancer, weights, 4);
        before = balance_field_map_keys(&field);
        balance_field_set(&field, 2, 5ULL << ABI_OVERLAY_WEIGHT_SHIFT);
        after = balance_field_map_keys(&field);
        balance_field_set(&field, 2, 2ULL << ABI_OVERLAY_WEIGHT_SHIFT);
        less = balance_field_map_keys(&field);
        for (uint32_t key = 0; key < BALANCE_FIELD_KEYS; key++) {
            own += before[key] == 2;
            kept += after[key] == 2;
            CHECK(before[key] == 2 || after[key] == before[key]);
            CHECK(less[key] != 2 || after[key] == 2);
        }
        cunit_context("table %zu: %u of %u", t, kept, own);
        CHECK(kept > own * 45 / 100 && kept < own * 55 / 100);
        free(before);
        free(after);
        free(less);
        balance_field_end(&field);
    }
}

TEST(what_was_tried_is_passed_by_on_tables)
{
    for (size_t t = 0; t < 2; t++) {
        struct abi_balancer balancer = balance_field_settings();
        struct balance_field field;

        balance_field_begin(&field, tables[t], &balancer, NULL, 3);
        for (uint32_t key = 0; key < 500; key++) {
            uint32_t first, second;

            field.tried_count = 0;
            first = balance_field_pick_key(&field, key);
            field.tried[field.tried_count++] = first + 1;
            second = balance_field_pick_key(&field, key);
            CHECK(second != first);
            field.tried[field.tried_count++] = second + 1;
            CHECK_UINT(balance_field_pick_key(&field, key), 3 - first - second);
            field.tried[field.tried_count++] = 3 - first - second + 1;
            CHECK_UINT(balance_field_pick_key(&field, key), ABI_NONE);
        }
        balance_field_end(&field);
    }
}

/* Nothing of the request was there to be hashed. */
TEST(without_a_hash_it_is_chance)
{
    for (size_t t = 0; t < 2; t++) {
        const uint32_t weights[] = {3, 1, 1, 1};
        struct abi_balancer balancer = balance_field_settings();
        struct balance_field field;

        balance_field_begin(&field, tables[t], &balancer, weights, 4);
        for (uint32_t i = 0; i < BALANCE_FIELD_KEYS; i++) {
            balance_field_pick(&field);
            CHECK_INT(field.why.reason, BALANCE_CHANCE);
        }
        balance_field_check_shares(&field, weights, 10);
        balance_field_end(&field);
    }
}

TEST(one_none_and_ten_thousand)
{
    for (uint8_t kind = 0; kind < ABI_BALANCE_COUNT; kind++) {
        struct abi_balancer balancer = balance_field_settings();
        struct balance_field field;

        cunit_context("balance %u", kind);
        balance_field_begin(&field, kind, &balancer, NULL, 0);
        CHECK_UINT(balance_field_pick_key(&field, 1), ABI_NONE);
        balance_field_end(&field);
        balance_field_begin(&field, kind, &balancer, NULL, 1);
        CHECK_UINT(balance_field_pick_key(&field, 1), 0);
        balance_field_set(&field, 0, ABI_OVERLAY_DOWN);
        CHECK_UINT(balance_field_pick_key(&field, 1), ABI_NONE);
        balance_field_set(&field, 0, 0);
        CHECK_UINT(balance_field_pick_key(&field, 2), 0);
        balance_field_end(&field);
        if (kind == ABI_BALANCE_MAGLEV) {
            continue; /* its table here is smaller than that */
        }
        balance_field_begin(&field, kind, &balancer, NULL, 10000);
        for (uint32_t key = 0; key < 300; key++) {
            CHECK(balance_field_pick_key(&field, key) < 10000);
        }
        for (uint32_t i = 0; i < 10000; i++) {
            balance_field_set(&field, i, i == 9876 ? 0 : ABI_OVERLAY_DOWN);
        }
        for (uint32_t key = 0; key < 20; key++) {
            CHECK_UINT(balance_field_pick_key(&field, key), 9876);
        }
        balance_field_set(&field, 9876, ABI_OVERLAY_DRAIN);
        CHECK_UINT(balance_field_pick_key(&field, 1), ABI_NONE);
        balance_field_end(&field);
    }
    cunit_context(NULL);
}
