/* How many requests a route takes, how long their heads and bodies may be; private to the room. */
#ifndef PROXY_RATES_H
#define PROXY_RATES_H

#include <stdbool.h>
#include <stdint.h>

#include "table/view.h"

struct proxy;
struct request;

/* Whether all rates admit the request; each then has a token less, those before one that refuses
 * too. false: *wait_s says when it may
 * come again. */
[[nodiscard]] bool rates_admit(struct proxy *proxy, struct request *request,
                               const struct view *view, struct abi_ref rates, uint32_t *wait_s);

#endif
