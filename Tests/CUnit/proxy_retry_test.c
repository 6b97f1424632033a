/* Second tries after an answer, after silence, and what they may cost. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "retry_kit.h"

#define GET  "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 0\r\n\r\n"
#define BUSY "HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy"
#define OK   "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

static uint64_t target_stat(const struct proxy_kit *kit, enum abi_target_stat stat)
{
    return abi_stats_target(kit->stats, 0)->counters[stat];
}

TEST(an_answer_is_dropped_for_a_better_one)
{
    struct proxy_kit *kit = retry_kit_of(ABI_RETRY_5XX, 1, (struct abi_traffic){0});
    int client = proxy_kit_client(kit, 0);

    proxy_kit_send(client, GET);
    retry_kit_answer(kit, BUSY);
    retry_kit_answer(kit, OK);
    retry_kit_status(kit, client, "200");
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
    struct proxy_kit *kit = retry_kit_of(ABI_RETRY_GATEWAY, 2, (struct abi_traffic){0});
    int client = proxy_kit_client(kit, 0);

    proxy_kit_send(client, GET);
    for (int i = 0; i < 3; i++) { /* both endpoints, and the first one again */
        retry_kit_answer(kit, BUSY);
    }
    retry_kit_status(kit, client, "503");
    proxy_kit_expect(kit, client, "busy");
    CHECK(retry_kit_is_alone(kit));
    close(client);
    proxy_kit_free(kit);
}

TEST(only_the_listed_statuses_are_a_reason)
{
    struct abi_traffic traffic = {.retry_codes = {404, 425}};
    struct proxy_kit *kit = retry_kit_of(ABI_RETRY_CONFLICT, 3, traffic);
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
        retry_kit_answer(kit, text);
        if (cases[i].again) {
            retry_kit_answer(kit, OK);
        }
        retry_kit_status(kit, client, cases[i].again ? "200" : cases[i].status);
        CHECK(retry_kit_is_alone(kit));
        close(client);
        proxy_kit_settle(kit);
    }
    proxy_kit_free(kit);
}

TEST(post_is_tried_again_only_when_asked)
{
    const uint32_t asked[] = {0, ABI_RETRY_ANY_METHOD};

    for (int i = 0; i < 2; i++) {
        struct proxy_kit *kit = retry_kit_of(ABI_RETRY_5XX | asked[i], 1, (struct abi_traffic){0});
        int client = proxy_kit_client(kit, 0);

        proxy_kit_send(client, POST);
        retry_kit_answer(kit, BUSY);
        if (i == 1) {
            retry_kit_answer(kit, OK);
        }
        retry_kit_status(kit, client, i == 1 ? "200" : "503");
        CHECK(retry_kit_is_alone(kit));
        close(client);
        proxy_kit_free(kit);
    }
}

/* A body that comes in two pieces, to an upstream that has no time. */
static void check_body(struct abi_traffic traffic, const char *head, const char *body, bool again)
{
    struct proxy_kit *kit = retry_kit_of(ABI_RETRY_5XX, 1, traffic);
    int client = proxy_kit_client(kit, 0);
    const char *end = strstr(body, "\r\n0\r\n\r\n") == NULL ? body + strlen(body) - 4 : "0\r\n\r\n";
    struct bytes first, second;
    int up;

    proxy_kit_send(client, head);
    up = retry_kit_next(kit);
    first = proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(client, body);
    (void)proxy_kit_until(kit, up, end);
    proxy_kit_send(up, BUSY);
    proxy_kit_settle(kit);
    close(up);
    if (again) {
        up = retry_kit_next(kit);
        second = proxy_kit_until(kit, up, "\r\n\r\n");
        CHECK_UINT(second.len, first.len);
        (void)proxy_kit_until(kit, up, end);
        proxy_kit_send(up, OK);
    }
    retry_kit_status(kit, client, again ? "200" : "503");
    if (again) {
        close(up);
    }
    CHECK(retry_kit_is_alone(kit));
    close(client);
    proxy_kit_free(kit);
}

static const char *body_of(size_t length)
{
    static char body[LIMIT_REPLAY + 2];

    memset(body, 'b', length);
    memcpy(body + length - 4, "last", 5);
    return body;
}

TEST(a_body_that_is_kept_is_sent_again)
{
    static const size_t lengths[] = {4, 1900, 2047, 2048, 16384, 16385, 40000, 65536};
    char head[128];

    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        for (int more = 0; more < 2; more++) {
            struct abi_traffic traffic = {.max_replay = (uint32_t)lengths[i] - (more == 1)};

            cunit_context("%zu bytes, %u kept", lengths[i], traffic.max_replay);
            snprintf(head, sizeof(head), "PUT / HTTP/1.1\r\nHost: a\r\ncontent-length: %zu\r\n\r\n",
                     lengths[i]);
            check_body(traffic, head, body_of(lengths[i]), more == 0);
        }
    }
}

#define CHUNKED "PUT / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n"

TEST(a_body_in_chunks_is_sent_again_without_trailers)
{
    const struct abi_traffic traffic = {.max_replay = 100};
    const struct abi_traffic little = {.max_replay = 7};

    check_body(traffic, CHUNKED, "3\r\nabc\r\n5\r\ndefgh\r\n0\r\n\r\n", true);
    check_body(little, CHUNKED, "3\r\nabc\r\n5\r\ndefgh\r\n0\r\n\r\n", false);
    check_body(traffic, CHUNKED, "3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n", false);
}

TEST(a_silent_try_ends_in_another)
{
    struct abi_traffic traffic = {.try_timeout_ms = 1000};
    struct proxy_kit *kit = retry_kit_of(ABI_RETRY_TIMEOUT, 1, traffic);
    int client = proxy_kit_client(kit, 0);
    int first, second;

    proxy_kit_send(client, GET);
    first = retry_kit_next(kit);
    second = retry_kit_next(kit);
    proxy_kit_send(second, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n");
    retry_kit_status(kit, client, "200");
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
    struct proxy_kit *kit = retry_kit_of(ABI_RETRY_TIMEOUT, 1, traffic);
    int client = proxy_kit_client(kit, 0);
    int first, second;

    proxy_kit_send(client, GET);
    first = retry_kit_next(kit);
    second = retry_kit_next(kit);
    retry_kit_status(kit, client, "504");
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_REQUEST_TIMEOUT), 1);
    close(first);
    close(second);
    close(client);
    proxy_kit_free(kit);
}

TEST(a_pause_stands_before_the_next_try)
{
    struct abi_traffic traffic = {.backoff_ms = 60, .backoff_max_ms = 1000};
    struct proxy_kit *kit = retry_kit_of(ABI_RETRY_5XX, 1, traffic);
    int client = proxy_kit_client(kit, 0);
    uint64_t from, after;

    proxy_kit_send(client, GET);
    retry_kit_answer(kit, BUSY);
    from = ring_now_ns(kit->ring);
    retry_kit_answer(kit, OK);
    after = ring_now_ns(kit->ring);
    CHECK(after - from >= 10 * 1000000u);
    retry_kit_status(kit, client, "200");
    close(client);
    proxy_kit_free(kit);
}

TEST(a_client_that_leaves_in_the_pause_leaves_nothing)
{
    struct abi_traffic traffic = {.backoff_ms = 60000, .backoff_max_ms = 60000};
    struct proxy_kit *kit = retry_kit_of(ABI_RETRY_5XX, 1, traffic);
    int client = proxy_kit_client(kit, 0);
    const struct linger cut = {.l_onoff = 1};

    proxy_kit_send(client, GET);
    retry_kit_answer(kit, BUSY);
    CHECK(setsockopt(client, SOL_SOCKET, SO_LINGER, &cut, sizeof(cut)) == 0);
    close(client);
    proxy_kit_settle(kit);
    CHECK_UINT(proxy_kit_worker_stat(kit, ABI_WORKER_REQUESTS_ACTIVE), 0);
    proxy_kit_free(kit);
}

/* More tries than endpoints that one try may go to: each endpoint has its turn before any has a
 * second one. */
TEST(each_try_goes_to_an_endpoint_of_its_own)
{
    struct abi_traffic traffic = {0};
    struct proxy_kit *kit = proxy_kit_new();
    struct abi_route route =
        snapshot_builder_forward(kit->builder, proxy_kit_target(kit, "web", PROXY_KIT_MAX));
    bool asked[PROXY_KIT_MAX] = {false};
    int client;

    _Static_assert(PROXY_KIT_MAX > LIMIT_DIALS && PROXY_KIT_MAX <= LIMIT_RETRIES, "as promised");
    route.retries = PROXY_KIT_MAX - 1;
    route.retry_on = ABI_RETRY_5XX;
    route.traffic = snapshot_builder_add(kit->builder, ABI_SECTION_TRAFFIC, &traffic);
    proxy_kit_l7(kit, route);
    proxy_kit_start(kit);
    client = proxy_kit_client(kit, 0);
    proxy_kit_send(client, GET);
    for (uint32_t i = 0; i < PROXY_KIT_MAX; i++) {
        int up = retry_kit_next(kit);
        struct sockaddr_in address;
        socklen_t length = sizeof(address);
        uint32_t which = 0;

        CHECK(getsockname(up, (struct sockaddr *)&address, &length) == 0);
        while (which + 1 < PROXY_KIT_MAX && kit->upstream_ports[which] != ntohs(address.sin_port)) {
            which++;
        }
        CHECK(!asked[which]);
        asked[which] = true;
        (void)proxy_kit_until(kit, up, "\r\n\r\n");
        proxy_kit_send(up, BUSY);
        proxy_kit_settle(kit);
        close(up);
    }
    retry_kit_status(kit, client, "503");
    CHECK_UINT(target_stat(kit, ABI_TARGET_REQUESTS), PROXY_KIT_MAX);
    close(client);
    proxy_kit_free(kit);
}

/* Nobody waits for the timeouts of all endpoints there are. */
TEST(one_try_goes_to_a_few_endpoints)
{
    struct proxy_kit *kit = proxy_kit_new();
    struct abi_route route =
        snapshot_builder_forward(kit->builder, proxy_kit_target(kit, "web", PROXY_KIT_MAX));
    int client;

    route.retries = LIMIT_RETRIES;
    route.retry_on = ABI_RETRY_CONNECT;
    proxy_kit_l7(kit, route);
    proxy_kit_start(kit);
    for (uint32_t i = 0; i < PROXY_KIT_MAX; i++) {
        close(kit->upstreams[i]);
        kit->upstreams[i] = -1;
    }
    client = proxy_kit_client(kit, 0);
    proxy_kit_send(client, GET);
    retry_kit_status(kit, client, "502");
    CHECK_UINT(target_stat(kit, ABI_TARGET_CONNECT_FAILURES), LIMIT_DIALS);
    close(client);
    proxy_kit_free(kit);
}

TEST(tries_after_answers_are_paid_for_by_answers)
{
    struct proxy_kit *kit = retry_kit_of(ABI_RETRY_5XX, LIMIT_RETRIES, (struct abi_traffic){0});

    for (int i = 0; i < 100; i++) {
        int client = proxy_kit_client(kit, 0);
        uint8_t first;

        proxy_kit_send(client, GET);
        do {
            retry_kit_answer(kit, BUSY);
        } while (recv(client, &first, 1, MSG_PEEK | MSG_DONTWAIT) != 1);
        retry_kit_status(kit, client, "503");
        close(client);
        proxy_kit_settle(kit);
    }
    /* Ten in advance, then one for every five answers that went down. */
    CHECK(target_stat(kit, ABI_TARGET_REQUESTS) <= 100 + 10 + 100 / 5);
    CHECK(target_stat(kit, ABI_TARGET_REQUESTS) >= 100 + 100 / 5);
    proxy_kit_free(kit);
}

/* 503 with such a Retry-After where pauses are of 0 to 3 s at most: whether, and after how long, it
 * is tried again. 0: it is not. */
static uint64_t waited_ns(const char *retry_after)
{
    const struct abi_traffic traffic = {.backoff_ms = 0, .backoff_max_ms = 3000};
    struct proxy_kit *kit = retry_kit_of(ABI_RETRY_5XX, 1, traffic);
    int client = proxy_kit_client(kit, 0);
    uint64_t from = 0;
    char text[128];

    snprintf(text, sizeof(text),
             "HTTP/1.1 503 Busy\r\nretry-after: %s\r\ncontent-length: 0\r\n\r\n", retry_after);
    proxy_kit_send(client, GET);
    from = ring_now_ns(kit->ring);
    retry_kit_answer(kit, text);
    if (target_stat(kit, ABI_TARGET_RETRIES) == 0) {
        retry_kit_status(kit, client, "503");
        from = 0;
    } else {
        retry_kit_answer(kit, OK);
        from = ring_now_ns(kit->ring) - from;
        retry_kit_status(kit, client, "200");
    }
    close(client);
    proxy_kit_free(kit);
    return from;
}

TEST(an_upstream_says_how_long_it_wants_to_be_left_alone)
{
    CHECK(waited_ns("1") >= 1000 * 1000000ull);
    CHECK(waited_ns("0") > 0);
    CHECK(waited_ns("soon") > 0);
    CHECK(waited_ns("Sun, 06 Nov 1994 08:49:37 GMT") > 0);
    CHECK_UINT(waited_ns("4"), 0);
    CHECK_UINT(waited_ns("99999999999999999999"), 0);
    CHECK_UINT(waited_ns("Fri, 31 Dec 9999 23:59:59 GMT"), 0);
}
