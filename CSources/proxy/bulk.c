/* Splice: bytes from one plaintext socket to another through a pipe, never through this process. */
#include <errno.h>
#include <poll.h>

#include "conn_parts.h"

#define BULK_PIECE      1048576u /* asked of one splice */
#define BULK_TURN       4194304u /* moved in one turn before others get theirs */
#define BULK_SMALL      16384u   /* a wake-up that brings less gains nothing */
#define BULK_SMALL_STOP 16u      /* ... and so many of them in a row end the transfer */

struct bulk {
    struct conn *from;
    struct conn *to;
    const struct bulk_user *user;
    int ends[2];
    uint64_t left;   /* not yet taken from the source */
    uint64_t inside; /* taken, not yet given */
    uint32_t small;  /* wake-ups in a row that brought little */
    bool started;
    bool source_ended;
    bool awaits_readable;
};

size_t bulk_size(void)
{
    return sizeof(struct bulk);
}

bool bulk_start(struct proxy *proxy, struct conn *from, struct conn *to,
                const struct bulk_user *user)
{
    struct bulk *bulk;

    if (from->tls != NULL || to->tls != NULL || from->stream != NULL || to->stream != NULL ||
        from->bulk_from != NULL || to->bulk_to != NULL ||
        (bulk = pool_take(&proxy->bulks)) == NULL) {
        return false;
    }
    if (ring_pipe_take(proxy->ring, bulk->ends) < 0) {
        pool_give(&proxy->bulks, bulk);
        return false;
    }
    bulk->from = from;
    bulk->to = to;
    bulk->user = user;
    from->bulk_from = bulk;
    to->bulk_to = bulk;
    if (conn_stop_receiving(proxy, from)) {
        bulk_run(proxy, bulk);
    }
    return true;
}

static void bulk_end(struct proxy *proxy, struct bulk *bulk)
{
    bulk->from->bulk_from = NULL;
    bulk->to->bulk_to = NULL;
    bulk->from->flags &= ~(uint32_t)CONN_SPLICING;
    ring_pipe_give(proxy->ring, bulk->ends, bulk->inside == 0);
    pool_give(&proxy->bulks, bulk);
}

void bulk_drop(struct proxy *proxy, struct bulk *bulk)
{
    bulk_end(proxy, bulk);
}

static void bulk_finish(struct proxy *proxy, struct bulk *bulk, bool failed)
{
    struct conn *from = bulk->from;
    const struct bulk_user *user = bulk->user;
    bool source_ended = bulk->source_ended;

    bulk_end(proxy, bulk);
    if (source_ended) {
        from->flags |= CONN_ENDED;
    }
    user->done(proxy, from, source_ended, failed);
    if (!failed) {
        conn_update_receive(proxy, from);
    }
}

/* Takes from the source what it has: false when it broke. *empty: it has no more for now. */
static bool bulk_take(struct proxy *proxy, struct bulk *bulk, bool *empty)
{
    uint64_t wanted = bulk->left < BULK_PIECE ? bulk->left : BULK_PIECE;
    ssize_t count;

    if (wanted == 0 || bulk->source_ended) {
        *empty = true;
        return true;
    }
    count = ring_splice(proxy->ring, bulk->from->fd, bulk->ends[1], (size_t)wanted,
                        bulk->left > wanted);
    if (count > 0) {
        bulk->inside += (uint64_t)count;
        bulk->left -= bulk->left == UINT64_MAX ? 0 : (uint64_t)count;
        bulk->from->moved_ms = proxy->now_ms;
        return true;
    }
    *empty = true;
    if (count == 0) {
        bulk->source_ended = true;
    }
    return count == 0 || count == -EAGAIN;
}

/* Gives the sink what the pipe holds: false when it broke. *full: it takes no more for now. */
static bool bulk_give(struct proxy *proxy, struct bulk *bulk, uint64_t *moved, bool *full)
{
    while (bulk->inside > 0) {
        ssize_t count = ring_splice(proxy->ring, bulk->ends[0], bulk->to->fd, (size_t)bulk->inside,
                                    bulk->left > 0 && !bulk->source_ended);

        if (count == -EAGAIN) {
            *full = true;
            return true;
        }
        if (count <= 0) {
            return false;
        }
        bulk->inside -= (uint64_t)count;
        *moved += (uint64_t)count;
        bulk->to->moved_ms = proxy->now_ms;
        bulk->to->sent_ms = proxy->now_ms;
    }
    return true;
}

static void bulk_await_readable(struct proxy *proxy, struct bulk *bulk)
{
    if (!bulk->awaits_readable) {
        bulk->awaits_readable = true;
        ring_poll(proxy->ring, bulk->from->fd, POLLIN,
                  conn_token(proxy, bulk->from, PROXY_KIND_READABLE));
    }
}

static void bulk_await_writable(struct proxy *proxy, struct bulk *bulk)
{
    if (!conn_has(bulk->to, CONN_WRITABLE_ARMED)) {
        bulk->to->flags |= CONN_WRITABLE_ARMED;
        ring_poll(proxy->ring, bulk->to->fd, POLLOUT,
                  conn_token(proxy, bulk->to, PROXY_KIND_WRITABLE));
    }
}

/* May it begin? Until then ordinary receives and sends are still under way. */
static bool bulk_begin(struct proxy *proxy, struct bulk *bulk)
{
    if (bulk->started) {
        return true;
    }
    if (conn_has(bulk->from, CONN_ARMED) || bulk->to->out.length > 0 || bulk->from->in.length > 0) {
        return false;
    }
    bulk->left = bulk->user->remaining(proxy, bulk->from);
    bulk->started = true;
    if (conn_has(bulk->from, CONN_ENDED)) {
        bulk->source_ended = true;
    }
    return true;
}

void bulk_run(struct proxy *proxy, struct bulk *bulk)
{
    uint64_t moved = 0;
    bool empty = false;
    bool full = false;
    bool taken = true;
    bool given = true;

    if (!bulk_begin(proxy, bulk)) {
        return;
    }
    while (taken && given && !empty && !full && moved < BULK_TURN) {
        taken = bulk_take(proxy, bulk, &empty);
        given = !taken || bulk_give(proxy, bulk, &moved, &full);
    }
    if (moved > 0) {
        proxy_count(proxy, ABI_WORKER_SPLICED_BYTES, moved);
        bulk->user->moved(proxy, bulk->from, moved);
    }
    if (!given) { /* the sink is gone: its own user has to hear of it */
        struct conn *to = bulk->to;

        bulk_end(proxy, bulk);
        conn_fail(proxy, to);
        return;
    }
    if (!taken) {
        bulk_finish(proxy, bulk, true);
        return;
    }
    if (full) {
        bulk_await_writable(proxy, bulk);
        return;
    }
    if (bulk->left == 0 || bulk->source_ended) {
        bulk_finish(proxy, bulk, false);
        return;
    }
    bulk->small = moved < BULK_SMALL ? bulk->small + 1 : 0;
    if (bulk->small >= BULK_SMALL_STOP && !bulk->awaits_readable) {
        bulk_finish(proxy, bulk, false);
        return;
    }
    bulk_await_readable(proxy, bulk);
}

void bulk_on_readable(struct proxy *proxy, struct conn *from)
{
    if (from->bulk_from != NULL) {
        from->bulk_from->awaits_readable = false;
        bulk_run(proxy, from->bulk_from);
    }
}
