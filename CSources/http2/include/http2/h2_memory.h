/* Memory of all HTTP/2 sessions of one worker: small objects from one bounded arena, by size. What
 * is given back can serve any size again, so that no pattern of use starves another for ever. */
#ifndef HTTP2_H2_MEMORY_H
#define HTTP2_H2_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

#define H2_SLAB_SIZE      131072u /* of objects of one size; also their alignment */
#define H2_MEMORY_CLASSES 23u     /* 32 bytes to 64 KiB, two sizes for every power of two */

struct h2_memory {
    uint8_t *arena;
    uint32_t slabs;      /* the arena's */
    uint32_t fresh;      /* slabs below this were used before */
    uint32_t used;       /* slabs that hold objects */
    uint32_t high_water; /* most ever */
    struct list_link free;
    struct list_link partial[H2_MEMORY_CLASSES]; /* slabs with room */
};

/* `arena` is aligned to H2_SLAB_SIZE; `size` is a multiple of it. */
void h2_memory_init(struct h2_memory *memory, void *arena, size_t size);

/* Not cleared. NULL: the arena is full, or the object too big. */
[[nodiscard]] void *h2_memory_take(struct h2_memory *memory, size_t size);
void h2_memory_give(struct h2_memory *memory, void *object); /* may be NULL */
[[nodiscard]] void *h2_memory_resize(struct h2_memory *memory, void *object, size_t size);

#endif
