/* Objects of one size, all memory taken at start, named by slot and generation. A generation is odd
 * while its object is in use, so that a stale handle never matches. Pages are touched only when
 * used. */
#ifndef CORE_POOL_H
#define CORE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pool {
    uint8_t *_objects;      /* capacity * size bytes, zero-filled pages */
    uint32_t *_generations; /* one per slot */
    uint32_t *_next_free;   /* free list; slots never used are not on it */
    uint32_t size;          /* bytes of one object, a multiple of 16 */
    uint32_t capacity;
    uint32_t used;       /* objects in use */
    uint32_t high_water; /* most ever in use */
    uint32_t _fresh;     /* slots below this were used before */
    uint32_t _free;      /* head of the free list, UINT32_MAX when empty */
};

/* 0 or MESH_E_NO_MEMORY. */
[[nodiscard]] int pool_init(struct pool *pool, size_t size, uint32_t capacity);
void pool_release(struct pool *pool);

/* A zeroed object, or NULL when all are in use. */
[[nodiscard]] void *pool_take(struct pool *pool);

/* As pool_take(), with whatever its last user left inside: for big blocks of bytes. */
[[nodiscard]] void *pool_take_dirty(struct pool *pool);

/* Ends the object's generation: handles to it no longer resolve. */
void pool_give(struct pool *pool, void *object);

uint32_t pool_slot(const struct pool *pool, const void *object);
uint32_t pool_generation(const struct pool *pool, const void *object);

/* The object in `slot` if it is in use and of that generation, else NULL. */
void *pool_get(const struct pool *pool, uint32_t slot, uint32_t generation);

/* The object in `slot` if it is in use, else NULL: for walks over all of them. */
void *pool_at(const struct pool *pool, uint32_t slot);

#endif
