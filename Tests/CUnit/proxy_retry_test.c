/* Second tries after an answer, after silence, and what they may cost. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy_kit.h"

#define GET  "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 0\r\n\r\n"
#define BUSY "HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy"
#define OK   "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

static struct proxy_kit *started(uint32_t retry_on, uint32_t retries, struct abi_traffic traffic)
{
    struct proxy_kit *kit = proxy_kit_new();
    struct abi_route route =
        snapshot_builder_forward(kit->builder, proxy_kit_target(kit, "web", 2));

    route.retries = retries;
    route.retry_on = retry_on;
    route.traffic = snapshot_builder_add(kit->builder, ABI_SECTION_TRAFFIC, &traffic);
    proxy_kit_l7(kit, route);
    proxy_kit_start(kit);
    return kit;
}

/* The upstream that is connected to next, whichever it is. */
static int next_upstream(struct proxy_kit *kit)
{
    for (int turns = 0; turns < 60000; turns++) {
        for (uint32_t i = 0; i < kit->upstream_count; i++) {
            int fd = accept4(kit->upstreams[i], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

            if (fd >= 0) {
                return fd;
            }
        }
        (void)proxy_kit_turn(kit, KIT_MS);
    }
    CHECK(false);
    return -1;
}

static bool nobody_asks(struct proxy_kit *kit)
{
    return proxy_kit_is_alone(kit, 0) && proxy_kit_is_alone(kit, 1);
}

/* One try that is answered so. */
static void answer(struct proxy_kit *kit, const char *text)
{
    int up = next_upstream(kit);

    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, text);
    proxy_kit_settle(kit);
    close(up);
}

static uint64_t target_stat(const struct proxy_kit *kit, enum abi_target_stat stat)
{
    return abi_stats_target(kit->stats, 0)->counters[stat];
}

static void check_status(struct proxy_kit *kit, int client, const char *status)
{
    char start[32];
    struct bytes head = proxy_kit_until(kit, client, "\r\n\r\n");

    snprintf(start, sizeof(start), "HTTP/1.1 %s ", status);
    CHECK(bytes_has_prefix(head, bytes_of(start, strlen(start))));
}

TEST(an_answer_is_dropped_for_a_better_one)
{
    struct proxy_kit *kit = started(ABI_RETRY_5XX, 1, (struct abi_traffic){0});
    int client = proxy_kit_client(kit, 0);

    proxy_kit_send(client, GET);
    answer(kit, BUSY);
    answer(kit, OK);
    check_status(kit, client, "200");
    CHECK_UINT(target_stat(kit, ABI_TARGET_RETRIES), 1);
    CHECK_UINT(target_stat(kit, ABI_TARGET_REQUESTS), 2);
    CHECK_UINT(target_stat(kit, ABI_TARGET_CODE_5XX), 1);
    CHECK_UINT(target_stat(kit, ABI_TARGET_CODE_2XX), 1);
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_OK), 1);
    close(client);
    proxy_kit_free(kit);
}

TEST(the_last_answer_is_passed_on)
{
    struct proxy_kit *kit = started(ABI_RETRY_GATEWAY, 2, (struct abi_traffic){0});
    int client = proxy_kit_client(kit, 0);

    proxy_kit_send(client, GET);
    for (int i = 0; i < 3; i++) { /* both endpoints, and the first one again */
        answer(kit, BUSY);
    }
    check_status(kit, client, "503");
    proxy_kit_expect(kit, client, "busy");
    CHECK(nobody_asks(kit));
    close(client);
    proxy_kit_free(kit);
}

TEST(only_the_listed_statuses_are_a_reason)
{
    struct abi_traffic traffic = {.retry_codes = {404, 425}};
    struct proxy_kit *kit = started(ABI_RETRY_CONFLICT, 3, traffic);
    const struct {
        const char *status;
        bool again;
    } cases[] = {{"200", false}, {"403", false}, {"404", true},  {"405", false}, {"409", true},
                 {"424", false}, {"425", true},  {"426", false}, {"429", false}, {"503", false}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int client = proxy_kit_client(kit, 0);
        char text[80];

        cunit_context("%s", cases[i].status);
        snprintf(text, sizeof(text), "HTTP/1.1 %s X\r\ncontent-length: 0\r\n\r\n", cases[i].status);
        proxy_kit_send(client, GET);
        answer(kit, text);
        if (cases[i].again) {
            answer(kit, OK);
        }
        check_status(kit, client, cases[i].again ? "200" : cases[i].status);
        CHECK(nobody_asks(kit));
        close(client);
        proxy_kit_settle(kit);
    }
    proxy_kit_free(kit);
}

TEST(post_is_tried_again_only_when_asked)
{
    const uint32_t asked[] = {0, ABI_RETRY_ANY_METHOD};

    for (int i = 0; i < 2; i++) {
        struct proxy_kit *kit = started(ABI_RETRY_5XX | asked[i], 1, (struct abi_traffic){0});
        int client = proxy_kit_client(kit, 0);

        proxy_kit_send(client, POST);
        answer(kit, BUSY);
        if (i == 1) {
            answer(kit, OK);
        }
        check_status(kit, client, i == 1 ? "200" : "503");
        CHECK(nobody_asks(kit));
        close(client);
        proxy_kit_free(kit);
    }
}

TEST(a_body_is_never_sent_twice)
{
    struct proxy_kit *kit =
        started(ABI_RETRY_5XX | ABI_RETRY_ANY_METHOD, 1, (struct abi_traffic){0});
    int client = proxy_kit_client(kit, 0);

    proxy_kit_send(client, "PUT / HTTP/1.1\r\nHost: a\r\ncontent-length: 4\r\n\r\nbody");
    answer(kit, BUSY);
    check_status(kit, client, "503");
    CHECK(nobody_asks(kit));
    close(client);
    proxy_kit_free(kit);
}

TEST(a_silent_try_ends_in_another)
{
    struct abi_traffic traffic = {.try_timeout_ms = 1000};
    struct proxy_kit *kit = started(ABI_RETRY_TIMEOUT, 1, traffic);
    int client = proxy_kit_client(kit, 0);
    int first, second;

    proxy_kit_send(client, GET);
    first = next_upstream(kit);
    second = next_upstream(kit);
    proxy_kit_send(second, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n");
    check_status(kit, client, "200");
    for (int i = 0; i < 110; i++) { /* the time is the head's, not the body's */
        usleep(10000);
        proxy_kit_settle(kit);
    }
    proxy_kit_send(second, "ok");
    proxy_kit_expect(kit, client, "ok");
    close(first);
    close(second);
    close(client);
    proxy_kit_free(kit);
}

TEST(silence_without_tries_left_is_504)
{
    struct abi_traffic traffic = {.try_timeout_ms = 30};
    struct proxy_kit *kit = started(ABI_RETRY_TIMEOUT, 1, traffic);
    int client = proxy_kit_client(kit, 0);
    int first, second;

    proxy_kit_send(client, GET);
    first = next_upstream(kit);
    second = next_upstream(kit);
    check_status(kit, client, "504");
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_REQUEST_TIMEOUT), 1);
    close(first);
    close(second);
    close(client);
    proxy_kit_free(kit);
}

TEST(a_pause_stands_before_the_next_try)
{
    struct abi_traffic traffic = {.backoff_ms = 60, .backoff_max_ms = 1000};
    struct proxy_kit *kit = started(ABI_RETRY_5XX, 1, traffic);
    int client = proxy_kit_client(kit, 0);
    uint64_t from, after;

    proxy_kit_send(client, GET);
    answer(kit, BUSY);
    from = ring_now_ns(kit->ring);
    answer(kit, OK);
    after = ring_now_ns(kit->ring);
    CHECK(after - from >= 10 * 1000000u);
    check_status(kit, client, "200");
    close(client);
    proxy_kit_free(kit);
}

TEST(a_client_that_leaves_in_the_pause_leaves_nothing)
{
    struct abi_traffic traffic = {.backoff_ms = 60000, .backoff_max_ms = 60000};
    struct proxy_kit *kit = started(ABI_RETRY_5XX, 1, traffic);
    int client = proxy_kit_client(kit, 0);
    const struct linger cut = {.l_onoff = 1};

    proxy_kit_send(client, GET);
    answer(kit, BUSY);
    CHECK(setsockopt(client, SOL_SOCKET, SO_LINGER, &cut, sizeof(cut)) == 0);
    close(client);
    proxy_kit_settle(kit);
    CHECK_UINT(proxy_kit_worker_stat(kit, ABI_WORKER_REQUESTS_ACTIVE), 0);
    proxy_kit_free(kit);
}

TEST(tries_after_answers_are_paid_for_by_answers)
{
    struct proxy_kit *kit = started(ABI_RETRY_5XX, LIMIT_RETRIES, (struct abi_traffic){0});

    for (int i = 0; i < 100; i++) {
        int client = proxy_kit_client(kit, 0);
        uint8_t first;

        proxy_kit_send(client, GET);
        do {
            answer(kit, BUSY);
        } while (recv(client, &first, 1, MSG_PEEK | MSG_DONTWAIT) != 1);
        check_status(kit, client, "503");
        close(client);
        proxy_kit_settle(kit);
    }
    /* Ten in advance, then one for every five answers that went down. */
    CHECK(target_stat(kit, ABI_TARGET_REQUESTS) <= 100 + 10 + 100 / 5);
    CHECK(target_stat(kit, ABI_TARGET_REQUESTS) >= 100 + 100 / 5);
    proxy_kit_free(kit);
}
