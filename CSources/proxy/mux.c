/* Connections that carry streams: the session between the socket and the streams. */
#include <string.h>

#include "conn_parts.h"
#include "l7h2.h"
#include "record.h"

#define MUX_LINGER_MS 250u   /* of a client that has left; what it may have sent comes by then */
#define MUX_PIECE     49152u /* bytes sent at once, one frame more or less */

static const struct h2_limits mux_limits = {
    .streams = LIMIT_H2_STREAMS,
    .head = LIMIT_H2_HEAD,
    .fields = H1_MAX_FIELDS,
    .block = LIMIT_H2_BLOCK,
    .stream_window = LIMIT_H2_STREAM_WINDOW,
    .window = LIMIT_H2_WINDOW,
    .calm = LIMIT_H2_CALM,
    .calm_per_second = LIMIT_H2_CALM_PER_SECOND,
};

_Static_assert(LIMIT_H2_HEAD >= H1_MAX_HEAD, "what HTTP/1.1 may say HTTP/2 may say");

void mux_list(struct proxy *proxy, struct mux *mux)
{
    if ((mux->flags & MUX_LISTED) == 0) {
        mux->flags |= MUX_LISTED;
        list_add_last(&proxy->mux_turn, &mux->turn);
    }
}

/* --- output --- */

static void mux_put_out(struct proxy *proxy, struct mux *mux)
{
    struct bytes part = bytes_of(proxy->frames, proxy->frames_length);

    if (part.len > 0) {
        proxy->frames_length = 0;
        conn_write(proxy, mux->conn, &part, 1);
    }
}

static void mux_emit(void *context, struct bytes bytes)
{
    struct mux *mux = context;
    struct proxy *proxy = mux->proxy;

    if (bytes.len > PROXY_SCRATCH_SIZE - proxy->frames_length) {
        mux_put_out(proxy, mux);
    }
    if (bytes.len > PROXY_SCRATCH_SIZE) {
        conn_write(proxy, mux->conn, &bytes, 1);
        return;
    }
    memcpy(proxy->frames + proxy->frames_length, bytes.ptr, bytes.len);
    proxy->frames_length += (uint32_t)bytes.len;
}

static void mux_emit_data(void *context, void *user, size_t count)
{
    struct mux *mux = context;
    struct stream *stream = user;
    struct spill *out = &stream->conn->out;
    size_t left = count;

    while (left > 0) {
        struct iovec part;
        size_t piece;

        MUST(spill_parts(out, &part, 1) == 1);
        piece = part.iov_len < left ? part.iov_len : left;
        mux_emit(mux, bytes_of(part.iov_base, piece));
        spill_consume(out, &mux->proxy->blocks, piece);
        left -= piece;
    }
    stream_sent(mux->proxy, stream, count);
}

/* Everything was said. */
void mux_finish(struct proxy *proxy, struct conn *conn)
{
    conn->mux->flags |= MUX_OVER;
    conn_finish(proxy, conn);
}

static void mux_push(struct proxy *proxy, struct mux *mux)
{
    struct conn *conn = mux->conn;
    bool done = false;

    if ((mux->flags & MUX_LOST) != 0 && mux->open == 0) {
        conn_close(proxy, conn, false);
        return;
    }
    if ((mux->flags & MUX_OVER) != 0) {
        return;
    }
    while (!done && conn->state == CONN_OPEN && !conn_is_full(conn)) {
        done = h2_send(mux->session, MUX_PIECE);
        mux_put_out(proxy, mux);
    }
    if (conn->state == CONN_OPEN && h2_is_over(mux->session)) {
        mux_fail(proxy, mux, ABI_OUTCOME_CLIENT_GONE);
        if (mux->open == 0) {
            mux_finish(proxy, conn);
        }
    } else if (mux->open == 0 && conn_has(conn, CONN_UPSTREAM) &&
               (proxy->draining || (mux->flags & MUX_LEFT) != 0)) {
        conn_close(proxy, conn, false);
    }
}

void mux_flush(struct proxy *proxy)
{
    struct list_link batch;
    struct list_link *link;

    list_init(&batch);
    while ((link = list_first(&proxy->mux_turn)) != NULL) {
        list_remove(link);
        list_add_last(&batch, link);
    }
    while ((link = list_first(&batch)) != NULL) {
        struct mux *mux = LIST_OWNER(link, struct mux, turn);

        list_remove(link);
        mux->flags &= ~(uint32_t)MUX_LISTED;
        mux_push(proxy, mux);
    }
}

/* --- what the session tells --- */

static void *mux_opened(void *context, int32_t id)
{
    struct mux *mux = context;
    struct conn *conn;

    if (listener_entry(mux->proxy, listener_of(mux->proxy, mux->conn)) == NULL) {
        l7h2_leave(mux->proxy, mux->conn);
        return NULL;
    }
    conn = mux_open(mux, &l7_ops, id);
    return conn == NULL ? NULL : conn->stream;
}

/* The last octet of the body that a request announces waits for the end of its stream: with one too
 * many it is malformed, and does not go on as a whole (RFC 9113 8.1.1). */
static struct bytes mux_hold(struct stream *stream, struct bytes bytes)
{
    if (bytes.len == 0 || stream->owed == 0) {
        return bytes;
    }
    stream->owed -= bytes.len < stream->owed ? bytes.len : stream->owed;
    if (stream->owed == 0) {
        stream->flags |= STREAM_HELD;
        stream->held = bytes.ptr[--bytes.len];
    }
    return bytes;
}

static void mux_release(struct mux *mux, struct stream *stream)
{
    if ((stream->flags & STREAM_HELD) != 0) {
        stream->flags &= ~(uint32_t)STREAM_HELD;
        stream_receive(mux->proxy, stream, bytes_of(&stream->held, 1));
    }
}

static void mux_message(void *context, void *user, const struct h2_message *message)
{
    struct mux *mux = context;
    struct stream *stream = user;
    struct conn *conn = stream->conn;
    struct proxy *proxy = mux->proxy;

    if (message->refusal != 0 && conn_has(conn, CONN_UPSTREAM)) {
        conn_fail(proxy, conn); /* an answer above the limits */
        return;
    }
    if (message->part == H2_HEAD && message->refusal != 0) {
        l7_refuse(proxy, conn, message->refusal,
                  message->refusal == 431 ? ABI_OUTCOME_TOO_LARGE : ABI_OUTCOME_BAD_REQUEST);
    } else if (message->refusal != 0) {
        conn_close(proxy, conn, true);
        return;
    } else if (message->part == H2_HEAD) {
        stream->flags &= ~(uint32_t)STREAM_CHUNKED; /* as an interim head may have left it */
        stream->flags |= message->chunked ? (uint32_t)STREAM_CHUNKED : 0;
        stream->flags |= message->end ? (uint32_t)STREAM_WHOLE : 0;
        stream->owed = conn_has(conn, CONN_UPSTREAM) ? 0 : message->length;
        if (message->empty) {
            conn_pause(conn); /* whether it is sound shows at its end */
        }
        stream_receive(proxy, stream, message->text);
    } else if ((stream->flags & STREAM_CHUNKED) != 0) {
        stream_receive(proxy, stream, BYTES_LITERAL("0\r\n"));
        stream_receive(proxy, stream, message->text);
        stream_receive(proxy, stream, BYTES_LITERAL("\r\n"));
    }
    if (message->end) {
        mux_release(mux, stream);
        stream_end(proxy, stream);
    }
}

static void mux_body(void *context, void *user, struct bytes bytes)
{
    struct mux *mux = context;
    struct stream *stream = user;
    uint8_t size[20];

    stream->unused += bytes.len;
    bytes = mux_hold(stream, bytes);
    if (bytes.len > 0 && (stream->flags & STREAM_CHUNKED) != 0) {
        stream_receive(mux->proxy, stream, bytes_of(size, h1body_put_size(size, bytes.len)));
        stream_receive(mux->proxy, stream, bytes);
        stream_receive(mux->proxy, stream, BYTES_LITERAL("\r\n"));
    } else if (bytes.len > 0) {
        stream_receive(mux->proxy, stream, bytes);
    }
    if (stream->conn->state != CONN_CLOSED) {
        stream_taken(mux->proxy, stream->conn);
    }
}

static void mux_body_end(void *context, void *user)
{
    struct mux *mux = context;
    struct stream *stream = user;

    if ((stream->flags & STREAM_CHUNKED) != 0) {
        stream_receive(mux->proxy, stream, BYTES_LITERAL("0\r\n\r\n"));
    }
    mux_release(mux, stream);
    stream_end(mux->proxy, stream);
    if (stream->conn->state == CONN_OPEN && stream->conn->user == NULL) {
        conn_offer(mux->proxy, stream->conn); /* its head waited for this */
    }
}

/* All of the answer is here: its client may still be reading it when nothing else of the upstream
 * is left, and loses none of it (RFC 9113 8.1). */
static bool mux_was_answered(const struct conn *stream)
{
    return conn_has(stream, CONN_UPSTREAM) && conn_has(stream, CONN_ENDED) &&
           !conn_has(stream, CONN_BROKEN | CONN_END_TOLD) && stream->user != NULL;
}

static void mux_closed(void *context, void *user, uint32_t code)
{
    struct mux *mux = context;
    struct stream *stream = user;
    struct conn *conn = stream->conn;

    stream->flags |= STREAM_GONE | (code == H2_REFUSED_STREAM ? (uint32_t)STREAM_REFUSED : 0);
    stream->id = 0;
    if (conn_has(conn, CONN_FINISHING)) {
        conn_close(mux->proxy, conn, false);
    } else if ((code != H2_NO_ERROR || (stream->flags & STREAM_FINISHED) == 0) &&
               !mux_was_answered(conn)) {
        conn_fail(mux->proxy, conn);
    }
}

static void mux_finished(void *context, void *user)
{
    struct mux *mux = context;
    struct stream *stream = user;
    struct conn *conn = stream->conn;

    stream->flags |= STREAM_FINISHED;
    if (conn_has(conn, CONN_FINISHING) && !conn_has(conn, CONN_ENDED)) {
        conn_close(mux->proxy, conn, false);
    }
}

static struct h2_ready mux_ready(void *context, void *user, size_t max)
{
    (void)context;
    return stream_ready(user, max);
}

static void mux_nothing(void *context)
{
    (void)context;
}

/* What it has sent before is served, then the connection ends. */
static void mux_left(void *context)
{
    struct mux *mux = context;

    mux->flags |= MUX_LEFT;
    if (conn_has(mux->conn, CONN_UPSTREAM)) {
        list_remove(&mux->pool);
        mux_list(mux->proxy, mux);
    } else {
        conn_arm_timer(mux->proxy, mux->conn, MUX_LINGER_MS);
    }
}

/* The round trip after the notice is over: all that was on its way has come. */
void mux_answered(void *context)
{
    struct mux *mux = context;

    if ((mux->flags & (MUX_LEAVING | MUX_FINAL)) == MUX_LEAVING) {
        mux->flags |= MUX_FINAL;
        h2_leave(mux->session, true);
        mux_list(mux->proxy, mux);
    }
}

static const struct h2_owner mux_owner = {
    .opened = mux_opened,
    .message = mux_message,
    .data = mux_body,
    .ended = mux_body_end,
    .closed = mux_closed,
    .ready = mux_ready,
    .emit_data = mux_emit_data,
    .finished = mux_finished,
    .emit = mux_emit,
    .settled = mux_nothing,
    .answered = mux_answered,
    .leaving = mux_left,
};

struct mux *mux_create(struct proxy *proxy, struct conn *conn)
{
    struct mux *mux = pool_take(&proxy->muxes);
    struct h2_config config = {
        .server = !conn_has(conn, CONN_UPSTREAM),
        .secure = conn->tls != NULL,
        .seed = proxy_random(proxy),
        .limits = mux_limits,
        .memory = &proxy->h2_memory,
        .owner = &mux_owner,
        .context = mux,
    };

    if (mux == NULL) {
        return NULL;
    }
    mux->session = h2_create(&config);
    if (mux->session == NULL) {
        pool_give(&proxy->muxes, mux);
        return NULL;
    }
    mux->proxy = proxy;
    mux->conn = conn;
    mux->since_ms = proxy->now_ms;
    list_init(&mux->turn);
    list_init(&mux->pool);
    list_init(&mux->streams);
    conn->mux = mux;
    mux_list(proxy, mux);
    return mux;
}

struct conn *mux_open(struct mux *mux, const struct conn_ops *ops, int32_t id)
{
    struct proxy *proxy = mux->proxy;
    struct conn *carrier = mux->conn;
    struct stream *stream = pool_take(&proxy->streams);
    struct conn *conn = stream == NULL ? NULL : conn_create(proxy, -1, ops);

    if (conn == NULL) {
        proxy_count(proxy, ABI_WORKER_SHED, 1);
        if (stream != NULL) {
            pool_give(&proxy->streams, stream);
        }
        return NULL;
    }
    conn->flags = CONN_STREAM | (carrier->flags & CONN_UPSTREAM);
    conn->state = carrier->state == CONN_OPEN ? CONN_OPEN : CONN_CONNECTING;
    conn->stream = stream;
    conn->listener = carrier->listener;
    conn->epoch = carrier->epoch;
    conn->tls = carrier->tls;
    conn->proxied = carrier->proxied;
    conn->handshake_us = carrier->handshake_us;
    conn->overlay_slot = carrier->overlay_slot;
    conn->pool_key = carrier->pool_key;
    conn->target_stats = carrier->target_stats;
    stream->mux = mux;
    stream->conn = conn;
    stream->id = id;
    list_add_last(&mux->streams, &stream->group);
    mux->open++;
    return conn;
}

/* The first stream that fails with its connection; NULL: those that are left were answered. */
static struct conn *mux_first_lost(const struct mux *mux)
{
    for (struct list_link *link = mux->streams.next; link != &mux->streams; link = link->next) {
        struct conn *stream = LIST_OWNER(link, struct stream, group)->conn;

        if (!mux_was_answered(stream)) {
            return stream;
        }
    }
    return NULL;
}

void mux_fail(struct proxy *proxy, struct mux *mux, enum abi_outcome outcome)
{
    struct conn *stream;

    mux->flags |= MUX_OVER;
    list_remove(&mux->pool); /* what goes on elsewhere does not come back here */
    while ((stream = mux_first_lost(mux)) != NULL) { /* others may end in this */
        if (stream->user != NULL) {
            stream->ops->failed(proxy, stream, outcome);
        }
        conn_close(proxy, stream, false);
    }
    mux->flags |= mux->open > 0 ? (uint32_t)MUX_LOST : 0;
}

void mux_end(struct proxy *proxy, struct conn *conn)
{
    struct mux *mux = conn->mux;
    struct list_link *link;

    mux_fail(proxy, mux, ABI_OUTCOME_CLIENT_GONE);
    while ((link = list_first(&mux->streams)) != NULL) {
        struct conn *stream = LIST_OWNER(link, struct stream, group)->conn;

        if (stream->user != NULL) {
            stream->ops->failed(proxy, stream, ABI_OUTCOME_CLIENT_GONE);
        }
        conn_close(proxy, stream, false);
    }
    list_remove(&mux->turn);
    h2_destroy(mux->session);
    conn->mux = NULL;
    pool_give(&proxy->muxes, mux);
}
