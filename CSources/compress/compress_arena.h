/* The memory of one stream: what its library asks for, cut from one block. Libraries ask some ten
 * to fifty times in a stream's life, mostly at its start; so a list of gaps, the first that fits.
 */
#ifndef COMPRESS_ARENA_H
#define COMPRESS_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct compress_gap {
    size_t size;               /* bytes, this record included */
    struct compress_gap *next; /* by address */
};

struct compress_arena {
    struct compress_gap *gaps;
};

/* All of `memory` becomes one gap. It is aligned to 16, and so is what is taken. */
void compress_arena_init(struct compress_arena *arena, void *memory, size_t size);
/* NULL when no gap is large enough. */
void *compress_arena_take(struct compress_arena *arena, size_t size);
/* NULL is allowed. */
void compress_arena_give(struct compress_arena *arena, void *memory);

#endif
