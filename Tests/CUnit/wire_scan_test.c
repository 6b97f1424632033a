/* The vector code against the table, the table against the grammar. */
#include <ctype.h>
#include <string.h>

#include "cunit.h"
#include "wire/scan.h"

static bool is_letter_or_digit(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_one_of(int c, const char *set)
{
    return c != 0 && strchr(set, c) != NULL;
}

TEST(classes_are_those_of_the_grammar)
{
    for (int c = 0; c < 256; c++) {
        bool visible = c > 0x20 && c < 0x7f;

        cunit_context("byte 0x%02x", c);
        CHECK_INT(scan_is((uint8_t)c, SCAN_TOKEN),
                  is_letter_or_digit(c) || is_one_of(c, "!#$%&'*+-.^_`|~"));
        CHECK_INT(scan_is((uint8_t)c, SCAN_VALUE), visible || is_one_of(c, " \t") || c >= 0x80);
        CHECK_INT(scan_is((uint8_t)c, SCAN_PATH), visible && !is_one_of(c, "?#"));
        CHECK_INT(scan_is((uint8_t)c, SCAN_SEGMENT), visible && !is_one_of(c, "?#/%\\"));
        CHECK_INT(scan_is((uint8_t)c, SCAN_QUERY), visible && !is_one_of(c, "#"));
        CHECK_INT(scan_is((uint8_t)c, SCAN_HOST), is_letter_or_digit(c) || is_one_of(c, "-._"));
        CHECK_INT(scan_is((uint8_t)c, SCAN_HEX), is_one_of(c, "0123456789abcdefABCDEF"));
        CHECK_INT(scan_is((uint8_t)c, SCAN_UNRESERVED),
                  is_letter_or_digit(c) || is_one_of(c, "-._~"));
    }
}

typedef const uint8_t *scan_function(const uint8_t *at, const uint8_t *end, const uint8_t *floor);

struct scan_pair {
    const char *name;
    scan_function *fast;
    scan_function *plain;
    uint8_t inside; /* a byte of the class */
};

static const struct scan_pair pairs[] = {
    {"token", scan_token, scan_plain_token, 'x'},
    {"value", scan_value, scan_plain_value, ' '},
    {"path", scan_path, scan_plain_path, '/'},
    {"query", scan_query, scan_plain_query, '?'},
    {"segment", scan_segment, scan_plain_segment, ';'},
    {"host", scan_host, scan_plain_host, '.'},
};

/* Every byte value at every place of inputs around the vector size, from every start. */
TEST(vector_and_table_agree_on_every_byte_at_every_place)
{
    uint8_t text[50];

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        const struct scan_pair *pair = &pairs[i];

        for (size_t len = 0; len <= sizeof(text); len += len < 34 ? 1 : 5) {
            struct bytes in;

            memset(text, pair->inside, sizeof(text));
            in = cunit_guarded(bytes_of(text, len));
            for (size_t at = 0; at < len; at++) {
                uint8_t *place = (uint8_t *)(uintptr_t)(in.ptr + at);

                for (int c = 0; c < 256; c += at % 5 == 0 ? 1 : 7) {
                    size_t from = at / 2;

                    *place = (uint8_t)c;
                    cunit_context("%s, byte 0x%02x at %zu of %zu", pair->name, (unsigned)c, at,
                                  len);
                    CHECK_INT(pair->fast(in.ptr + from, in.ptr + len, in.ptr) - in.ptr,
                              pair->plain(in.ptr + from, in.ptr + len, in.ptr) - in.ptr);
                }
                *place = pair->inside;
            }
            cunit_unguard(in.ptr);
        }
    }
}

TEST(vector_and_table_agree_on_noise)
{
    uint8_t text[100];

    for (int round = 0; round < 20000; round++) {
        const struct scan_pair *pair = &pairs[cunit_random_below(6)];
        size_t len = cunit_random_below(sizeof(text) + 1);
        size_t from = cunit_random_below((uint32_t)len + 1);
        struct bytes in;

        for (size_t i = 0; i < len; i++) {
            text[i] = cunit_random_below(40) == 0 ? (uint8_t)cunit_random() : pair->inside;
        }
        in = cunit_guarded(bytes_of(text, len));
        CHECK_INT(pair->fast(in.ptr + from, in.ptr + len, in.ptr) - in.ptr,
                  pair->plain(in.ptr + from, in.ptr + len, in.ptr) - in.ptr);
        cunit_unguard(in.ptr);
    }
}
