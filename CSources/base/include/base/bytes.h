/* Slices: a pointer and a length into memory that somebody else owns. Never NUL-terminated. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/must.h"

struct bytes {
    const uint8_t *ptr; /* may be NULL when len is 0 */
    size_t len;
};

/* A slice of a string literal, without its terminator. */
#define BYTES_LITERAL(text) ((struct bytes){(const uint8_t *)("" text), sizeof(text) - 1})

static inline struct bytes bytes_of(const void *ptr, size_t len)
{
    return (struct bytes){(const uint8_t *)ptr, len};
}

/* The part [from, to) of `in`; the bounds are the caller's invariant. */
static inline struct bytes bytes_part(struct bytes in, size_t from, size_t to)
{
    MUST(from <= to);
    MUST(to <= in.len);
    return (struct bytes){in.ptr == NULL ? NULL : in.ptr + from, to - from};
}

static inline struct bytes bytes_from(struct bytes in, size_t from)
{
    return bytes_part(in, from, in.len);
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* ASCII letters only, as field names and host names are compared. */
static inline uint8_t bytes_lower(uint8_t c)
{
    return (uint8_t)(c - 'A') < 26 ? (uint8_t)(c | 0x20) : c;
}

static inline bool bytes_equal_nocase(struct bytes a, struct bytes b)
{
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (bytes_lower(a.ptr[i]) != bytes_lower(b.ptr[i])) {
            return false;
        }
    }
    return true;
}

static inline bool bytes_has_prefix(struct bytes in, struct bytes prefix)
{
    return in.len >= prefix.len && (prefix.len == 0 || memcmp(in.ptr, prefix.ptr, prefix.len) == 0);
}

static inline bool bytes_has_suffix(struct bytes in, struct bytes suffix)
{
    return in.len >= suffix.len &&
           (suffix.len == 0 || memcmp(in.ptr + (in.len - suffix.len), suffix.ptr, suffix.len) == 0);
}

/* <0, 0, >0 by bytes, a shorter slice before a longer one with the same start: the order of every
 * sorted table in a snapshot. */
static inline int bytes_compare(struct bytes a, struct bytes b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common == 0 ? 0 : memcmp(a.ptr, b.ptr, common);

    if (order != 0) {
        return order;
    }
    return (a.len > b.len) - (a.len < b.len);
}

#endif
