/* A stream as a connection: what conn.c does with a socket is done with frames here. */
#include "base/err.h"
#include "conn_parts.h"
#include "limits.h"
#include "mux.h"

#define STREAM_TRICKLE 4096u /* bytes that count as progress of a peer that reads slowly */

static void stream_push(struct proxy *proxy, struct stream *stream)
{
    struct mux *mux = stream->mux;

    if ((stream->flags & (STREAM_WAITS | STREAM_GONE)) == STREAM_WAITS) {
        stream->flags &= ~(uint32_t)STREAM_WAITS;
        h2_resume(mux->session, stream->id);
    }
    mux_list(proxy, mux);
}

void stream_write(struct proxy *proxy, struct conn *conn, const struct bytes *parts, uint32_t count)
{
    struct stream *stream = conn->stream;
    size_t before = conn->out.length;

    if (before == 0) {
        conn->sent_ms = proxy->now_ms;
        stream->trickle = 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (spill_append(&conn->out, &proxy->blocks, parts[i]) != MESH_OK) {
            proxy_count(proxy, ABI_WORKER_SHED, 1);
            conn_fail(proxy, conn);
            break;
        }
    }
    stream->mux->held += conn->out.length - before;
    stream_push(proxy, stream);
}

bool stream_is_full(const struct conn *conn)
{
    size_t most =
        conn->stream->mux->held < LIMIT_H2_HELD ? LIMIT_H2_STREAM_HIGH : LIMIT_H2_STREAM_LOW;

    return conn->out.length >= most;
}

void stream_shut(struct proxy *proxy, struct conn *conn)
{
    struct stream *stream = conn->stream;

    if ((stream->flags & STREAM_GONE) != 0) {
        if (conn_has(conn, CONN_FINISHING)) {
            stream_close(proxy, conn, false);
        }
        return;
    }
    if ((stream->flags & STREAM_ANSWERED) == 0) {
        stream_close(proxy, conn, true); /* nothing was said: an end alone says nothing either */
        return;
    }
    if ((stream->flags & STREAM_FINISHED) != 0 && conn_has(conn, CONN_FINISHING)) {
        stream_close(proxy, conn, false);
        return;
    }
    stream_push(proxy, stream);
}

void stream_taken(struct proxy *proxy, struct conn *conn)
{
    struct stream *stream = conn->stream;
    uint64_t kept = conn->in.length < stream->unused ? conn->in.length : stream->unused;

    if (stream->unused > kept) {
        h2_consume(stream->mux->session, stream->id, stream->unused - kept);
        stream->unused = kept;
        stream_push(proxy, stream);
    }
}

static enum h2_code stream_code(const struct conn *conn, bool reset)
{
    if ((conn->stream->flags & STREAM_FINISHED) != 0 && !conn_has(conn, CONN_UPSTREAM)) {
        return H2_NO_ERROR; /* all was said; no more of the request is wanted */
    }
    return reset ? H2_INTERNAL_ERROR : H2_CANCEL;
}

void stream_close(struct proxy *proxy, struct conn *conn, bool reset)
{
    struct stream *stream = conn->stream;
    struct mux *mux = stream->mux;

    if ((stream->flags & STREAM_GONE) == 0) {
        if (stream->id != 0) {
            h2_abandon(mux->session, stream->id, stream_code(conn, reset));
        }
        stream->flags |= STREAM_GONE;
    }
    if (stream->unused > 0) {
        h2_consume(mux->session, 0, stream->unused);
        stream->unused = 0;
    }
    stream_push(proxy, stream);
    mux->held -= conn->out.length;
    mux->open--;
    mux->since_ms = proxy->now_ms;
    if (mux->conn->held != 0) {
        limits_idle(proxy);
    }
    list_remove(&stream->group);
    spill_clear(&stream->trailers, &proxy->blocks);
    spill_clear(&conn->out, &proxy->blocks);
    spill_clear(&conn->in, &proxy->blocks);
    wheel_cancel(&proxy->wheel, &conn->timer);
    conn->state = CONN_CLOSED;
    conn->tls = NULL;
    conn->proxied = NULL;
    list_remove(&conn->group);
    list_remove(&conn->turn);
    list_add_last(&proxy->dead, &conn->turn);
}

/* --- output --- */

void stream_answer(struct proxy *proxy, struct conn *conn, struct bytes text, bool end)
{
    struct stream *stream = conn->stream;
    bool final = text.len > 9 && text.ptr[9] != '1';

    if ((stream->flags & STREAM_GONE) != 0 || conn->state != CONN_OPEN) {
        return;
    }
    if (!h2_answer(stream->mux->session, stream->id, text, end)) {
        conn_fail(proxy, conn);
        return;
    }
    if (final || bytes_equal(bytes_part(text, 9, 12), BYTES_LITERAL("101"))) {
        stream->flags |= STREAM_ANSWERED;
    }
    conn->sent_ms = proxy->now_ms;
    stream_push(proxy, stream);
}

void stream_ask(struct proxy *proxy, struct conn *conn, struct bytes text, bool end)
{
    struct stream *stream = conn->stream;

    stream->id = h2_request(stream->mux->session, stream, text, end);
    if (stream->id == 0) {
        stream->flags |= STREAM_GONE | STREAM_REFUSED;
        conn_fail(proxy, conn);
        return;
    }
    stream->flags |= STREAM_ANSWERED;
    conn->flags |= end ? (uint32_t)CONN_SHUT : 0;
    conn->sent_ms = proxy->now_ms;
    stream_push(proxy, stream);
}

void stream_add_trailer(struct proxy *proxy, struct conn *conn, struct bytes line)
{
    if (spill_append(&conn->stream->trailers, &proxy->blocks, line) != MESH_OK ||
        spill_append(&conn->stream->trailers, &proxy->blocks, BYTES_LITERAL("\n")) != MESH_OK) {
        conn_fail(proxy, conn);
    }
}

struct h2_ready stream_ready(struct stream *stream, size_t max)
{
    const struct conn *conn = stream->conn;
    struct h2_ready ready = {.count = conn->out.length < max ? conn->out.length : max};
    struct iovec part;

    ready.last = ready.count == conn->out.length && conn_has(conn, CONN_SHUT);
    stream->flags |= ready.count == 0 && !ready.last ? (uint32_t)STREAM_WAITS : 0;
    if (ready.last && stream->trailers.length > 0 &&
        spill_parts(&stream->trailers, &part, 1) == 1) {
        ready.trailers = bytes_of(part.iov_base, part.iov_len); /* at most one block of them */
    }
    return ready;
}

void stream_sent(struct proxy *proxy, struct stream *stream, size_t count)
{
    struct conn *conn = stream->conn;

    stream->mux->held -= count;
    stream->trickle += (uint32_t)count;
    conn->moved_ms = proxy->now_ms;
    if (conn->out.length == 0 || stream->trickle >= STREAM_TRICKLE) {
        conn->sent_ms = proxy->now_ms;
        stream->trickle = 0;
    }
    if (conn_has(conn, CONN_TOLD_FULL) && !conn_has(conn, CONN_BROKEN) &&
        conn->out.length <= LIMIT_H2_STREAM_LOW) {
        conn->flags &= ~(uint32_t)CONN_TOLD_FULL;
        conn->ops->drained(proxy, conn);
    }
}

/* --- input --- */

void stream_receive(struct proxy *proxy, struct stream *stream, struct bytes bytes)
{
    struct conn *conn = stream->conn;

    conn->moved_ms = proxy->now_ms;
    if (conn->state == CONN_OPEN && !conn_has(conn, CONN_BROKEN)) {
        conn_deliver(proxy, conn, bytes);
    }
}

/* The message that comes ends. */
void stream_end(struct proxy *proxy, struct stream *stream)
{
    struct conn *conn = stream->conn;

    if (conn->state == CONN_OPEN && !conn_has(conn, CONN_ENDED)) {
        conn_note_end(proxy, conn);
    }
}
