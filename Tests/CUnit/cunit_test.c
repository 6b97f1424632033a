/* The harness itself: that it can fail. tools/cunit runs `canary` with CUNIT_CANARY set and expects
 * it to fail. */
#include <stdlib.h>
#include <unistd.h>

#include "base/must.h"
#include "cunit.h"

TEST(canary)
{
    CHECK(getenv("CUNIT_CANARY") == NULL);
}

static void read_at(void *place)
{
    _exit(*(volatile const uint8_t *)place);
}

TEST(guard_pages_end_the_process)
{
    struct bytes end = cunit_guarded(BYTES_LITERAL("12345"));
    struct bytes start = cunit_guarded_start(BYTES_LITERAL("12345"));
    uint8_t *room = cunit_guarded_room(8192);

    CHECK_TEXT(end, "12345");
    CHECK_TEXT(start, "12345");
    CHECK_INT(room[8191], 0xa5);
    CHECK_ABORTS(read_at, (void *)(uintptr_t)(end.ptr + end.len));
    CHECK_ABORTS(read_at, (void *)(uintptr_t)(start.ptr - 1));
    CHECK_ABORTS(read_at, room + 8192);
}

TEST(an_empty_slice_can_be_guarded)
{
    struct bytes empty = cunit_guarded(bytes_of(NULL, 0));

    CHECK_UINT(empty.len, 0);
    CHECK_ABORTS(read_at, (void *)(uintptr_t)empty.ptr);
    cunit_unguard(empty.ptr);
}

TEST(guarded_memory_is_used_again)
{
    const uint8_t *first = cunit_guarded(BYTES_LITERAL("a")).ptr;

    for (int i = 0; i < 100000; i++) {
        cunit_unguard(first);
        CHECK(cunit_guarded(BYTES_LITERAL("b")).ptr == first);
    }
}

static void do_nothing(void *unused)
{
    (void)unused;
}

static void break_a_must(void *unused)
{
    MUST(unused != NULL);
}

TEST(only_an_abort_counts_as_one)
{
    CHECK_ABORTS(break_a_must, NULL);
    CHECK(!cunit_aborts(do_nothing, NULL));
}

TEST(random_numbers_repeat_and_stay_below_their_bound)
{
    uint32_t seen = 0;

    for (int i = 0; i < 1000; i++) {
        uint32_t value = cunit_random_below(5);

        CHECK(value < 5);
        seen |= 1u << value;
    }
    CHECK_UINT(seen, 31);
}
