/* The records of a snapshot: what a worker knows of listeners, routes, targets and intentions.
 *
 * Rules: fixed size, natural alignment, explicit zero padding, no pointers. A reference is an index
 * range into the section that its comment names; ABI_NONE means "none" for a single index. Text is
 * UTF-8 without NUL, not terminated. Everything is checked once by view_open(). */
#ifndef ABI_ENTRIES_H
#define ABI_ENTRIES_H

#include <stdint.h>

#include "abi/limits.h"

#define ABI_NONE 0xffffffffu

struct abi_ref { /* records [at, at + count) of a section */
    uint32_t at;
    uint32_t count;
};

struct abi_text { /* bytes [at, at + len) of the TEXT section */
    uint32_t at;
    uint32_t len;
};

/* --- addresses --- */

enum abi_family {
    ABI_FAMILY_NONE = 0,
    ABI_FAMILY_IP4 = 1,
    ABI_FAMILY_IP6 = 2,
    ABI_FAMILY_UNIX = 3,
    ABI_FAMILY_ORIGINAL = 4, /* endpoints only: where the client went before redirection */
    ABI_FAMILY_COUNT
};

struct abi_address {
    uint8_t family; /* enum abi_family */
    uint8_t _pad0;
    uint16_t port;        /* host byte order; 0 for unix */
    uint32_t mode;        /* unix listeners: permission bits of the socket file */
    uint8_t ip[16];       /* network byte order; IPv4 uses the first four */
    struct abi_text path; /* unix: absolute file name */
};

/* --- listeners --- */

enum abi_listener_kind {
    ABI_LISTENER_L4 = 0, /* streams of bytes */
    ABI_LISTENER_L7 = 1, /* HTTP */
    ABI_LISTENER_KIND_COUNT
};

enum abi_listener_flag {
    ABI_LISTENER_TLS_DETECT = 1,    /* reserved for `detect: true`; refused for now */
    ABI_LISTENER_MESH_INBOUND = 2,  /* callers prove an identity; `policy` decides about them */
    ABI_LISTENER_MESH_OUTBOUND = 4, /* calls are made with `identity`; a target's policy decides */
    ABI_LISTENER_PROXY_IN = 8,      /* connections begin with a PROXY header, see `hops` */
    ABI_LISTENER_SNI = 16,     /* L4, TLS that is not terminated: the client's hello is read for
                                  the server name, which `route_table` sends on */
    ABI_LISTENER_GATEWAY = 32, /* L4, MESH_INBOUND: stands for several services; `route_table` sends
                                  on by the server name that TLS was made with, requests where its
                                  target speaks HTTP; the target's policy decides, not `policy` */
    ABI_LISTENER_REDIRECTED = 64, /* L4: the kernel has redirected connections here; ORIGINAL says
                                     which ABI_LISTENER_INNER they belong to by the address that
                                     they were made to, `other` where it does not */
    ABI_LISTENER_INNER = 128,     /* without a socket: connections come from one of the former */
    ABI_LISTENER_FLAGS = 255
};

struct abi_listener {
    uint64_t key; /* stable across generations: the socket of an unchanged listener is kept; the
                     section is sorted by it, no key twice */
    struct abi_text name;
    struct abi_address address;
    uint8_t kind;             /* enum abi_listener_kind */
    uint8_t flags;            /* enum abi_listener_flag */
    uint16_t stats_slot;      /* < LIMIT_LISTENERS; same as long as the key is in use */
    uint32_t tls;             /* TLS section, or ABI_NONE: plaintext */
    uint32_t identity;        /* IDENTITY section, or ABI_NONE */
    uint32_t policy;          /* POLICY section, or ABI_NONE: callers are not checked */
    uint32_t route_table;     /* ROUTE_TABLE section; L7, and ABI_LISTENER_SNI and _GATEWAY, whose
                                 routes forward and ask for nothing but the host; else ABI_NONE */
    struct abi_ref splits;    /* SPLIT section: L4 destinations; empty for L7, ABI_LISTENER_GATEWAY
                                 and _REDIRECTED, and for ABI_LISTENER_SNI where other names are
                                 refused */
    uint32_t head_timeout_ms; /* reading of a request head */
    uint32_t idle_timeout_ms; /* nothing moves; 0 = none */
    uint32_t request_timeout_ms; /* a whole request; 0 = none */
    uint32_t handshake_timeout_ms;
    uint32_t max_connections;   /* per worker; 0 = none */
    struct abi_text congestion; /* TCP's, of accepted connections; empty = the system's */
    struct abi_text via;        /* pseudonym for Via; empty = no Via */
    uint32_t log;               /* LOG section, or ABI_NONE: nothing is written down */
    uint32_t hops;        /* HOPS section, or ABI_NONE: nobody in front is believed, X-Forwarded-For
                       and its like are written, a trace is passed on but never begun */
    uint32_t compression; /* COMPRESSION section, or ABI_NONE: none; L7 only */
    uint32_t other;       /* ABI_LISTENER_REDIRECTED: the ABI_LISTENER_INNER of other addresses
                       than those of ORIGINAL, or ABI_NONE: they are closed; else 0 */
    uint32_t max_lifetime_ms; /* of a connection, and of those for its requests; 0 = none */
    uint32_t _pad0;
};

/* --- those in front of a listener --- */

/* All addresses that agree with `ip` in the first `bits` bits; IPv4 stands as ::ffff:a.b.c.d. Lists
 * of networks are sorted by `ip`, and no two of one list overlap. */
struct abi_network {
    uint8_t ip[16]; /* zero behind the first `bits` bits */
    uint32_t bits;  /* 0 ... 128 */
};

enum abi_proxy_version { /* of PROXY headers; a set */
                         ABI_PROXY_V1 = 1,
                         ABI_PROXY_V2 = 2,
                         ABI_PROXY_ANY = 3
};

enum abi_hop_fields { /* in which the client is named to the upstream; a set */
                      ABI_HOP_X_FORWARDED = 1, /* X-Forwarded-For, -Proto, -Host */
                      ABI_HOP_FORWARDED = 2,   /* RFC 7239 */
                      ABI_HOP_FIELDS = 3
};

#define ABI_TRACE_ALL 1000000u

/* What a listener believes of those in front of it, and what it tells those behind it. */
struct abi_hops {
    struct abi_ref proxy_from; /* NETWORK section: peers whose PROXY header is taken; no two ranges
                                  of records overlap and later records have later ranges */
    struct abi_ref trust;      /* NETWORK section, behind proxy_from: hops whose forwarding fields
                                  are believed; L7 only */
    uint32_t proxy_timeout_ms; /* reading of the PROXY header; 0 without PROXY_IN */
    uint32_t trace_sample;     /* of ABI_TRACE_ALL traces begun here, so many are marked sampled */
    uint8_t proxy_in;          /* set of enum abi_proxy_version; 0 without PROXY_IN */
    uint8_t proxy_others;      /* peers outside proxy_from: 0 = closed, 1 = clients of their own */
    uint8_t fields;            /* set of enum abi_hop_fields */
    uint8_t depth;       /* at most so many hops are believed, <= LIMIT_HOPS; 0 without trust */
    uint8_t trace_start; /* 1: a request without a good traceparent gets one */
    uint8_t trace_spans; /* 1: what is sampled is told to the control plane (span.h) */
    uint8_t _pad0[2];
};

/* --- content codings of answers --- */

enum abi_coding {
    ABI_CODING_GZIP = 0,
    ABI_CODING_BROTLI = 1,
    ABI_CODING_ZSTD = 2,
    ABI_CODING_COUNT
};

/* Which answers a listener compresses for clients that take it (RFC 9110 8.4, 12.5.3). */
struct abi_compression {
    struct abi_ref types; /* MEDIA_TYPE section: lower-case `type/subtype`, or `type/` for all of a
                             type; no two ranges overlap and later records have later ranges */
    uint32_t min_length;  /* bytes; bodies known to be shorter go as they came */
    uint8_t coding_count; /* 1 ... ABI_CODING_COUNT */
    uint8_t codings[3];   /* enum abi_coding, the preferred one first, none twice; else 0 */
    uint8_t levels[3];    /* by enum abi_coding; 0: not offered */
    uint8_t _pad0;
};

/* --- routes (L7) --- */

/* A host's slot in an open-addressing table: `hosts` of a route table has a power-of-two count; a
 * name's home is hash_bytes(name) & (count - 1), collisions go to the next slot, and a lookup ends
 * at a free slot or after LIMIT_HOST_PROBES slots. Names are normal hosts (lower case, no port) or
 * `*.suffix`, which covers every name that ends in `.suffix`; the longest suffix wins. */
struct abi_host {
    struct abi_text name;  /* len 0 = free slot */
    struct abi_ref routes; /* ROUTE_LIST section, in order of preference, already merged with all
                              less specific routes of the table */
};

struct abi_route_table {
    struct abi_ref hosts;  /* HOST section; count 0 or a power of two; no two tables overlap and
                              later tables have later slots */
    struct abi_ref routes; /* ROUTE_LIST section: for every other host */
};

enum abi_path_kind {
    ABI_PATH_ANY = 0,
    ABI_PATH_EXACT = 1,
    ABI_PATH_PREFIX = 2, /* of bytes, as Consul's path_prefix */
    ABI_PATH_REGEX = 3,  /* `path_dfa` */
    ABI_PATH_KIND_COUNT
};

enum abi_action {
    ABI_ACTION_FORWARD = 0,  /* to `splits` */
    ABI_ACTION_RESPOND = 1,  /* `status`, `body` */
    ABI_ACTION_REDIRECT = 2, /* `status`, Location made of redirect_* */
    ABI_ACTION_COUNT
};

/* Methods by number, the same numbers as enum h1_method (wire/h1.h). Sets of methods have bit
 * 1 << number; OTHER stands for every method that is not named here. */
enum abi_method {
    ABI_METHOD_OTHER = 0,
    ABI_METHOD_GET = 1,
    ABI_METHOD_HEAD = 2,
    ABI_METHOD_POST = 3,
    ABI_METHOD_PUT = 4,
    ABI_METHOD_DELETE = 5,
    ABI_METHOD_CONNECT = 6,
    ABI_METHOD_OPTIONS = 7,
    ABI_METHOD_TRACE = 8,
    ABI_METHOD_PATCH = 9,
    ABI_METHOD_COUNT
};
#define ABI_METHODS_ALL 0u /* any method */

#define ABI_ROUTE_UNCOUNTED 0xffffu

struct abi_route {
    uint8_t path_kind; /* enum abi_path_kind */
    uint8_t action;    /* enum abi_action */
    uint16_t status;   /* respond, redirect */
    uint32_t methods;  /* set of methods; ABI_METHODS_ALL = any */
    struct abi_text path;
    uint32_t path_dfa;               /* DFA section, or ABI_NONE */
    uint32_t traffic;                /* TRAFFIC section, or ABI_NONE: nothing is asked for */
    struct abi_ref matches;          /* MATCH section: all must hold */
    struct abi_ref splits;           /* SPLIT section; forward only */
    struct abi_ref header_ops;       /* HEADER_OP section */
    struct abi_text body;            /* respond */
    struct abi_text content_type;    /* respond */
    struct abi_text redirect_scheme; /* empty = the request's */
    struct abi_text redirect_host;   /* empty = the request's */
    struct abi_text redirect_path;   /* empty = the request's path and query */
    struct abi_text
        prefix_rewrite; /* forward: replaces a matched prefix or exact path; see `rewrites` */
    uint8_t rewrites;   /* 1: prefix_rewrite applies */
    uint8_t _pad1;
    uint16_t stats_slot;         /* < LIMIT_ROUTE_SLOTS, or ABI_ROUTE_UNCOUNTED */
    uint32_t request_timeout_ms; /* 0 = the listener's */
    uint32_t retries;            /* further tries, <= LIMIT_RETRIES */
    uint32_t retry_on;           /* set of enum abi_retry */
    struct abi_text rule;        /* what a person calls it: "listener public, route 2" */
    struct abi_text
        origin; /* where it was written: "ringmesh.yaml:31:9", "config entry service-router/web" */
};

enum abi_retry {
    ABI_RETRY_CONNECT = 1, /* nothing was sent yet */
    ABI_RETRY_RESET = 2,   /* idempotent, sent, no answer byte came */
    ABI_RETRY_5XX = 4,     /* answers with a status of 500 and above; so all below */
    ABI_RETRY_GATEWAY = 8, /* 502, 503, 504 */
    ABI_RETRY_CONFLICT = 16,
    ABI_RETRY_LIMITED = 32,     /* 429 */
    ABI_RETRY_TIMEOUT = 64,     /* no answer within `try_timeout_ms` of `traffic` */
    ABI_RETRY_ANY_METHOD = 128, /* also of methods that are not idempotent */
    /* Answers of gRPC whose head says so, whatever the method. */
    ABI_RETRY_GRPC_CANCELLED = 256,
    ABI_RETRY_GRPC_DEADLINE = 512,
    ABI_RETRY_GRPC_INTERNAL = 1024,
    ABI_RETRY_GRPC_EXHAUSTED = 2048,
    ABI_RETRY_GRPC_UNAVAILABLE = 4096,
    ABI_RETRY_GRPC = 7936,
    ABI_RETRY_FLAGS = 8191
};

/* What a route asks for beyond a destination. */
struct abi_traffic {
    uint16_t retry_codes[LIMIT_RETRY_CODES]; /* further statuses to be tried again; growing, those
                                                behind the last are 0 */
    uint32_t try_timeout_ms;  /* from a request's head sent to an answer's head; 0 = none */
    uint32_t backoff_ms;      /* before the second try after an answer, doubled for each further */
    uint32_t backoff_max_ms;  /* one; not less than backoff_ms */
    uint32_t max_head;        /* bytes of a request's head; 0 = the protocol's bound */
    uint64_t max_body;        /* bytes of a request's body; 0 = none */
    struct abi_ref rates;     /* RATE section: all must admit a request */
    uint32_t mirror_target;   /* TARGET section: gets copies; 0 without a share */
    uint32_t mirror_share;    /* of ABI_SPLIT_TOTAL requests; 0 = none */
    uint32_t idle_timeout_ms; /* nothing of an exchange moves; 0 = none */
    uint32_t max_replay;      /* bytes of a request's body that are kept for another try, <=
                                 LIMIT_REPLAY; LIMIT_REPLAY_DEFAULT without a record */
};

enum abi_rate_by { /* whose requests share a bucket */
                   ABI_RATE_ALL = 0,
                   ABI_RATE_CLIENT = 1, /* address of the client */
                   ABI_RATE_IDENTITY =
                       2, /* service that the caller proved to be; empty: one more */
                   ABI_RATE_CONNECTION = 3,
                   ABI_RATE_BY_COUNT
};

/* A token bucket of the node that a request takes one token from. */
struct abi_rate {
    uint64_t key;         /* stable: equal ones share their buckets */
    uint64_t interval_ns; /* between two tokens, 1 ... LIMIT_RATE_INTERVAL_NS */
    uint32_t burst;       /* tokens that it holds, 1 ... LIMIT_RATE_BURST */
    uint8_t by;           /* enum abi_rate_by */
    uint8_t _pad0[3];
};

enum abi_match_subject {
    ABI_MATCH_HEADER = 0, /* `name` in lower case; any of the values may match */
    ABI_MATCH_QUERY = 1,  /* names and values are compared decoded (%41, +) */
    ABI_MATCH_SUBJECT_COUNT
};

enum abi_match_kind {
    ABI_MATCH_PRESENT = 0,
    ABI_MATCH_EXACT = 1,
    ABI_MATCH_PREFIX = 2,
    ABI_MATCH_SUFFIX = 3,
    ABI_MATCH_CONTAINS = 4,
    ABI_MATCH_REGEX = 5,
    ABI_MATCH_KIND_COUNT
};

struct abi_match {
    uint8_t subject;     /* enum abi_match_subject */
    uint8_t kind;        /* enum abi_match_kind */
    uint8_t invert;      /* 0 or 1; a subject that is absent matches only an inverted PRESENT */
    uint8_t ignore_case; /* 0 or 1: ASCII letters; 0 for PRESENT and REGEX */
    uint32_t dfa;        /* DFA section, or ABI_NONE */
    struct abi_text name;
    struct abi_text value;
};

enum abi_header_op_kind {
    ABI_HEADER_ADD = 0,
    ABI_HEADER_SET = 1,
    ABI_HEADER_REMOVE = 2,
    ABI_HEADER_OP_COUNT
};

/* What a value can say of the exchange. */
enum abi_header_variable {
    ABI_HEADER_CLIENT_IP = 0,
    ABI_HEADER_CLIENT_PORT,
    ABI_HEADER_CLIENT_IDENTITY,
    ABI_HEADER_METHOD,
    ABI_HEADER_SCHEME,
    ABI_HEADER_HOST,
    ABI_HEADER_PATH,
    ABI_HEADER_QUERY,
    ABI_HEADER_PROTOCOL,
    ABI_HEADER_LISTENER,
    ABI_HEADER_ROUTE,
    ABI_HEADER_SERVICE,
    ABI_HEADER_NODE,
    ABI_HEADER_TRACE_ID,
    ABI_HEADER_TLS_VERSION,
    ABI_HEADER_TLS_CIPHER,
    ABI_HEADER_TLS_SNI,
    ABI_HEADER_UPSTREAM_ADDRESS, /* from here on: known with the answer, for answers only */
    ABI_HEADER_VARIABLE_COUNT
};

#define ABI_HEADER_MARK  1u  /* in a value: the byte behind it is ABI_HEADER_FIRST + a variable */
#define ABI_HEADER_FIRST 65u /* 'A' */

struct abi_header_op {
    uint8_t kind;     /* enum abi_header_op_kind */
    uint8_t response; /* 0: on the request, 1: on the response */
    uint8_t varies;   /* 1: `value` has marks */
    uint8_t _pad0[5];
    struct abi_text name; /* as it is sent */
    struct abi_text value;
};

/* A bounded automaton over bytes: state 0 is dead, state 1 the start. `states` rows of 256 uint16
 * next states stand in BLOB at `table`, then one accept byte per state. The whole text must be
 * consumed. No two automata overlap and later ones have later tables. */
struct abi_dfa {
    uint64_t table;  /* BLOB offset, a multiple of 2 */
    uint32_t states; /* 2 ... LIMIT_DFA_STATES */
    uint32_t _pad0;
};

/* --- targets --- */

#define ABI_SPLIT_TOTAL 10000u

struct abi_split {   /* weights of one list add up to ABI_SPLIT_TOTAL; <= LIMIT_SPLITS of them */
    uint32_t weight; /* 1 ... ABI_SPLIT_TOTAL */
    uint32_t target; /* TARGET section */
    struct abi_ref header_ops; /* HEADER_OP section: in place of the route's, which are among them;
                                  empty: those hold */
};

enum abi_protocol {
    ABI_PROTOCOL_TCP = 0,
    ABI_PROTOCOL_HTTP1 = 1,
    ABI_PROTOCOL_HTTP2 = 2, /* by ALPN with TLS, by prior knowledge without */
    ABI_PROTOCOL_COUNT
};

struct abi_target {       /* a resolved destination: one subset of one service in one datacenter */
    uint64_t key;         /* stable across generations: pools and balance state are kept; the
                             section is sorted by it, no key twice */
    struct abi_text name; /* "web.default.dc1" or with subset */
    struct abi_text service;  /* "web" */
    struct abi_ref endpoints; /* ENDPOINT section; no two targets overlap and later ones have later
                                 endpoints */
    struct abi_ref failover;  /* TARGET_LIST section, tried in order when no endpoint is healthy */
    uint32_t policy;     /* POLICY section: checked with the listener's identity before an endpoint
                            without TLS is dialled from a mesh-outbound listener, and with the
                            caller's by an ABI_LISTENER_GATEWAY; ABI_NONE = not checked */
    uint32_t stats_slot; /* < LIMIT_TARGETS; same as long as the key is in use */
    struct abi_text sni; /* TLS endpoints: server name to ask for */
    struct abi_text expected_id; /* TLS endpoints: SPIFFE id that must be presented */
    uint8_t balance;             /* enum abi_balance */
    uint8_t protocol;            /* enum abi_protocol */
    uint8_t proxy_out; /* connections to endpoints without mesh TLS begin with a PROXY header: one
                          of enum abi_proxy_version; 0 = none */
    uint8_t _pad0;
    uint32_t connect_timeout_ms;
    uint32_t guard;      /* GUARD section, or ABI_NONE: nothing is bounded or watched */
    uint32_t max_weight; /* the greatest weight of its endpoints; 0 without endpoints */
    struct abi_text congestion;
    uint32_t balancer; /* BALANCER section; ABI_NONE: two choices, no tiers, no slow start */
    uint32_t _pad1;
};

/* What bounds the traffic to a target, and when an endpoint that fails is left out. Bounds hold for
 * the node. */
struct abi_guard {
    uint32_t max_connections;  /* open ones; 0 = none, as of all below */
    uint32_t max_pending;      /* requests that wait for a connection */
    uint32_t max_requests;     /* under way */
    uint32_t max_retries;      /* second tries under way */
    uint32_t failures;         /* in a row, after which an endpoint is left out; 0 = never */
    uint32_t gateway_failures; /* the same: no connection, no answer, 502, 503, 504 */
    uint32_t ejection_ms;      /* the first time; times two the second time, and so on */
    uint32_t ejection_max_ms;
    uint32_t interval_ms;   /* so long without being left out, and one time is forgiven */
    uint8_t ejected_most;   /* per cent of the endpoints; one always may be left out */
    uint8_t ejected_chance; /* per cent */
    uint8_t _pad0[2];
};

struct abi_endpoint {
    uint64_t key; /* stable: address and instance */
    struct abi_address address;
    uint32_t overlay_slot; /* < LIMIT_ENDPOINTS: health, weight, drain */
    uint32_t tls;          /* TLS section (client), or ABI_NONE: plaintext */
    uint32_t weight;       /* 1 ... 65535, unless the overlay says another */
    uint32_t _pad0;
    struct abi_text instance; /* service instance id */
    struct abi_text node;
};

/* --- identity and intentions --- */

struct abi_identity {
    uint64_t secret; /* id of its certificate and key in the secrets region */
    struct abi_text service;
    struct abi_text spiffe_id;
};

enum abi_intention_action {
    ABI_INTENTION_DENY = 0,
    ABI_INTENTION_ALLOW = 1,
    ABI_INTENTION_PERMISSIONS = 2, /* the first matching permission decides; none: the policy's
                                      default, as Consul has it */
    ABI_INTENTION_ACTION_COUNT
};

struct abi_intention {
    struct abi_text source;      /* service name in lower case, or `*` */
    struct abi_text destination; /* service name in lower case, or `*` */
    uint8_t action;              /* enum abi_intention_action */
    uint8_t precedence;          /* Consul's: 9, 8, 6, 5 */
    uint8_t closed;              /* 1: denies what no permission covers, for want of a token */
    uint8_t _pad0;
    uint32_t _pad1;
    struct abi_ref permissions; /* PERMISSION section */
    struct abi_text origin;
};

struct abi_permission {
    uint8_t action;    /* ABI_INTENTION_DENY or ABI_INTENTION_ALLOW */
    uint8_t path_kind; /* enum abi_path_kind */
    uint16_t _pad0;
    uint32_t methods;
    struct abi_text path;
    uint32_t path_dfa;
    uint32_t token;         /* 1 + index of TOKEN, asked for; 0: none */
    struct abi_ref matches; /* MATCH section: all must hold */
};

/* All that decides about calls to one service, the wildcard intentions already worked in: an exact
 * source is looked up first, then `fallback`, then the default. */
struct abi_policy {
    uint64_t key; /* changes with the decision table: connections are examined again when it does */
    struct abi_text destination; /* service name in lower case; `*`: of all that have no own */
    struct abi_ref intentions;   /* INTENTION section, sorted by source bytes, no source twice, none
                                    `*`; of no two policies, of later ones they stand later */
    uint32_t fallback;           /* INTENTION section: source `*`; ABI_NONE */
    uint8_t default_action;      /* ABI_INTENTION_DENY or ABI_INTENTION_ALLOW */
    uint8_t tokens;              /* 1: some permission may ask for a token */
    uint8_t _pad0[2];
};

/* --- TLS --- */

enum abi_tls_verify {
    ABI_TLS_VERIFY_NONE = 0,
    ABI_TLS_VERIFY_REQUEST = 1,
    ABI_TLS_VERIFY_REQUIRE = 2,
    ABI_TLS_VERIFY_COUNT
};

enum abi_key_kind { /* of a certificate's public key: a client takes one or the other, or both */
                    ABI_KEY_EC = 0, /* ECDSA and EdDSA */
                    ABI_KEY_RSA = 1,
                    ABI_KEY_COUNT
};

/* A server name's slot in an open-addressing table as that of struct abi_host. Names are in lower
 * case without a final dot, or `*.suffix`, which covers names with one label more than `suffix`. */
struct abi_server_name {
    struct abi_text name;                 /* len 0 = free slot */
    uint32_t certificates[ABI_KEY_COUNT]; /* SECRET_LIST section, by kind of key, or ABI_NONE; a
                                             name has one at least */
};

struct abi_tls {
    uint64_t key;          /* stable while nothing below changes but the contents of secrets; of
                              clients: changes with their certificate too, and of servers: not with
                              `names`. Tickets are good for one key */
    uint8_t server;        /* 1: terminates, 0: originates */
    uint8_t verify;        /* enum abi_tls_verify */
    uint8_t mesh;          /* 1: the peer's identity is its SPIFFE id */
    uint8_t alpn_required; /* 0 or 1 */
    uint16_t min_version;  /* 0x0303, 0x0304 */
    uint16_t max_version;
    struct abi_ref certificates; /* SECRET_LIST section: at most one of each kind of key. Servers:
                                    shown to clients that ask for no name of `names`; clients: what
                                    they show, may be empty */
    struct abi_ref names;        /* SERVER_NAME section; count 0 or a power of two, servers only; no
                                    two records overlap and later ones have later slots */
    struct abi_ref trust;        /* BLOB bytes: CA certificates in DER, one behind the other, and
                                    with them lists of revoked ones: then each certificate below
                                    the trusted one needs a list of its issuer */
    struct abi_ref alpn;         /* BLOB bytes: wire form */
    uint32_t session_lifetime_s; /* 0 = no resumption */
    uint32_t _pad0;
};

/* --- access logs --- */

struct abi_log {  /* one destination with one format; abi/log.h has the variables */
    uint64_t key; /* changes with anything below; the section is sorted by it, no key twice */
    struct abi_text path; /* a file: its absolute name; else empty */
    uint64_t variables;   /* bit 1 << enum abi_log_variable: what the operations name */
    uint32_t sink;        /* enum abi_log_sink */
    uint32_t sample;      /* of ABI_LOG_SAMPLE_ALL: how many of those are written that end well */
    struct abi_ref ops;   /* LOG_OP section, 1 ... LIMIT_LOG_OPS; no two logs overlap and later ones
                             have later operations */
    struct abi_ref headers; /* LOG_HEADER section, at most LIMIT_LOG_HEADERS; as above */
};

struct abi_log_op {
    uint8_t variable; /* enum abi_log_variable */
    uint8_t style;    /* enum abi_log_style */
    uint16_t _pad0;
    uint32_t _pad1;
    struct abi_text literal; /* ABI_LOG_LITERAL: written as it is; else empty */
};

struct abi_log_header {   /* variable ABI_LOG_HEADER_0 + its place in the log's list */
    struct abi_text name; /* in lower case */
    uint8_t response;     /* 0: of the request, 1: of the answer */
    uint8_t _pad0[7];
};

_Static_assert(sizeof(struct abi_log) == 48, "layout");
_Static_assert(sizeof(struct abi_log_op) == 16, "layout");
_Static_assert(sizeof(struct abi_log_header) == 16, "layout");
_Static_assert(sizeof(struct abi_address) == 32, "layout");
_Static_assert(sizeof(struct abi_listener) == 136, "layout");
_Static_assert(sizeof(struct abi_network) == 20, "layout");
_Static_assert(sizeof(struct abi_hops) == 32, "layout");
_Static_assert(sizeof(struct abi_compression) == 20, "layout");
_Static_assert(sizeof(struct abi_host) == 16, "layout");
_Static_assert(sizeof(struct abi_route_table) == 16, "layout");
_Static_assert(sizeof(struct abi_route) == 128, "layout");
_Static_assert(sizeof(struct abi_traffic) == 64, "layout");
_Static_assert(sizeof(struct abi_rate) == 24, "layout");
_Static_assert(sizeof(struct abi_match) == 24, "layout");
_Static_assert(sizeof(struct abi_header_op) == 24, "layout");
_Static_assert(sizeof(struct abi_dfa) == 16, "layout");
_Static_assert(sizeof(struct abi_split) == 16, "layout");
_Static_assert(sizeof(struct abi_target) == 96, "layout");
_Static_assert(sizeof(struct abi_guard) == 40, "layout");
_Static_assert(sizeof(struct abi_endpoint) == 72, "layout");
_Static_assert(sizeof(struct abi_identity) == 24, "layout");
_Static_assert(sizeof(struct abi_intention) == 40, "layout");
_Static_assert(sizeof(struct abi_permission) == 32, "layout");
_Static_assert(sizeof(struct abi_policy) == 32, "layout");
_Static_assert(sizeof(struct abi_server_name) == 16, "layout");
_Static_assert(sizeof(struct abi_tls) == 56, "layout");

#endif
