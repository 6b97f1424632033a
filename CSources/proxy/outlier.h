/* Endpoints that fail are left out for a while, by every worker of the node; private to the room.
 * Nothing is asked of them: what became of requests is all that is known. */
#ifndef PROXY_OUTLIER_H
#define PROXY_OUTLIER_H

#include <stdbool.h>

#include "abi/snapshot.h"

struct proxy;
struct request;

/* The request goes to this endpoint of a target with a guard. */
void outlier_watch(struct proxy *proxy, struct request *request, const struct abi_target *target,
                   const struct abi_endpoint *endpoint);
/* Of requests with REQUEST_WATCHED, while they have their endpoint. `gateway`: it may not have
 * worked on the request at all. */
void outlier_failed(struct proxy *proxy, const struct request *request, bool gateway);
void outlier_succeeded(struct proxy *proxy, const struct request *request);
/* As the status of its answer says. */
void outlier_answered(struct proxy *proxy, const struct request *request, uint16_t status);

#endif
