/* Connections that have lasted as long as they may. Requests look at nothing for it: the timer
 * looks at what its connection is doing. */
#include "lifetime.h"

#include "base/num.h"
#include "l7.h"
#include "l7h2.h"
#include "record.h"

#define LIFETIME_LOOK_MS                                                                           \
    50u /* while a head is on its way: it may not be refused, nor answered yet */

_Static_assert((uint64_t)LIMIT_LIFETIME_MS < (uint64_t)WHEEL_TICK_MS * (WHEEL_SLOTS - 1)
                                                 << ((WHEEL_LEVELS - 1) * WHEEL_SLOT_BITS),
               "the wheel reaches so far");

void lifetime_begin(struct proxy *proxy, struct conn *conn, uint32_t lifetime_ms)
{
    uint64_t end_ms = conn->made_ms + lifetime_ms;
    uint64_t spread_ms = lifetime_ms / 10;
    uint64_t left_ms = end_ms > proxy->now_ms ? end_ms - proxy->now_ms : spread_ms;

    if (conn->life_ms == 0) {
        wheel_timer_init(&conn->life, conn_token(proxy, conn, PROXY_KIND_LIFE_TIMER));
    }
    conn->life_ms = lifetime_ms;
    spread_ms = spread_ms < left_ms ? spread_ms : left_ms;
    wheel_arm(&proxy->wheel, &conn->life, proxy->now_ms,
              left_ms - proxy_random(proxy) % (spread_ms + 1));
}

void lifetime_follow(struct proxy *proxy, struct conn *conn, uint32_t lifetime_ms)
{
    if (conn->life_ms == lifetime_ms) {
        return;
    }
    if (lifetime_ms != 0) {
        lifetime_begin(proxy, conn, lifetime_ms);
        return;
    }
    wheel_cancel(&proxy->wheel, &conn->life);
    conn->life_ms = 0;
}

void lifetime_inherit(struct proxy *proxy, struct conn *up, const struct request *request)
{
    const struct request *asked = request_has(request, REQUEST_MIRROR) ? request->mirror : request;
    const struct abi_listener *entry;

    if (asked == NULL || request_has(request, REQUEST_L4)) {
        return;
    }
    entry = listener_entry(proxy, listener_of(proxy, asked->down));
    if (entry != NULL && entry->max_lifetime_ms != 0) {
        lifetime_begin(proxy, up, entry->max_lifetime_ms);
    }
}

static void lifetime_count(struct proxy *proxy, struct conn *conn)
{
    abi_stat_add(&listener_of(proxy, conn)->stats->outcomes[ABI_OUTCOME_MAX_LIFETIME], 1);
}

/* Between two requests it ends at once. A request that is under way is its last one, and its answer
 * says so where that has not begun. */
static void lifetime_end_http(struct proxy *proxy, struct conn *conn)
{
    struct request *request = conn->user;

    if (request != NULL) {
        request->flags |= REQUEST_CLOSE_DOWN;
        lifetime_count(proxy, conn);
    } else if (conn->stage == L7_AWAIT_HEAD && conn->in.length == 0) {
        lifetime_count(proxy, conn);
        conn->stage = L7_ENDING;
        conn_finish(proxy, conn);
    } else if (conn->stage != L7_ENDING) {
        wheel_arm(&proxy->wheel, &conn->life, proxy->now_ms, LIFETIME_LOOK_MS);
    }
}

/* Its client is told to go elsewhere, and gets what it has asked for; tunnels are cut. */
static void lifetime_end_streams(struct proxy *proxy, struct conn *conn)
{
    struct list_link *streams = &conn->mux->streams;
    struct list_link *next;

    if ((conn->mux->flags & (MUX_LEAVING | MUX_OVER)) != 0) {
        return;
    }
    lifetime_count(proxy, conn);
    for (struct list_link *link = streams->next; link != streams; link = next) {
        struct conn *stream = LIST_OWNER(link, struct stream, group)->conn;
        struct request *request = stream->user;

        next = link->next; /* the stream ends in this */
        if (request != NULL && request_has(request, REQUEST_TUNNEL)) {
            stream->ops->failed(proxy, stream, ABI_OUTCOME_MAX_LIFETIME);
        }
    }
    l7h2_leave(proxy, conn);
}

static void lifetime_end_client(struct proxy *proxy, struct conn *conn)
{
    if (conn->state != CONN_OPEN || conn_has(conn, CONN_AWAITS_HEADER)) {
        lifetime_count(proxy, conn); /* it has not even begun */
        record_refused(proxy, conn, 0, ABI_OUTCOME_MAX_LIFETIME);
        conn_close(proxy, conn, true);
    } else if (conn->mux != NULL) {
        lifetime_end_streams(proxy, conn);
    } else if (conn->ops == &l7_ops) {
        lifetime_end_http(proxy, conn);
    } else {
        conn->ops->failed(proxy, conn, ABI_OUTCOME_MAX_LIFETIME);
    }
}

/* It gets no further requests. */
static void lifetime_end_upstream(struct proxy *proxy, struct conn *conn)
{
    struct request *request = conn->user;

    if (conn_has(conn, CONN_IDLE)) {
        conn_close(proxy, conn, false);
    } else if (conn->mux != NULL) {
        l7h2up_leave(proxy, conn->mux);
    } else if (request != NULL && request_has(request, REQUEST_TUNNEL)) {
        conn->ops->failed(proxy, conn, ABI_OUTCOME_MAX_LIFETIME);
    } else if (request != NULL) {
        request->flags |= REQUEST_CLOSE_UP;
    }
}

void lifetime_on_timer(struct proxy *proxy, struct conn *conn)
{
    if (conn->state == CONN_LINGERING || conn_has(conn, CONN_FINISHING)) {
        return; /* its last bytes are on their way */
    }
    if (conn_has(conn, CONN_UPSTREAM)) {
        lifetime_end_upstream(proxy, conn);
    } else {
        lifetime_end_client(proxy, conn);
    }
}
