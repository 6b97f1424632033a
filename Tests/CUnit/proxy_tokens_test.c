/* Requests that wait for the verdict on a token. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proxy/tokens.h"
#include "proxy_kit.h"
#include "tls/tls.h"

#define GET(token) "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " token "\r\n\r\n"

#define NOMINATED                                                                                  \
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: authorization\r\n"                                   \
    "Authorization: Bearer a.b.c\r\n\r\n"

static uint32_t asked;    /* questions so far */
static bool takes = true; /* whether they are taken */
static struct abi_token_question question;
static char token[64]; /* of the newest */

static bool on_ask(void *context, const struct abi_token_question *newest)
{
    (void)context;
    question = *newest;
    snprintf(token, sizeof(token), "%.*s", (int)newest->length, (const char *)(newest + 1));
    asked++;
    return takes;
}

/* A policy that allows those with a token whose question is 7. */
static uint32_t asking(struct proxy_kit *kit)
{
    struct snapshot_builder *b = kit->builder;
    struct abi_permission permission = {
        .action = ABI_INTENTION_ALLOW, .path_dfa = ABI_NONE, .token = 1};
    struct abi_token_place place = {.where = ABI_TOKEN_HEADER};
    struct abi_token_check check = {.key = 7, .places = {0, 1}};
    struct abi_token needed = {.checks = {0, 1}};
    uint32_t policy = snapshot_builder_policy(b, "a", NULL, 0, "*");
    struct abi_policy *record = snapshot_builder_record(b, ABI_SECTION_POLICY, policy);
    struct abi_intention *intention =
        snapshot_builder_record(b, ABI_SECTION_INTENTION, record->fallback);

    record->tokens = 1;
    record->default_action = ABI_INTENTION_DENY;
    permission.methods = ABI_METHODS_ALL;
    intention->action = ABI_INTENTION_PERMISSIONS;
    intention->permissions =
        (struct abi_ref){snapshot_builder_add(b, ABI_SECTION_PERMISSION, &permission), 1};
    place.name = snapshot_builder_text(b, "authorization");
    place.prefix = snapshot_builder_text(b, "Bearer ");
    snapshot_builder_add(b, ABI_SECTION_TOKEN_PLACE, &place);
    snapshot_builder_add(b, ABI_SECTION_TOKEN_CHECK, &check);
    snapshot_builder_add(b, ABI_SECTION_TOKEN, &needed);
    kit->ask = on_ask;
    asked = 0;
    takes = true;
    return policy;
}

/* A route that answers by itself, for those with a token. */
static struct proxy_kit *guarded(void)
{
    struct proxy_kit *kit = proxy_kit_new();
    struct abi_route route = {
        .action = ABI_ACTION_RESPOND, .status = 204, .path_dfa = ABI_NONE, .traffic = ABI_NONE};

    proxy_kit_l7(kit, route);
    proxy_kit_listener(kit, 0)->policy = asking(kit);
    proxy_kit_start(kit);
    return kit;
}

/* Calls of upstream 0 by a service of the mesh, copied to upstream 1, which asks for a token. */
static struct proxy_kit *copying(void)
{
    struct proxy_kit *kit = proxy_kit_new();
    struct snapshot_builder *b = kit->builder;
    uint32_t web = proxy_kit_target(kit, "web", 1), shadow = proxy_kit_target(kit, "shadow", 1);
    struct abi_traffic traffic = {.mirror_target = shadow, .mirror_share = ABI_SPLIT_TOTAL};
    struct abi_route route = snapshot_builder_forward(b, web);
    struct abi_identity identity = {.secret = 1,
                                    .service = snapshot_builder_text(b, "api"),
                                    .spiffe_id = snapshot_builder_text(b, "spiffe://a/api")};

    route.traffic = snapshot_builder_add(b, ABI_SECTION_TRAFFIC, &traffic);
    proxy_kit_target_record(kit, shadow)->policy = asking(kit);
    proxy_kit_l7(kit, route);
    proxy_kit_listener(kit, 0)->identity = snapshot_builder_add(b, ABI_SECTION_IDENTITY, &identity);
    proxy_kit_listener(kit, 0)->flags = ABI_LISTENER_MESH_OUTBOUND;
    proxy_kit_start(kit);
    return kit;
}

static void say(struct proxy_kit *kit, bool held, uint32_t life_ms)
{
    const struct abi_token_verdict verdict = {.magic = ABI_TOKENS_MAGIC,
                                              .held = held ? 1 : 0,
                                              .id = question.id,
                                              .check = question.check,
                                              .life_ms = life_ms};

    proxy_take_verdict(kit->proxy, &verdict);
}

/* Turns until so many questions were asked. */
static void until_asked(struct proxy_kit *kit, uint32_t count)
{
    uint64_t end = ring_now_ns(kit->ring) + KIT_PATIENT;

    while (asked < count && ring_now_ns(kit->ring) < end) {
        proxy_kit_busy_turn(kit);
    }
    CHECK_UINT(asked, count);
}

static bool is(struct bytes head, const char *status)
{
    char start[32];

    snprintf(start, sizeof(start), "HTTP/1.1 %s ", status);
    return bytes_has_prefix(head, bytes_of(start, strlen(start)));
}

PROXY_TEST(a_token_is_asked_about_once)
{
    struct proxy_kit *kit = guarded();
    int client = proxy_kit_client(kit, 0);

    proxy_kit_send(client, GET("a.b.c"));
    until_asked(kit, 1);
    CHECK_UINT(question.magic, ABI_TOKENS_MAGIC);
    CHECK_UINT(question.check, 7);
    CHECK(strcmp(token, "a.b.c") == 0);
    say(kit, true, 60000);
    CHECK(is(proxy_kit_until(kit, client, "\r\n\r\n"), "204"));
    for (int i = 0; i < 3; i++) {
        proxy_kit_send(client, GET("a.b.c"));
        CHECK(is(proxy_kit_until(kit, client, "\r\n\r\n"), "204"));
    }
    CHECK_UINT(asked, 1);
    proxy_kit_send(client, GET("a.b.d"));
    until_asked(kit, 2);
    say(kit, false, 60000);
    CHECK(is(proxy_kit_until(kit, client, "denied by intention\n"), "403"));
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_DENIED), 1);
    close(client);
    proxy_kit_free(kit);
}

/* What is no token, nobody is asked about. */
PROXY_TEST(what_is_no_token_is_none)
{
    struct proxy_kit *kit = guarded();
    const char *const requests[] = {
        GET("a.b"),    GET("a.b.c.d"), GET("a..c"),
        GET("a.b=.c"), GET(""),        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        NOMINATED,
    };

    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        int client = proxy_kit_client(kit, 0);

        cunit_context("request %zu", i);
        proxy_kit_send(client, requests[i]);
        CHECK(is(proxy_kit_until(kit, client, "denied by intention\n"), "403"));
        close(client);
    }
    CHECK_UINT(asked, 0);
    proxy_kit_free(kit);
}

/* A buffer is used again: another token of the same length is another one, wherever it stands. */
PROXY_TEST(a_token_is_its_bytes_not_their_place)
{
    struct proxy_kit *kit = guarded();
    int client = proxy_kit_client(kit, 0);
    uint8_t text[] = "a.b.c";
    struct bytes one = bytes_of(text, 5);

    proxy_kit_send(client, GET("a.b.c"));
    until_asked(kit, 1);
    say(kit, true, 60000);
    CHECK(is(proxy_kit_until(kit, client, "\r\n\r\n"), "204"));
    CHECK_UINT(tokens_judge(kit->proxy, 0, one), ROUTE_TOKEN_HOLDS);
    for (size_t i = 0; i < 5; i += 2) {
        text[i]++;
        CHECK_UINT(tokens_judge(kit->proxy, 0, one), ROUTE_TOKEN_UNKNOWN);
        text[i]--;
        CHECK_UINT(tokens_judge(kit->proxy, 0, one), ROUTE_TOKEN_HOLDS);
    }
    CHECK_UINT(tokens_judge(kit->proxy, 0, BYTES_LITERAL("a.b.c1")), ROUTE_TOKEN_UNKNOWN);
    CHECK_UINT(tokens_judge(kit->proxy, 0, BYTES_LITERAL("a.b.c")), ROUTE_TOKEN_HOLDS);
    close(client);
    proxy_kit_free(kit);
}

/* Many wait for one verdict; one of them has left; what is behind a head is there afterwards. */
PROXY_TEST(many_wait_for_one_verdict)
{
    struct proxy_kit *kit = guarded();
    int clients[4];

    for (int i = 0; i < 4; i++) {
        clients[i] = proxy_kit_client(kit, 0);
        proxy_kit_send(clients[i], GET("a.b.c") GET("a.b.c"));
        until_asked(kit, 1);
    }
    close(clients[3]);
    proxy_kit_settle(kit);
    say(kit, true, 60000);
    for (int i = 0; i < 3; i++) {
        CHECK(is(proxy_kit_until(kit, clients[i], "\r\n\r\n"), "204"));
        CHECK(is(proxy_kit_until(kit, clients[i], "\r\n\r\n"), "204"));
        close(clients[i]);
    }
    CHECK_UINT(asked, 1);
    proxy_kit_free(kit);
}

/* Nobody can be asked: 503, and another time it is asked again. */
PROXY_TEST(nobody_can_be_asked)
{
    struct proxy_kit *kit = guarded();
    int client = proxy_kit_client(kit, 0);

    takes = false;
    proxy_kit_send(client, GET("a.b.c"));
    CHECK(is(proxy_kit_until(kit, client, "cannot be judged now\n"), "503"));
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_NO_VERDICT), 1);
    close(client);
    takes = true;
    client = proxy_kit_client(kit, 0);
    proxy_kit_send(client, GET("a.b.c"));
    until_asked(kit, 2);
    say(kit, true, 60000);
    CHECK(is(proxy_kit_until(kit, client, "\r\n\r\n"), "204"));
    close(client);
    proxy_kit_free(kit);
}

/* An answer that does not come: 503 in bounded time; one that nobody asked for changes nothing. */
PROXY_TEST(an_answer_that_does_not_come)
{
    struct proxy_kit *kit = guarded();
    int client = proxy_kit_client(kit, 0);
    uint64_t id;

    proxy_kit_send(client, GET("a.b.c"));
    until_asked(kit, 1);
    id = question.id;
    question.id = id + 1;
    say(kit, true, 60000);
    question.id = id;
    question.check = 8;
    say(kit, true, 60000);
    CHECK(is(proxy_kit_until(kit, client, "cannot be judged now\n"), "503"));
    close(client);
    proxy_kit_free(kit);
}

/* One source has so many questions under way and no more. */
PROXY_TEST(questions_are_bounded)
{
    struct proxy_kit *kit = guarded();
    int clients[LIMIT_TOKEN_SOURCE + 1];

    for (uint32_t i = 0; i <= LIMIT_TOKEN_SOURCE; i++) {
        char request[128];

        snprintf(request, sizeof(request),
                 "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer a.b.c%u\r\n\r\n", i);
        clients[i] = proxy_kit_client(kit, 0);
        proxy_kit_send(clients[i], request);
        if (i < LIMIT_TOKEN_SOURCE) {
            until_asked(kit, i + 1);
        }
    }
    CHECK(is(proxy_kit_until(kit, clients[LIMIT_TOKEN_SOURCE], "judged now\n"), "503"));
    CHECK_UINT(asked, LIMIT_TOKEN_SOURCE);
    for (uint32_t i = 0; i <= LIMIT_TOKEN_SOURCE; i++) {
        close(clients[i]);
    }
    proxy_kit_free(kit);
}

#define POST                                                                                       \
    "POST / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer a.b.c\r\nContent-Length: 6\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

/* Its upstream has the whole request and answers it, whatever becomes of the copy. */
static void serve(struct proxy_kit *kit, int client, int up)
{
    (void)proxy_kit_until(kit, up, "abcdef");
    proxy_kit_send(up, OK);
    CHECK(is(proxy_kit_until(kit, client, "\r\n\r\nok"), "200"));
}

/* Turns until so many copies have failed. */
static void until_failed(struct proxy_kit *kit, uint64_t count)
{
    uint64_t end = ring_now_ns(kit->ring) + KIT_PATIENT;

    while (proxy_kit_worker_stat(kit, ABI_WORKER_MIRRORS_FAILED) < count &&
           ring_now_ns(kit->ring) < end) {
        proxy_kit_busy_turn(kit);
    }
    CHECK_UINT(proxy_kit_worker_stat(kit, ABI_WORKER_MIRRORS_FAILED), count);
}

/* The original waits for nothing; its copy has all of it when the verdict is there. */
PROXY_TEST(a_copy_waits_for_its_verdict)
{
    struct proxy_kit *kit = copying();
    int client = proxy_kit_client(kit, 0);
    int up, copy;

    proxy_kit_send(client, POST "abc");
    up = proxy_kit_accept(kit, 0);
    until_asked(kit, 1);
    CHECK(strcmp(token, "a.b.c") == 0);
    proxy_kit_send(client, "def");
    serve(kit, client, up);
    CHECK(proxy_kit_is_alone(kit, 1));
    CHECK_UINT(proxy_kit_worker_stat(kit, ABI_WORKER_MIRRORS), 0);
    say(kit, true, 60000);
    copy = proxy_kit_accept(kit, 1);
    CHECK(bytes_has_prefix(proxy_kit_until(kit, copy, "x-mirrored: 1\r\n\r\nabcdef"),
                           BYTES_LITERAL("POST / HTTP/1.1\r\n")));
    proxy_kit_send(copy, OK);
    proxy_kit_send(client, POST "abcdef"); /* its verdict is known */
    (void)proxy_kit_until(kit, copy, "x-mirrored: 1\r\n\r\nabcdef");
    serve(kit, client, up);
    CHECK_UINT(asked, 1);
    CHECK_UINT(proxy_kit_worker_stat(kit, ABI_WORKER_MIRRORS), 2);
    CHECK_UINT(proxy_kit_worker_stat(kit, ABI_WORKER_MIRRORS_FAILED), 0);
    close(copy);
    close(up);
    close(client);
    proxy_kit_free(kit);
}

/* A bad token, nobody to ask, no answer in time, a client that breaks off: no copy. */
PROXY_TEST(a_copy_without_a_good_token_is_none)
{
    struct proxy_kit *kit = copying();
    int client = proxy_kit_client(kit, 0);
    int up;

    proxy_kit_send(client, POST "abcdef");
    up = proxy_kit_accept(kit, 0);
    until_asked(kit, 1);
    say(kit, false, 1);
    serve(kit, client, up);
    CHECK_UINT(proxy_kit_worker_stat(kit, ABI_WORKER_MIRRORS_FAILED), 0);
    takes = false;
    proxy_kit_send(client, GET("a.b.d"));
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    CHECK_UINT(asked, 2);
    proxy_kit_send(up, OK);
    CHECK(is(proxy_kit_until(kit, client, "\r\n\r\nok"), "200"));
    CHECK_UINT(proxy_kit_worker_stat(kit, ABI_WORKER_MIRRORS_FAILED), 1);
    takes = true;
    proxy_kit_send(client, GET("a.b.e"));
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, OK);
    CHECK(is(proxy_kit_until(kit, client, "\r\n\r\nok"), "200"));
    until_asked(kit, 3);
    until_failed(kit, 2);
    say(kit, true, 60000); /* too late */
    proxy_kit_send(client, POST "abc");
    (void)proxy_kit_until(kit, up, "abc");
    close(client);
    until_failed(kit, 3);
    CHECK_UINT(proxy_kit_worker_stat(kit, ABI_WORKER_MIRRORS), 0);
    CHECK(proxy_kit_is_alone(kit, 1));
    close(up);
    proxy_kit_free(kit);
}
