/* Endpoints that fail are left out, not too many of them, and come back. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy_kit.h"

#define GET  "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define BAD  "HTTP/1.1 500 Bad\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
#define AWAY "HTTP/1.1 503 Away\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
#define OK   "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"

static struct proxy_kit *started(struct abi_guard guard, uint32_t endpoints)
{
    struct proxy_kit *kit = proxy_kit_new();
    uint32_t web = proxy_kit_target(kit, "web", endpoints);

    guard.ejected_chance = 100;
    guard.interval_ms = 10000;
    proxy_kit_target_record(kit, web)->guard =
        snapshot_builder_add(kit->builder, ABI_SECTION_GUARD, &guard);
    proxy_kit_l7(kit, snapshot_builder_forward(kit->builder, web));
    proxy_kit_start(kit);
    return kit;
}

static struct abi_tally_endpoint *counted(struct proxy_kit *kit, uint32_t endpoint)
{
    return &abi_tally_endpoints(kit->tally)[endpoint];
}

/* One request; which endpoint it went to. Each answers as `answers` says, in turn by their number.
 */
static uint32_t ask(struct proxy_kit *kit, const char *const *answers)
{
    int client = proxy_kit_client(kit, 0);
    int up = -1;
    uint32_t which = 0;

    proxy_kit_send(client, GET);
    for (int turns = 0; up < 0 && turns < 60000; turns++) {
        (void)proxy_kit_turn(kit, KIT_MS);
        for (which = 0; which < kit->upstream_count; which++) {
            up = accept4(kit->upstreams[which], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (up >= 0) {
                break;
            }
        }
    }
    if (!CHECK(up >= 0)) {
        return ABI_NONE;
    }
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, answers[which]);
    (void)proxy_kit_until(kit, client, "\r\n\r\n");
    close(up);
    close(client);
    proxy_kit_settle(kit);
    return which;
}

/* A set of the endpoints that so many requests went to. */
static uint32_t asked(struct proxy_kit *kit, const char *const *answers, int requests)
{
    uint32_t set = 0;

    for (int i = 0; i < requests; i++) {
        set |= 1u << ask(kit, answers);
    }
    return set;
}

TEST(who_fails_in_a_row_is_left_out)
{
    static const char *const answers[] = {OK, BAD};
    struct abi_guard guard = {.failures = 3, .ejection_ms = 2000, .ejection_max_ms = 2000};
    struct proxy_kit *kit = started(guard, 2);

    CHECK_UINT(asked(kit, answers, 5), 3);
    CHECK_UINT(counted(kit, 1)->failures, 2);
    CHECK_UINT(asked(kit, answers, 1), 2);
    CHECK(counted(kit, 1)->ejected_until_ms > kit->proxy->now_ms);
    CHECK_UINT(asked(kit, answers, 6), 1);
    CHECK_UINT(abi_stats_target(kit->stats, 0)->counters[ABI_TARGET_EJECTIONS], 1);
    usleep(2010000);
    CHECK_UINT(asked(kit, answers, 4), 3); /* its time is over */
    proxy_kit_free(kit);
}

TEST(an_answer_breaks_the_row)
{
    static const char *const bad[] = {BAD}, *const ok[] = {OK};
    struct abi_guard guard = {.failures = 3, .ejection_ms = 60000, .ejection_max_ms = 60000};
    struct proxy_kit *kit = started(guard, 1);

    for (int i = 0; i < 3; i++) {
        (void)asked(kit, bad, 2);
        CHECK_UINT(counted(kit, 0)->failures, 2);
        (void)asked(kit, ok, 1);
        CHECK_UINT(counted(kit, 0)->failures, 0);
    }
    CHECK_UINT(counted(kit, 0)->ejections, 0);
    proxy_kit_free(kit);
}

TEST(gateway_failures_are_a_row_of_their_own)
{
    static const char *const bad[] = {BAD, OK}, *const away[] = {AWAY, OK};
    struct abi_guard guard = {
        .gateway_failures = 2, .ejection_ms = 60000, .ejection_max_ms = 60000};
    struct proxy_kit *kit = started(guard, 2);

    (void)asked(kit, bad, 10);
    (void)asked(kit, away, 2);
    CHECK_UINT(counted(kit, 0)->gateway_failures, 1);
    (void)asked(kit, bad, 2);
    CHECK_UINT(counted(kit, 0)->gateway_failures, 0);
    CHECK_UINT(counted(kit, 0)->ejections, 0);
    (void)asked(kit, away, 4);
    CHECK_UINT(counted(kit, 0)->ejections, 1);
    CHECK_UINT(asked(kit, away, 4), 2);
    proxy_kit_free(kit);
}

TEST(not_more_than_a_share_is_left_out)
{
    static const char *const answers[] = {BAD, BAD, BAD, OK};
    struct abi_guard guard = {
        .failures = 1, .ejection_ms = 60000, .ejection_max_ms = 60000, .ejected_most = 50};
    struct proxy_kit *kit = started(guard, 4);
    uint32_t ejected = 0;

    (void)asked(kit, answers, 12);
    for (uint32_t i = 0; i < 4; i++) {
        ejected += counted(kit, i)->ejected_until_ms > 0;
    }
    CHECK_UINT(ejected, 2);
    proxy_kit_free(kit);
}

TEST(one_may_always_be_left_out_and_all_are_better_than_none)
{
    static const char *const answers[] = {BAD};
    struct abi_guard guard = {.failures = 1, .ejection_ms = 60000, .ejection_max_ms = 60000};
    struct proxy_kit *kit = started(guard, 1);

    CHECK_UINT(asked(kit, answers, 3), 1);
    CHECK(counted(kit, 0)->ejected_until_ms > 0);
    CHECK_UINT(counted(kit, 0)->ejections, 1);
    proxy_kit_free(kit);
}

TEST(who_fails_again_is_left_out_longer)
{
    static const char *const answers[] = {BAD};
    struct abi_guard guard = {.failures = 1, .ejection_ms = 40000, .ejection_max_ms = 100000};
    struct proxy_kit *kit = started(guard, 1);
    const uint64_t longer[] = {40000, 80000, 100000, 100000};

    for (size_t i = 0; i < sizeof(longer) / sizeof(longer[0]); i++) {
        uint64_t length;

        (void)asked(kit, answers, 1);
        length = counted(kit, 0)->ejected_until_ms - kit->proxy->now_ms;
        CHECK(length <= longer[i]);
        CHECK(length + 15000 > longer[i]);
        CHECK_UINT(counted(kit, 0)->ejections, i + 1);
        counted(kit, 0)->ejected_until_ms = kit->proxy->now_ms; /* over */
    }
    counted(kit, 0)->ejected_until_ms = kit->proxy->now_ms - 35000; /* three are forgiven */
    (void)asked(kit, answers, 1);
    CHECK_UINT(counted(kit, 0)->ejections, 2);
    proxy_kit_free(kit);
}

TEST(what_was_counted_for_another_endpoint_does_not_count)
{
    static const char *const answers[] = {OK, OK};
    struct abi_guard guard = {.failures = 3, .ejection_ms = 60000, .ejection_max_ms = 60000};
    struct proxy_kit *kit = started(guard, 2);

    *counted(kit, 0) =
        (struct abi_tally_endpoint){.key = 77, .ejected_until_ms = UINT64_MAX, .failures = 2};
    CHECK_UINT(asked(kit, answers, 4), 3);
    CHECK(counted(kit, 0)->key != 77);
    CHECK_UINT(counted(kit, 0)->ejected_until_ms, 0);
    CHECK_UINT(counted(kit, 0)->failures, 0);
    proxy_kit_free(kit);
}

TEST(who_refuses_connections_is_left_out)
{
    static const char *const answers[] = {OK, OK};
    struct abi_guard guard = {.failures = 2, .ejection_ms = 60000, .ejection_max_ms = 60000};
    struct proxy_kit *kit = started(guard, 2);

    close(kit->upstreams[0]);
    kit->upstreams[0] = -1;
    CHECK_UINT(asked(kit, answers, 6), 2);
    CHECK_UINT(counted(kit, 0)->ejections, 1);
    CHECK_UINT(abi_stats_target(kit->stats, 0)->counters[ABI_TARGET_CONNECT_FAILURES], 2);
    proxy_kit_free(kit);
}
