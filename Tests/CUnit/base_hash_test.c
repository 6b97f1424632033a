#include "base/hash.h"

#include "cunit.h"

/* The writer of the tables computes the same values (Swift): they are part of the layout. */
TEST(known_values)
{
    CHECK_UINT(hash_bytes(bytes_of(NULL, 0)), hash_finish(0xcbf29ce484222325));
    CHECK_UINT(hash_bytes(BYTES_LITERAL("a")), hash_finish(0xaf63dc4c8601ec8c));
    CHECK_UINT(hash_bytes(BYTES_LITERAL("foobar")), hash_finish(0x85944171f73967e8));
    CHECK_UINT(hash_finish(0), 0);
}

TEST(low_bits_spread)
{
    uint32_t used[64] = {0};
    uint32_t most = 0;

    for (uint32_t i = 0; i < 64 * 64; i++) {
        char name[16] = {'s',
                         'v',
                         'c',
                         '-',
                         (char)('0' + i / 512),
                         (char)('0' + i / 64 % 8),
                         (char)('0' + i / 8 % 8),
                         (char)('0' + i % 8)};
        uint32_t *count = &used[hash_bytes(bytes_of(name, 8)) & 63];

        *count += 1;
        most = *count > most ? *count : most;
    }
    CHECK(most < 2 * 64);
}

TEST(the_input_is_not_read_past_its_end)
{
    CHECK_UINT(hash_bytes(cunit_guarded(BYTES_LITERAL("foobar"))),
               hash_bytes(BYTES_LITERAL("foobar")));
}
