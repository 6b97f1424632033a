/* TLS at listeners, over generations. */
#include <string.h>
#include <unistd.h>

#include "proxy_tls_kit.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

/* The records of the first generation and, with the same keys, of all that follow. */
static void records(struct proxy_kit *kit)
{
    struct abi_listener listener;
    uint32_t web, tls;

    if (kit->builder != NULL) {
        web = proxy_kit_target(kit, "web", 1);
        proxy_kit_l7(kit, snapshot_builder_forward(kit->builder, web));
    } else {
        kit->builder = snapshot_builder_new();
        web = snapshot_builder_target(kit->builder, "web", kit->upstream_ports, 1);
        listener = snapshot_builder_listener(kit->builder, "l7", kit->listener_ports[0]);
        listener.kind = ABI_LISTENER_L7;
        listener.key = kit->listener_keys[0];
        listener.route_table =
            snapshot_builder_route_table(kit->builder, snapshot_builder_forward(kit->builder, web));
        snapshot_builder_add(kit->builder, ABI_SECTION_LISTENER, &listener);
    }
    tls = proxy_tls_kit_server(kit);
    proxy_kit_listener(kit, 0)->tls = tls;
    proxy_kit_listener(kit, 0)->handshake_timeout_ms = 5000;
}

static void commit(struct proxy_kit *kit)
{
    struct snapshot_builder *next = kit->builder;

    kit->builder = NULL;
    proxy_kit_commit(kit, next);
}

/* A connection that has asked once, so that its ticket is there. */
static struct proxy_tls_client *asked(struct proxy_kit *kit, struct proxy_tls_client *earlier,
                                      int *up)
{
    struct proxy_tls_client *client = proxy_tls_kit_connect(kit, 0, "web.example", earlier);

    CHECK(proxy_tls_kit_open(kit, client));
    proxy_tls_kit_send(client, GET);
    *up = *up < 0 ? proxy_kit_accept(kit, 0) : *up;
    (void)proxy_kit_until(kit, *up, "\r\n\r\n");
    proxy_kit_send(*up, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    CHECK(proxy_tls_kit_until(kit, client, "\r\n\r\nok"));
    return client;
}

PROXY_TEST(ticket_keys_follow_the_generation)
{
    /* The keys of each generation, and whether the ticket of the connection before is good. The
     * TLS record stays the same, so its context is taken over. 0: no keys at all; a context that
     * was made without resumption is made anew when there are keys. */
    static const struct {
        uint8_t keys;
        bool resumes;
    } steps[] = {{1, false}, {1, true}, {2, false}, {2, true}, {0, false}, {3, false}, {3, true}};
    struct proxy_kit *kit = proxy_kit_new();
    struct proxy_tls_client *before = NULL;
    int up = -1;

    records(kit);
    proxy_tls_kit_secrets(kit, steps[0].keys);
    proxy_kit_start(kit);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct proxy_tls_client *client;
        bool without = i > 0 && steps[i - 1].keys == 0;

        if (i > 0 && steps[i].keys != steps[i - 1].keys) {
            records(kit);
            proxy_tls_kit_secrets(kit, steps[i].keys);
            commit(kit);
        }
        client = asked(kit, without ? NULL : before, &up);
        cunit_context("step %zu", i);
        CHECK_INT(tls_resumed(client->session), steps[i].resumes);
        if (before != NULL) {
            proxy_tls_kit_free(before);
        }
        before = client;
    }
    proxy_tls_kit_free(before);
    close(up);
    proxy_kit_settle(kit);
    proxy_kit_free(kit);
}

/* A kit whose one instance is dialled by TLS as `web.example`. */
static struct proxy_kit *dialling(void)
{
    struct proxy_kit *kit = proxy_kit_new();
    struct bytes trust = tls_kit_world()->ca.der;
    uint32_t web = proxy_kit_target(kit, "web", 1);
    struct abi_tls tls = {
        .key = 9,
        .verify = ABI_TLS_VERIFY_REQUIRE,
        .min_version = TLS_VERSION_1_2,
        .max_version = TLS_VERSION_1_3,
        .trust = snapshot_builder_blob(kit->builder, trust.ptr, trust.len),
    };
    struct abi_text sni = snapshot_builder_text(kit->builder, "web.example");
    struct abi_endpoint *endpoint;

    proxy_kit_target_record(kit, web)->sni = sni;
    endpoint = snapshot_builder_record(kit->builder, ABI_SECTION_ENDPOINT, 0);
    endpoint->tls = snapshot_builder_add(kit->builder, ABI_SECTION_TLS, &tls);
    proxy_kit_l7(kit, snapshot_builder_forward(kit->builder, web));
    proxy_kit_start(kit);
    return kit;
}

PROXY_TEST(plaintext_before_the_upstreams_handshake_is_not_taken)
{
    struct proxy_kit *kit = dialling();
    int client = proxy_kit_client(kit, 0);
    struct bytes answer;
    int up;

    proxy_kit_send(client, GET);
    up = proxy_kit_accept(kit, 0);
    proxy_kit_send(up, "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\ninjected");
    answer = proxy_kit_until(kit, client, "\r\n\r\n");
    CHECK(bytes_has_prefix(answer, BYTES_LITERAL("HTTP/1.1 502 ")));
    CHECK(memmem(answer.ptr, answer.len, "injected", 8) == NULL);
    close(up);
    close(client);
    proxy_kit_settle(kit);
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_OK), 0);
    proxy_kit_free(kit);
}

/* The peer of a failed handshake reads the alert, however much it has sent behind its mistake. */
PROXY_TEST(an_alert_arrives)
{
    static uint8_t more[65536] = {0x16, 3, 1, 0, 4, 2, 0, 0, 0}; /* a server's hello */
    struct proxy_kit *kit = proxy_kit_new();
    bool reset = false;
    int client;

    records(kit);
    proxy_tls_kit_secrets(kit, 0);
    proxy_kit_start(kit);
    for (uint32_t i = 0; i < 20; i++) {
        client = proxy_kit_client(kit, 0);
        proxy_kit_send_bytes(client, bytes_of(more, sizeof(more)));
        CHECK_BYTES(proxy_kit_rest(kit, client, &reset), BYTES_LITERAL("\x15\3\3\0\2\2\x0a"));
        CHECK(!reset);
        close(client);
    }
    proxy_kit_settle(kit);
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_TLS), 20);
    proxy_kit_free(kit);
}
