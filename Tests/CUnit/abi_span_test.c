/* The ring of spans: the reader takes only what can be one. */
#include "abi/span.h"

#include <stdlib.h>
#include <string.h>

#include "cunit.h"

union buffer {
    struct abi_span span;
    uint8_t bytes[LIMIT_SPAN_RECORD];
};

static void make(union buffer *out, uint32_t text)
{
    memset(out, 0, sizeof(*out));
    out->span.kind = ABI_RECORD_WHOLE;
    out->span.text = (uint16_t)text;
    out->span.length = (uint32_t)((sizeof(out->span) + text + 7) & ~(size_t)7);
    out->span.parts[ABI_SPAN_PATH] = (struct abi_log_part){0, (uint16_t)text};
}

TEST(spans_come_out_as_they_went_in_until_the_ring_is_full)
{
    struct abi_records *ring = calloc(1, abi_span_ring_bytes());
    static union buffer in, out;
    uint64_t tail = 0;
    uint32_t count = 0;

    MUST(ring != NULL);
    make(&in, 1000);
    while (abi_span_ring_put(ring, &in.span) != 0) {
        count++;
    }
    CHECK_UINT(count, LIMIT_SPAN_RING / in.span.length);
    for (uint32_t i = 0; i < count; i++) {
        CHECK_INT(abi_span_ring_next(ring, &tail, &out.span), ABI_RECORDS_TAKEN);
        CHECK(memcmp(&in, &out, in.span.length) == 0);
    }
    CHECK_INT(abi_span_ring_next(ring, &tail, &out.span), ABI_RECORDS_EMPTY);
    abi_records_release(ring, tail);
    CHECK_INT(abi_span_ring_put(ring, &in.span), 1);
    free(ring);
}

TEST(what_is_no_span_is_skipped)
{
    static union buffer in, out;
    const struct {
        const char *what;
        size_t at;
        uint8_t value;
    } broken[] = {
        {"no such type", offsetof(struct abi_span, type), ABI_SPAN_TYPE_COUNT},
        {"no such outcome", offsetof(struct abi_span, outcome), ABI_OUTCOME_COUNT},
        {"no such protocol", offsetof(struct abi_span, protocol), ABI_LOG_PROTOCOL_COUNT},
        {"no such kind", offsetof(struct abi_span, kind), 7},
        {"shorter than a span", offsetof(struct abi_span, length), 176},
        {"a text behind the record", offsetof(struct abi_span, text), 255},
        {"a part behind the text", offsetof(struct abi_span, parts[3].at), 200},
        {"a part that is too long", offsetof(struct abi_span, parts[ABI_SPAN_METHOD].len), 33},
    };

    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        struct abi_records *ring = calloc(1, abi_span_ring_bytes());
        uint64_t tail = 0;

        MUST(ring != NULL);
        cunit_context("%s", broken[i].what);
        make(&in, 104);
        in.span.parts[3].len = 1;
        CHECK_INT(abi_span_ring_put(ring, &in.span), 1);
        CHECK_INT(abi_span_ring_put(ring, &in.span), 1);
        abi_records_data(ring)[broken[i].at] = broken[i].value;
        CHECK_INT(abi_span_ring_next(ring, &tail, &out.span), ABI_RECORDS_BROKEN);
        CHECK_UINT(tail, ring->head);
        free(ring);
    }
}

/* Head counts fewer bytes than the record says that it has, by any number of them. */
TEST(a_span_that_was_cut_anywhere_is_none)
{
    static union buffer in, out;
    struct abi_records *ring = calloc(1, abi_span_ring_bytes());

    MUST(ring != NULL);
    make(&in, 104);
    CHECK_INT(abi_span_ring_put(ring, &in.span), 1);
    for (uint32_t cut = 1; cut <= in.span.length; cut++) {
        uint64_t tail = 0;

        cunit_context("%u of %u bytes", in.span.length - cut, in.span.length);
        ring->head = in.span.length - cut;
        CHECK_INT(abi_span_ring_next(ring, &tail, &out.span),
                  cut == in.span.length ? ABI_RECORDS_EMPTY : ABI_RECORDS_BROKEN);
        CHECK_UINT(tail, ring->head);
    }
    free(ring);
}
