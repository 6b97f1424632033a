/* Changes that a route makes to the fields of a message: in the order of its list, a line is added,
 * a name is set to one value, a name is removed. A later change of a name overrides what stands
 * before it, fields of the message first of all.
 *
 * Names that frame a message, name its hop, or are written by this proxy are never changed: another
 * framing than that of the bytes is how requests are smuggled. */
#include "l7ops.h"

#include <string.h>

#include "abi/limits.h"
#include "wire/hdr.h"

struct l7ops_one {
    uint8_t kind; /* enum abi_header_op_kind */
    struct bytes name;
    struct bytes value;
};

/* A packed change: kind, length of the name, length of the value (little-endian), the two texts. */
#define L7OPS_HEAD 5u
_Static_assert(LIMIT_TEXT <= UINT16_MAX, "lengths of packed changes are 16 bits");

static bool l7ops_is_ours(struct bytes name)
{
    enum hdr_id id = hdr_find(name);

    switch (id) {
    case HDR_HOST:
    case HDR_CONTENT_LENGTH:
    case HDR_TRAILER:
    case HDR_EXPECT:
    case HDR_VIA:
    case HDR_FORWARDED:
    case HDR_X_FORWARDED_FOR:
    case HDR_X_FORWARDED_PROTO:
    case HDR_X_FORWARDED_HOST:
    case HDR_X_FORWARDED_PORT:
        return true;
    default:
        return hdr_is_hop_by_hop(id);
    }
}

static uint32_t l7ops_read16(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8;
}

/* The next change of the wanted direction; *at is where it is looked for. false: no more. */
static bool l7ops_next(const struct l7ops *ops, size_t *at, struct l7ops_one *one)
{
    while (ops->table != NULL && *at < ops->list.count) {
        const struct abi_header_op *record = &ops->table->header_ops[ops->list.at + (*at)++];

        if (record->response == (ops->response ? 1 : 0)) {
            one->kind = record->kind;
            one->name = view_text(ops->table, record->name);
            one->value = view_text(ops->table, record->value);
            return true;
        }
    }
    if (*at < ops->packed.len) {
        const uint8_t *from = ops->packed.ptr + *at;

        one->kind = from[0];
        one->name = bytes_of(from + L7OPS_HEAD, l7ops_read16(from + 1));
        one->value = bytes_of(one->name.ptr + one->name.len, l7ops_read16(from + 3));
        *at += L7OPS_HEAD + one->name.len + one->value.len;
        return true;
    }
    return false;
}

/* Whether a change from *at on takes the place of what has this name. */
static bool l7ops_overrides(const struct l7ops *ops, size_t at, struct bytes name)
{
    struct l7ops_one one;

    while (l7ops_next(ops, &at, &one)) {
        if (one.kind != ABI_HEADER_ADD && bytes_equal_nocase(one.name, name)) {
            return true;
        }
    }
    return false;
}

bool l7ops_drops(const struct l7ops *ops, struct bytes name)
{
    return !l7ops_is_none(ops) && !l7ops_is_ours(name) && l7ops_overrides(ops, 0, name);
}

size_t l7ops_lines(const struct l7ops *ops, uint8_t *to, size_t capacity)
{
    struct l7ops_one one;
    size_t length = 0;
    size_t at = 0;

    while (l7ops_next(ops, &at, &one)) {
        size_t line = one.name.len + 2 + one.value.len + 2;

        if (one.kind == ABI_HEADER_REMOVE || l7ops_is_ours(one.name) ||
            l7ops_overrides(ops, at, one.name)) {
            continue;
        }
        if (line > capacity - length) {
            return L7OPS_FULL;
        }
        memcpy(to + length, one.name.ptr, one.name.len);
        memcpy(to + length + one.name.len, ": ", 2);
        if (one.value.len > 0) {
            memcpy(to + length + one.name.len + 2, one.value.ptr, one.value.len);
        }
        memcpy(to + length + line - 2, "\r\n", 2);
        length += line;
    }
    return length;
}

size_t l7ops_size(const struct l7ops *ops)
{
    struct l7ops_one one;
    size_t length = 0;
    size_t at = 0;

    while (l7ops_next(ops, &at, &one)) {
        length += L7OPS_HEAD + one.name.len + one.value.len;
    }
    return length;
}

size_t l7ops_pack(const struct l7ops *ops, uint8_t *to, size_t capacity)
{
    struct l7ops_one one;
    size_t length = 0;
    size_t at = 0;

    while (l7ops_next(ops, &at, &one)) {
        size_t size = L7OPS_HEAD + one.name.len + one.value.len;

        if (size > capacity - length) {
            return L7OPS_FULL;
        }
        to[length] = one.kind;
        to[length + 1] = (uint8_t)one.name.len;
        to[length + 2] = (uint8_t)(one.name.len >> 8);
        to[length + 3] = (uint8_t)one.value.len;
        to[length + 4] = (uint8_t)(one.value.len >> 8);
        memcpy(to + length + L7OPS_HEAD, one.name.ptr, one.name.len);
        if (one.value.len > 0) {
            memcpy(to + length + L7OPS_HEAD + one.name.len, one.value.ptr, one.value.len);
        }
        length += size;
    }
    return length;
}
