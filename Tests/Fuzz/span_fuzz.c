/* What stands in the ring of spans is the writer's word: whatever it is, the reader ends, and what
 * it takes for a span has its texts inside of itself and nothing that has no name. The first byte
 * moves the start, so that spans meet the end of the ring; the second cuts bytes off what was
 * written. */
#include <stdlib.h>
#include <string.h>

#include "abi/span.h"
#include "fuzz.h"

#define SPAN_SEED_TEXT 120u

union span_room {
    struct abi_span span;
    uint8_t bytes[LIMIT_SPAN_RECORD];
};

/* Reads all that a reader uses; the sum keeps the reads. */
static void use(const union span_room *out)
{
    const struct abi_span *span = &out->span;
    const uint8_t *text = (const uint8_t *)(span + 1);
    volatile uint32_t sum = 0;

    MUST(span->length >= sizeof(*span) && span->length <= LIMIT_SPAN_RECORD);
    MUST(span->length % 8 == 0 && span->kind == ABI_RECORD_WHOLE);
    MUST(span->type < ABI_SPAN_TYPE_COUNT);
    MUST(span->outcome < ABI_OUTCOME_COUNT);
    MUST(span->protocol < ABI_LOG_PROTOCOL_COUNT);
    for (uint32_t i = 0; i < ABI_SPAN_TEXTS; i++) {
        MUST(sizeof(*span) + span->parts[i].at + span->parts[i].len <= span->length);
        MUST(span->parts[i].len <= abi_span_text_limit(i));
        for (uint32_t k = 0; k < span->parts[i].len; k++) {
            sum = sum + text[span->parts[i].at + k];
        }
    }
}

/* Spans of both kinds with every text, behind the two bytes that choose: made here, since a layout
 * that changes would turn kept ones into noise. */
static bool span_seed(uint32_t index, struct bytes *out)
{
    static uint8_t seed[2 + 3 * (sizeof(struct abi_span) + SPAN_SEED_TEXT)];
    size_t at = 2;

    seed[0] = (uint8_t)(index * 16u);
    seed[1] = 0;
    for (uint32_t i = 0; i < 3; i++) {
        struct abi_span span = {
            .length = sizeof(span) + SPAN_SEED_TEXT,
            .kind = ABI_RECORD_WHOLE,
            .text = SPAN_SEED_TEXT,
            .type = (uint8_t)(i % ABI_SPAN_TYPE_COUNT),
            .outcome = (uint8_t)(i * index % ABI_OUTCOME_COUNT),
            .flags = ABI_SPAN_FLAGS,
        };

        for (uint16_t k = 0; k < ABI_SPAN_TEXTS; k++) {
            span.parts[k] = (struct abi_log_part){.at = (uint16_t)(8 * k), .len = 9};
        }
        memcpy(seed + at, &span, sizeof(span));
        memset(seed + at + sizeof(span), 'a', SPAN_SEED_TEXT);
        at += span.length;
    }
    *out = bytes_of(seed, at);
    return index < 4;
}

FUZZ_TARGET_WITH_SEEDS(span, span_seed)
{
    static union span_room out;
    static struct abi_records *ring;
    uint64_t tail;
    uint32_t length;

    ring = ring == NULL ? calloc(1, abi_span_ring_bytes()) : ring;
    MUST(ring != NULL);
    if (in.len <= 2 || in.len - 2 > LIMIT_SPAN_RING) {
        return;
    }
    length = (uint32_t)(in.len - 2);
    tail = LIMIT_SPAN_RING - 8u * in.ptr[0];
    for (uint32_t i = 0; i < length; i++) {
        abi_records_data(ring)[(tail + i) & (LIMIT_SPAN_RING - 1)] = in.ptr[2 + i];
    }
    ring->tail = tail;
    ring->head = tail + length - (in.ptr[1] < length ? in.ptr[1] : 0);
    while (abi_span_ring_next(ring, &tail, &out.span) == ABI_RECORDS_TAKEN) {
        MUST(tail <= ring->head);
        use(&out);
    }
    MUST(tail == ring->head);
}
