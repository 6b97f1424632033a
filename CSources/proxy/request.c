/* One exchange: taken, counted, given back. */
#include "l7code.h"
#include "mirror.h"
#include "record.h"

#include <stddef.h>
#include <string.h>

struct request *request_create(struct proxy *proxy, struct conn *down)
{
    struct request *request = pool_take_dirty(&proxy->requests);

    if (request == NULL) {
        return NULL;
    }
    /* Of the head only what is written is read, and clearing it would cost more than the rest. */
    memset(request, 0, offsetof(struct request, queue));
    wheel_timer_init(&request->timer,
                     ring_token(PROXY_KIND_REQUEST_TIMER, pool_slot(&proxy->requests, request),
                                pool_generation(&proxy->requests, request)));
    request->down = down;
    request->generation = proxy->current;
    request->overlay_slot = ABI_NONE;
    request->may_try = LIMIT_DIALS;
    request->started_ns = ring_now_ns(proxy->ring);
    generation_use(request->generation);
    down->user = request;
    proxy_count(proxy, ABI_WORKER_REQUESTS_ACTIVE, 1);
    return request;
}

void request_unpin(struct proxy *proxy, struct request *request)
{
    if (request->generation != NULL) {
        if (request->record != NULL) {
            record_keep_names(request);
        }
        generation_leave(proxy, request->generation);
        request->generation = NULL;
    }
}

/* What the route's clients got. A client that left is no error of the route. */
static void request_count_route(struct proxy *proxy, const struct request *request,
                                enum abi_outcome outcome)
{
    struct abi_way_stats *way = abi_stats_route(proxy->stats, request->route - 1u);
    bool whole = outcome == ABI_OUTCOME_OK || outcome == ABI_OUTCOME_RESPONDED;
    uint32_t status = outcome == ABI_OUTCOME_CLIENT_GONE ? 499u
                      : whole || request->status >= 400  ? request->status
                                                         : 0;

    abi_way_answered(way, status, (ring_now_ns(proxy->ring) - request->started_ns) / 1000u);
    if (request->tries > 1) {
        abi_stat_add(&way->counters[ABI_WAY_RETRIES], request->tries - 1u);
    }
}

/* What few have. */
static void request_let_go(struct proxy *proxy, struct request *request)
{
    if (request_has(request, REQUEST_IDLES)) {
        wheel_cancel(&proxy->wheel, &request->idle);
    }
    if (request_has(request, REQUEST_BODY_KEPT)) {
        spill_clear(&request->kept_more, &proxy->blocks);
    }
}

void request_end(struct proxy *proxy, struct request *request, enum abi_outcome outcome)
{
    struct abi_listener_stats *stats = listener_of(proxy, request->down)->stats;

    MUST(request->up == NULL);
    if (request->record != NULL) {
        record_end(proxy, request, outcome);
    }
    if (request->target_stats != NULL) {
        abi_stat_add(&request->target_stats->outcomes[outcome], 1);
    }
    if (request->route != 0) {
        request_count_route(proxy, request, outcome);
    }
    request_unpin(proxy, request);
    wheel_cancel(&proxy->wheel, &request->timer);
    if (request->mirror != NULL) {
        mirror_part(proxy, request);
    }
    if (request_has(request, REQUEST_RETRIES)) {
        retry_settled(proxy, request);
    }
    if (request_has(request, REQUEST_IDLES | REQUEST_BODY_KEPT)) {
        request_let_go(proxy, request);
    }
    if (request->held != 0) {
        limits_leave(proxy, request);
    }
    limits_unqueue(request);
    if (request->coder != NULL) {
        l7code_forget(proxy, request);
    }
    spill_clear(&request->big_head, &proxy->blocks);
    spill_clear(&request->trailers, &proxy->blocks);
    spill_clear(&request->big_ops, &proxy->blocks);
    request->down->user = NULL;
    abi_stat_add(&stats->outcomes[outcome], 1);
    abi_histogram_add(&stats->latency, (ring_now_ns(proxy->ring) - request->started_ns) / 1000u);
    proxy_gauge_down(proxy, ABI_WORKER_REQUESTS_ACTIVE);
    pool_give(&proxy->requests, request);
}
