/* Tokens of requests: where they stand, and whether what a permission asks of them holds. What a
 * token is worth, only the control plane says (route_input.judge). */
#ifndef TABLE_TOKEN_H
#define TABLE_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "table/route.h"
#include "table/view.h"

/* Whether the requirement with this number (1 + index of TOKEN, 0: none, which holds) is met. */
enum route_token token_judge(const struct view *view, uint32_t number,
                             const struct route_input *input);

/* The token that a check is about: of the first of its places that has one. Empty: none has.
 * `place`: where it was found, an index of TOKEN_PLACE; may be NULL. */
struct bytes token_find(const struct view *view, const struct abi_token_check *check,
                        const struct route_input *input, uint32_t *place);

/* The middle one of a token's three parts: its payload in base64url; empty: it has not three. */
struct bytes token_payload(struct bytes token);

#endif
