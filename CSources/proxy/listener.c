/* Listening sockets: accepting, and following the current generation. */
#include <errno.h>
#include <string.h>

#include "base/hash.h"
#include "lifetime.h"
#include "record.h"
#include "redirect.h"
#include "table/network.h"

#define LISTENER_RETRY_MS 100u  /* pause after the system could give no descriptor */
#define LISTENER_LAST_MAX 1024u /* connections taken over at the last look at a socket */

static uint64_t listener_token(const struct proxy *proxy, const struct listener *listener,
                               enum proxy_kind kind)
{
    return ring_token((uint8_t)kind, (uint32_t)(listener - proxy->listeners), listener->generation);
}

const struct abi_listener *listener_entry(const struct proxy *proxy,
                                          const struct listener *listener)
{
    return listener->index == ABI_NONE ? NULL : &proxy->current->view.listeners[listener->index];
}

const struct abi_hops *listener_hops(const struct proxy *proxy, const struct listener *listener)
{
    const struct abi_listener *entry = listener_entry(proxy, listener);

    return entry == NULL || entry->hops == ABI_NONE ? NULL
                                                    : &proxy->current->view.hops[entry->hops];
}

static struct listener *listener_find(struct proxy *proxy, uint64_t key)
{
    for (uint32_t i = 0; i < proxy->listener_count; i++) {
        if (proxy->listeners[i].used && proxy->listeners[i].key == key) {
            return &proxy->listeners[i];
        }
    }
    return NULL;
}

static struct listener *listener_make(struct proxy *proxy, uint64_t key)
{
    struct listener *listener = NULL;
    uint32_t generation;

    for (uint32_t i = 0; i < proxy->listener_count && listener == NULL; i++) {
        if (!proxy->listeners[i].used) {
            listener = &proxy->listeners[i];
        }
    }
    if (listener == NULL) {
        if (proxy->listener_count == LIMIT_LISTENERS) {
            return NULL;
        }
        listener = &proxy->listeners[proxy->listener_count++];
    }
    generation = listener->generation + 1;
    memset(listener, 0, sizeof(*listener));
    listener->key = key;
    listener->fd = -1;
    listener->index = ABI_NONE;
    listener->generation = generation;
    listener->used = true;
    list_init(&listener->conns);
    list_init(&listener->reauth);
    wheel_timer_init(&listener->retry, listener_token(proxy, listener, PROXY_KIND_LISTENER_TIMER));
    return listener;
}

static void listener_accept(struct proxy *proxy, struct listener *listener)
{
    if (listener->fd < 0 || listener->index == ABI_NONE || listener->accepting || proxy->draining) {
        return;
    }
    listener->accepting = true;
    ring_accept(proxy->ring, listener->fd, listener_token(proxy, listener, PROXY_KIND_ACCEPT));
}

void proxy_add_socket(struct proxy *proxy, uint64_t listener_key, int fd)
{
    struct listener *listener = listener_find(proxy, listener_key);

    if (listener == NULL) {
        listener = listener_make(proxy, listener_key);
    }
    if (listener == NULL || listener->fd >= 0) {
        ring_close(proxy->ring, fd, false);
        return;
    }
    listener->fd = fd;
    listener_accept(proxy, listener);
}

static void listener_close(struct proxy *proxy, struct listener *listener)
{
    if (listener->fd >= 0) {
        ring_close(proxy->ring, listener->fd, false);
        listener->fd = -1;
    }
    listener->accepting = false;
    wheel_cancel(&proxy->wheel, &listener->retry);
    if (listener->tls != NULL) {
        tls_context_release(listener->tls);
        listener->tls = NULL;
    }
}

/* A slot is free again when nothing listens and no connection refers to it. */
static void listener_forget(struct proxy *proxy, struct listener *listener)
{
    if (listener->used && listener->index == ABI_NONE && listener->open == 0) {
        listener_close(proxy, listener);
        list_remove(&listener->reauth);
        listener->used = false;
    }
}

static void listener_follow(struct proxy *proxy, struct listener *listener, uint32_t index)
{
    const struct view *view = &proxy->current->view;
    const struct abi_listener *entry = &view->listeners[index];
    uint64_t authority = hash_finish(authz_digest(view, entry) ^ entry->max_lifetime_ms);
    struct tls_context *tls =
        entry->tls == ABI_NONE ? NULL : tables_tls(proxy->current, entry->tls);

    listener->index = index;
    listener->stats = abi_stats_listener(proxy->stats, entry->stats_slot);
    if (tls != NULL) {
        tls_context_retain(tls);
    }
    if (listener->tls != NULL) {
        tls_context_release(listener->tls);
    }
    listener->tls = tls;
    if (listener->authority != authority) {
        listener->authority = authority;
        listener->epoch++;
        if (listener->open > 0 && list_is_empty(&listener->reauth)) {
            list_add_last(&proxy->reauth, &listener->reauth);
        }
    }
    listener_accept(proxy, listener);
}

void listener_refresh(struct proxy *proxy)
{
    const struct view *view = &proxy->current->view;

    for (uint32_t i = 0; i < proxy->listener_count; i++) {
        proxy->listeners[i].index = ABI_NONE;
    }
    for (uint32_t i = 0; i < view->counts[ABI_SECTION_LISTENER]; i++) {
        struct listener *listener = listener_find(proxy, view->listeners[i].key);

        if (listener == NULL) {
            listener = listener_make(proxy, view->listeners[i].key);
        }
        proxy->listener_places[i] =
            listener == NULL ? LISTENER_NOWHERE : (uint16_t)(listener - proxy->listeners);
        if (listener != NULL) {
            listener_follow(proxy, listener, i);
        }
    }
    for (uint32_t i = 0; i < proxy->listener_count; i++) {
        struct listener *listener = &proxy->listeners[i];

        if (listener->used && listener->index == ABI_NONE) {
            listener_close(proxy, listener);
            listener_forget(proxy, listener);
        }
    }
}

void listener_stop_all(struct proxy *proxy)
{
    for (uint32_t i = 0; i < proxy->listener_count; i++) {
        if (proxy->listeners[i].used) {
            listener_close(proxy, &proxy->listeners[i]);
        }
    }
}

void listener_on_timer(struct proxy *proxy, uint32_t slot)
{
    listener_accept(proxy, &proxy->listeners[slot]);
}

/* Nothing can be done for this connection. */
static void listener_turn_away(struct proxy *proxy, struct listener *listener, int fd)
{
    const struct abi_listener *entry = listener_entry(proxy, listener);
    enum abi_outcome outcome = ABI_OUTCOME_OVERLOAD;

    proxy_count(proxy, ABI_WORKER_SHED, 1);
    if (entry != NULL) {
        if (proxy->draining && !proxy->retiring) {
            outcome = ABI_OUTCOME_DRAINED;
        } else if (entry->max_connections != 0 && listener->open >= entry->max_connections) {
            outcome = ABI_OUTCOME_CONNECTION_LIMIT;
        }
        abi_stat_add(&listener->stats->outcomes[outcome], 1);
        record_turned_away(proxy, entry, fd, outcome);
    }
    ring_close(proxy->ring, fd, true);
}

static const struct conn_ops *listener_ops(const struct abi_listener *entry)
{
    if (entry->kind == ABI_LISTENER_L7) {
        return &l7_ops;
    }
    return (entry->flags & ABI_LISTENER_SNI) != 0 ? &sniff_ops : &l4_ops;
}

void listener_refuse(struct proxy *proxy, struct conn *conn, enum abi_outcome outcome)
{
    abi_stat_add(&listener_of(proxy, conn)->stats->outcomes[outcome], 1);
    record_refused(proxy, conn, 0, outcome);
    conn_close(proxy, conn, true);
}

void listener_welcome(struct proxy *proxy, struct conn *conn)
{
    struct listener *listener = listener_of(proxy, conn);
    const struct abi_listener *entry = listener_entry(proxy, listener);
    struct tls_session *tls = NULL;

    if (entry == NULL) {
        conn_close(proxy, conn, true);
        return;
    }
    conn->ops = listener_ops(entry);
    if (listener->tls != NULL) {
        tls = tls_session_create(listener->tls, bytes_of(NULL, 0), bytes_of(NULL, 0), NULL);
        if (tls == NULL) {
            proxy_count(proxy, ABI_WORKER_SHED, 1);
            listener_refuse(proxy, conn, ABI_OUTCOME_OVERLOAD);
            return;
        }
        conn_arm_timer(proxy, conn, entry->handshake_timeout_ms);
    } else if (entry->kind == ABI_LISTENER_L7) {
        conn_arm_timer(proxy, conn, entry->head_timeout_ms);
    } else if ((entry->flags & ABI_LISTENER_SNI) != 0) {
        conn_arm_timer(proxy, conn, entry->handshake_timeout_ms);
    }
    conn_accepted(proxy, conn, tls);
}

/* On a listener with PROXY headers: whether the connection goes on without one. Those of trusted
 * peers await theirs; others are closed unless the listener serves them as they are. */
static bool listener_is_direct(struct proxy *proxy, struct listener *listener, struct conn *conn)
{
    const struct abi_hops *hops = listener_hops(proxy, listener);

    conn_peer(proxy, conn);
    if (conn->peer_is_ip &&
        network_has(&proxy->current->view, hops->proxy_from, conn->peer_ip.bytes)) {
        conn->peer_length = 0; /* the peer is still to be named */
        conn_await_header(proxy, conn, hops->proxy_timeout_ms);
        return false;
    }
    if (hops->proxy_others == 0) {
        listener_refuse(proxy, conn, ABI_OUTCOME_PROXY_HEADER);
        return false;
    }
    return true;
}

/* A connection of a listener without connections of its own: the one that it belongs to, or NULL
 * when it is closed. */
[[gnu::noinline]] static struct listener *listener_inside(struct proxy *proxy,
                                                          struct listener *listener, int fd)
{
    enum abi_outcome outcome = ABI_OUTCOME_OK;
    struct listener *inner = redirect_find(proxy, listener, fd, &outcome);

    abi_stat_add(&listener->stats->counters[ABI_LISTENER_ACCEPTED], 1);
    if (inner == NULL) {
        abi_stat_add(&listener->stats->outcomes[outcome], 1);
        record_turned_away(proxy, listener_entry(proxy, listener), fd, outcome);
        ring_close(proxy->ring, fd, true);
    }
    return inner;
}

static void listener_admit(struct proxy *proxy, struct listener *outer, int fd)
{
    const struct abi_listener *entry = listener_entry(proxy, outer);
    struct listener *listener = outer;
    char congestion[16] = {0};
    struct bytes name;
    struct conn *conn;

    proxy_count(proxy, ABI_WORKER_ACCEPTED, 1);
    if (entry != NULL && (entry->flags & ABI_LISTENER_REDIRECTED) != 0) {
        listener = listener_inside(proxy, outer, fd);
        if (listener == NULL) {
            return;
        }
        entry = listener_entry(proxy, listener);
    }
    if (entry == NULL || (proxy->draining && !proxy->retiring) ||
        (entry->max_connections != 0 && listener->open >= entry->max_connections) ||
        (conn = conn_create(proxy, fd, NULL)) == NULL) {
        listener_turn_away(proxy, listener, fd);
        return;
    }
    conn->listener = (uint32_t)(listener - proxy->listeners);
    conn->epoch = listener->epoch;
    listener->open++;
    list_add_last(&listener->conns, &conn->group);
    abi_stat_add(&listener->stats->counters[ABI_LISTENER_ACCEPTED], 1);
    abi_stat_set(&listener->stats->counters[ABI_LISTENER_OPEN], listener->open);
    proxy_count(proxy, ABI_WORKER_CONNECTIONS_OPEN, 1);
    name = view_text(&proxy->current->view, entry->congestion);
    if (name.len < sizeof(congestion)) {
        memcpy(congestion, name.ptr, name.len);
    }
    ring_accepted(proxy->ring, fd, name.len > 0 ? congestion : NULL);
    if (entry->max_lifetime_ms != 0) {
        lifetime_begin(proxy, conn, entry->max_lifetime_ms);
    }
    if ((entry->flags & ABI_LISTENER_PROXY_IN) != 0 && !listener_is_direct(proxy, listener, conn)) {
        return;
    }
    listener_welcome(proxy, conn);
}

/* The last look at a socket. A kernel that wakes one waiter for each connection may have woken this
 * process at the moment it stopped waiting, and the successor not at all. */
static void listener_leave(struct proxy *proxy, struct listener *listener)
{
    int fd;

    for (uint32_t i = 0; proxy->retiring && i < LISTENER_LAST_MAX; i++) {
        fd = ring_accept_now(proxy->ring, listener->fd);
        if (fd < 0) {
            break;
        }
        listener_admit(proxy, listener, fd);
    }
    ring_close(proxy->ring, listener->fd, false);
    listener->fd = -1;
}

void listener_retire_all(struct proxy *proxy)
{
    for (uint32_t i = 0; i < proxy->listener_count; i++) {
        struct listener *listener = &proxy->listeners[i];

        if (listener->used && listener->fd >= 0) {
            wheel_cancel(&proxy->wheel, &listener->retry);
            if (listener->accepting) {
                ring_cancel(proxy->ring, listener->fd,
                            listener_token(proxy, listener, PROXY_KIND_ACCEPT));
            } else {
                listener_leave(proxy, listener);
            }
        }
    }
}

bool listener_is_accepting(const struct proxy *proxy)
{
    for (uint32_t i = 0; i < proxy->listener_count; i++) {
        if (proxy->listeners[i].used && proxy->listeners[i].accepting) {
            return true;
        }
    }
    return false;
}

void listener_on_accept(struct proxy *proxy, uint32_t slot, const struct ring_event *event)
{
    struct listener *listener = &proxy->listeners[slot];
    uint32_t generation = ring_token_generation(event->token);

    if (slot >= proxy->listener_count || !listener->used || listener->generation != generation) {
        ring_event_drop(proxy->ring, event, true);
        return;
    }
    if ((event->flags & RING_EVENT_MORE) == 0) {
        listener->accepting = false;
    }
    if (event->result >= 0) {
        listener_admit(proxy, listener, event->result);
    }
    if (proxy->draining) {
        if (!listener->accepting && listener->fd >= 0) {
            listener_leave(proxy, listener);
        }
        return;
    }
    if (event->result >= 0) {
        listener_accept(proxy, listener);
        return;
    }
    if (event->result != -ECANCELED) {
        proxy_count(proxy, ABI_WORKER_ACCEPT_ERRORS, 1);
        if (event->result == -EMFILE || event->result == -ENFILE || event->result == -ENOBUFS ||
            event->result == -ENOMEM) {
            wheel_arm(&proxy->wheel, &listener->retry, proxy->now_ms, LISTENER_RETRY_MS);
            return;
        }
    }
    listener_accept(proxy, listener);
}
