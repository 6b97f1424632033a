#include "wire/trace.h"

#include <stdio.h>
#include <string.h>

#include "cunit.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TRACE_ID     "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN_ID      "00f067aa0ba902b7"
#define ZERO_ID      "00000000000000000000000000000000"

static const struct {
    const char *value;
    bool good;
} parents[] = {
    {"00-" TRACE_ID "-" SPAN_ID "-01", true},
    {"00-" TRACE_ID "-" SPAN_ID "-00", true},
    {"00-" TRACE_ID "-" SPAN_ID "-ff", true},
    {"01-" TRACE_ID "-" SPAN_ID "-01", true},
    {"cc-" TRACE_ID "-" SPAN_ID "-01-what-the-future-will-be-like", true},
    {"fe-" TRACE_ID "-" SPAN_ID "-01-", true},
    {"cc-" TRACE_ID "-" SPAN_ID "-01.what", false},
    {"00-" TRACE_ID "-" SPAN_ID "-01-x", false},
    {"00-" TRACE_ID "-" SPAN_ID "-01-", false},
    {"ff-" TRACE_ID "-" SPAN_ID "-01", false},
    {"0-" TRACE_ID "-" SPAN_ID "-001", false},
    {"00-" ZERO_ID "-" SPAN_ID "-01", false},
    {"00-" TRACE_ID "-0000000000000000-01", false},
    {"00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN_ID "-01", false},
    {"00-" TRACE_ID "-00F067AA0BA902B7-01", false},
    {"0A-" TRACE_ID "-" SPAN_ID "-01", false},
    {"00-" TRACE_ID "-" SPAN_ID "-0x", false},
    {"00-" TRACE_ID "-" SPAN_ID "-0", false},
    {"00-" TRACE_ID "-" SPAN_ID, false},
    {"00_" TRACE_ID "_" SPAN_ID "_01", false},
    {"00-4bf92f3577b34da6a3ce929d0e0e473-" SPAN_ID "-001", false},
    {"", false},
};

TEST(traceparents)
{
    for (size_t i = 0; i < COUNT(parents); i++) {
        struct bytes whole = cunit_text(parents[i].value);
        struct trace_parent parent;

        cunit_context("%s", parents[i].value);
        CHECK_INT(trace_parse_parent(cunit_guarded(whole), &parent), parents[i].good);
        for (size_t length = 0; length < whole.len && length < TRACE_PARENT_SIZE; length++) {
            struct bytes in = cunit_guarded(bytes_part(whole, 0, length));

            CHECK(!trace_parse_parent(in, &parent));
            cunit_unguard(in.ptr);
        }
    }
}

TEST(a_traceparent_is_written_as_it_was_read)
{
    struct bytes in = cunit_text(parents[0].value);
    struct trace_parent parent;
    uint8_t out[TRACE_PARENT_SIZE];

    CHECK(trace_parse_parent(in, &parent));
    CHECK_UINT(parent.flags, TRACE_SAMPLED);
    CHECK_UINT(parent.trace_id[0], 0x4b);
    CHECK_UINT(parent.span_id[7], 0xb7);
    trace_write_parent(&parent, out);
    CHECK_BYTES(bytes_of(out, sizeof(out)), in);
}

static const struct {
    const char *value;
    bool good;
} states[] = {
    {"", true},
    {"congo=t61rcWkgMzE", true},
    {"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", true},
    {"rojo=1 , ,\tcongo=2", true},
    {"fw529a3039@dt=FfAIXxhNjDUC1kbVjE", true},
    {"0a_b-c*d/e=x y!~", true},
    {"a=1,a=2", false},
    {"a", false},
    {"=1", false},
    {"a=", false},
    {"a=b=c", false},
    {"A=1", false},
    {"_a=1", false},
    {"a b=1", false},
    {"a=caf\xc3\xa9", false},
    {"a=b\tc", false},
};

TEST(tracestates)
{
    for (size_t i = 0; i < COUNT(states); i++) {
        struct trace_state state = {0};

        cunit_context("%s", states[i].value);
        CHECK_INT(trace_add_state(&state, cunit_guarded(cunit_text(states[i].value))),
                  states[i].good);
    }
}

/* A value of one member with a key and a value of these lengths. */
static bool member_of(size_t key, size_t value)
{
    char text[600];
    struct trace_state state = {0};

    memset(text, 'k', key);
    text[key] = '=';
    memset(text + key + 1, 'v', value);
    return trace_add_state(&state, bytes_of(text, key + 1 + value));
}

TEST(tracestates_have_limits)
{
    struct trace_state state = {0};
    char text[16];

    CHECK(member_of(256, 256));
    CHECK(!member_of(257, 1));
    CHECK(!member_of(1, 257));
    for (uint32_t i = 0; i < TRACE_STATE_MEMBERS; i++) {
        int length = snprintf(text, sizeof(text), "k%u=1", i);
        struct bytes in = cunit_guarded(bytes_of(text, (size_t)length));

        CHECK(trace_add_state(&state, in));
    }
    CHECK(!trace_add_state(&state, BYTES_LITERAL("one-more=1")));
}

TEST(members_of_several_fields_are_one_list)
{
    struct trace_state state = {0};

    CHECK(trace_add_state(&state, BYTES_LITERAL("a=1")));
    CHECK(trace_add_state(&state, BYTES_LITERAL("b=1")));
    CHECK(!trace_add_state(&state, BYTES_LITERAL("a=1")));
}
