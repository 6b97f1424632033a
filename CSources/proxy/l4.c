/* Streams of bytes: L4 connections from accept until their upstream is connected. */
#include "record.h"
#include "sticky.h"

static const struct conn_ops l4up_ops;

static void l4_end(struct proxy *proxy, struct request *request, enum abi_outcome outcome)
{
    struct conn *down = request->down;

    upstream_leave(proxy, request, false);
    request_end(proxy, request, outcome);
    conn_close(proxy, down, true); /* it must not look like a whole, empty stream */
}

static void l4_go_on(struct proxy *proxy, struct request *request, enum upstream_result result)
{
    if (result == UPSTREAM_FAILED) {
        l4_end(proxy, request, (enum abi_outcome)request->outcome);
    }
}

struct abi_ref l4_route(const struct view *view, const struct abi_listener *entry,
                        struct bytes name)
{
    const struct route_input input = {.host = name};
    uint32_t route = name.len == 0 ? ABI_NONE : route_find(view, entry->route_table, &input);

    return route != ABI_NONE && view->routes[route].action == ABI_ACTION_FORWARD
               ? view->routes[route].splits
               : entry->splits;
}

/* A gateway understands the requests to services that speak HTTP: their intentions are asked for
 * each of them. */
static bool l4_is_http(const struct view *view, const struct abi_listener *entry,
                       struct abi_ref splits)
{
    return (entry->flags & ABI_LISTENER_GATEWAY) != 0 && splits.count > 0 &&
           view->targets[view->splits[splits.at].target].protocol != ABI_PROTOCOL_TCP;
}

static void l4_opened(struct proxy *proxy, struct conn *conn)
{
    struct listener *listener = listener_of(proxy, conn);
    const struct abi_listener *entry = listener_entry(proxy, listener);
    struct abi_ref splits = {0, 0};

    if (entry != NULL) {
        splits = (entry->flags & ABI_LISTENER_GATEWAY) == 0
                     ? entry->splits
                     : l4_route(&proxy->current->view, entry, tls_server_name(conn->tls));
        if (l4_is_http(&proxy->current->view, entry, splits)) {
            conn->ops = &l7_ops;
            conn->ops->opened(proxy, conn);
            return;
        }
    }
    if (conn->tls != NULL) {
        abi_stat_add(&listener->stats->counters[ABI_LISTENER_HANDSHAKES], 1);
        abi_stat_add(&listener->stats->counters[ABI_LISTENER_HANDSHAKES_RESUMED],
                     tls_resumed(conn->tls) ? 1 : 0);
    }
    if (entry == NULL) {
        conn_close(proxy, conn, true);
        return;
    }
    if (splits.count == 0) {
        listener_refuse(proxy, conn, ABI_OUTCOME_NO_ROUTE);
        return;
    }
    l4_begin(proxy, conn, splits);
}

void l4_begin(struct proxy *proxy, struct conn *conn, struct abi_ref splits)
{
    struct listener *listener = listener_of(proxy, conn);
    const struct abi_listener *entry = listener_entry(proxy, listener); /* its caller has seen it */
    const struct view *view = &proxy->current->view;
    struct request *request;
    uint32_t split;

    wheel_cancel(&proxy->wheel, &conn->timer);
    if (!authz_connection(proxy, conn)) {
        listener_refuse(proxy, conn, ABI_OUTCOME_DENIED);
        return;
    }
    request = request_create(proxy, conn);
    if (request == NULL) {
        listener_refuse(proxy, conn, ABI_OUTCOME_OVERLOAD);
        return;
    }
    request->flags |= REQUEST_L4;
    if (entry->log != ABI_NONE) {
        record_begin(proxy, request, NULL);
    }
    abi_stat_add(&listener->stats->counters[ABI_LISTENER_REQUESTS], 1);
    split = route_split(view, splits, (uint32_t)(proxy_random(proxy) % ABI_SPLIT_TOTAL));
    request->target = view->splits[split].target;
    request->target_key = view->targets[request->target].key;
    if (!authz_target(proxy, conn, request->target)) {
        l4_end(proxy, request, ABI_OUTCOME_DENIED);
        return;
    }
    if (request->record != NULL) {
        record_intention(proxy, request);
    }
    if (view->targets[request->target].balancer != ABI_NONE) {
        sticky_judge_stream(proxy, request);
    }
    conn_pause(conn);
    l4_go_on(proxy, request, upstream_start(proxy, request, &l4up_ops));
}

static size_t l4_data(struct proxy *proxy, struct conn *conn, struct bytes in)
{
    (void)proxy;
    (void)conn;
    (void)in;
    return 0; /* held until the upstream is there */
}

static void l4_ended(struct proxy *proxy, struct conn *conn)
{
    /* Paused until the relay starts: an end is told then. */
    (void)proxy;
    (void)conn;
}

static void l4_drained(struct proxy *proxy, struct conn *conn)
{
    (void)proxy;
    (void)conn;
}

static void l4_failed(struct proxy *proxy, struct conn *conn, enum abi_outcome outcome)
{
    struct listener *listener = listener_of(proxy, conn);

    if (conn->user != NULL) {
        l4_end(proxy, conn->user, outcome);
        return;
    }
    if (outcome == ABI_OUTCOME_TLS) {
        abi_stat_add(&listener->stats->counters[ABI_LISTENER_HANDSHAKES_FAILED], 1);
    }
    abi_stat_add(&listener->stats->outcomes[outcome], 1);
    record_refused(proxy, conn, 0, outcome);
    if (conn->state == CONN_HANDSHAKING) {
        conn_finish(proxy, conn);
        return;
    }
    conn_close(proxy, conn, false);
}

static void l4_timeout(struct proxy *proxy, struct conn *conn)
{
    l4_failed(proxy, conn,
              conn->state == CONN_HANDSHAKING ? ABI_OUTCOME_TLS : ABI_OUTCOME_IDLE_TIMEOUT);
}

const struct conn_ops l4_ops = {
    .opened = l4_opened,
    .data = l4_data,
    .ended = l4_ended,
    .drained = l4_drained,
    .failed = l4_failed,
    .timeout = l4_timeout,
};

static void l4up_opened(struct proxy *proxy, struct conn *conn)
{
    struct request *request = conn->user;

    wheel_cancel(&proxy->wheel, &conn->timer);
    request->flags |= REQUEST_SENT;
    if (request->record != NULL) {
        record_connected(proxy, request);
    }
    abi_stat_add(&request->target_stats->counters[ABI_TARGET_REQUESTS], 1);
    if (request_has(request, REQUEST_WATCHED)) {
        outlier_succeeded(proxy, request);
    }
    if (request->held != 0) {
        limits_connected(proxy, request);
    }
    request_unpin(proxy, request);
    relay_start(proxy, request);
}

static void l4up_failed(struct proxy *proxy, struct conn *conn, enum abi_outcome outcome)
{
    struct request *request = conn->user;

    if (outcome == ABI_OUTCOME_CLIENT_GONE) {
        outcome = ABI_OUTCOME_CONNECT_FAILED;
    } else if (outcome == ABI_OUTCOME_TLS) {
        outcome = ABI_OUTCOME_UPSTREAM_TLS;
    }
    if (request_has(request, REQUEST_WATCHED)) {
        outlier_failed(proxy, request, true);
    }
    l4_go_on(proxy, request, upstream_retry(proxy, request, outcome, &l4up_ops));
}

static void l4up_timeout(struct proxy *proxy, struct conn *conn)
{
    l4up_failed(proxy, conn, ABI_OUTCOME_CONNECT_TIMEOUT);
}

static const struct conn_ops l4up_ops = {
    .connected = upstream_connected,
    .opened = l4up_opened,
    .data = l4_data,
    .ended = l4_ended,
    .drained = l4_drained,
    .failed = l4up_failed,
    .timeout = l4up_timeout,
};
