/* Arithmetic that cannot wrap: for every number that came from outside. */
#ifndef BASE_NUM_H
#define BASE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* false and *out untouched when the result does not fit. */
[[nodiscard]] static inline bool num_add_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    uint64_t sum;

    if (__builtin_add_overflow(a, b, &sum)) {
        return false;
    }
    *out = sum;
    return true;
}

[[nodiscard]] static inline bool num_mul_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    uint64_t product;

    if (__builtin_mul_overflow(a, b, &product)) {
        return false;
    }
    *out = product;
    return true;
}

static inline uint32_t num_min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static inline uint32_t num_max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static inline size_t num_min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline uint64_t num_min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* `alignment` is a power of two; the caller has ruled out wrapping. */
static inline uint64_t num_align_up(uint64_t value, uint64_t alignment)
{
    return (value + (alignment - 1)) & ~(alignment - 1);
}

#endif
