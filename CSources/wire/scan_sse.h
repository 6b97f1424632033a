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

/* A byte is a tchar when the entry of its low nibble has the bit of its high nibble. Bytes from
 * 0x80 on have no bit: a shuffle gives 0 for them. */
static inline unsigned scan_sse_not_token(__m128i x)
{
    const __m128i rows = _mm_setr_epi8((char)0xe8, (char)0xfc, (char)0xf8, (char)0xfc, (char)0xfc,
                                       (char)0xfc, (char)0xfc, (char)0xfc, (char)0xf8, (char)0xf8,
                                       (char)0xf4, 0x54, (char)0xd0, 0x54, (char)0xf4, 0x70);
    const __m128i bits = _mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, (char)128, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m128i nibble = _mm_set1_epi8(0x0f);
    __m128i row = _mm_shuffle_epi8(rows, x);
    __m128i bit = _mm_shuffle_epi8(bits, _mm_and_si128(_mm_srli_epi16(x, 4), nibble));

    return (unsigned)_mm_movemask_epi8(
        _mm_cmpeq_epi8(_mm_and_si128(row, bit), _mm_setzero_si128()));
}

static inline unsigned scan_sse_not_value(__m128i x)
{
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(0x1f)), x);
    __m128i tab = _mm_cmpeq_epi8(x, _mm_set1_epi8('\t'));
    __m128i del = _mm_cmpeq_epi8(x, _mm_set1_epi8(0x7f));

    return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tab, control), del));
}

static inline __m128i scan_sse_visible(__m128i x)
{
    /* Signed: bytes from 0x80 on are negative. */
    return _mm_andnot_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8(0x7f)),
                            _mm_cmpgt_epi8(x, _mm_set1_epi8(0x20)));
}

static inline unsigned scan_sse_not_query(__m128i x)
{
    __m128i hash = _mm_cmpeq_epi8(x, _mm_set1_epi8('#'));

    return (unsigned)_mm_movemask_epi8(_mm_andnot_si128(hash, scan_sse_visible(x))) ^ 0xffffu;
}

static inline unsigned scan_sse_not_path(__m128i x)
{
    __m128i hash = _mm_cmpeq_epi8(x, _mm_set1_epi8('#'));
    __m128i mark = _mm_cmpeq_epi8(x, _mm_set1_epi8('?'));
    __m128i fine = _mm_andnot_si128(_mm_or_si128(hash, mark), scan_sse_visible(x));

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
    return scan_sse_run(at, end, floor, scan_sse_not_value, SCAN_VALUE);
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
