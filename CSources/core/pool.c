#include "core/pool.h"

#include <string.h>
#include <sys/mman.h>

#include "base/err.h"
#include "base/must.h"
#include "base/num.h"

/* Under ASan an object that is not in use is poisoned, so that a stale pointer is caught at once.
 */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOL_SANITIZED 1
#endif
#endif
#ifdef POOL_SANITIZED
#include <sanitizer/asan_interface.h>
#define POOL_HIDE(at, size) ASAN_POISON_MEMORY_REGION(at, size)
#define POOL_SHOW(at, size) ASAN_UNPOISON_MEMORY_REGION(at, size)
#else
#define POOL_HIDE(at, size) ((void)(at), (void)(size))
#define POOL_SHOW(at, size) ((void)(at), (void)(size))
#endif

#define POOL_NONE UINT32_MAX

/* Zero pages that cost nothing until they are touched; NULL when there is no address space. */
static void *pool_map(size_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                    -1, 0);

    return at == MAP_FAILED ? NULL : at;
}

static void pool_unmap(void *at, size_t size)
{
    if (at != NULL) {
        MUST(munmap(at, size) == 0);
    }
}

static size_t pool_objects_size(const struct pool *pool)
{
    return (size_t)pool->size * pool->capacity;
}

static size_t pool_indexes_size(const struct pool *pool)
{
    return sizeof(uint32_t) * pool->capacity;
}

int pool_init(struct pool *pool, size_t size, uint32_t capacity)
{
    uint64_t total;

    MUST(size > 0);
    MUST(size <= UINT32_MAX - 15);
    MUST(capacity > 0);
    MUST(capacity < POOL_NONE);
    *pool = (struct pool){
        .size = (uint32_t)num_align_up(size, 16),
        .capacity = capacity,
        ._free = POOL_NONE,
    };
    if (!num_mul_u64(pool->size, capacity, &total) || total > SIZE_MAX / 2) {
        return MESH_E_NO_MEMORY;
    }
    pool->_objects = pool_map(pool_objects_size(pool));
    pool->_generations = pool_map(pool_indexes_size(pool));
    pool->_next_free = pool_map(pool_indexes_size(pool));
    if (pool->_objects == NULL || pool->_generations == NULL || pool->_next_free == NULL) {
        pool_release(pool);
        return MESH_E_NO_MEMORY;
    }
    POOL_HIDE(pool->_objects, pool_objects_size(pool));
    return MESH_OK;
}

void pool_release(struct pool *pool)
{
    if (pool->_objects != NULL) {
        POOL_SHOW(pool->_objects, pool_objects_size(pool));
    }
    pool_unmap(pool->_objects, pool_objects_size(pool));
    pool_unmap(pool->_generations, pool_indexes_size(pool));
    pool_unmap(pool->_next_free, pool_indexes_size(pool));
    *pool = (struct pool){._free = POOL_NONE};
}

static void *pool_object(const struct pool *pool, uint32_t slot)
{
    return pool->_objects + (size_t)slot * pool->size;
}

/* Takes a slot: the one given back last, since its memory is warm; a fresh one only when there is
 * none. *fresh says that its bytes were never written. */
static void *pool_take_slot(struct pool *pool, bool *fresh)
{
    uint32_t slot;
    void *object;

    if (pool->_free != POOL_NONE) {
        slot = pool->_free;
        pool->_free = pool->_next_free[slot];
        *fresh = false;
    } else if (pool->_fresh < pool->capacity) {
        slot = pool->_fresh++;
        *fresh = true;
    } else {
        return NULL;
    }
    MUST(pool->_generations[slot] % 2 == 0);
    pool->_generations[slot]++;
    pool->used++;
    pool->high_water = num_max_u32(pool->high_water, pool->used);
    object = pool_object(pool, slot);
    POOL_SHOW(object, pool->size);
    return object;
}

void *pool_take(struct pool *pool)
{
    bool fresh = false;
    void *object = pool_take_slot(pool, &fresh);

    if (object != NULL && !fresh) {
        memset(object, 0, pool->size);
    }
    return object;
}

void *pool_take_dirty(struct pool *pool)
{
    bool fresh = false;

    return pool_take_slot(pool, &fresh);
}

void pool_give(struct pool *pool, void *object)
{
    uint32_t slot = pool_slot(pool, object);

    MUST(pool->_generations[slot] % 2 == 1);
    pool->_generations[slot]++;
    pool->_next_free[slot] = pool->_free;
    pool->_free = slot;
    MUST(pool->used > 0);
    pool->used--;
    POOL_HIDE(object, pool->size);
}

uint32_t pool_slot(const struct pool *pool, const void *object)
{
    size_t offset = (size_t)((const uint8_t *)object - pool->_objects);

    MUST(offset < pool_objects_size(pool));
    MUST(offset % pool->size == 0);
    return (uint32_t)(offset / pool->size);
}

uint32_t pool_generation(const struct pool *pool, const void *object)
{
    return pool->_generations[pool_slot(pool, object)];
}

void *pool_get(const struct pool *pool, uint32_t slot, uint32_t generation)
{
    if (slot >= pool->capacity || generation % 2 == 0 || pool->_generations[slot] != generation) {
        return NULL;
    }
    return pool_object(pool, slot);
}

void *pool_at(const struct pool *pool, uint32_t slot)
{
    if (slot >= pool->capacity || pool->_generations[slot] % 2 == 0) {
        return NULL;
    }
    return pool_object(pool, slot);
}
