/* The receiving side of a connection: what is armed in the ring, what is handed to the user, what
 * is held. */
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "conn_parts.h"
#include "stream.h"

#define CONN_GROW_AFTER   4u /* full small receives in a row before the large group is used */
#define CONN_SHRINK_AFTER 8u /* receives in a row that a small buffer would have held */
#define CONN_HELD_MAX     LIMIT_SPILL_HIGH

/* Of a long message only the beginning is received: the rest is spliced. */
static enum ring_group conn_group(const struct conn *conn)
{
    return (conn->flags & (CONN_LARGE | CONN_LONG)) == CONN_LARGE ? RING_GROUP_LARGE
                                                                  : RING_GROUP_SMALL;
}

void conn_update_receive(struct proxy *proxy, struct conn *conn)
{
    enum ring_group group = conn_group(conn);
    uint64_t token;

    if (conn_has(conn, CONN_ARMED | CONN_PAUSED | CONN_ENDED | CONN_BROKEN | CONN_SPLICING |
                           CONN_STREAM) ||
        conn->state < CONN_HANDSHAKING || conn->state > CONN_LINGERING ||
        conn->in.length >= CONN_HELD_MAX) {
        return;
    }
    token = conn_token(proxy, conn, PROXY_KIND_RECEIVE);
    conn->flags |= CONN_ARMED;
    if (conn_has(conn, CONN_LARGE | CONN_LONG)) {
        ring_recv_once(proxy->ring, conn->fd, group, token);
    } else {
        conn->flags |= CONN_MULTISHOT;
        ring_recv(proxy->ring, conn->fd, group, token);
    }
}

void conn_cancel_receive(struct proxy *proxy, struct conn *conn)
{
    if (conn_has(conn, CONN_ARMED) && !conn_has(conn, CONN_CANCELLING)) {
        conn->flags |= CONN_CANCELLING;
        ring_cancel(proxy->ring, conn->fd, conn_token(proxy, conn, PROXY_KIND_RECEIVE));
    }
}

bool conn_expect_long(struct proxy *proxy, struct conn *conn)
{
    conn->flags |= CONN_LONG;
    conn->small_receives = 0;
    if (conn_has(conn, CONN_MULTISHOT)) {
        conn_cancel_receive(proxy, conn);
    }
    return !conn_has(conn, CONN_ARMED);
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
void conn_deliver_held(struct proxy *proxy, struct conn *conn)
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
        if (conn->stream != NULL) {
            stream_taken(proxy, conn);
        }
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

void conn_deliver(struct proxy *proxy, struct conn *conn, struct bytes in)
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

void conn_tell_end(struct proxy *proxy, struct conn *conn)
{
    /* The user has had its chance at what is held: what it left, nothing will complete any more. */
    if (conn->state == CONN_OPEN && conn->bulk_from == NULL && /* or it tells */
        !conn_has(conn, CONN_PAUSED | CONN_END_TOLD)) {
        conn->flags |= CONN_END_TOLD;
        conn->ops->ended(proxy, conn);
    }
}

void conn_note_end(struct proxy *proxy, struct conn *conn)
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

/* A client that was accepted before a change of the configuration and says its first word now gets
 * what is configured now. */
static void conn_update_tls(struct proxy *proxy, struct conn *conn)
{
    struct tls_context *context =
        conn->listener == ABI_NONE ? NULL : proxy->listeners[conn->listener].tls;
    struct tls_session *fresh;

    if (context == NULL || !tls_session_is_outdated(conn->tls, context)) {
        return;
    }
    fresh = tls_session_create(context, bytes_of(NULL, 0), bytes_of(NULL, 0), NULL);
    if (fresh != NULL) {
        tls_session_destroy(conn->tls);
        conn->tls = fresh;
    }
}

/* Ciphertext: handshake, then plaintext for the user. */
void conn_on_ciphertext(struct proxy *proxy, struct conn *conn, struct bytes in)
{
    enum tls_status status;
    int64_t count = 0;

    if (conn->state == CONN_HANDSHAKING) {
        conn_update_tls(proxy, conn);
    }
    status = tls_feed(conn->tls, in);

    conn_send_tls(proxy, conn);
    if (status == TLS_FAILED) {
        conn->ops->failed(proxy, conn, ABI_OUTCOME_TLS);
        return;
    }
    if (conn->state == CONN_HANDSHAKING && status != TLS_HANDSHAKING) {
        conn->state = CONN_OPEN;
        conn->handshake_us = (uint32_t)(ring_now_ns(proxy->ring) / 1000u) - conn->handshake_us;
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
    if (conn_has(conn, CONN_LONG)) {
        conn->small_receives =
            length < RING_SMALL_SIZE ? (uint8_t)(conn->small_receives + 1) : (uint8_t)0;
        if (conn->small_receives >= CONN_SHRINK_AFTER) {
            conn->flags &= ~(uint32_t)CONN_LONG;
        }
        return;
    }
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
    enum ring_group group = conn_group(conn);

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
