/* What permissions ask of the tokens of requests, and the questions about tokens between a worker
 * and the control plane: one SEQPACKET socket pair for each worker slot, made by the supervisor,
 * which keeps both ends open and lends them out. The control plane gets its end with the statistics
 * (ABI_CONTROL_WORKER), a worker process its own at its start.
 *
 *   worker                        control plane
 *      | QUESTION  id, check, token  |
 *      | --------------------------> |
 *      | <-------------------------- |
 *      |   VERDICT  id, check, held  |
 *
 * A question may be lost (a worker that died had asked it, the buffer is full), a verdict may come
 * too late or twice: the worker knows its questions by their ids and waits for a bounded time. */
#ifndef ABI_TOKENS_H
#define ABI_TOKENS_H

#include <stdint.h>

#include "abi/entries.h"
#include "abi/limits.h"

/* --- sections of a snapshot --- */

/* What a permission asks of the tokens of a request. */
struct abi_token {
    struct abi_ref checks; /* TOKEN_CHECK section, at least one: any of them must hold ... */
    uint32_t also;         /* ... and 1 + index of TOKEN, a later one; 0: nothing else */
    uint32_t _pad0;
};

/* A token of one provider, with certain claims. */
struct abi_token_check {
    uint64_t key; /* of the question: changes with the provider, its keys, the claims */
    struct abi_ref
        places; /* TOKEN_PLACE section, at least one: the first that has a token counts */
    struct abi_text forward; /* field that tells the service the token's payload, in lower case;
                                what clients send by this name goes no further; empty: none */
    uint8_t pad_payload;     /* 1: its base64 is padded */
    uint8_t _pad0[7];
};

enum abi_token_where {
    ABI_TOKEN_HEADER = 0,
    ABI_TOKEN_QUERY = 1,
    ABI_TOKEN_COOKIE = 2,
    ABI_TOKEN_WHERE_COUNT
};

struct abi_token_place {
    struct abi_text name;   /* of the field in lower case, the parameter or the cookie */
    struct abi_text prefix; /* of the field's value, in front of the token */
    uint8_t where;          /* enum abi_token_where */
    uint8_t drop;           /* 1: a field with a good token goes no further */
    uint8_t _pad0[6];
};

/* --- questions --- */

#define ABI_TOKENS_MAGIC 0x4e4b4f54u /* "TOKN": another version has another one */

struct abi_token_question { /* the token's bytes follow, 1 ... LIMIT_TOKEN_SIZE */
    uint32_t magic;
    uint32_t length; /* of the token */
    uint64_t id;
    uint64_t check; /* abi_token_check.key */
};

struct abi_token_verdict {
    uint32_t magic;
    uint32_t held; /* 1: the token is good and has the claims; 0: as if there were none */
    uint64_t id;
    uint64_t check;
    uint32_t life_ms; /* how long this stays true, at most LIMIT_TOKEN_LIFE_MS */
    uint32_t _pad0;
};

_Static_assert(sizeof(struct abi_token) == 16, "layout");
_Static_assert(sizeof(struct abi_token_check) == 32, "layout");
_Static_assert(sizeof(struct abi_token_place) == 24, "layout");
_Static_assert(sizeof(struct abi_token_question) == 24, "layout");
_Static_assert(sizeof(struct abi_token_verdict) == 32, "layout");

#endif
