/* HTTP/2 with endpoints: few connections that carry the requests of many. */
#include "l7h2.h"
#include "request.h"

#define L7H2UP_IDLE_MS 55000u /* below the 60 s after which common servers close */
#define L7H2UP_LOOK_MS 250u   /* of a bounded number: whether another worker wants it */

static struct list_link *l7h2up_bucket(struct proxy *proxy, uint64_t key)
{
    return &proxy->uppool.muxes[key & (UPPOOL_BUCKETS - 1)];
}

/* More streams than the peer allows would wait inside the session, whoever else is free. */
static bool l7h2up_has_room(const struct mux *mux)
{
    return mux->open < LIMIT_H2_STREAMS && mux->open < h2_room(mux->session);
}

void l7h2up_leave(struct proxy *proxy, struct mux *mux)
{
    mux->flags |= MUX_LEFT;
    list_remove(&mux->pool);
    mux_list(proxy, mux);
}

/* Another worker has none of so many as there may be: no more streams on this one, which is closed
 * when those it carries have ended. */
static bool l7h2up_gives_way(struct proxy *proxy, struct mux *mux)
{
    if (mux->conn->held == 0 || !limits_is_wanted(proxy, mux->conn)) {
        return false;
    }
    l7h2up_leave(proxy, mux);
    return true;
}

struct conn *l7h2up_take(struct proxy *proxy, uint64_t key, const struct conn_ops *ops)
{
    struct list_link *head = l7h2up_bucket(proxy, key);
    struct list_link *next;

    for (struct list_link *link = head->next; link != head; link = next) {
        struct mux *mux = LIST_OWNER(link, struct mux, pool);

        next = link->next;
        if (mux->conn->pool_key == key && !conn_has(mux->conn, CONN_BROKEN | CONN_ENDED) &&
            l7h2up_has_room(mux) && !l7h2up_gives_way(proxy, mux)) {
            return mux_open(mux, ops, 0);
        }
    }
    return NULL;
}

struct conn *l7h2up_find_idle(struct proxy *proxy, uint64_t key)
{
    struct list_link *head = l7h2up_bucket(proxy, key);

    for (struct list_link *link = head->next; link != head; link = link->next) {
        struct mux *mux = LIST_OWNER(link, struct mux, pool);

        if (mux->conn->pool_key == key && mux->open == 0) {
            return mux->conn;
        }
    }
    return NULL;
}

/* --- the connection's events --- */

static void l7h2up_opened(struct proxy *proxy, struct conn *conn)
{
    struct list_link *streams = &conn->mux->streams;
    struct list_link *next;

    if (conn->tls != NULL && !bytes_equal(tls_alpn(conn->tls), BYTES_LITERAL("h2"))) {
        mux_fail(proxy, conn->mux, ABI_OUTCOME_UPSTREAM_PROTOCOL);
        conn_close(proxy, conn, false);
        return;
    }
    conn_arm_timer(proxy, conn, conn->held != 0 ? L7H2UP_LOOK_MS : L7H2UP_IDLE_MS);
    for (struct list_link *link = streams->next; link != streams; link = next) {
        struct conn *stream = LIST_OWNER(link, struct stream, group)->conn;

        next = link->next; /* the stream may end in this */
        stream->state = CONN_OPEN;
        stream->tls = conn->tls;
        stream->ops->opened(proxy, stream);
    }
    mux_list(proxy, conn->mux);
}

static size_t l7h2up_data(struct proxy *proxy, struct conn *conn, struct bytes in)
{
    struct mux *mux = conn->mux;

    if ((mux->flags & MUX_OVER) == 0) {
        (void)h2_receive(mux->session, in, proxy->now_ms);
        mux_list(proxy, mux);
    }
    if (conn_is_full(conn)) {
        conn_pause(conn);
    }
    return in.len;
}

static void l7h2up_failed(struct proxy *proxy, struct conn *conn, enum abi_outcome outcome)
{
    mux_fail(proxy, conn->mux, outcome);
    if (conn->mux->open == 0) {
        conn_close(proxy, conn, false);
    }
}

static void l7h2up_ended(struct proxy *proxy, struct conn *conn)
{
    l7h2up_failed(proxy, conn, ABI_OUTCOME_CLIENT_GONE);
}

static void l7h2up_drained(struct proxy *proxy, struct conn *conn)
{
    mux_list(proxy, conn->mux);
    conn_offer(proxy, conn);
}

static void l7h2up_timeout(struct proxy *proxy, struct conn *conn)
{
    struct mux *mux = conn->mux;
    uint64_t idle_ms = proxy->now_ms - mux->since_ms;

    if (conn->state == CONN_CONNECTING || conn->state == CONN_HANDSHAKING) {
        l7h2up_failed(proxy, conn, ABI_OUTCOME_CONNECT_TIMEOUT);
    } else if (mux->open == 0 && idle_ms >= L7H2UP_IDLE_MS) {
        conn_close(proxy, conn, false);
    } else if (conn->held != 0) {
        (void)l7h2up_gives_way(proxy, mux);
        conn_arm_timer(proxy, conn, L7H2UP_LOOK_MS);
    } else {
        conn_arm_timer(proxy, conn, mux->open == 0 ? L7H2UP_IDLE_MS - idle_ms : L7H2UP_IDLE_MS);
    }
}

/* It is closed as soon as it carries nothing. */
static void l7h2up_drain(struct proxy *proxy, struct conn *conn)
{
    if (conn->mux != NULL) {
        mux_list(proxy, conn->mux);
    }
}

static const struct conn_ops l7h2up_ops = {
    .opened = l7h2up_opened,
    .data = l7h2up_data,
    .ended = l7h2up_ended,
    .drained = l7h2up_drained,
    .failed = l7h2up_failed,
    .timeout = l7h2up_timeout,
    .drain = l7h2up_drain,
};

struct conn *l7h2up_start(struct proxy *proxy, struct conn *conn, const struct conn_ops *ops)
{
    struct mux *mux = mux_create(proxy, conn);
    struct conn *stream = NULL;

    conn->ops = &l7h2up_ops;
    if (mux != NULL) {
        stream = mux_open(mux, ops, 0);
    }
    if (stream == NULL) {
        conn_close(proxy, conn, false);
        return NULL;
    }
    list_add_first(l7h2up_bucket(proxy, conn->pool_key), &mux->pool);
    return stream;
}
