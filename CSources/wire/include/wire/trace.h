/* W3C Trace Context (Recommendation, level 1, with the keys of level 2): traceparent, read and
 * written; tracestate, judged. */
#ifndef WIRE_TRACE_H
#define WIRE_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

#define TRACE_PARENT_SIZE   55u /* bytes of traceparent, version 00 */
#define TRACE_SPAN_FROM_END 19u /* where its 16 digits of the span id begin, from its end */
#define TRACE_STATE_MEMBERS 32u /* of all tracestate fields of a message together */
#define TRACE_SAMPLED       1u

struct trace_parent {
    uint8_t version;
    uint8_t flags;        /* bit 0: TRACE_SAMPLED */
    uint8_t trace_id[16]; /* not all zero */
    uint8_t span_id[8];   /* of the caller; not all zero */
};

/* The value of a traceparent field. Lower-case hexadecimal digits only; version ff, ids of zeros
 * and, in version 00, anything behind the flags are refused. What a later version has behind them
 * begins with `-` and is not read. */
[[nodiscard]] bool trace_parse_parent(struct bytes value, struct trace_parent *parent);

/* Writes version 00. */
void trace_write_parent(const struct trace_parent *parent, uint8_t out[TRACE_PARENT_SIZE]);

/* The members of a message's tracestate so far. */
struct trace_state {
    uint32_t count;
    struct bytes keys[TRACE_STATE_MEMBERS];
};

/* Judges one more tracestate field of the message: false when a member breaks the grammar, comes
 * twice or is one too many; then all tracestate fields of the message mean nothing. Zeroed state
 * first. */
[[nodiscard]] bool trace_add_state(struct trace_state *state, struct bytes value);

#endif
