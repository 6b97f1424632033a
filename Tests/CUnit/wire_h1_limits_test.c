/* Limits of heads: one less, exactly, one more; and what a dripping sender costs. */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "cunit.h"
#include "wire/h1.h"
#include "wire/uri.h"

static struct h1_head head;
static char text[2 * H1_MAX_HEAD];

static int parse(size_t len)
{
    struct bytes in = cunit_guarded(bytes_of(text, len));
    int result = h1_parse_request(in, &head);

    cunit_unguard(in.ptr);
    return result;
}

/* `GET /aaa` with a target of `length` bytes; the length of the whole head. */
static size_t write_target(size_t length)
{
    strcpy(text, "GET /");
    memset(text + 5, 'a', length - 1);
    strcpy(text + 4 + length, " HTTP/1.1\r\nHost: ex.test\r\n\r\n");
    return strlen(text);
}

TEST(length_of_the_target)
{
    CHECK(parse(write_target(H1_MAX_TARGET - 1)) > 0);
    CHECK(parse(write_target(H1_MAX_TARGET)) > 0);
    CHECK_UINT(head.target.len, H1_MAX_TARGET);
    CHECK_INT(parse(write_target(H1_MAX_TARGET + 1)), MESH_E_TOO_LONG);
    CHECK_INT(h1_refusal_status(MESH_E_TOO_LONG, &head), 414);
    text[100] = '?';
    CHECK_INT(parse(strlen(text)), MESH_E_TOO_LONG);
    /* Also before its end is there. */
    CHECK_INT(parse(4 + H1_MAX_TARGET), 0);
    CHECK_INT(parse(4 + H1_MAX_TARGET + 1), MESH_E_TOO_LONG);
}

/* A head of `length` bytes in all. */
static size_t write_head(size_t length)
{
    size_t at = (size_t)sprintf(text, "GET / HTTP/1.1\r\nHost: ex.test\r\nCookie: ");

    memset(text + at, 'v', length - 4 - at);
    memcpy(text + length - 4, "\r\n\r\n", 4);
    return length;
}

TEST(length_of_the_head)
{
    CHECK_INT(parse(write_head(H1_MAX_HEAD - 1)), H1_MAX_HEAD - 1);
    CHECK_INT(parse(write_head(H1_MAX_HEAD)), H1_MAX_HEAD);
    CHECK_INT(parse(write_head(H1_MAX_HEAD + 1)), MESH_E_TOO_LONG);
    CHECK_INT(h1_refusal_status(MESH_E_TOO_LONG, &head), 431);
    CHECK_INT(parse(H1_MAX_HEAD - 1), 0);
    CHECK_INT(parse(H1_MAX_HEAD), MESH_E_TOO_LONG);
    /* Bytes after a head do not count. */
    write_head(H1_MAX_HEAD);
    memset(text + H1_MAX_HEAD, 'b', H1_MAX_HEAD);
    CHECK_INT(parse(2 * H1_MAX_HEAD), H1_MAX_HEAD);
}

/* A head with `count` fields. */
static size_t write_fields(uint32_t count)
{
    size_t at = (size_t)sprintf(text, "GET / HTTP/1.1\r\nHost: ex.test\r\n");

    for (uint32_t i = 1; i < count; i++) {
        at += (size_t)sprintf(text + at, "X-%u: v\r\n", i);
    }
    return at + (size_t)sprintf(text + at, "\r\n");
}

TEST(count_of_fields)
{
    CHECK(parse(write_fields(H1_MAX_FIELDS - 1)) > 0);
    CHECK(parse(write_fields(H1_MAX_FIELDS)) > 0);
    CHECK_UINT(head.field_count, H1_MAX_FIELDS);
    CHECK_INT(parse(write_fields(H1_MAX_FIELDS + 1)), MESH_E_TOO_MANY);
}

TEST(length_of_a_host)
{
    for (size_t length = URI_MAX_HOST - 1; length <= URI_MAX_HOST + 1; length++) {
        strcpy(text, "GET / HTTP/1.1\r\nHost: ");
        memset(text + 22, 'h', length);
        strcpy(text + 22 + length, "\r\n\r\n");
        CHECK_INT(parse(strlen(text)),
                  length <= URI_MAX_HOST ? (int)strlen(text) : (int)MESH_E_SYNTAX);
    }
}

TEST(progress_is_made_by_lines)
{
    const struct bytes in = BYTES_LITERAL("GET / HTTP/1.1\r\nHost");

    CHECK(h1_may_progress(in, 0));
    CHECK(h1_may_progress(in, 15));
    CHECK(!h1_may_progress(in, 16));
    CHECK(!h1_may_progress(in, in.len));
    CHECK(h1_may_progress(bytes_of(text, H1_MAX_HEAD), H1_MAX_HEAD - 1));
}

/* A CR without its LF is refused when the next byte is there, not when a line ends one day. */
TEST(a_bare_cr_is_noticed_without_a_line_end)
{
    struct bytes in = BYTES_LITERAL("GET / HTTP/1.1\r\nHost: a\rX");

    CHECK(!h1_may_progress(bytes_part(in, 0, in.len - 1), in.len - 2)); /* it may be a line end */
    CHECK(h1_may_progress(in, in.len - 1));
    CHECK(h1_may_progress(in, in.len - 2));
    CHECK(!h1_may_progress(in, in.len));
    CHECK_INT(h1_parse_request(in, &head), MESH_E_SYNTAX);
}

/* As a caller does it: one parse per line, and the same result. */
TEST(a_dripping_sender_costs_a_pass_per_line)
{
    size_t len = write_fields(H1_MAX_FIELDS);
    uint32_t passes = 0;
    size_t seen = 0;
    int result = 0;

    for (size_t have = 1; have <= len; have++) {
        struct bytes in = bytes_of(text, have);

        if (h1_may_progress(in, seen)) {
            result = h1_parse_request(in, &head);
            passes++;
            CHECK_INT(result, have == len ? (int)len : 0);
        }
        seen = have;
    }
    CHECK_INT(result, len);
    CHECK(passes <= H1_MAX_FIELDS + 3);
}
