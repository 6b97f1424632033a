/* TLS that goes through an L4 listener as it is, by the server name of its hello. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "hello_kit.h"
#include "proxy_kit.h"
#include "wire/hello.h"

#define UNRECOGNIZED_NAME "\x15\x03\x03\x00\x02\x02\x70"
#define DECODE_ERROR      "\x15\x03\x03\x00\x02\x02\x32"

enum { DB = 0, APPS, STANDARD };

/* `db.test` and `*.apps.test`, and another target for other names if `standard`. */
static struct proxy_kit *made(bool standard, uint32_t handshake_ms)
{
    static const char *const hosts[] = {"db.test", "*.apps.test"};
    struct proxy_kit *kit = proxy_kit_new();
    struct abi_route_table table = {0};
    struct abi_ref lists[2];
    struct abi_listener *listener;
    struct abi_ref splits = {0};
    uint32_t index;

    for (uint32_t i = 0; i < 2; i++) {
        uint32_t target = proxy_kit_target(kit, i == DB ? "db" : "apps", 1);
        struct abi_route route = snapshot_builder_forward(kit->builder, target);

        index = snapshot_builder_add(kit->builder, ABI_SECTION_ROUTE, &route);
        lists[i].at = snapshot_builder_add(kit->builder, ABI_SECTION_ROUTE_LIST, &index);
        lists[i].count = 1;
    }
    proxy_kit_l4(kit, proxy_kit_target(kit, "standard", 1));
    splits = proxy_kit_listener(kit, 0)->splits;
    table.hosts = snapshot_builder_hosts(kit->builder, hosts, lists, 2);
    index = snapshot_builder_add(kit->builder, ABI_SECTION_ROUTE_TABLE, &table);
    listener = proxy_kit_listener(kit, 0);
    listener->flags = ABI_LISTENER_SNI;
    listener->route_table = index;
    listener->splits = standard ? splits : (struct abi_ref){0};
    listener->handshake_timeout_ms = handshake_ms;
    return kit;
}

static struct proxy_kit *started(bool standard, uint32_t handshake_ms)
{
    struct proxy_kit *kit = made(standard, handshake_ms);

    proxy_kit_start(kit);
    return kit;
}

static void finish(struct proxy_kit *kit)
{
    proxy_kit_settle(kit);
    proxy_kit_free(kit);
}

/* The hello reaches that upstream whole, and bytes go both ways after it. */
static void check_goes_to(struct proxy_kit *kit, const char *name, uint32_t upstream)
{
    const struct hello_kit spec = {.name = name, .filler = 1300};
    struct bytes hello = hello_kit_hello(&spec);
    int client = proxy_kit_client(kit, 0);
    int up;

    cunit_context("%s", name);
    proxy_kit_send_bytes(client, hello);
    up = proxy_kit_accept(kit, upstream);
    proxy_kit_send(client, "application data");
    CHECK_BYTES(bytes_part(proxy_kit_until(kit, up, "application data"), 0, hello.len), hello);
    proxy_kit_send(up, "and back");
    proxy_kit_expect(kit, client, "and back");
    close(client);
    proxy_kit_expect_end(kit, up);
    close(up);
}

static void check_refused(struct proxy_kit *kit, struct bytes in, const char *alert, size_t len)
{
    int client = proxy_kit_client(kit, 0);
    bool reset = false;

    proxy_kit_send_bytes(client, in);
    CHECK_BYTES(proxy_kit_rest(kit, client, &reset), bytes_of(alert, len));
    CHECK(!reset);
    close(client);
}

PROXY_TEST(server_names_go_to_their_services)
{
    struct proxy_kit *kit = started(true, 5000);

    check_goes_to(kit, "db.test", DB);
    check_goes_to(kit, "DB.Test.", DB);
    check_goes_to(kit, "a.apps.test", APPS);
    check_goes_to(kit, "b.a.apps.test", APPS);
    check_goes_to(kit, "apps.test", STANDARD);
    check_goes_to(kit, NULL, STANDARD);
    finish(kit);
}

PROXY_TEST(a_name_that_nobody_serves_is_refused_in_tls)
{
    struct proxy_kit *kit = started(false, 5000);

    check_goes_to(kit, "db.test", DB);
    check_refused(kit, hello_kit_hello(&(struct hello_kit){.name = "apps.test"}), UNRECOGNIZED_NAME,
                  7);
    check_refused(kit, hello_kit_hello(&(struct hello_kit){.name = NULL}), UNRECOGNIZED_NAME, 7);
    proxy_kit_settle(kit);
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_NO_ROUTE), 2);
    finish(kit);
}

PROXY_TEST(a_proxy_header_is_read_before_the_hello)
{
    static const char header[] = "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n";
    const struct hello_kit spec = {.name = "db.test", .filler = 300};
    struct abi_network network = {.ip = {[10] = 0xff, [11] = 0xff, 127}, .bits = 96 + 8};
    struct abi_hops hops = {.proxy_timeout_ms = 5000, .proxy_in = ABI_PROXY_ANY};
    struct bytes hello = hello_kit_hello(&spec);
    struct proxy_kit *kit = made(false, 5000);
    uint8_t whole[2048];
    size_t length = sizeof(header) - 1 + hello.len;
    uint32_t index;

    hops.proxy_from.at = snapshot_builder_add(kit->builder, ABI_SECTION_NETWORK, &network);
    hops.proxy_from.count = 1;
    index = snapshot_builder_add(kit->builder, ABI_SECTION_HOPS, &hops);
    proxy_kit_listener(kit, 0)->hops = index;
    proxy_kit_listener(kit, 0)->flags |= ABI_LISTENER_PROXY_IN;
    proxy_kit_start(kit);
    CHECK(length <= sizeof(whole));
    memcpy(whole, header, sizeof(header) - 1);
    memcpy(whole + sizeof(header) - 1, hello.ptr, hello.len);
    for (size_t piece = 1; piece <= length; piece = piece < 50 ? piece + 7 : piece * 2) {
        int client = proxy_kit_client(kit, 0);
        int up;

        cunit_context("pieces of %zu", piece);
        for (size_t at = 0; at < length; at += piece) {
            size_t end = length - at < piece ? length : at + piece;

            proxy_kit_send_bytes(client, bytes_part(bytes_of(whole, length), at, end));
            (void)proxy_kit_turn(kit, 0);
        }
        up = proxy_kit_accept(kit, DB);
        proxy_kit_send(client, "!");
        CHECK_BYTES(bytes_part(proxy_kit_until(kit, up, "!"), 0, hello.len), hello);
        close(client);
        close(up);
        proxy_kit_settle(kit);
    }
    CHECK_UINT(kit->proxy->proxieds.used, 0);
    finish(kit);
}

PROXY_TEST(a_hello_in_pieces)
{
    static uint8_t message[HELLO_KIT_ROOM];
    static uint8_t records[HELLO_KIT_ROOM];
    const struct hello_kit spec = {.name = "db.test", .filler = 300};
    size_t size = hello_kit_message(&spec, message);
    struct bytes in = hello_kit_records(bytes_of(message, size), 50, records);
    struct proxy_kit *kit = started(false, 5000);
    int client = proxy_kit_client(kit, 0);
    int up;

    for (size_t i = 0; i < in.len; i++) {
        proxy_kit_send_bytes(client, bytes_part(in, i, i + 1));
        (void)proxy_kit_turn(kit, KIT_MS);
    }
    up = proxy_kit_accept(kit, DB);
    proxy_kit_send(client, "!");
    CHECK_BYTES(bytes_part(proxy_kit_until(kit, up, "!"), 0, in.len), in);
    close(client);
    close(up);
    finish(kit);
}

PROXY_TEST(what_is_no_hello_is_refused)
{
    static uint8_t message[HELLO_KIT_ROOM];
    static uint8_t records[HELLO_KIT_ROOM];
    const struct hello_kit large = {.name = "db.test", .filler = 17000};
    struct proxy_kit *kit = started(true, 5000);
    size_t size = hello_kit_message(&large, message);

    check_refused(kit, BYTES_LITERAL("GET / HTTP/1.1\r\n\r\n"), "", 0);
    check_refused(kit, BYTES_LITERAL("\x16\x03\x01\x00\x04\x02\x00\x00\x00"), DECODE_ERROR, 7);
    check_refused(kit, hello_kit_records(bytes_of(message, size), 0, records), DECODE_ERROR, 7);
    proxy_kit_settle(kit);
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_TLS), 3);
    CHECK(proxy_kit_is_alone(kit, STANDARD));
    finish(kit);
}

PROXY_TEST(a_hello_that_does_not_come)
{
    struct bytes hello = hello_kit_hello(&(struct hello_kit){.name = "db.test"});
    struct proxy_kit *kit = started(true, 60);
    int slow = proxy_kit_client(kit, 0);
    int gone = proxy_kit_client(kit, 0);
    bool reset = false;

    proxy_kit_send_bytes(slow, bytes_part(hello, 0, hello.len - 1));
    proxy_kit_send_bytes(gone, bytes_part(hello, 0, 3));
    (void)proxy_kit_turn(kit, KIT_MS);
    close(gone);
    CHECK_UINT(proxy_kit_rest(kit, slow, &reset).len, 0);
    close(slow);
    proxy_kit_settle(kit);
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_TLS), 1);
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_CLIENT_GONE), 1);
    CHECK(proxy_kit_is_alone(kit, DB));
    finish(kit);
}

PROXY_TEST(records_have_the_server_name)
{
    struct proxy_kit *kit = made(false, 10000);
    static const char *const names[] = {"db.test", "other.test", NULL};
    const struct abi_log_record *record;

    proxy_kit_log(kit);
    proxy_kit_start(kit);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct hello_kit spec = {.name = names[i]};
        int client = proxy_kit_client(kit, 0);

        proxy_kit_send_bytes(client, hello_kit_hello(&spec));
        if (i == 0) {
            int up = proxy_kit_accept(kit, DB);

            close(client);
            (void)proxy_kit_rest(kit, up, NULL);
            close(up);
            proxy_kit_settle(kit);
        } else {
            (void)proxy_kit_rest(kit, client, NULL);
            close(client);
        }
        record = proxy_kit_record(kit);
        cunit_context("%s", names[i] != NULL ? names[i] : "no name");
        CHECK_UINT(record->outcome, i == 0 ? ABI_OUTCOME_OK : ABI_OUTCOME_NO_ROUTE);
        CHECK_UINT(record->flags, ABI_LOG_IS_TLS);
        CHECK_UINT(record->tls_version, 0);
        CHECK_TEXT(proxy_kit_recorded(ABI_LOG_TLS_SNI), names[i] != NULL ? names[i] : "");
    }
    /* What is no hello has no name, and none of the one before. */
    int client = proxy_kit_client(kit, 0);

    proxy_kit_send(client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    (void)proxy_kit_rest(kit, client, NULL);
    close(client);
    record = proxy_kit_record(kit);
    CHECK_UINT(record->outcome, ABI_OUTCOME_TLS);
    CHECK_UINT(record->flags, 0);
    CHECK_TEXT(proxy_kit_recorded(ABI_LOG_TLS_SNI), "");
    finish(kit);
}
