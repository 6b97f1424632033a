/* Spans: what a sampled request tells the control plane, and what its upstream sees of it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proxy_kit.h"

#define TRACE  "0af7651916cd43dd8448eb211c80319c"
#define CALLER "b7ad6b7169203331"
#define PARENT "traceparent: 00-" TRACE "-" CALLER "-01\r\n"
#define GET    "GET /aA?x=1 HTTP/1.1\r\nHost: Ex.test:80\r\nUser-Agent: ua\r\n"
#define OK     "HTTP/1.1 204 No Content\r\n\r\n"

static union {
    struct abi_span span;
    uint8_t bytes[LIMIT_SPAN_RECORD];
} newest;

static struct proxy_kit *spans_kit(uint32_t endpoints, uint32_t share)
{
    struct proxy_kit *kit = proxy_kit_new();
    uint32_t web = proxy_kit_target(kit, "web", endpoints);
    const struct abi_hops hops = {.trace_start = 1, .trace_sample = share, .trace_spans = 1};
    uint32_t index;

    proxy_kit_l7(kit, snapshot_builder_forward(kit->builder, web));
    index = snapshot_builder_add(kit->builder, ABI_SECTION_HOPS, &hops);
    proxy_kit_listener(kit, 0)->hops = index;
    return kit;
}

/* The next span; runs the proxy until there is one. */
static const struct abi_span *next_span(struct proxy_kit *kit)
{
    struct abi_records *ring = abi_stats_spans(kit->stats);
    uint64_t tail = ring->tail;
    enum abi_records_read read;

    proxy_kit_settle(kit);
    read = abi_span_ring_next(ring, &tail, &newest.span);
    CHECK_INT(read, ABI_RECORDS_TAKEN);
    abi_records_release(ring, tail);
    return &newest.span;
}

static bool has_span(struct proxy_kit *kit)
{
    proxy_kit_settle(kit);
    return abi_stats_spans(kit->stats)->head != abi_stats_spans(kit->stats)->tail;
}

static struct bytes text_of(enum abi_span_text which)
{
    const struct abi_log_part *part = &newest.span.parts[which];

    return bytes_of(newest.bytes + sizeof(struct abi_span) + part->at, part->len);
}

static const char *hex(const uint8_t *id, size_t size)
{
    static char texts[4][33];
    static uint32_t next;
    char *text = texts[next++ % 4];

    for (size_t i = 0; i < size; i++) {
        snprintf(text + 2 * i, 3, "%02x", id[i]);
    }
    return text;
}

/* The head that the upstream got, NUL-terminated. */
static const char *head_at(struct proxy_kit *kit, int up)
{
    static char head[65536];
    struct bytes got = proxy_kit_until(kit, up, "\r\n\r\n");

    memcpy(head, got.ptr, got.len);
    head[got.len] = '\0';
    return head;
}

static const char *parent_in(const char *head)
{
    static char parent[56];
    const char *at = strstr(head, "\r\ntraceparent: ");

    if (!CHECK(at != NULL) || !CHECK(strstr(at + 2, "\r\ntraceparent: ") == NULL)) {
        return "";
    }
    snprintf(parent, sizeof(parent), "%s", at + 15);
    return parent;
}

PROXY_TEST(a_sampled_request_has_a_span_and_one_for_its_try)
{
    struct proxy_kit *kit = spans_kit(1, 0);
    const struct abi_span *span;
    char parent[56], expected[56], own[17];
    int client, up;

    proxy_kit_start(kit);
    client = proxy_kit_client(kit, 0);
    proxy_kit_send(client, GET PARENT "tracestate: a=1, b=2\r\ntracestate: c=3\r\n"
                                      "content-length: 3\r\n\r\nabc");
    up = proxy_kit_accept(kit, 0);
    const char *head = head_at(kit, up);
    snprintf(parent, sizeof(parent), "%s", parent_in(head));
    CHECK(strstr(head, "\r\ntracestate: a=1, b=2\r\ntracestate: c=3\r\n") != NULL);
    proxy_kit_send(up, "HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\n12345");
    span = next_span(kit);
    CHECK_UINT(span->type, ABI_SPAN_CLIENT);
    CHECK_UINT(span->status, 201);
    CHECK_UINT(span->outcome, ABI_OUTCOME_OK);
    CHECK_UINT(span->attempt, 0);
    CHECK_UINT(span->flags, 0);
    CHECK_UINT(span->remote.port, kit->upstream_ports[0]);
    CHECK_TEXT(text_of(ABI_SPAN_INSTANCE), "web");
    CHECK_TEXT(text_of(ABI_SPAN_SERVICE), "web");
    CHECK_TEXT(text_of(ABI_SPAN_METHOD), "GET");
    snprintf(expected, sizeof(expected), "00-" TRACE "-%s-01", hex(span->span_id, 8));
    CHECK_STRING(parent, expected);
    snprintf(own, sizeof(own), "%s", hex(span->parent_id, 8));
    span = next_span(kit);
    CHECK_UINT(span->type, ABI_SPAN_SERVER);
    CHECK_STRING(hex(span->trace_id, 16), TRACE);
    CHECK_STRING(hex(span->span_id, 8), own);
    CHECK_STRING(hex(span->parent_id, 8), CALLER);
    CHECK_UINT(span->flags, ABI_SPAN_IS_REMOTE);
    CHECK_UINT(span->trace_flags, 1);
    CHECK_UINT(span->status, 201);
    CHECK_UINT(span->protocol, ABI_LOG_HTTP11);
    CHECK_UINT(span->bytes_in, 3);
    CHECK_UINT(span->bytes_out, 5);
    CHECK(span->client_port != 0);
    CHECK_UINT(span->local.port, kit->listener_ports[0]);
    CHECK_TEXT(text_of(ABI_SPAN_LISTENER), "l7");
    CHECK_TEXT(text_of(ABI_SPAN_STATE), "a=1,b=2,c=3");
    CHECK_TEXT(text_of(ABI_SPAN_CLIENT_IP), "127.0.0.1");
    CHECK_TEXT(text_of(ABI_SPAN_HOST), "ex.test");
    CHECK_TEXT(text_of(ABI_SPAN_PATH), "/aA");
    CHECK_TEXT(text_of(ABI_SPAN_ROUTE), "route");
    CHECK_TEXT(text_of(ABI_SPAN_USER_AGENT), "ua");
    CHECK_TEXT(text_of(ABI_SPAN_OWNER), "");
    CHECK(!has_span(kit));
    CHECK_UINT(proxy_kit_worker_stat(kit, ABI_WORKER_SPANS), 2);
    CHECK_UINT(proxy_kit_worker_stat(kit, ABI_WORKER_LOG_RECORDS), 0);
    close(up);
    close(client);
    proxy_kit_free(kit);
}

PROXY_TEST(what_is_not_sampled_passes_as_it_came)
{
    struct proxy_kit *kit = spans_kit(1, 0);
    int client, up;

    proxy_kit_start(kit);
    client = proxy_kit_client(kit, 0);
    proxy_kit_send(client, GET "traceparent: 00-" TRACE "-" CALLER "-00\r\n\r\n");
    up = proxy_kit_accept(kit, 0);
    CHECK_STRING(parent_in(head_at(kit, up)), "00-" TRACE "-" CALLER "-00");
    proxy_kit_send(up, OK);
    (void)proxy_kit_until(kit, client, "\r\n\r\n");
    proxy_kit_send(client, GET "\r\n"); /* a trace begins here, and none of them is sampled */
    CHECK(strstr(parent_in(head_at(kit, up)), "-00") != NULL);
    proxy_kit_send(up, OK);
    CHECK(!has_span(kit));
    CHECK_UINT(proxy_kit_worker_stat(kit, ABI_WORKER_SPANS), 0);
    close(up);
    close(client);
    proxy_kit_free(kit);
}

PROXY_TEST(a_trace_that_begins_here_has_no_parent)
{
    struct proxy_kit *kit = spans_kit(1, ABI_TRACE_ALL);
    const struct abi_span *span;
    char parent[56];
    int client, up;

    proxy_kit_start(kit);
    client = proxy_kit_client(kit, 0);
    proxy_kit_send(client, GET "\r\n");
    up = proxy_kit_accept(kit, 0);
    snprintf(parent, sizeof(parent), "%s", parent_in(head_at(kit, up)));
    proxy_kit_send(up, OK);
    span = next_span(kit);
    CHECK(strstr(parent, hex(span->span_id, 8)) != NULL);
    CHECK(strstr(parent, hex(span->trace_id, 16)) != NULL);
    span = next_span(kit);
    CHECK_STRING(hex(span->parent_id, 8), "0000000000000000");
    CHECK(strcmp(hex(span->span_id, 8), "0000000000000000") != 0);
    CHECK_UINT(span->flags, 0);
    close(up);
    close(client);
    proxy_kit_free(kit);
}

PROXY_TEST(each_try_is_a_span_and_the_upstream_sees_its_own)
{
    struct proxy_kit *kit = spans_kit(2, ABI_TRACE_ALL);
    struct abi_route *route = snapshot_builder_record(kit->builder, ABI_SECTION_ROUTE, 0);
    const struct abi_span *span;
    char parent[56], first[17];
    int client, up;

    route->retries = 1;
    route->retry_on = ABI_RETRY_CONNECT;
    close(kit->upstreams[0]);
    kit->upstreams[0] = -1;
    proxy_kit_start(kit);
    client = proxy_kit_client(kit, 0); /* it meets the closed one first */
    proxy_kit_send(client, GET "\r\n");
    up = proxy_kit_accept(kit, 1);
    snprintf(parent, sizeof(parent), "%s", parent_in(head_at(kit, up)));
    proxy_kit_send(up, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    span = next_span(kit);
    CHECK_UINT(span->outcome, ABI_OUTCOME_CONNECT_FAILED);
    CHECK_UINT(span->status, 0);
    CHECK_UINT(span->remote.port, kit->upstream_ports[0]);
    snprintf(first, sizeof(first), "%s", hex(span->span_id, 8));
    CHECK(strstr(parent, first) == NULL);
    span = next_span(kit);
    CHECK_UINT(span->attempt, 1);
    CHECK_UINT(span->status, 503);
    CHECK_UINT(span->remote.port, kit->upstream_ports[1]);
    CHECK(strstr(parent, hex(span->span_id, 8)) != NULL);
    span = next_span(kit);
    CHECK_UINT(span->type, ABI_SPAN_SERVER);
    CHECK_UINT(span->status, 503);
    close(up);
    close(client);
    proxy_kit_free(kit);
}

PROXY_TEST(a_head_of_several_blocks_names_its_span)
{
    struct proxy_kit *kit = spans_kit(1, ABI_TRACE_ALL);
    const struct abi_span *span;
    char request[8192], parent[56];
    int client, up;

    snprintf(request, sizeof(request), GET "x: %07000d\r\n\r\n", 1);
    proxy_kit_start(kit);
    client = proxy_kit_client(kit, 0);
    proxy_kit_send(client, request);
    up = proxy_kit_accept(kit, 0);
    snprintf(parent, sizeof(parent), "%s", parent_in(head_at(kit, up)));
    proxy_kit_send(up, OK);
    span = next_span(kit);
    CHECK(strstr(parent, hex(span->span_id, 8)) != NULL);
    close(up);
    close(client);
    proxy_kit_free(kit);
}

PROXY_TEST(a_full_ring_costs_spans_and_nothing_else)
{
    struct proxy_kit *kit = spans_kit(1, ABI_TRACE_ALL);
    int client, up;

    abi_stats_spans(kit->stats)->head = LIMIT_SPAN_RING; /* nobody has read */
    proxy_kit_start(kit);
    client = proxy_kit_client(kit, 0);
    proxy_kit_send(client, GET "\r\n");
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, OK);
    (void)proxy_kit_until(kit, client, "HTTP/1.1 204 No Content\r\n");
    CHECK_UINT(proxy_kit_worker_stat(kit, ABI_WORKER_SPANS), 0);
    CHECK_UINT(proxy_kit_worker_stat(kit, ABI_WORKER_SPANS_DROPPED), 2);
    close(up);
    close(client);
    proxy_kit_free(kit);
}

PROXY_TEST(tracestate_is_cut_between_members)
{
    struct proxy_kit *kit = spans_kit(1, 0);
    char request[2048];
    const struct abi_span *span;
    int client, up;

    snprintf(request, sizeof(request),
             GET PARENT "tracestate: a=%0250d\r\ntracestate: b=%0250d, "
                        "c=%0250d\r\n\r\n",
             1, 2, 3);
    proxy_kit_start(kit);
    client = proxy_kit_client(kit, 0);
    proxy_kit_send(client, request);
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, OK);
    span = next_span(kit);
    CHECK_UINT(span->parts[ABI_SPAN_STATE].len, 505);
    CHECK(bytes_has_prefix(text_of(ABI_SPAN_STATE), BYTES_LITERAL("a=000")));
    close(up);
    close(client);
    proxy_kit_free(kit);
}

/* --- counters of routes and endpoints --- */

static uint64_t of_route(struct proxy_kit *kit, enum abi_way_stat stat)
{
    return abi_stats_route(kit->stats, 5)->counters[stat];
}

static uint64_t of_endpoint(struct proxy_kit *kit, uint32_t slot, enum abi_way_stat stat)
{
    return abi_stats_endpoint(kit->stats, slot)->counters[stat];
}

static uint64_t timed(const struct abi_way_stats *way)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < ABI_HISTOGRAM_BUCKETS; i++) {
        count += way->latency.counts[i];
    }
    return count;
}

PROXY_TEST(routes_and_endpoints_count_what_they_did)
{
    struct proxy_kit *kit = spans_kit(2, 0);
    struct abi_route *route = snapshot_builder_record(kit->builder, ABI_SECTION_ROUTE, 0);
    int client, up;

    route->retries = 1;
    route->retry_on = ABI_RETRY_CONNECT;
    route->stats_slot = 5;
    close(kit->upstreams[0]);
    kit->upstreams[0] = -1;
    proxy_kit_start(kit);
    client = proxy_kit_client(kit, 0); /* it meets the closed one first */
    proxy_kit_send(client, GET "\r\n");
    up = proxy_kit_accept(kit, 1);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, OK);
    (void)proxy_kit_until(kit, client, "\r\n\r\n");
    CHECK_UINT(of_endpoint(kit, 0, ABI_WAY_ERRORS), 1);
    CHECK_UINT(of_endpoint(kit, 0, ABI_WAY_RETRIES), 0);
    CHECK_UINT(of_endpoint(kit, 1, ABI_WAY_CODE_2XX), 1);
    CHECK_UINT(of_endpoint(kit, 1, ABI_WAY_RETRIES), 1);
    CHECK_UINT(of_endpoint(kit, 1, ABI_WAY_ERRORS), 0);
    CHECK_UINT(timed(abi_stats_endpoint(kit->stats, 1)), 1);
    CHECK_UINT(of_route(kit, ABI_WAY_CODE_2XX), 1);
    CHECK_UINT(of_route(kit, ABI_WAY_RETRIES), 1);
    CHECK_UINT(timed(abi_stats_route(kit->stats, 5)), 1);
    proxy_kit_send(client, GET "\r\n"); /* an answer that is cut is an error of the route */
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1");
    (void)proxy_kit_until(kit, client, "\r\n\r\n");
    close(up);
    proxy_kit_settle(kit);
    CHECK_UINT(of_route(kit, ABI_WAY_ERRORS), 1);
    CHECK_UINT(of_endpoint(kit, 1, ABI_WAY_CODE_2XX), 2);
    close(client);
    proxy_kit_free(kit);
}

PROXY_TEST(a_route_without_a_slot_is_not_counted)
{
    struct proxy_kit *kit = spans_kit(1, 0);
    struct abi_route *route = snapshot_builder_record(kit->builder, ABI_SECTION_ROUTE, 0);
    int client;

    *route = (struct abi_route){.action = ABI_ACTION_RESPOND,
                                .status = 204,
                                .path_dfa = ABI_NONE,
                                .traffic = ABI_NONE,
                                .stats_slot = ABI_ROUTE_UNCOUNTED,
                                .rule = route->rule,
                                .origin = route->origin};
    proxy_kit_start(kit);
    client = proxy_kit_client(kit, 0);
    proxy_kit_send(client, GET "\r\n");
    (void)proxy_kit_until(kit, client, "\r\n\r\n");
    for (uint32_t slot = 0; slot < 8; slot++) {
        CHECK_UINT(abi_stats_route(kit->stats, slot)->counters[ABI_WAY_CODE_2XX], 0);
    }
    close(client);
    proxy_kit_free(kit);
}
