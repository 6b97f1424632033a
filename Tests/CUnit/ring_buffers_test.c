/* Receive buffers: exhaustion is flow control, and what is idle costs nothing. */
#include "ring_kit.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cunit.h"
#include "ring/ring_uring.h"

enum { KIND_RECV = 1 };

static struct ring *ring_with(uint32_t small, uint32_t large)
{
    const struct ring_config config = {
        .entries = 64,
        .small_buffers = small,
        .large_buffers = large,
    };

    return kit_ring_of(&config);
}

/* Takes everything and returns nothing: the stream stops with -ENOBUFS, and goes on without a lost
 * byte after the first return that says so. */
static void exhaust(enum ring_group group, uint32_t capacity, size_t size)
{
    const uint64_t token = ring_token(KIND_RECV, 1, 1);
    struct ring *ring = ring_with(capacity, capacity);
    struct ring_event held[16];
    struct ring_event event;
    size_t total = 6 * size + 17;
    uint8_t *data = cunit_guarded_room(total);
    size_t got = 0;
    uint32_t count = 0;
    uint32_t starved = 0;
    int ends[2];

    kit_fill(data, 0, total);
    kit_pair(ends);
    CHECK_INT(send(ends[1], data, total, 0), total);
    ring_recv(ring, ends[0], group, token);
    while (got < total) {
        event = kit_expect(ring, token);
        if (event.result == -ENOBUFS) {
            CHECK_UINT(event.flags, 0);
            CHECK_UINT(ring_buffers_free(ring, group), 0);
            starved++;
            CHECK(ring_buffer_return(ring, held[0].group, held[0].buffer));
            for (uint32_t i = 1; i < count; i++) {
                CHECK(!ring_buffer_return(ring, held[i].group, held[i].buffer));
            }
            CHECK_UINT(ring_buffers_free(ring, group), capacity);
            count = 0;
            ring_recv(ring, ends[0], group, token);
            continue;
        }
        CHECK(event.result > 0 && (size_t)event.result <= size);
        if (event.result <= 0 || count == capacity) {
            break;
        }
        CHECK(kit_matches(ring_event_bytes(ring, &event), got));
        got += (size_t)event.result;
        held[count++] = event;
        if ((event.flags & RING_EVENT_MORE) == 0) {
            ring_recv(ring, ends[0], group, token);
        }
    }
    CHECK_UINT(got, total);
    CHECK(starved >= 1);
    CHECK_UINT(ring_stats(ring)->starved, starved);
    ring_close(ring, ends[0], false);
    close(ends[1]);
    ring_destroy(ring);
}

RING_TEST(small_group_exhausted_and_recovered)
{
    exhaust(RING_GROUP_SMALL, 4, RING_SMALL_SIZE);
}

RING_TEST(large_group_exhausted_and_recovered)
{
    exhaust(RING_GROUP_LARGE, 2, RING_LARGE_SIZE);
}

RING_TEST(one_group_exhausted_leaves_the_other)
{
    struct ring *ring = ring_with(1, 1);
    struct ring_event held;
    struct ring_event event;
    int small[2];
    int large[2];

    kit_pair(small);
    kit_pair(large);
    ring_recv(ring, small[0], RING_GROUP_SMALL, 1);
    CHECK_INT(send(small[1], "a", 1, 0), 1);
    held = kit_expect(ring, 1);
    CHECK_INT(send(small[1], "b", 1, 0), 1);
    event = kit_expect(ring, 1);
    CHECK_INT(event.result, -ENOBUFS);
    ring_recv(ring, large[0], RING_GROUP_LARGE, 2);
    CHECK_INT(send(large[1], "c", 1, 0), 1);
    event = kit_expect(ring, 2);
    CHECK_TEXT(ring_event_bytes(ring, &event), "c");
    CHECK(ring_buffer_return(ring, event.group, event.buffer));
    CHECK(ring_buffer_return(ring, held.group, held.buffer));
    ring_recv(ring, small[0], RING_GROUP_SMALL, 1);
    event = kit_expect(ring, 1);
    CHECK_TEXT(ring_event_bytes(ring, &event), "b");
    ring_event_drop(ring, &event, false);
    ring_close(ring, small[0], false);
    ring_close(ring, large[0], false);
    close(small[1]);
    close(large[1]);
    ring_destroy(ring);
}

/* More receives find something at once than the window offers buffers: some starve although buffers
 * are idle, the window grows, and every message still arrives. */
TEST(the_window_grows_when_the_kernel_runs_dry)
{
    enum { COUNT = 200 };
    const struct ring_config config = {.entries = 256, .small_buffers = 256, .large_buffers = 1};
    struct ring *ring = (kit_engine = RING_ENGINE_URING, kit_ring_of(&config));
    uint32_t window = ring->buffers[RING_GROUP_SMALL].window;
    uint64_t starved[2] = {0};
    int ends[COUNT][2];

    CHECK(window < COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        kit_pair(ends[i]);
    }
    for (int round = 0; round < 2; round++) {
        uint32_t served = 0;

        for (uint32_t i = 0; i < COUNT; i++) {
            CHECK_INT(send(ends[i][1], "x", 1, 0), 1);
            ring_recv_once(ring, ends[i][0], RING_GROUP_SMALL, i + 1);
        }
        while (served < COUNT) {
            struct ring_event event = kit_next(ring, KIT_PATIENT);

            if (!CHECK(event.result == 1 || event.result == -ENOBUFS)) {
                return;
            }
            served += event.result == 1;
            if (event.result == -ENOBUFS) {
                starved[round]++;
                CHECK(ring_buffers_free(ring, RING_GROUP_SMALL) > 0);
                ring_recv_once(ring, ends[event.token - 1][0], RING_GROUP_SMALL, event.token);
            }
            ring_event_drop(ring, &event, false);
        }
    }
    CHECK(starved[0] > 0);
    CHECK(starved[1] < starved[0]);
    CHECK(ring->buffers[RING_GROUP_SMALL].window > window);
    for (uint32_t i = 0; i < COUNT; i++) {
        ring_close(ring, ends[i][0], false);
        close(ends[i][1]);
    }
    ring_destroy(ring);
}

/* One message at a time keeps to few buffers, however many there are. */
RING_TEST(light_traffic_touches_few_buffers)
{
    struct ring *ring = ring_with(4096, 1);
    uint16_t highest = 0;
    int ends[2];

    kit_pair(ends);
    ring_recv(ring, ends[0], RING_GROUP_SMALL, 1);
    for (int i = 0; i < 2000; i++) {
        struct ring_event event;

        CHECK_INT(send(ends[1], "x", 1, 0), 1);
        event = kit_expect(ring, 1);
        highest = event.buffer > highest ? event.buffer : highest;
        ring_event_drop(ring, &event, false);
    }
    CHECK(highest < 128);
    ring_close(ring, ends[0], false);
    close(ends[1]);
    ring_destroy(ring);
}

static void return_twice(void *argument)
{
    struct ring *ring = ring_with(2, 1);

    (void)argument;
    (void)ring_buffer_return(ring, RING_GROUP_SMALL, 0);
}

RING_TEST(returning_what_is_not_lent_is_a_broken_invariant)
{
    ring_destroy(kit_ring());
    CHECK_ABORTS(return_twice, NULL);
}
