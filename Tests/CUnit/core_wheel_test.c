#include "core/wheel.h"

#include <stdint.h>
#include <string.h>

#include "cunit.h"

enum { MODEL_TIMERS = 200 };

/* The wheel under test and the slow reference: an array of due times in milliseconds. */
static struct wheel wheel;
static struct wheel_timer timers[MODEL_TIMERS];
static uint64_t due_ms[MODEL_TIMERS]; /* 0: not armed */
static uint64_t random_state;

static uint64_t random_below(uint64_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % bound;
}

static void model_start(uint64_t seed, uint64_t now_ms)
{
    random_state = seed;
    wheel_init(&wheel, now_ms);
    memset(due_ms, 0, sizeof(due_ms));
    for (uint32_t i = 0; i < MODEL_TIMERS; i++) {
        wheel_timer_init(&timers[i], i);
        CHECK(!wheel_is_armed(&timers[i]));
    }
}

/* Delays of every order of magnitude up to a day. */
static uint64_t random_delay(void)
{
    return random_below(1ULL << (1 + random_below(26)));
}

static uint32_t model_armed(void)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < MODEL_TIMERS; i++) {
        count += due_ms[i] != 0;
        CHECK(wheel_is_armed(&timers[i]) == (due_ms[i] != 0));
    }
    return count;
}

/* Whoever is due one tick ago must have fired; whoever fires must be past its time. */
static void model_drain(uint64_t now_ms)
{
    struct wheel_timer *timer;

    while ((timer = wheel_take_due(&wheel)) != NULL) {
        uint32_t i = (uint32_t)timer->token;

        CHECK(timer == &timers[i]);
        CHECK(due_ms[i] != 0 && due_ms[i] < now_ms);
        due_ms[i] = 0;
        if (random_below(4) == 0) { /* a handler arms itself again, maybe with no delay */
            uint64_t delay = random_below(2) * random_delay();

            wheel_arm(&wheel, timer, now_ms, delay);
            due_ms[i] = now_ms + delay;
        }
    }
    for (uint32_t i = 0; i < MODEL_TIMERS; i++) {
        CHECK(due_ms[i] == 0 || due_ms[i] + WHEEL_TICK_MS > now_ms);
    }
}

/* The announced time is never after the first due timer's own latest time, one tick later. */
static void model_check_next(uint64_t now_ms)
{
    uint64_t next = wheel_next_ms(&wheel, now_ms);
    uint64_t first = UINT64_MAX;

    for (uint32_t i = 0; i < MODEL_TIMERS; i++) {
        if (due_ms[i] != 0 && due_ms[i] < first) {
            first = due_ms[i];
        }
    }
    if (first == UINT64_MAX) {
        CHECK(next == UINT64_MAX);
    } else {
        CHECK(next != UINT64_MAX);
        CHECK(now_ms + next <= first + WHEEL_TICK_MS + (first <= now_ms ? now_ms - first + 8 : 0));
    }
}

static void model_run(uint64_t seed, uint64_t now_ms, uint32_t steps)
{
    model_start(seed, now_ms);
    for (uint32_t step = 0; step < steps; step++) {
        uint32_t i = (uint32_t)random_below(MODEL_TIMERS);

        switch (random_below(4)) {
        case 0:
        case 1: {
            uint64_t delay = random_delay();

            wheel_arm(&wheel, &timers[i], now_ms, delay);
            due_ms[i] = now_ms + delay;
            break;
        }
        case 2:
            wheel_cancel(&wheel, &timers[i]);
            due_ms[i] = 0;
            break;
        default:
            now_ms += random_below(3) == 0 ? random_delay() : random_below(20);
            wheel_advance(&wheel, now_ms);
            model_drain(now_ms);
            break;
        }
        CHECK(wheel.armed == model_armed());
        model_check_next(now_ms);
    }
}

TEST(wheel_agrees_with_the_reference)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        model_run(seed * 0x9e3779b97f4a7c15ULL, seed * 987654321, 4000);
    }
}

/* Starting just below each level's boundary, and at zero. */
TEST(wheel_agrees_at_the_boundaries_of_levels)
{
    for (uint32_t bits = 6; bits <= 36; bits += 6) {
        model_run(bits, (1ULL << bits) * WHEEL_TICK_MS - 1, 1500);
        model_run(bits + 1, (1ULL << bits) * WHEEL_TICK_MS, 1500);
    }
    model_run(77, 0, 1500);
}

/* Following wheel_next_ms() exactly meets every timer within its tick. */
TEST(wheel_next_is_enough_to_fire_in_time)
{
    uint64_t now_ms = 5000;
    uint32_t turns = 0;

    model_start(42, now_ms);
    for (uint32_t i = 0; i < MODEL_TIMERS; i++) {
        uint64_t delay = random_delay();

        wheel_arm(&wheel, &timers[i], now_ms, delay);
        due_ms[i] = now_ms + delay;
    }
    while (wheel.armed > 0) {
        struct wheel_timer *timer;
        uint64_t next = wheel_next_ms(&wheel, now_ms);

        CHECK(next != UINT64_MAX);
        now_ms += next;
        wheel_advance(&wheel, now_ms);
        while ((timer = wheel_take_due(&wheel)) != NULL) {
            uint32_t i = (uint32_t)timer->token;

            CHECK(due_ms[i] < now_ms && now_ms <= due_ms[i] + WHEEL_TICK_MS);
            due_ms[i] = 0;
        }
        turns++;
        CHECK(turns < MODEL_TIMERS * WHEEL_LEVELS);
        if (turns >= MODEL_TIMERS * WHEEL_LEVELS) {
            return;
        }
    }
    CHECK(wheel_next_ms(&wheel, now_ms) == UINT64_MAX);
}

TEST(wheel_fires_at_the_tick_and_not_before)
{
    wheel_init(&wheel, 1000);
    wheel_timer_init(&timers[0], 0);
    wheel_arm(&wheel, &timers[0], 1000, 15); /* over before 1016 = tick 127 */
    CHECK(wheel_next_ms(&wheel, 1000) == 16);
    wheel_advance(&wheel, 1015);
    CHECK(wheel_take_due(&wheel) == NULL);
    wheel_advance(&wheel, 1016);
    CHECK(wheel_next_ms(&wheel, 1016) == 0);
    CHECK(wheel_take_due(&wheel) == &timers[0]);
    CHECK(wheel_take_due(&wheel) == NULL);

    wheel_arm(&wheel, &timers[0], 1017, 0); /* no delay: the next tick, not this one */
    wheel_advance(&wheel, 1017);
    CHECK(wheel_take_due(&wheel) == NULL);
    wheel_advance(&wheel, 1024);
    CHECK(wheel_take_due(&wheel) == &timers[0]);
}

/* 1000.9 ms reads as 1000 and 1016.0 ms as 1016: 15.1 ms are not 16. */
TEST(wheel_counts_no_millisecond_that_has_only_begun)
{
    wheel_init(&wheel, 1000);
    wheel_timer_init(&timers[0], 0);
    wheel_arm(&wheel, &timers[0], 1000, 16);
    CHECK(wheel_next_ms(&wheel, 1000) == 24);
    wheel_advance(&wheel, 1016);
    CHECK(wheel_take_due(&wheel) == NULL);
    wheel_advance(&wheel, 1024);
    CHECK(wheel_take_due(&wheel) == &timers[0]);
}

TEST(wheel_moving_and_cancelling)
{
    wheel_init(&wheel, 0);
    for (uint32_t i = 0; i < 3; i++) {
        wheel_timer_init(&timers[i], i);
        wheel_arm(&wheel, &timers[i], 0, 100);
    }
    wheel_arm(&wheel, &timers[1], 0, 50);
    CHECK(wheel.armed == 3);
    wheel_cancel(&wheel, &timers[2]);
    wheel_cancel(&wheel, &timers[2]); /* twice is harmless */
    CHECK(wheel.armed == 2 && !wheel_is_armed(&timers[2]));
    wheel_advance(&wheel, 1000);
    /* Both are due; a handler of the first cancels the second, which then never comes. */
    CHECK(wheel_take_due(&wheel) == &timers[1]);
    CHECK(wheel_is_armed(&timers[0]));
    wheel_cancel(&wheel, &timers[0]);
    CHECK(wheel_take_due(&wheel) == NULL);
    CHECK(wheel.armed == 0);
    for (uint32_t level = 0; level < WHEEL_LEVELS; level++) {
        CHECK(wheel.occupied[level] == 0);
    }
}

TEST(wheel_delays_beyond_the_span_fire_at_its_end)
{
    static const uint64_t delays[] = {UINT64_MAX, UINT64_MAX - 100, 40ULL * 3600 * 1000};
    const uint64_t span_ms = (63ULL << 18) * WHEEL_TICK_MS;

    for (uint32_t i = 0; i < 3; i++) {
        wheel_init(&wheel, 12345);
        wheel_timer_init(&timers[0], 0);
        wheel_arm(&wheel, &timers[0], 12345, delays[i]);
        wheel_advance(&wheel, 12345 + span_ms - 2 * WHEEL_TICK_MS);
        CHECK(wheel_take_due(&wheel) == NULL);
        wheel_advance(&wheel, 12345 + span_ms);
        CHECK(wheel_take_due(&wheel) == &timers[0]);
    }
}

TEST(wheel_ignores_a_clock_that_goes_back)
{
    wheel_init(&wheel, 80000);
    wheel_timer_init(&timers[0], 0);
    wheel_advance(&wheel, 70000);
    CHECK(wheel.now_tick == 10000);
    wheel_arm(&wheel, &timers[0], 70000, 100); /* due before now: fires at the next tick */
    wheel_advance(&wheel, 80007);
    CHECK(wheel_take_due(&wheel) == NULL);
    wheel_advance(&wheel, 80008);
    CHECK(wheel_take_due(&wheel) == &timers[0]);
}
