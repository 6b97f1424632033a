#include "conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>

#include "base/err.h"

#define CONN_LINGER_MS    2000u
#define CONN_GROW_AFTER   4u /* full small receives in a row before the large group is used */
#define CONN_SHRINK_AFTER 8u /* receives in a row that a small buffer would have held */
#define CONN_HELD_MAX     LIMIT_SPILL_HIGH

static void conn_fail(struct proxy *proxy, struct conn *conn)
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

struct conn *conn_create(struct proxy *proxy, int fd, const struct conn_ops *ops)
{
    struct conn *conn = pool_take(&proxy->conns);

    if (conn == NULL) {
        return NULL;
    }
    list_init(&conn->turn);
    list_init(&conn->group);
    wheel_timer_init(&conn->timer, conn_token(proxy, conn, PROXY_KIND_TIMER));
    conn->fd = fd;
    conn->ops = ops;
    conn->listener = ABI_NONE;
    conn->moved_ms = proxy->now_ms;
    conn->sent_ms = proxy->now_ms;
    conn->since_ms = proxy->now_ms;
    return conn;
}

void conn_arm_timer(struct proxy *proxy, struct conn *conn, uint64_t delay_ms)
{
    wheel_arm(&proxy->wheel, &conn->timer, proxy->now_ms, delay_ms);
}

/* --- receiving --- */

void conn_update_receive(struct proxy *proxy, struct conn *conn)
{
    enum ring_group group = conn_has(conn, CONN_LARGE) ? RING_GROUP_LARGE : RING_GROUP_SMALL;
    uint64_t token;

    if (conn_has(conn, CONN_ARMED | CONN_PAUSED | CONN_ENDED | CONN_BROKEN | CONN_SPLICING) ||
        conn->in.length >= CONN_HELD_MAX || conn->state < CONN_HANDSHAKING ||
        conn->state > CONN_LINGERING) {
        return;
    }
    token = conn_token(proxy, conn, PROXY_KIND_RECEIVE);
    conn->flags |= CONN_ARMED;
    if (group == RING_GROUP_LARGE) {
        ring_recv_once(proxy->ring, conn->fd, group, token);
    } else {
        conn->flags |= CONN_MULTISHOT;
        ring_recv(proxy->ring, conn->fd, group, token);
    }
}

static void conn_cancel_receive(struct proxy *proxy, struct conn *conn)
{
    if (conn_has(conn, CONN_ARMED) && !conn_has(conn, CONN_CANCELLING)) {
        conn->flags |= CONN_CANCELLING;
        ring_cancel(proxy->ring, conn_token(proxy, conn, PROXY_KIND_RECEIVE));
    }
}

bool conn_stop_receiving(struct proxy *proxy, struct conn *conn)
{
    conn->flags |= CONN_SPLICING;
    conn_cancel_receive(proxy, conn);
    return !conn_has(conn, CONN_ARMED);
}

void conn_pause(struct conn *conn)
{
    /* The receive stays armed: most pauses end before anything arrives. It is cancelled when
     * something does (conn_on_receive). */
    conn->flags |= CONN_PAUSED;
}

static void conn_make_ready(struct proxy *proxy, struct conn *conn)
{
    if (!conn_has(conn, CONN_READY) && conn->state != CONN_CLOSED) {
        conn->flags |= CONN_READY;
        list_remove(&conn->turn);
        list_add_last(&proxy->ready, &conn->turn);
    }
}

void conn_offer(struct proxy *proxy, struct conn *conn)
{
    conn->flags &= ~(uint32_t)CONN_PAUSED;
    if (conn->in.length > 0 || (conn_has(conn, CONN_ENDED) && !conn_has(conn, CONN_END_TOLD))) {
        conn_make_ready(proxy, conn);
    }
    conn_update_receive(proxy, conn);
}

/* Gives the user what is held: block by block, or in one piece when a block is not enough for it.
 */
static void conn_deliver_held(struct proxy *proxy, struct conn *conn)
{
    while (conn->in.length > 0 && conn->state == CONN_OPEN && !conn_has(conn, CONN_PAUSED)) {
        struct iovec parts[64];
        int count = spill_parts(&conn->in, parts, 64);
        size_t used = conn->ops->data(proxy, conn, bytes_of(parts[0].iov_base, parts[0].iov_len));

        if (conn->state != CONN_OPEN) {
            return;
        }
        if (used == 0 && count > 1 && !conn_has(conn, CONN_PAUSED)) {
            size_t length = 0;

            for (int i = 0; i < count && length < PROXY_SCRATCH_SIZE; i++) {
                size_t piece = parts[i].iov_len;

                if (piece > PROXY_SCRATCH_SIZE - length) {
                    piece = PROXY_SCRATCH_SIZE - length;
                }
                memcpy(proxy->linear + length, parts[i].iov_base, piece);
                length += piece;
            }
            used = conn->ops->data(proxy, conn, bytes_of(proxy->linear, length));
            if (conn->state != CONN_OPEN) {
                return;
            }
        }
        if (used == 0) {
            return;
        }
        spill_consume(&conn->in, &proxy->blocks, used);
    }
}

static void conn_hold(struct proxy *proxy, struct conn *conn, struct bytes in)
{
    if (in.len == 0 || conn->state == CONN_CLOSED) {
        return;
    }
    if (spill_append(&conn->in, &proxy->blocks, in) != MESH_OK) {
        proxy_count(proxy, ABI_WORKER_SHED, 1);
        conn_fail(proxy, conn);
        return;
    }
    if (conn->in.length >= CONN_HELD_MAX || conn_has(conn, CONN_PAUSED)) {
        conn_cancel_receive(proxy, conn);
    }
}

/* Plaintext for the user; what it leaves is held behind what is held already. */
static void conn_deliver(struct proxy *proxy, struct conn *conn, struct bytes in)
{
    if (conn->state == CONN_LINGERING) {
        return;
    }
    if (conn->in.length > 0 || conn_has(conn, CONN_PAUSED)) {
        bool paused = conn_has(conn, CONN_PAUSED);

        conn_hold(proxy, conn, in);
        if (!paused) {
            conn_make_ready(proxy, conn);
        }
        return;
    }
    while (in.len > 0) {
        size_t used = conn->ops->data(proxy, conn, in);

        if (conn->state != CONN_OPEN) {
            return;
        }
        in = bytes_from(in, used);
        if (used == 0 || conn_has(conn, CONN_PAUSED)) {
            break;
        }
    }
    conn_hold(proxy, conn, in);
}

/* The user has had its chance at what is held: what it left, nothing will complete any more. */
static void conn_tell_end(struct proxy *proxy, struct conn *conn)
{
    if (conn->state == CONN_OPEN && conn->bulk_from == NULL && /* or it tells */
        !conn_has(conn, CONN_PAUSED | CONN_END_TOLD)) {
        conn->flags |= CONN_END_TOLD;
        conn->ops->ended(proxy, conn);
    }
}

/* The peer's end of stream has come: it is told behind what is held. */
static void conn_note_end(struct proxy *proxy, struct conn *conn)
{
    conn->flags |= CONN_ENDED;
    if (conn->state == CONN_LINGERING) {
        conn_close(proxy, conn, false);
    } else if (conn->in.length > 0 || conn->bulk_from != NULL) {
        conn_make_ready(proxy, conn);
    } else {
        conn_tell_end(proxy, conn);
    }
}

/* --- sending --- */

static void conn_flush_shut(struct proxy *proxy, struct conn *conn);

/* Sends the stored output; arms POLLOUT when the socket is full. */
static void conn_flush(struct proxy *proxy, struct conn *conn)
{
    while (conn->out.length > 0) {
        struct iovec parts[64];
        int count = spill_parts(&conn->out, parts, 64);
        ssize_t sent = ring_send(proxy->ring, conn->fd, parts, count);

        if (sent < 0) {
            conn_fail(proxy, conn);
            return;
        }
        if (sent == 0) {
            break;
        }
        conn->moved_ms = proxy->now_ms;
        conn->sent_ms = proxy->now_ms;
        spill_consume(&conn->out, &proxy->blocks, (size_t)sent);
    }
    if (conn->out.length > 0) {
        if (!conn_has(conn, CONN_WRITABLE_ARMED)) {
            conn->flags |= CONN_WRITABLE_ARMED;
            ring_poll(proxy->ring, conn->fd, POLLOUT, conn_token(proxy, conn, PROXY_KIND_WRITABLE));
        }
        return;
    }
    conn_flush_shut(proxy, conn);
}

static void conn_store(struct proxy *proxy, struct conn *conn, struct bytes bytes)
{
    if (spill_append(&conn->out, &proxy->blocks, bytes) != MESH_OK) {
        proxy_count(proxy, ABI_WORKER_SHED, 1);
        conn_fail(proxy, conn);
    }
}

/* Bytes for the socket, as they are. */
static void conn_send(struct proxy *proxy, struct conn *conn, const struct bytes *parts,
                      uint32_t count)
{
    struct iovec iov[64];
    size_t total = 0;
    ssize_t sent = 0;

    MUST(count <= 64);
    if (conn_has(conn, CONN_BROKEN)) {
        return;
    }
    if (conn->out.length == 0) {
        for (uint32_t i = 0; i < count; i++) {
            iov[i] = (struct iovec){(void *)(uintptr_t)parts[i].ptr, parts[i].len};
            total += parts[i].len;
        }
        sent = ring_send(proxy->ring, conn->fd, iov, (int)count);
        if (sent < 0) {
            conn_fail(proxy, conn);
            return;
        }
        if ((size_t)sent == total) {
            conn->moved_ms = proxy->now_ms;
            return;
        }
        conn->sent_ms = proxy->now_ms;
    }
    for (uint32_t i = 0; i < count; i++) {
        size_t skip = (size_t)sent < parts[i].len ? (size_t)sent : parts[i].len;

        sent -= (ssize_t)skip;
        conn_store(proxy, conn, bytes_from(parts[i], skip));
    }
    if (!conn_has(conn, CONN_BROKEN)) {
        conn_flush(proxy, conn);
    }
}

static void conn_send_tls(struct proxy *proxy, struct conn *conn)
{
    struct bytes out = tls_output(conn->tls);

    if (out.len > 0) {
        conn_send(proxy, conn, &out, 1);
        tls_output_taken(conn->tls);
    }
}

void conn_write(struct proxy *proxy, struct conn *conn, const struct bytes *parts, uint32_t count)
{
    if (conn->state != CONN_OPEN || conn_has(conn, CONN_BROKEN | CONN_SHUT)) {
        return;
    }
    if (conn->tls == NULL) {
        conn_send(proxy, conn, parts, count);
        return;
    }
    if (tls_write(conn->tls, parts, count) != MESH_OK) {
        conn_fail(proxy, conn);
        return;
    }
    conn_send_tls(proxy, conn);
}

bool conn_is_full(struct conn *conn)
{
    if (conn->out.length < LIMIT_SPILL_HIGH) {
        return false;
    }
    conn->flags |= CONN_TOLD_FULL;
    return true;
}

/* The output is sent: what was waiting for that. */
static void conn_flush_shut(struct proxy *proxy, struct conn *conn)
{
    if (conn_has(conn, CONN_SHUT) && !conn_has(conn, CONN_SHUT_SENT)) {
        conn->flags |= CONN_SHUT_SENT;
        ring_shutdown_write(proxy->ring, conn->fd);
    }
    if (conn_has(conn, CONN_FINISHING) && conn->state == CONN_OPEN) {
        if (conn_has(conn, CONN_ENDED)) {
            conn_close(proxy, conn, false);
            return;
        }
        conn->state = CONN_LINGERING;
        spill_clear(&conn->in, &proxy->blocks);
        conn->flags &= ~(uint32_t)CONN_PAUSED;
        conn_arm_timer(proxy, conn, CONN_LINGER_MS);
        conn_update_receive(proxy, conn);
    }
}

void conn_shut(struct proxy *proxy, struct conn *conn)
{
    if (conn->state != CONN_OPEN || conn_has(conn, CONN_SHUT)) {
        return;
    }
    if (conn->tls != NULL) {
        tls_close_write(conn->tls);
        conn_send_tls(proxy, conn);
    }
    conn->flags |= CONN_SHUT;
    if (conn->out.length == 0 && !conn_has(conn, CONN_BROKEN)) {
        conn_flush_shut(proxy, conn);
    }
}

void conn_finish(struct proxy *proxy, struct conn *conn)
{
    if (conn->state != CONN_OPEN) {
        conn_close(proxy, conn, false);
        return;
    }
    conn->flags |= CONN_FINISHING;
    if (conn_has(conn, CONN_SHUT)) {
        if (conn->out.length == 0) {
            conn_flush_shut(proxy, conn);
        }
        return;
    }
    conn_shut(proxy, conn);
}

void conn_close(struct proxy *proxy, struct conn *conn, bool reset)
{
    struct listener *listener;

    if (conn->state == CONN_CLOSED) {
        return;
    }
    if (conn->tls != NULL) {
        tls_session_destroy(conn->tls);
        conn->tls = NULL;
        proxy_gauge_down(proxy, ABI_WORKER_TLS_OPEN);
    }
    if (conn->bulk_from != NULL) {
        bulk_drop(proxy, conn->bulk_from);
    }
    if (conn->bulk_to != NULL) {
        bulk_drop(proxy, conn->bulk_to);
    }
    ring_close(proxy->ring, conn->fd, reset);
    conn->fd = -1;
    conn->state = CONN_CLOSED;
    spill_clear(&conn->out, &proxy->blocks);
    spill_clear(&conn->in, &proxy->blocks);
    wheel_cancel(&proxy->wheel, &conn->timer);
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
        abi_stat_set(&conn->target_stats->counters[ABI_TARGET_OPEN],
                     conn->target_stats->counters[ABI_TARGET_OPEN] - 1);
        return;
    }
    listener = &proxy->listeners[conn->listener];
    listener->open--;
    abi_stat_set(&listener->stats->counters[ABI_LISTENER_OPEN], listener->open);
    proxy_gauge_down(proxy, ABI_WORKER_CONNECTIONS_OPEN);
}

/* --- life --- */

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

/* Ciphertext: handshake, then plaintext for the user. */
static void conn_on_ciphertext(struct proxy *proxy, struct conn *conn, struct bytes in)
{
    enum tls_status status = tls_feed(conn->tls, in);
    int64_t count = 0;

    conn_send_tls(proxy, conn);
    if (status == TLS_FAILED) {
        conn->ops->failed(proxy, conn, ABI_OUTCOME_TLS);
        return;
    }
    if (conn->state == CONN_HANDSHAKING && status != TLS_HANDSHAKING) {
        conn->state = CONN_OPEN;
        conn->ops->opened(proxy, conn);
    }
    while (conn->state == CONN_OPEN || conn->state == CONN_LINGERING) {
        count = tls_read(conn->tls, proxy->plain, PROXY_SCRATCH_SIZE);
        if (count <= 0) {
            break;
        }
        conn_deliver(proxy, conn, bytes_of(proxy->plain, (size_t)count));
    }
    if (conn->state != CONN_OPEN && conn->state != CONN_LINGERING) {
        return;
    }
    if (count < 0) {
        conn_send_tls(proxy, conn);
        conn->ops->failed(proxy, conn, ABI_OUTCOME_TLS);
        return;
    }
    conn_send_tls(proxy, conn); /* key updates and alerts that reading made */
    if (tls_status_of(conn->tls) == TLS_PEER_CLOSED && !conn_has(conn, CONN_ENDED)) {
        conn_note_end(proxy, conn);
    }
}

/* Bigger buffers for a peer that fills small ones, and back. */
static void conn_adapt(struct proxy *proxy, struct conn *conn, size_t length)
{
    if (!conn_has(conn, CONN_LARGE)) {
        conn->full_receives =
            length == RING_SMALL_SIZE ? (uint8_t)(conn->full_receives + 1) : (uint8_t)0;
        if (conn->full_receives >= CONN_GROW_AFTER) {
            conn->full_receives = 0;
            conn->small_receives = 0;
            conn->flags |= CONN_LARGE;
            conn_cancel_receive(proxy, conn);
        }
        return;
    }
    conn->small_receives =
        length <= RING_SMALL_SIZE ? (uint8_t)(conn->small_receives + 1) : (uint8_t)0;
    if (conn->small_receives >= CONN_SHRINK_AFTER) {
        conn->flags &= ~(uint32_t)CONN_LARGE;
    }
}

static void conn_on_end(struct proxy *proxy, struct conn *conn)
{
    if (conn_has(conn, CONN_ENDED)) {
        return;
    }
    if (conn->state == CONN_HANDSHAKING) {
        conn->ops->failed(proxy, conn, ABI_OUTCOME_TLS);
        return;
    }
    if (conn->tls != NULL && conn->state == CONN_OPEN) {
        /* No close_notify: the stream may have been cut by somebody else. */
        conn_fail(proxy, conn);
        return;
    }
    conn_note_end(proxy, conn);
}

/* No buffer was free. When some are by now the receive is armed again at once; else when one comes
 * back (conn_feed_starved). */
static void conn_starve(struct proxy *proxy, struct conn *conn)
{
    enum ring_group group = conn_has(conn, CONN_LARGE) ? RING_GROUP_LARGE : RING_GROUP_SMALL;

    if (ring_buffers_free(proxy->ring, group) > 0) {
        conn_update_receive(proxy, conn);
    } else if (!conn_has(conn, CONN_READY)) {
        list_remove(&conn->turn);
        list_add_last(&proxy->starved, &conn->turn);
    }
}

void conn_on_receive(struct proxy *proxy, struct conn *conn, const struct ring_event *event)
{
    if ((event->flags & RING_EVENT_MORE) == 0) {
        conn->flags &= ~(uint32_t)(CONN_ARMED | CONN_CANCELLING | CONN_MULTISHOT);
    }
    if ((event->flags & RING_EVENT_BUFFER) != 0) {
        struct bytes in = ring_event_bytes(proxy->ring, event);

        conn->moved_ms = proxy->now_ms;
        conn_adapt(proxy, conn, in.len);
        if (conn->tls != NULL) {
            conn_on_ciphertext(proxy, conn, in);
        } else {
            conn_deliver(proxy, conn, in);
        }
        if (ring_buffer_return(proxy->ring, event->group, event->buffer)) {
            conn_feed_starved(proxy);
        }
    } else if (event->result == 0) {
        conn_on_end(proxy, conn);
    } else if (event->result == -ENOBUFS) {
        proxy_count(proxy, ABI_WORKER_NO_BUFFERS, 1);
        if (!conn_has(conn, CONN_SPLICING)) {
            conn_starve(proxy, conn);
            return;
        }
    } else if (event->result != -ECANCELED) {
        if (conn->state == CONN_HANDSHAKING) {
            conn->ops->failed(proxy, conn, ABI_OUTCOME_TLS);
        } else {
            conn_fail(proxy, conn);
        }
    }
    if (conn->state == CONN_CLOSED) {
        return;
    }
    if (conn_has(conn, CONN_SPLICING) && !conn_has(conn, CONN_ARMED)) {
        conn_make_ready(proxy, conn); /* its bulk transfer may begin */
        return;
    }
    conn_update_receive(proxy, conn);
}

void conn_on_writable(struct proxy *proxy, struct conn *conn)
{
    conn->flags &= ~(uint32_t)CONN_WRITABLE_ARMED;
    if (conn->state == CONN_CLOSED || conn_has(conn, CONN_BROKEN)) {
        return;
    }
    conn_flush(proxy, conn);
    if (conn->bulk_to != NULL && conn->out.length == 0) {
        bulk_run(proxy, conn->bulk_to);
    }
    if (conn->state != CONN_CLOSED && conn_has(conn, CONN_TOLD_FULL) &&
        conn->out.length <= LIMIT_SPILL_LOW && !conn_has(conn, CONN_BROKEN)) {
        conn->flags &= ~(uint32_t)CONN_TOLD_FULL;
        conn->ops->drained(proxy, conn);
    }
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
        conn_deliver_held(proxy, conn);
        if (conn->bulk_from != NULL) {
            bulk_run(proxy, conn->bulk_from); /* which waits for what is held */
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
        pool_give(&proxy->conns, conn);
    }
}

void conn_feed_starved(struct proxy *proxy)
{
    struct list_link *link;
    uint32_t free = ring_buffers_free(proxy->ring, RING_GROUP_SMALL) +
                    ring_buffers_free(proxy->ring, RING_GROUP_LARGE);

    while (free-- > 0 && (link = list_first(&proxy->starved)) != NULL) {
        struct conn *conn = LIST_OWNER(link, struct conn, turn);

        list_remove(link);
        conn_update_receive(proxy, conn);
    }
}

void conn_peer(struct proxy *proxy, struct conn *conn)
{
    struct sockaddr_storage address;
    const void *ip = NULL;
    char text[INET6_ADDRSTRLEN] = "unix";

    if (conn->peer_length != 0) {
        return;
    }
    if (ring_peer(proxy->ring, conn->fd, &address)) {
        if (address.ss_family == AF_INET) {
            ip = &((struct sockaddr_in *)&address)->sin_addr;
        } else if (address.ss_family == AF_INET6) {
            ip = &((struct sockaddr_in6 *)&address)->sin6_addr;
        }
        if (ip != NULL && inet_ntop(address.ss_family, ip, text, sizeof(text)) == NULL) {
            text[0] = '\0';
        }
    }
    conn->peer_length = (uint8_t)strlen(text);
    memcpy(conn->peer, text, conn->peer_length);
}
