/* Bytes both ways: L4 connections once their upstream is connected, and upgraded HTTP connections.
 */
#include "request.h"

#define RELAY_BULK_AFTER 4u     /* large receives in a row before splice takes over */
#define RELAY_BULK_SIZE  32768u /* ... of at least this size */
#define RELAY_CLOSING_MS 30000u /* without a byte read of the last output */

static const struct conn_ops relay_ops;
static void relay_ended(struct proxy *proxy, struct conn *conn);
static void relay_failed(struct proxy *proxy, struct conn *conn, enum abi_outcome outcome);

static void relay_nothing(struct proxy *proxy, struct conn *conn)
{
    (void)proxy;
    (void)conn;
}

/* Both ends at once. */
static void relay_cut(struct proxy *proxy, struct request *request, enum abi_outcome outcome)
{
    struct conn *down = request->down;

    upstream_leave(proxy, request, false);
    request_end(proxy, request, outcome);
    conn_close(proxy, down, true);
}

static struct conn *relay_other(const struct request *request, const struct conn *conn)
{
    return conn == request->down ? request->up : request->down;
}

static void relay_count(struct proxy *proxy, struct request *request, const struct conn *from,
                        uint64_t count)
{
    struct abi_listener_stats *stats = listener_of(proxy, request->down)->stats;

    if (from == request->down) {
        request->bytes_in += count;
        abi_stat_add(&stats->counters[ABI_LISTENER_BYTES_IN], count);
        abi_stat_add(&request->target_stats->counters[ABI_TARGET_BYTES_OUT], count);
    } else {
        request->bytes_out += count;
        abi_stat_add(&stats->counters[ABI_LISTENER_BYTES_OUT], count);
        abi_stat_add(&request->target_stats->counters[ABI_TARGET_BYTES_IN], count);
    }
}

static uint64_t relay_remaining(struct proxy *proxy, struct conn *from)
{
    (void)proxy;
    (void)from;
    return UINT64_MAX;
}

static void relay_moved(struct proxy *proxy, struct conn *from, uint64_t count)
{
    relay_count(proxy, from->user, from, count);
}

static void relay_bulk_done(struct proxy *proxy, struct conn *from, bool source_ended, bool failed)
{
    if (failed) {
        relay_failed(proxy, from, ABI_OUTCOME_CLIENT_GONE);
    } else if (source_ended) {
        from->flags |= CONN_END_TOLD;
        relay_ended(proxy, from);
    }
}

static const struct bulk_user relay_bulk = {
    .remaining = relay_remaining,
    .moved = relay_moved,
    .done = relay_bulk_done,
};

static size_t relay_data(struct proxy *proxy, struct conn *conn, struct bytes in)
{
    struct request *request = conn->user;
    struct conn *other = relay_other(request, conn);

    relay_count(proxy, request, conn, in.len);
    conn_write(proxy, other, &in, 1);
    if (conn_is_full(other)) {
        conn_pause(conn);
    }
    conn->stage = in.len >= RELAY_BULK_SIZE ? (uint8_t)(conn->stage + 1) : (uint8_t)0;
    if (conn->stage >= RELAY_BULK_AFTER) {
        conn->stage = 0;
        (void)bulk_start(proxy, conn, other, &relay_bulk);
    }
    return in.len;
}

static size_t relay_closing_data(struct proxy *proxy, struct conn *conn, struct bytes in)
{
    (void)proxy;
    (void)conn;
    return in.len;
}

static void relay_closing_failed(struct proxy *proxy, struct conn *conn, enum abi_outcome outcome)
{
    (void)outcome;
    conn_close(proxy, conn, false);
}

static void relay_closing_timeout(struct proxy *proxy, struct conn *conn)
{
    uint64_t idle_ms = proxy->now_ms - conn->sent_ms;

    if (idle_ms >= RELAY_CLOSING_MS) {
        conn_close(proxy, conn, true);
    } else {
        conn_arm_timer(proxy, conn, RELAY_CLOSING_MS - idle_ms);
    }
}

/* A connection whose exchange is over and whose last output is on its way. */
static const struct conn_ops relay_closing_ops = {
    .opened = relay_nothing,
    .data = relay_closing_data,
    .ended = relay_nothing,
    .drained = relay_nothing,
    .failed = relay_closing_failed,
    .timeout = relay_closing_timeout,
};

static void relay_end(struct proxy *proxy, struct request *request)
{
    struct conn *pair[2] = {request->down, request->up};

    request->up->user = NULL;
    if (request->up->tls != NULL) {
        uppool_keep_resume(proxy, request->up->pool_key, request->up->tls);
    }
    if (request->overlay_slot != ABI_NONE) {
        proxy->loads[request->overlay_slot]--;
        request->overlay_slot = ABI_NONE;
    }
    request->up = NULL;
    request_end(proxy, request, ABI_OUTCOME_OK);
    for (int i = 0; i < 2; i++) {
        pair[i]->ops = &relay_closing_ops;
        conn_arm_timer(proxy, pair[i], RELAY_CLOSING_MS);
        conn_finish(proxy, pair[i]);
    }
}

static void relay_ended(struct proxy *proxy, struct conn *conn)
{
    struct request *request = conn->user;
    struct conn *other = relay_other(request, conn);

    conn_shut(proxy, other);
    if (conn_has(other, CONN_END_TOLD)) {
        relay_end(proxy, request);
    }
}

static void relay_drained(struct proxy *proxy, struct conn *conn)
{
    conn_offer(proxy, relay_other(conn->user, conn));
}

static void relay_failed(struct proxy *proxy, struct conn *conn, enum abi_outcome outcome)
{
    struct request *request = conn->user;

    if (outcome == ABI_OUTCOME_CLIENT_GONE && conn == request->up) {
        outcome = ABI_OUTCOME_UPSTREAM_RESET;
        abi_stat_add(&request->target_stats->counters[ABI_TARGET_RESETS], 1);
    } else if (outcome == ABI_OUTCOME_TLS && conn == request->up) {
        outcome = ABI_OUTCOME_UPSTREAM_TLS;
    }
    relay_cut(proxy, request, outcome);
}

static void relay_timeout(struct proxy *proxy, struct conn *conn)
{
    struct request *request = conn->user;
    const struct abi_listener *entry = listener_entry(proxy, listener_of(proxy, request->down));
    uint64_t moved_ms = request->down->moved_ms > request->up->moved_ms ? request->down->moved_ms
                                                                        : request->up->moved_ms;
    uint64_t idle_ms = proxy->now_ms - moved_ms;

    if (entry == NULL || entry->idle_timeout_ms == 0) {
        return;
    }
    if (idle_ms > entry->idle_timeout_ms) { /* not at it: times are rounded down */
        relay_failed(proxy, conn, ABI_OUTCOME_IDLE_TIMEOUT);
    } else {
        conn_arm_timer(proxy, conn, entry->idle_timeout_ms - idle_ms);
    }
}

static const struct conn_ops relay_ops = {
    .opened = relay_nothing,
    .data = relay_data,
    .ended = relay_ended,
    .drained = relay_drained,
    .failed = relay_failed,
    .timeout = relay_timeout,
};

void relay_start(struct proxy *proxy, struct request *request)
{
    const struct abi_listener *entry = listener_entry(proxy, listener_of(proxy, request->down));

    request->down->ops = &relay_ops;
    request->up->ops = &relay_ops;
    request->down->stage = 0;
    request->up->stage = 0;
    wheel_cancel(&proxy->wheel, &request->up->timer);
    wheel_cancel(&proxy->wheel, &request->timer);
    if (entry != NULL && entry->kind == ABI_LISTENER_L4 && entry->idle_timeout_ms != 0) {
        conn_arm_timer(proxy, request->down, entry->idle_timeout_ms);
    } else {
        wheel_cancel(&proxy->wheel, &request->down->timer);
    }
    conn_offer(proxy, request->down);
    conn_offer(proxy, request->up);
}
