/* The access log: how a worker hands finished requests and connections to the process that writes
 * them down. One ring of records per worker slot, in shared memory that the supervisor made; the
 * worker is its only writer, the logger its only reader.
 *
 *   +---------------------+ 0
 *   | abi_log_ring        |  head: bytes ever written; tail: bytes ever read
 *   +---------------------+ sizeof(struct abi_log_ring)
 *   | data                |  `size` bytes, used as a ring: records of 8-byte aligned lengths; where
 *   |                     |  one does not fit before the end, a filler stands and it goes to the
 *   +---------------------+  start
 *
 * A record is copied first and counted by `head` afterwards, so a worker that dies in between has
 * written nothing. There is no waiting: a record that finds no room is dropped and counted
 * (ABI_WORKER_LOG_DROPPED). */
#ifndef ABI_LOG_H
#define ABI_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "abi/entries.h"
#include "abi/limits.h"

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
    uint32_t kind;       /* ABI_LOG_RECORD or ABI_LOG_FILLER; a filler has these eight bytes only */
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

#define ABI_LOG_RECORD 1u
#define ABI_LOG_FILLER 2u

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

struct abi_log_ring {
    uint64_t magic;
    uint32_t version; /* ABI_VERSION */
    uint32_t size;    /* bytes of data, a power of two */
    uint64_t _pad0[6];
    uint64_t head; /* the worker's */
    uint64_t _pad1[7];
    uint64_t tail; /* the logger's */
    uint64_t _pad2[7];
};

static inline uint64_t abi_log_ring_bytes(void)
{
    return sizeof(struct abi_log_ring) + LIMIT_LOG_RING;
}

static inline unsigned char *abi_log_ring_data(struct abi_log_ring *ring)
{
    return (unsigned char *)(ring + 1);
}

/* Copies a record in. 1, or 0 when there is no room. */
static inline int abi_log_ring_put(struct abi_log_ring *ring, const struct abi_log_record *record)
{
    uint64_t head = ring->head; /* nobody else writes it */
    uint64_t used = head - __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
    uint32_t at = (uint32_t)head & (LIMIT_LOG_RING - 1);
    uint32_t to_end = LIMIT_LOG_RING - at;
    uint32_t skip = to_end < record->length ? to_end : 0;

    if (used + skip + record->length > LIMIT_LOG_RING) {
        return 0;
    }
    if (skip > 0) {
        const uint32_t filler[2] = {skip, ABI_LOG_FILLER};

        __builtin_memcpy(abi_log_ring_data(ring) + at, filler, sizeof(filler));
        at = 0;
    }
    __builtin_memcpy(abi_log_ring_data(ring) + at, record, record->length);
    __atomic_store_n(&ring->head, head + skip + record->length, __ATOMIC_RELEASE);
    return 1;
}

enum abi_log_read {
    ABI_LOG_EMPTY = 0,
    ABI_LOG_TAKEN = 1,  /* *record is the reader's own copy, checked */
    ABI_LOG_BROKEN = 2, /* no record can stand there: everything up to `head` was skipped */
};

/* What is wrong with the head of a record at `at`; the writer is not trusted. */
static inline int abi_log_record_ok(const struct abi_log_record *record)
{
    if (record->kind != ABI_LOG_RECORD || record->length % 8 != 0 ||
        record->length < sizeof(*record) + record->text ||
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

/* Copies the record at *tail out and moves *tail behind it; `out` has LIMIT_LOG_RECORD bytes. The
 * ring gives its room back when the reader stores `tail`: abi_log_ring_release(). */
static inline enum abi_log_read abi_log_ring_next(struct abi_log_ring *ring, uint64_t *tail,
                                                  struct abi_log_record *out)
{
    uint64_t head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);
    uint64_t left = head - *tail;
    uint32_t first[2] = {0, 0};
    uint32_t at, to_end;

    for (int fillers = 0; left > 0 && left <= LIMIT_LOG_RING && left % 8 == 0; fillers++) {
        at = (uint32_t)*tail & (LIMIT_LOG_RING - 1);
        to_end = LIMIT_LOG_RING - at;
        __builtin_memcpy(first, abi_log_ring_data(ring) + at, sizeof(first));
        if (first[0] > to_end || first[0] > left) {
            break;
        }
        if (first[1] == ABI_LOG_FILLER && first[0] == to_end && fillers == 0) {
            *tail += to_end;
            left -= to_end;
            continue;
        }
        if (first[0] < sizeof(*out) || first[0] > LIMIT_LOG_RECORD) {
            break;
        }
        __builtin_memcpy(out, abi_log_ring_data(ring) + at, first[0]);
        if (out->length != first[0] || !abi_log_record_ok(out)) {
            break;
        }
        *tail += first[0];
        return ABI_LOG_TAKEN;
    }
    if (left == 0) {
        return ABI_LOG_EMPTY;
    }
    *tail = head;
    return ABI_LOG_BROKEN;
}

static inline void abi_log_ring_release(struct abi_log_ring *ring, uint64_t tail)
{
    __atomic_store_n(&ring->tail, tail, __ATOMIC_RELEASE);
}

_Static_assert(sizeof(struct abi_log_address) == 20, "layout");
_Static_assert(sizeof(struct abi_log_record) == 224, "layout");
_Static_assert(sizeof(struct abi_log_ring) == 192, "layout");
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
