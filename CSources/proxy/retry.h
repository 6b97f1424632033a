/* Second tries of a request: when they do no harm, what they cost, and the pause before them;
 * private to the room. */
#ifndef PROXY_RETRY_H
#define PROXY_RETRY_H

#include "abi/errors.h"
#include "abi/snapshot.h"
#include "core/wheel.h"

struct proxy;
struct request;

/* What the route asks for, kept because an answer may come when the table is gone. Meaningful with
 * REQUEST_RETRIES only. */
struct retry {
    struct wheel_timer timer; /* of the pause before a try, or of a try that waits for its answer */
    uint64_t generation;      /* in which request.tried counts */
    uint16_t codes[LIMIT_RETRY_CODES];
    uint32_t try_timeout_ms;
    uint32_t backoff_ms; /* of the next pause */
    uint32_t backoff_max_ms;
    uint16_t from_status; /* answers with a status below it are no reason for another try */
};

/* The route has `traffic`. */
void retry_begin(struct request *request, const struct abi_traffic *traffic);
/* Its head has been sent: the try's time runs. */
void retry_sent(struct proxy *proxy, struct request *request);
/* The upstream was lost before its answer. true: there is another try; false: it is over. */
bool retry_after_loss(struct proxy *proxy, struct request *request, enum abi_outcome outcome);
/* Whether the endpoint may not have looked at the request that was lost: it says so, or its
 * connection was idle before and may have been closed meanwhile. */
bool retry_was_unseen(const struct request *request);
/* An answer's head has come, parsed from `start` into proxy.head. true: the answer is dropped and
 * there is another try. */
bool retry_after_answer(struct proxy *proxy, struct request *request, const uint8_t *start);
/* An answer is on its way down: no further try. */
void retry_settled(struct proxy *proxy, struct request *request);
/* An answer pays for second tries of others, where some are owed. */
void retry_pay(const struct request *request);
void retry_on_timer(struct proxy *proxy, struct request *request);

#endif
