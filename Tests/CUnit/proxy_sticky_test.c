/* Requests that go to the endpoint that a hash, a cookie, or what endpoints take decides. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "balance_kit.h"
#include "proxy/state.h"
#include "proxy_kit.h"

#define ENDPOINTS 4u

static void add_hash(struct proxy_kit *kit, enum abi_hash_of of, const char *name,
                     const char *attributes)
{
    struct abi_hash hash = {.of = (uint8_t)of};

    hash.name = snapshot_builder_text(kit->builder, name);
    hash.attributes = snapshot_builder_text(kit->builder, attributes);
    snapshot_builder_add(kit->builder, ABI_SECTION_HASH, &hash);
}

static struct proxy_kit *kit_of(enum abi_balance balance, enum abi_hash_of of, const char *name,
                                const char *attributes)
{
    struct proxy_kit *kit = proxy_kit_new();
    uint32_t web = proxy_kit_target(kit, "web", ENDPOINTS);
    struct abi_balancer balancer = {.spill = 70, .choices = 2, .decay_ms = 10000};

    balancer.hashes.count = name == NULL ? 0 : 1;
    if (name != NULL) {
        add_hash(kit, of, name, attributes);
    }
    balance_kit_target(kit->builder, web, balance, &balancer, (uint32_t[]){ENDPOINTS}, 1);
    proxy_kit_l7(kit, snapshot_builder_forward(kit->builder, web));
    return kit;
}

/* Which upstream is connected to next, and the connection. */
static int accept_any(struct proxy_kit *kit, uint32_t *upstream)
{
    for (uint32_t turns = 0; turns < 1000; turns++) {
        (void)proxy_kit_turn(kit, 1000000);
        for (*upstream = 0; *upstream < ENDPOINTS; (*upstream)++) {
            struct pollfd ready = {.fd = kit->upstreams[*upstream], .events = POLLIN};

            if (poll(&ready, 1, 0) == 1) {
                return proxy_kit_accept(kit, *upstream);
            }
        }
    }
    CHECK(*upstream < ENDPOINTS);
    return -1;
}

/* One request on a connection of its own; the upstream that got it. The answer's head is in *answer
 * when not NULL. */
static uint32_t ask(struct proxy_kit *kit, const char *lines, struct bytes *answer)
{
    int client = proxy_kit_client(kit, 0);
    uint32_t upstream;
    char head[6000];
    struct bytes seen;
    int up;

    snprintf(head, sizeof(head), "GET /?id=7 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n",
             lines);
    proxy_kit_send(client, head);
    up = accept_any(kit, &upstream);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    seen = proxy_kit_until(kit, client, "\r\n\r\n");
    if (answer != NULL) {
        *answer = seen;
    }
    close(up);
    close(client);
    return upstream;
}

static uint32_t ask_with(struct proxy_kit *kit, const char *format, uint32_t number)
{
    char lines[200];

    snprintf(lines, sizeof(lines), format, number);
    return ask(kit, lines, NULL);
}

PROXY_TEST(a_header_leads_to_one_endpoint)
{
    struct proxy_kit *kit = kit_of(ABI_BALANCE_MAGLEV, ABI_HASH_HEADER, "x-user", "");
    uint32_t first[12];
    uint32_t met = 0;

    proxy_kit_start(kit);
    for (uint32_t user = 0; user < 12; user++) {
        first[user] = ask_with(kit, "X-User: %u\r\n", user);
        met |= 1u << first[user];
    }
    CHECK_UINT(met, 15);
    for (uint32_t user = 0; user < 12; user++) {
        CHECK_UINT(ask_with(kit, "x-user: %u\r\n", user), first[user]);
    }
    /* one goes down by the overlay: its users move, others stay; then it is back */
    abi_overlay_set(kit->overlay, first[0], ABI_OVERLAY_DOWN);
    for (uint32_t user = 0; user < 12; user++) {
        uint32_t now = ask_with(kit, "x-user: %u\r\n", user);

        CHECK(first[user] == first[0] ? now != first[0] : now == first[user]);
    }
    abi_overlay_set(kit->overlay, first[0], 0);
    CHECK_UINT(ask_with(kit, "x-user: %u\r\n", 0), first[0]);
    proxy_kit_free(kit);
}

PROXY_TEST(a_client_and_a_parameter_lead_to_one_endpoint)
{
    static const enum abi_hash_of kinds[] = {ABI_HASH_ADDRESS, ABI_HASH_QUERY};

    for (size_t k = 0; k < 2; k++) {
        struct proxy_kit *kit =
            kit_of(ABI_BALANCE_RING, kinds[k], kinds[k] == ABI_HASH_QUERY ? "id" : "", "");
        uint32_t first;

        proxy_kit_start(kit);
        first = ask(kit, "", NULL);
        for (uint32_t i = 0; i < 6; i++) {
            CHECK_UINT(ask(kit, "", NULL), first);
        }
        proxy_kit_free(kit);
    }
}

/* The value of the cookie in an answer's head; "" when it sets none. */
static void find_cookie(struct bytes answer, char value[17], const char *rest)
{
    static const char name[] = "set-cookie: cart=";
    const uint8_t *at = memmem(answer.ptr, answer.len, name, sizeof(name) - 1);
    const uint8_t *end;

    value[0] = '\0';
    if (at == NULL) {
        return;
    }
    at += sizeof(name) - 1;
    end = memmem(at, (size_t)(answer.ptr + answer.len - at), "\r\n", 2);
    if (CHECK(end != NULL && end - at >= 16)) {
        memcpy(value, at, 16);
        value[16] = '\0';
        CHECK(
            bytes_equal(bytes_of(at + 16, (size_t)(end - at - 16)), bytes_of(rest, strlen(rest))));
    }
}

PROXY_TEST(a_client_without_the_cookie_gets_one)
{
    struct proxy_kit *kit =
        kit_of(ABI_BALANCE_RING, ABI_HASH_COOKIE, "cart", "; Path=/; HttpOnly; SameSite=Lax");
    uint32_t met = 0;

    proxy_kit_start(kit);
    for (uint32_t i = 0; i < 12; i++) {
        struct bytes answer;
        char value[17], lines[64];
        uint32_t first = ask(kit, "Cookie: other=1\r\n", &answer);

        find_cookie(answer, value, "; Path=/; HttpOnly; SameSite=Lax");
        CHECK_UINT(strlen(value), 16);
        snprintf(lines, sizeof(lines), "Cookie: other=1; cart=%s\r\n", value);
        for (uint32_t n = 0; n < 3; n++) {
            CHECK_UINT(ask(kit, lines, &answer), first);
            find_cookie(answer, value, "");
            CHECK_UINT(strlen(value), 0); /* it has one */
        }
        met |= 1u << first;
    }
    CHECK_UINT(met, 15);
    proxy_kit_free(kit);
}

/* Where the head leaves no room, and where the route changes the answer too. */
PROXY_TEST(the_cookie_finds_its_place_behind_any_head)
{
    for (uint32_t length = 100; length < 4000; length += 13) {
        struct proxy_kit *kit = kit_of(ABI_BALANCE_RING, ABI_HASH_COOKIE, "cart", "; Path=/");
        struct abi_header_op op = {.kind = ABI_HEADER_SET, .response = 1};
        struct abi_route *route;
        struct bytes answer;
        char lines[5000];
        char value[17];

        if (length > 300 && length < 1500) {
            length += 1200; /* the inline part ends at 2,048 bytes */
        }
        op.name = snapshot_builder_text(kit->builder, "x-frame");
        op.value = snapshot_builder_text(kit->builder, "deny");
        route = snapshot_builder_record(kit->builder, ABI_SECTION_ROUTE, 0);
        route->header_ops =
            (struct abi_ref){snapshot_builder_add(kit->builder, ABI_SECTION_HEADER_OP, &op), 1};
        proxy_kit_start(kit);
        snprintf(lines, sizeof(lines), "x-long: %0*u\r\n", (int)length, 1u);
        (void)ask(kit, lines, &answer);
        cunit_context("a field of %u bytes", length);
        CHECK(memmem(answer.ptr, answer.len, "x-frame: deny\r\n", 15) != NULL);
        find_cookie(answer, value, "; Path=/");
        CHECK_UINT(strlen(value), 16);
        proxy_kit_free(kit);
        if (length > 2300) {
            length += 500;
        }
    }
}

/* What fails is passed on along the ring, with the same head and cookie. */
PROXY_TEST(another_try_goes_on_along_the_table)
{
    struct proxy_kit *kit = kit_of(ABI_BALANCE_RING, ABI_HASH_HEADER, "x-user", "");
    struct abi_route *route = snapshot_builder_record(kit->builder, ABI_SECTION_ROUTE, 0);
    uint32_t first;

    route->retries = 1;
    route->retry_on = ABI_RETRY_CONNECT;
    proxy_kit_start(kit);
    first = ask(kit, "x-user: 1\r\n", NULL);
    close(kit->upstreams[first]);
    kit->upstreams[first] = -1;
    abi_overlay_set(kit->overlay, first, ABI_OVERLAY_DOWN);
    {
        uint32_t next = ask(kit, "x-user: 1\r\n", NULL);

        /* refused rather than down: the same one takes it */
        abi_overlay_set(kit->overlay, first, 0);
        CHECK(next != first);
        CHECK_UINT(ask(kit, "x-user: 1\r\n", NULL), next);
    }
    proxy_kit_free(kit);
}

PROXY_TEST(a_stream_follows_its_address)
{
    struct proxy_kit *kit = proxy_kit_new();
    uint32_t web = proxy_kit_target(kit, "web", ENDPOINTS);
    struct abi_balancer balancer = {.spill = 70, .hashes = {0, 1}};
    uint32_t first = 0, upstream;

    add_hash(kit, ABI_HASH_ADDRESS, "", "");
    balance_kit_target(kit->builder, web, ABI_BALANCE_MAGLEV, &balancer, (uint32_t[]){ENDPOINTS},
                       1);
    proxy_kit_l4(kit, web);
    proxy_kit_start(kit);
    for (uint32_t i = 0; i < 6; i++) {
        int client = proxy_kit_client(kit, 0);
        int up = accept_any(kit, &upstream);

        first = i == 0 ? upstream : first;
        CHECK_UINT(upstream, first);
        close(client);
        close(up);
        proxy_kit_settle(kit);
    }
    proxy_kit_free(kit);
}

/* One that takes long is asked less, one that fails too. */
PROXY_TEST(what_answers_take_is_known)
{
    struct proxy_kit *kit = kit_of(ABI_BALANCE_LATENCY, ABI_HASH_HEADER, NULL, "");
    struct latency *latencies;
    uint32_t picks[ENDPOINTS] = {0};

    proxy_kit_start(kit);
    latencies = kit->proxy->latencies;
    for (uint32_t i = 0; i < 12; i++) {
        picks[ask(kit, "", NULL)]++;
    }
    for (uint32_t i = 0; i < ENDPOINTS; i++) {
        CHECK(picks[i] > 0);
        CHECK(latencies[i].us > 0);
    }
    latencies[2].us = LATENCY_MAX_US;
    latencies[2].at_ms = (uint32_t)kit->proxy->now_ms;
    for (uint32_t i = 0; i < 12; i++) {
        CHECK(ask(kit, "", NULL) != 2);
    }
    proxy_kit_free(kit);
}

PROXY_TEST(failing_is_not_being_fast)
{
    struct proxy_kit *kit = kit_of(ABI_BALANCE_LATENCY, ABI_HASH_HEADER, NULL, "");
    int client, up;
    uint32_t upstream;

    proxy_kit_start(kit);
    client = proxy_kit_client(kit, 0);
    proxy_kit_send(client, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    up = accept_any(kit, &upstream);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, "HTTP/1.1 503 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    (void)proxy_kit_until(kit, client, "\r\n\r\n");
    CHECK(kit->proxy->latencies[upstream].us >= LATENCY_UNKNOWN_US);
    close(up);
    close(client);
    client = proxy_kit_client(kit, 0);
    proxy_kit_send(client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    up = accept_any(kit, &upstream);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    close(up);
    (void)proxy_kit_until(kit, client, "\r\n\r\n");
    CHECK(kit->proxy->latencies[upstream].us >= LATENCY_UNKNOWN_US);
    close(client);
    proxy_kit_free(kit);
}

PROXY_TEST(a_hashed_request_whose_body_is_not_kept_is_sent_once)
{
    struct proxy_kit *kit = proxy_kit_new();
    uint32_t web = proxy_kit_target(kit, "web", ENDPOINTS);
    struct abi_balancer balancer = {.spill = 70, .choices = 2, .hashes.count = 1};
    struct abi_route route = snapshot_builder_forward(kit->builder, web);
    const struct abi_traffic traffic = {.max_replay = 0};
    uint32_t upstream;
    int client, up;

    add_hash(kit, ABI_HASH_HEADER, "x-user", "");
    balance_kit_target(kit->builder, web, ABI_BALANCE_MAGLEV, &balancer, (uint32_t[]){ENDPOINTS},
                       1);
    route.retries = 1;
    route.traffic = snapshot_builder_add(kit->builder, ABI_SECTION_TRAFFIC, &traffic);
    route.retry_on = ABI_RETRY_CONNECT | ABI_RETRY_RESET;
    proxy_kit_l7(kit, route);
    proxy_kit_start(kit);
    client = proxy_kit_client(kit, 0);
    proxy_kit_send(client, "PUT / HTTP/1.1\r\nHost: a\r\nX-User: 1\r\n"
                           "content-length: 4\r\n\r\nbody");
    up = accept_any(kit, &upstream);
    (void)proxy_kit_until(kit, up, "body");
    close(up);
    CHECK(
        bytes_has_prefix(proxy_kit_until(kit, client, "\r\n\r\n"), BYTES_LITERAL("HTTP/1.1 502 ")));
    for (uint32_t i = 0; i < ENDPOINTS; i++) {
        CHECK(proxy_kit_is_alone(kit, i));
    }
    close(client);
    proxy_kit_free(kit);
}
