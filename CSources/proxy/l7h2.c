/* HTTP/2 with clients: when it begins, its time limits, its end. */
#include "l7h2.h"

#include "record.h"

bool l7h2_is_preface(struct bytes in)
{
    static const struct bytes preface = {(const uint8_t *)"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                                         L7H2_PREFACE_SIZE};

    return in.len >= preface.len ? bytes_has_prefix(in, preface) : bytes_has_prefix(preface, in);
}

/* The listener's record, or what holds for one that is gone, and for gateways. */
static const struct abi_listener *l7h2_entry(struct proxy *proxy, const struct conn *conn)
{
    static const struct abi_listener gone = {.head_timeout_ms = 10000, .idle_timeout_ms = 60000};
    const struct abi_listener *entry = listener_entry(proxy, listener_of(proxy, conn));

    return entry == NULL || entry->kind == ABI_LISTENER_L4 ? &gone : entry;
}

/* --- the connection's events --- */

static size_t l7h2_data(struct proxy *proxy, struct conn *conn, struct bytes in)
{
    struct mux *mux = conn->mux;
    bool within;
    bool goes_on;

    if ((mux->flags & MUX_OVER) != 0) {
        return in.len;
    }
    conn_join(proxy);
    goes_on = h2_receive(mux->session, in, proxy->now_ms);
    conn_part(proxy);
    if (!goes_on) {
        mux_list(proxy, mux);
        return in.len;
    }
    within = h2_is_within_head(mux->session);
    if (within && (mux->flags & MUX_WITHIN) == 0) {
        mux->since_ms = proxy->now_ms;
        conn_arm_timer(proxy, conn, l7h2_entry(proxy, conn)->head_timeout_ms);
    }
    mux->flags = within ? mux->flags | MUX_WITHIN : mux->flags & ~(uint32_t)MUX_WITHIN;
    mux_list(proxy, mux);
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
        mux_list(proxy, mux);
        conn_arm_timer(proxy, conn, 1000);
    }
}

void l7h2_leave_now(struct proxy *proxy, struct conn *conn)
{
    struct mux *mux = conn->mux;

    mux->flags |= MUX_LEAVING | MUX_FINAL;
    h2_leave(mux->session, true);
    mux_list(proxy, mux);
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
        mux_finish(proxy, conn);
    } else {
        l7h2_failed(proxy, conn, ABI_OUTCOME_CLIENT_GONE);
    }
}

static void l7h2_drained(struct proxy *proxy, struct conn *conn)
{
    mux_list(proxy, conn->mux);
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
    mux_list(proxy, conn->mux);
}

static void l7h2_timeout(struct proxy *proxy, struct conn *conn)
{
    const struct abi_listener *entry = l7h2_entry(proxy, conn);
    struct mux *mux = conn->mux;
    uint64_t idle_ms = entry->idle_timeout_ms == 0 ? 60000 : entry->idle_timeout_ms;
    uint64_t end_ms = UINT64_MAX;
    enum abi_outcome outcome = ABI_OUTCOME_IDLE_TIMEOUT;

    mux_answered(mux); /* of a peer that does not answer, too */
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
    struct mux *mux = mux_create(proxy, conn);

    if (mux == NULL) {
        proxy_count(proxy, ABI_WORKER_SHED, 1);
        abi_stat_add(&listener_of(proxy, conn)->stats->outcomes[ABI_OUTCOME_OVERLOAD], 1);
        conn_close(proxy, conn, true);
        return;
    }
    mux->flags |= MUX_WITHIN;
    conn->ops = &l7h2_ops;
    conn_arm_timer(proxy, conn, l7h2_entry(proxy, conn)->head_timeout_ms);
    if (proxy->draining) { /* accepted before, or at the last look at its socket */
        l7h2_leave(proxy, conn);
    }
}
