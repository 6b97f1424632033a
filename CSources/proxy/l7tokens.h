/* What the service behind a sidecar sees of a request's tokens; for heads of requests, private to
 * the room. */
#ifndef PROXY_L7TOKENS_H
#define PROXY_L7TOKENS_H

#include "l7.h"
#include "l7vars.h"

/* Whether tokens decide about who comes in here, and the service itself is behind. */
bool l7tokens_decide(struct proxy *proxy, const struct conn *down);
/* Whether a field goes no further: it had the token that was looked at, or is one that only we
 * write. */
bool l7tokens_drops(struct proxy *proxy, const struct conn *down, const struct l7_view *view,
                    struct bytes name);
/* The next check whose token's payload the service gets, from *at = 0 on; NULL: no more. */
const struct abi_token_check *l7tokens_forward(struct proxy *proxy, const struct l7vars *vars,
                                               uint32_t *at, struct bytes *payload);

#endif
