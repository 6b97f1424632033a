/* Which route answers a request: host table, then the first route of its list that matches. The
 * same functions serve the workers and `meshctl explain`. */
#ifndef TABLE_ROUTE_H
#define TABLE_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "table/view.h"

struct route_field {
    struct bytes name; /* any case */
    struct bytes value;
};

/* What is known of a token. */
enum route_token {
    ROUTE_TOKEN_FAILS = 0, /* as if there were none */
    ROUTE_TOKEN_HOLDS = 1,
    ROUTE_TOKEN_UNKNOWN = 2, /* has to be asked for */
};

/* A request as routes and permissions see it. The field list is asked through a function, so that
 * no protocol has to copy its head: `next_field` sets *field to field `index`, false at the end. */
struct route_input {
    struct bytes host;  /* normal form (uri_normal_host) */
    struct bytes path;  /* normal form (uri_normal_path), without query */
    struct bytes query; /* raw, without `?` */
    uint32_t method;    /* bit 1 << enum h1_method */
    bool (*next_field)(const void *context, uint32_t index, struct route_field *field);
    const void *context;
    /* Whether a token meets a record of TOKEN_CHECK; NULL: none does. */
    enum route_token (*judge)(void *judge_context, uint32_t check, struct bytes token);
    void *judge_context;
};

/* Index of the route in ROUTE, or ABI_NONE. */
uint32_t route_find(const struct view *view, uint32_t route_table, const struct route_input *input);

/* The routes that are asked about a host, in order: a range of ROUTE_LIST. */
struct abi_ref route_candidates(const struct view *view, uint32_t route_table, struct bytes host);

/* Whether one route matches, for explanations; `why_not` (may be NULL) gets static text. */
bool route_matches(const struct view *view, const struct abi_route *route,
                   const struct route_input *input, const char **why_not);

/* Whether all of `matches` hold. */
bool route_matches_all(const struct view *view, struct abi_ref matches,
                       const struct route_input *input);

/* Whether `path` matches a kind with its text or automaton. */
bool route_path_matches(const struct view *view, uint8_t kind, struct abi_text path, uint32_t dfa,
                        struct bytes value);

/* Which split a number in [0, ABI_SPLIT_TOTAL) falls into: index into SPLIT. `splits` is not empty.
 */
uint32_t route_split(const struct view *view, struct abi_ref splits, uint32_t number);

/* Whether the automaton accepts all of `in`. */
bool route_dfa_accepts(const struct view *view, uint32_t dfa, struct bytes in);

#endif
