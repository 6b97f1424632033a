#include "worker/life.h"

#include "cunit.h"

TEST(the_first_end_is_answered_at_once)
{
    struct life life = {.broken = 0};
    struct life_plan plan = life_ended(&life, 1, 500000);

    CHECK_UINT(plan.start_ms, 500000);
    CHECK(!plan.out_of_service);
}

TEST(a_loop_of_ends_pauses_and_then_leaves_service)
{
    struct life life = {.broken = 0};
    struct life_plan plan;

    plan = life_ended(&life, 1000, 2000);
    CHECK_UINT(plan.start_ms, 2000);
    plan = life_ended(&life, 2000, 3000);
    CHECK_UINT(plan.start_ms, 3000 + LIFE_PAUSE_MS);
    CHECK(!plan.out_of_service);
    plan = life_ended(&life, 3100, 4000);
    CHECK_UINT(plan.start_ms, 4000 + LIFE_BROKEN_MS);
    CHECK(plan.out_of_service);
    plan = life_ended(&life, 5000, 5001);
    CHECK_UINT(plan.start_ms, 5001 + 2 * LIFE_BROKEN_MS);
    CHECK(plan.out_of_service);
}

TEST(ends_far_apart_are_each_the_first)
{
    struct life life = {.broken = 0};

    for (uint64_t now = 100000; now < 1000000; now += LIFE_WINDOW_MS) {
        CHECK_UINT(life_ended(&life, now - LIFE_WINDOW_MS, now).start_ms, now);
    }
}

TEST(three_ends_at_the_edge_of_the_window)
{
    struct life inside = {.broken = 0}, outside = {.broken = 0};

    (void)life_ended(&inside, 1000, 2000);
    (void)life_ended(&inside, 2000, 3000);
    CHECK(life_ended(&inside, 3000, 2000 + LIFE_WINDOW_MS - 1).out_of_service);
    (void)life_ended(&outside, 1000, 2000);
    (void)life_ended(&outside, 2000, 3000);
    CHECK(!life_ended(&outside, 3000, 2000 + LIFE_WINDOW_MS).out_of_service);
}

TEST(time_out_of_service_doubles_up_to_a_bound)
{
    struct life life = {.broken = 0};
    uint64_t now = 1000, expected = LIFE_BROKEN_MS;

    (void)life_ended(&life, now, now);
    (void)life_ended(&life, now, now);
    for (int i = 0; i < 40; i++) {
        struct life_plan plan = life_ended(&life, now, now + 1);

        CHECK(plan.out_of_service);
        CHECK_UINT(plan.start_ms - (now + 1), expected);
        now = plan.start_ms;
        expected = expected * 2 > LIFE_BROKEN_MAX_MS ? LIFE_BROKEN_MAX_MS : expected * 2;
    }
}

TEST(a_process_that_stays_up_clears_the_record)
{
    struct life life = {.broken = 0};
    struct life_plan plan;

    for (int i = 0; i < 5; i++) {
        (void)life_ended(&life, 1000, 1001);
    }
    plan = life_ended(&life, 2000, 2000 + LIFE_WINDOW_MS);
    CHECK_UINT(plan.start_ms, 2000 + LIFE_WINDOW_MS);
    CHECK(!plan.out_of_service);
}
