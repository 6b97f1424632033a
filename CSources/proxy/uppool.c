/* Idle upstream connections, by what makes two of them interchangeable. */
#include "request.h"

#define UPPOOL_IDLE_MS 55000u /* below the 60 s after which common servers close */
#define UPPOOL_LOOK_MS 250u   /* of a bounded number: whether another worker wants it */

static struct list_link *uppool_bucket(struct uppool *pool, uint64_t key)
{
    return &pool->buckets[key & (UPPOOL_BUCKETS - 1)];
}

void uppool_init(struct uppool *pool)
{
    for (uint32_t i = 0; i < UPPOOL_BUCKETS; i++) {
        list_init(&pool->buckets[i]);
        list_init(&pool->muxes[i]);
    }
}

void uppool_release(struct proxy *proxy)
{
    struct uppool *pool = &proxy->uppool;
    const size_t count = sizeof(pool->resume) / sizeof(pool->resume[0]);

    for (size_t i = 0; i < count; i++) {
        tls_resume_free(pool->resume[i].session);
        pool->resume[i].session = NULL;
    }
}

static void uppool_unlink(struct proxy *proxy, struct conn *conn)
{
    conn->flags &= ~(uint32_t)CONN_IDLE;
    list_remove(&conn->group);
    proxy->uppool.idle--;
    proxy->idles[conn->overlay_slot]--;
    proxy_gauge_down(proxy, ABI_WORKER_UPSTREAM_IDLE);
}

struct conn *uppool_take(struct proxy *proxy, uint64_t key, struct conn *client)
{
    struct list_link *head = client != NULL ? &client->kept : uppool_bucket(&proxy->uppool, key);

    for (struct list_link *link = head->next; link != head; link = link->next) {
        struct conn *conn = LIST_OWNER(link, struct conn, group);

        if (conn->pool_key == key && !conn_has(conn, CONN_BROKEN | CONN_ENDED)) {
            uppool_unlink(proxy, conn);
            return conn;
        }
    }
    return NULL;
}

static void uppool_close(struct proxy *proxy, struct conn *conn)
{
    conn_close(proxy, conn, false);
}

/* Bytes that nobody asked for (RFC 9112 9.2): the connection cannot be trusted any more. */
static size_t uppool_data(struct proxy *proxy, struct conn *conn, struct bytes in)
{
    uppool_close(proxy, conn);
    return in.len;
}

static void uppool_failed(struct proxy *proxy, struct conn *conn, enum abi_outcome outcome)
{
    (void)outcome;
    uppool_close(proxy, conn);
}

static void uppool_timeout(struct proxy *proxy, struct conn *conn)
{
    uint64_t idle_ms = proxy->now_ms - conn->since_ms;

    if (idle_ms >= UPPOOL_IDLE_MS || (conn->held != 0 && limits_is_wanted(proxy, conn))) {
        uppool_close(proxy, conn);
    } else {
        conn_arm_timer(proxy, conn, conn->held != 0 ? UPPOOL_LOOK_MS : UPPOOL_IDLE_MS - idle_ms);
    }
}

static void uppool_nothing(struct proxy *proxy, struct conn *conn)
{
    (void)proxy;
    (void)conn;
}

static const struct conn_ops uppool_ops = {
    .opened = uppool_nothing,
    .data = uppool_data,
    .ended = uppool_close,
    .drained = uppool_nothing,
    .failed = uppool_failed,
    .timeout = uppool_timeout,
};

/* Room for one more among those kept for a client: the oldest gives way. */
static void uppool_make_room(struct proxy *proxy, struct conn *client)
{
    uint32_t count = 0;

    for (struct list_link *link = client->kept.next; link != &client->kept; link = link->next) {
        count++;
    }
    if (count >= LIMIT_POOL_IDLE_CLIENT) {
        conn_close(proxy, LIST_OWNER(client->kept.prev, struct conn, group), false);
    }
}

void uppool_put(struct proxy *proxy, struct conn *conn, struct conn *client)
{
    if ((conn->held != 0 && limits_is_wanted(proxy, conn)) ||
        (client != NULL && client->state != CONN_OPEN) || proxy->uppool.idle >= LIMIT_POOL_IDLE ||
        proxy->draining || proxy->idles[conn->overlay_slot] >= LIMIT_POOL_IDLE_ENDPOINT) {
        conn_close(proxy, conn, false);
        return;
    }
    conn->ops = &uppool_ops;
    conn->user = NULL;
    conn->since_ms = proxy->now_ms;
    conn->flags |= CONN_IDLE;
    if (client != NULL) {
        uppool_make_room(proxy, client);
        list_add_first(&client->kept, &conn->group);
    } else {
        list_add_first(uppool_bucket(&proxy->uppool, conn->pool_key), &conn->group);
    }
    proxy->uppool.idle++;
    proxy->idles[conn->overlay_slot]++;
    proxy_count(proxy, ABI_WORKER_UPSTREAM_IDLE, 1);
    if (conn->held != 0) {
        limits_idle(proxy);
        conn_arm_timer(proxy, conn, UPPOOL_LOOK_MS);
    } else if (!wheel_is_armed(&conn->timer)) {
        conn_arm_timer(proxy, conn, UPPOOL_IDLE_MS);
    }
    conn_offer(proxy, conn);
}

struct tls_resume *uppool_resume(struct proxy *proxy, uint64_t key)
{
    const size_t count = sizeof(proxy->uppool.resume) / sizeof(proxy->uppool.resume[0]);
    size_t slot = key % count;

    return proxy->uppool.resume[slot].key == key ? proxy->uppool.resume[slot].session : NULL;
}

void uppool_keep_resume(struct proxy *proxy, uint64_t key, struct tls_session *session)
{
    const size_t count = sizeof(proxy->uppool.resume) / sizeof(proxy->uppool.resume[0]);
    struct tls_resume *resume = tls_take_resume(session);
    size_t slot = key % count;

    if (resume == NULL) {
        return;
    }
    tls_resume_free(proxy->uppool.resume[slot].session);
    proxy->uppool.resume[slot].key = key;
    proxy->uppool.resume[slot].session = resume;
}
