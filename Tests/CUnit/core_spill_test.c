#include "core/spill.h"

#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "cunit.h"

/* Byte `at` of an endless stream whose period is no divisor of a block. */
static uint8_t spill_stream(uint64_t at)
{
    return (uint8_t)(at % 251);
}

static void spill_fill(uint8_t *to, uint64_t from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = spill_stream(from + i);
    }
}

static bool spill_matches(const struct spill *spill, uint64_t from)
{
    struct iovec parts[64];
    int count = spill_parts(spill, parts, 64);
    size_t length = 0;

    for (int i = 0; i < count; i++) {
        const uint8_t *bytes = parts[i].iov_base;

        if (parts[i].iov_len == 0) {
            return false; /* an empty part would stop a sender that counts bytes */
        }
        for (size_t j = 0; j < parts[i].iov_len; j++, length++) {
            if (bytes[j] != spill_stream(from + length)) {
                return false;
            }
        }
    }
    return length == spill->length;
}

TEST(spill_empty_chain_holds_no_block)
{
    struct pool blocks;
    struct spill spill = {0};
    struct iovec parts[2];

    CHECK(pool_init(&blocks, sizeof(struct spill_block), 4) == MESH_OK);
    CHECK(spill_append(&spill, &blocks, bytes_of(NULL, 0)) == MESH_OK);
    CHECK(spill_parts(&spill, parts, 2) == 0);
    CHECK(spill_append(&spill, &blocks, BYTES_LITERAL("ring")) == MESH_OK);
    CHECK(blocks.used == 1 && spill.length == 4);
    CHECK(spill_parts(&spill, parts, 0) == 0);
    spill_consume(&spill, &blocks, 0);
    spill_consume(&spill, &blocks, 3);
    CHECK(spill_parts(&spill, parts, 2) == 1 && parts[0].iov_len == 1);
    CHECK(*(char *)parts[0].iov_base == 'g');
    spill_consume(&spill, &blocks, 1);
    CHECK(blocks.used == 0 && spill.first == NULL && spill.last == NULL && spill.length == 0);
    pool_release(&blocks);
}

TEST(spill_refuses_whole_when_blocks_run_out)
{
    static uint8_t data[3 * SPILL_BLOCK_SIZE];
    struct pool blocks;
    struct spill spill = {0};

    spill_fill(data, 0, sizeof(data));
    CHECK(pool_init(&blocks, sizeof(struct spill_block), 2) == MESH_OK);
    CHECK(spill_append(&spill, &blocks, bytes_of(data, 2 * SPILL_BLOCK_SIZE + 1)) ==
          MESH_E_NO_MEMORY);
    CHECK(blocks.used == 0 && spill.length == 0);
    CHECK(spill_append(&spill, &blocks, bytes_of(data, 100)) == MESH_OK);
    CHECK(spill_append(&spill, &blocks, bytes_of(data + 100, 2 * SPILL_BLOCK_SIZE - 99)) ==
          MESH_E_NO_MEMORY);
    CHECK(spill.length == 100 && spill_matches(&spill, 0));
    CHECK(spill_append(&spill, &blocks, bytes_of(data + 100, 2 * SPILL_BLOCK_SIZE - 100)) ==
          MESH_OK);
    CHECK(blocks.used == 2 && spill_matches(&spill, 0));
    CHECK(spill_append(&spill, &blocks, bytes_of(data, 1)) == MESH_E_NO_MEMORY);
    spill_clear(&spill, &blocks);
    CHECK(blocks.used == 0 && spill.length == 0 && spill.last == NULL);
    pool_release(&blocks);
}

/* What goes in comes out, whatever the cuts. */
TEST(spill_random_cuts_keep_the_stream)
{
    static uint8_t data[40000];
    uint64_t random = 1;
    uint64_t in = 0;
    uint64_t out = 0;
    struct pool blocks;
    struct spill spill = {0};

    CHECK(pool_init(&blocks, sizeof(struct spill_block), 8) == MESH_OK);
    for (int step = 0; step < 3000; step++) {
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        if (random >> 63 == 0) {
            size_t count = (random >> 33) % (1u << (random >> 28 & 15));

            spill_fill(data, in, count);
            if (spill_append(&spill, &blocks, bytes_of(data, count)) == MESH_OK) {
                in += count;
            }
        } else if (spill.length > 0) {
            size_t count = (random >> 33) % (spill.length + 1);

            spill_consume(&spill, &blocks, count);
            out += count;
        }
        CHECK(spill.length == in - out);
        if (step % 16 == 0) {
            CHECK(spill_matches(&spill, out));
        }
    }
    CHECK(in > 1000000);
    spill_clear(&spill, &blocks);
    CHECK(blocks.used == 0);
    pool_release(&blocks);
}
