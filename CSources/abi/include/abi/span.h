/* Spans: how a worker hands the control plane what it did for a sampled request (OpenTelemetry's
 * sense of the word). One ring of records (records.h) per worker slot, at the end of the slot's
 * statistics (stats.h); the worker is its only writer, the control plane its only reader. While
 * there is none the ring fills, and what finds no room is counted as ABI_WORKER_SPANS_DROPPED.
 *
 * A request has one span of the kind SERVER and one of the kind CLIENT, its child, for each
 * endpoint that was tried. */
#ifndef ABI_SPAN_H
#define ABI_SPAN_H

#include <stdint.h>

#include "abi/errors.h"
#include "abi/log.h"

#define ABI_SPANS_MAGIC 0x534e4150534d52ULL

enum abi_span_type {
    ABI_SPAN_SERVER = 0, /* from the complete head of a request to the last byte of its answer */
    ABI_SPAN_CLIENT = 1, /* from the choice of an endpoint to the end of what came from there */
    ABI_SPAN_TYPE_COUNT
};

enum abi_span_text {
    ABI_SPAN_LISTENER = 0,
    ABI_SPAN_OWNER, /* the service that the listener belongs to; none: the node's own entry point */
    ABI_SPAN_STATE, /* tracestate, whole members */
    ABI_SPAN_CLIENT_IP,
    ABI_SPAN_CLIENT_IDENTITY,
    ABI_SPAN_METHOD,
    ABI_SPAN_HOST,
    ABI_SPAN_PATH,
    ABI_SPAN_ROUTE,
    ABI_SPAN_SERVICE,
    ABI_SPAN_TARGET,
    ABI_SPAN_INSTANCE,
    ABI_SPAN_USER_AGENT,
    ABI_SPAN_TEXTS
};

enum abi_span_flag {
    ABI_SPAN_IS_TLS = 1, /* SERVER: the client came with it; CLIENT: the endpoint is dialled so */
    ABI_SPAN_IS_REUSED = 2, /* CLIENT: the connection came from the pool */
    ABI_SPAN_IS_REMOTE = 4, /* its parent came in a traceparent */
    ABI_SPAN_FLAGS = 7
};

struct abi_span {
    uint32_t length; /* with its texts and this head, a multiple of 8 */
    uint32_t kind;   /* ABI_RECORD_WHOLE */
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t parent_id[8]; /* zeros: the trace began here */
    uint64_t started_ns;  /* CLOCK_MONOTONIC */
    uint64_t duration_ns;
    uint64_t bytes_in;  /* of the request's body */
    uint64_t bytes_out; /* of the answer's body */
    uint32_t attempt;   /* CLIENT: tries before this one */
    uint16_t status;    /* SERVER: sent; CLIENT: received; 0: none */
    uint16_t client_port;
    uint16_t text;       /* bytes of text behind the record */
    uint8_t type;        /* enum abi_span_type */
    uint8_t outcome;     /* enum abi_outcome */
    uint8_t protocol;    /* enum abi_log_protocol */
    uint8_t flags;       /* enum abi_span_flag */
    uint8_t trace_flags; /* of traceparent */
    uint8_t _pad0;
    struct abi_log_address local;  /* where the listener listens */
    struct abi_log_address remote; /* CLIENT: the endpoint */
    struct abi_log_part parts[ABI_SPAN_TEXTS];
    uint8_t _pad1[4];
};

/* The most bytes of a text; longer ones are cut. */
static inline uint32_t abi_span_text_limit(uint32_t text)
{
    switch (text) {
    case ABI_SPAN_STATE:
        return LIMIT_SPAN_STATE;
    case ABI_SPAN_OWNER:
    case ABI_SPAN_CLIENT_IP:
        return 64;
    case ABI_SPAN_METHOD:
        return 32;
    case ABI_SPAN_PATH:
        return 1024;
    default:
        return text < ABI_SPAN_TEXTS ? 256u : 0u;
    }
}

#define ABI_SPAN_TEXT_SIZE (LIMIT_SPAN_RECORD - (uint32_t)sizeof(struct abi_span))

static inline uint64_t abi_span_ring_bytes(void)
{
    return sizeof(struct abi_records) + LIMIT_SPAN_RING;
}

/* Copies a record in. 1, or 0 when there is no room. */
static inline int abi_span_ring_put(struct abi_records *ring, const struct abi_span *span)
{
    return abi_records_put(ring, LIMIT_SPAN_RING, span, span->length);
}

/* Whether a record can be one; the writer is not trusted. */
static inline int abi_span_ok(const struct abi_span *span)
{
    if (span->length < sizeof(*span) + span->text ||
        span->length > sizeof(*span) + span->text + 7u || span->text > ABI_SPAN_TEXT_SIZE ||
        span->type >= ABI_SPAN_TYPE_COUNT || span->protocol >= ABI_LOG_PROTOCOL_COUNT ||
        span->outcome >= ABI_OUTCOME_COUNT) {
        return 0;
    }
    for (uint32_t i = 0; i < ABI_SPAN_TEXTS; i++) {
        if ((uint32_t)span->parts[i].at + span->parts[i].len > span->text ||
            span->parts[i].len > abi_span_text_limit(i)) {
            return 0;
        }
    }
    return 1;
}

/* As abi_records_next(), with a record that was checked; `out` has LIMIT_SPAN_RECORD bytes. */
static inline enum abi_records_read abi_span_ring_next(struct abi_records *ring, uint64_t *tail,
                                                       struct abi_span *out)
{
    const struct abi_records_shape shape = {LIMIT_SPAN_RING, sizeof(*out), LIMIT_SPAN_RECORD};
    enum abi_records_read read = abi_records_next(ring, &shape, tail, out);

    return read == ABI_RECORDS_TAKEN && !abi_span_ok(out) ? abi_records_skip(ring, tail) : read;
}

_Static_assert(sizeof(struct abi_span) == 184, "layout");
_Static_assert((LIMIT_SPAN_RING & (LIMIT_SPAN_RING - 1)) == 0, "positions are masked");
_Static_assert(LIMIT_SPAN_RECORD % 8 == 0, "records are aligned");
_Static_assert(LIMIT_SPAN_STATE + 2 * 64 + 32 + 1024 + (ABI_SPAN_TEXTS - 5) * 256 <=
                   ABI_SPAN_TEXT_SIZE,
               "every text has its room");

#endif
