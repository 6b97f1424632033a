/* Calls of gRPC: tried again by what their status says, bounded by their own timeout, and told of
 * failures as they read them. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "retry_kit.h"

#define CALL(fields)                                                                               \
    "POST /a.B/C HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\n" fields                 \
    "Content-Length: 5\r\n\r\nhello"
#define STATUS(code)                                                                               \
    "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ncontent-length: 0\r\n"                   \
    "grpc-status: " code "\r\n\r\n"

static bool has_line(struct bytes head, const char *line)
{
    char text[128];

    snprintf(text, sizeof(text), "\r\n%s\r\n", line);
    return memmem(head.ptr, head.len, text, strlen(text)) != NULL;
}

/* One call that is answered so once; whether it was tried again. */
static bool tries_again(uint32_t retry_on, const char *request, const char *answer)
{
    struct proxy_kit *kit = retry_kit_of(retry_on, 1, (struct abi_traffic){.max_replay = 100});
    int client = proxy_kit_client(kit, 0);
    bool again;

    proxy_kit_send(client, request);
    retry_kit_answer(kit, answer);
    again = abi_stats_target(kit->stats, 0)->counters[ABI_TARGET_RETRIES] > 0;
    if (again) {
        int up = retry_kit_next(kit);

        (void)proxy_kit_until(kit, up, "hello");
        proxy_kit_send(up, STATUS("0"));
        CHECK(has_line(proxy_kit_until(kit, client, "\r\n\r\n"), "grpc-status: 0"));
        close(up);
    }
    close(client);
    proxy_kit_free(kit);
    return again;
}

TEST(a_status_that_is_named_is_a_reason)
{
    static const struct {
        uint32_t condition;
        const char *code;
    } cases[] = {{ABI_RETRY_GRPC_CANCELLED, "1"},
                 {ABI_RETRY_GRPC_DEADLINE, "4"},
                 {ABI_RETRY_GRPC_EXHAUSTED, "8"},
                 {ABI_RETRY_GRPC_INTERNAL, "13"},
                 {ABI_RETRY_GRPC_UNAVAILABLE, "14"}};
    char answer[256];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
            cunit_context("condition %zu, status %s", i, cases[k].code);
            snprintf(answer, sizeof(answer), STATUS("%s"), cases[k].code);
            CHECK(tries_again(cases[i].condition, CALL(""), answer) == (i == k));
        }
    }
}

TEST(what_is_no_status_of_a_call_is_no_reason)
{
    static const char *const others[] = {STATUS("0"),  STATUS("2"),   STATUS("140"), STATUS("-14"),
                                         STATUS("1x"), STATUS("014"), STATUS("")};
    static const char plain[] =
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";
    static const char web[] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc-web\r\n"
                              "Content-Length: 5\r\n\r\nhello";

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        cunit_context("%s", others[i]);
        CHECK(!tries_again(ABI_RETRY_GRPC, CALL(""), others[i]));
    }
    CHECK(!tries_again(ABI_RETRY_GRPC, plain, STATUS("14")));
    CHECK(!tries_again(ABI_RETRY_GRPC, web, STATUS("14")));
    CHECK(!tries_again(ABI_RETRY_5XX, CALL(""), STATUS("14")));
}

/* A call through a route without a healthy upstream, or the like, and the head it gets. */
static struct bytes told(struct proxy_kit *kit, const char *request)
{
    static uint8_t copy[1024];
    int client = proxy_kit_client(kit, 0);
    struct bytes head;

    proxy_kit_send(client, request);
    head = proxy_kit_until(kit, client, "\r\n\r\n");
    CHECK(head.len <= sizeof(copy));
    memcpy(copy, head.ptr, head.len);
    close(client);
    return bytes_of(copy, head.len);
}

PROXY_TEST(a_failure_is_told_by_a_head_alone)
{
    struct proxy_kit *kit = proxy_kit_new();
    uint32_t web = proxy_kit_target(kit, "web", 1);
    struct bytes head;

    proxy_kit_l7(kit, snapshot_builder_forward(kit->builder, web));
    proxy_kit_start(kit);
    abi_overlay_set(kit->overlay, 0, ABI_OVERLAY_DOWN);
    head = told(kit, CALL(""));
    CHECK(bytes_has_prefix(head, BYTES_LITERAL("HTTP/1.1 200 OK\r\n")));
    CHECK(has_line(head, "content-type: application/grpc"));
    CHECK(has_line(head, "grpc-status: 14"));
    CHECK(has_line(head, "grpc-message: no healthy upstream"));
    CHECK(has_line(head, "content-length: 0"));
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_NO_ENDPOINT), 1);
    head = told(kit, "GET / HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\n\r\n");
    CHECK(bytes_has_prefix(head, BYTES_LITERAL("HTTP/1.1 503 ")));
    proxy_kit_free(kit);
}

PROXY_TEST(a_call_that_takes_longer_than_it_says_is_over)
{
    static const char *const calls[] = {CALL("grpc-timeout: 30m\r\n"),
                                        CALL("grpc-timeout: 30000u\r\n"),
                                        CALL("grpc-timeout: 0S\r\n")};

    for (size_t i = 0; i < 3; i++) {
        struct proxy_kit *kit = retry_kit_of(0, 0, (struct abi_traffic){0});
        struct bytes head = told(kit, calls[i]);

        CHECK(has_line(head, "grpc-status: 4"));
        CHECK(has_line(head, "grpc-message: upstream request timeout"));
        CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_REQUEST_TIMEOUT), 1);
        proxy_kit_free(kit);
    }
}

PROXY_TEST(a_timeout_that_cannot_be_read_or_is_no_calls_bounds_nothing)
{
    static const char *const calls[] = {
        CALL("grpc-timeout: 1\r\n"),
        "POST / HTTP/1.1\r\nHost: a\r\ngrpc-timeout: 1m\r\nContent-Length: 5\r\n\r\nhello"};

    for (size_t i = 0; i < 2; i++) {
        struct proxy_kit *kit = retry_kit_of(0, 0, (struct abi_traffic){0});
        int client = proxy_kit_client(kit, 0);
        int up;

        proxy_kit_send(client, calls[i]);
        up = retry_kit_next(kit);
        (void)proxy_kit_until(kit, up, "hello");
        for (int turn = 0; turn < 4; turn++) { /* a bound of 1 ms would have passed */
            usleep(5000);
            proxy_kit_settle(kit);
        }
        proxy_kit_send(up, STATUS("0"));
        CHECK(has_line(proxy_kit_until(kit, client, "\r\n\r\n"), "grpc-status: 0"));
        close(up);
        close(client);
        proxy_kit_free(kit);
    }
}
