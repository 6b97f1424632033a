/* Access records: one for each request and stream, with what happened to it. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy_kit.h"

#define GET "GET /a%41?x=1 HTTP/1.1\r\nHost: Ex.test:80\r\nUser-Agent: ua\r\nReferer: http://r/\r\n"

static struct proxy_kit *l7(uint32_t endpoints)
{
    struct proxy_kit *kit = proxy_kit_new();
    uint32_t web = proxy_kit_target(kit, "web", endpoints);

    proxy_kit_l7(kit, snapshot_builder_forward(kit->builder, web));
    proxy_kit_log(kit);
    return kit;
}

static int exchange(struct proxy_kit *kit, const char *request, const char *answer)
{
    int client = proxy_kit_client(kit, 0);
    int up;

    proxy_kit_send(client, request);
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, answer);
    proxy_kit_settle(kit);
    close(up);
    return client;
}

PROXY_TEST(a_request_with_all_that_is_known_of_it)
{
    struct proxy_kit *kit = l7(1);
    const struct abi_log_record *record;
    int client;

    proxy_kit_start(kit);
    client = exchange(kit,
                      GET "X-Request-Id: 7\r\nX-Request-ID: 8\r\nTraceparent: "
                          "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
                          "Content-Length: 3\r\n\r\nabc",
                      "HTTP/1.1 201 Created\r\nServer: s\r\nContent-Length: 5\r\n\r\n12345");
    record = proxy_kit_record(kit);
    CHECK_UINT(record->status, 201);
    CHECK_UINT(record->outcome, ABI_OUTCOME_OK);
    CHECK_UINT(record->protocol, ABI_LOG_HTTP11);
    CHECK_UINT(record->bytes_in, 3);
    CHECK_UINT(record->bytes_out, 5);
    CHECK_UINT(record->attempts, 1);
    CHECK_UINT(record->flags, 0);
    CHECK(record->client_port != 0);
    CHECK(record->connect_us != ABI_LOG_NONE_US);
    CHECK(record->wait_us != ABI_LOG_NONE_US);
    CHECK_UINT(record->handshake_us, ABI_LOG_NONE_US);
    CHECK_UINT(record->listener.port, kit->listener_ports[0]);
    CHECK_UINT(record->upstream.port, kit->upstream_ports[0]);
    CHECK_TEXT(proxy_kit_recorded(ABI_LOG_LISTENER), "l7");
    CHECK_TEXT(proxy_kit_recorded(ABI_LOG_CLIENT_IP), "127.0.0.1");
    CHECK_TEXT(proxy_kit_recorded(ABI_LOG_METHOD), "GET");
    CHECK_TEXT(proxy_kit_recorded(ABI_LOG_HOST), "ex.test");
    CHECK_TEXT(proxy_kit_recorded(ABI_LOG_PATH), "/aA");
    CHECK_TEXT(proxy_kit_recorded(ABI_LOG_QUERY), "x=1");
    CHECK_TEXT(proxy_kit_recorded(ABI_LOG_ROUTE), "route");
    CHECK_TEXT(proxy_kit_recorded(ABI_LOG_ROUTE_ORIGIN), "test");
    CHECK_TEXT(proxy_kit_recorded(ABI_LOG_SERVICE), "web");
    CHECK_TEXT(proxy_kit_recorded(ABI_LOG_INSTANCE), "web");
    CHECK_TEXT(proxy_kit_recorded(ABI_LOG_INTENTION), "");
    CHECK_TEXT(proxy_kit_recorded(ABI_LOG_TRACE_ID), "0af7651916cd43dd8448eb211c80319c");
    CHECK_TEXT(proxy_kit_recorded(ABI_LOG_USER_AGENT), "ua");
    CHECK_TEXT(proxy_kit_recorded(ABI_LOG_REFERER), "http://r/");
    CHECK_TEXT(proxy_kit_recorded(ABI_LOG_HEADER_0), "7");
    CHECK_TEXT(proxy_kit_recorded(ABI_LOG_HEADER_1), "s");
    CHECK(!proxy_kit_has_record(kit));
    CHECK_UINT(proxy_kit_worker_stat(kit, ABI_WORKER_LOG_RECORDS), 1);
    CHECK_UINT(proxy_kit_worker_stat(kit, ABI_WORKER_LOG_DROPPED), 0);
    close(client);
    proxy_kit_free(kit);
}

PROXY_TEST(only_what_a_log_names_is_recorded)
{
    struct proxy_kit *kit = l7(1);
    struct abi_log *log = snapshot_builder_record(kit->builder, ABI_SECTION_LOG, 0);
    int client;

    log->ops.at = ABI_LOG_PATH - 1;
    log->ops.count = 1;
    log->variables = 1ULL << ABI_LOG_PATH;
    log->headers.count = 0;
    proxy_kit_start(kit);
    client = exchange(kit, GET "\r\n", "HTTP/1.1 204 No Content\r\n\r\n");
    CHECK_UINT(proxy_kit_record(kit)->text, 3);
    CHECK_TEXT(proxy_kit_recorded(ABI_LOG_PATH), "/aA");
    CHECK_TEXT(proxy_kit_recorded(ABI_LOG_USER_AGENT), "");
    close(client);
    proxy_kit_free(kit);
}

PROXY_TEST(a_listener_without_a_log_records_nothing)
{
    struct proxy_kit *kit = l7(1);
    int client;

    proxy_kit_listener(kit, 0)->log = ABI_NONE;
    proxy_kit_start(kit);
    client = exchange(kit, GET "\r\n", "HTTP/1.1 204 No Content\r\n\r\n");
    proxy_kit_settle(kit);
    CHECK(!proxy_kit_has_record(kit));
    CHECK_UINT(proxy_kit_worker_stat(kit, ABI_WORKER_LOG_RECORDS), 0);
    close(client);
    proxy_kit_free(kit);
}

PROXY_TEST(a_sample_leaves_out_what_went_well_and_nothing_else)
{
    struct proxy_kit *kit = l7(1);
    struct abi_log *log = snapshot_builder_record(kit->builder, ABI_SECTION_LOG, 0);
    int client, up;

    log->sample = 0;
    proxy_kit_start(kit);
    client = exchange(kit, GET "\r\n", "HTTP/1.1 204 No Content\r\n\r\n");
    close(client);
    proxy_kit_settle(kit);
    CHECK(!proxy_kit_has_record(kit));
    client = exchange(kit, GET "\r\n", "HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n");
    CHECK_UINT(proxy_kit_record(kit)->status, 500);
    proxy_kit_send(client, GET "Connection: close\r\n\r\n");
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, "HTTP/1.1 nonsense\r\n\r\n");
    CHECK_UINT(proxy_kit_record(kit)->outcome, ABI_OUTCOME_UPSTREAM_PROTOCOL);
    close(up);
    close(client);
    proxy_kit_free(kit);
}

PROXY_TEST(a_full_ring_costs_records_and_nothing_else)
{
    struct proxy_kit *kit = l7(1);
    int client;

    kit->log->head = LIMIT_LOG_RING; /* nobody has read */
    proxy_kit_start(kit);
    client = exchange(kit, GET "\r\n", "HTTP/1.1 204 No Content\r\n\r\n");
    (void)proxy_kit_until(kit, client, "HTTP/1.1 204 No Content\r\n");
    CHECK_UINT(proxy_kit_worker_stat(kit, ABI_WORKER_LOG_RECORDS), 0);
    CHECK_UINT(proxy_kit_worker_stat(kit, ABI_WORKER_LOG_DROPPED), 1);
    close(client);
    proxy_kit_free(kit);
}

PROXY_TEST(heads_that_cannot_be_read)
{
    struct proxy_kit *kit = l7(1);
    const struct abi_log_record *record;
    int client;

    proxy_kit_start(kit);
    client = proxy_kit_client(kit, 0);
    proxy_kit_send(client, "GET / HTTP/1.1\nHost: a\r\n\r\n");
    record = proxy_kit_record(kit);
    CHECK_UINT(record->status, 400);
    CHECK_UINT(record->outcome, ABI_OUTCOME_BAD_REQUEST);
    CHECK_UINT(record->protocol, ABI_LOG_HTTP);
    CHECK_TEXT(proxy_kit_recorded(ABI_LOG_CLIENT_IP), "127.0.0.1");
    CHECK_TEXT(proxy_kit_recorded(ABI_LOG_METHOD), "");
    close(client);
    proxy_kit_free(kit);
}

PROXY_TEST(every_try_counts_and_the_last_endpoint_is_named)
{
    struct proxy_kit *kit = l7(2);
    const struct abi_log_record *record;
    struct abi_route *route;
    int client, up;

    route = snapshot_builder_record(kit->builder, ABI_SECTION_ROUTE, 0);
    route->retries = 1;
    route->retry_on = ABI_RETRY_CONNECT;
    close(kit->upstreams[0]);
    kit->upstreams[0] = -1;
    proxy_kit_start(kit);
    client = proxy_kit_client(kit, 0); /* it meets the closed one first */
    proxy_kit_send(client, GET "Connection: close\r\n\r\n");
    up = proxy_kit_accept(kit, 1);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    record = proxy_kit_record(kit);
    CHECK_UINT(record->attempts, 2);
    CHECK_UINT(record->upstream.port, kit->upstream_ports[1]);
    close(up);
    close(client);
    proxy_kit_free(kit);
}

PROXY_TEST(nobody_to_connect_to)
{
    struct proxy_kit *kit = l7(1);
    int client;

    close(kit->upstreams[0]);
    kit->upstreams[0] = -1;
    proxy_kit_start(kit);
    client = proxy_kit_client(kit, 0);
    proxy_kit_send(client, GET "\r\n");
    CHECK_UINT(proxy_kit_record(kit)->outcome, ABI_OUTCOME_CONNECT_FAILED);
    CHECK_TEXT(proxy_kit_recorded(ABI_LOG_INSTANCE), "web");
    close(client);
    proxy_kit_free(kit);
}

PROXY_TEST(a_client_that_leaves)
{
    struct proxy_kit *kit = l7(1);
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    const struct abi_log_record *record;
    int client, up;

    proxy_kit_start(kit);
    client = proxy_kit_client(kit, 0);
    proxy_kit_send(client, GET "\r\n");
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    (void)proxy_kit_until(kit, client, "abc");
    CHECK_INT(setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    close(client);
    record = proxy_kit_record(kit);
    CHECK_UINT(record->outcome, ABI_OUTCOME_CLIENT_GONE);
    CHECK_UINT(record->status, 200);
    CHECK_UINT(record->bytes_out, 3);
    close(up);
    proxy_kit_free(kit);
}

PROXY_TEST(a_stream_with_its_bytes)
{
    struct proxy_kit *kit = proxy_kit_new();
    const struct abi_log_record *record;
    int client, up;

    proxy_kit_l4(kit, proxy_kit_target(kit, "raw", 1));
    proxy_kit_log(kit);
    proxy_kit_start(kit);
    client = proxy_kit_client(kit, 0);
    up = proxy_kit_accept(kit, 0);
    proxy_kit_send(client, "to the service");
    proxy_kit_expect(kit, up, "to the service");
    proxy_kit_send(up, "back");
    proxy_kit_expect(kit, client, "back");
    CHECK(!proxy_kit_has_record(kit));
    close(client);
    close(up);
    record = proxy_kit_record(kit);
    CHECK_UINT(record->protocol, ABI_LOG_TCP);
    CHECK_UINT(record->status, 0);
    CHECK_UINT(record->outcome, ABI_OUTCOME_OK);
    CHECK_UINT(record->bytes_in, 14);
    CHECK_UINT(record->bytes_out, 4);
    CHECK(record->connect_us != ABI_LOG_NONE_US);
    CHECK_UINT(record->upstream.port, kit->upstream_ports[0]);
    CHECK_TEXT(proxy_kit_recorded(ABI_LOG_LISTENER), "l4");
    CHECK_TEXT(proxy_kit_recorded(ABI_LOG_SERVICE), "raw");
    proxy_kit_free(kit);
}

PROXY_TEST(who_is_turned_away_at_the_door)
{
    struct proxy_kit *kit = l7(1);
    int first, second;

    proxy_kit_listener(kit, 0)->max_connections = 1;
    proxy_kit_start(kit);
    first = proxy_kit_client(kit, 0);
    proxy_kit_settle(kit);
    second = proxy_kit_client(kit, 0);
    CHECK_UINT(proxy_kit_record(kit)->outcome, ABI_OUTCOME_CONNECTION_LIMIT);
    CHECK_TEXT(proxy_kit_recorded(ABI_LOG_CLIENT_IP), "127.0.0.1");
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_CONNECTION_LIMIT), 1);
    close(first);
    close(second);
    proxy_kit_free(kit);
}

/* A client fills its own words to the brim: what is recorded behind them is not crowded out. */
PROXY_TEST(long_words_of_a_client_crowd_nothing_out)
{
    struct proxy_kit *kit = l7(1);
    static char request[16000];
    char word[3001];
    int client;

    memset(word, 'w', 3000);
    word[3000] = '\0';
    snprintf(request, sizeof(request),
             "GET /%s?%s HTTP/1.1\r\nHost: a\r\nUser-Agent: %s\r\nReferer: %s\r\n"
             "X-Request-Id: %s\r\n\r\n",
             word, word, word, word, word);
    proxy_kit_start(kit);
    client = exchange(kit, request, "HTTP/1.1 204 No Content\r\nServer: s\r\n\r\n");
    (void)proxy_kit_record(kit);
    CHECK_UINT(proxy_kit_recorded(ABI_LOG_PATH).len, 1024);
    CHECK_UINT(proxy_kit_recorded(ABI_LOG_QUERY).len, 1024);
    CHECK_UINT(proxy_kit_recorded(ABI_LOG_USER_AGENT).len, 256);
    CHECK_UINT(proxy_kit_recorded(ABI_LOG_HEADER_0).len, 256);
    CHECK_TEXT(proxy_kit_recorded(ABI_LOG_INSTANCE), "web");
    CHECK_TEXT(proxy_kit_recorded(ABI_LOG_HEADER_1), "s");
    close(client);
    proxy_kit_free(kit);
}
