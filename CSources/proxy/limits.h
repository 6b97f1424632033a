/* Bounds of what goes to a target, for the whole node; private to the room. What a request or a
 * connection holds is counted in this worker's column of the tally and given back when it ends. */
#ifndef PROXY_LIMITS_H
#define PROXY_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/snapshot.h"
#include "abi/tally.h"
#include "table/view.h"

struct conn;
struct proxy;
struct request;

/* Whether the target takes one more request; it holds a place there until limits_leave(). */
[[nodiscard]] bool limits_admit(struct proxy *proxy, struct request *request,
                                const struct abi_target *target);
/* Whether the node may open one more connection to the target. *held is for conn.held, which
 * limits_closed() gives back, or for limits_not_made(). */
[[nodiscard]] bool limits_connect(struct proxy *proxy, const struct view *view,
                                  const struct abi_target *target, uint32_t *held);
void limits_not_made(struct proxy *proxy, uint32_t held);
/* A request begins to wait for a connection; false: too many do. */
[[nodiscard]] bool limits_pend(struct proxy *proxy, struct request *request,
                               const struct abi_target *target);
/* Its wait is over. */
void limits_connected(struct proxy *proxy, struct request *request);
/* A second try begins; false: too many are under way. */
[[nodiscard]] bool limits_retry(struct proxy *proxy, struct request *request,
                                const struct abi_target *target);
/* The request lets go of all it holds. */
void limits_leave(struct proxy *proxy, struct request *request);

/* A connection with `held` is closed, or idle in the pool. */
void limits_closed(struct proxy *proxy, struct conn *conn);
void limits_idle(struct proxy *proxy);
/* Whether another worker waits for a connection that this one holds idle. */
bool limits_is_wanted(const struct proxy *proxy, const struct conn *conn);

/* No connection is to be had: the request waits in line until one is, or for `wait_ms`. */
void limits_queue(struct proxy *proxy, struct request *request, uint32_t wait_ms);
/* It waits no longer, for whatever reason. */
void limits_unqueue(struct request *request);
/* Tries for those in line; at the end of a turn in which something was freed, and by the clock. */
void limits_run_queue(struct proxy *proxy);

#endif
