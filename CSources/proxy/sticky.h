/* Requests that belong together go to the same endpoint; private to the room. */
#ifndef PROXY_STICKY_H
#define PROXY_STICKY_H

#include "l7.h"

/* Hashes what the balancer of the request's target names; a cookie that has to be made for it comes
 * to the answer. After the head is built. false: there is no memory for that. */
[[nodiscard]] bool sticky_judge(struct proxy *proxy, struct request *request,
                                const struct l7_view *view);

/* The same for a stream, which has an address and nothing else. */
void sticky_judge_stream(struct proxy *proxy, struct request *request);

#endif
