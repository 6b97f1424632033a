/* Look-up in the tables of names that a snapshot carries: hosts of routes, server names of
 * certificates. Their records differ, but each begins with its name. */
#ifndef TABLE_SLOTS_H
#define TABLE_SLOTS_H

#include "abi/limits.h"
#include "base/hash.h"
#include "table/view.h"

struct slots {
    const void *first;
    size_t size;    /* of a record, whose first member is a struct abi_text: its name */
    uint32_t count; /* a power of two */
};

/* The record named `*` (when `wildcard`) followed by `name`, or NULL. */
static inline const void *slots_find(const struct view *view, struct slots slots, bool wildcard,
                                     struct bytes name)
{
    uint64_t h = wildcard ? hash_more(HASH_START, BYTES_LITERAL("*")) : HASH_START;
    uint32_t mask = slots.count - 1;
    uint32_t at = (uint32_t)hash_finish(hash_more(h, name)) & mask;

    for (uint32_t probes = 0; probes < LIMIT_HOST_PROBES; probes++, at = (at + 1) & mask) {
        const void *record = (const uint8_t *)slots.first + slots.size * at;
        struct bytes slot = view_text(view, *(const struct abi_text *)record);

        if (slot.len == 0) {
            return NULL;
        }
        if (wildcard && slot.ptr[0] == '*' && bytes_equal(bytes_from(slot, 1), name)) {
            return record;
        }
        if (!wildcard && bytes_equal(slot, name)) {
            return record;
        }
    }
    return NULL;
}

#endif
