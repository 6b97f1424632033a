/* The sending side of a connection: at once, or stored until the socket takes it. */
#include <poll.h>
#include <string.h>

#include "base/err.h"
#include "conn_parts.h"
#include "stream.h"

#define CONN_LINGER_MS 2000u
#define CONN_PIECE_MAX 1024u /* bytes in parts that are put together before they are sent */
#define CONN_JOIN_MAX  4096u /* bytes of one write that wait for others */

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

/* Sends now what the socket takes; as ring_send(). Small parts go in one piece: that is cheaper
 * than having the kernel read a list of them. */
static ssize_t conn_send_now(struct proxy *proxy, struct conn *conn, const struct bytes *parts,
                             uint32_t count)
{
    uint8_t piece[CONN_PIECE_MAX];
    struct iovec iov[64];
    size_t total = 0;

    for (uint32_t i = 0; i < count; i++) {
        iov[i] = (struct iovec){(void *)(uintptr_t)parts[i].ptr, parts[i].len};
        total += parts[i].len;
    }
    if (count > 1 && total <= sizeof(piece)) {
        size_t at = 0;

        for (uint32_t i = 0; i < count; i++) {
            if (parts[i].len > 0) {
                memcpy(piece + at, parts[i].ptr, parts[i].len);
                at += parts[i].len;
            }
        }
        iov[0] = (struct iovec){piece, total};
        count = 1;
    }
    return ring_send(proxy->ring, conn->fd, iov, (int)count);
}

/* Bytes for the socket, at once. */
static void conn_send_out(struct proxy *proxy, struct conn *conn, const struct bytes *parts,
                          uint32_t count)
{
    size_t total = 0;
    ssize_t sent = 0;

    if (conn->out.length == 0) {
        for (uint32_t i = 0; i < count; i++) {
            total += parts[i].len;
        }
        sent = conn_send_now(proxy, conn, parts, count);
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

/* --- what one read of a client brings leaves together --- */

void conn_join(struct proxy *proxy)
{
    MUST(!proxy->joined.on);
    proxy->joined.on = true;
}

static void conn_send_joined(struct proxy *proxy)
{
    struct proxy_joined *joined = &proxy->joined;
    uint32_t from = 0;

    for (uint32_t i = 0; i < joined->count; i++) {
        struct conn *conn = joined->conns[i];
        struct bytes part = bytes_of(joined->bytes + from, joined->ends[i] - from);

        from = joined->ends[i];
        conn->flags &= ~(uint32_t)CONN_JOINED;
        if (conn->state != CONN_CLOSED && !conn_has(conn, CONN_BROKEN)) {
            conn_send_out(proxy, conn, &part, 1);
        }
    }
    joined->count = 0;
    joined->length = 0;
}

void conn_part(struct proxy *proxy)
{
    MUST(proxy->joined.on);
    proxy->joined.on = false;
    conn_send_joined(proxy);
}

/* Its last bytes go before anything else happens to it. */
void conn_settle(struct proxy *proxy, struct conn *conn)
{
    if (conn_has(conn, CONN_JOINED)) {
        conn_send_joined(proxy);
    }
}

/* A place for so many bytes behind those that wait, or NULL: there is none. */
static uint8_t *conn_join_place(struct proxy *proxy, struct conn *conn, size_t total)
{
    struct proxy_joined *joined = &proxy->joined;
    bool last = joined->count > 0 && joined->conns[joined->count - 1] == conn;

    if (total > CONN_JOIN_MAX || total > PROXY_SCRATCH_SIZE - joined->length ||
        (conn_has(conn, CONN_JOINED) ? !last : joined->count == PROXY_JOINED_MAX)) {
        return NULL;
    }
    if (!last) {
        joined->conns[joined->count++] = conn;
        conn->flags |= CONN_JOINED;
    }
    return joined->bytes + joined->length;
}

/* Whether they wait for others now. */
static bool conn_send_later(struct proxy *proxy, struct conn *conn, const struct bytes *parts,
                            uint32_t count)
{
    struct proxy_joined *joined = &proxy->joined;
    size_t total = 0;
    uint8_t *place;

    for (uint32_t i = 0; i < count; i++) {
        total += parts[i].len;
    }
    place = conn_join_place(proxy, conn, total);
    if (place == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (parts[i].len > 0) {
            memcpy(place, parts[i].ptr, parts[i].len);
            place += parts[i].len;
        }
    }
    joined->length += (uint32_t)total;
    joined->ends[joined->count - 1] = joined->length;
    return true;
}

/* Bytes for the socket, as they are. */
static void conn_send(struct proxy *proxy, struct conn *conn, const struct bytes *parts,
                      uint32_t count)
{
    MUST(count <= 64);
    if (conn_has(conn, CONN_BROKEN)) {
        return;
    }
    if (proxy->joined.on && conn_has(conn, CONN_UPSTREAM) && conn->out.length == 0) {
        if (conn_send_later(proxy, conn, parts, count)) {
            return;
        }
        conn_settle(proxy, conn);
        if (conn_has(conn, CONN_BROKEN)) {
            return;
        }
    }
    conn_send_out(proxy, conn, parts, count);
}

void conn_preface(struct proxy *proxy, struct conn *conn, struct bytes bytes)
{
    conn_send(proxy, conn, &bytes, 1);
}

void conn_send_tls(struct proxy *proxy, struct conn *conn)
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
    if (conn->stream != NULL) {
        stream_write(proxy, conn, parts, count);
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
    if (conn->stream != NULL ? !stream_is_full(conn) : conn->out.length < LIMIT_SPILL_HIGH) {
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
    if (conn->stream != NULL) {
        conn->flags |= CONN_SHUT;
        stream_shut(proxy, conn);
        return;
    }
    if (conn->tls != NULL) {
        tls_close_write(conn->tls);
        conn_send_tls(proxy, conn);
    }
    conn_settle(proxy, conn);
    conn->flags |= CONN_SHUT;
    if (conn->out.length == 0 && !conn_has(conn, CONN_BROKEN)) {
        conn_flush_shut(proxy, conn);
    }
}

/* A handshake has failed and its alert is out: closing now would take it back from a peer that is
 * still sending. The session is of no use any more. */
static bool conn_leaves_alert(struct proxy *proxy, struct conn *conn)
{
    if (conn->state != CONN_HANDSHAKING || conn->tls == NULL ||
        tls_status_of(conn->tls) != TLS_FAILED || conn->out.length > 0) {
        return false;
    }
    conn_drop_tls(proxy, conn);
    conn->state = CONN_OPEN;
    conn->flags |= CONN_FINISHING | CONN_SHUT;
    conn_flush_shut(proxy, conn);
    return true;
}

void conn_finish(struct proxy *proxy, struct conn *conn)
{
    if (conn->state != CONN_OPEN) {
        if (!conn_leaves_alert(proxy, conn)) {
            conn_close(proxy, conn, false);
        }
        return;
    }
    conn->flags |= CONN_FINISHING;
    if (conn_has(conn, CONN_SHUT)) {
        if (conn->stream != NULL) {
            stream_shut(proxy, conn);
        } else if (conn->out.length == 0) {
            conn_flush_shut(proxy, conn);
        }
        return;
    }
    conn_shut(proxy, conn);
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
