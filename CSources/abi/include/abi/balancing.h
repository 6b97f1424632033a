/* The records of a snapshot that say which endpoint of a target takes a request. */
#ifndef ABI_BALANCING_H
#define ABI_BALANCING_H

#include "abi/entries.h"

enum abi_balance {
    ABI_BALANCE_ROUND_ROBIN = 0,
    ABI_BALANCE_LEAST_REQUEST = 1, /* of two random choices, or as many as the balancer says */
    ABI_BALANCE_RANDOM = 2,
    ABI_BALANCE_RING = 3, /* these two: by a hash of the request */
    ABI_BALANCE_MAGLEV = 4,
    ABI_BALANCE_LATENCY = 5, /* as least request, by requests times what they take */
    ABI_BALANCE_COUNT
};

/* What the choice of an endpoint asks for beyond enum abi_balance. */
struct abi_balancer {
    struct abi_ref tiers;   /* TIER section, 1 ... LIMIT_TIERS: the nearest endpoints first; no two
                               balancers overlap and later ones have later tiers */
    struct abi_ref hashes;  /* HASH section, at most LIMIT_TARGET_HASHES: asked in order */
    uint32_t slow_start_ms; /* an endpoint that came back or is new grows so long; 0 = not */
    uint32_t decay_ms;      /* LATENCY: after so long without an answer half of it is forgotten */
    uint8_t choices;        /* LEAST_REQUEST and LATENCY: 2 ... LIMIT_CHOICES; else 0 */
    uint8_t spill; /* per cent, 1 ... 100: what of a tier's weight must be healthy for it to
                      take all that comes to it */
    uint8_t _pad0[6];
};

enum abi_table {
    ABI_TABLE_NONE = 0,
    ABI_TABLE_RING = 1,   /* n places on the ring, growing, then the n endpoints that own what
                             leads up to them */
    ABI_TABLE_MAGLEV = 2, /* the endpoint of each remainder */
    ABI_TABLE_COUNT
};

/* Endpoints of a target that are equally near. Those of all its tiers are all of the target, in
 * order. */
struct abi_tier {
    struct abi_ref endpoints; /* counted from the target's first */
    struct abi_ref table;     /* SLOT section, endpoints counted from the tier's first; no two tiers
                                 overlap and later ones have later slots */
    uint32_t max_weight;      /* the greatest weight of its endpoints; 0 without endpoints */
    uint8_t kind;             /* enum abi_table */
    uint8_t _pad0[3];
};

enum abi_hash_of {
    ABI_HASH_HEADER = 0, /* all values of a field */
    ABI_HASH_COOKIE = 1,
    ABI_HASH_QUERY = 2,   /* the first parameter of the name; both as they are sent */
    ABI_HASH_ADDRESS = 3, /* of the client, without its port */
    ABI_HASH_OF_COUNT
};

/* A part of a request that decides about its endpoint. */
struct abi_hash {
    uint8_t of;       /* enum abi_hash_of */
    uint8_t terminal; /* 0 or 1: when it is there, those behind it are not asked */
    uint8_t _pad0[6];
    struct abi_text name; /* of the field in lower case, the cookie, the parameter; else empty */
    struct abi_text attributes; /* COOKIE: a request without it gets one with its answer, and these
                                   behind its value: "; Path=/; HttpOnly"; empty: it gets none */
};

_Static_assert(sizeof(struct abi_balancer) == 32, "layout");
_Static_assert(sizeof(struct abi_tier) == 24, "layout");
_Static_assert(sizeof(struct abi_hash) == 24, "layout");

#endif
