/* How many requests a route takes from whom, and how long they may be. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proxy_kit.h"

#define GET  "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define HOUR 3600000000000u

/* A route that answers by itself, so that only the rate is in the way. */
static struct proxy_kit *limited(struct abi_rate rate)
{
    struct proxy_kit *kit = proxy_kit_new();
    struct abi_route route = {.action = ABI_ACTION_RESPOND, .status = 204, .path_dfa = ABI_NONE};
    struct abi_traffic traffic = {.max_body = 0};

    traffic.rates =
        (struct abi_ref){snapshot_builder_add(kit->builder, ABI_SECTION_RATE, &rate), 1};
    route.traffic = snapshot_builder_add(kit->builder, ABI_SECTION_TRAFFIC, &traffic);
    proxy_kit_l7(kit, route);
    proxy_kit_start(kit);
    return kit;
}

static struct bytes ask(struct proxy_kit *kit, int client)
{
    proxy_kit_send(client, GET);
    return proxy_kit_until(kit, client, "\r\n\r\n");
}

static bool is(struct bytes head, const char *status)
{
    char start[32];

    snprintf(start, sizeof(start), "HTTP/1.1 %s ", status);
    return bytes_has_prefix(head, bytes_of(start, strlen(start)));
}

static bool contains(struct bytes in, const char *text)
{
    return memmem(in.ptr, in.len, text, strlen(text)) != NULL;
}

TEST(a_burst_then_429_with_retry_after)
{
    struct proxy_kit *kit = limited((struct abi_rate){.key = 7, .interval_ns = HOUR, .burst = 3});
    int client = proxy_kit_client(kit, 0);
    struct bytes head;

    for (int i = 0; i < 3; i++) {
        CHECK(is(ask(kit, client), "204"));
    }
    head = ask(kit, client);
    CHECK(is(head, "429"));
    CHECK(contains(head, "\r\nretry-after: 3600\r\n"));
    proxy_kit_expect(kit, client, "too many requests\n");
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_RATE_LIMITED), 1);
    close(client);
    client = proxy_kit_client(kit, 0); /* another connection is no other bucket */
    CHECK(is(ask(kit, client), "429"));
    close(client);
    proxy_kit_free(kit);
}

TEST(tokens_come_back_with_time)
{
    struct proxy_kit *kit =
        limited((struct abi_rate){.key = 7, .interval_ns = 1000000000, .burst = 1});
    int client = proxy_kit_client(kit, 0);

    CHECK(is(ask(kit, client), "204"));
    CHECK(contains(ask(kit, client), "\r\nretry-after: 1\r\n"));
    (void)proxy_kit_until(kit, client, "requests\n");
    usleep(1050000);
    CHECK(is(ask(kit, client), "204"));
    close(client);
    proxy_kit_free(kit);
}

TEST(every_connection_has_its_own)
{
    struct proxy_kit *kit = limited(
        (struct abi_rate){.key = 7, .interval_ns = HOUR, .burst = 1, .by = ABI_RATE_CONNECTION});
    int one = proxy_kit_client(kit, 0), two = proxy_kit_client(kit, 0);

    CHECK(is(ask(kit, one), "204"));
    CHECK(is(ask(kit, two), "204"));
    CHECK(is(ask(kit, one), "429"));
    close(one);
    close(two);
    proxy_kit_free(kit);
}

TEST(every_client_has_its_own)
{
    struct proxy_kit *kit = limited(
        (struct abi_rate){.key = 7, .interval_ns = HOUR, .burst = 1, .by = ABI_RATE_CLIENT});
    int one = proxy_kit_client(kit, 0), two = proxy_kit_client(kit, 0);

    CHECK(is(ask(kit, one), "204"));
    CHECK(is(ask(kit, two), "429")); /* the same address */
    close(one);
    close(two);
    proxy_kit_free(kit);
}

TEST(a_bucket_is_shared_by_the_workers)
{
    struct proxy_kit *kit = limited((struct abi_rate){.key = 7, .interval_ns = HOUR, .burst = 2});
    int client = proxy_kit_client(kit, 0);
    struct abi_tally_bucket *buckets = abi_tally_buckets(kit->tally);
    uint32_t used = 0;

    CHECK(is(ask(kit, client), "204"));
    for (uint32_t i = 0; i < LIMIT_BUCKETS; i++) {
        if (buckets[i].key != 0) {
            CHECK_UINT(buckets[i].key, 7);
            buckets[i].full_ns += HOUR; /* another worker took the other one */
            used++;
        }
    }
    CHECK_UINT(used, 1);
    CHECK(is(ask(kit, client), "429"));
    close(client);
    proxy_kit_free(kit);
}

TEST(the_bucket_that_is_full_soonest_gives_way)
{
    struct proxy_kit *kit = limited((struct abi_rate){.key = 7, .interval_ns = HOUR, .burst = 1});
    int client = proxy_kit_client(kit, 0);
    struct abi_tally_bucket *buckets = abi_tally_buckets(kit->tally);
    uint64_t now = ring_now_ns(kit->ring);

    for (uint32_t i = 0; i < LIMIT_BUCKETS; i++) {
        buckets[i] = (struct abi_tally_bucket){.key = 1000 + i, .full_ns = now + HOUR + i};
    }
    CHECK(is(ask(kit, client), "204"));
    CHECK(is(ask(kit, client), "429"));
    for (uint32_t i = 0, gone = 0; i < LIMIT_BUCKETS; i++) {
        gone += buckets[i].key != 1000 + i;
        if (buckets[i].key == 7) {
            CHECK_UINT(i % 8, 0); /* the first of its set was the soonest */
        }
        if (i + 1 == LIMIT_BUCKETS) {
            CHECK_UINT(gone, 1);
        }
    }
    close(client);
    proxy_kit_free(kit);
}

/* --- lengths --- */

static struct proxy_kit *bounded(struct abi_traffic traffic)
{
    struct proxy_kit *kit = proxy_kit_new();
    struct abi_route route =
        snapshot_builder_forward(kit->builder, proxy_kit_target(kit, "web", 1));

    route.traffic = snapshot_builder_add(kit->builder, ABI_SECTION_TRAFFIC, &traffic);
    proxy_kit_l7(kit, route);
    proxy_kit_start(kit);
    return kit;
}

TEST(a_body_announced_too_long_is_413)
{
    struct proxy_kit *kit = bounded((struct abi_traffic){.max_body = 10});
    int client = proxy_kit_client(kit, 0);
    struct bytes head;
    int up;

    proxy_kit_send(client, "POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 11\r\n\r\n");
    head = proxy_kit_until(kit, client, "\r\n\r\n");
    CHECK(is(head, "413"));
    CHECK(contains(head, "connection: close"));
    CHECK(proxy_kit_is_alone(kit, 0));
    close(client);
    client = proxy_kit_client(kit, 0);
    proxy_kit_send(client, "POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 10\r\n\r\n0123456789");
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "0123456789");
    close(up);
    close(client);
    proxy_kit_free(kit);
}

TEST(a_body_that_becomes_too_long_is_413)
{
    struct proxy_kit *kit = bounded((struct abi_traffic){.max_body = 10});
    int client = proxy_kit_client(kit, 0);
    bool reset;
    int up;

    proxy_kit_send(client, "POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n"
                           "6\r\nabcdef\r\n");
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "abcdef\r\n");
    proxy_kit_send(client, "5\r\nghijk\r\n0\r\n\r\n");
    CHECK(is(proxy_kit_until(kit, client, "\r\n\r\n"), "413"));
    CHECK(!contains(proxy_kit_rest(kit, up, &reset), "ghijk")); /* nor an end of the body */
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_TOO_LARGE), 1);
    close(up);
    close(client);
    proxy_kit_free(kit);
}

TEST(a_head_too_long_for_its_route_is_431)
{
    struct proxy_kit *kit = bounded((struct abi_traffic){.max_head = sizeof(GET) - 1});
    int client = proxy_kit_client(kit, 0);
    int up;

    proxy_kit_send(client, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(is(proxy_kit_until(kit, client, "\r\n\r\n"), "431"));
    (void)proxy_kit_until(kit, client, "\n");
    proxy_kit_send(client, GET);
    up = proxy_kit_accept(kit, 0);
    close(up);
    close(client);
    proxy_kit_free(kit);
}
