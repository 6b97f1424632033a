/* HTTP/2, the connection: its session between the socket and the streams, its end, its limits. */
#include <string.h>

#include "conn_parts.h"
#include "l7h2.h"
#include "record.h"

#define L7H2_LINGER_MS 250u   /* of a peer that has left; what it may have sent comes by then */
#define L7H2_PIECE     49152u /* bytes sent at once, one frame more or less */

static const struct h2_limits l7h2_limits = {
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

bool l7h2_is_preface(struct bytes in)
{
    static const struct bytes preface = {(const uint8_t *)"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                                         L7H2_PREFACE_SIZE};

    return in.len >= preface.len ? bytes_has_prefix(in, preface) : bytes_has_prefix(preface, in);
}

static void l7h2_list(struct proxy *proxy, struct mux *mux)
{
    if ((mux->flags & MUX_LISTED) == 0) {
        mux->flags |= MUX_LISTED;
        list_add_last(&proxy->mux_turn, &mux->turn);
    }
}

/* The listener's record, or what holds for one that is gone. */
static const struct abi_listener *l7h2_entry(struct proxy *proxy, const struct conn *conn)
{
    static const struct abi_listener gone = {.head_timeout_ms = 10000, .idle_timeout_ms = 60000};
    const struct abi_listener *entry = listener_entry(proxy, listener_of(proxy, conn));

    return entry == NULL ? &gone : entry;
}

/* --- output --- */

static void l7h2_put_out(struct proxy *proxy, struct mux *mux)
{
    struct bytes part = bytes_of(proxy->frames, proxy->frames_length);

    if (part.len > 0) {
        proxy->frames_length = 0;
        conn_write(proxy, mux->conn, &part, 1);
    }
}

static void l7h2_emit(void *context, struct bytes bytes)
{
    struct mux *mux = context;
    struct proxy *proxy = mux->proxy;

    if (bytes.len > PROXY_SCRATCH_SIZE - proxy->frames_length) {
        l7h2_put_out(proxy, mux);
    }
    if (bytes.len > PROXY_SCRATCH_SIZE) {
        conn_write(proxy, mux->conn, &bytes, 1);
        return;
    }
    memcpy(proxy->frames + proxy->frames_length, bytes.ptr, bytes.len);
    proxy->frames_length += (uint32_t)bytes.len;
}

static void l7h2_emit_data(void *context, void *user, size_t count)
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
        l7h2_emit(mux, bytes_of(part.iov_base, piece));
        spill_consume(out, &mux->proxy->blocks, piece);
        left -= piece;
    }
    stream_sent(mux->proxy, stream, count);
}

/* Everything was said. */
static void l7h2_finish(struct proxy *proxy, struct conn *conn)
{
    conn->mux->flags |= MUX_OVER;
    conn_finish(proxy, conn);
}

static void l7h2_push(struct proxy *proxy, struct mux *mux)
{
    struct conn *conn = mux->conn;
    bool done = false;

    if ((mux->flags & MUX_OVER) != 0) {
        return;
    }
    while (!done && conn->state == CONN_OPEN && !conn_is_full(conn)) {
        done = h2_send(mux->session, L7H2_PIECE);
        l7h2_put_out(proxy, mux);
    }
    if (conn->state == CONN_OPEN && h2_is_over(mux->session)) {
        l7h2_finish(proxy, conn);
    }
}

void l7h2_flush(struct proxy *proxy)
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
        l7h2_push(proxy, mux);
    }
}

/* --- what the session tells --- */

static void *l7h2_opened(void *context, int32_t id)
{
    struct mux *mux = context;
    struct proxy *proxy = mux->proxy;
    struct conn *carrier = mux->conn;
    struct stream *stream;
    struct conn *conn;

    if (listener_entry(proxy, listener_of(proxy, carrier)) == NULL) {
        l7h2_leave(proxy, carrier);
        return NULL;
    }
    stream = pool_take(&proxy->streams);
    conn = stream == NULL ? NULL : conn_create(proxy, -1, &l7_ops);
    if (conn == NULL) {
        proxy_count(proxy, ABI_WORKER_SHED, 1);
        if (stream != NULL) {
            pool_give(&proxy->streams, stream);
        }
        return NULL;
    }
    conn->flags = CONN_STREAM;
    conn->state = CONN_OPEN;
    conn->stage = L7_AWAIT_HEAD;
    conn->stream = stream;
    conn->listener = carrier->listener;
    conn->epoch = carrier->epoch;
    conn->tls = carrier->tls;
    conn->proxied = carrier->proxied;
    conn->handshake_us = carrier->handshake_us;
    stream->mux = mux;
    stream->conn = conn;
    stream->id = id;
    list_add_last(&mux->streams, &stream->group);
    mux->open++;
    return stream;
}

static void l7h2_message(void *context, void *user, const struct h2_message *message)
{
    struct mux *mux = context;
    struct stream *stream = user;
    struct conn *conn = stream->conn;
    struct proxy *proxy = mux->proxy;

    if (message->part == H2_HEAD && message->refusal != 0) {
        l7_refuse(proxy, conn, message->refusal,
                  message->refusal == 431 ? ABI_OUTCOME_TOO_LARGE : ABI_OUTCOME_BAD_REQUEST);
    } else if (message->refusal != 0) {
        conn_close(proxy, conn, true);
        return;
    } else if (message->part == H2_HEAD) {
        stream->flags |= message->chunked ? (uint32_t)STREAM_CHUNKED : 0;
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
        stream_end(proxy, stream);
    }
}

static void l7h2_body(void *context, void *user, struct bytes bytes)
{
    struct mux *mux = context;
    struct stream *stream = user;
    uint8_t size[20];

    stream->unused += bytes.len;
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

static void l7h2_body_end(void *context, void *user)
{
    struct mux *mux = context;
    struct stream *stream = user;

    if ((stream->flags & STREAM_CHUNKED) != 0) {
        stream_receive(mux->proxy, stream, BYTES_LITERAL("0\r\n\r\n"));
    }
    stream_end(mux->proxy, stream);
    if (stream->conn->state == CONN_OPEN && stream->conn->user == NULL) {
        conn_offer(mux->proxy, stream->conn); /* its head waited for this */
    }
}

static void l7h2_closed(void *context, void *user, uint32_t code)
{
    struct mux *mux = context;
    struct stream *stream = user;
    struct conn *conn = stream->conn;

    stream->flags |= STREAM_GONE;
    stream->id = 0;
    if (conn_has(conn, CONN_FINISHING)) {
        conn_close(mux->proxy, conn, false);
    } else if (code != H2_NO_ERROR || (stream->flags & STREAM_FINISHED) == 0) {
        conn_fail(mux->proxy, conn);
    }
}

static void l7h2_finished(void *context, void *user)
{
    struct mux *mux = context;
    struct stream *stream = user;
    struct conn *conn = stream->conn;

    stream->flags |= STREAM_FINISHED;
    if (conn_has(conn, CONN_FINISHING) && !conn_has(conn, CONN_ENDED)) {
        conn_close(mux->proxy, conn, false);
    }
}

static struct h2_ready l7h2_ready(void *context, void *user, size_t max)
{
    (void)context;
    return stream_ready(user, max);
}

static void l7h2_nothing(void *context)
{
    (void)context;
}

/* What it has sent before is served, then the connection ends. */
static void l7h2_left(void *context)
{
    struct mux *mux = context;

    mux->flags |= MUX_LEFT;
    conn_arm_timer(mux->proxy, mux->conn, L7H2_LINGER_MS);
}

/* The round trip after the notice is over: all that was on its way has come. */
static void l7h2_answered(void *context)
{
    struct mux *mux = context;

    if ((mux->flags & (MUX_LEAVING | MUX_FINAL)) == MUX_LEAVING) {
        mux->flags |= MUX_FINAL;
        h2_leave(mux->session, true);
        l7h2_list(mux->proxy, mux);
    }
}

static const struct h2_owner l7h2_owner = {
    .opened = l7h2_opened,
    .message = l7h2_message,
    .data = l7h2_body,
    .ended = l7h2_body_end,
    .closed = l7h2_closed,
    .ready = l7h2_ready,
    .emit_data = l7h2_emit_data,
    .finished = l7h2_finished,
    .emit = l7h2_emit,
    .settled = l7h2_nothing,
    .answered = l7h2_answered,
    .leaving = l7h2_left,
};

/* --- the connection's events --- */

static size_t l7h2_data(struct proxy *proxy, struct conn *conn, struct bytes in)
{
    struct mux *mux = conn->mux;
    bool within;

    if ((mux->flags & MUX_OVER) != 0) {
        return in.len;
    }
    if (!h2_receive(mux->session, in, proxy->now_ms)) {
        l7h2_list(proxy, mux);
        return in.len;
    }
    within = h2_is_within_head(mux->session);
    if (within && (mux->flags & MUX_WITHIN) == 0) {
        mux->since_ms = proxy->now_ms;
        conn_arm_timer(proxy, conn, l7h2_entry(proxy, conn)->head_timeout_ms);
    }
    mux->flags = within ? mux->flags | MUX_WITHIN : mux->flags & ~(uint32_t)MUX_WITHIN;
    l7h2_list(proxy, mux);
    if (conn_is_full(conn)) { /* it does not read what it asked for: no more of it */
        conn_pause(conn);
    }
    return in.len;
}

void l7h2_leave(struct proxy *proxy, struct conn *conn)
{
    struct mux *mux = conn->mux;

    if ((mux->flags & (MUX_LEAVING | MUX_OVER)) == 0) {
        mux->flags |= MUX_LEAVING;
        h2_leave(mux->session, false);
        h2_ping(mux->session);
        l7h2_list(proxy, mux);
        conn_arm_timer(proxy, conn, 1000);
    }
}

void l7h2_leave_now(struct proxy *proxy, struct conn *conn)
{
    struct mux *mux = conn->mux;

    mux->flags |= MUX_LEAVING | MUX_FINAL;
    h2_leave(mux->session, true);
    l7h2_list(proxy, mux);
}

static void l7h2_failed(struct proxy *proxy, struct conn *conn, enum abi_outcome outcome)
{
    if (conn->mux->open == 0) {
        abi_stat_add(&listener_of(proxy, conn)->stats->outcomes[outcome], 1);
    }
    conn_close(proxy, conn, true);
}

static void l7h2_ended(struct proxy *proxy, struct conn *conn)
{
    struct mux *mux = conn->mux;

    /* Unlike HTTP/1.1 nobody says by this that only answers are wanted: windows could not open. */
    if (mux->open == 0 || (mux->flags & MUX_OVER) != 0) {
        l7h2_finish(proxy, conn);
    } else {
        l7h2_failed(proxy, conn, ABI_OUTCOME_CLIENT_GONE);
    }
}

static void l7h2_drained(struct proxy *proxy, struct conn *conn)
{
    l7h2_list(proxy, conn->mux);
    conn_offer(proxy, conn);
}

static void l7h2_give_up(struct proxy *proxy, struct conn *conn, enum abi_outcome outcome)
{
    abi_stat_add(&listener_of(proxy, conn)->stats->outcomes[outcome], 1);
    if (outcome == ABI_OUTCOME_HEAD_TIMEOUT) {
        record_refused(proxy, conn, 0, outcome);
    }
    if (conn_is_stuck(conn)) {
        conn_close(proxy, conn, true);
        return;
    }
    h2_terminate(conn->mux->session, H2_NO_ERROR);
    l7h2_list(proxy, conn->mux);
}

static void l7h2_timeout(struct proxy *proxy, struct conn *conn)
{
    const struct abi_listener *entry = l7h2_entry(proxy, conn);
    struct mux *mux = conn->mux;
    uint64_t idle_ms = entry->idle_timeout_ms == 0 ? 60000 : entry->idle_timeout_ms;
    uint64_t end_ms = UINT64_MAX;
    enum abi_outcome outcome = ABI_OUTCOME_IDLE_TIMEOUT;

    l7h2_answered(mux); /* of a peer that does not answer, too */
    if ((mux->flags & MUX_LEFT) != 0 && mux->open == 0) {
        l7h2_leave_now(proxy, conn);
    }
    if ((mux->flags & MUX_WITHIN) != 0) {
        outcome = ABI_OUTCOME_HEAD_TIMEOUT;
        end_ms = mux->since_ms + entry->head_timeout_ms;
    } else if (conn_is_stuck(conn)) {
        outcome = ABI_OUTCOME_CLIENT_GONE;
        end_ms = conn->sent_ms + idle_ms;
    } else if (mux->open == 0 && entry->idle_timeout_ms != 0) {
        end_ms = (conn->moved_ms > mux->since_ms ? conn->moved_ms : mux->since_ms) + idle_ms;
    }
    if (end_ms < proxy->now_ms) {
        l7h2_give_up(proxy, conn, outcome);
    } else {
        conn_arm_timer(proxy, conn, end_ms == UINT64_MAX ? idle_ms : end_ms - proxy->now_ms);
    }
}

static const struct conn_ops l7h2_ops = {
    .opened = NULL, /* it is open */
    .data = l7h2_data,
    .ended = l7h2_ended,
    .drained = l7h2_drained,
    .failed = l7h2_failed,
    .timeout = l7h2_timeout,
    .drain = l7h2_leave,
};

void l7h2_start(struct proxy *proxy, struct conn *conn)
{
    struct mux *mux = pool_take(&proxy->muxes);
    struct h2_config config = {
        .server = true,
        .seed = proxy_random(proxy),
        .limits = l7h2_limits,
        .memory = &proxy->h2_memory,
        .owner = &l7h2_owner,
        .context = mux,
    };

    if (mux != NULL) {
        mux->session = h2_create(&config);
    }
    if (mux == NULL || mux->session == NULL) {
        proxy_count(proxy, ABI_WORKER_SHED, 1);
        abi_stat_add(&listener_of(proxy, conn)->stats->outcomes[ABI_OUTCOME_OVERLOAD], 1);
        if (mux != NULL) {
            pool_give(&proxy->muxes, mux);
        }
        conn_close(proxy, conn, true);
        return;
    }
    mux->proxy = proxy;
    mux->conn = conn;
    mux->flags = MUX_WITHIN;
    mux->since_ms = proxy->now_ms;
    list_init(&mux->turn);
    list_init(&mux->streams);
    conn->mux = mux;
    conn->ops = &l7h2_ops;
    conn_arm_timer(proxy, conn, l7h2_entry(proxy, conn)->head_timeout_ms);
    l7h2_list(proxy, mux);
}

void l7h2_end(struct proxy *proxy, struct conn *conn)
{
    struct mux *mux = conn->mux;
    struct list_link *link;

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
