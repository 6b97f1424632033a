/* Verdicts about tokens: a table of those that are known, questions that are under way, and the
 * requests that wait for their answers. Sizes are fixed; who finds them full is answered 503. */
#include "tokens.h"

#include <string.h>

#include "base/hash.h"
#include "mirror.h"
#include "tls/tls.h"

#define TOKENS_WAYS 8u
#define TOKENS_NONE UINT32_MAX

struct tokens_key {
    uint8_t digest[TLS_SHA256_SIZE]; /* of the token */
    uint64_t check;                  /* abi_token_check.key */
};

struct tokens_verdict {
    struct tokens_key key;
    uint64_t until_ms; /* 0: a free place */
    bool held;
};

struct tokens_flight {
    struct tokens_key key;
    uint64_t id;
    uint64_t until_ms; /* 0: a free place; nobody waits for the answer after that */
    uint64_t source;   /* who asks, for the bound of one */
    uint32_t first;    /* of `waiters`; TOKENS_NONE */
};

struct tokens_waiter {
    uint64_t who;  /* token of the events of a connection or of a copy: stale when that is gone */
    uint32_t next; /* in its flight's list, or the free ones */
};

struct tokens {
    struct tokens_verdict verdicts[LIMIT_TOKEN_VERDICTS];
    struct tokens_flight flights[LIMIT_TOKEN_FLIGHTS];
    struct tokens_waiter waiters[LIMIT_TOKEN_WAITERS];
    uint32_t free;  /* of `waiters` */
    uint32_t fresh; /* waiters below were used before */
    bool missing;   /* `unknown` is what a request lacks */
    bool supposed;  /* tokens_judge() takes `unknown` for held */
    struct tokens_key unknown;
    struct bytes token;     /* the token that it is about */
    uint32_t hashed_length; /* of `hashed`; 0: none is there */
    uint8_t digest[TLS_SHA256_SIZE];
    uint8_t hashed[LIMIT_TOKEN_SIZE]; /* the token whose digest `digest` is: its bytes, since the
                                         place where it stood soon holds another's */
    struct abi_token_question question;
    uint8_t _body[LIMIT_TOKEN_SIZE]; /* right behind the question: they are sent together */
};

_Static_assert(offsetof(struct tokens, _body) ==
                   offsetof(struct tokens, question) + sizeof(struct abi_token_question),
               "a question is head and bytes in one piece");

size_t tokens_size(void)
{
    return sizeof(struct tokens);
}

void tokens_init(struct tokens *tokens)
{
    tokens->free = TOKENS_NONE;
}

void tokens_forget(struct proxy *proxy)
{
    proxy->tokens->missing = false;
}

/* --- verdicts --- */

static bool tokens_same(const struct tokens_key *left, const struct tokens_key *right)
{
    return left->check == right->check &&
           memcmp(left->digest, right->digest, sizeof(left->digest)) == 0;
}

/* Where the verdict stands, or the place that it takes: a free one, or the one that ends first. */
static struct tokens_verdict *tokens_place(struct tokens *tokens, const struct tokens_key *key,
                                           uint64_t now_ms, bool *found)
{
    uint64_t hash;
    struct tokens_verdict *set, *first;

    memcpy(&hash, key->digest, sizeof(hash));
    set = tokens->verdicts +
          hash_finish(hash ^ key->check) % (LIMIT_TOKEN_VERDICTS / TOKENS_WAYS) * TOKENS_WAYS;
    first = set;
    for (uint32_t i = 0; i < TOKENS_WAYS; i++) {
        if (set[i].until_ms > now_ms && tokens_same(&set[i].key, key)) {
            *found = true;
            return &set[i];
        }
        first = set[i].until_ms < first->until_ms ? &set[i] : first;
    }
    *found = false;
    return first;
}

/* Three parts of base64url: what else there is, nobody need be asked about. */
static bool tokens_is_one(struct bytes token)
{
    for (size_t i = 0; i < token.len; i++) {
        uint8_t c = token.ptr[i];

        if ((uint8_t)((c | 0x20) - 'a') >= 26 && (uint8_t)(c - '0') >= 10 && c != '-' && c != '_' &&
            c != '.') {
            return false;
        }
    }
    return token_payload(token).len > 0;
}

/* Whether these bytes were hashed last. Takes as long whatever they are: callers must not find out
 * somebody else's token octet by octet. */
static bool tokens_is_hashed(const struct tokens *tokens, struct bytes token)
{
    uint8_t differs = 0;

    if (token.len != tokens->hashed_length) {
        return false;
    }
    for (size_t i = 0; i < token.len; i++) {
        differs |= token.ptr[i] ^ tokens->hashed[i];
    }
    return differs == 0;
}

/* The digest of a token; the same one is asked about several times for a request. */
static const uint8_t *tokens_digest(struct tokens *tokens, struct bytes token)
{
    if (!tokens_is_hashed(tokens, token)) {
        MUST(token.len <= LIMIT_TOKEN_SIZE); /* token_find() */
        tls_sha256(token, tokens->digest);
        memcpy(tokens->hashed, token.ptr, token.len);
        tokens->hashed_length = (uint32_t)token.len;
    }
    return tokens->digest;
}

enum route_token tokens_judge(void *context, uint32_t check, struct bytes token)
{
    struct proxy *proxy = context;
    struct tokens *tokens = proxy->tokens;
    struct tokens_key key = {.check = proxy->current->view.token_checks[check].key};
    const struct tokens_verdict *verdict;
    bool found;

    if (!tokens_is_one(token)) {
        return ROUTE_TOKEN_FAILS;
    }
    memcpy(key.digest, tokens_digest(tokens, token), sizeof(key.digest));
    verdict = tokens_place(tokens, &key, proxy->now_ms, &found);
    if (found) {
        return verdict->held ? ROUTE_TOKEN_HOLDS : ROUTE_TOKEN_FAILS;
    }
    if (tokens->supposed && tokens_same(&key, &tokens->unknown)) {
        return ROUTE_TOKEN_HOLDS;
    }
    if (!tokens->missing) {
        tokens->missing = true;
        tokens->unknown = key;
        tokens->token = token;
    }
    return ROUTE_TOKEN_UNKNOWN;
}

/* --- questions --- */

/* The flight of this question, or a free place for it; NULL: too many are under way, or of this
 * source. */
static struct tokens_flight *tokens_flight(struct proxy *proxy, const struct tokens_key *key,
                                           uint64_t source)
{
    struct tokens_flight *place = NULL;
    uint32_t own = 0;

    for (uint32_t i = 0; i < LIMIT_TOKEN_FLIGHTS; i++) {
        struct tokens_flight *flight = &proxy->tokens->flights[i];

        if (flight->until_ms <= proxy->now_ms) {
            place = flight;
        } else if (tokens_same(&flight->key, key)) {
            return flight;
        } else {
            own += flight->source == source ? 1 : 0;
        }
    }
    return own < LIMIT_TOKEN_SOURCE ? place : NULL;
}

static void tokens_free_waiters(struct tokens *tokens, struct tokens_flight *flight)
{
    while (flight->first != TOKENS_NONE) {
        uint32_t number = flight->first;

        flight->first = tokens->waiters[number].next;
        tokens->waiters[number].next = tokens->free;
        tokens->free = number;
    }
}

/* false: all places are taken. */
static bool tokens_wait(struct proxy *proxy, struct tokens_flight *flight, uint64_t who)
{
    struct tokens *tokens = proxy->tokens;
    uint32_t number = tokens->free;

    if (number != TOKENS_NONE) {
        tokens->free = tokens->waiters[number].next;
    } else if (tokens->fresh < LIMIT_TOKEN_WAITERS) {
        number = tokens->fresh++;
    } else {
        return false;
    }
    tokens->waiters[number] = (struct tokens_waiter){.who = who, .next = flight->first};
    flight->first = number;
    return true;
}

static bool tokens_ask(struct proxy *proxy, struct tokens_flight *flight, uint64_t source)
{
    struct tokens *tokens = proxy->tokens;

    if (flight->until_ms != 0) {
        tokens_free_waiters(tokens, flight); /* they have given up */
    }
    tokens->question = (struct abi_token_question){
        .magic = ABI_TOKENS_MAGIC,
        .length = (uint32_t)tokens->token.len,
        .id = proxy_random(proxy),
        .check = tokens->unknown.check,
    };
    memcpy(tokens->_body, tokens->token.ptr, tokens->token.len);
    *flight = (struct tokens_flight){.first = TOKENS_NONE};
    if (proxy->config.ask == NULL || !proxy->config.ask(proxy->config.context, &tokens->question)) {
        return false;
    }
    flight->key = tokens->unknown;
    flight->id = tokens->question.id;
    flight->until_ms = proxy->now_ms + LIMIT_TOKEN_WAIT_MS;
    flight->source = source;
    return true;
}

/* Asks for the verdict that tokens_judge() lacked, on behalf of this connection, unless it is asked
 * for already; `who` is told of it. false: it cannot be asked for now. */
static bool tokens_fly(struct proxy *proxy, struct conn *conn, uint64_t who)
{
    uint64_t source = hash_bytes(authz_source(proxy, conn)) ^ conn->listener;
    struct tokens_flight *flight;

    if (!proxy->tokens->missing) {
        return false;
    }
    flight = tokens_flight(proxy, &proxy->tokens->unknown, source);
    return flight != NULL &&
           (flight->until_ms > proxy->now_ms || tokens_ask(proxy, flight, source)) &&
           tokens_wait(proxy, flight, who);
}

/* The connection is offered its input again when the verdict is there. */
static bool tokens_await(struct proxy *proxy, struct conn *conn)
{
    if (!tokens_fly(proxy, conn, conn_token(proxy, conn, PROXY_KIND_RECEIVE))) {
        return false;
    }
    if (conn->parked_ms == 0) {
        conn->parked_ms = proxy->now_ms;
    }
    conn->stage = L7_AWAIT_VERDICT;
    conn_pause(conn);
    conn_arm_timer(proxy, conn, LIMIT_TOKEN_WAIT_MS);
    return true;
}

bool tokens_are_known(struct proxy *proxy, struct conn *conn, struct route_input *input,
                      bool *waits)
{
    input->judge = tokens_judge;
    input->judge_context = proxy;
    tokens_forget(proxy);
    if (!authz_lacks_token(proxy, conn, input)) {
        return true;
    }
    *waits = tokens_await(proxy, conn);
    if (!*waits) {
        l7_refuse(proxy, conn, 503, ABI_OUTCOME_NO_VERDICT);
    }
    return false;
}

void tokens_suppose(struct proxy *proxy, bool held)
{
    proxy->tokens->supposed = held;
}

bool tokens_await_copy(struct proxy *proxy, struct request *copy)
{
    return tokens_fly(proxy, copy->mirror->down, copy->timer.token);
}

/* Whoever waits goes on, if it is still there. */
static void tokens_wake(struct proxy *proxy, uint64_t who, bool held)
{
    uint32_t slot = ring_token_slot(who), generation = ring_token_generation(who);
    struct request *copy;
    struct conn *conn;

    if (ring_token_kind(who) == PROXY_KIND_REQUEST_TIMER) {
        copy = pool_get(&proxy->requests, slot, generation);
        if (copy != NULL) {
            mirror_judged(proxy, copy, held);
        }
        return;
    }
    conn = pool_get(&proxy->conns, slot, generation);
    if (conn != NULL && conn_is_open(conn) && conn->stage == L7_AWAIT_VERDICT) {
        conn->stage = L7_AWAIT_HEAD;
        conn->seen = 0;
        conn_offer(proxy, conn);
    }
}

void tokens_take(struct proxy *proxy, const struct abi_token_verdict *verdict)
{
    struct tokens *tokens = proxy->tokens;

    for (uint32_t i = 0; i < LIMIT_TOKEN_FLIGHTS; i++) {
        struct tokens_flight *flight = &tokens->flights[i];
        struct tokens_verdict *place;
        bool found;

        if (flight->until_ms == 0 || flight->id != verdict->id ||
            flight->key.check != verdict->check) {
            continue;
        }
        place = tokens_place(tokens, &flight->key, proxy->now_ms, &found);
        *place = (struct tokens_verdict){.key = flight->key, .held = verdict->held == 1};
        place->until_ms =
            proxy->now_ms +
            (verdict->life_ms < LIMIT_TOKEN_LIFE_MS ? verdict->life_ms : LIMIT_TOKEN_LIFE_MS);
        flight->until_ms = 0;
        for (uint32_t at = flight->first; at != TOKENS_NONE; at = tokens->waiters[at].next) {
            tokens_wake(proxy, tokens->waiters[at].who, place->held);
        }
        tokens_free_waiters(tokens, flight);
        return;
    }
}
