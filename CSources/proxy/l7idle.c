/* Exchanges in which nothing moves. Bytes touch no timer: it looks when the last one was. */
#include "l7.h"

void l7idle_begin(struct proxy *proxy, struct request *request, uint32_t idle_ms)
{
    wheel_timer_init(&request->idle, ring_token_as(request->timer.token, PROXY_KIND_IDLE_TIMER));
    request->idle_ms = idle_ms;
    request->flags |= REQUEST_IDLES;
    wheel_arm(&proxy->wheel, &request->idle, proxy->now_ms, idle_ms);
}

/* When something moved last, on either side. What has not been sent yet waits for a connection or
 * for its next try: those have times of their own. */
static uint64_t l7idle_moved_ms(const struct proxy *proxy, const struct request *request)
{
    uint64_t moved_ms;

    if (request->up == NULL || !request_has(request, REQUEST_SENT)) {
        return proxy->now_ms;
    }
    moved_ms = request->sent_ns / 1000000u;
    moved_ms = request->down->moved_ms > moved_ms ? request->down->moved_ms : moved_ms;
    return request->up->moved_ms > moved_ms ? request->up->moved_ms : moved_ms;
}

void l7idle_on_timer(struct proxy *proxy, struct request *request)
{
    enum abi_outcome outcome = ABI_OUTCOME_IDLE_TIMEOUT;
    uint64_t idle_ms = proxy->now_ms - l7idle_moved_ms(proxy, request);

    if (idle_ms <= request->idle_ms) { /* over when it is past: times are rounded down */
        wheel_arm(&proxy->wheel, &request->idle, proxy->now_ms, request->idle_ms - idle_ms + 1);
        return;
    }
    if (!request_has(request, REQUEST_BODY_DONE)) {
        request->flags |= REQUEST_CLOSE_DOWN;
    } else if (!request_has(request, REQUEST_ANSWERED)) {
        outcome = ABI_OUTCOME_REQUEST_TIMEOUT; /* the upstream is silent */
        if (request_has(request, REQUEST_WATCHED)) {
            outlier_failed(proxy, request, true);
        }
    }
    l7_fail(proxy, request, outcome);
}
