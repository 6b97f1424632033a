#include "compress/compress_arena.h"

#include <string.h>

#include "cunit.h"

#define SIZE   65536u
#define PLACES 64u

static _Alignas(16) uint8_t memory[SIZE];

static size_t gaps(const struct compress_arena *arena, size_t *bytes)
{
    size_t count = 0;

    *bytes = 0;
    for (const struct compress_gap *gap = arena->gaps; gap != NULL; gap = gap->next) {
        CHECK(gap->next == NULL || (const uint8_t *)gap + gap->size < (const uint8_t *)gap->next);
        *bytes += gap->size;
        count++;
    }
    return count;
}

TEST(what_is_given_back_becomes_one_gap_again)
{
    struct compress_arena arena;
    void *places[PLACES] = {NULL};
    size_t sizes[PLACES] = {0};
    uint32_t state = 1;
    uint32_t refused = 0;
    size_t bytes;

    compress_arena_init(&arena, memory, SIZE);
    for (uint32_t turn = 0; turn < 20000; turn++) {
        state = state * 1664525u + 1013904223u;
        uint32_t at = (state >> 8) % PLACES;

        if (places[at] != NULL) {
            const uint8_t *from = places[at];

            CHECK(from[0] == at && from[sizes[at] - 1] == at);
            compress_arena_give(&arena, places[at]);
            places[at] = NULL;
            continue;
        }
        sizes[at] = 1 + (state >> 16) % 4000;
        places[at] = compress_arena_take(&arena, sizes[at]);
        if (places[at] == NULL) {
            refused++;
            continue;
        }
        CHECK((uintptr_t)places[at] % 16 == 0);
        memset(places[at], (int)at, sizes[at]);
    }
    CHECK(refused > 0);
    for (uint32_t at = 0; at < PLACES; at++) {
        compress_arena_give(&arena, places[at]);
    }
    CHECK_UINT(gaps(&arena, &bytes), 1);
    CHECK_UINT(bytes, SIZE);
}

TEST(asks_that_cannot_be_met_are_refused)
{
    struct compress_arena arena;
    size_t bytes;

    compress_arena_init(&arena, memory, SIZE);
    CHECK(compress_arena_take(&arena, SIZE) == NULL);
    CHECK(compress_arena_take(&arena, SIZE_MAX) == NULL);
    CHECK(compress_arena_take(&arena, SIZE_MAX - 20) == NULL);
    void *all = compress_arena_take(&arena, SIZE - 16);

    CHECK(all != NULL);
    CHECK_UINT(gaps(&arena, &bytes), 0);
    CHECK(compress_arena_take(&arena, 0) == NULL);
    compress_arena_give(&arena, all);
    void *none = compress_arena_take(&arena, 0);

    CHECK(none != NULL);
    compress_arena_give(&arena, none);
    CHECK_UINT(gaps(&arena, &bytes), 1);
}
