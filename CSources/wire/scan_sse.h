/* The classes of scan.h with SSSE3: 16 bytes per step. */
#ifndef WIRE_SCAN_SSE_H
#define WIRE_SCAN_SSE_H

#include <stdint.h>
#include <tmmintrin.h>

#include "scan_plain.h"

static inline __m128i scan_sse_load(const uint8_t *at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

/* Each of these gives a bit for every byte that is outside the class. */

/* A byte is in a class of ASCII characters when the row of its low nibble has the bit of its high
 * nibble. Bytes from 0x80 on have no bit: a shuffle gives 0 for them. */
static inline unsigned scan_sse_not_in(__m128i rows, __m128i x)
{
    const __m128i bits = _mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, (char)128, 0, 0, 0, 0, 0, 0, 0, 0);
    __m128i high = _mm_and_si128(_mm_srli_epi16(x, 4), _mm_set1_epi8(0x0f));
    __m128i hit = _mm_and_si128(_mm_shuffle_epi8(rows, x), _mm_shuffle_epi8(bits, high));

    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(hit, _mm_setzero_si128()));
}

static inline unsigned scan_sse_not_token(__m128i x)
{
    return scan_sse_not_in(_mm_setr_epi8((char)0xe8, (char)0xfc, (char)0xf8, (char)0xfc, (char)0xfc,
                                         (char)0xfc, (char)0xfc, (char)0xfc, (char)0xf8, (char)0xf8,
                                         (char)0xf4, 0x54, (char)0xd0, 0x54, (char)0xf4, 0x70),
                           x);
}

/* Letters, digits, `-`, `.`, `_`. */
static inline unsigned scan_sse_not_host(__m128i x)
{
    return scan_sse_not_in(_mm_setr_epi8((char)0xa8, (char)0xf8, (char)0xf8, (char)0xf8, (char)0xf8,
                                         (char)0xf8, (char)0xf8, (char)0xf8, (char)0xf8, (char)0xf8,
                                         (char)0xf0, 0x50, 0x50, 0x54, 0x54, 0x70),
                           x);
}

static inline unsigned scan_sse_not_segment(__m128i x)
{
    return scan_sse_not_in(_mm_setr_epi8((char)0xf8, (char)0xfc, (char)0xfc, (char)0xf8, (char)0xfc,
                                         (char)0xf8, (char)0xfc, (char)0xfc, (char)0xfc, (char)0xfc,
                                         (char)0xfc, (char)0xfc, (char)0xdc, (char)0xfc, (char)0xfc,
                                         0x70),
                           x);
}

/* Adding 1 lets one signed comparison find what is below a bound as well as DEL (which becomes
 * -128); bytes from 0x80 on are negative, too, and are told from DEL afterwards. */
static inline __m128i scan_sse_above(__m128i x, char bound)
{
    return _mm_cmpgt_epi8(_mm_add_epi8(x, _mm_set1_epi8(1)), _mm_set1_epi8((char)(bound + 1)));
}

/* Also gives HTAB and obs-text, which are rare: see scan_sse_value. */
static inline unsigned scan_sse_not_plain_value(__m128i x)
{
    return (unsigned)_mm_movemask_epi8(scan_sse_above(x, 0x1f)) ^ 0xffffu;
}

static inline unsigned scan_sse_not_query(__m128i x)
{
    __m128i hash = _mm_cmpeq_epi8(x, _mm_set1_epi8('#'));

    return (unsigned)_mm_movemask_epi8(_mm_andnot_si128(hash, scan_sse_above(x, 0x20))) ^ 0xffffu;
}

static inline unsigned scan_sse_not_path(__m128i x)
{
    __m128i hash = _mm_cmpeq_epi8(x, _mm_set1_epi8('#'));
    __m128i mark = _mm_cmpeq_epi8(x, _mm_set1_epi8('?'));
    __m128i fine = _mm_andnot_si128(_mm_or_si128(hash, mark), scan_sse_above(x, 0x20));

    return (unsigned)_mm_movemask_epi8(fine) ^ 0xffffu;
}

/* One load over the last 16 bytes of the input, of which those before `at` are ignored. */
[[gnu::always_inline]] static inline const uint8_t *
scan_sse_run(const uint8_t *at, const uint8_t *end, const uint8_t *floor,
             unsigned (*outside)(__m128i), enum scan_class wanted)
{
    unsigned found;

    while (end - at >= 16) {
        found = outside(scan_sse_load(at));
        if (found != 0) {
            return at + __builtin_ctz(found);
        }
        at += 16;
    }
    if (end - floor < 16) {
        return scan_plain_run(at, end, wanted);
    }
    found = outside(scan_sse_load(end - 16)) >> (16 - (end - at));
    return found != 0 ? at + __builtin_ctz(found) : end;
}

static inline const uint8_t *scan_sse_token(const uint8_t *at, const uint8_t *end,
                                            const uint8_t *floor)
{
    return scan_sse_run(at, end, floor, scan_sse_not_token, SCAN_TOKEN);
}

static inline const uint8_t *scan_sse_value(const uint8_t *at, const uint8_t *end,
                                            const uint8_t *floor)
{
    for (;;) {
        at = scan_sse_run(at, end, floor, scan_sse_not_plain_value, SCAN_VALUE);
        if (at == end || !scan_is(*at, SCAN_VALUE)) {
            return at;
        }
        do {
            at++;
        } while (at < end && (*at == '\t' || *at >= 0x80));
    }
}

static inline const uint8_t *scan_sse_segment(const uint8_t *at, const uint8_t *end,
                                              const uint8_t *floor)
{
    return scan_sse_run(at, end, floor, scan_sse_not_segment, SCAN_SEGMENT);
}

static inline const uint8_t *scan_sse_host(const uint8_t *at, const uint8_t *end,
                                           const uint8_t *floor)
{
    return scan_sse_run(at, end, floor, scan_sse_not_host, SCAN_HOST);
}

static inline const uint8_t *scan_sse_path(const uint8_t *at, const uint8_t *end,
                                           const uint8_t *floor)
{
    return scan_sse_run(at, end, floor, scan_sse_not_path, SCAN_PATH);
}

static inline const uint8_t *scan_sse_query(const uint8_t *at, const uint8_t *end,
                                            const uint8_t *floor)
{
    return scan_sse_run(at, end, floor, scan_sse_not_query, SCAN_QUERY);
}

#endif
