#include "base/bytes.h"

#include "cunit.h"

TEST(parts_of_a_slice)
{
    struct bytes in = BYTES_LITERAL("abcdef");

    CHECK_TEXT(bytes_part(in, 0, 6), "abcdef");
    CHECK_TEXT(bytes_part(in, 2, 4), "cd");
    CHECK_TEXT(bytes_part(in, 6, 6), "");
    CHECK_TEXT(bytes_from(in, 5), "f");
    CHECK(bytes_part(bytes_of(NULL, 0), 0, 0).ptr == NULL);
}

static void part_backwards(void *unused)
{
    (void)unused;
    (void)bytes_part(BYTES_LITERAL("abc"), 2, 1);
}

static void part_too_far(void *unused)
{
    (void)unused;
    (void)bytes_part(BYTES_LITERAL("abc"), 0, 4);
}

TEST(a_part_outside_its_slice_ends_the_process)
{
    CHECK_ABORTS(part_backwards, NULL);
    CHECK_ABORTS(part_too_far, NULL);
}

TEST(equality_is_by_content)
{
    CHECK(bytes_equal(BYTES_LITERAL("abc"), cunit_guarded(BYTES_LITERAL("abc"))));
    CHECK(!bytes_equal(BYTES_LITERAL("abc"), BYTES_LITERAL("abd")));
    CHECK(!bytes_equal(BYTES_LITERAL("abc"), BYTES_LITERAL("ab")));
    CHECK(bytes_equal(bytes_of(NULL, 0), BYTES_LITERAL("")));
}

TEST(case_is_folded_for_letters_only)
{
    CHECK(bytes_equal_nocase(BYTES_LITERAL("Host-1"), BYTES_LITERAL("hOST-1")));
    CHECK(!bytes_equal_nocase(BYTES_LITERAL("a@"), BYTES_LITERAL("a`")));
    CHECK(!bytes_equal_nocase(BYTES_LITERAL("["), BYTES_LITERAL("{")));
    CHECK(!bytes_equal_nocase(BYTES_LITERAL("host"), BYTES_LITERAL("hosts")));
    for (int c = 0; c < 256; c++) {
        CHECK_INT(bytes_lower((uint8_t)c), c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
}

TEST(prefix_and_suffix)
{
    struct bytes in = BYTES_LITERAL("/api/v1");

    CHECK(bytes_has_prefix(in, BYTES_LITERAL("/api")));
    CHECK(bytes_has_prefix(in, BYTES_LITERAL("")));
    CHECK(bytes_has_prefix(in, in));
    CHECK(!bytes_has_prefix(in, BYTES_LITERAL("/api/v12")));
    CHECK(!bytes_has_prefix(in, BYTES_LITERAL("api")));
    CHECK(bytes_has_suffix(in, BYTES_LITERAL("/v1")));
    CHECK(bytes_has_suffix(in, bytes_of(NULL, 0)));
    CHECK(!bytes_has_suffix(in, BYTES_LITERAL("x/api/v1")));
    CHECK(!bytes_has_suffix(in, BYTES_LITERAL("/v2")));
}

TEST(order_is_by_bytes_then_length)
{
    static const char *const sorted[] = {"", "A", "AB", "B", "a", "a\x01", "ab", "\xff"};
    const int count = (int)(sizeof(sorted) / sizeof(sorted[0]));

    for (int i = 0; i < count; i++) {
        for (int j = 0; j < count; j++) {
            int order = bytes_compare(cunit_text(sorted[i]), cunit_text(sorted[j]));

            CHECK_INT((order > 0) - (order < 0), (i > j) - (i < j));
        }
    }
}
