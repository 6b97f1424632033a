/* Bytes that a socket did not take, or a message head that is not complete yet: chains of fixed
 * blocks from one bounded pool per worker. An empty chain holds no block. */
#ifndef CORE_SPILL_H
#define CORE_SPILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/bytes.h"
#include "core/pool.h"

#define SPILL_BLOCK_SIZE 16384u

struct spill_block {
    struct spill_block *next;
    uint32_t from; /* first byte not yet consumed */
    uint32_t to;   /* end of the stored bytes */
    uint8_t data[SPILL_BLOCK_SIZE];
};

struct spill {
    struct spill_block *first;
    struct spill_block *last;
    size_t length; /* bytes stored */
};

/* Appends a copy. MESH_OK, or MESH_E_NO_MEMORY with nothing appended. `blocks` is a pool of
 * struct spill_block. */
[[nodiscard]] int spill_append(struct spill *spill, struct pool *blocks, struct bytes in);

/* Up to `max` parts in order, for ring_send(). Returns their number. */
int spill_parts(const struct spill *spill, struct iovec *parts, int max);

/* Drops the first `count` bytes (at most `length`), giving emptied blocks back. */
void spill_consume(struct spill *spill, struct pool *blocks, size_t count);

/* Drops all. */
void spill_clear(struct spill *spill, struct pool *blocks);

#endif
