/* A connection's life: made, opened, told what happened, closed, buried. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/err.h"
#include "conn_parts.h"
#include "limits.h"
#include "mux.h"

void conn_fail(struct proxy *proxy, struct conn *conn)
{
    if (conn->state == CONN_CLOSED || conn_has(conn, CONN_BROKEN)) {
        return;
    }
    conn->flags |= CONN_BROKEN;
    if (!conn_has(conn, CONN_READY)) {
        conn->flags |= CONN_READY;
        list_remove(&conn->turn);
        list_add_last(&proxy->ready, &conn->turn);
    }
}

void conn_make_ready(struct proxy *proxy, struct conn *conn)
{
    if (!conn_has(conn, CONN_READY) && conn->state != CONN_CLOSED) {
        conn->flags |= CONN_READY;
        list_remove(&conn->turn);
        list_add_last(&proxy->ready, &conn->turn);
    }
}

struct conn *conn_create(struct proxy *proxy, int fd, const struct conn_ops *ops)
{
    /* The pool has room for streams besides; sockets have a bound of their own. */
    bool room = proxy->conns.used - proxy->streams.used < proxy->max_sockets;
    struct conn *conn = room ? pool_take(&proxy->conns) : NULL;

    if (conn == NULL) {
        return NULL;
    }
    list_init(&conn->turn);
    list_init(&conn->group);
    list_init(&conn->kept);
    wheel_timer_init(&conn->timer, conn_token(proxy, conn, PROXY_KIND_TIMER));
    conn->fd = fd;
    conn->ops = ops;
    conn->listener = ABI_NONE;
    conn->moved_ms = proxy->now_ms;
    conn->sent_ms = proxy->now_ms;
    conn->since_ms = proxy->now_ms;
    conn->made_ms = proxy->now_ms;
    return conn;
}

void conn_arm_timer(struct proxy *proxy, struct conn *conn, uint64_t delay_ms)
{
    wheel_arm(&proxy->wheel, &conn->timer, proxy->now_ms, delay_ms);
}

void conn_drop_tls(struct proxy *proxy, struct conn *conn)
{
    if (conn->tls != NULL) {
        tls_session_destroy(conn->tls);
        conn->tls = NULL;
        proxy_gauge_down(proxy, ABI_WORKER_TLS_OPEN);
    }
}

static void conn_end(struct proxy *proxy, struct conn *conn, bool reset)
{
    struct listener *listener;
    bool cut;

    conn_settle(proxy, conn);
    cut = conn_is_stuck(conn); /* what waits will be missing */
    conn_drop_tls(proxy, conn);
    if (conn->bulk_from != NULL) {
        bulk_drop(proxy, conn->bulk_from);
    }
    if (conn->bulk_to != NULL) {
        bulk_drop(proxy, conn->bulk_to);
    }
    ring_close(proxy->ring, conn->fd, reset || cut); /* else what was sent would look whole */
    conn->fd = -1;
    conn->state = CONN_CLOSED;
    spill_clear(&conn->out, &proxy->blocks);
    spill_clear(&conn->in, &proxy->blocks);
    wheel_cancel(&proxy->wheel, &conn->timer);
    if (conn->life_ms != 0) {
        wheel_cancel(&proxy->wheel, &conn->life);
    }
    list_remove(&conn->group);
    list_remove(&conn->turn);
    list_add_last(&proxy->dead, &conn->turn);
    if (conn_has(conn, CONN_IDLE)) {
        conn->flags &= ~(uint32_t)CONN_IDLE;
        proxy->uppool.idle--;
        proxy->idles[conn->overlay_slot]--;
        proxy_gauge_down(proxy, ABI_WORKER_UPSTREAM_IDLE);
    }
    if (conn_has(conn, CONN_UPSTREAM)) {
        proxy_gauge_down(proxy, ABI_WORKER_UPSTREAM_OPEN);
        if (conn->held != 0) {
            limits_closed(proxy, conn);
        }
        abi_stat_set(&conn->target_stats->counters[ABI_TARGET_OPEN],
                     conn->target_stats->counters[ABI_TARGET_OPEN] - 1);
        return;
    }
    if (conn->proxied != NULL) {
        pool_give(&proxy->proxieds, conn->proxied);
        conn->proxied = NULL;
    }
    listener = &proxy->listeners[conn->listener];
    listener->open--;
    abi_stat_set(&listener->stats->counters[ABI_LISTENER_OPEN], listener->open);
    proxy_gauge_down(proxy, ABI_WORKER_CONNECTIONS_OPEN);
}

void conn_close(struct proxy *proxy, struct conn *conn, bool reset)
{
    struct list_link *link;

    if (conn->state == CONN_CLOSED) {
        return;
    }
    while ((link = list_first(&conn->kept)) != NULL) {
        conn_end(proxy, LIST_OWNER(link, struct conn, group), false);
    }
    if (conn->stream != NULL) {
        stream_close(proxy, conn, reset);
        return;
    }
    if (conn->mux != NULL) {
        mux_end(proxy, conn);
    }
    conn_end(proxy, conn, reset);
}

static void conn_set_tls(struct proxy *proxy, struct conn *conn, struct tls_session *tls)
{
    conn->tls = tls;
    if (tls != NULL) {
        proxy_count(proxy, ABI_WORKER_TLS_OPEN, 1);
    }
}

void conn_accepted(struct proxy *proxy, struct conn *conn, struct tls_session *tls)
{
    conn_set_tls(proxy, conn, tls);
    conn->state = tls == NULL ? CONN_OPEN : CONN_HANDSHAKING;
    conn->handshake_us = (uint32_t)(ring_now_ns(proxy->ring) / 1000u);
    conn_update_receive(proxy, conn);
    if (tls == NULL) {
        conn->ops->opened(proxy, conn);
    }
}

void conn_connect(struct proxy *proxy, struct conn *conn, const struct sockaddr_storage *address,
                  socklen_t length, struct tls_session *tls)
{
    conn_set_tls(proxy, conn, tls);
    conn->state = CONN_CONNECTING;
    ring_connect(proxy->ring, conn->fd, address, length,
                 conn_token(proxy, conn, PROXY_KIND_CONNECT));
}

void conn_on_connect(struct proxy *proxy, struct conn *conn, int32_t result)
{
    if (conn->state != CONN_CONNECTING) {
        return;
    }
    if (result < 0) {
        conn->ops->failed(proxy, conn,
                          result == -ETIMEDOUT ? ABI_OUTCOME_CONNECT_TIMEOUT
                                               : ABI_OUTCOME_CONNECT_FAILED);
        return;
    }
    if (conn->ops->connected != NULL) {
        conn->ops->connected(proxy, conn);
    }
    if (conn->tls == NULL) {
        conn->state = CONN_OPEN;
        conn_update_receive(proxy, conn);
        conn->ops->opened(proxy, conn);
        return;
    }
    conn->state = CONN_HANDSHAKING;
    if (tls_start(conn->tls) == TLS_FAILED) {
        conn->ops->failed(proxy, conn, ABI_OUTCOME_TLS);
        return;
    }
    conn_send_tls(proxy, conn);
    conn_update_receive(proxy, conn);
}

void conn_on_timer(struct proxy *proxy, struct conn *conn)
{
    if (conn->state == CONN_LINGERING) {
        conn_close(proxy, conn, false);
        return;
    }
    conn->ops->timeout(proxy, conn);
}

void conn_run_ready(struct proxy *proxy)
{
    struct list_link batch;
    struct list_link *link;

    /* Those that become ready while these run wait for the next round of this turn's loop: the
     * caller comes back until the list is empty or its budget is spent. */
    list_init(&batch);
    while ((link = list_first(&proxy->ready)) != NULL) {
        list_remove(link);
        list_add_last(&batch, link);
    }
    while ((link = list_first(&batch)) != NULL) {
        struct conn *conn = LIST_OWNER(link, struct conn, turn);

        list_remove(link);
        conn->flags &= ~(uint32_t)CONN_READY;
        if (conn_has(conn, CONN_BROKEN)) {
            conn->ops->failed(proxy, conn, ABI_OUTCOME_CLIENT_GONE);
            continue;
        }
        conn_deliver_held(proxy, conn); /* it may start a bulk transfer, which goes behind it */
        if (conn->state == CONN_OPEN && conn->bulk_from != NULL) {
            bulk_run(proxy, conn->bulk_from);
        } else if (conn_has(conn, CONN_ENDED)) {
            conn_tell_end(proxy, conn);
        } else if (conn->state == CONN_OPEN) {
            conn_update_receive(proxy, conn);
        }
    }
}

void conn_bury(struct proxy *proxy)
{
    struct list_link *link;

    while ((link = list_first(&proxy->dead)) != NULL) {
        struct conn *conn = LIST_OWNER(link, struct conn, turn);

        list_remove(link);
        if (conn->stream != NULL) {
            pool_give(&proxy->streams, conn->stream);
        }
        pool_give(&proxy->conns, conn);
    }
}

void conn_set_peer(struct conn *conn, const struct ip_address *ip, uint16_t port)
{
    static const struct bytes local = {(const uint8_t *)"unix", 4};

    conn->peer_is_ip = ip != NULL;
    conn->peer_port = port;
    if (ip == NULL) {
        conn->peer_length = (uint8_t)local.len;
        memcpy(conn->peer, local.ptr, local.len);
        return;
    }
    conn->peer_ip = *ip;
    conn->peer_length = (uint8_t)ip_format(ip, conn->peer);
}

bool conn_ip_of(const struct sockaddr_storage *address, struct ip_address *ip, uint16_t *port)
{
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;

        *ip = ip_of4((const uint8_t *)&in->sin_addr);
        *port = __builtin_bswap16(in->sin_port);
        return true;
    }
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;

        memcpy(ip->bytes, &in6->sin6_addr, 16);
        *port = __builtin_bswap16(in6->sin6_port);
        return true;
    }
    return false;
}

void conn_address(struct proxy *proxy, int fd, struct conn_address *out)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    struct ip_address ip;

    *out = (struct conn_address){.text = "unix", .length = 4};
    if (ring_peer(proxy->ring, fd, &address) && conn_ip_of(&address, &ip, &out->port)) {
        out->length = (uint8_t)ip_format(&ip, out->text);
    }
}

void conn_peer(struct proxy *proxy, struct conn *conn)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    uint16_t port = 0;
    struct ip_address ip;

    if (conn->peer_length == 0 && conn->stream != NULL) {
        struct conn *carrier = conn->stream->mux->conn;

        conn_peer(proxy, carrier);
        conn->peer_ip = carrier->peer_ip;
        conn->peer_port = carrier->peer_port;
        conn->peer_is_ip = carrier->peer_is_ip;
        conn->peer_length = carrier->peer_length;
        memcpy(conn->peer, carrier->peer, sizeof(conn->peer));
    } else if (conn->peer_length == 0) {
        bool known = ring_peer(proxy->ring, conn->fd, &address) && conn_ip_of(&address, &ip, &port);

        conn_set_peer(conn, known ? &ip : NULL, port);
    }
}
