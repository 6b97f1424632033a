#include "worker/rollout.h"

#include "cunit.h"

static struct rollout begun(uint64_t asked)
{
    struct rollout rollout = {.state = ROLLOUT_IDLE};

    rollout_begin(&rollout, 5, asked, 1000);
    return rollout;
}

TEST(all_prepare_and_commit)
{
    struct rollout rollout = begun(3);
    struct rollout_result result;

    CHECK_INT(rollout_next(&rollout, 1000), ROLLOUT_WAIT);
    CHECK(rollout_prepared(&rollout, 0, 5));
    CHECK_INT(rollout_next(&rollout, 1001), ROLLOUT_WAIT);
    CHECK(rollout_prepared(&rollout, 1, 5));
    CHECK_INT(rollout_next(&rollout, 1001), ROLLOUT_COMMIT);
    CHECK_UINT(rollout_silent(&rollout), 0);
    rollout_commit(&rollout, 3, 1001);
    CHECK_UINT(rollout_due_ms(&rollout), 1001 + ROLLOUT_COMMIT_MS);
    CHECK(rollout_committed(&rollout, 1, 5));
    CHECK_INT(rollout_next(&rollout, 1002), ROLLOUT_WAIT);
    CHECK(rollout_committed(&rollout, 0, 5));
    CHECK_INT(rollout_next(&rollout, 1002), ROLLOUT_END);
    result = rollout_end(&rollout, 2);
    CHECK_INT(result.outcome, ABI_PUBLISHED_LIVE);
    CHECK_UINT(result.laggards, 0);
    CHECK_INT(rollout.state, ROLLOUT_IDLE);
    CHECK_UINT(rollout_due_ms(&rollout), UINT64_MAX);
}

TEST(one_refusal_aborts_whatever_the_others_say)
{
    struct rollout rollout = begun(7);

    CHECK(rollout_prepared(&rollout, 0, 5));
    CHECK(rollout_refused(&rollout, 1, 5));
    CHECK_INT(rollout_next(&rollout, 1000), ROLLOUT_ABORT);
    CHECK(rollout_prepared(&rollout, 2, 5));
    CHECK_INT(rollout_next(&rollout, 9999), ROLLOUT_ABORT);
    rollout_gone(&rollout, 1); /* the reason stays even if who gave it is gone */
    CHECK_INT(rollout_next(&rollout, 1000), ROLLOUT_ABORT);
    CHECK_INT(rollout_end(&rollout, 3).outcome, ABI_PUBLISHED_REFUSED);
}

TEST(a_silent_worker_has_no_veto_and_is_named)
{
    struct rollout rollout = begun(3);
    struct rollout_result result;

    CHECK(rollout_prepared(&rollout, 0, 5));
    CHECK_INT(rollout_next(&rollout, 1000 + LIMIT_PREPARE_MS - 1), ROLLOUT_WAIT);
    CHECK_INT(rollout_next(&rollout, 1000 + LIMIT_PREPARE_MS), ROLLOUT_COMMIT);
    CHECK_UINT(rollout_silent(&rollout), 2);
    rollout_commit(&rollout, 3, 3000);
    CHECK(rollout_committed(&rollout, 0, 5));
    CHECK_INT(rollout_next(&rollout, 3000 + ROLLOUT_COMMIT_MS - 1), ROLLOUT_WAIT);
    CHECK_INT(rollout_next(&rollout, 3000 + ROLLOUT_COMMIT_MS), ROLLOUT_END);
    result = rollout_end(&rollout, 2);
    CHECK_INT(result.outcome, ABI_PUBLISHED_PARTIAL);
    CHECK_UINT(result.laggards, 2);
}

TEST(a_silent_worker_that_commits_in_time_is_no_laggard)
{
    struct rollout rollout = begun(3);

    CHECK(rollout_prepared(&rollout, 0, 5));
    rollout_commit(&rollout, 3, 3000);
    CHECK(rollout_committed(&rollout, 0, 5));
    CHECK(rollout_committed(&rollout, 1, 5));
    CHECK_INT(rollout_next(&rollout, 3001), ROLLOUT_END);
    CHECK_INT(rollout_end(&rollout, 2).outcome, ABI_PUBLISHED_LIVE);
}

TEST(a_dead_worker_is_not_waited_for_and_its_successor_is_asked)
{
    struct rollout rollout = begun(3);

    CHECK(rollout_prepared(&rollout, 0, 5));
    rollout_gone(&rollout, 1);
    CHECK_INT(rollout_next(&rollout, 1000), ROLLOUT_COMMIT);
    rollout_join(&rollout, 1);
    CHECK_INT(rollout_next(&rollout, 1000), ROLLOUT_WAIT);
    CHECK(rollout_prepared(&rollout, 1, 5));
    CHECK_INT(rollout_next(&rollout, 1000), ROLLOUT_COMMIT);
}

TEST(who_prepared_and_died_is_awaited_through_its_successor)
{
    struct rollout rollout = begun(3);

    CHECK(rollout_prepared(&rollout, 0, 5));
    CHECK(rollout_prepared(&rollout, 1, 5));
    rollout_gone(&rollout, 1);
    rollout_commit(&rollout, 3, 1000);
    CHECK(rollout_committed(&rollout, 0, 5));
    CHECK_INT(rollout_next(&rollout, 1001), ROLLOUT_WAIT);
    CHECK(rollout_committed(&rollout, 1, 5)); /* said by the successor */
    CHECK_INT(rollout_next(&rollout, 1001), ROLLOUT_END);
    CHECK_INT(rollout_end(&rollout, 2).outcome, ABI_PUBLISHED_LIVE);
}

TEST(who_committed_and_died_is_awaited_again)
{
    struct rollout rollout = begun(3);

    rollout_commit(&rollout, 3, 1000);
    CHECK(rollout_committed(&rollout, 0, 5));
    CHECK(rollout_committed(&rollout, 1, 5));
    rollout_gone(&rollout, 0);
    CHECK_INT(rollout_next(&rollout, 1000), ROLLOUT_WAIT);
}

TEST(a_slot_out_of_service_is_not_awaited)
{
    struct rollout rollout = begun(3);

    CHECK(rollout_prepared(&rollout, 0, 5));
    rollout_forget(&rollout, 1);
    CHECK_INT(rollout_next(&rollout, 1000), ROLLOUT_COMMIT);
    rollout_commit(&rollout, 3, 1000);
    rollout_forget(&rollout, 1);
    CHECK(rollout_committed(&rollout, 0, 5));
    CHECK_INT(rollout_next(&rollout, 1000), ROLLOUT_END);
    CHECK_INT(rollout_end(&rollout, 2).outcome, ABI_PUBLISHED_LIVE);
}

TEST(nothing_is_live_when_nobody_has_committed)
{
    const uint32_t slots[] = {1, 2, 63, 64};
    const uint64_t all[] = {1, 3, UINT64_MAX >> 1, UINT64_MAX};

    for (size_t i = 0; i < 4; i++) {
        struct rollout rollout = begun(0);
        struct rollout_result result;

        CHECK_INT(rollout_next(&rollout, 1000), ROLLOUT_COMMIT);
        rollout_commit(&rollout, 0, 1000);
        CHECK_INT(rollout_next(&rollout, 1000), ROLLOUT_END);
        result = rollout_end(&rollout, slots[i]);
        CHECK_INT(result.outcome, ABI_PUBLISHED_PARTIAL);
        CHECK_UINT(result.laggards, all[i]);
    }
}

TEST(answers_about_other_generations_change_nothing)
{
    struct rollout rollout = begun(3);
    struct rollout before = rollout;

    CHECK(!rollout_prepared(&rollout, 0, 4));
    CHECK(!rollout_refused(&rollout, 0, 6));
    CHECK(!rollout_committed(&rollout, 0, 5)); /* at another time */
    CHECK(!rollout_prepared(&rollout, 2, 5));  /* of one who was not asked */
    CHECK(!rollout_refused(&rollout, 2, 5));
    CHECK_INT(rollout.state, before.state);
    CHECK_UINT(rollout.prepared, 0);
    CHECK(!rollout.refused);
    rollout_commit(&rollout, 3, 1000);
    CHECK(!rollout_committed(&rollout, 0, 4));
    CHECK(!rollout_refused(&rollout, 0, 5)); /* too late */
    CHECK(!rollout_prepared(&rollout, 0, 5));
    CHECK_UINT(rollout.committed, 0);
}

TEST(idle_ignores_all_answers)
{
    struct rollout rollout = {.state = ROLLOUT_IDLE};

    CHECK(!rollout_prepared(&rollout, 0, 0));
    CHECK(!rollout_refused(&rollout, 0, 0));
    CHECK(!rollout_committed(&rollout, 0, 0));
    CHECK_INT(rollout_next(&rollout, UINT64_MAX), ROLLOUT_WAIT);
    CHECK_STRING(rollout_state_name(ROLLOUT_IDLE), "idle");
    CHECK_STRING(rollout_state_name(ROLLOUT_COMMITTING), "committing");
}

static void begin_twice(void *argument)
{
    rollout_begin(argument, 6, 1, 0);
}

static void commit_refused(void *argument)
{
    rollout_commit(argument, 1, 0);
}

static void end_unrefused(void *argument)
{
    (void)rollout_end(argument, 1);
}

TEST(impossible_moves_abort)
{
    struct rollout rollout = begun(1);

    CHECK_ABORTS(begin_twice, &rollout);
    CHECK_ABORTS(end_unrefused, &rollout);
    CHECK(rollout_refused(&rollout, 0, 5));
    CHECK_ABORTS(commit_refused, &rollout);
}

/* Every order of events of two workers, six deep: whatever happens, the machine asks for nothing
 * illegal, names as laggards exactly those that were awaited and have not committed, is live only
 * if all awaited have, and ends once both deadlines are over. */
enum event {
    EVENT_PREPARED_0,
    EVENT_PREPARED_1,
    EVENT_REFUSED_0,
    EVENT_GONE_0,
    EVENT_GONE_1,
    EVENT_JOIN_0,
    EVENT_COMMITTED_0,
    EVENT_COMMITTED_1,
    EVENT_FORGET_1,
    EVENT_DEADLINE,
    EVENT_COUNT
};

static void play(struct rollout *rollout, enum event event, uint64_t *now)
{
    switch (event) {
    case EVENT_PREPARED_0:
    case EVENT_PREPARED_1:
        (void)rollout_prepared(rollout, event == EVENT_PREPARED_1, 5);
        break;
    case EVENT_REFUSED_0:
        (void)rollout_refused(rollout, 0, 5);
        break;
    case EVENT_GONE_0:
    case EVENT_GONE_1:
        rollout_gone(rollout, event == EVENT_GONE_1);
        break;
    case EVENT_JOIN_0:
        if (rollout->state == ROLLOUT_PREPARING) {
            rollout_join(rollout, 0);
        }
        break;
    case EVENT_COMMITTED_0:
    case EVENT_COMMITTED_1:
        (void)rollout_committed(rollout, event == EVENT_COMMITTED_1, 5);
        break;
    case EVENT_FORGET_1:
        rollout_forget(rollout, 1);
        break;
    default:
        *now = rollout_due_ms(rollout);
        break;
    }
}

/* Does what the machine asks; true once it is idle. */
static bool obey(struct rollout *rollout, uint64_t now)
{
    while (rollout->state != ROLLOUT_IDLE) {
        enum rollout_step step = rollout_next(rollout, now);
        uint64_t missing = rollout->awaited & ~rollout->committed;
        bool refused = rollout->refused;
        bool nobody = rollout->committed == 0;
        struct rollout_result result;

        if (step == ROLLOUT_WAIT) {
            return false;
        }
        if (step == ROLLOUT_COMMIT) {
            CHECK(!refused);
            rollout_commit(rollout, 3, now);
            continue;
        }
        CHECK((step == ROLLOUT_ABORT) == refused);
        result = rollout_end(rollout, 2);
        if (refused) {
            CHECK_INT(result.outcome, ABI_PUBLISHED_REFUSED);
        } else {
            CHECK_UINT(result.laggards, nobody ? 3 : missing);
            CHECK_INT(result.outcome,
                      result.laggards == 0 ? ABI_PUBLISHED_LIVE : ABI_PUBLISHED_PARTIAL);
        }
    }
    return true;
}

TEST(every_order_of_events_ends_well)
{
    const uint32_t depth = 5;
    uint32_t orders = 1;

    for (uint32_t i = 0; i < depth; i++) {
        orders *= EVENT_COUNT;
    }
    for (uint32_t order = 0; order < orders; order++) {
        struct rollout rollout = begun(3);
        uint64_t now = 1000;
        uint32_t rest = order;
        bool over = obey(&rollout, now);

        for (uint32_t i = 0; i < depth && !over; i++, rest /= EVENT_COUNT) {
            play(&rollout, (enum event)(rest % EVENT_COUNT), &now);
            over = obey(&rollout, now);
        }
        for (uint32_t i = 0; i < 2 && !over; i++) {
            over = obey(&rollout, rollout_due_ms(&rollout));
        }
        cunit_context("order %u", order);
        if (!CHECK(over)) {
            return;
        }
    }
}
