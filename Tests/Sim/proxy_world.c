#include "proxy_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/err.h"
#include "base/must.h"
#include "proxy/conn.h"
#include "sim.h"

#define PROXY_WORLD_EVENTS   64u
#define PROXY_WORLD_GRACE_MS 100000u

struct proxy_world proxy_world;

struct world_generation {
    struct proxy_generation proxy;
    struct snapshot_builder *builder;
};

static struct secrets world_secrets;
static uint8_t *world_secret_bytes;
static uint64_t world_generations; /* made so far */

/* Big and mostly untouched: mapped once, emptied for each run. */
static void *world_region(void **kept, size_t size)
{
    if (*kept == NULL) {
        *kept = mmap(NULL, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        MUST(*kept != MAP_FAILED);
    }
    MUST(madvise(*kept, size, MADV_DONTNEED) == 0);
    return *kept;
}

static void world_released(void *context, struct proxy_generation *generation)
{
    struct world_generation *owner = LIST_OWNER(generation, struct world_generation, proxy);

    (void)context;
    snapshot_builder_free(owner->builder); /* at once: whoever still looks is found */
    free(owner);
    proxy_world.live--;
}

void proxy_world_commit(struct snapshot_builder *next)
{
    struct world_generation *generation = calloc(1, sizeof(*generation));
    struct view_refusal refusal = {0};

    MUST(generation != NULL);
    generation->builder = next;
    snapshot_builder_head(next)->generation = ++world_generations;
    MUST(view_open(&generation->proxy.view, snapshot_builder_bytes(next),
                   snapshot_builder_size(next), &refusal));
    generation->proxy.secrets = world_secrets;
    proxy_world.live++;
    MUST(proxy_prepare(proxy_world.proxy, &generation->proxy, &refusal));
    proxy_commit(proxy_world.proxy);
}

void proxy_world_set_secrets(uint8_t *bytes, size_t size)
{
    struct view_refusal refusal = {0};

    free(world_secret_bytes);
    world_secret_bytes = bytes;
    MUST(secrets_open(&world_secrets, bytes, size, &refusal));
}

void proxy_world_start(struct snapshot_builder *first)
{
    static void *stats, *overlay, *tally;
    const struct ring_config ring = {
        .entries = 64,
        .small_buffers = 1u << sim_random_below(6),
        .large_buffers = 1u << sim_random_below(3),
        .pipes = sim_random_below(5),
    };
    struct proxy_config config = {
        .seed = sim_random(),
        .trace_seed = {sim_random(), sim_random(), sim_random(), sim_random()},
        .max_connections = 512,
        .released = world_released,
    };

    proxy_world = (struct proxy_world){
        .stats = world_region(&stats, ABI_STATS_SIZE),
        .overlay = world_region(&overlay, ABI_OVERLAY_SIZE),
        .tally = world_region(&tally, abi_tally_size(1)),
    };
    world_generations = 0;
    MUST(ring_create(&ring, &proxy_world.ring, NULL) == 0);
    config.ring = proxy_world.ring;
    config.stats = proxy_world.stats;
    config.overlay = proxy_world.overlay;
    proxy_world.tally->workers = 1;
    config.tally = proxy_world.tally;
    MUST(proxy_create(&config, &proxy_world.proxy) == MESH_OK);
    /* Enough for all that is allowed to stall here, and no more. */
    proxy_world.spill_blocks = proxy_world.proxy->blocks.capacity;
    proxy_world_commit(first);
}

void proxy_world_listen(uint64_t key, uint16_t port)
{
    proxy_add_socket(proxy_world.proxy, key, sim_listen(port));
}

bool proxy_world_running(void)
{
    return sim_running() && proxy_world.busy > 0;
}

bool proxy_world_turn(void)
{
    struct ring_event events[PROXY_WORLD_EVENTS];
    uint32_t most = sim_chance(500) ? PROXY_WORLD_EVENTS : 1 + sim_random_below(8);
    int count = ring_wait(proxy_world.ring, proxy_sleep_ns(proxy_world.proxy), events, most);

    MUST(count >= 0);
    for (int i = 0; i < count; i++) {
        proxy_foresee(proxy_world.proxy, &events[i], (uint32_t)(count - i));
        proxy_event(proxy_world.proxy, &events[i]);
    }
    proxy_turn(proxy_world.proxy);
    return count > 0;
}

void proxy_world_pass(uint64_t duration_ms)
{
    uint64_t end = sim_now_ns() + duration_ms * 1000000;

    while (sim_now_ns() < end && !sim_failed()) {
        (void)proxy_world_turn();
    }
}

/* Connections that are there, for whoever looks into a failure. */
static void world_describe(void)
{
    struct proxy *proxy = proxy_world.proxy;

    for (uint32_t i = 0; i < proxy->conns.capacity; i++) {
        const struct conn *conn = pool_at(&proxy->conns, i);

        if (conn == NULL) {
            continue;
        }
        fprintf(stderr,
                "  %s %u: fd %d, state %u, stage %u, flags %#x, in %zu, out %zu, %s request, since "
                "%llu, moved %llu%s%s\n",
                conn_has(conn, CONN_UPSTREAM) ? "upstream" : "client", i, conn->fd, conn->state,
                conn->stage, conn->flags, conn->in.length, conn->out.length,
                conn->user == NULL ? "no" : "a", (unsigned long long)conn->since_ms,
                (unsigned long long)conn->moved_ms, conn->bulk_from != NULL ? ", splice from" : "",
                conn->bulk_to != NULL ? ", splice to" : "");
    }
}

/* Nothing of any connection or request is left. */
static void world_check_empty(void)
{
    struct proxy *proxy = proxy_world.proxy;
    const uint64_t *counters = proxy_world.stats->counters;

    SIM_CHECK(proxy->conns.used == 0);
    SIM_CHECK(proxy->requests.used == 0);
    SIM_CHECK(proxy->blocks.used == 0);
    SIM_CHECK(proxy->bulks.used == 0);
    SIM_CHECK(proxy->uppool.idle == 0);
    SIM_CHECK(proxy->wheel.armed <= 1); /* the drain's own */
    SIM_CHECK(list_is_empty(&proxy->ready));
    SIM_CHECK(list_is_empty(&proxy->starved));
    SIM_CHECK(list_is_empty(&proxy->dead));
    SIM_CHECK(counters[ABI_WORKER_CONNECTIONS_OPEN] == 0);
    SIM_CHECK(counters[ABI_WORKER_UPSTREAM_OPEN] == 0);
    SIM_CHECK(counters[ABI_WORKER_UPSTREAM_IDLE] == 0);
    SIM_CHECK(counters[ABI_WORKER_REQUESTS_ACTIVE] == 0);
    SIM_CHECK(counters[ABI_WORKER_TLS_OPEN] == 0);
    SIM_CHECK(counters[ABI_WORKER_SPILL_BLOCKS] == 0);
    for (uint32_t i = 0; i < 64; i++) { /* no scenario has more of anything */
        SIM_CHECK(proxy->loads[i] == 0);
        SIM_CHECK(proxy->idles[i] == 0);
        SIM_CHECK(abi_stats_target(proxy_world.stats, i)->counters[ABI_TARGET_OPEN] == 0);
        SIM_CHECK(abi_stats_listener(proxy_world.stats, i)->counters[ABI_LISTENER_OPEN] == 0);
    }
}

void proxy_world_finish(void)
{
    uint64_t deadline = sim_now_ns() + (PROXY_WORLD_GRACE_MS + 10000) * 1000000ull;

    if (sim_failed()) {
        world_describe();
    }
    proxy_drain(proxy_world.proxy, PROXY_WORLD_GRACE_MS);
    while (!sim_failed() && !proxy_is_drained(proxy_world.proxy)) {
        (void)proxy_world_turn();
        if (!SIM_CHECK(sim_now_ns() < deadline)) {
            world_describe();
        }
    }
    while (sim_running()) { /* peers that have not noticed yet */
        (void)proxy_world_turn();
    }
    for (uint32_t i = 0; i < 4; i++) { /* what is still on its way to closed connections */
        (void)proxy_world_turn();
    }
    if (!sim_failed()) {
        world_check_empty();
        SIM_CHECK(proxy_world.live == 1); /* old generations went as soon as nobody used them */
    }
    proxy_destroy(proxy_world.proxy);
    while (!sim_failed() && proxy_world.ring != NULL) { /* closes that were queued */
        struct ring_event event;

        if (ring_wait(proxy_world.ring, 1000000, &event, 1) == 0) {
            break;
        }
        ring_event_drop(proxy_world.ring, &event,
                        ring_token_kind(event.token) == PROXY_KIND_ACCEPT);
    }
    SIM_CHECK(proxy_world.live == 0);
    sim_check_quiet();
    ring_destroy(proxy_world.ring);
    free(world_secret_bytes);
    world_secret_bytes = NULL;
    world_secrets = (struct secrets){0};
}
