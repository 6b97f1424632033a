/* Copies of requests, sent to another service besides; private to the room.
 *
 * A copy is a request without a client (REQUEST_MIRROR): nobody waits for it, and whatever becomes
 * of it, its original does not notice. It takes what the original's client sends when that comes,
 * never asks for it, and is given up when it cannot follow. */
#ifndef PROXY_MIRROR_H
#define PROXY_MIRROR_H

#include "l7.h"

/* The request is about to be forwarded, its head is built. */
void mirror_start(struct proxy *proxy, struct request *request, const struct l7_view *view,
                  const struct abi_traffic *traffic);
/* Some of its body, as it came. */
void mirror_body(struct proxy *proxy, struct request *request, struct bytes in);
/* The original ends: a copy that has not all of the request is given up. */
void mirror_part(struct proxy *proxy, struct request *request);
/* The verdict that a copy waited for. */
void mirror_judged(struct proxy *proxy, struct request *copy, bool held);
/* The copy's time is over. */
void mirror_timeout(struct proxy *proxy, struct request *copy);
/* Gives it up. */
void mirror_stop(struct proxy *proxy, struct request *copy);

#endif
