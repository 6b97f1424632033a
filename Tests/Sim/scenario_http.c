/* HTTP through a plain L7 listener: everything that clients and services do to each other, with
 * every fault of the network, and nobody gets a byte that is not his. */
#include "http2_client.h"
#include "http2_service.h"
#include "http_world.h"
#include "proxy_world.h"

#define HTTP_PORT     80
#define HTTP_SERVICES 3
#define HTTP2_ARENA   (256u * H2_SLAB_SIZE)

static uint32_t local_route(struct snapshot_builder *b)
{
    struct abi_route route = {
        .path_kind = ABI_PATH_EXACT,
        .action = ABI_ACTION_RESPOND,
        .status = 203,
        .path = snapshot_builder_text(b, "/local"),
        .path_dfa = ABI_NONE,
        .traffic = ABI_NONE,
        .body = snapshot_builder_text(b, "local\n"),
        .rule = snapshot_builder_text(b, "local"),
        .origin = snapshot_builder_text(b, "test"),
    };

    return snapshot_builder_add(b, ABI_SECTION_ROUTE, &route);
}

static struct snapshot_builder *http_snapshot(enum abi_protocol upstream, uint64_t *key)
{
    /* Nobody serves the last one. */
    static const uint16_t ports[HTTP_SERVICES + 1] = {8000, 8001, 8002, 8099};
    struct snapshot_builder *b = snapshot_builder_new();
    uint32_t web = snapshot_builder_target(b, "web", ports, HTTP_SERVICES + sim_chance(300));
    uint32_t local = local_route(b);
    struct abi_route forward = snapshot_builder_forward(b, web);
    struct abi_listener listener = snapshot_builder_listener(b, "public", HTTP_PORT);
    uint32_t route;
    struct abi_route_table table;

    ((struct abi_target *)snapshot_builder_record(b, ABI_SECTION_TARGET, web))->protocol =
        (uint8_t)upstream;
    forward.retries = sim_random_below(3);
    forward.retry_on = sim_random_below(4);
    route = snapshot_builder_add(b, ABI_SECTION_ROUTE, &forward);
    table = (struct abi_route_table){
        .routes = {snapshot_builder_add(b, ABI_SECTION_ROUTE_LIST, &local), 2}};
    snapshot_builder_add(b, ABI_SECTION_ROUTE_LIST, &route);
    listener.kind = ABI_LISTENER_L7;
    listener.route_table = snapshot_builder_add(b, ABI_SECTION_ROUTE_TABLE, &table);
    listener.request_timeout_ms = http_world.has_timeout ? HTTP_WORLD_TIMEOUT_MS : 0;
    listener.via = snapshot_builder_text(b, "sim");
    snapshot_builder_add(b, ABI_SECTION_LISTENER, &listener);
    *key = listener.key;
    return b;
}

static struct h2_memory http2_memory;   /* of all clients of a run */
static struct h2_memory http2_services; /* ... of all services */

static void http2_arena(struct h2_memory *memory)
{
    uint8_t *arena = sim_alloc(HTTP2_ARENA + H2_SLAB_SIZE);

    arena += H2_SLAB_SIZE - (uintptr_t)arena % H2_SLAB_SIZE;
    h2_memory_init(memory, arena, HTTP2_ARENA);
}

static void http_run(void (*start_client)(void), enum abi_protocol upstream)
{
    uint32_t clients = 1 + sim_random_below(20);
    uint64_t key;

    proxy_world_start(http_snapshot(upstream, &key));
    proxy_world_listen(key, HTTP_PORT);
    for (uint16_t i = 0; i < HTTP_SERVICES; i++) {
        if (upstream == ABI_PROTOCOL_HTTP2) {
            http2_service_start(8000 + i, &http2_services);
        } else {
            http_service_start(8000 + i);
        }
    }
    for (uint32_t i = 0; i < clients; i++) {
        start_client();
        if (sim_chance(200)) {
            proxy_world_pass(sim_random_below(2000));
        }
    }
    while (proxy_world_running()) {
        (void)proxy_world_turn();
    }
    http_world_describe();
    proxy_world_finish();
}

static void http1_client(void)
{
    http_client_start(HTTP_PORT);
}

SIM_SCENARIO(http)
{
    http_world_start();
    http_world.clients_wait = true;
    http_run(http1_client, ABI_PROTOCOL_HTTP1);
}

/* Now and then one of the other version beside. */
static void http2_client(void)
{
    if (sim_chance(200)) {
        http_client_start(HTTP_PORT);
    } else {
        http2_client_start(HTTP_PORT, &http2_memory);
    }
}

SIM_SCENARIO(http2)
{
    http2_arena(&http2_memory);
    http_world_start();
    http_world.clients_wait = true;
    http_run(http2_client, ABI_PROTOCOL_HTTP1);
}

/* Clients of both versions share connections to services of HTTP/2. */
SIM_SCENARIO(http2_upstream)
{
    http2_arena(&http2_memory);
    http2_arena(&http2_services);
    http_world_start();
    http_world.clients_wait = true;
    http_world.no_tunnels = true;
    http_run(http2_client, ABI_PROTOCOL_HTTP2);
}
