/* What stands in the ring of access records is the writer's word: whatever it is, the reader ends,
 * and what it takes for a record becomes one line of printable text or well-formed JSON strings.
 * The first byte moves the start, so that records meet the end of the ring. */
#include <stdlib.h>
#include <string.h>

#include "abi/log.h"
#include "fuzz.h"
#include "worker/logline.h"

/* No control, no quote but those around it, no unfinished escape. */
static void check_json(struct bytes value)
{
    MUST(value.len >= 1);
    if (value.ptr[0] != '"') {
        return;
    }
    MUST(value.len >= 2 && value.ptr[value.len - 1] == '"');
    for (size_t i = 1; i + 1 < value.len; i++) {
        MUST(value.ptr[i] >= 0x20 && value.ptr[i] != '"' && value.ptr[i] != 0x7f);
        if (value.ptr[i] == '\\') {
            i++;
            MUST(i + 1 < value.len);
        }
    }
}

static void use(const struct abi_log_record *record, char *room, struct logline_clock *clock)
{
    const struct logline_input input = {
        .record = record, .text = bytes_of(record + 1, record->text), .worker = 1};

    for (uint8_t variable = ABI_LOG_LISTENER; variable < ABI_LOG_VARIABLE_COUNT; variable++) {
        for (uint8_t style = 0; style < ABI_LOG_STYLE_COUNT; style++) {
            const struct abi_log_op op = {.variable = variable, .style = style};
            const struct logline_format format = {.count = 1, .ops = &op};
            uint32_t longest = abi_log_longest(variable, style);
            size_t length =
                logline_write(&format, &input, clock, (struct logline_room){room, longest + 1});

            MUST(length >= 2);
            MUST(memchr(room, '\n', length) == room + length - 1);
            if (style == ABI_LOG_JSON) {
                check_json(bytes_of(room, length - 1));
            }
        }
    }
}

FUZZ_TARGET(logline)
{
    static union {
        struct abi_log_record record;
        uint8_t bytes[LIMIT_LOG_RECORD];
    } out;
    static struct abi_records *ring;
    struct logline_clock clock = {.offset_ns = 1769860800000000000};
    char *room = malloc(8192);
    uint64_t tail;
    uint32_t length;

    MUST(room != NULL);
    ring = ring == NULL ? calloc(1, abi_log_ring_bytes()) : ring;
    MUST(ring != NULL);
    if (in.len > 1 && in.len < 65536) {
        length = (uint32_t)(in.len - 1) & ~7u;
        tail = LIMIT_LOG_RING - 8u * in.ptr[0];
        for (uint32_t i = 0; i < length; i++) {
            abi_records_data(ring)[(tail + i) & (LIMIT_LOG_RING - 1)] = in.ptr[1 + i];
        }
        ring->tail = tail;
        ring->head = tail + length;
        while (abi_log_ring_next(ring, &tail, &out.record) == ABI_RECORDS_TAKEN) {
            MUST(tail <= ring->head);
            use(&out.record, room, &clock);
        }
        MUST(tail == ring->head);
    }
    free(room);
}
