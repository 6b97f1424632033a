/* Why something was refused or went wrong, as numbers that travel: in control messages and in
 * access records. Text for people is made from them on the Swift side and in `meshctl`. */
#ifndef ABI_ERRORS_H
#define ABI_ERRORS_H

#include <stdint.h>

/* Why a snapshot or secrets region was refused by view_open, secrets_open or a worker. */
enum abi_refusal {
    ABI_REFUSAL_NONE = 0,
    ABI_REFUSAL_SIZE = 1,      /* shorter than its header says, or over LIMIT_SNAPSHOT_SIZE */
    ABI_REFUSAL_MAGIC = 2,     /* not such a region */
    ABI_REFUSAL_VERSION = 3,   /* an ABI version that is not spoken */
    ABI_REFUSAL_CHECKSUM = 4,  /* contents do not match the header's checksum */
    ABI_REFUSAL_SECTION = 5,   /* a section is misplaced, misaligned or has another record size */
    ABI_REFUSAL_REFERENCE = 6, /* a reference points outside its section */
    ABI_REFUSAL_VALUE = 7,     /* an enumeration or number out of range */
    ABI_REFUSAL_ORDER = 8,     /* a table that must be sorted is not, or a hash slot is misplaced */
    ABI_REFUSAL_PADDING = 9,   /* bytes that must be zero are not */
    ABI_REFUSAL_LIMIT = 10,    /* more records than limits.h allows */
    ABI_REFUSAL_SECRET = 11,   /* a secret that the snapshot names is missing or unusable */
    ABI_REFUSAL_LISTENER = 12, /* a listening socket could not be opened */
    ABI_REFUSAL_TLS = 13,      /* a TLS context could not be made */
    ABI_REFUSAL_BUSY = 14,     /* LIMIT_LIVE_VIEWS generations are still in use */
    ABI_REFUSAL_SEAL = 15,     /* the file is not sealed */
    ABI_REFUSAL_COUNT
};

/* Why a request or connection ended as it did: the response flags of an access record. */
enum abi_outcome {
    ABI_OUTCOME_OK = 0,
    ABI_OUTCOME_NO_ROUTE = 1,          /* 404: no route matched */
    ABI_OUTCOME_DENIED = 2,            /* an intention or permission said no */
    ABI_OUTCOME_NO_ENDPOINT = 3,       /* 503: no healthy endpoint */
    ABI_OUTCOME_CONNECT_FAILED = 4,    /* 502: every endpoint refused */
    ABI_OUTCOME_CONNECT_TIMEOUT = 5,   /* 504 */
    ABI_OUTCOME_UPSTREAM_RESET = 6,    /* 502 or cut body: the upstream ended early */
    ABI_OUTCOME_UPSTREAM_PROTOCOL = 7, /* 502: the upstream's answer is malformed */
    ABI_OUTCOME_REQUEST_TIMEOUT = 8,   /* 504: the whole-request timeout */
    ABI_OUTCOME_HEAD_TIMEOUT = 9,      /* 408: the head did not arrive in time */
    ABI_OUTCOME_IDLE_TIMEOUT = 10,     /* nothing moved for the idle time */
    ABI_OUTCOME_BAD_REQUEST = 11,      /* 4xx: malformed */
    ABI_OUTCOME_TOO_LARGE = 12,        /* 414, 431, 413 */
    ABI_OUTCOME_CLIENT_GONE = 13,      /* the client left before the answer was complete */
    ABI_OUTCOME_OVERLOAD = 14,         /* 503: a pool of the worker is empty */
    ABI_OUTCOME_TLS = 15,              /* handshake or record failure with the client */
    ABI_OUTCOME_DRAINED = 16,          /* ended by shutdown after its grace */
    ABI_OUTCOME_LOOP = 17,             /* 508: our own Via */
    ABI_OUTCOME_RESPONDED = 18,        /* answered by a respond or redirect route */
    ABI_OUTCOME_CONNECTION_LIMIT = 19, /* refused: the listener has max_connections already */
    ABI_OUTCOME_UPSTREAM_TLS = 20,     /* 502: handshake or record failure with the upstream */
    ABI_OUTCOME_PROXY_HEADER = 21,     /* no PROXY header that could be taken: malformed, late, or
                                          from a peer that may send none */
    ABI_OUTCOME_UPSTREAM_LIMIT = 22,   /* 503: a bound of connections or requests to the target */
    ABI_OUTCOME_RATE_LIMITED = 23,     /* 429: a rate of the route */
    ABI_OUTCOME_NOT_REDIRECTED = 24,   /* a listener for redirected connections was called itself */
    ABI_OUTCOME_NO_VERDICT = 25,       /* 503: nobody said in time what a token is worth */
    ABI_OUTCOME_MAX_LIFETIME = 26, /* the connection was as old as its listener lets it become */
    ABI_OUTCOME_COUNT
};

/* The words by which people and programs know an outcome: in access logs, metrics and reports. */
static inline const char *abi_outcome_name(uint32_t outcome)
{
    static const char *const names[ABI_OUTCOME_COUNT] = {
        "ok",
        "no_route",
        "denied",
        "no_endpoint",
        "connect_failed",
        "connect_timeout",
        "upstream_reset",
        "upstream_protocol",
        "request_timeout",
        "head_timeout",
        "idle_timeout",
        "bad_request",
        "too_large",
        "client_gone",
        "overload",
        "tls",
        "drained",
        "loop",
        "responded",
        "connection_limit",
        "upstream_tls",
        "proxy_header",
        "upstream_limit",
        "rate_limited",
        "not_redirected",
        "no_verdict",
        "max_lifetime",
    };

    return outcome < ABI_OUTCOME_COUNT ? names[outcome] : "unknown";
}

#endif
