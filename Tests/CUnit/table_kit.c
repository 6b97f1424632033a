#include "table_kit.h"

#include <stdlib.h>
#include <string.h>

#include "abi/limits.h"
#include "abi/overlay.h"
#include "balance_kit.h"
#include "base/must.h"
#include "table/affinity.h"
#include "table/balance.h"
#include "table/certificate.h"
#include "table/compression.h"
#include "table/intent.h"
#include "table/token.h"
#include "table/network.h"
#include "table/original.h"

struct snapshot_builder *table_kit_small(void)
{
    struct snapshot_builder *b = snapshot_builder_new();
    uint32_t web = snapshot_builder_target(b, "web", (uint16_t[]){18000, 18001}, 2);
    struct abi_listener listener;

    listener = snapshot_builder_listener(b, "public", 8080);
    listener.kind = ABI_LISTENER_L7;
    listener.route_table = snapshot_builder_route_table(b, snapshot_builder_forward(b, web));
    snapshot_builder_add(b, ABI_SECTION_LISTENER, &listener);
    return b;
}

static void add_tls(struct snapshot_builder *b)
{
    static const struct snapshot_name names[] = {{"web.example.com", {0, 1}},
                                                 {"*.example.com", {ABI_NONE, 1}},
                                                 {"api.example.com", {0, ABI_NONE}}};
    uint64_t secret = 77;
    uint64_t rsa = 78;
    struct abi_tls tls = {
        .key = 1,
        .server = 1,
        .verify = ABI_TLS_VERIFY_REQUIRE,
        .mesh = 1,
        .min_version = 0x0304,
        .max_version = 0x0304,
        .certificates = {snapshot_builder_add(b, ABI_SECTION_SECRET_LIST, &secret), 1},
        .trust = snapshot_builder_blob(b, "trusted", 7),
        .alpn = snapshot_builder_blob(b, "\x02h2\x08http/1.1", 12),
        .session_lifetime_s = 3600,
    };

    snapshot_builder_add(b, ABI_SECTION_SECRET_LIST, &rsa);
    tls.names = snapshot_builder_names(b, names, 3);
    snapshot_builder_add(b, ABI_SECTION_TLS, &tls);
    tls.key = 2;
    tls.server = 0;
    tls.names = (struct abi_ref){0, 0};
    snapshot_builder_add(b, ABI_SECTION_TLS, &tls);
}

/* Two logs: a file with a field of requests and one of answers, and standard output. */
static void add_logs(struct snapshot_builder *b)
{
    const struct abi_log_op ops[] = {{.variable = ABI_LOG_TIME},
                                     {.variable = ABI_LOG_LITERAL},
                                     {.variable = ABI_LOG_HEADER_1, .style = ABI_LOG_JSON}};
    struct abi_log_header header = {.name = snapshot_builder_text(b, "x-request-id")};
    uint32_t file = snapshot_builder_log(b, ops, 3);
    struct abi_log *log = snapshot_builder_record(b, ABI_SECTION_LOG, file);

    log->sink = ABI_LOG_FILE;
    log->path = snapshot_builder_text(b, "/var/log/access.log");
    log->headers = (struct abi_ref){snapshot_builder_add(b, ABI_SECTION_LOG_HEADER, &header), 2};
    header.response = 1;
    snapshot_builder_add(b, ABI_SECTION_LOG_HEADER, &header);
    snapshot_builder_log(b, ops, 1);
}

static void add_targets(struct snapshot_builder *b)
{
    uint32_t web = snapshot_builder_target(b, "web", (uint16_t[]){18000, 18001, 18002}, 3);
    uint32_t db = snapshot_builder_target(b, "db", (uint16_t[]){19000}, 1);
    struct abi_target *target = snapshot_builder_record(b, ABI_SECTION_TARGET, web);
    struct abi_endpoint *endpoint = snapshot_builder_record(b, ABI_SECTION_ENDPOINT, 0);
    const struct abi_guard guard = {.max_requests = 100,
                                    .failures = 5,
                                    .ejection_ms = 30000,
                                    .ejection_max_ms = 300000,
                                    .interval_ms = 10000,
                                    .ejected_most = 10,
                                    .ejected_chance = 100};
    struct abi_text text;

    endpoint[0].weight = 3;
    target->max_weight = 3;
    target->policy = 0;
    target->guard = snapshot_builder_add(b, ABI_SECTION_GUARD, &guard);
    target->failover = (struct abi_ref){snapshot_builder_add(b, ABI_SECTION_TARGET_LIST, &db), 1};
    endpoint[3].tls = 1;
    endpoint[3].address = (struct abi_address){.family = ABI_FAMILY_UNIX};
    endpoint[3].address.path = snapshot_builder_text(b, "/run/db.sock");
    text = snapshot_builder_text(b, "spiffe://test.mesh/ns/default/dc/dc1/svc/db");
    target = snapshot_builder_record(b, ABI_SECTION_TARGET, db);
    target->expected_id = text;
    target->sni = snapshot_builder_text(b, "db.default.dc1.internal.test.mesh");
    target->balance = ABI_BALANCE_LEAST_REQUEST;
    target->congestion = snapshot_builder_text(b, "cubic");
}

/* Two header matches and one of the query, in this order. */
static struct abi_ref add_matches(struct snapshot_builder *b)
{
    struct abi_match header = {.kind = ABI_MATCH_EXACT, .ignore_case = 1, .dfa = ABI_NONE};
    struct abi_match regex = {.kind = ABI_MATCH_REGEX, .invert = 1};
    struct abi_match query = {.subject = ABI_MATCH_QUERY, .dfa = ABI_NONE};
    struct abi_ref ref = {snapshot_builder_count(b, ABI_SECTION_MATCH), 3};

    header.name = snapshot_builder_text(b, "x-version");
    header.value = snapshot_builder_text(b, "Two");
    snapshot_builder_add(b, ABI_SECTION_MATCH, &header);
    regex.name = snapshot_builder_text(b, "user-agent");
    regex.dfa = snapshot_builder_dfa(b, "bot");
    regex.value = snapshot_builder_text(b, "bot");
    snapshot_builder_add(b, ABI_SECTION_MATCH, &regex);
    query.name = snapshot_builder_text(b, "debug");
    snapshot_builder_add(b, ABI_SECTION_MATCH, &query);
    return ref;
}

static void add_routes(struct snapshot_builder *b)
{
    struct abi_route route = snapshot_builder_forward(b, 0);
    struct abi_header_op op = {.kind = ABI_HEADER_SET, .response = 1};
    const struct abi_rate rate = {.key = 5, .interval_ns = 1000000, .burst = 10};
    struct abi_traffic traffic = {
        .retry_codes = {425, 503}, .backoff_ms = 25, .backoff_max_ms = 250, .mirror_share = 500};
    const char *const names[] = {"example.com", "*.example.com", "old.example.com"};
    struct abi_ref lists[3] = {{0, 2}, {1, 2}, {2, 1}};
    struct abi_route_table table = {.routes = {0, 4}};
    uint32_t list[] = {3, 0, 1, 2};

    snapshot_builder_add(b, ABI_SECTION_ROUTE, &route);
    route.splits = (struct abi_ref){0, 0};
    route.action = ABI_ACTION_RESPOND;
    route.status = 403;
    route.path_kind = ABI_PATH_PREFIX;
    route.path = snapshot_builder_text(b, "/admin");
    route.body = snapshot_builder_text(b, "no\r\n");
    route.content_type = snapshot_builder_text(b, "text/plain");
    snapshot_builder_add(b, ABI_SECTION_ROUTE, &route);
    route.body = route.content_type = (struct abi_text){0, 0};
    route.action = ABI_ACTION_REDIRECT;
    route.status = 308;
    route.path_kind = ABI_PATH_EXACT;
    route.redirect_host = snapshot_builder_text(b, "www.example.com");
    route.redirect_scheme = snapshot_builder_text(b, "https");
    snapshot_builder_add(b, ABI_SECTION_ROUTE, &route);
    route = snapshot_builder_forward(b, 1);
    route.methods = 1u << ABI_METHOD_GET | 1u << ABI_METHOD_OTHER;
    route.path_kind = ABI_PATH_REGEX;
    route.path = snapshot_builder_text(b, "/v1");
    route.path_dfa = snapshot_builder_dfa(b, "/v1");
    route.matches = add_matches(b);
    op.name = snapshot_builder_text(b, "X-Frame-Options");
    op.value = snapshot_builder_text(b, "deny");
    route.header_ops = (struct abi_ref){snapshot_builder_add(b, ABI_SECTION_HEADER_OP, &op), 1};
    route.retries = LIMIT_RETRIES;
    route.retry_on = ABI_RETRY_CONNECT | ABI_RETRY_RESET;
    traffic.rates = (struct abi_ref){snapshot_builder_add(b, ABI_SECTION_RATE, &rate), 1};
    route.traffic = snapshot_builder_add(b, ABI_SECTION_TRAFFIC, &traffic);
    snapshot_builder_add(b, ABI_SECTION_ROUTE, &route);
    for (uint32_t i = 0; i < 4; i++) {
        snapshot_builder_add(b, ABI_SECTION_ROUTE_LIST, &list[i]);
    }
    table.hosts = snapshot_builder_hosts(b, names, lists, 3);
    snapshot_builder_add(b, ABI_SECTION_ROUTE_TABLE, &table);
}

static void add_policies(struct snapshot_builder *b)
{
    struct abi_permission permission = {
        .action = ABI_INTENTION_ALLOW, .path_kind = ABI_PATH_PREFIX, .path_dfa = ABI_NONE};
    struct abi_intention *intention;

    snapshot_builder_policy(b, "web", (const char *const[]){"api", "-billing", "cron"}, 3, "*");
    snapshot_builder_policy(b, "*", (const char *const[]){"monitor"}, 1, NULL);
    permission.path = snapshot_builder_text(b, "/public");
    snapshot_builder_add(b, ABI_SECTION_PERMISSION, &permission);
    intention = snapshot_builder_record(b, ABI_SECTION_INTENTION, 2);
    intention->action = ABI_INTENTION_PERMISSIONS;
    intention->permissions = (struct abi_ref){0, 1};
}

/* Token 0 asks for check 0 and for token 1, which asks for check 1: of the fields authorization and
 * x-token, of the parameter t and the cookie s. */
static void add_tokens(struct snapshot_builder *b)
{
    struct abi_token tokens[] = {{.checks = {0, 1}, .also = 2}, {.checks = {1, 1}}};
    struct abi_token_check checks[] = {{.key = 7, .places = {0, 2}, .pad_payload = 1},
                                       {.key = 8, .places = {2, 2}}};
    struct abi_token_place places[] = {{.where = ABI_TOKEN_HEADER, .drop = 1},
                                       {.where = ABI_TOKEN_QUERY},
                                       {.where = ABI_TOKEN_HEADER},
                                       {.where = ABI_TOKEN_COOKIE}};
    static const char *const names[] = {"authorization", "t", "x-token", "s"};

    places[0].prefix = snapshot_builder_text(b, "Bearer ");
    checks[0].forward = snapshot_builder_text(b, "x-claims");
    for (uint32_t i = 0; i < 4; i++) {
        places[i].name = snapshot_builder_text(b, names[i]);
        snapshot_builder_add(b, ABI_SECTION_TOKEN_PLACE, &places[i]);
    }
    for (uint32_t i = 0; i < 2; i++) {
        snapshot_builder_add(b, ABI_SECTION_TOKEN_CHECK, &checks[i]);
        snapshot_builder_add(b, ABI_SECTION_TOKEN, &tokens[i]);
    }
}

/* 10.0.0.0/8 and 192.168.0.0/16 send PROXY headers; 2001:db8::/32 is a trusted hop. */
static void add_hops(struct snapshot_builder *b)
{
    struct abi_network networks[] = {
        {.ip = {[10] = 0xff, [11] = 0xff, [12] = 10}, .bits = 104},
        {.ip = {[10] = 0xff, [11] = 0xff, [12] = 192, [13] = 168}, .bits = 112},
        {.ip = {0x20, 0x01, 0x0d, 0xb8}, .bits = 32},
        {.ip = {0x20, 0x01, 0x0d, 0xb8}, .bits = 32},
    };
    struct abi_hops proxied = {
        .proxy_from = {0, 2},
        .proxy_timeout_ms = 1000,
        .proxy_in = ABI_PROXY_ANY,
        .proxy_others = 1,
        .fields = ABI_HOP_X_FORWARDED,
    };
    struct abi_hops trusting = {
        .trust = {2, 1},
        .depth = LIMIT_HOPS,
        .fields = ABI_HOP_FIELDS,
        .trace_start = 1,
        .trace_sample = ABI_TRACE_ALL,
    };

    for (uint32_t i = 0; i < 4; i++) {
        snapshot_builder_add(b, ABI_SECTION_NETWORK, &networks[i]);
    }
    snapshot_builder_add(b, ABI_SECTION_HOPS, &proxied);
    snapshot_builder_add(b, ABI_SECTION_HOPS, &trusting);
}

/* zstd before gzip, of HTML and all that is text. */
static void add_compression(struct snapshot_builder *b)
{
    struct abi_text types[] = {snapshot_builder_text(b, "text/html"),
                               snapshot_builder_text(b, "text/")};
    struct abi_compression compression = {
        .types = {0, 2},
        .min_length = 256,
        .coding_count = 2,
        .codings = {ABI_CODING_ZSTD, ABI_CODING_GZIP},
        .levels = {[ABI_CODING_GZIP] = LIMIT_LEVEL_GZIP, [ABI_CODING_ZSTD] = LIMIT_LEVEL_ZSTD},
    };

    snapshot_builder_add(b, ABI_SECTION_MEDIA_TYPE, &types[0]);
    snapshot_builder_add(b, ABI_SECTION_MEDIA_TYPE, &types[1]);
    snapshot_builder_add(b, ABI_SECTION_COMPRESSION, &compression);
}

/* A ring of two tiers by three parts of a request, a table by nothing, and a slow start. */
static void add_balancers(struct snapshot_builder *b)
{
    const uint16_t ports[] = {20000, 20001, 20002, 20003};
    uint32_t carts = snapshot_builder_target(b, "carts", ports, 4);
    uint32_t stock = snapshot_builder_target(b, "stock", ports, 3);
    uint32_t mail = snapshot_builder_target(b, "mail", ports, 2);
    struct abi_hash hash = {.of = ABI_HASH_COOKIE, .name = snapshot_builder_text(b, "cart")};
    struct abi_balancer balancer = {.spill = 70, .hashes = {0, 3}};

    hash.attributes = snapshot_builder_text(b, "; Path=/; HttpOnly");
    snapshot_builder_add(b, ABI_SECTION_HASH, &hash);
    hash = (struct abi_hash){.of = ABI_HASH_HEADER, .terminal = 1};
    hash.name = snapshot_builder_text(b, "x-user");
    snapshot_builder_add(b, ABI_SECTION_HASH, &hash);
    hash = (struct abi_hash){.of = ABI_HASH_ADDRESS};
    snapshot_builder_add(b, ABI_SECTION_HASH, &hash);
    balance_kit_target(b, carts, ABI_BALANCE_RING, &balancer, (uint32_t[]){3, 1}, 2);
    balancer.hashes.count = 0;
    balance_kit_target(b, stock, ABI_BALANCE_MAGLEV, &balancer, (uint32_t[]){3}, 1);
    balancer = (struct abi_balancer){.spill = 100, .choices = 3, .slow_start_ms = 60000};
    balancer.decay_ms = 10000;
    balance_kit_target(b, mail, ABI_BALANCE_LATENCY, &balancer, (uint32_t[]){0, 2}, 2);
}

static void add_listeners(struct snapshot_builder *b)
{
    struct abi_identity identity = {.secret = 77};
    struct abi_listener listener = snapshot_builder_listener(b, "public", 8080);

    identity.service = snapshot_builder_text(b, "web");
    identity.spiffe_id = snapshot_builder_text(b, "spiffe://test.mesh/ns/default/dc/dc1/svc/web");
    snapshot_builder_add(b, ABI_SECTION_IDENTITY, &identity);
    listener.kind = ABI_LISTENER_L7;
    listener.route_table = 0;
    listener.via = snapshot_builder_text(b, "ringmesh");
    listener.flags = ABI_LISTENER_PROXY_IN;
    listener.hops = 0;
    listener.compression = 0;
    snapshot_builder_add(b, ABI_SECTION_LISTENER, &listener);
    listener = snapshot_builder_listener(b, "raw", 8081);
    listener.splits = snapshot_builder_split(b, 0);
    snapshot_builder_add(b, ABI_SECTION_LISTENER, &listener);
    listener = snapshot_builder_listener(b, "web inbound", 21000);
    listener.splits = snapshot_builder_split(b, 0);
    listener.flags = ABI_LISTENER_MESH_INBOUND;
    listener.tls = 0;
    listener.identity = 0;
    listener.policy = 0;
    snapshot_builder_add(b, ABI_SECTION_LISTENER, &listener);
}

/* Redirected connections: to 10.0.0.1 for the listener behind, but for its port 443, which is for
 * the one that gets all others. */
static void add_originals(struct snapshot_builder *b)
{
    struct abi_listener listener = snapshot_builder_listener(b, "outbound", 15001);
    struct abi_original original = {.ip = {[10] = 0xff, 0xff, 10, 0, 0, 1}};
    struct abi_endpoint *endpoint;
    uint32_t anywhere;

    original.listener = snapshot_builder_count(b, ABI_SECTION_LISTENER);
    listener.flags = ABI_LISTENER_REDIRECTED;
    listener.other = original.listener + 2;
    snapshot_builder_add(b, ABI_SECTION_LISTENER, &listener);
    listener = snapshot_builder_listener(b, "outbound web", 15001);
    listener.flags = ABI_LISTENER_INNER | ABI_LISTENER_MESH_OUTBOUND;
    listener.identity = 0;
    listener.splits = snapshot_builder_split(b, 0);
    original.inner = snapshot_builder_add(b, ABI_SECTION_LISTENER, &listener);
    snapshot_builder_add(b, ABI_SECTION_ORIGINAL, &original);
    anywhere = snapshot_builder_target(b, "original", (uint16_t[]){1}, 1);
    endpoint = snapshot_builder_record(b, ABI_SECTION_ENDPOINT,
                                       snapshot_builder_count(b, ABI_SECTION_ENDPOINT) - 1);
    endpoint->address = (struct abi_address){.family = ABI_FAMILY_ORIGINAL};
    listener = snapshot_builder_listener(b, "outbound elsewhere", 15001);
    listener.flags = ABI_LISTENER_INNER;
    listener.splits = snapshot_builder_split(b, anywhere);
    original.inner = snapshot_builder_add(b, ABI_SECTION_LISTENER, &listener);
    original.port = 443;
    snapshot_builder_add(b, ABI_SECTION_ORIGINAL, &original);
}

struct snapshot_builder *table_kit_everything(void)
{
    struct snapshot_builder *b = snapshot_builder_new();

    add_tls(b);
    add_policies(b);
    add_targets(b);
    add_routes(b);
    add_hops(b);
    add_compression(b);
    add_listeners(b);
    add_logs(b);
    add_balancers(b);
    add_originals(b);
    add_tokens(b);
    return b;
}

static bool next_field(const void *context, uint32_t index, struct route_field *field)
{
    const char *const *fields = context;

    for (uint32_t i = 0; i < index; i++, fields += 2) {
        if (fields[0] == NULL) {
            return false;
        }
    }
    if (fields[0] == NULL) {
        return false;
    }
    field->name = bytes_of(fields[0], strlen(fields[0]));
    field->value = bytes_of(fields[1], strlen(fields[1]));
    return true;
}

struct route_input table_kit_request(uint32_t method, const char *host, const char *path,
                                     const char *query, const char *const *fields)
{
    static const char *const none[] = {NULL};

    return (struct route_input){
        .host = bytes_of(host, strlen(host)),
        .path = bytes_of(path, strlen(path)),
        .query = bytes_of(query, strlen(query)),
        .method = 1u << method,
        .next_field = next_field,
        .context = fields != NULL ? fields : none,
    };
}

static uint32_t load_of(const void *context, uint32_t endpoint)
{
    (void)context;
    return endpoint % 3;
}

static void use_affinity(const struct view *view, const struct abi_balancer *balancer)
{
    static const char *const fields[] = {"cookie", "a=b; cart=1", "x-user", "me", NULL};
    struct route_input request = table_kit_request(0, "a", "/", "q=1", fields);
    struct affinity_input input = {.request = &request, .address = (const uint8_t[16]){1}};
    struct affinity affinity;

    affinity_of(view, balancer, &input, &affinity);
    MUST(affinity.found || affinity.made == NULL);
}

static void use_targets(const struct view *view, const struct abi_overlay *overlay)
{
    for (uint32_t i = 0; i < view->counts[ABI_SECTION_TARGET]; i++) {
        const struct abi_target *target = &view->targets[i];
        uint32_t cursor = 0xfffffff0u;
        uint32_t endpoint;
        struct balance_shares shares = {0};
        struct balance_more more = {.now_ms = 1000000, .shares = &shares};
        struct balance_input input = {
            .overlay = overlay, .cursor = &cursor, .load = load_of, .random = i, .more = &more};

        for (uint32_t n = 0; n < 8; n++) {
            input.random += 0x123456789abcdefULL;
            more.hash = input.random * 3;
            more.hashed = n < 4 && target->balancer != ABI_NONE;
            endpoint = balance_pick(view, target, &input);
            MUST(endpoint == ABI_NONE || endpoint - target->endpoints.at < target->endpoints.count);
        }
        if (target->balancer != ABI_NONE) {
            use_affinity(view, &view->balancers[target->balancer]);
        }
    }
}

static void use_certificates(const struct view *view, const struct abi_tls *tls)
{
    static const char *const names[] = {"web.example.com", "x.example.com", "x", ""};

    for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct abi_server_name *slot =
            certificate_find(view, tls, bytes_of(names[i], strlen(names[i])));

        for (uint32_t kind = 0; slot != NULL && kind < ABI_KEY_COUNT; kind++) {
            MUST(slot->certificates[kind] == ABI_NONE ||
                 slot->certificates[kind] < view->counts[ABI_SECTION_SECRET_LIST]);
        }
    }
}

static void use_compression(const struct view *view)
{
    for (uint32_t i = 0; i < view->counts[ABI_SECTION_COMPRESSION]; i++) {
        (void)compression_covers(view, &view->compressions[i], BYTES_LITERAL("text/html; q=1"));
    }
}

static void use_hops(const struct view *view)
{
    const uint8_t ip[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};

    for (uint32_t i = 0; i < view->counts[ABI_SECTION_HOPS]; i++) {
        (void)network_has(view, view->hops[i].proxy_from, ip);
        (void)network_has(view, view->hops[i].trust, ip);
    }
}

/* What is found is a listener. */
static void use_originals(const struct view *view)
{
    for (uint32_t i = 0; i < view->counts[ABI_SECTION_ORIGINAL]; i++) {
        struct original_address address = {.port = (uint16_t)view->originals[i].port};
        uint32_t found;

        memcpy(address.ip, view->originals[i].ip, sizeof(address.ip));
        found = original_find(view, view->originals[i].listener, &address);
        MUST((view->listeners[found].flags & ABI_LISTENER_INNER) != 0);
    }
}

static enum route_token judge(void *context, uint32_t check, struct bytes token)
{
    (void)context;
    return (enum route_token)((check + token.len) % 3);
}

static void use_tokens(const struct view *view, const struct route_input *request)
{
    struct route_input input = *request;

    input.judge = judge;
    for (uint32_t i = 0; i <= view->counts[ABI_SECTION_TOKEN]; i++) {
        (void)token_judge(view, i, &input);
    }
    for (uint32_t i = 0; i < view->counts[ABI_SECTION_TOKEN_CHECK]; i++) {
        (void)token_payload(token_find(view, &view->token_checks[i], &input, NULL));
    }
}

void table_kit_use(const struct view *view)
{
    static struct abi_overlay *overlay;
    const char *const fields[] = {"X-Version", "two", "User-Agent", "bots", NULL};
    struct route_input requests[] = {
        table_kit_request(ABI_METHOD_GET, "a.b.example.com", "/v1", "debug=1&%zz", fields),
        table_kit_request(ABI_METHOD_PUT, "old.example.com", "/admin/x", "", NULL),
        table_kit_request(ABI_METHOD_OTHER, "", "/", "%41=+&&=", fields),
    };
    struct bytes source =
        intent_service_of(view, BYTES_LITERAL("spiffe://test.mesh/ns/default/dc/dc1/svc/cron"));

    if (overlay == NULL) {
        overlay = calloc(1, ABI_OVERLAY_SIZE);
    }
    use_hops(view);
    use_compression(view);
    use_originals(view);
    for (uint32_t r = 0; r < 3; r++) {
        use_tokens(view, &requests[r]);
        for (uint32_t i = 0; i < view->counts[ABI_SECTION_ROUTE_TABLE]; i++) {
            uint32_t route = route_find(view, i, &requests[r]);

            if (route != ABI_NONE && view->routes[route].action == ABI_ACTION_FORWARD) {
                route_split(view, view->routes[route].splits, 5000);
            }
        }
        for (uint32_t i = 0; i < view->counts[ABI_SECTION_POLICY]; i++) {
            intent_decide(view, i, BYTES_LITERAL("api"));
            intent_permit(view, i, source, &requests[r]);
        }
    }
    for (uint32_t i = 0; i < view->counts[ABI_SECTION_DFA]; i++) {
        route_dfa_accepts(view, i, BYTES_LITERAL("/v1/x"));
    }
    for (uint32_t i = 0; i < view->counts[ABI_SECTION_TLS]; i++) {
        use_certificates(view, &view->tls[i]);
    }
    use_targets(view, overlay);
}
