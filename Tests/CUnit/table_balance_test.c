#include "table/balance.h"

#include <stdlib.h>

#include "cunit.h"
#include "snapshot_builder.h"

#define MOST 64u

/* A target with endpoints of given weights, an overlay, and what was chosen. */
struct field {
    struct snapshot_builder *builder;
    struct view view;
    struct abi_overlay *overlay;
    const struct abi_target *target;
    uint32_t cursor;
    uint32_t picks[MOST];
    uint32_t loads[MOST];
    uint32_t none;
};

static void begin(struct field *field, uint8_t balance, const uint32_t *weights, uint32_t count)
{
    uint16_t ports[MOST] = {1};
    struct abi_target *target;
    struct view_refusal refusal;

    *field = (struct field){.builder = snapshot_builder_new()};
    for (uint32_t i = 0; i < count; i++) {
        ports[i] = (uint16_t)(i + 1);
    }
    /* endpoint 0 belongs to another target: indexes are those of the section */
    snapshot_builder_target(field->builder, "other", ports, 1);
    snapshot_builder_target(field->builder, "web", ports, count);
    target = snapshot_builder_record(field->builder, ABI_SECTION_TARGET, 1);
    target->balance = balance;
    for (uint32_t i = 0; i < count; i++) {
        struct abi_endpoint *endpoint =
            snapshot_builder_record(field->builder, ABI_SECTION_ENDPOINT, i + 1);

        endpoint->weight = weights[i];
        target->max_weight = weights[i] > target->max_weight ? weights[i] : target->max_weight;
    }
    CHECK(view_open(&field->view, snapshot_builder_bytes(field->builder),
                    snapshot_builder_size(field->builder), &refusal));
    field->target = &field->view.targets[1];
    field->cursor = count << 16; /* at the beginning of a round of rounds */
    field->overlay = calloc(1, ABI_OVERLAY_SIZE);
}

static void end(struct field *field)
{
    free(field->overlay);
    snapshot_builder_free(field->builder);
}

static uint32_t load_of(const void *context, uint32_t endpoint)
{
    const struct field *field = context;

    return field->loads[endpoint - 1];
}

/* Index among the target's endpoints, or ABI_NONE. */
static uint32_t pick(struct field *field, const uint32_t *tried, uint32_t tried_count)
{
    struct balance_input input = {.overlay = field->overlay,
                                  .cursor = &field->cursor,
                                  .random = cunit_random(),
                                  .load = load_of,
                                  .context = field,
                                  .tried = tried,
                                  .tried_count = tried_count};
    uint32_t chosen = balance_pick(&field->view, field->target, &input);

    if (chosen == ABI_NONE) {
        field->none++;
        return ABI_NONE;
    }
    CHECK(chosen >= 1 && chosen <= field->target->endpoints.count);
    field->picks[chosen - 1]++;
    return chosen - 1;
}

static void down(struct field *field, uint32_t endpoint, uint64_t word)
{
    abi_overlay_set(field->overlay, endpoint + 1, word);
}

/* That `count` picks were divided as the weights are, within `slack` picks. */
static void check_shares(const struct field *field, const uint32_t *weights, uint32_t count,
                         uint32_t slack)
{
    uint64_t total = 0, picks = 0;

    for (uint32_t i = 0; i < count; i++) {
        total += weights[i];
        picks += field->picks[i];
    }
    for (uint32_t i = 0; i < count; i++) {
        uint64_t due = picks * weights[i] / total;

        cunit_context("endpoint %u: %u picks, %llu due", i, field->picks[i],
                      (unsigned long long)due);
        CHECK(field->picks[i] + slack >= due);
        CHECK(field->picks[i] <= due + slack);
    }
    cunit_context(NULL);
}

TEST(round_robin_takes_turns)
{
    const uint32_t weights[] = {1, 1, 1};
    struct field field;

    begin(&field, ABI_BALANCE_ROUND_ROBIN, weights, 3);
    for (uint32_t i = 0; i < 30; i++) {
        CHECK_UINT(pick(&field, NULL, 0), i % 3);
    }
    end(&field);
}

/* Each worker has a cursor of its own: where it begins is by chance. */
TEST(round_robin_begins_anywhere)
{
    const uint32_t weights[] = {1, 1, 1, 1};
    struct field field;

    begin(&field, ABI_BALANCE_ROUND_ROBIN, weights, 4);
    for (uint32_t i = 0; i < 4000; i++) {
        uint32_t first;

        field.cursor = 0;
        first = pick(&field, NULL, 0);
        CHECK_UINT(pick(&field, NULL, 0), (first + 1) % 4);
        CHECK_UINT(pick(&field, NULL, 0), (first + 2) % 4);
        CHECK_UINT(pick(&field, NULL, 0), (first + 3) % 4);
        field.loads[first]++;
    }
    for (uint32_t i = 0; i < 4; i++) {
        CHECK(field.loads[i] > 850 && field.loads[i] < 1150);
    }
    end(&field);
}

/* The turns of an endpoint that is down are shared by all others, not taken by its neighbour. */
TEST(round_robin_shares_the_turns_of_the_dead)
{
    const uint32_t weights[] = {1, 1, 1, 1, 1};
    const uint32_t shares[] = {1, 1, 0, 1, 1};
    struct field field;

    begin(&field, ABI_BALANCE_ROUND_ROBIN, weights, 5);
    down(&field, 2, ABI_OVERLAY_DOWN);
    for (uint32_t i = 0; i < 400; i++) {
        pick(&field, NULL, 0);
    }
    check_shares(&field, shares, 5, 0);
    end(&field);
}

TEST(round_robin_is_smooth_for_weights)
{
    const uint32_t weights[] = {4, 1, 2, 1};
    struct field field;
    uint32_t run = 0;

    begin(&field, ABI_BALANCE_ROUND_ROBIN, weights, 4);
    for (uint32_t i = 0; i < 800; i++) {
        run = pick(&field, NULL, 0) == 0 ? run + 1 : 0;
        CHECK(run <= 2);
        if (i % 8 == 7) {
            /* after every round of eight all are as far as they should be, give or take one */
            check_shares(&field, weights, 4, 1);
        }
    }
    check_shares(&field, weights, 4, 0);
    end(&field);
}

/* One heavy among many light ones: the bounded search gives up its turns to a fair scan. */
TEST(extreme_weights_are_fair_in_the_long_run)
{
    uint32_t weights[MOST];
    struct field field;

    for (uint32_t i = 0; i < MOST; i++) {
        weights[i] = i == 5 ? 65535 : 1;
    }
    begin(&field, ABI_BALANCE_ROUND_ROBIN, weights, MOST);
    for (uint32_t i = 0; i < 100000; i++) {
        pick(&field, NULL, 0);
    }
    check_shares(&field, weights, MOST, 300);
    down(&field, 5, ABI_OVERLAY_DOWN);
    for (uint32_t i = 0; i < 1000; i++) {
        CHECK(pick(&field, NULL, 0) != 5);
    }
    CHECK_UINT(field.none, 0);
    end(&field);
}

TEST(chance_is_fair_to_weights)
{
    const uint32_t weights[] = {5, 1, 3, 1};
    const uint8_t kinds[] = {ABI_BALANCE_RANDOM, ABI_BALANCE_LEAST_REQUEST};

    for (size_t k = 0; k < 2; k++) {
        struct field field;

        begin(&field, kinds[k], weights, 4);
        for (uint32_t i = 0; i < 20000; i++) {
            pick(&field, NULL, 0);
        }
        check_shares(&field, weights, 4, 400);
        end(&field);
    }
}

TEST(least_request_avoids_the_busy_one)
{
    const uint32_t weights[] = {1, 1, 1, 1};
    struct field field;

    begin(&field, ABI_BALANCE_LEAST_REQUEST, weights, 4);
    field.loads[1] = 100;
    for (uint32_t i = 0; i < 2000; i++) {
        CHECK(pick(&field, NULL, 0) != 1);
    }
    /* with all but it down, it is taken all the same */
    down(&field, 0, ABI_OVERLAY_DOWN);
    down(&field, 2, ABI_OVERLAY_DRAIN);
    down(&field, 3, ABI_OVERLAY_DOWN);
    CHECK_UINT(pick(&field, NULL, 0), 1);
    end(&field);
}

/* Loads that answer to the choices stay level for equal weights, and follow the weights else. */
TEST(least_request_levels_loads)
{
    const uint32_t weights[] = {3, 1, 1, 1};
    struct field field;

    begin(&field, ABI_BALANCE_LEAST_REQUEST, weights, 4);
    for (uint32_t i = 0; i < 6000; i++) {
        uint32_t chosen = pick(&field, NULL, 0);

        if (CHECK(chosen < 4)) {
            field.loads[chosen]++;
        }
    }
    check_shares(&field, weights, 4, 150);
    end(&field);
}

TEST(the_overlay_weighs_and_drains)
{
    const uint32_t weights[] = {10, 10};
    const uint32_t shares[] = {1, 10}, equal[] = {1, 1};
    const uint8_t kinds[] = {ABI_BALANCE_ROUND_ROBIN, ABI_BALANCE_RANDOM};

    for (size_t k = 0; k < 2; k++) {
        struct field field;

        begin(&field, kinds[k], weights, 2);
        down(&field, 0, 1ULL << ABI_OVERLAY_WEIGHT_SHIFT);
        for (uint32_t i = 0; i < 11000; i++) {
            pick(&field, NULL, 0);
        }
        check_shares(&field, shares, 2, 300);
        /* more than max_weight counts as max_weight */
        memset(field.picks, 0, sizeof(field.picks));
        down(&field, 0, 65535ULL << ABI_OVERLAY_WEIGHT_SHIFT);
        for (uint32_t i = 0; i < 2000; i++) {
            pick(&field, NULL, 0);
        }
        check_shares(&field, equal, 2, 150);
        down(&field, 0, ABI_OVERLAY_DRAIN);
        CHECK(!balance_is_up(&field.view, field.overlay, 1));
        CHECK(balance_is_up(&field.view, field.overlay, 2));
        CHECK_UINT(pick(&field, NULL, 0), 1);
        end(&field);
    }
}

TEST(when_all_are_down_there_is_none)
{
    const uint32_t weights[] = {1, 7, 65535};

    for (uint8_t kind = 0; kind <= ABI_BALANCE_RANDOM; kind++) {
        struct field field;

        begin(&field, kind, weights, 3);
        for (uint32_t i = 0; i < 3; i++) {
            down(&field, i, i % 2 == 0 ? ABI_OVERLAY_DOWN : ABI_OVERLAY_DRAIN);
        }
        cunit_context("balance %u", kind);
        CHECK_UINT(pick(&field, NULL, 0), ABI_NONE);
        /* the lightest alone comes back and takes everything */
        down(&field, 0, 0);
        for (uint32_t i = 0; i < 50; i++) {
            CHECK_UINT(pick(&field, NULL, 0), 0);
        }
        end(&field);
    }
}

TEST(what_was_tried_is_not_chosen_again)
{
    const uint32_t weights[] = {1, 1, 1};

    for (uint8_t kind = 0; kind <= ABI_BALANCE_RANDOM; kind++) {
        uint32_t tried[3] = {2, 1, 3};
        struct field field;

        begin(&field, kind, weights, 3);
        cunit_context("balance %u", kind);
        for (uint32_t i = 0; i < 50; i++) {
            CHECK(pick(&field, tried, 1) != 1);
            CHECK_UINT(pick(&field, tried, 2), 2);
            CHECK_UINT(pick(&field, tried, 3), ABI_NONE);
        }
        end(&field);
    }
}

TEST(a_target_without_endpoints_has_none)
{
    struct field field;

    for (uint8_t kind = 0; kind <= ABI_BALANCE_RANDOM; kind++) {
        begin(&field, kind, NULL, 0);
        CHECK_UINT(pick(&field, NULL, 0), ABI_NONE);
        end(&field);
    }
}
