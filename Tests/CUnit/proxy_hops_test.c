/* Who is in front: PROXY headers in and out, forwarding fields, traces; over loopback. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy_kit.h"

#define GET    "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK     "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
#define V1     "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n"
#define SIG    "\r\n\r\n\0\r\nQUIT\n"
#define PARENT "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

/* A network of IPv4 addresses; its index. */
static uint32_t add_network(struct proxy_kit *kit, const char *ip, uint32_t bits)
{
    struct abi_network network = {.ip = {[10] = 0xff, [11] = 0xff}, .bits = 96 + bits};

    CHECK_INT(inet_pton(AF_INET, ip, network.ip + 12), 1);
    return snapshot_builder_add(kit->builder, ABI_SECTION_NETWORK, &network);
}

static void set_hops(struct proxy_kit *kit, uint32_t listener, struct abi_hops hops)
{
    struct abi_listener *record;
    uint32_t index = snapshot_builder_add(kit->builder, ABI_SECTION_HOPS, &hops);

    record = proxy_kit_listener(kit, listener);
    record->hops = index;
    record->flags |= hops.proxy_in != 0 ? ABI_LISTENER_PROXY_IN : 0;
}

/* Listener 0: L7, listener 1: L4; both take PROXY headers from this network. */
static struct proxy_kit *proxied_kit(const char *from, uint32_t bits, uint8_t versions)
{
    struct proxy_kit *kit = proxy_kit_new();
    uint32_t web = proxy_kit_target(kit, "web", 1);
    struct abi_hops hops = {
        .proxy_timeout_ms = 1000,
        .proxy_in = versions,
        .fields = ABI_HOP_X_FORWARDED,
    };

    proxy_kit_l7(kit, snapshot_builder_forward(kit->builder, web));
    proxy_kit_l4(kit, web);
    hops.proxy_from = (struct abi_ref){add_network(kit, from, bits), 1};
    set_hops(kit, 0, hops);
    hops.fields = 0;
    hops.proxy_from.at = add_network(kit, from, bits);
    set_hops(kit, 1, hops);
    return kit;
}

/* What the upstream gets for `request`, sent in pieces of `piece` bytes; then the exchange ends. */
static struct bytes exchange(struct proxy_kit *kit, struct bytes request, size_t piece)
{
    static char head[65536];
    struct bytes got;
    int client = proxy_kit_client(kit, 0);
    int up;

    for (size_t at = 0; at < request.len; at += piece) {
        size_t end = request.len - at < piece ? request.len : at + piece;

        proxy_kit_send_bytes(client, bytes_part(request, at, end));
        if (piece < request.len) {
            (void)proxy_kit_turn(kit, 0);
        }
    }
    up = proxy_kit_accept(kit, 0);
    got = proxy_kit_until(kit, up, "\r\n\r\n");
    MUST(got.len < sizeof(head));
    memcpy(head, got.ptr, got.len);
    proxy_kit_send(up, OK);
    (void)proxy_kit_until(kit, client, "\r\n\r\nok");
    close(up);
    close(client);
    proxy_kit_settle(kit);
    return bytes_of(head, got.len);
}

static bool has(struct bytes in, const char *text)
{
    return memmem(in.ptr, in.len, text, strlen(text)) != NULL;
}

PROXY_TEST(a_header_names_the_client)
{
    static const struct {
        struct bytes header;
        const char *client;
    } headers[] = {
        {BYTES_LITERAL(V1), "192.0.2.7"},
        {BYTES_LITERAL("PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n"), "2001:db8::1"},
        {BYTES_LITERAL("PROXY UNKNOWN\r\n"), "127.0.0.1"},
        {BYTES_LITERAL(SIG "\x21\x11\x00\x0c\xc0\x00\x02\x07\x05\x06\x07\x08\x04\x57\x00\x50"),
         "192.0.2.7"},
        {BYTES_LITERAL(SIG "\x20\x00\x00\x00"), "127.0.0.1"},
        {BYTES_LITERAL(SIG "\x21\x00\x00\x00"), "127.0.0.1"},
    };
    struct proxy_kit *kit = proxied_kit("127.0.0.0", 8, ABI_PROXY_ANY);

    proxy_kit_start(kit);
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        uint8_t whole[256];
        size_t length = headers[i].header.len;
        char field[64];

        memcpy(whole, headers[i].header.ptr, length);
        memcpy(whole + length, GET, strlen(GET));
        length += strlen(GET);
        snprintf(field, sizeof(field), "\r\nx-forwarded-for: %s\r\n", headers[i].client);
        for (size_t piece = 1; piece <= length; piece += piece < 50 ? 7 : length) {
            cunit_context("header %zu, pieces of %zu", i, piece);
            CHECK(has(exchange(kit, bytes_of(whole, length), piece), field));
        }
        CHECK(has(exchange(kit, bytes_of(whole, length), length), field));
    }
    CHECK_UINT(kit->proxy->proxieds.used, 0);
    proxy_kit_free(kit);
}

/* The newest record is that of a connection without a header that could be taken. */
static void check_refused(struct proxy_kit *kit, uint32_t listener)
{
    const struct abi_log_record *record = proxy_kit_record(kit);

    CHECK_UINT(record->outcome, ABI_OUTCOME_PROXY_HEADER);
    CHECK_UINT(record->status, 0);
    CHECK_UINT(record->protocol, listener == 0 ? ABI_LOG_HTTP : ABI_LOG_TCP);
    CHECK_UINT(record->listener.port, kit->listener_ports[listener]);
    CHECK(record->client_port != 0);
    CHECK_TEXT(proxy_kit_recorded(ABI_LOG_CLIENT_IP), "127.0.0.1");
    CHECK(!proxy_kit_has_record(kit));
}

PROXY_TEST(without_a_good_header_nothing_goes_on)
{
    static const char *const bad[] = {GET, "proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n" GET,
                                      "PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\n" GET};
    struct proxy_kit *kit = proxied_kit("127.0.0.1", 32, ABI_PROXY_V1);

    proxy_kit_log(kit);
    proxy_kit_start(kit);
    for (uint32_t i = 0; i < 6; i++) {
        int client = proxy_kit_client(kit, i % 2);
        bool reset = false;

        proxy_kit_send(client, bad[i / 2]);
        CHECK_UINT(proxy_kit_rest(kit, client, &reset).len, 0);
        CHECK(reset);
        check_refused(kit, i % 2);
        close(client);
    }
    CHECK(proxy_kit_is_alone(kit, 0));
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_PROXY_HEADER), 3);
    CHECK_UINT(proxy_kit_outcome(kit, 1, ABI_OUTCOME_PROXY_HEADER), 3);
    proxy_kit_free(kit);
}

PROXY_TEST(a_header_that_does_not_end_has_its_time)
{
    struct proxy_kit *kit = proxied_kit("127.0.0.1", 32, ABI_PROXY_ANY);
    int client;
    bool reset = false;

    proxy_kit_log(kit);
    proxy_kit_start(kit);
    client = proxy_kit_client(kit, 0);
    proxy_kit_send_bytes(client, BYTES_LITERAL(SIG));
    CHECK_UINT(proxy_kit_rest(kit, client, &reset).len, 0);
    CHECK(reset);
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_PROXY_HEADER), 1);
    check_refused(kit, 0);
    close(client);

    /* A probe of the proxy in front that only connects is not worth a line, half a header is. */
    for (uint32_t i = 0; i < 2; i++) {
        client = proxy_kit_client(kit, 1);
        proxy_kit_send(client, i == 0 ? "" : "PROXY TCP4");
        proxy_kit_settle(kit);
        shutdown(client, SHUT_WR);
        proxy_kit_expect_end(kit, client);
        CHECK_UINT(proxy_kit_outcome(kit, 1, ABI_OUTCOME_CLIENT_GONE), i + 1);
        CHECK_INT(proxy_kit_has_record(kit), i == 1);
        close(client);
    }
    CHECK(proxy_kit_is_alone(kit, 0));
    proxy_kit_free(kit);
}

PROXY_TEST(only_trusted_peers_may_name_a_client)
{
    struct proxy_kit *kit = proxied_kit("127.0.0.2", 32, ABI_PROXY_ANY);
    int client;
    bool reset = false;

    proxy_kit_log(kit);
    proxy_kit_start(kit);
    client = proxy_kit_client(kit, 0);
    proxy_kit_send(client, V1 GET);
    CHECK_UINT(proxy_kit_rest(kit, client, &reset).len, 0);
    CHECK(reset);
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_PROXY_HEADER), 1);
    check_refused(kit, 0);
    close(client);
    proxy_kit_free(kit);

    /* Served as they are: what looks like a header is what they say. */
    kit = proxied_kit("127.0.0.2", 32, ABI_PROXY_ANY);
    ((struct abi_hops *)snapshot_builder_record(kit->builder, ABI_SECTION_HOPS, 0))->proxy_others =
        1;
    proxy_kit_start(kit);
    CHECK(has(exchange(kit, BYTES_LITERAL(GET), 1000), "\r\nx-forwarded-for: 127.0.0.1\r\n"));
    client = proxy_kit_client(kit, 0);
    proxy_kit_send(client, V1 GET);
    CHECK(bytes_has_prefix(proxy_kit_rest(kit, client, NULL), BYTES_LITERAL("HTTP/1.1 400 ")));
    CHECK(proxy_kit_is_alone(kit, 0));
    close(client);
    proxy_kit_free(kit);
}

PROXY_TEST(a_stream_begins_behind_its_header)
{
    struct proxy_kit *kit = proxied_kit("127.0.0.1", 32, ABI_PROXY_ANY);
    uint32_t web = 0;
    int client;
    int up;

    proxy_kit_target_record(kit, web)->proxy_out = ABI_PROXY_V1;
    proxy_kit_start(kit);
    client = proxy_kit_client(kit, 1);
    proxy_kit_send(client, V1 "hello PROXY TCP4");
    up = proxy_kit_accept(kit, 0);
    proxy_kit_expect(kit, up, V1 "hello PROXY TCP4"); /* written anew, with both ends */
    proxy_kit_send(up, "answer");
    proxy_kit_expect(kit, client, "answer");
    close(client);
    proxy_kit_expect_end(kit, up);
    close(up);
    proxy_kit_free(kit);
}

/* What the socket of a client is, as version 1 writes it. */
static void line_of(int client, char line[128])
{
    struct sockaddr_in own;
    struct sockaddr_in other;
    socklen_t length = sizeof(own);

    CHECK_INT(getsockname(client, (struct sockaddr *)&own, &length), 0);
    CHECK_INT(getpeername(client, (struct sockaddr *)&other, &length), 0);
    snprintf(line, 128, "PROXY TCP4 127.0.0.1 127.0.0.1 %u %u\r\n", ntohs(own.sin_port),
             ntohs(other.sin_port));
}

static struct proxy_kit *telling_kit(uint8_t version, uint32_t endpoints)
{
    struct proxy_kit *kit = proxy_kit_new();
    uint32_t web = proxy_kit_target(kit, "web", endpoints);

    proxy_kit_l7(kit, snapshot_builder_forward(kit->builder, web));
    proxy_kit_l4(kit, web);
    proxy_kit_target_record(kit, web)->proxy_out = version;
    proxy_kit_start(kit);
    return kit;
}

PROXY_TEST(a_server_that_speaks_first_is_told_first)
{
    struct proxy_kit *kit = telling_kit(ABI_PROXY_V1, 1);
    int client = proxy_kit_client(kit, 1);
    int up = proxy_kit_accept(kit, 0);
    char line[128];

    line_of(client, line);
    proxy_kit_expect(kit, up, line);
    proxy_kit_send(up, "220 ready\r\n");
    proxy_kit_expect(kit, client, "220 ready\r\n");
    close(client);
    close(up);
    proxy_kit_free(kit);
}

PROXY_TEST(version_2_is_written_too)
{
    struct proxy_kit *kit = telling_kit(ABI_PROXY_V2, 1);
    int client = proxy_kit_client(kit, 1);
    int up = proxy_kit_accept(kit, 0);
    struct bytes got;

    proxy_kit_send(client, "end");
    got = proxy_kit_until(kit, up, "end");
    CHECK_UINT(got.len, 28 + 3);
    CHECK(bytes_has_prefix(got,
                           BYTES_LITERAL(SIG "\x21\x11\x00\x0c\x7f\x00\x00\x01\x7f\x00\x00\x01")));
    close(client);
    close(up);
    proxy_kit_free(kit);
}

PROXY_TEST(a_connection_that_names_a_client_serves_no_other)
{
    struct proxy_kit *kit = telling_kit(ABI_PROXY_V1, 1);
    int clients[2] = {proxy_kit_client(kit, 0), proxy_kit_client(kit, 0)};
    int ups[2];
    char line[128];

    for (uint32_t i = 0; i < 2; i++) {
        line_of(clients[i], line);
        proxy_kit_send(clients[i], GET);
        ups[i] = proxy_kit_accept(kit, 0); /* though one is idle */
        proxy_kit_expect(kit, ups[i], line);
        (void)proxy_kit_until(kit, ups[i], "\r\n\r\n");
        proxy_kit_send(ups[i], OK);
        (void)proxy_kit_until(kit, clients[i], "\r\n\r\nok");
    }
    for (uint32_t i = 0; i < 2; i++) { /* its own client uses it again, without another header */
        proxy_kit_send(clients[i], GET);
        proxy_kit_expect(kit, ups[i], "GET / HTTP/1.1\r\n");
        (void)proxy_kit_until(kit, ups[i], "\r\n\r\n");
        proxy_kit_send(ups[i], OK);
        (void)proxy_kit_until(kit, clients[i], "\r\n\r\nok");
    }
    CHECK(proxy_kit_is_alone(kit, 0));
    CHECK_UINT(kit->proxy->uppool.idle, 2);
    close(clients[0]); /* and it ends with it */
    proxy_kit_expect_end(kit, ups[0]);
    CHECK_UINT(kit->proxy->uppool.idle, 1);
    close(clients[1]);
    close(ups[0]);
    close(ups[1]);
    proxy_kit_free(kit);
}

/* A connection to any of the upstreams. */
static int accept_any(struct proxy_kit *kit)
{
    for (uint32_t turn = 0; turn < 2000; turn++) {
        int fd = accept4(kit->upstreams[turn % kit->upstream_count], NULL, NULL, SOCK_NONBLOCK);

        if (fd >= 0) {
            return fd;
        }
        (void)proxy_kit_turn(kit, KIT_MS);
    }
    CHECK(false);
    return -1;
}

PROXY_TEST(a_client_keeps_a_few_of_them)
{
    struct proxy_kit *kit = telling_kit(ABI_PROXY_V1, LIMIT_POOL_IDLE_CLIENT + 2);
    int client = proxy_kit_client(kit, 0);
    int ups[LIMIT_POOL_IDLE_CLIENT + 2];

    for (uint32_t i = 0; i < LIMIT_POOL_IDLE_CLIENT + 2; i++) { /* round robin */
        proxy_kit_send(client, GET);
        ups[i] = accept_any(kit);
        (void)proxy_kit_until(kit, ups[i], "\r\n\r\n");
        proxy_kit_send(ups[i], OK);
        (void)proxy_kit_until(kit, client, "\r\n\r\nok");
        CHECK_UINT(kit->proxy->uppool.idle,
                   i < LIMIT_POOL_IDLE_CLIENT ? i + 1 : LIMIT_POOL_IDLE_CLIENT);
    }
    proxy_kit_expect_end(kit, ups[0]); /* the oldest gave way */
    close(client);
    for (uint32_t i = 0; i < LIMIT_POOL_IDLE_CLIENT + 2; i++) {
        if (i >= 2) {
            proxy_kit_expect_end(kit, ups[i]);
        }
        close(ups[i]);
    }
    proxy_kit_free(kit);
}

/* --- forwarding fields --- */

static struct proxy_kit *trusting_kit(const char *trusted, uint8_t depth, uint8_t fields)
{
    struct proxy_kit *kit = proxy_kit_new();
    uint32_t web = proxy_kit_target(kit, "web", 1);
    struct abi_hops hops = {.fields = fields};

    proxy_kit_l7(kit, snapshot_builder_forward(kit->builder, web));
    if (trusted != NULL) {
        hops.trust = (struct abi_ref){add_network(kit, "10.0.0.0", 8), 2};
        hops.depth = depth;
        (void)add_network(kit, trusted, 32);
    }
    set_hops(kit, 0, hops);
    proxy_kit_start(kit);
    return kit;
}

/* The request with these fields, and whether the upstream got exactly these forwarding fields. */
static void check_fields(struct proxy_kit *kit, const char *fields, const char *expected)
{
    char request[16384];
    struct bytes got;
    size_t at;

    snprintf(request, sizeof(request), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", fields);
    got = exchange(kit, cunit_text(request), sizeof(request));
    at = strlen("GET / HTTP/1.1\r\nhost: a\r\n");
    cunit_context("%s", fields);
    if (CHECK(got.len >= at + 2)) {
        CHECK_TEXT(bytes_part(got, at, got.len - 2), expected);
    }
}

#define OURS "x-forwarded-proto: http\r\nx-forwarded-host: a\r\n"

PROXY_TEST(strangers_are_not_believed)
{
    struct proxy_kit *kit = proxy_kit_new();
    uint32_t web = proxy_kit_target(kit, "web", 1);

    proxy_kit_l7(kit, snapshot_builder_forward(kit->builder, web));
    proxy_kit_start(kit);
    check_fields(kit, "", "x-forwarded-for: 127.0.0.1\r\n" OURS);
    check_fields(kit,
                 "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\n"
                 "X-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\nX-Real-IP: 1.2.3.4\r\n"
                 "Forwarded: for=1.2.3.4;proto=https\r\n",
                 "x-forwarded-for: 127.0.0.1\r\n" OURS);
    proxy_kit_free(kit);
    kit = trusting_kit("127.0.0.2", 32, ABI_HOP_FIELDS);
    check_fields(kit, "X-Forwarded-For: 10.0.0.1\r\nForwarded: for=10.0.0.1\r\n",
                 "x-forwarded-for: 127.0.0.1\r\n" OURS
                 "forwarded: for=127.0.0.1;host=\"a\";proto=http\r\n");
    proxy_kit_free(kit);
}

PROXY_TEST(trusted_hops_are_followed)
{
    struct proxy_kit *kit = trusting_kit("127.0.0.1", 32, ABI_HOP_X_FORWARDED);

    check_fields(kit, "X-Forwarded-For: 192.0.2.1\r\n",
                 "x-forwarded-for: 192.0.2.1, 127.0.0.1\r\n" OURS);
    /* What the client said of itself is left out; hops between are kept. */
    check_fields(kit, "X-Forwarded-For: 8.8.8.8, 192.0.2.1, 10.0.0.2,10.0.0.1:80\r\n",
                 "x-forwarded-for: 192.0.2.1, 10.0.0.2, 10.0.0.1, 127.0.0.1\r\n" OURS);
    check_fields(kit, "X-Forwarded-For: 8.8.8.8\r\nA: b\r\nX-Forwarded-For: [2001:db8::1]:80\r\n",
                 "A: b\r\nx-forwarded-for: 2001:db8::1, 127.0.0.1\r\n" OURS);
    check_fields(kit, "X-Forwarded-For: 192.0.2.1, <script>, 10.0.0.1\r\n",
                 "x-forwarded-for: 10.0.0.1, 127.0.0.1\r\n" OURS);
    check_fields(kit, "X-Forwarded-For: garbage\r\n", "x-forwarded-for: 127.0.0.1\r\n" OURS);
    check_fields(kit, "X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n",
                 "x-forwarded-for: 10.0.0.3, 10.0.0.2, 127.0.0.1\r\n" OURS);
    /* Single values stay when they are one and good. */
    check_fields(kit,
                 "X-Forwarded-Proto: https\r\nX-Forwarded-Host: b:8443\r\n"
                 "X-Forwarded-Port: 443\r\nX-Real-IP: 192.0.2.1\r\n",
                 "X-Forwarded-Proto: https\r\nX-Forwarded-Host: b:8443\r\n"
                 "X-Forwarded-Port: 443\r\nX-Real-IP: 192.0.2.1\r\n"
                 "x-forwarded-for: 127.0.0.1\r\n");
    check_fields(kit,
                 "X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\n"
                 "X-Forwarded-Host: a b\r\nX-Forwarded-Port: 0\r\nX-Real-IP: me\r\n",
                 "x-forwarded-for: 127.0.0.1\r\n" OURS);
    check_fields(kit, "X-Forwarded-Proto: https, http\r\n", "x-forwarded-for: 127.0.0.1\r\n" OURS);
    /* The other kind is read when the first is missing, and never passed on beside it. */
    check_fields(kit, "Forwarded: for=8.8.8.8, for=192.0.2.1;proto=https, for=10.0.0.1\r\n",
                 "x-forwarded-for: 192.0.2.1, 10.0.0.1, 127.0.0.1\r\n"
                 "x-forwarded-proto: https\r\nx-forwarded-host: a\r\n");
    check_fields(kit, "Forwarded: for=_hidden, for=10.0.0.1\r\n",
                 "x-forwarded-for: unknown, 10.0.0.1, 127.0.0.1\r\n" OURS);
    check_fields(kit, "Forwarded: for=1.1.1.1\r\nX-Forwarded-For: 192.0.2.1\r\n",
                 "x-forwarded-for: 192.0.2.1, 127.0.0.1\r\n" OURS);
    proxy_kit_free(kit);
}

PROXY_TEST(hops_are_counted)
{
    struct proxy_kit *kit = trusting_kit("127.0.0.1", 2, ABI_HOP_X_FORWARDED);

    check_fields(kit, "X-Forwarded-For: 10.0.0.4, 10.0.0.3, 10.0.0.2, 10.0.0.1\r\n",
                 "x-forwarded-for: 10.0.0.2, 10.0.0.1, 127.0.0.1\r\n" OURS);
    proxy_kit_free(kit);
}

PROXY_TEST(long_chains_are_cut)
{
    struct proxy_kit *kit = trusting_kit("127.0.0.1", LIMIT_HOPS, ABI_HOP_FORWARDED);
    char fields[8192];
    char expected[8192];
    size_t length = (size_t)snprintf(fields, sizeof(fields), "X-Forwarded-For: 8.8.8.8");
    size_t wanted = (size_t)snprintf(expected, sizeof(expected), "forwarded: ");

    for (uint32_t i = 0; i < LIMIT_HOPS + 8; i++) {
        length += (size_t)snprintf(fields + length, sizeof(fields) - length, ", 10.0.0.%u", i);
        if (i >= 8) {
            wanted += (size_t)snprintf(expected + wanted, sizeof(expected) - wanted,
                                       "for=10.0.0.%u, ", i);
        }
    }
    snprintf(fields + length, sizeof(fields) - length, "\r\n");
    snprintf(expected + wanted, sizeof(expected) - wanted,
             "for=127.0.0.1;host=\"a\";proto=http\r\n");
    check_fields(kit, fields, expected);
    proxy_kit_free(kit);
}

PROXY_TEST(forwarded_is_written)
{
    struct proxy_kit *kit = trusting_kit("127.0.0.1", 32, ABI_HOP_FORWARDED);

    check_fields(kit, "", "forwarded: for=127.0.0.1;host=\"a\";proto=http\r\n");
    check_fields(
        kit, "X-Forwarded-For: 2001:db8::1\r\nX-Forwarded-Proto: https\r\nX-Real-IP: 1.1.1.1\r\n",
        "forwarded: for=\"[2001:db8::1]\", for=127.0.0.1;host=\"a\";proto=http\r\n");
    check_fields(kit,
                 "Forwarded: for=8.8.8.8\r\n"
                 "Forwarded: for=192.0.2.1;proto=https;x=\"a, b\" , for=\"10.0.0.1:80\"\r\n",
                 "forwarded: for=192.0.2.1;proto=https;x=\"a, b\", for=\"10.0.0.1:80\", "
                 "for=127.0.0.1;host=\"a\";proto=http\r\n");
    check_fields(kit, "Forwarded: for=\"10.0.0.1, for=192.0.2.1\r\n",
                 "forwarded: for=127.0.0.1;host=\"a\";proto=http\r\n");
    check_fields(kit, "Forwarded: for=\"\r\nForwarded: for=192.0.2.1\r\n",
                 "forwarded: for=192.0.2.1, for=127.0.0.1;host=\"a\";proto=http\r\n");
    proxy_kit_free(kit);
    kit = trusting_kit("127.0.0.1", 32, 0);
    check_fields(kit,
                 "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\nX-Real-IP: 1.1.1.1\r\n",
                 "");
    proxy_kit_free(kit);
}

/* --- traces --- */

PROXY_TEST(good_traces_pass_and_others_do_not)
{
    struct proxy_kit *kit = trusting_kit(NULL, 0, 0);

    check_fields(kit, "Traceparent: " PARENT "\r\nTracestate: a=1,b=2\r\nTracestate: c=3\r\n",
                 "Traceparent: " PARENT "\r\nTracestate: a=1,b=2\r\nTracestate: c=3\r\n");
    check_fields(kit, "traceparent: " PARENT "\r\ntracestate: a=1\r\ntracestate: a=2\r\n",
                 "traceparent: " PARENT "\r\n");
    check_fields(kit, "traceparent: " PARENT "-x\r\ntracestate: a=1\r\n", "");
    check_fields(kit, "traceparent: " PARENT "\r\ntraceparent: " PARENT "\r\ntracestate: a=1\r\n",
                 "");
    check_fields(kit, "tracestate: a=1\r\n", "");
    proxy_kit_free(kit);
}

PROXY_TEST(traces_begin_where_none_is)
{
    struct proxy_kit *kit = proxy_kit_new();
    uint32_t web = proxy_kit_target(kit, "web", 1);
    uint32_t sampled = 0;
    char last[56] = "";

    proxy_kit_l7(kit, snapshot_builder_forward(kit->builder, web));
    set_hops(kit, 0, (struct abi_hops){.trace_start = 1, .trace_sample = ABI_TRACE_ALL / 4});
    proxy_kit_start(kit);
    check_fields(kit, "traceparent: " PARENT "\r\n", "traceparent: " PARENT "\r\n");
    for (uint32_t i = 0; i < 100; i++) {
        struct bytes got = exchange(kit,
                                    i % 2 == 0 ? BYTES_LITERAL(GET)
                                               : BYTES_LITERAL("GET / HTTP/1.1\r\nHost: a\r\n"
                                                               "traceparent: 00-0\r\n\r\n"),
                                    1000);
        const char *at = memmem(got.ptr, got.len, "\r\ntraceparent: 00-", 17);

        if (!CHECK(at != NULL && memcmp(at + 70, "\r\n", 2) == 0)) {
            break;
        }
        CHECK(memcmp(at + 15, last, 55) != 0);
        memcpy(last, at + 15, 55);
        sampled += last[54] == '1';
    }
    CHECK(sampled > 5 && sampled < 60);
    proxy_kit_free(kit);
}
