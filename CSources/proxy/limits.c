/* Each column of the tally has one writer, so counting takes no locked instruction. Two workers
 * that take the last place at the same moment both see the sum above the bound, and neither gets
 * it: the bound is never exceeded. */
#include "limits.h"

#include "l7.h"

#define LIMITS_POLL_MS   8u   /* what other workers give back is noticed so often */
#define LIMITS_WANTED_MS 100u /* so long after a worker found none, idle ones are closed for it */
#define LIMITS_SKIPS     8u   /* targets that are known to be full, in one walk of the line */

static uint32_t *limits_own(struct proxy *proxy, uint32_t slot, enum abi_tally_gauge gauge)
{
    return abi_tally_row(proxy->config.tally, slot, gauge) + proxy->config.worker;
}

static void limits_give(struct proxy *proxy, uint32_t slot, enum abi_tally_gauge gauge)
{
    uint32_t *own = limits_own(proxy, slot, gauge);

    MUST(*own > 0);
    __atomic_store_n(own, *own - 1, __ATOMIC_RELEASE);
}

static bool limits_take(struct proxy *proxy, uint32_t slot, enum abi_tally_gauge gauge,
                        uint32_t limit)
{
    uint32_t *own = limits_own(proxy, slot, gauge);

    __atomic_store_n(own, *own + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (abi_tally_sum(proxy->config.tally, slot, gauge) <= limit) {
        return true;
    }
    limits_give(proxy, slot, gauge);
    return false;
}

static const struct abi_guard *limits_guard(const struct view *view,
                                            const struct abi_target *target)
{
    return &view->guards[target->guard];
}

/* --- requests --- */

static bool limits_holds(const struct request *request, enum abi_tally_gauge gauge)
{
    return (request->held >> gauge & 1u) != 0;
}

static bool limits_request_takes(struct proxy *proxy, struct request *request,
                                 enum abi_tally_gauge gauge, uint32_t limit)
{
    if (limit == 0 || limits_holds(request, gauge)) {
        return true;
    }
    if (!limits_take(proxy, request->held_slot, gauge, limit)) {
        return false;
    }
    request->held |= (uint8_t)(1u << gauge);
    return true;
}

static void limits_request_gives(struct proxy *proxy, struct request *request,
                                 enum abi_tally_gauge gauge)
{
    if (limits_holds(request, gauge)) {
        limits_give(proxy, request->held_slot, gauge);
        request->held &= (uint8_t)~(1u << gauge);
    }
}

bool limits_admit(struct proxy *proxy, struct request *request, const struct abi_target *target)
{
    const struct abi_guard *guard = limits_guard(&request->generation->view, target);

    if (request->held != 0 && request->held_slot != target->stats_slot) {
        limits_leave(proxy, request); /* it goes on to another target */
    }
    request->held_slot = target->stats_slot;
    return limits_request_takes(proxy, request, ABI_TALLY_REQUESTS, guard->max_requests);
}

bool limits_pend(struct proxy *proxy, struct request *request, const struct abi_target *target)
{
    const struct abi_guard *guard = limits_guard(&request->generation->view, target);

    return limits_request_takes(proxy, request, ABI_TALLY_PENDING, guard->max_pending);
}

void limits_connected(struct proxy *proxy, struct request *request)
{
    limits_request_gives(proxy, request, ABI_TALLY_PENDING);
}

bool limits_retry(struct proxy *proxy, struct request *request, const struct abi_target *target)
{
    const struct abi_guard *guard = limits_guard(&request->generation->view, target);

    if (request->held != 0 && request->held_slot != target->stats_slot) {
        limits_leave(proxy, request);
    }
    request->held_slot = target->stats_slot;
    return limits_request_takes(proxy, request, ABI_TALLY_RETRIES, guard->max_retries);
}

void limits_leave(struct proxy *proxy, struct request *request)
{
    for (uint32_t gauge = 0; gauge < ABI_TALLY_GAUGE_COUNT; gauge++) {
        limits_request_gives(proxy, request, (enum abi_tally_gauge)gauge);
    }
}

/* --- connections --- */

bool limits_connect(struct proxy *proxy, const struct view *view, const struct abi_target *target,
                    uint32_t *held)
{
    uint32_t limit = limits_guard(view, target)->max_connections;

    *held = limit == 0 ? 0 : target->stats_slot + 1;
    return limit == 0 || limits_take(proxy, target->stats_slot, ABI_TALLY_CONNECTIONS, limit);
}

void limits_not_made(struct proxy *proxy, uint32_t held)
{
    if (held != 0) {
        limits_give(proxy, held - 1, ABI_TALLY_CONNECTIONS);
    }
}

void limits_closed(struct proxy *proxy, struct conn *conn)
{
    limits_give(proxy, conn->held - 1, ABI_TALLY_CONNECTIONS);
    conn->held = 0;
    limits_idle(proxy);
}

void limits_idle(struct proxy *proxy)
{
    proxy->queue_moves = true;
}

bool limits_is_wanted(const struct proxy *proxy, const struct conn *conn)
{
    const struct abi_tally_target *counted = abi_tally_target(proxy->config.tally, conn->held - 1);
    uint64_t wanted_ms = __atomic_load_n(&counted->wanted_ms, __ATOMIC_RELAXED);

    uint32_t by = __atomic_load_n(&counted->wanted_by, __ATOMIC_RELAXED);

    return by != 0 && by != proxy->config.worker + 1 &&
           proxy->now_ms < wanted_ms + LIMITS_WANTED_MS &&
           list_is_empty(&proxy->queue); /* else those in line here come first */
}

/* --- the line of those that wait --- */

void limits_queue(struct proxy *proxy, struct request *request, uint32_t wait_ms)
{
    struct abi_tally_target *counted = abi_tally_target(proxy->config.tally, request->held_slot);

    __atomic_store_n(&counted->wanted_ms, proxy->now_ms, __ATOMIC_RELAXED);
    __atomic_store_n(&counted->wanted_by, proxy->config.worker + 1, __ATOMIC_RELAXED);
    if (request_has(request, REQUEST_QUEUED)) {
        return; /* it keeps its place */
    }
    request->flags |= REQUEST_QUEUED;
    request->queued_until_ms = proxy->now_ms + wait_ms;
    list_add_last(&proxy->queue, &request->queue);
    if (!wheel_is_armed(&proxy->queue_timer)) {
        wheel_arm(&proxy->wheel, &proxy->queue_timer, proxy->now_ms, LIMITS_POLL_MS);
    }
}

void limits_unqueue(struct request *request)
{
    if (request_has(request, REQUEST_QUEUED)) {
        request->flags &= ~(uint32_t)REQUEST_QUEUED;
        list_remove(&request->queue);
    }
}

/* One in line: true when its target has no connection for it either. */
static bool limits_run_one(struct proxy *proxy, struct request *request)
{
    enum upstream_result result = upstream_start(proxy, request, &l7up_ops);

    if (result == UPSTREAM_WAIT && request->up == NULL) {
        return true;
    }
    limits_unqueue(request);
    if (result == UPSTREAM_READY) {
        l7_upstream_ready(proxy, request);
    } else if (result == UPSTREAM_FAILED) {
        l7_fail(proxy, request, (enum abi_outcome)request->outcome);
    }
    return false;
}

void limits_run_queue(struct proxy *proxy)
{
    uint32_t full[LIMITS_SKIPS];
    uint32_t count = 0;
    struct list_link end; /* of those that are looked at; all go behind it, in their order */

    proxy->queue_moves = false;
    list_add_last(&proxy->queue, &end);
    while (proxy->queue.next != &end) {
        struct request *request = LIST_OWNER(proxy->queue.next, struct request, queue);
        bool skip = false;

        list_remove(&request->queue);
        list_add_last(&proxy->queue, &request->queue);
        for (uint32_t i = 0; i < count; i++) {
            skip = skip || full[i] == request->held_slot;
        }
        if (proxy->now_ms >= request->queued_until_ms) {
            limits_unqueue(request);
            l7_fail(proxy, request, ABI_OUTCOME_UPSTREAM_LIMIT);
        } else if (!skip && limits_run_one(proxy, request) && count < LIMITS_SKIPS) {
            full[count++] = request->held_slot;
        }
    }
    list_remove(&end);
    if (!list_is_empty(&proxy->queue) && !wheel_is_armed(&proxy->queue_timer)) {
        wheel_arm(&proxy->wheel, &proxy->queue_timer, proxy->now_ms, LIMITS_POLL_MS);
    }
}
