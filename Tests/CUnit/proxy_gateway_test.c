/* A gateway stands for several services: the server name of mesh TLS says which is meant, and the
 * intentions of that one decide about the caller. */
#include <string.h>
#include <unistd.h>

#include "proxy_tls_kit.h"

enum { WEB = 0, DB, COUNT };

static const char *const services[COUNT] = {"web", "db"};
static const char *const hosts[COUNT] = {"web.example", "db.wild.example"};

/* The listener's TLS: callers prove who they are. */
static uint32_t mesh_tls(struct proxy_kit *kit)
{
    struct bytes ca = tls_kit_world()->ca.der;
    struct abi_ref trust = snapshot_builder_blob(kit->builder, ca.ptr, ca.len);
    uint32_t index = proxy_tls_kit_server(kit);
    struct abi_tls *tls = snapshot_builder_record(kit->builder, ABI_SECTION_TLS, index);

    tls->mesh = 1;
    tls->verify = ABI_TLS_VERIFY_REQUIRE;
    tls->trust = trust;
    return index;
}

/* What the first of the services speaks in the next generation, and what may be asked of it: paths
 * that begin with `ask`; NULL: anything. */
static enum abi_protocol spoken;
static const char *ask;

/* Requests of an intention that is about them. */
static void permit(struct snapshot_builder *b, uint32_t intention)
{
    struct abi_intention *record;
    struct abi_permission permission = {
        .action = ABI_INTENTION_ALLOW,
        .path_kind = ABI_PATH_PREFIX,
        .path = snapshot_builder_text(b, ask),
        .path_dfa = ABI_NONE,
        .methods = 1u << ABI_METHOD_GET,
    };
    uint32_t at = snapshot_builder_add(b, ABI_SECTION_PERMISSION, &permission);

    record = snapshot_builder_record(b, ABI_SECTION_INTENTION, intention);
    record->action = ABI_INTENTION_PERMISSIONS;
    record->permissions = (struct abi_ref){at, 1};
}

/* A generation in which `api` may call the services that `allowed` says, with the keys and ports of
 * the one before. */
static void records(struct proxy_kit *kit, const bool allowed[COUNT])
{
    const char *const yes[] = {"api"}, *const no[] = {"-api"};
    struct abi_route_table table = {0};
    struct abi_ref lists[COUNT];
    struct abi_listener listener;
    bool first = kit->builder != NULL;

    if (!first) {
        kit->builder = snapshot_builder_new();
    }
    snapshot_builder_head(kit->builder)->trust_domain =
        snapshot_builder_text(kit->builder, "td.example");
    for (uint32_t i = 0; i < COUNT; i++) {
        uint32_t target =
            first ? proxy_kit_target(kit, services[i], 1)
                  : snapshot_builder_target(kit->builder, services[i], kit->upstream_ports + i, 1);
        struct abi_route route = snapshot_builder_forward(kit->builder, target);
        uint32_t index = snapshot_builder_add(kit->builder, ABI_SECTION_ROUTE, &route);
        uint32_t policy =
            snapshot_builder_policy(kit->builder, services[i], allowed[i] ? yes : no, 1, NULL);

        lists[i].at = snapshot_builder_add(kit->builder, ABI_SECTION_ROUTE_LIST, &index);
        lists[i].count = 1;
        proxy_kit_target_record(kit, target)->policy = policy;
        proxy_kit_target_record(kit, target)->protocol =
            i == WEB ? (uint8_t)spoken : (uint8_t)ABI_PROTOCOL_TCP;
        if (i == WEB && ask != NULL && allowed[i]) {
            permit(kit->builder, 0);
        }
        ((struct abi_policy *)snapshot_builder_record(kit->builder, ABI_SECTION_POLICY, policy))
            ->key = 4 * i + 2 * (i == WEB && ask != NULL) + allowed[i];
    }
    table.hosts = snapshot_builder_hosts(kit->builder, hosts, lists, COUNT);
    if (first) {
        proxy_kit_l4(kit, WEB);
    } else {
        listener = snapshot_builder_listener(kit->builder, "l4", kit->listener_ports[0]);
        listener.key = kit->listener_keys[0];
        snapshot_builder_add(kit->builder, ABI_SECTION_LISTENER, &listener);
    }
    listener = *proxy_kit_listener(kit, 0);
    listener.flags = ABI_LISTENER_GATEWAY | ABI_LISTENER_MESH_INBOUND;
    listener.splits = (struct abi_ref){0};
    listener.route_table = snapshot_builder_add(kit->builder, ABI_SECTION_ROUTE_TABLE, &table);
    listener.tls = mesh_tls(kit);
    listener.handshake_timeout_ms = 5000;
    *proxy_kit_listener(kit, 0) = listener;
    proxy_tls_kit_secrets(kit, 1);
}

/* The next generation, in which the first service may be called or not. */
static void commit(struct proxy_kit *kit, bool web)
{
    struct snapshot_builder *next;

    kit->builder = NULL;
    records(kit, (const bool[COUNT]){web, true});
    next = kit->builder;
    kit->builder = NULL;
    proxy_kit_commit(kit, next);
}

/* Of which the first service speaks HTTP. */
static struct proxy_kit *started_http(enum abi_protocol protocol, const char *may_ask)
{
    struct proxy_kit *kit = proxy_kit_new();

    spoken = protocol;
    ask = may_ask;
    records(kit, (const bool[COUNT]){true, true});
    proxy_kit_start(kit);
    return kit;
}

static struct proxy_kit *started(bool web, bool db)
{
    struct proxy_kit *kit = proxy_kit_new();

    spoken = ABI_PROTOCOL_TCP;
    ask = NULL;

    records(kit, (const bool[COUNT]){web, db});
    proxy_kit_start(kit);
    return kit;
}

/* A caller whose bytes reach that upstream; `up` is the connection there. */
static struct proxy_tls_client *flowing(struct proxy_kit *kit, uint32_t service, int *up)
{
    struct proxy_tls_client *client = proxy_tls_kit_connect(kit, 0, hosts[service], NULL);

    cunit_context("%s", hosts[service]);
    CHECK(proxy_tls_kit_open(kit, client));
    proxy_tls_kit_send(client, "hello");
    *up = proxy_kit_accept(kit, service);
    (void)proxy_kit_until(kit, *up, "hello");
    proxy_kit_send(*up, "and back");
    CHECK(proxy_tls_kit_until(kit, client, "and back"));
    return client;
}

static void until_ended(struct proxy_kit *kit, struct proxy_tls_client *client)
{
    for (uint32_t i = 0; i < 5000 && !client->ended; i++) {
        proxy_tls_kit_step(client);
        (void)proxy_kit_turn(kit, KIT_MS);
    }
    CHECK(client->ended);
}

/* A caller who is let go, whatever TLS said. */
static void check_closed(struct proxy_kit *kit, const char *name, enum abi_outcome outcome)
{
    struct proxy_tls_client *client = proxy_tls_kit_connect(kit, 0, name, NULL);
    uint64_t before = proxy_kit_outcome(kit, 0, outcome);

    cunit_context("%s", name);
    (void)proxy_tls_kit_open(kit, client);
    until_ended(kit, client);
    CHECK_UINT(proxy_kit_outcome(kit, 0, outcome), before + 1);
    proxy_tls_kit_free(client);
}

PROXY_TEST(a_server_name_leads_to_its_service)
{
    struct proxy_kit *kit = started(true, true);
    struct proxy_tls_client *clients[COUNT];
    int ups[COUNT];

    for (uint32_t i = 0; i < COUNT; i++) {
        clients[i] = flowing(kit, i, &ups[i]);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        proxy_tls_kit_free(clients[i]);
        close(ups[i]);
    }
    proxy_kit_settle(kit);
    proxy_kit_free(kit);
}

PROXY_TEST(a_name_that_it_does_not_stand_for_is_closed)
{
    struct proxy_kit *kit = started(true, true);

    check_closed(kit, "other.wild.example", ABI_OUTCOME_NO_ROUTE);
    proxy_kit_settle(kit);
    proxy_kit_free(kit);
}

PROXY_TEST(the_intentions_of_the_service_that_is_meant_decide)
{
    struct proxy_kit *kit = started(true, false);
    struct proxy_tls_client *client;
    int up;

    check_closed(kit, hosts[DB], ABI_OUTCOME_DENIED);
    client = flowing(kit, WEB, &up);
    proxy_tls_kit_free(client);
    close(up);
    proxy_kit_settle(kit);
    proxy_kit_free(kit);
}

/* A stream that a change denies ends; those to other services go on. */
PROXY_TEST(a_change_ends_streams_that_it_denies)
{
    struct proxy_kit *kit = started(true, true);
    struct proxy_tls_client *clients[COUNT];
    struct snapshot_builder *next;
    int ups[COUNT];

    for (uint32_t i = 0; i < COUNT; i++) {
        clients[i] = flowing(kit, i, &ups[i]);
    }
    kit->builder = NULL;
    records(kit, (const bool[COUNT]){true, false});
    next = kit->builder;
    kit->builder = NULL;
    proxy_kit_commit(kit, next);
    until_ended(kit, clients[DB]);
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_DENIED), 1);
    proxy_tls_kit_send(clients[WEB], "still here");
    (void)proxy_kit_until(kit, ups[WEB], "still here");
    for (uint32_t i = 0; i < COUNT; i++) {
        proxy_tls_kit_free(clients[i]);
        close(ups[i]);
    }
    proxy_kit_settle(kit);
    proxy_kit_free(kit);
}

static struct proxy_tls_client *caller(struct proxy_kit *kit, uint32_t service)
{
    struct proxy_tls_client *client = proxy_tls_kit_connect(kit, 0, hosts[service], NULL);

    CHECK(proxy_tls_kit_open(kit, client));
    return client;
}

/* An answer is told by its status; the host that is asked for leads nowhere else. */
static void check_refused(struct proxy_kit *kit, struct proxy_tls_client *client, const char *text)
{
    uint64_t before = proxy_kit_outcome(kit, 0, ABI_OUTCOME_DENIED);

    cunit_context("%s", text);
    proxy_tls_kit_send(client, text);
    CHECK(proxy_tls_kit_until(kit, client, "HTTP/1.1 403 "));
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_DENIED), before + 1);
}

/* The intention of the service that TLS was made for is asked for each request. */
PROXY_TEST(requests_are_asked_for_where_the_service_speaks_http)
{
    struct proxy_kit *kit = started_http(ABI_PROTOCOL_HTTP1, "/tea");
    struct proxy_tls_client *client = caller(kit, WEB);
    int up;

    check_refused(kit, client, "GET /coffee HTTP/1.1\r\nHost: tea.example\r\n\r\n");
    check_refused(kit, client, "GET /tea/../coffee HTTP/1.1\r\nHost: a\r\n\r\n");
    check_refused(kit, client, "DELETE /tea HTTP/1.1\r\nHost: a\r\n\r\n");
    check_refused(kit, client, "GET /coffee HTTP/1.1\r\nHost: db.wild.example\r\n\r\n");
    proxy_tls_kit_send(client, "GET /tea/1 HTTP/1.1\r\nHost: db.wild.example\r\n\r\n");
    up = proxy_kit_accept(kit, WEB);
    proxy_kit_expect(kit, up, "GET /tea/1 HTTP/1.1\r\nhost: db.wild.example\r\n");
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhot");
    CHECK(proxy_tls_kit_until(kit, client, "\r\n\r\nhot"));
    CHECK(proxy_kit_is_alone(kit, DB));
    proxy_tls_kit_free(client);
    close(up);
    proxy_kit_settle(kit);
    proxy_kit_free(kit);
}

/* On the same port, as before. */
PROXY_TEST(streams_to_other_services_are_handed_on)
{
    struct proxy_kit *kit = started_http(ABI_PROTOCOL_HTTP1, "/tea");
    struct proxy_tls_client *client;
    int up;

    client = flowing(kit, DB, &up);
    proxy_tls_kit_free(client);
    close(up);
    client = caller(kit, WEB);
    proxy_tls_kit_send(client, "these are no heads\r\n\r\n");
    CHECK(proxy_tls_kit_until(kit, client, "HTTP/1.1 400 "));
    proxy_tls_kit_free(client);
    CHECK(proxy_kit_is_alone(kit, WEB));
    proxy_kit_settle(kit);
    proxy_kit_free(kit);
}

/* What was asked for before is answered, what is asked for then is not; nobody waits. */
PROXY_TEST(a_change_ends_connections_whose_requests_it_denies)
{
    struct proxy_kit *kit = started_http(ABI_PROTOCOL_HTTP1, NULL);
    struct proxy_tls_client *idle = caller(kit, WEB);
    struct proxy_tls_client *busy = caller(kit, WEB);
    struct proxy_tls_client *other;
    int up;
    int db;

    other = flowing(kit, DB, &db);
    proxy_tls_kit_send(busy, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    up = proxy_kit_accept(kit, WEB);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    commit(kit, false);
    until_ended(kit, idle);
    proxy_kit_send(up, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhot");
    CHECK(proxy_tls_kit_until(kit, busy, "\r\nconnection: close\r\n\r\nhot"));
    until_ended(kit, busy);
    proxy_tls_kit_send(other, "still here");
    (void)proxy_kit_until(kit, db, "still here");
    proxy_tls_kit_free(idle);
    proxy_tls_kit_free(busy);
    proxy_tls_kit_free(other);
    idle = caller(kit, WEB);
    check_refused(kit, idle, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    proxy_tls_kit_free(idle);
    close(up);
    close(db);
    proxy_kit_settle(kit);
    proxy_kit_free(kit);
}

/* A permission that is taken away or given leaves connections as they are. */
PROXY_TEST(a_change_of_permissions_touches_requests_only)
{
    struct proxy_kit *kit = started_http(ABI_PROTOCOL_HTTP1, "/tea");
    struct proxy_tls_client *client = caller(kit, WEB);
    int up;

    check_refused(kit, client, "GET /coffee HTTP/1.1\r\nHost: a\r\n\r\n");
    ask = "/coffee";
    commit(kit, true);
    proxy_kit_settle(kit);
    check_refused(kit, client, "GET /tea HTTP/1.1\r\nHost: a\r\n\r\n");
    proxy_tls_kit_send(client, "GET /coffee HTTP/1.1\r\nHost: a\r\n\r\n");
    up = proxy_kit_accept(kit, WEB);
    (void)proxy_kit_until(kit, up, "GET /coffee HTTP/1.1\r\n");
    proxy_tls_kit_free(client);
    close(up);
    proxy_kit_settle(kit);
    proxy_kit_free(kit);
}

/* A service that spoke bytes and speaks HTTP now: a stream for which only permissions speak ends.
 */
PROXY_TEST(a_stream_ends_when_requests_are_asked_for)
{
    struct proxy_kit *kit = started(true, true);
    struct proxy_tls_client *client;
    int up;

    client = flowing(kit, WEB, &up);
    spoken = ABI_PROTOCOL_HTTP1;
    ask = "/tea";
    commit(kit, true);
    until_ended(kit, client);
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_DENIED), 1);
    proxy_tls_kit_free(client);
    close(up);
    proxy_kit_settle(kit);
    proxy_kit_free(kit);
}
