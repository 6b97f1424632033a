#include "base/evlog.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/must.h"
#include "cunit.h"

static struct evlog event_log;

/* What a dump of the newest `count` records writes. */
static struct bytes dump(const struct evlog *log, uint32_t count)
{
    static char text[65536];
    FILE *file = tmpfile();
    size_t length = 0;

    if (CHECK(file != NULL)) {
        evlog_dump(log, fileno(file), count);
        rewind(file);
        length = fread(text, 1, sizeof(text), file);
        fclose(file);
    }
    return bytes_of(text, length);
}

TEST(the_newest_records_are_printed_oldest_first)
{
    memset(&event_log, 0, sizeof(event_log));
    CHECK_TEXT(dump(&event_log, 5), "");
    evlog_note(&event_log, "accept", 1, 2);
    evlog_note(&event_log, "close", UINT64_MAX, 0);
    CHECK_TEXT(dump(&event_log, 5), "accept 1 2\nclose 18446744073709551615 0\n");
    CHECK_TEXT(dump(&event_log, 1), "close 18446744073709551615 0\n");
    CHECK_TEXT(dump(&event_log, 0), "");
}

TEST(the_ring_keeps_the_last_capacity_of_records)
{
    struct bytes text;

    memset(&event_log, 0, sizeof(event_log));
    for (uint64_t i = 0; i < 3 * EVLOG_CAPACITY + 1; i++) {
        evlog_note(&event_log, "n", i, 0);
    }
    text = dump(&event_log, UINT32_MAX);
    CHECK(bytes_has_prefix(text, BYTES_LITERAL("n 2049 0\nn 2050 0\n")));
    CHECK(bytes_has_suffix(text, BYTES_LITERAL("\nn 3072 0\n")));
}

static void note_and_break(void *unused)
{
    MUST(unused != NULL);
}

static void leave(void)
{
    _exit(3);
}

static void break_with_hook(void *unused)
{
    must_set_hook(leave);
    note_and_break(unused);
}

static void dump_and_break(void)
{
    MUST(event_log.written == 0);
}

static void break_in_the_hook(void *unused)
{
    evlog_note(&event_log, "n", 0, 0);
    must_set_hook(dump_and_break);
    note_and_break(unused);
}

TEST(a_broken_must_runs_its_hook_once)
{
    CHECK_ABORTS(note_and_break, NULL);
    CHECK(!cunit_aborts(break_with_hook, NULL)); /* left through the hook */
    CHECK_ABORTS(break_in_the_hook, NULL);       /* and does not run it for ever */
}
