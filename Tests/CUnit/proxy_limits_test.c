/* Bounds of what goes to a target: refused, kept waiting, counted with the other workers. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy_kit.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK  "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

static struct proxy_kit *started(struct abi_guard guard, uint32_t endpoints)
{
    struct proxy_kit *kit = proxy_kit_new();
    uint32_t web = proxy_kit_target(kit, "web", endpoints);
    uint32_t index = snapshot_builder_add(kit->builder, ABI_SECTION_GUARD, &guard);

    proxy_kit_target_record(kit, web)->guard = index;
    proxy_kit_target_record(kit, web)->connect_timeout_ms = 200;
    proxy_kit_l7(kit, snapshot_builder_forward(kit->builder, web));
    proxy_kit_l4(kit, web);
    proxy_kit_start(kit);
    return kit;
}

static uint64_t sum(struct proxy_kit *kit, enum abi_tally_gauge gauge)
{
    return abi_tally_sum(kit->tally, 0, gauge);
}

static void finished(struct proxy_kit *kit)
{
    struct abi_tally *tally = kit->tally;

    proxy_drain(kit->proxy, 0);
    for (int turns = 0; turns < 1000 && !proxy_is_drained(kit->proxy); turns++) {
        (void)proxy_kit_turn(kit, KIT_MS);
    }
    for (uint32_t gauge = 0; gauge < ABI_TALLY_GAUGE_COUNT; gauge++) {
        CHECK_UINT(*abi_tally_row(tally, 0, (enum abi_tally_gauge)gauge), 0);
    }
    proxy_kit_free(kit);
}

static int asking(struct proxy_kit *kit)
{
    int client = proxy_kit_client(kit, 0);

    proxy_kit_send(client, GET);
    proxy_kit_settle(kit);
    return client;
}

static void check_status(struct proxy_kit *kit, int client, const char *status)
{
    char start[32];
    struct bytes head = proxy_kit_until(kit, client, "\r\n\r\n");

    snprintf(start, sizeof(start), "HTTP/1.1 %s ", status);
    CHECK(bytes_has_prefix(head, bytes_of(start, strlen(start))));
}

TEST(requests_beyond_the_bound_are_refused)
{
    struct proxy_kit *kit = started((struct abi_guard){.max_requests = 2}, 1);
    int one = asking(kit), two = asking(kit), three = asking(kit);
    int up = proxy_kit_accept(kit, 0);

    check_status(kit, three, "503");
    proxy_kit_expect(kit, three, "upstream has reached its limit\n");
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_UPSTREAM_LIMIT), 1);
    CHECK_UINT(sum(kit, ABI_TALLY_REQUESTS), 2);
    proxy_kit_send(up, OK);
    proxy_kit_settle(kit);
    CHECK_UINT(sum(kit, ABI_TALLY_REQUESTS), 1);
    proxy_kit_send(three, GET); /* there is room again */
    proxy_kit_settle(kit);
    CHECK_UINT(sum(kit, ABI_TALLY_REQUESTS), 2);
    close(one);
    close(two);
    close(three);
    close(up);
    finished(kit);
}

TEST(the_bound_is_the_nodes)
{
    struct proxy_kit *kit = started((struct abi_guard){.max_requests = 2}, 1);
    uint32_t *other = abi_tally_row(kit->tally, 0, ABI_TALLY_REQUESTS) + 1;
    int one, two;

    *other = 1;
    one = asking(kit);
    two = asking(kit);
    check_status(kit, two, "503");
    *other = 0; /* the other worker's has ended */
    proxy_kit_send(two, GET);
    proxy_kit_settle(kit);
    CHECK_UINT(sum(kit, ABI_TALLY_REQUESTS), 2);
    close(one);
    close(two);
    finished(kit);
}

TEST(who_finds_no_connection_waits_for_one)
{
    struct proxy_kit *kit = started((struct abi_guard){.max_connections = 1}, 1);
    int one = asking(kit), two = asking(kit);
    int up = proxy_kit_accept(kit, 0);

    proxy_kit_expect(kit, up, "GET / HTTP/1.1\r\n");
    CHECK(proxy_kit_is_alone(kit, 0));
    CHECK_UINT(sum(kit, ABI_TALLY_CONNECTIONS), 1);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, OK);
    check_status(kit, one, "200");
    (void)proxy_kit_until(kit, up, "\r\n\r\n"); /* the other, on the same connection */
    proxy_kit_send(up, OK);
    check_status(kit, two, "200");
    CHECK_UINT(sum(kit, ABI_TALLY_CONNECTIONS), 1); /* idle */
    close(one);
    close(two);
    close(up);
    finished(kit);
}

TEST(the_wait_has_an_end)
{
    struct proxy_kit *kit = started((struct abi_guard){.max_connections = 1}, 1);
    int one = asking(kit), two = asking(kit);

    check_status(kit, two, "503"); /* after the connect timeout */
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_UPSTREAM_LIMIT), 1);
    close(one);
    close(two);
    finished(kit);
}

TEST(too_many_that_wait_are_refused)
{
    struct proxy_kit *kit = started((struct abi_guard){.max_connections = 1, .max_pending = 1}, 1);
    int one = asking(kit);
    int up = proxy_kit_accept(kit, 0);
    int two, three;

    proxy_kit_settle(kit);
    two = asking(kit);
    CHECK_UINT(sum(kit, ABI_TALLY_PENDING), 1);
    three = asking(kit);
    check_status(kit, three, "503");
    CHECK_UINT(sum(kit, ABI_TALLY_PENDING), 1);
    close(two); /* leaves the line */
    proxy_kit_settle(kit);
    CHECK_UINT(sum(kit, ABI_TALLY_PENDING), 1); /* half-closed: its answer is still wanted */
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, OK);
    check_status(kit, one, "200");
    proxy_kit_settle(kit);
    CHECK_UINT(sum(kit, ABI_TALLY_PENDING), 0);
    close(one);
    close(three);
    close(up);
    finished(kit);
}

TEST(a_client_that_is_cut_leaves_the_line)
{
    struct proxy_kit *kit = started((struct abi_guard){.max_connections = 1}, 1);
    const struct linger cut = {.l_onoff = 1};
    int one = asking(kit), two = asking(kit);

    CHECK(setsockopt(two, SOL_SOCKET, SO_LINGER, &cut, sizeof(cut)) == 0);
    close(two);
    proxy_kit_settle(kit);
    CHECK_UINT(proxy_kit_worker_stat(kit, ABI_WORKER_REQUESTS_ACTIVE), 1);
    CHECK(list_is_empty(&kit->proxy->queue));
    close(one);
    finished(kit);
}

TEST(an_idle_connection_gives_way)
{
    struct proxy_kit *kit = started((struct abi_guard){.max_connections = 1}, 2);
    int client = proxy_kit_client(kit, 0);

    for (int round = 0; round < 4; round++) { /* in turn to both */
        int up;

        proxy_kit_send(client, GET);
        up = proxy_kit_accept(kit, (uint32_t)round % 2);
        (void)proxy_kit_until(kit, up, "\r\n\r\n");
        proxy_kit_send(up, OK);
        check_status(kit, client, "200");
        (void)proxy_kit_until(kit, client, "ok");
        proxy_kit_settle(kit);
        CHECK_UINT(sum(kit, ABI_TALLY_CONNECTIONS), 1);
        close(up);
    }
    close(client);
    finished(kit);
}

TEST(streams_are_refused_at_once)
{
    struct proxy_kit *kit = started((struct abi_guard){.max_connections = 1}, 1);
    int one = proxy_kit_client(kit, 1);
    int up = proxy_kit_accept(kit, 0);
    int two = proxy_kit_client(kit, 1);
    bool reset;

    (void)proxy_kit_rest(kit, two, &reset);
    CHECK_UINT(proxy_kit_outcome(kit, 1, ABI_OUTCOME_UPSTREAM_LIMIT), 1);
    proxy_kit_send(one, "hello");
    proxy_kit_expect(kit, up, "hello");
    close(one);
    close(two);
    close(up);
    finished(kit);
}

TEST(another_worker_gets_an_idle_connection)
{
    struct proxy_kit *kit = started((struct abi_guard){.max_connections = 1}, 1);
    int client = asking(kit);
    int up = proxy_kit_accept(kit, 0);

    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, OK);
    check_status(kit, client, "200");
    proxy_kit_settle(kit);
    CHECK_UINT(sum(kit, ABI_TALLY_CONNECTIONS), 1);
    for (int i = 0; i < 100 && sum(kit, ABI_TALLY_CONNECTIONS) > 0; i++) {
        abi_tally_target(kit->tally, 0)->wanted_by = 2;
        abi_tally_target(kit->tally, 0)->wanted_ms = ring_now_ns(kit->ring) / 1000000u;
        usleep(10000);
        proxy_kit_settle(kit);
    }
    CHECK_UINT(sum(kit, ABI_TALLY_CONNECTIONS), 0);
    proxy_kit_expect_end(kit, up);
    close(client);
    close(up);
    finished(kit);
}
