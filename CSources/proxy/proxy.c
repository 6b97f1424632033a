#include "proxy/proxy.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/err.h"
#include "l7code.h"
#include "l7h2.h"
#include "lifetime.h"
#include "mirror.h"
#include "record.h"
#include "tokens.h"

#define PROXY_USER_NEAR 320u /* bytes of a request that every message reads */
#define PROXY_MANY      256u /* connections and streams that stay in the core's own cache */
#define PROXY_READY_ROUNDS                                                                         \
    16u /* deliveries of held input in one turn before the ring is asked again */

static void *proxy_pages(size_t size)
{
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return pages == MAP_FAILED ? NULL : pages;
}

static int proxy_take_memory(struct proxy *proxy)
{
    const struct proxy_config *config = &proxy->config;
    uint32_t conns =
        config->max_connections < LIMIT_CONNECTIONS ? config->max_connections : LIMIT_CONNECTIONS;
    uint32_t requests = conns < LIMIT_REQUESTS ? conns : LIMIT_REQUESTS;

    proxy->max_sockets = conns;
    if (pool_init(&proxy->conns, sizeof(struct conn), conns + requests) != MESH_OK ||
        pool_init(&proxy->muxes, sizeof(struct mux), conns) != MESH_OK ||
        pool_init(&proxy->streams, sizeof(struct stream), requests) != MESH_OK ||
        pool_init(&proxy->requests, sizeof(struct request), requests) != MESH_OK ||
        pool_init(&proxy->blocks, sizeof(struct spill_block), LIMIT_SPILL_BLOCKS) != MESH_OK ||
        pool_init(&proxy->bulks, bulk_size(), LIMIT_PIPES) != MESH_OK ||
        pool_init(&proxy->records, sizeof(struct record), requests + 1) != MESH_OK ||
        pool_init(&proxy->proxieds, conn_proxied_size(), conns) != MESH_OK ||
        pool_init(&proxy->coders, COMPRESS_MEMORY, LIMIT_COMPRESSIONS) != MESH_OK) {
        return MESH_E_NO_MEMORY;
    }
    proxy->listeners = proxy_pages(LIMIT_LISTENERS * sizeof(struct listener));
    proxy->cursors = proxy_pages(LIMIT_TARGETS * sizeof(uint32_t));
    proxy->loads = proxy_pages(LIMIT_ENDPOINTS * sizeof(uint32_t));
    proxy->idles = proxy_pages(LIMIT_ENDPOINTS * sizeof(uint32_t));
    proxy->latencies = proxy_pages(LIMIT_ENDPOINTS * sizeof(struct latency));
    proxy->shares = proxy_pages(LIMIT_TARGETS * sizeof(struct balance_shares));
    proxy->scratch = proxy_pages(7 * (size_t)PROXY_SCRATCH_SIZE);
    proxy->h2_arena = proxy_pages(LIMIT_H2_MEMORY + H2_SLAB_SIZE);
    proxy->tokens = proxy_pages(tokens_size());
    if (proxy->tokens == NULL || proxy->listeners == NULL || proxy->cursors == NULL ||
        proxy->loads == NULL || proxy->idles == NULL || proxy->latencies == NULL ||
        proxy->shares == NULL || proxy->scratch == NULL || proxy->h2_arena == NULL) {
        return MESH_E_NO_MEMORY;
    }
    proxy->plain = proxy->scratch + PROXY_SCRATCH_SIZE;
    proxy->linear = proxy->plain + PROXY_SCRATCH_SIZE;
    proxy->small = proxy->linear + PROXY_SCRATCH_SIZE;
    proxy->frames = proxy->small + PROXY_SCRATCH_SIZE;
    proxy->coded = proxy->frames + PROXY_SCRATCH_SIZE;
    proxy->joined.bytes = proxy->coded + PROXY_SCRATCH_SIZE;
    tokens_init(proxy->tokens);
    h2_memory_init(&proxy->h2_memory,
                   proxy->h2_arena + (H2_SLAB_SIZE - (uintptr_t)proxy->h2_arena % H2_SLAB_SIZE),
                   LIMIT_H2_MEMORY);
    return MESH_OK;
}

int proxy_create(const struct proxy_config *config, struct proxy **out)
{
    struct proxy *proxy = proxy_pages(sizeof(*proxy));
    int result;

    if (proxy == NULL) {
        return MESH_E_NO_MEMORY;
    }
    proxy->config = *config;
    proxy->ring = config->ring;
    proxy->stats = config->stats;
    proxy->random = config->seed | 1;
    memcpy(proxy->trace_random, config->trace_seed, sizeof(proxy->trace_random));
    proxy->trace_random[0] |= 1; /* a state of zeros would stay one */
    proxy->now_ms = ring_now_ns(config->ring) / 1000000u;
    list_init(&proxy->ready);
    list_init(&proxy->dead);
    list_init(&proxy->starved);
    list_init(&proxy->mux_turn);
    list_init(&proxy->reauth);
    list_init(&proxy->queue);
    wheel_timer_init(&proxy->queue_timer, ring_token(PROXY_KIND_QUEUE_TIMER, 0, 0));
    uppool_init(&proxy->uppool);
    wheel_init(&proxy->wheel, proxy->now_ms);
    wheel_timer_init(&proxy->drain_timer, ring_token(PROXY_KIND_DRAIN_TIMER, 0, 0));
    result = proxy_take_memory(proxy);
    if (result == MESH_OK) {
        result = tls_init();
    }
    if (result != MESH_OK) {
        proxy_destroy(proxy);
        return result;
    }
    *out = proxy;
    return MESH_OK;
}

static void proxy_close_all(struct proxy *proxy)
{
    for (uint32_t i = 0; i < proxy->requests.capacity && proxy->requests.used > 0; i++) {
        struct request *request = pool_at(&proxy->requests, i);

        if (request != NULL && request_has(request, REQUEST_MIRROR)) {
            mirror_stop(proxy, request);
        } else if (request != NULL) {
            struct conn *down = request->down;

            upstream_leave(proxy, request, false);
            request_end(proxy, request, ABI_OUTCOME_DRAINED);
            conn_close(proxy, down, true); /* cut: it must not look whole */
        }
    }
    for (uint32_t i = 0; i < proxy->conns.capacity && proxy->conns.used > 0; i++) {
        struct conn *conn = pool_at(&proxy->conns, i);

        if (conn != NULL) {
            conn_close(proxy, conn, false);
        }
    }
    conn_bury(proxy);
}

void proxy_destroy(struct proxy *proxy)
{
    if (proxy->linear != NULL) {
        listener_stop_all(proxy);
        proxy_close_all(proxy);
        uppool_release(proxy);
        if (proxy->prepared != NULL) {
            proxy_abort(proxy);
        }
        if (proxy->current != NULL) {
            tables_release(proxy->current);
            proxy->config.released(proxy->config.context, proxy->current);
        }
    }
    pool_release(&proxy->conns);
    pool_release(&proxy->requests);
    pool_release(&proxy->blocks);
    pool_release(&proxy->bulks);
    pool_release(&proxy->records);
    pool_release(&proxy->proxieds);
    pool_release(&proxy->muxes);
    pool_release(&proxy->streams);
    pool_release(&proxy->coders);
    if (proxy->listeners != NULL) {
        munmap(proxy->listeners, LIMIT_LISTENERS * sizeof(struct listener));
    }
    if (proxy->cursors != NULL) {
        munmap(proxy->cursors, LIMIT_TARGETS * sizeof(uint32_t));
    }
    if (proxy->loads != NULL) {
        munmap(proxy->loads, LIMIT_ENDPOINTS * sizeof(uint32_t));
    }
    if (proxy->idles != NULL) {
        munmap(proxy->idles, LIMIT_ENDPOINTS * sizeof(uint32_t));
    }
    if (proxy->latencies != NULL) {
        munmap(proxy->latencies, LIMIT_ENDPOINTS * sizeof(struct latency));
    }
    if (proxy->shares != NULL) {
        munmap(proxy->shares, LIMIT_TARGETS * sizeof(struct balance_shares));
    }
    if (proxy->scratch != NULL) {
        munmap(proxy->scratch, 7 * (size_t)PROXY_SCRATCH_SIZE);
    }
    if (proxy->tokens != NULL) {
        munmap(proxy->tokens, tokens_size());
    }
    if (proxy->h2_arena != NULL) {
        munmap(proxy->h2_arena, LIMIT_H2_MEMORY + H2_SLAB_SIZE);
    }
    munmap(proxy, sizeof(*proxy));
}

void proxy_take_verdict(struct proxy *proxy, const struct abi_token_verdict *verdict)
{
    tokens_take(proxy, verdict);
}

/* --- generations --- */

bool proxy_prepare(struct proxy *proxy, struct proxy_generation *generation,
                   struct view_refusal *refusal)
{
    MUST(proxy->prepared == NULL);
    generation->users = 0;
    generation->retired = false;
    generation->tables = NULL;
    if (!tables_build(proxy, generation, refusal)) {
        return false;
    }
    proxy->prepared = generation;
    return true;
}

void proxy_commit(struct proxy *proxy)
{
    struct proxy_generation *old = proxy->current;

    MUST(proxy->prepared != NULL);
    proxy->current = proxy->prepared;
    proxy->prepared = NULL;
    generation_use(proxy->current); /* being current counts as a use */
    tables_activate(proxy->current);
    abi_stat_set(&proxy->stats->generation, proxy->current->view.head->generation);
    if (!proxy->draining) {
        listener_refresh(proxy);
    }
    if (old != NULL) {
        old->retired = true;
        generation_leave(proxy, old);
    }
}

void proxy_abort(struct proxy *proxy)
{
    struct proxy_generation *generation = proxy->prepared;

    if (generation == NULL) {
        return;
    }
    proxy->prepared = NULL;
    tables_release(generation);
    proxy->config.released(proxy->config.context, generation);
    if (proxy->current != NULL && !proxy->draining) {
        listener_refresh(proxy);
    }
}

uint64_t proxy_oldest_generation(const struct proxy *proxy)
{
    uint64_t oldest = proxy->current == NULL ? 0 : proxy->current->view.head->generation;

    for (uint32_t i = 0; i < proxy->requests.high_water; i++) {
        const struct request *request = pool_at(&proxy->requests, i);

        if (request != NULL && request->generation != NULL &&
            request->generation->view.head->generation < oldest) {
            oldest = request->generation->view.head->generation;
        }
    }
    return oldest;
}

/* --- the loop's calls --- */

static void proxy_on_timer(struct proxy *proxy, uint64_t token)
{
    uint32_t slot = ring_token_slot(token);
    uint32_t generation = ring_token_generation(token);

    switch ((enum proxy_kind)ring_token_kind(token)) {
    case PROXY_KIND_TIMER: {
        struct conn *conn = pool_get(&proxy->conns, slot, generation);

        if (conn != NULL && conn->state != CONN_CLOSED) {
            conn_on_timer(proxy, conn);
        }
        break;
    }
    case PROXY_KIND_LIFE_TIMER: {
        struct conn *conn = pool_get(&proxy->conns, slot, generation);

        if (conn != NULL && conn->state != CONN_CLOSED) {
            lifetime_on_timer(proxy, conn);
        }
        break;
    }
    case PROXY_KIND_REQUEST_TIMER: {
        struct request *request = pool_get(&proxy->requests, slot, generation);

        if (request != NULL && request_has(request, REQUEST_MIRROR)) {
            mirror_timeout(proxy, request);
        } else if (request != NULL) {
            l7_request_timeout(proxy, request);
        }
        break;
    }
    case PROXY_KIND_RETRY_TIMER: {
        struct request *request = pool_get(&proxy->requests, slot, generation);

        if (request != NULL) {
            retry_on_timer(proxy, request);
        }
        break;
    }
    case PROXY_KIND_IDLE_TIMER: {
        struct request *request = pool_get(&proxy->requests, slot, generation);

        if (request != NULL) {
            l7idle_on_timer(proxy, request);
        }
        break;
    }
    case PROXY_KIND_QUEUE_TIMER:
        limits_run_queue(proxy);
        break;
    case PROXY_KIND_LISTENER_TIMER:
        listener_on_timer(proxy, slot);
        break;
    case PROXY_KIND_DRAIN_TIMER:
        proxy_close_all(proxy);
        break;
    default:
        MUST(false);
    }
}

/* The connection of a completion, or NULL. */
static const struct conn *proxy_conn_of(const struct proxy *proxy, const struct ring_event *event)
{
    enum proxy_kind kind = (enum proxy_kind)ring_token_kind(event->token);

    return kind == PROXY_KIND_ACCEPT || kind >= PROXY_KIND_COUNT
               ? NULL
               : pool_at(&proxy->conns, ring_token_slot(event->token));
}

static void proxy_prefetch(const void *object, size_t size)
{
    const uint8_t *at = object;

    for (size_t line = 0; at != NULL && line < size; line += 64) {
        __builtin_prefetch(at + line);
    }
}

/* Of many connections none is in the core's cache when its completion comes, nor is the request
 * behind it, which all of the message's way reads. */
void proxy_foresee(const struct proxy *proxy, const struct ring_event *next, uint32_t count)
{
    const struct conn *near;

    if (count <= 4 || proxy->conns.used < PROXY_MANY) {
        return;
    }
    proxy_prefetch(proxy_conn_of(proxy, &next[4]), offsetof(struct conn, life_ms));
    near = proxy_conn_of(proxy, &next[2]);
    if (near != NULL) {
        proxy_prefetch(near->user, PROXY_USER_NEAR);
    }
}

void proxy_event(struct proxy *proxy, const struct ring_event *event)
{
    enum proxy_kind kind = (enum proxy_kind)ring_token_kind(event->token);
    struct conn *conn;

    proxy->now_ms = ring_now_ns(proxy->ring) / 1000000u;
    proxy_count(proxy, ABI_WORKER_EVENTS, 1);
    if (kind == PROXY_KIND_ACCEPT) {
        listener_on_accept(proxy, ring_token_slot(event->token), event);
        return;
    }
    conn =
        pool_get(&proxy->conns, ring_token_slot(event->token), ring_token_generation(event->token));
    if (conn == NULL || conn->state == CONN_CLOSED) {
        proxy_count(proxy, ABI_WORKER_STALE_EVENTS, 1);
        ring_event_drop(proxy->ring, event, false);
        return;
    }
    switch (kind) {
    case PROXY_KIND_RECEIVE:
        conn_on_receive(proxy, conn, event);
        break;
    case PROXY_KIND_CONNECT:
        conn_on_connect(proxy, conn, event->result);
        break;
    case PROXY_KIND_WRITABLE:
        conn_on_writable(proxy, conn);
        break;
    case PROXY_KIND_READABLE:
        bulk_on_readable(proxy, conn);
        break;
    default:
        MUST(false);
    }
}

static void proxy_note_gauges(struct proxy *proxy)
{
    uint64_t *counters = proxy->stats->counters;

    abi_stat_set(&counters[ABI_WORKER_SPILL_BLOCKS], proxy->blocks.used);
    abi_stat_set(&counters[ABI_WORKER_SPILL_BLOCKS_HIGH], proxy->blocks.high_water);
    abi_stat_set(&counters[ABI_WORKER_CONNECTIONS_HIGH], proxy->conns.high_water);
    abi_stat_set(&counters[ABI_WORKER_REQUESTS_HIGH], proxy->requests.high_water);
    abi_stat_add(&counters[ABI_WORKER_TURNS], 1);
}

void proxy_turn(struct proxy *proxy)
{
    struct wheel_timer *timer;

    proxy->now_ms = ring_now_ns(proxy->ring) / 1000000u;
    wheel_advance(&proxy->wheel, proxy->now_ms);
    while ((timer = wheel_take_due(&proxy->wheel)) != NULL) {
        proxy_on_timer(proxy, timer->token);
    }
    if (!list_is_empty(&proxy->reauth)) {
        (void)authz_reexamine(proxy);
    }
    if (proxy->queue_moves && !list_is_empty(&proxy->queue)) {
        limits_run_queue(proxy);
    }
    for (uint32_t i = 0; i < PROXY_READY_ROUNDS && !list_is_empty(&proxy->ready); i++) {
        conn_run_ready(proxy);
    }
    mux_flush(proxy);
    conn_bury(proxy);
    proxy_note_gauges(proxy);
}

uint64_t proxy_sleep_ns(const struct proxy *proxy)
{
    uint64_t next_ms;

    if (!list_is_empty(&proxy->ready) || !list_is_empty(&proxy->mux_turn) ||
        !list_is_empty(&proxy->reauth)) {
        return 0;
    }
    next_ms = wheel_next_ms(&proxy->wheel, proxy->now_ms);
    return next_ms == UINT64_MAX ? 1000000000u : next_ms * 1000000u;
}

static void proxy_begin_drain(struct proxy *proxy, uint64_t grace_ms)
{
    proxy->draining = true;
    listener_retire_all(proxy);
    for (uint32_t i = 0; i < proxy->conns.high_water; i++) {
        struct conn *conn = pool_at(&proxy->conns, i);

        if (conn == NULL || conn->state == CONN_CLOSED) {
            continue;
        }
        if (conn_has(conn, CONN_IDLE)) {
            conn_close(proxy, conn, false);
        } else if (conn->ops->drain != NULL) {
            conn->ops->drain(proxy, conn);
        }
    }
    wheel_arm(&proxy->wheel, &proxy->drain_timer, proxy->now_ms, grace_ms);
}

void proxy_drain(struct proxy *proxy, uint64_t grace_ms)
{
    if (!proxy->draining) {
        proxy_begin_drain(proxy, grace_ms);
    }
}

void proxy_retire(struct proxy *proxy, uint64_t grace_ms)
{
    if (!proxy->draining) {
        proxy->retiring = true;
        proxy_begin_drain(proxy, grace_ms);
    }
}

bool proxy_is_drained(const struct proxy *proxy)
{
    return proxy->draining && proxy->conns.used == 0 && !listener_is_accepting(proxy);
}
