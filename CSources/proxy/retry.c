/* Second tries. A request is sent again only when nothing of an answer went to its client, all of
 * it is there to be sent, and its method allows it; never more often than its route says, and only
 * as long as answers pay for it. */
#include "retry.h"

#include <string.h>

#include "base/num.h"
#include "l7.h"
#include "mux.h"
#include "record.h"
#include "wire/delay.h"

/* An upstream that fails must not get several times the load besides: a second try of what it
 * failed to answer costs as much as answers of the same target pay, with a few given in advance.
 * This holds for the node. */
#define RETRY_COST  5u
#define RETRY_DEBTS 10u

_Static_assert(RETRY_DEBTS >= LIMIT_RETRIES, "a request alone may make all that its route allows");

#define RETRY_LEAST_STATUS 409u /* that a condition without a list is about */

static bool retry_may_owe(const struct request *request)
{
    return __atomic_load_n(&request->target_tally->retries_owed, __ATOMIC_RELAXED) <=
           RETRY_COST * (RETRY_DEBTS - 1);
}

void retry_pay(const struct request *request)
{
    uint32_t *owed = &request->target_tally->retries_owed;
    uint32_t before = __atomic_load_n(owed, __ATOMIC_RELAXED);

    while (before > 0 && !__atomic_compare_exchange_n(owed, &before, before - 1, true,
                                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

void retry_begin(struct request *request, const struct abi_traffic *traffic)
{
    struct retry *retry = &request->retry;

    wheel_timer_init(&retry->timer, ring_token_as(request->timer.token, PROXY_KIND_RETRY_TIMER));
    retry->generation = request->generation->view.head->generation;
    memcpy(retry->codes, traffic->retry_codes, sizeof(retry->codes));
    retry->try_timeout_ms = traffic->try_timeout_ms;
    retry->backoff_ms = traffic->backoff_ms;
    retry->backoff_max_ms = traffic->backoff_max_ms;
    retry->from_status = RETRY_LEAST_STATUS;
    if ((request->retry_on & ABI_RETRY_GRPC) != 0) {
        retry->from_status = 200;
    } else if (retry->codes[0] != 0 && retry->codes[0] < RETRY_LEAST_STATUS) {
        retry->from_status = retry->codes[0];
    }
    request->flags |= REQUEST_RETRIES;
}

/* A stream that the upstream has not looked at (RFC 9113 8.7). */
static bool retry_was_refused(const struct request *request)
{
    return request->up->stream != NULL && (request->up->stream->flags & STREAM_REFUSED) != 0;
}

/* It came from the pool, so that its end may have crossed the request. Each is tried once at most;
 * of those that carry streams nobody knows which went first. */
static bool retry_was_idle(const struct request *request)
{
    return request_has(request, REQUEST_REUSED) && request->up->stream == NULL;
}

/* A connection has ended as connections do: that is no failure of anybody's, and the client need
 * not hear of it. Of idle ones each is tried once at most; what GOAWAY says was not looked at goes
 * elsewhere for nothing once. */
static bool retry_is_free(const struct request *request)
{
    return retry_was_idle(request) ||
           (!request_has(request, REQUEST_SPARED) && retry_was_refused(request) &&
            (request->up->stream->mux->flags & MUX_LEFT) != 0);
}

bool retry_was_unseen(const struct request *request)
{
    return retry_was_refused(request) || retry_was_idle(request);
}

/* Whether it can be sent again: all of it is held, nothing of an answer was passed on. */
static bool retry_is_whole(const struct request *request)
{
    bool held = !request_has(request, REQUEST_BODY_SENT) || request_has(request, REQUEST_BODY_KEPT);

    return request_has(request, REQUEST_BODY_DONE) && held &&
           !request_has(request, REQUEST_ANSWERED | REQUEST_INTERIM | REQUEST_UPGRADE);
}

/* ... and does no harm: nobody has looked at it, or its method allows it. */
static bool retry_is_harmless(const struct request *request)
{
    return retry_is_whole(request) &&
           (retry_was_refused(request) || h1_is_idempotent((enum h1_method)request->method) ||
            (request->retry_on & ABI_RETRY_ANY_METHOD) != 0);
}

static bool retry_is_left(const struct request *request)
{
    return request->retries > 0 && retry_may_owe(request);
}

/* The request's target in the current generation, for a try after its own was let go. */
static bool retry_pin(struct proxy *proxy, struct request *request)
{
    uint32_t target;

    if (request->generation != NULL) {
        return true;
    }
    target = view_find_target(&proxy->current->view, request->target_key);
    if (target == ABI_NONE) {
        return false;
    }
    request->generation = proxy->current;
    generation_use(request->generation);
    request->target = target;
    if (!request_has(request, REQUEST_RETRIES) ||
        request->retry.generation != proxy->current->view.head->generation) {
        request->tried_count = 0;
        request->retry.generation = proxy->current->view.head->generation;
    }
    return true;
}

/* An endpoint that was not tried, else again one that was. */
static void retry_start(struct proxy *proxy, struct request *request)
{
    uint8_t tried = request->tried_count;
    enum upstream_result result = upstream_start(proxy, request, &l7up_ops);

    if (result == UPSTREAM_FAILED && tried > 0 && request->tried_count == tried) {
        request->tried_count = 0;
        result = upstream_start(proxy, request, &l7up_ops);
    }
    if (result == UPSTREAM_READY) {
        l7_upstream_ready(proxy, request);
    } else if (result == UPSTREAM_FAILED) {
        l7_fail(proxy, request, (enum abi_outcome)request->outcome);
    }
}

/* Leaves the upstream and tries again, after the pause that the route asks for; not before
 * `least_ms` from now. */
static void retry_again(struct proxy *proxy, struct request *request, bool pauses,
                        uint32_t least_ms)
{
    struct retry *retry = &request->retry;
    uint32_t pause_ms = 0;

    upstream_leave(proxy, request, false);
    request->flags &= ~(uint32_t)REQUEST_SENT;
    request->down->stage = L7_AWAIT_UPSTREAM;
    abi_stat_add(&request->target_stats->counters[ABI_TARGET_RETRIES], 1);
    if (request_has(request, REQUEST_RETRIES)) {
        pause_ms = retry->backoff_ms;
        wheel_cancel(&proxy->wheel, &retry->timer);
    }
    if (num_max_u32(pause_ms, least_ms) == 0 || !pauses) {
        retry_start(proxy, request);
        return;
    }
    retry->backoff_ms = num_min_u32(2 * pause_ms, retry->backoff_max_ms);
    /* Half of it by chance: what failed together does not come back together. */
    pause_ms -= (uint32_t)(proxy_random(proxy) % (pause_ms / 2 + 1));
    pause_ms = num_max_u32(pause_ms, least_ms);
    wheel_arm(&proxy->wheel, &retry->timer, proxy->now_ms, pause_ms);
}

/* Whether it may still be made, now that the target is known; it is paid for then. */
static bool retry_charge(struct proxy *proxy, struct request *request)
{
    const struct abi_target *target = &request->generation->view.targets[request->target];

    if (target->guard != ABI_NONE && !limits_retry(proxy, request, target)) {
        return false;
    }
    MUST(request->may_try < REQUEST_TRIES);
    request->retries--;
    request->may_try++;
    __atomic_add_fetch(&request->target_tally->retries_owed, RETRY_COST, __ATOMIC_RELAXED);
    return true;
}

bool retry_after_loss(struct proxy *proxy, struct request *request, enum abi_outcome outcome)
{
    bool late = outcome == ABI_OUTCOME_REQUEST_TIMEOUT;
    bool free = !late && retry_is_free(request);
    bool asked = (request->retry_on & (late ? ABI_RETRY_TIMEOUT : ABI_RETRY_RESET)) != 0;
    bool silent = request->up->in.length == 0;
    bool may;

    may = free ? retry_is_harmless(request)
               : (asked || retry_was_refused(request)) && retry_is_left(request) &&
                     retry_is_harmless(request);
    if (!silent || !may || !retry_pin(proxy, request) || (!free && !retry_charge(proxy, request))) {
        return false;
    }
    request->flags |= free ? (uint32_t)REQUEST_SPARED : 0;
    if (request->record != NULL) {
        record_try_over(proxy, request, 0, outcome);
    }
    retry_again(proxy, request, !free, 0);
    return true;
}

static bool retry_wants(const struct request *request, uint16_t status)
{
    uint32_t on = request->retry_on;

    if ((status >= 500 && (on & ABI_RETRY_5XX) != 0) ||
        (status >= 502 && status <= 504 && (on & ABI_RETRY_GATEWAY) != 0) ||
        (status == 409 && (on & ABI_RETRY_CONFLICT) != 0) ||
        (status == 429 && (on & ABI_RETRY_LIMITED) != 0)) {
        return true;
    }
    for (uint32_t i = 0; i < LIMIT_RETRY_CODES && request->retry.codes[i] != 0; i++) {
        if (request->retry.codes[i] == status) {
            return true;
        }
    }
    return false;
}

/* The answer is a failure of a call that its route names. A method says nothing about those: it is
 * always POST. */
static bool retry_wants_call(const struct request *request, const struct h1_head *head,
                             const uint8_t *start)
{
    return (request->retry_on & ABI_RETRY_GRPC) != 0 && request_has(request, REQUEST_GRPC) &&
           (request->retry_on & l7grpc_condition(head, start)) != 0;
}

/* How long the upstream asks to be left alone. */
static uint32_t retry_after(const struct proxy *proxy, const uint8_t *start)
{
    const struct h1_field *field = l7head_find(&proxy->head, start, BYTES_LITERAL("retry-after"));
    int64_t wait_ms;

    if (field == NULL) {
        return 0;
    }
    wait_ms = delay_parse_retry_after(h1_value(start, field), ring_wall_s(proxy->ring));
    return wait_ms < 0 ? 0 : (uint32_t)wait_ms;
}

bool retry_after_answer(struct proxy *proxy, struct request *request, const uint8_t *start)
{
    uint64_t *counters = request->target_stats->counters;
    uint16_t status = proxy->head.status;
    bool call = retry_wants_call(request, &proxy->head, start);
    uint32_t least_ms;

    if ((!call && !retry_wants(request, status)) || !retry_is_left(request) ||
        !(call ? retry_is_whole(request) : retry_is_harmless(request))) {
        return false;
    }
    least_ms = retry_after(proxy, start);
    if (least_ms > request->retry.backoff_max_ms || !retry_pin(proxy, request)) {
        return false; /* nobody waits that long here: the client may */
    }
    if (!retry_charge(proxy, request)) {
        request_unpin(proxy, request);
        return false;
    }
    if (request_has(request, REQUEST_WATCHED)) {
        outlier_answered(proxy, request, status);
    }
    abi_stat_add(&counters[ABI_TARGET_CODE_2XX + status / 100 - 2], 1);
    abi_histogram_add(&request->target_stats->latency,
                      (ring_now_ns(proxy->ring) - request->sent_ns) / 1000u);
    upstream_count_answer(proxy, request, status);
    if (request->record != NULL) {
        record_try_over(proxy, request, status, ABI_OUTCOME_OK);
    }
    retry_again(proxy, request, true, least_ms);
    return true;
}

void retry_sent(struct proxy *proxy, struct request *request)
{
    if (request->retry.try_timeout_ms > 0) {
        wheel_arm(&proxy->wheel, &request->retry.timer, proxy->now_ms,
                  request->retry.try_timeout_ms);
    }
}

void retry_settled(struct proxy *proxy, struct request *request)
{
    wheel_cancel(&proxy->wheel, &request->retry.timer);
}

void retry_on_timer(struct proxy *proxy, struct request *request)
{
    if (request->up == NULL) {
        retry_start(proxy, request); /* the pause is over */
        return;
    }
    MUST(request_has(request, REQUEST_SENT));
    if (request_has(request, REQUEST_WATCHED)) {
        outlier_failed(proxy, request, true);
    }
    if (!retry_after_loss(proxy, request, ABI_OUTCOME_REQUEST_TIMEOUT)) {
        request->flags |= request_has(request, REQUEST_BODY_DONE) ? 0 : REQUEST_CLOSE_DOWN;
        l7_fail(proxy, request, ABI_OUTCOME_REQUEST_TIMEOUT);
    }
}
