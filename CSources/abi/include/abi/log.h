/* The access log: how a worker hands finished requests and connections to the process that writes
 * them down. One ring of records (records.h) per worker slot, in shared memory that the supervisor
 * made; the worker is its only writer, the logger its only reader. What finds no room is counted as
 * ABI_WORKER_LOG_DROPPED. */
#ifndef ABI_LOG_H
#define ABI_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "abi/entries.h"
#include "abi/limits.h"
#include "abi/records.h"

#define ABI_LOG_MAGIC 0x474f4c53534d52ULL

/* What a line of a log is made of. Texts come first: their number is their place in a record. */
enum abi_log_variable {
    ABI_LOG_LITERAL = 0, /* text of the operation itself */
    ABI_LOG_LISTENER,
    ABI_LOG_CLIENT_IP,
    ABI_LOG_CLIENT_IDENTITY,
    ABI_LOG_METHOD,
    ABI_LOG_HOST,
    ABI_LOG_PATH,
    ABI_LOG_QUERY,
    ABI_LOG_ROUTE,
    ABI_LOG_ROUTE_ORIGIN,
    ABI_LOG_SERVICE,
    ABI_LOG_TARGET,
    ABI_LOG_INSTANCE,
    ABI_LOG_INTENTION,
    ABI_LOG_INTENTION_ORIGIN,
    ABI_LOG_TLS_CIPHER,
    ABI_LOG_TLS_SNI,
    ABI_LOG_TRACE_ID,
    ABI_LOG_USER_AGENT,
    ABI_LOG_REFERER,
    ABI_LOG_HEADER_0, /* the log's own choice of fields: LIMIT_LOG_HEADERS of them */
    ABI_LOG_HEADER_1,
    ABI_LOG_HEADER_2,
    ABI_LOG_HEADER_3,
    ABI_LOG_HEADER_4,
    ABI_LOG_HEADER_5,
    ABI_LOG_HEADER_6,
    ABI_LOG_HEADER_7,
    ABI_LOG_TEXTS, /* so many texts, LITERAL's place being unused; numbers begin here */
    ABI_LOG_TIME = ABI_LOG_TEXTS,
    ABI_LOG_WORKER,
    ABI_LOG_LISTENER_ADDRESS,
    ABI_LOG_CLIENT_PORT,
    ABI_LOG_PROTOCOL,
    ABI_LOG_SCHEME,
    ABI_LOG_STATUS,
    ABI_LOG_FLAG,
    ABI_LOG_UPSTREAM_ADDRESS,
    ABI_LOG_UPSTREAM_REUSED,
    ABI_LOG_ATTEMPTS,
    ABI_LOG_BYTES_IN,
    ABI_LOG_BYTES_OUT,
    ABI_LOG_DURATION,
    ABI_LOG_CONNECT,
    ABI_LOG_WAIT,
    ABI_LOG_TLS_HANDSHAKE,
    ABI_LOG_TLS_VERSION,
    ABI_LOG_TLS_RESUMED,
    ABI_LOG_VARIABLE_COUNT
};

enum abi_log_style {
    ABI_LOG_PLAIN = 0, /* `-` for nothing; controls, quotes, backslashes and what is not UTF-8 as
                          \xNN */
    ABI_LOG_JSON = 1,  /* a JSON value: string, number, true, false, null */
    ABI_LOG_STYLE_COUNT
};

enum abi_log_sink {
    ABI_LOG_FILE = 0,
    ABI_LOG_STDOUT = 1, /* the data plane's own */
    ABI_LOG_STDERR = 2,
    ABI_LOG_SINK_COUNT
};

enum abi_log_protocol {
    ABI_LOG_TCP = 0,
    ABI_LOG_HTTP = 1, /* without a head that could be read */
    ABI_LOG_HTTP10 = 2,
    ABI_LOG_HTTP11 = 3,
    ABI_LOG_HTTP2 = 4,
    ABI_LOG_PROTOCOL_COUNT
};

#define ABI_LOG_SAMPLE_ALL 1000000u /* abi_log.sample: all of them */
#define ABI_LOG_NONE_US    0xffffffffu

/* --- one record --- */

struct abi_log_part { /* bytes behind the record, from its end */
    uint16_t at;
    uint16_t len;
};

struct abi_log_address {
    uint8_t family; /* enum abi_family; NONE: not known */
    uint8_t _pad0;
    uint16_t port;
    uint8_t ip[16];
};

enum abi_log_flag {
    ABI_LOG_IS_TLS = 1,
    ABI_LOG_IS_RESUMED = 2,
    ABI_LOG_IS_REUSED = 4, /* its upstream connection came from the pool */
};

struct abi_log_record {
    uint32_t length;     /* with its texts and this head, a multiple of 8 */
    uint32_t kind;       /* ABI_RECORD_WHOLE */
    uint64_t log;        /* abi_log.key */
    uint64_t started_ns; /* CLOCK_MONOTONIC */
    uint64_t duration_us;
    uint64_t bytes_in;   /* of bodies, or of a stream */
    uint64_t bytes_out;  /* as above, to the client */
    uint32_t connect_us; /* ABI_LOG_NONE_US: there was none, as below */
    uint32_t wait_us;    /* head sent to head of the answer */
    uint32_t handshake_us;
    uint16_t status;
    uint16_t tls_version;
    uint16_t client_port;
    uint8_t outcome;  /* enum abi_outcome */
    uint8_t protocol; /* enum abi_log_protocol */
    uint8_t flags;    /* enum abi_log_flag */
    uint8_t attempts;
    uint16_t text; /* bytes of text behind the record */
    struct abi_log_address listener;
    struct abi_log_address upstream;
    struct abi_log_part parts[ABI_LOG_TEXTS];
};

/* The most bytes of a text that a record takes; longer ones are cut. */
static inline uint32_t abi_log_text_limit(uint32_t variable)
{
    switch (variable) {
    case ABI_LOG_PATH:
    case ABI_LOG_QUERY:
        return 1024;
    case ABI_LOG_METHOD:
    case ABI_LOG_TRACE_ID:
        return 32;
    case ABI_LOG_CLIENT_IP:
    case ABI_LOG_TLS_CIPHER:
        return 64;
    default:
        return variable > ABI_LOG_LITERAL && variable < ABI_LOG_TEXTS ? 256u : 0u;
    }
}

/* The longest that an operation can make of a variable. */
static inline uint32_t abi_log_longest(uint32_t variable, uint32_t style)
{
    uint32_t text = abi_log_text_limit(variable);

    if (text == 0) {
        return 64; /* numbers, times, addresses, names of flags */
    }
    return style == ABI_LOG_JSON ? 6 * text + 2 : 4 * text + 1;
}

/* Room for the texts of one record. */
#define ABI_LOG_TEXT_SIZE (LIMIT_LOG_RECORD - (uint32_t)sizeof(struct abi_log_record))

/* --- the ring --- */

static inline uint64_t abi_log_ring_bytes(void)
{
    return sizeof(struct abi_records) + LIMIT_LOG_RING;
}

/* Copies a record in. 1, or 0 when there is no room. */
static inline int abi_log_ring_put(struct abi_records *ring, const struct abi_log_record *record)
{
    return abi_records_put(ring, LIMIT_LOG_RING, record, record->length);
}

/* What is wrong with the head of a record; the writer is not trusted. */
static inline int abi_log_record_ok(const struct abi_log_record *record)
{
    if (record->length < sizeof(*record) + record->text ||
        record->length > sizeof(*record) + record->text + 7u || record->text > ABI_LOG_TEXT_SIZE) {
        return 0;
    }
    for (uint32_t i = 0; i < ABI_LOG_TEXTS; i++) {
        if ((uint32_t)record->parts[i].at + record->parts[i].len > record->text ||
            record->parts[i].len > abi_log_text_limit(i)) {
            return 0;
        }
    }
    return 1;
}

/* As abi_records_next(), with a record that was checked; `out` has LIMIT_LOG_RECORD bytes. */
static inline enum abi_records_read abi_log_ring_next(struct abi_records *ring, uint64_t *tail,
                                                      struct abi_log_record *out)
{
    const struct abi_records_shape shape = {LIMIT_LOG_RING, sizeof(*out), LIMIT_LOG_RECORD};
    enum abi_records_read read = abi_records_next(ring, &shape, tail, out);

    return read == ABI_RECORDS_TAKEN && !abi_log_record_ok(out) ? abi_records_skip(ring, tail)
                                                                : read;
}

_Static_assert(sizeof(struct abi_log_address) == 20, "layout");
_Static_assert(sizeof(struct abi_log_record) == 224, "layout");
_Static_assert(ABI_LOG_VARIABLE_COUNT <= 64, "a set of variables is one 64-bit word");
_Static_assert(ABI_LOG_HEADER_7 - ABI_LOG_HEADER_0 + 1 == LIMIT_LOG_HEADERS, "one place each");
_Static_assert((LIMIT_LOG_RING & (LIMIT_LOG_RING - 1)) == 0, "positions are masked");
_Static_assert(LIMIT_LOG_RECORD % 8 == 0, "records are aligned");
/* Every text at its limit, and those that may change on the way (who answers, who decided) twice:
 * no client can crowd out what is recorded behind its own words. */
_Static_assert(2 * 1024 + 2 * 32 + 2 * 64 + (ABI_LOG_TEXTS - 1 - 6) * 256 + 5 * 256 <=
                   ABI_LOG_TEXT_SIZE,
               "every text has its room");

#endif
