/* The names behind enum hdr_id as a perfect hash, for the hot path of the head parser. Private to
 * the room. A name's slot depends on its length, its first and its last but one character, so that
 * an alias of a known name (`x_real_ip`) falls into the slot of the real one and is told from it
 * there, without cost for all the others. */
#ifndef WIRE_HDR_NAMES_H
#define WIRE_HDR_NAMES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "wire/hdr.h"

#define HDR_LONGEST 19u /* proxy-authorization */
#define HDR_SLOTS   128u

/* Letters in either case give the same slot. Two names with one slot do not compile: the table in
 * hdr.c would have an initializer overridden. */
#define HDR_SLOT(length, first, penult)                                                            \
    (((uint32_t)(length) + ((first) & 0x1fu) * 5u + ((penult) & 0x1fu) * 7u) % HDR_SLOTS)

struct hdr_name {
    uint8_t id; /* enum hdr_id; HDR_OTHER in an empty slot */
    uint8_t length;
    char lower[22];
};

extern const struct hdr_name hdr_slots[HDR_SLOTS];

static inline uint64_t hdr_load64(const void *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

static inline uint32_t hdr_load32(const void *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

/* Whether `name`, made of tchars, is `lower` in any case; 2 <= length <= HDR_LONGEST. Setting bit 5
 * lowers letters; of the tchars it changes only `^` otherwise, and to none that a name has. */
static inline bool hdr_is_name(const uint8_t *name, const char *lower, size_t length)
{
    const uint64_t fold = 0x2020202020202020ULL;
    uint64_t unlike;

    if (length >= 8) {
        unlike = ((hdr_load64(name) | fold) ^ hdr_load64(lower)) |
                 ((hdr_load64(name + length - 8) | fold) ^ hdr_load64(lower + length - 8));
        if (length > 16) {
            unlike |= (hdr_load64(name + 8) | fold) ^ hdr_load64(lower + 8);
        }
    } else if (length >= 4) {
        unlike =
            ((hdr_load32(name) | (uint32_t)fold) ^ hdr_load32(lower)) |
            ((hdr_load32(name + length - 4) | (uint32_t)fold) ^ hdr_load32(lower + length - 4));
    } else {
        unlike = (uint64_t)((name[0] | 0x20) ^ lower[0]) | (uint64_t)((name[1] | 0x20) ^ lower[1]) |
                 (uint64_t)((name[length - 1] | 0x20) ^ lower[length - 1]);
    }
    return unlike == 0;
}

/* The slot that a name of tchars would have to be in; NULL when it cannot be a known one. */
static inline const struct hdr_name *hdr_slot(const uint8_t *name, size_t length)
{
    const struct hdr_name *slot;

    if (length < 2 || length > HDR_LONGEST) {
        return NULL;
    }
    slot = &hdr_slots[HDR_SLOT((uint32_t)length, name[0], name[length - 2])];
    return slot->length == length ? slot : NULL;
}

/* Whether the name is the slot's but for `_` and `.` in place of `-`, and not the name itself. */
bool hdr_slot_has_alias(const struct hdr_name *slot, const uint8_t *name);

#endif
