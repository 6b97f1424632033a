/* Connections that have lasted as long as they may. What a connection is doing when its time is
 * over is made certain by a generation that bounds it then: it is older already. */
#include <string.h>
#include <unistd.h>

#include "proxy_kit.h"

#define PAST_MS 1u   /* over for every connection that is there */
#define LONG_MS 300u /* seen from its beginning */
#define HELD_MS 900u /* ... with time to ask */

static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

static struct proxy_kit *started(enum abi_protocol protocol)
{
    struct proxy_kit *kit = proxy_kit_new();
    uint32_t web = proxy_kit_target(kit, "web", 1);

    if (protocol == ABI_PROTOCOL_TCP) {
        proxy_kit_l4(kit, web);
    } else {
        proxy_kit_l7(kit, snapshot_builder_forward(kit->builder, web));
    }
    proxy_kit_target_record(kit, web)->protocol = (uint8_t)protocol;
    proxy_kit_start(kit);
    return kit;
}

/* A client that has asked; its upstream connection, which has the request. */
static int asked(struct proxy_kit *kit, int client)
{
    int up;

    proxy_kit_send(client, request);
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    return up;
}

static bool has(struct bytes text, const char *part)
{
    return memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

/* So many connections have come to the end of their time, and no more. */
static void check_count(struct proxy_kit *kit, uint64_t count)
{
    uint64_t until_ns = ring_now_ns(kit->ring) + KIT_PATIENT;

    while (proxy_kit_outcome(kit, 0, ABI_OUTCOME_MAX_LIFETIME) < count &&
           ring_now_ns(kit->ring) < until_ns) {
        (void)proxy_kit_turn(kit, KIT_MS);
    }
    proxy_kit_settle(kit);
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_MAX_LIFETIME), count);
}

PROXY_TEST(the_answer_under_way_is_the_last_one)
{
    struct proxy_kit *kit = started(ABI_PROTOCOL_HTTP1);
    int client = proxy_kit_client(kit, 0);
    int up = asked(kit, client);
    struct bytes answer;
    bool reset = false;

    proxy_kit_age(kit, ABI_PROTOCOL_HTTP1, PAST_MS);
    check_count(kit, 1);
    proxy_kit_send(up, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    answer = proxy_kit_rest(kit, client, &reset);
    CHECK(has(answer, "HTTP/1.1 200 OK\r\n") && has(answer, "\r\nconnection: close\r\n"));
    CHECK(has(answer, "\r\n\r\nok"));
    CHECK(!reset);
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_OK), 1);
    close(client);
    close(up);
    proxy_kit_free(kit);
}

/* Its head is with the client: only the end of the connection can say it. */
PROXY_TEST(an_answer_that_has_begun_is_not_cut)
{
    struct proxy_kit *kit = started(ABI_PROTOCOL_HTTP1);
    int client = proxy_kit_client(kit, 0);
    int up = asked(kit, client);
    bool reset = false;

    proxy_kit_send(up, "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nlong");
    (void)proxy_kit_until(kit, client, "long");
    proxy_kit_age(kit, ABI_PROTOCOL_HTTP1, PAST_MS);
    check_count(kit, 1);
    proxy_kit_expect_silence(kit, client);
    proxy_kit_send(up, "er");
    CHECK_TEXT(proxy_kit_rest(kit, client, &reset), "er");
    CHECK(!reset);
    close(client);
    close(up);
    proxy_kit_free(kit);
}

PROXY_TEST(between_two_requests_it_ends_at_once)
{
    struct proxy_kit *kit = started(ABI_PROTOCOL_HTTP1);
    int fresh = proxy_kit_client(kit, 0);
    int client = proxy_kit_client(kit, 0);
    int up = asked(kit, client);

    proxy_kit_send(up, "HTTP/1.1 204 No Content\r\n\r\n");
    (void)proxy_kit_until(kit, client, "\r\n\r\n");
    proxy_kit_age(kit, ABI_PROTOCOL_HTTP1, PAST_MS);
    proxy_kit_expect_end(kit, client);
    proxy_kit_expect_end(kit, fresh); /* one that has not asked at all */
    close(client);
    close(fresh);
    check_count(kit, 2);
    close(up);
    proxy_kit_free(kit);
}

/* A head that is on its way is neither refused nor lost. */
PROXY_TEST(half_a_head_is_waited_for)
{
    struct proxy_kit *kit = started(ABI_PROTOCOL_HTTP1);
    int client = proxy_kit_client(kit, 0);
    bool reset = false;
    int up;

    proxy_kit_send(client, "GET / HTTP/1.1\r\nHo");
    proxy_kit_settle(kit);
    proxy_kit_age(kit, ABI_PROTOCOL_HTTP1, PAST_MS);
    check_count(kit, 0);
    proxy_kit_send(client, "st: a\r\n\r\n");
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    check_count(kit, 1); /* it looks again */
    proxy_kit_send(up, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    CHECK(has(proxy_kit_rest(kit, client, &reset), "\r\nconnection: close\r\n"));
    close(client);
    close(up);
    proxy_kit_free(kit);
}

/* What a lifetime bounds is bounded from its beginning, and on both sides of the proxy. */
PROXY_TEST(new_connections_end_in_the_last_tenth)
{
    struct proxy_kit *kit = started(ABI_PROTOCOL_HTTP1);
    uint64_t began_ns;
    int client;
    int up;

    proxy_kit_age(kit, ABI_PROTOCOL_HTTP1, LONG_MS);
    began_ns = ring_now_ns(kit->ring);
    client = proxy_kit_client(kit, 0);
    proxy_kit_expect_end(kit, client);
    CHECK(ring_now_ns(kit->ring) - began_ns >= (LONG_MS - LONG_MS / 10 - 1) * KIT_MS);
    close(client);

    /* One that its pool keeps goes in the same way, and long before it is idle for too long. */
    proxy_kit_age(kit, ABI_PROTOCOL_HTTP1, HELD_MS);
    began_ns = ring_now_ns(kit->ring);
    client = proxy_kit_client(kit, 0);
    up = asked(kit, client);
    proxy_kit_send(up, "HTTP/1.1 204 No Content\r\n\r\n");
    proxy_kit_expect_end(kit, up);
    CHECK(ring_now_ns(kit->ring) - began_ns >= (HELD_MS - HELD_MS / 10 - 1) * KIT_MS);
    close(up);
    close(client);
    proxy_kit_free(kit);
}

PROXY_TEST(an_upstream_connection_in_use_is_not_kept)
{
    struct proxy_kit *kit = started(ABI_PROTOCOL_HTTP1);
    int client;
    int up;

    proxy_kit_age(kit, ABI_PROTOCOL_HTTP1, HELD_MS);
    client = proxy_kit_client(kit, 0);
    up = asked(kit, client);
    check_count(kit, 1);
    for (uint64_t until_ns = ring_now_ns(kit->ring) + HELD_MS * KIT_MS;
         ring_now_ns(kit->ring) < until_ns;) { /* its own time is over too */
        (void)proxy_kit_turn(kit, KIT_MOMENT);
    }
    proxy_kit_expect_silence(kit, up);
    proxy_kit_send(up, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    (void)proxy_kit_until(kit, client, "connection: close\r\n");
    proxy_kit_expect_end(kit, up);
    CHECK_UINT(proxy_kit_worker_stat(kit, ABI_WORKER_UPSTREAM_IDLE), 0);
    close(up);
    close(client);
    proxy_kit_free(kit);
}

/* When its time is over both sides are reset, since it must not look whole. Ends the test. */
static void check_cut(struct proxy_kit *kit, int client, int up, enum abi_protocol protocol)
{
    bool reset = false;

    proxy_kit_age(kit, protocol, PAST_MS);
    (void)proxy_kit_rest(kit, client, &reset);
    CHECK(reset);
    (void)proxy_kit_rest(kit, up, &reset);
    CHECK(reset);
    close(client);
    close(up);
    check_count(kit, 1);
    proxy_kit_free(kit);
}

PROXY_TEST(streams_of_bytes_are_cut_on_both_sides)
{
    struct proxy_kit *kit = started(ABI_PROTOCOL_TCP);
    int client = proxy_kit_client(kit, 0);
    int up = proxy_kit_accept(kit, 0);

    proxy_kit_send(client, "to the service");
    proxy_kit_expect(kit, up, "to the service");
    check_cut(kit, client, up, ABI_PROTOCOL_TCP);
}

PROXY_TEST(tunnels_are_cut_on_both_sides)
{
    struct proxy_kit *kit = started(ABI_PROTOCOL_HTTP1);
    int client = proxy_kit_client(kit, 0);
    int up;

    proxy_kit_send(client, "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n"
                           "Upgrade: websocket\r\n\r\n");
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                       "Upgrade: websocket\r\n\r\n");
    (void)proxy_kit_until(kit, client, "\r\n\r\n");
    check_cut(kit, client, up, ABI_PROTOCOL_HTTP1);
}

/* A bound that is taken back, or moved away, holds for nobody. */
PROXY_TEST(a_longer_life_is_a_longer_life)
{
    struct proxy_kit *kit = started(ABI_PROTOCOL_TCP);
    int client = proxy_kit_client(kit, 0);
    int up = proxy_kit_accept(kit, 0);
    const uint32_t lives[] = {LONG_MS, 0, LONG_MS * 1000};

    for (uint32_t i = 0; i < 3; i++) {
        proxy_kit_age(kit, ABI_PROTOCOL_TCP, lives[i]);
        proxy_kit_settle(kit);
    }
    if (proxy_kit_outcome(kit, 0, ABI_OUTCOME_MAX_LIFETIME) > 0) {
        cunit_skip("the machine stood still for %u ms", LONG_MS);
    }
    usleep((LONG_MS + 100) * 1000);
    proxy_kit_settle(kit);
    proxy_kit_send(client, "still here");
    proxy_kit_expect(kit, up, "still here");
    close(client);
    close(up);
    check_count(kit, 0);
    proxy_kit_free(kit);
}
