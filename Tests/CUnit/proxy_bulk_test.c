/* Splice: when it begins and ends, and what lies around it. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/num.h"
#include "proxy_kit.h"

#define BULK_SIZE (6u << 20)

struct flow {
    struct proxy_kit *kit;
    int from;
    int to;
    uint64_t sent;
    uint64_t got;
    uint64_t size;
};

static struct proxy_kit *streams(void)
{
    struct proxy_kit *kit = proxy_kit_new();

    proxy_kit_l4(kit, proxy_kit_target(kit, "raw", 1));
    proxy_kit_start(kit);
    return kit;
}

/* As much as goes in without the proxy running. */
static size_t flow_push(struct flow *flow)
{
    static uint8_t data[65536];
    size_t total = 0;

    while (flow->sent < flow->size) {
        size_t count = num_min_size(sizeof(data), (size_t)(flow->size - flow->sent));
        ssize_t sent;

        kit_fill(data, flow->sent, count);
        sent = send(flow->from, data, count, MSG_NOSIGNAL);
        if (sent <= 0) {
            break;
        }
        flow->sent += (size_t)sent;
        total += (size_t)sent;
    }
    return total;
}

static size_t flow_pull(struct flow *flow, size_t most)
{
    static uint8_t data[65536];
    size_t total = 0;

    while (total < most) {
        ssize_t got = recv(flow->to, data, num_min_size(sizeof(data), most - total), 0);

        if (got <= 0) {
            break;
        }
        CHECK(kit_matches(bytes_of(data, (size_t)got), flow->got));
        flow->got += (size_t)got;
        total += (size_t)got;
    }
    return total;
}

/* Until everything is through, or nothing moves any more. */
static void flow_finish(struct flow *flow)
{
    uint32_t idle = 0;

    while (flow->got < flow->size && idle < 200) {
        size_t moved = flow_push(flow);

        moved += proxy_kit_turn(flow->kit, KIT_MS);
        moved += flow_pull(flow, SIZE_MAX);
        idle = moved > 0 ? 0 : idle + 1;
    }
    CHECK_UINT(flow->got, flow->size);
}

PROXY_TEST(a_long_stream_is_spliced)
{
    struct proxy_kit *kit = streams();
    int client = proxy_kit_client(kit, 0);
    int up = proxy_kit_accept(kit, 0);
    struct flow flow = {.kit = kit, .from = client, .to = up, .size = BULK_SIZE};

    flow_finish(&flow);
    CHECK(proxy_kit_worker_stat(kit, ABI_WORKER_SPLICED_BYTES) > BULK_SIZE / 4);
    shutdown(client, SHUT_WR);
    proxy_kit_expect_end(kit, up);
    close(up);
    close(client);
    proxy_kit_free(kit);
}

/* The sink stands still until splice is due and bytes are held and stored everywhere; then it reads
 * on, in one of many ways. */
static void stalled(uint32_t turns, size_t sip)
{
    struct proxy_kit *kit = streams();
    int client = proxy_kit_client(kit, 0);
    int up = proxy_kit_accept(kit, 0);
    struct flow flow = {.kit = kit, .from = client, .to = up, .size = BULK_SIZE};

    cunit_context("%u turns, %zu bytes at a time", turns, sip);
    for (uint32_t i = 0; i < turns; i++) {
        (void)flow_push(&flow);
        (void)proxy_kit_turn(kit, 0);
    }
    for (uint32_t i = 0; i < 20; i++) {
        (void)flow_pull(&flow, sip);
        (void)flow_push(&flow);
        (void)proxy_kit_turn(kit, 0);
    }
    flow_finish(&flow);
    close(client);
    proxy_kit_expect_end(kit, up);
    close(up);
    proxy_kit_settle(kit);
    proxy_kit_free(kit);
}

PROXY_TEST(a_sink_that_stands_still_for_a_while)
{
    for (uint32_t turns = 1; turns < 40; turns += 3) {
        stalled(turns, 1);
        stalled(turns, 100000);
        stalled(turns, 1000000);
    }
    cunit_context(NULL);
}

PROXY_TEST(a_long_body_is_spliced_and_the_connections_go_on)
{
    struct proxy_kit *kit = proxy_kit_new();
    uint32_t web = proxy_kit_target(kit, "web", 1);
    struct flow flow = {.kit = kit, .size = BULK_SIZE};

    proxy_kit_l7(kit, snapshot_builder_forward(kit->builder, web));
    proxy_kit_start(kit);
    flow.to = proxy_kit_client(kit, 0);
    for (int i = 0; i < 2; i++) {
        flow.sent = flow.got = 0;
        proxy_kit_send(flow.to, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        if (i == 0) {
            flow.from = proxy_kit_accept(kit, 0);
        }
        (void)proxy_kit_until(kit, flow.from, "\r\n\r\n");
        proxy_kit_send(flow.from, "HTTP/1.1 200 OK\r\ncontent-length: 6291456\r\n\r\n");
        (void)proxy_kit_until(kit, flow.to, "\r\n\r\n");
        flow_finish(&flow);
    }
    CHECK(proxy_kit_worker_stat(kit, ABI_WORKER_SPLICED_BYTES) > BULK_SIZE);
    CHECK(proxy_kit_is_alone(kit, 0));
    close(flow.from);
    close(flow.to);
    proxy_kit_free(kit);
}

/* One exchange on connections that stand; returns what was spliced of it. */
static uint64_t answer_of(struct flow *flow, uint64_t size)
{
    uint64_t before = proxy_kit_worker_stat(flow->kit, ABI_WORKER_SPLICED_BYTES);
    char head[64];

    flow->sent = flow->got = 0;
    flow->size = size;
    proxy_kit_send(flow->to, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    if (flow->from < 0) {
        flow->from = proxy_kit_accept(flow->kit, 0);
    }
    (void)proxy_kit_until(flow->kit, flow->from, "\r\n\r\n");
    snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\ncontent-length: %u\r\n\r\n", (unsigned)size);
    proxy_kit_send(flow->from, head);
    (void)proxy_kit_until(flow->kit, flow->to, "\r\n\r\n");
    flow_finish(flow);
    proxy_kit_settle(flow->kit);
    return proxy_kit_worker_stat(flow->kit, ABI_WORKER_SPLICED_BYTES) - before;
}

/* Of an upstream that brings bodies of some size the head is received alone, and the rest spliced;
 * one that brings short ones is received as they come. */
PROXY_TEST(bodies_of_some_size_are_spliced_from_the_second_on)
{
    struct proxy_kit *kit = proxy_kit_new();
    uint32_t web = proxy_kit_target(kit, "web", 1);
    struct flow flow = {.kit = kit, .from = -1};

    proxy_kit_l7(kit, snapshot_builder_forward(kit->builder, web));
    proxy_kit_start(kit);
    flow.to = proxy_kit_client(kit, 0);
    for (int round = 0; round < 3; round++) {
        (void)answer_of(&flow, 65536);
        for (int i = 0; i < 4; i++) {
            CHECK(answer_of(&flow, 65536) > 32768);
        }
        CHECK_UINT(answer_of(&flow, 100), 0);
        CHECK(answer_of(&flow, 65536) > 32768); /* one short answer changes nothing */
        for (int i = 0; i < 20; i++) {
            CHECK_UINT(answer_of(&flow, 100), 0);
        }
        CHECK_UINT(answer_of(&flow, 20000), 0);
    }
    CHECK(proxy_kit_is_alone(kit, 0));
    close(flow.from);
    close(flow.to);
    proxy_kit_free(kit);
}

/* Stored output of the first connection: the client's. */
static size_t stored(const struct proxy_kit *kit)
{
    const struct conn *down = pool_at(&kit->proxy->conns, 0);

    return down->out.length;
}

PROXY_TEST(input_that_is_held_when_a_splice_is_due)
{
    static const char chunk[] = "1000\r\n";
    static uint8_t body[4096];
    struct proxy_kit *kit = proxy_kit_new();
    uint32_t web = proxy_kit_target(kit, "web", 1);
    struct flow flow = {.kit = kit, .size = 1u << 20};

    /* A client that does not read until its first answer is stored, almost to the limit. */
    proxy_kit_l7(kit, snapshot_builder_forward(kit->builder, web));
    proxy_kit_start(kit);
    flow.to = proxy_kit_client(kit, 0);
    proxy_kit_send(flow.to, "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    flow.from = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, flow.from, "\r\n\r\n");
    proxy_kit_send(flow.from, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    while (stored(kit) < LIMIT_SPILL_HIGH - 40000) {
        proxy_kit_send(flow.from, chunk);
        proxy_kit_send_bytes(flow.from, bytes_of(body, sizeof(body)));
        proxy_kit_send(flow.from, "\r\n");
        (void)proxy_kit_turn(kit, KIT_MS);
    }
    proxy_kit_send(flow.from, "0\r\n\r\n");
    (void)proxy_kit_until(kit, flow.from, "\r\n\r\n");

    /* The second is long: its first bytes ask for a splice, those right behind them exceed the
     * limit and are held. */
    proxy_kit_send(flow.from, "HTTP/1.1 200 OK\r\ncontent-length: 1048576\r\n\r\n");
    (void)flow_push(&flow);
    proxy_kit_settle(kit);
    (void)proxy_kit_until(kit, flow.to, "\r\n0\r\n\r\n");
    (void)proxy_kit_until(kit, flow.to, "\r\n\r\n");
    flow_finish(&flow);
    close(flow.from);
    close(flow.to);
    proxy_kit_free(kit);
}

static void break_off(int fd)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(fd);
}

/* An exchange whose long answer is being spliced: a part of the body is on its way. */
static struct flow in_a_splice(struct proxy_kit *kit)
{
    struct flow flow = {.kit = kit, .size = BULK_SIZE};

    proxy_kit_l7(kit, snapshot_builder_forward(kit->builder, proxy_kit_target(kit, "web", 1)));
    proxy_kit_start(kit);
    flow.to = proxy_kit_client(kit, 0);
    proxy_kit_send(flow.to, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    flow.from = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, flow.from, "\r\n\r\n");
    proxy_kit_send(flow.from, "HTTP/1.1 200 OK\r\ncontent-length: 6291456\r\n\r\n");
    (void)proxy_kit_until(kit, flow.to, "\r\n\r\n");
    while (proxy_kit_worker_stat(kit, ABI_WORKER_SPLICED_BYTES) == 0 && flow.sent < flow.size) {
        (void)flow_push(&flow);
        (void)proxy_kit_turn(kit, KIT_MS);
        (void)flow_pull(&flow, 300000);
    }
    CHECK(flow.sent < flow.size);
    return flow;
}

PROXY_TEST(a_client_that_leaves_a_splice_is_gone)
{
    struct proxy_kit *kit = proxy_kit_new();
    struct flow flow = in_a_splice(kit);
    bool reset = false;

    break_off(flow.to);
    for (int i = 0; i < 50; i++) {
        (void)flow_push(&flow);
        (void)proxy_kit_turn(kit, KIT_MS);
    }
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_CLIENT_GONE), 1);
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_UPSTREAM_RESET), 0);
    (void)proxy_kit_rest(kit, flow.from, &reset); /* nobody wants the rest */
    close(flow.from);
    proxy_kit_settle(kit);
    proxy_kit_free(kit);
}

/* The upstream ends before its length or breaks: the client can tell, and it is told from one that
 * was whole. */
static void check_short(bool broken)
{
    struct proxy_kit *kit = proxy_kit_new();
    struct flow flow = in_a_splice(kit);
    bool reset = false;

    if (broken) {
        break_off(flow.from);
    } else {
        close(flow.from);
    }
    (void)proxy_kit_rest(kit, flow.to, &reset);
    CHECK(reset);
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_UPSTREAM_RESET), 1);
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_CLIENT_GONE), 0);
    close(flow.to);
    proxy_kit_settle(kit);
    proxy_kit_free(kit);
}

PROXY_TEST(a_body_that_ends_early_in_a_splice_is_cut)
{
    check_short(false);
    check_short(true);
}

PROXY_TEST(bytes_behind_a_spliced_body_are_no_answer)
{
    struct proxy_kit *kit = proxy_kit_new();
    struct flow flow = in_a_splice(kit);
    struct bytes answer;
    int up;

    flow_finish(&flow);
    proxy_kit_send(flow.from, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad");
    proxy_kit_settle(kit);
    proxy_kit_send(flow.to, "GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    up = proxy_kit_accept(kit, 0); /* another connection: that one is not trusted any more */
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    answer = proxy_kit_until(kit, flow.to, "\r\n\r\nok");
    CHECK(bytes_has_prefix(answer, BYTES_LITERAL("HTTP/1.1 200 OK\r\n")));
    close(up);
    close(flow.from);
    close(flow.to);
    proxy_kit_free(kit);
}
