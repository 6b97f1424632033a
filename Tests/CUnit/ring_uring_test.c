/* The loop turn: time, full queues, overflow, signals. */
#include "ring_kit.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "cunit.h"

enum { KIND_POLL = 1 };

RING_TEST(waits_for_the_time_and_not_longer)
{
    struct ring *ring = kit_ring();
    struct ring_event event;
    uint64_t before;
    uint64_t passed = UINT64_MAX;
    uint32_t waits = 0;

    CHECK(ring_now_ns(ring) > 0); /* timers may be armed before the first turn */
    kit_turn(ring);
    /* The best of many: another process may take the processor in any one of them. */
    for (uint32_t i = 0; i < 100 && passed >= 5 * KIT_MS; i++) {
        before = ring_now_ns(ring);
        kit_turn(ring); /* no time: no wait */
        passed = ring_now_ns(ring) - before;
    }
    CHECK(passed < 5 * KIT_MS);
    passed = UINT64_MAX;
    for (uint32_t i = 0; i < 20 && passed >= 500 * KIT_MS; i++) {
        before = ring_now_ns(ring);
        passed = 0;
        waits = 0;
        while (passed < 20 * KIT_MS) {
            CHECK_INT(ring_wait(ring, 20 * KIT_MS - passed, &event, 1), 0);
            passed = ring_now_ns(ring) - before;
            waits++;
        }
        /* The kernel taking leave of the rings of earlier tests may end some; spinning makes
         * thousands. */
        CHECK(waits < 100);
    }
    CHECK(passed < 500 * KIT_MS);
    ring_destroy(ring);
}

static void note_signal(int number)
{
    (void)number;
}

RING_TEST(a_signal_ends_the_wait_without_an_event)
{
    const struct sigaction noted = {.sa_handler = note_signal};
    const struct itimerval soon = {.it_value.tv_usec = 20000};
    const struct itimerval never = {0};
    struct ring *ring = kit_ring();
    struct sigaction before;
    struct ring_event event;

    CHECK_INT(sigaction(SIGALRM, &noted, &before), 0);
    CHECK_INT(setitimer(ITIMER_REAL, &soon, NULL), 0);
    CHECK_INT(ring_wait(ring, UINT64_MAX, &event, 1), 0);
    CHECK_INT(setitimer(ITIMER_REAL, &never, NULL), 0);
    CHECK_INT(sigaction(SIGALRM, &before, NULL), 0);
    ring_destroy(ring);
}

/* Arms a poll on each of `count` pipes that have nothing to read. */
static void arm_polls(struct ring *ring, int (*pipes)[2], uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        CHECK_INT(pipe(pipes[i]), 0);
        ring_poll(ring, pipes[i][0], POLLIN, ring_token(KIND_POLL, i + 1, 1));
    }
}

static void close_pipes(struct ring *ring, int (*pipes)[2], uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        ring_close(ring, pipes[i][0], false);
        close(pipes[i][1]);
    }
}

/* Many more operations than the queue has entries, and many more events than the completion queue
 * holds (4 entries each): nothing is lost, whatever the size of the caller's array. */
static void flood(uint32_t max)
{
    enum { COUNT = 300 };
    const struct ring_config config = {.entries = 8, .small_buffers = 1, .large_buffers = 1};
    struct ring *ring = kit_ring_of(&config);
    static int pipes[COUNT][2];
    static uint8_t seen[COUNT];
    struct ring_event events[64];
    uint32_t total = 0;
    int count;

    memset(seen, 0, sizeof(seen));
    arm_polls(ring, pipes, COUNT);
    kit_turn(ring);
    CHECK(kit_engine == RING_ENGINE_EPOLL || ring_stats(ring)->queue_full >= COUNT / 8 - 1);
    for (uint32_t i = 0; i < COUNT; i++) {
        CHECK_INT(write(pipes[i][1], "x", 1), 1);
    }
    while (total < COUNT && (count = ring_wait(ring, KIT_PATIENT, events, max)) > 0) {
        for (int i = 0; i < count; i++) {
            uint32_t slot = ring_token_slot(events[i].token) - 1;

            CHECK(slot < COUNT && seen[slot]++ == 0);
            CHECK_INT(events[i].result, POLLIN);
        }
        total += (uint32_t)count;
    }
    CHECK_UINT(total, COUNT);
    close_pipes(ring, pipes, COUNT);
    kit_turn(ring);
    ring_destroy(ring);
}

RING_TEST(more_operations_and_events_than_the_queues_hold)
{
    flood(64);
}

RING_TEST(events_come_one_at_a_time_when_asked_so)
{
    flood(1);
}

/* Events that the last call left do not wait for more. */
RING_TEST(left_events_are_handed_out_at_once)
{
    struct ring *ring = kit_ring();
    struct ring_event event;
    uint64_t before;
    int pipes[3][2];

    arm_polls(ring, pipes, 3);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(write(pipes[i][1], "x", 1), 1);
    }
    CHECK_INT(ring_wait(ring, KIT_PATIENT, &event, 1), 1);
    before = ring_now_ns(ring);
    CHECK_INT(ring_wait(ring, KIT_PATIENT, &event, 1), 1);
    CHECK_INT(ring_wait(ring, KIT_PATIENT, &event, 1), 1);
    CHECK(ring_now_ns(ring) - before < KIT_PATIENT / 2);
    close_pipes(ring, pipes, 3);
    ring_destroy(ring);
}

/* However few the kernel completes in one call. */
RING_TEST(a_turn_has_all_there_is)
{
    enum { COUNT = 150 };
    const struct ring_config config = {.entries = 256, .small_buffers = 1, .large_buffers = 1};
    struct ring *ring = kit_ring_of(&config);
    static struct ring_event events[COUNT + 1];
    static int pipes[COUNT][2];

    arm_polls(ring, pipes, COUNT);
    kit_turn(ring);
    for (uint32_t i = 0; i < COUNT; i++) {
        CHECK_INT(write(pipes[i][1], "x", 1), 1);
    }
    CHECK_INT(ring_wait(ring, KIT_PATIENT, events, COUNT + 1), COUNT);
    close_pipes(ring, pipes, COUNT);
    ring_destroy(ring);
}

/* A turn costs one system call, which also submits. */
RING_TEST(one_system_call_per_turn)
{
    struct ring *ring = kit_ring();
    uint64_t before = ring_stats(ring)->enters;
    struct ring_event events[4];
    int pipes[2][2];

    arm_polls(ring, pipes, 2);
    CHECK_INT(write(pipes[0][1], "x", 1), 1);
    CHECK_INT(write(pipes[1][1], "x", 1), 1);
    CHECK_INT(ring_wait(ring, KIT_PATIENT, events, 4), 2);
    CHECK_UINT(ring_stats(ring)->enters - before, 1);
    CHECK_UINT(ring_stats(ring)->events, 2);
    close_pipes(ring, pipes, 2);
    ring_destroy(ring);
}
