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
    bool varies;  /* the value has variables */
    struct bytes name;
    struct bytes value;
};

/* A packed change: kind, length of the name, length of the value (little-endian), the two texts. */
#define L7OPS_HEAD   5u
#define L7OPS_VARIES 0x80u /* of the kind: the value has variables */
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
            one->varies = record->varies != 0;
            one->name = view_text(ops->table, record->name);
            one->value = view_text(ops->table, record->value);
            return true;
        }
    }
    if (*at < ops->packed.len) {
        const uint8_t *from = ops->packed.ptr + *at;

        one->kind = from[0] & (uint8_t)~L7OPS_VARIES;
        one->varies = (from[0] & L7OPS_VARIES) != 0;
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

static size_t l7ops_put(uint8_t *to, size_t at, size_t capacity, struct bytes text)
{
    if (at == L7OPS_FULL || text.len > capacity - at) {
        return L7OPS_FULL;
    }
    if (text.len > 0) {
        memcpy(to + at, text.ptr, text.len);
    }
    return at + text.len;
}

/* The value of a change behind `at`: where it ends, or L7OPS_FULL. With `keeps`, variables of the
 * answer stay what they are. */
static size_t l7ops_put_value(const struct l7ops *ops, const struct l7ops_one *one, bool keeps,
                              struct bytes out, size_t at)
{
    struct bytes rest = one->value;
    uint8_t *to = (uint8_t *)(uintptr_t)out.ptr;

    while (one->varies && rest.len > 0) {
        uint8_t room[L7VARS_ROOM];
        struct bytes text = rest;
        size_t literal = 0;

        while (literal < rest.len && rest.ptr[literal] != ABI_HEADER_MARK) {
            literal++;
        }
        at = l7ops_put(to, at, out.len, bytes_of(rest.ptr, literal));
        rest = bytes_from(rest, literal);
        if (rest.len < 2) {
            return at;
        }
        text.len = 0;
        if (keeps && rest.ptr[1] - ABI_HEADER_FIRST >= ABI_HEADER_UPSTREAM_ADDRESS) {
            text = bytes_of(rest.ptr, 2);
        } else if (ops->vars != NULL) {
            text = l7vars_text(ops->vars,
                               (enum abi_header_variable)(rest.ptr[1] - ABI_HEADER_FIRST), room);
        }
        at = l7ops_put(to, at, out.len, text);
        rest = bytes_from(rest, 2);
    }
    return l7ops_put(to, at, out.len, rest);
}

size_t l7ops_lines(const struct l7ops *ops, uint8_t *to, size_t capacity)
{
    const struct bytes out = bytes_of(to, capacity);
    struct l7ops_one one;
    size_t length = 0;
    size_t at = 0;

    while (length != L7OPS_FULL && l7ops_next(ops, &at, &one)) {
        size_t value, end;

        if (one.kind == ABI_HEADER_REMOVE || l7ops_is_ours(one.name) ||
            l7ops_overrides(ops, at, one.name)) {
            continue;
        }
        value = l7ops_put(to, length, capacity, one.name);
        value = l7ops_put(to, value, capacity, BYTES_LITERAL(": "));
        end = l7ops_put_value(ops, &one, false, out, value);
        if (one.varies && end == value && end != L7OPS_FULL) {
            continue; /* there is nothing to say */
        }
        length = l7ops_put(to, end, capacity, BYTES_LITERAL("\r\n"));
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

size_t l7ops_pack_one(uint8_t kind, struct bytes name, struct bytes value, uint8_t *to)
{
    to[0] = kind;
    to[1] = (uint8_t)name.len;
    to[2] = (uint8_t)(name.len >> 8);
    to[3] = (uint8_t)value.len;
    to[4] = (uint8_t)(value.len >> 8);
    memcpy(to + L7OPS_HEAD, name.ptr, name.len);
    if (value.len > 0) {
        memcpy(to + L7OPS_HEAD + name.len, value.ptr, value.len);
    }
    return L7OPS_HEAD + name.len + value.len;
}

size_t l7ops_pack(const struct l7ops *ops, uint8_t *to, size_t capacity)
{
    const struct bytes out = bytes_of(to, capacity);
    struct l7ops_one one;
    size_t length = 0;
    size_t at = 0;

    while (length != L7OPS_FULL && l7ops_next(ops, &at, &one)) {
        uint8_t head[L7OPS_HEAD] = {0};
        size_t begin = length;
        size_t value = l7ops_put(to, length, capacity, bytes_of(head, sizeof(head)));

        value = l7ops_put(to, value, capacity, one.name);
        length = l7ops_put_value(ops, &one, true, out, value);
        if (length == L7OPS_FULL || length - value > UINT16_MAX) {
            return L7OPS_FULL;
        }
        to[begin] = (uint8_t)(one.kind | (one.varies ? L7OPS_VARIES : 0));
        to[begin + 1] = (uint8_t)one.name.len;
        to[begin + 2] = (uint8_t)(one.name.len >> 8);
        to[begin + 3] = (uint8_t)(length - value);
        to[begin + 4] = (uint8_t)((length - value) >> 8);
    }
    return length;
}
