#include "core/pool.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "base/err.h"
#include "cunit.h"

TEST(pool_is_bounded)
{
    struct pool pool;
    void *objects[3];

    CHECK(pool_init(&pool, 24, 3) == MESH_OK);
    CHECK(pool.size == 32);
    for (int i = 0; i < 3; i++) {
        objects[i] = pool_take(&pool);
        CHECK(objects[i] != NULL);
        CHECK((uintptr_t)objects[i] % 16 == 0);
        CHECK(pool_slot(&pool, objects[i]) == (uint32_t)i);
    }
    CHECK(pool.used == 3);
    CHECK(pool_take(&pool) == NULL);
    CHECK(pool_take_dirty(&pool) == NULL);
    pool_give(&pool, objects[1]);
    CHECK(pool.used == 2);
    CHECK(pool_take(&pool) == objects[1]);
    CHECK(pool.high_water == 3);
    pool_release(&pool);
}

TEST(pool_objects_are_zeroed_on_every_take)
{
    static const uint8_t zeros[64];
    struct pool pool;

    CHECK(pool_init(&pool, 64, 1) == MESH_OK);
    for (int i = 0; i < 3; i++) {
        void *object = pool_take(&pool);

        CHECK(memcmp(object, zeros, 64) == 0);
        memset(object, 0xa5, 64);
        pool_give(&pool, object);
    }
    pool_release(&pool);
}

TEST(pool_dirty_take_keeps_contents_and_counts)
{
    struct pool pool;
    uint8_t *object;

    CHECK(pool_init(&pool, 16, 1) == MESH_OK);
    object = pool_take_dirty(&pool);
    CHECK(object[0] == 0); /* a fresh page */
    object[0] = 7;
    pool_give(&pool, object);
    object = pool_take_dirty(&pool);
    CHECK(object[0] == 7);
    CHECK(pool_generation(&pool, object) == 3);
    pool_release(&pool);
}

TEST(pool_stale_handles_do_not_resolve)
{
    struct pool pool;
    void *object;
    uint32_t first;

    CHECK(pool_init(&pool, 16, 2) == MESH_OK);
    CHECK(pool_get(&pool, 0, 0) == NULL); /* never used, even generation */
    CHECK(pool_at(&pool, 0) == NULL);
    object = pool_take(&pool);
    first = pool_generation(&pool, object);
    CHECK(first % 2 == 1);
    CHECK(pool_get(&pool, 0, first) == object);
    CHECK(pool_at(&pool, 0) == object);
    pool_give(&pool, object);
    CHECK(pool_get(&pool, 0, first) == NULL);
    CHECK(pool_get(&pool, 0, first + 1) == NULL); /* free: even, matches nothing */
    CHECK(pool_at(&pool, 0) == NULL);
    CHECK(pool_take(&pool) == object);
    CHECK(pool_get(&pool, 0, first) == NULL);
    CHECK(pool_get(&pool, 0, first + 2) == object);
    CHECK(pool_get(&pool, 1, 1) == NULL); /* inside, never taken */
    CHECK(pool_get(&pool, 2, 1) == NULL); /* just outside */
    CHECK(pool_get(&pool, UINT32_MAX, 1) == NULL);
    CHECK(pool_at(&pool, 2) == NULL);
    pool_release(&pool);
}

TEST(pool_generations_wrap_in_step)
{
    struct pool pool;
    void *object;

    CHECK(pool_init(&pool, 16, 1) == MESH_OK);
    object = pool_take(&pool);
    pool_give(&pool, object);
    pool._generations[0] = UINT32_MAX - 1;
    object = pool_take(&pool);
    CHECK(pool_generation(&pool, object) == UINT32_MAX);
    pool_give(&pool, object);
    object = pool_take(&pool);
    CHECK(pool_generation(&pool, object) == 1);
    pool_release(&pool);
}

TEST(pool_too_big_for_the_address_space)
{
    struct pool pool;

    CHECK(pool_init(&pool, 1u << 31, UINT32_MAX - 1) == MESH_E_NO_MEMORY);
    CHECK(pool._objects == NULL);
}

TEST(pool_touches_only_what_is_used)
{
    struct pool pool;
    unsigned char resident = 0;
    uint8_t *object;

    CHECK(pool_init(&pool, 4096, 1u << 20) == MESH_OK); /* 4 GiB of address space */
    object = pool_take(&pool);
    object[0] = 1;
    CHECK(mincore(pool._objects, 4096, &resident) == 0 && resident == 1);
    CHECK(mincore(pool._objects + 4096, 4096, &resident) == 0 && resident == 0);
    pool_release(&pool);
}

/* Every object is distinct memory and comes back zeroed. */
TEST(pool_random_use_against_a_model)
{
    enum { CAPACITY = 500 };
    static void *held[CAPACITY];
    uint64_t random = 88172645463325252ULL;
    struct pool pool;
    uint32_t count = 0;

    CHECK(pool_init(&pool, sizeof(uint64_t), CAPACITY) == MESH_OK);
    for (uint32_t step = 0; step < 20000; step++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        if (random % 2 == 0 && count < CAPACITY) {
            uint64_t *object = pool_take(&pool);

            CHECK(object != NULL && *object == 0);
            *object = (uintptr_t)object;
            held[count++] = object;
        } else if (count > 0) {
            uint32_t at = (uint32_t)(random >> 32) % count;

            CHECK(*(uint64_t *)held[at] == (uintptr_t)held[at]);
            pool_give(&pool, held[at]);
            held[at] = held[--count];
        }
        CHECK(pool.used == count);
    }
    pool_release(&pool);
}
