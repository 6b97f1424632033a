#include "core/spill.h"

#include <string.h>

#include "base/err.h"
#include "base/must.h"
#include "base/num.h"

_Static_assert(sizeof(struct spill_block) % 16 == 0, "no padding in a pool of blocks");

/* Room left in the last block. */
static size_t spill_room(const struct spill *spill)
{
    return spill->last == NULL ? 0 : SPILL_BLOCK_SIZE - spill->last->to;
}

static void spill_add_block(struct spill *spill, struct pool *blocks)
{
    struct spill_block *block = pool_take_dirty(blocks);

    MUST(block != NULL); /* counted before */
    block->next = NULL;
    block->from = 0;
    block->to = 0;
    if (spill->last == NULL) {
        spill->first = block;
    } else {
        spill->last->next = block;
    }
    spill->last = block;
}

int spill_append(struct spill *spill, struct pool *blocks, struct bytes in)
{
    size_t room = spill_room(spill);
    size_t beyond = in.len > room ? in.len - room : 0;

    MUST(blocks->size >= sizeof(struct spill_block));
    if (beyond > (size_t)(blocks->capacity - blocks->used) * SPILL_BLOCK_SIZE) {
        return MESH_E_NO_MEMORY;
    }
    while (in.len > 0) {
        size_t part;

        if (spill_room(spill) == 0) {
            spill_add_block(spill, blocks);
        }
        part = num_min_size(spill_room(spill), in.len);
        memcpy(spill->last->data + spill->last->to, in.ptr, part);
        spill->last->to += (uint32_t)part;
        spill->length += part;
        in = bytes_from(in, part);
    }
    return MESH_OK;
}

int spill_parts(const struct spill *spill, struct iovec *parts, int max)
{
    int count = 0;

    for (struct spill_block *block = spill->first; block != NULL && count < max;
         block = block->next) {
        parts[count++] = (struct iovec){
            .iov_base = block->data + block->from,
            .iov_len = block->to - block->from,
        };
    }
    return count;
}

static void spill_drop_first(struct spill *spill, struct pool *blocks)
{
    struct spill_block *block = spill->first;

    spill->first = block->next;
    if (spill->first == NULL) {
        spill->last = NULL;
    }
    pool_give(blocks, block);
}

void spill_consume(struct spill *spill, struct pool *blocks, size_t count)
{
    MUST(count <= spill->length);
    while (count > 0) {
        struct spill_block *block = spill->first;
        size_t part = num_min_size(block->to - block->from, count);

        block->from += (uint32_t)part;
        spill->length -= part;
        count -= part;
        if (block->from == block->to) {
            spill_drop_first(spill, blocks);
        }
    }
    MUST((spill->first == NULL) == (spill->length == 0));
}

void spill_clear(struct spill *spill, struct pool *blocks)
{
    while (spill->first != NULL) {
        spill_drop_first(spill, blocks);
    }
    spill->length = 0;
}
