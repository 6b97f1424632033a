/* Rules of RFC 9110 and 9112 about messages on their way through, one by one: what of a message
 * goes further, what is answered here, and what the connections are good for afterwards. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy_kit.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK  "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

static struct proxy_kit *started(void)
{
    struct proxy_kit *kit = proxy_kit_new();

    proxy_kit_l7(kit, snapshot_builder_forward(kit->builder, proxy_kit_target(kit, "web", 1)));
    proxy_kit_start(kit);
    return kit;
}

static bool contains(struct bytes in, const char *text)
{
    return memmem(in.ptr, in.len, text, strlen(text)) != NULL;
}

/* What the upstream gets for a request, as a NUL-terminated copy; the answer is `OK`. */
static char *forwarded(struct proxy_kit *kit, const char *request)
{
    int client = proxy_kit_client(kit, 0);
    struct bytes head;
    char *copy;
    int up;

    cunit_context("%s", request);
    proxy_kit_send(client, request);
    up = proxy_kit_accept(kit, 0);
    head = proxy_kit_until(kit, up, "\r\n\r\n");
    copy = malloc(head.len + 1);
    memcpy(copy, head.ptr, head.len);
    copy[head.len] = '\0';
    proxy_kit_send(up, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok");
    (void)proxy_kit_until(kit, client, "\r\n\r\nok");
    close(up);
    close(client);
    proxy_kit_settle(kit);
    return copy;
}

/* The answer to a request that must not reach the upstream. */
static struct bytes answered(struct proxy_kit *kit, const char *request)
{
    int client = proxy_kit_client(kit, 0);
    struct bytes answer;

    cunit_context("%s", request);
    proxy_kit_send(client, request);
    answer = proxy_kit_until(kit, client, "\r\n\r\n");
    CHECK(proxy_kit_is_alone(kit, 0));
    close(client);
    return answer;
}

static void check_forwarded(struct proxy_kit *kit, const char *request, const char *with,
                            const char *without)
{
    char *head = forwarded(kit, request);

    CHECK(with == NULL || strstr(head, with) != NULL);
    CHECK(without == NULL || strcasestr(head, without) == NULL);
    free(head);
}

/* --- RFC 9110 7.6.2 --- */

PROXY_TEST(max_forwards_is_counted_down)
{
    struct proxy_kit *kit = started();

    check_forwarded(kit, "OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 7\r\n\r\n",
                    "\r\nmax-forwards: 6\r\n", "forwards: 7");
    check_forwarded(kit, "TRACE / HTTP/1.1\r\nHost: a\r\nmax-forwards: 1\r\n\r\n",
                    "\r\nmax-forwards: 0\r\n", "forwards: 1");
    check_forwarded(kit, "OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 99999999999999\r\n\r\n",
                    "\r\nmax-forwards: 2147483646\r\n", "999");
    /* Of other methods it says nothing to us. */
    check_forwarded(kit, "GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n",
                    "\r\nMax-Forwards: 0\r\n", NULL);
    proxy_kit_free(kit);
}

PROXY_TEST(max_forwards_ends_here_at_zero)
{
    struct proxy_kit *kit = started();
    struct bytes answer = answered(kit, "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n");

    CHECK(bytes_has_prefix(answer, BYTES_LITERAL("HTTP/1.1 200 ")));
    CHECK(contains(answer, "\r\nallow: GET"));
    answer = answered(kit, "TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n");
    CHECK(bytes_has_prefix(answer, BYTES_LITERAL("HTTP/1.1 405 ")));
    CHECK(contains(answer, "\r\nallow: GET"));
    proxy_kit_free(kit);
}

PROXY_TEST(max_forwards_is_one_number)
{
    static const char *const bad[] = {
        "Max-Forwards:\r\n",
        "Max-Forwards: -1\r\n",
        "Max-Forwards: 1x\r\n",
        "Max-Forwards: 5, 5\r\n",
        "Max-Forwards: 5\r\nmax-forwards: 5\r\n",
    };
    struct proxy_kit *kit = started();

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char request[200];
        struct bytes answer;

        snprintf(request, sizeof(request), "OPTIONS / HTTP/1.1\r\nHost: a\r\n%s\r\n", bad[i]);
        answer = answered(kit, request);
        CHECK(bytes_has_prefix(answer, BYTES_LITERAL("HTTP/1.1 400 ")));
        CHECK(contains(answer, "connection: close"));
    }
    proxy_kit_free(kit);
}

/* --- RFC 9112 3.2.4 --- */

PROXY_TEST(options_of_a_server_has_an_asterisk)
{
    struct proxy_kit *kit = started();

    check_forwarded(kit, "OPTIONS http://a HTTP/1.1\r\nHost: b\r\n\r\n",
                    "OPTIONS * HTTP/1.1\r\nhost: a\r\n", NULL);
    check_forwarded(kit, "OPTIONS http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS / HTTP/1.1\r\n",
                    NULL);
    check_forwarded(kit, "OPTIONS http://a?q HTTP/1.1\r\nHost: a\r\n\r\n",
                    "OPTIONS /?q HTTP/1.1\r\n", NULL);
    check_forwarded(kit, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1\r\n", NULL);
    proxy_kit_free(kit);
}

/* --- RFC 9110 9.3.6, 9.3.8, 10.1.1 --- */

PROXY_TEST(trace_has_no_content)
{
    struct proxy_kit *kit = started();
    struct bytes answer =
        answered(kit, "TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");

    CHECK(bytes_has_prefix(answer, BYTES_LITERAL("HTTP/1.1 400 ")));
    answer =
        answered(kit, "TRACE / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    CHECK(bytes_has_prefix(answer, BYTES_LITERAL("HTTP/1.1 400 ")));
    proxy_kit_free(kit);
}

PROXY_TEST(what_follows_a_refused_connect_is_no_request)
{
    struct proxy_kit *kit = started();
    int client = proxy_kit_client(kit, 0);
    struct bytes answer;
    int up;

    proxy_kit_send(client, "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"
                           "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
    up = proxy_kit_accept(kit, 0);
    proxy_kit_expect(kit, up, "CONNECT a:443 HTTP/1.1\r\n");
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno");
    answer = proxy_kit_rest(kit, client, NULL);
    CHECK(contains(answer, "connection: close") && contains(answer, "\r\n\r\nno"));
    CHECK(!contains(answer, "HTTP/1.1 200"));
    CHECK(proxy_kit_is_alone(kit, 0));
    proxy_kit_expect_silence(kit, up);
    close(up);
    close(client);
    proxy_kit_free(kit);
}

PROXY_TEST(an_expectation_of_an_old_client_is_ignored)
{
    struct proxy_kit *kit = started();

    check_forwarded(kit, "GET / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", NULL,
                    "expect");
    check_forwarded(kit, "GET / HTTP/1.0\r\nHost: a\r\nExpect: magic\r\n\r\n", NULL, "expect");
    proxy_kit_free(kit);
}

/* --- RFC 9110 8.6: no length where no body can be --- */

PROXY_TEST(lengths_of_answers_without_a_body)
{
    static const char *const heads[] = {
        "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nx-a: 1\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\ncontent-length: 5\r\nx-a: 1\r\n\r\n"
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    };
    struct proxy_kit *kit = started();

    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        int client = proxy_kit_client(kit, 0);
        struct bytes answer;
        int up;

        proxy_kit_send(client, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        up = proxy_kit_accept(kit, 0);
        (void)proxy_kit_until(kit, up, "\r\n\r\n");
        proxy_kit_send(up, heads[i]);
        answer = proxy_kit_rest(kit, client, NULL);
        CHECK(contains(answer, "x-a: 1") && !contains(answer, "ength: 5"));
        close(up);
        close(client);
        proxy_kit_settle(kit);
    }
    proxy_kit_free(kit);
}

/* --- rewritten paths --- */

static struct proxy_kit *rewriting(const char *prefix, const char *to)
{
    struct proxy_kit *kit = proxy_kit_new();
    struct abi_route route =
        snapshot_builder_forward(kit->builder, proxy_kit_target(kit, "web", 1));

    route.path_kind = ABI_PATH_PREFIX;
    route.path = snapshot_builder_text(kit->builder, prefix);
    route.prefix_rewrite = snapshot_builder_text(kit->builder, to);
    route.rewrites = 1;
    proxy_kit_l7(kit, route);
    proxy_kit_start(kit);
    return kit;
}

static void check_rewrite(struct proxy_kit *kit, const char *from, const char *to)
{
    char request[200];
    char line[200];

    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", from);
    snprintf(line, sizeof(line), "GET %s HTTP/1.1\r\n", to == NULL ? "" : to);
    if (to != NULL) {
        check_forwarded(kit, request, line, NULL);
    } else {
        struct bytes answer = answered(kit, request);

        CHECK(bytes_has_prefix(answer, BYTES_LITERAL("HTTP/1.1 400 ")));
    }
}

/* A name that begins with dots becomes a dot segment when the name before it is cut off. */
PROXY_TEST(a_rewrite_makes_no_dot_segment)
{
    struct proxy_kit *kit = rewriting("/app", "/");

    check_rewrite(kit, "/app", "/");
    check_rewrite(kit, "/app/b", "/b");
    check_rewrite(kit, "/app/", "/");
    check_rewrite(kit, "/appb", "/b");
    check_rewrite(kit, "/app.b/c", "/.b/c");
    check_rewrite(kit, "/app...", "/...");
    check_rewrite(kit, "/app?q=/../", "/?q=/../");
    check_rewrite(kit, "/app..", NULL);
    check_rewrite(kit, "/app../secret", NULL);
    check_rewrite(kit, "/app.", NULL);
    check_rewrite(kit, "/app./secret", NULL);
    check_rewrite(kit, "/app%2e%2E/secret", NULL);
    check_rewrite(kit, "/app..;x/secret", NULL);
    check_rewrite(kit, "/app..%3bx/secret", NULL);
    check_rewrite(kit, "/app.;/secret", NULL);
    proxy_kit_free(kit);

    kit = rewriting("/app", "/inner/.");
    check_rewrite(kit, "/appx/y", "/inner/.x/y");
    check_rewrite(kit, "/app/y", NULL);
    check_rewrite(kit, "/app./y", NULL);
    proxy_kit_free(kit);

    kit = rewriting("/app/", "/inner/");
    check_rewrite(kit, "/app/x", "/inner/x");
    check_rewrite(kit, "/app/..x", "/inner/..x");
    proxy_kit_free(kit);
}

/* --- rules by fields --- */

/* A rule must not hold by a field that the upstream does not get. */
PROXY_TEST(no_rule_holds_by_a_field_that_ends_here)
{
    struct proxy_kit *kit = proxy_kit_new();
    struct abi_route route =
        snapshot_builder_forward(kit->builder, proxy_kit_target(kit, "web", 1));
    struct abi_match match = {
        .name = snapshot_builder_text(kit->builder, "x-role"),
        .value = snapshot_builder_text(kit->builder, "user"),
        .subject = ABI_MATCH_HEADER,
        .kind = ABI_MATCH_EXACT,
        .dfa = ABI_NONE,
    };

    route.matches.at = snapshot_builder_add(kit->builder, ABI_SECTION_MATCH, &match);
    route.matches.count = 1;
    proxy_kit_l7(kit, route);
    proxy_kit_start(kit);
    check_forwarded(kit, "GET / HTTP/1.1\r\nHost: a\r\nX-Role: user\r\n\r\n", "X-Role: user", NULL);
    CHECK(bytes_has_prefix(
        answered(kit, "GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Role\r\nX-Role: user\r\n\r\n"),
        BYTES_LITERAL("HTTP/1.1 404 ")));
    proxy_kit_free(kit);
}

/* --- redirects --- */

PROXY_TEST(a_redirect_without_a_host_names_the_path_only)
{
    struct proxy_kit *kit = proxy_kit_new();
    struct abi_route route =
        snapshot_builder_forward(kit->builder, proxy_kit_target(kit, "web", 1));
    struct bytes answer;

    route.action = ABI_ACTION_REDIRECT;
    route.status = 308;
    route.splits = (struct abi_ref){0, 0};
    proxy_kit_l7(kit, route);
    proxy_kit_start(kit);
    answer = answered(kit, "GET /p?q HTTP/1.0\r\n\r\n");
    CHECK(contains(answer, "\r\nlocation: /p?q\r\n"));
    answer = answered(kit, "GET //p HTTP/1.0\r\n\r\n");
    CHECK(contains(answer, "\r\nlocation: /p\r\n"));
    answer = answered(kit, "GET /p HTTP/1.0\r\nHost: b\r\n\r\n");
    CHECK(contains(answer, "\r\nlocation: http://b/p\r\n"));
    proxy_kit_free(kit);
}

/* --- trailers of an answer that goes down without chunks --- */

PROXY_TEST(bad_trailers_are_refused_for_old_clients_too)
{
    struct proxy_kit *kit = started();
    int client = proxy_kit_client(kit, 0);
    bool reset = false;
    int up;

    proxy_kit_send(client, "GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n");
    (void)proxy_kit_until(kit, client, "\r\n\r\nok");
    proxy_kit_send(up, "HTTP/1.1\r\n\r\n");
    (void)proxy_kit_rest(kit, client, &reset);
    CHECK(reset);
    close(up);
    close(client);
    proxy_kit_free(kit);
}

/* --- second tries --- */

PROXY_TEST(no_second_try_once_an_interim_answer_went_down)
{
    struct proxy_kit *kit = started();
    int client = proxy_kit_client(kit, 0);
    int up;

    proxy_kit_send(client, GET);
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, OK);
    (void)proxy_kit_until(kit, client, "\r\n\r\nok");
    proxy_kit_send(client, GET); /* on the reused connection, where an early end allows another */
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
    (void)proxy_kit_until(kit, client, "\r\n\r\n");
    close(up);
    CHECK(
        bytes_has_prefix(proxy_kit_until(kit, client, "\r\n\r\n"), BYTES_LITERAL("HTTP/1.1 502 ")));
    CHECK(proxy_kit_is_alone(kit, 0));
    close(client);
    proxy_kit_free(kit);
}

PROXY_TEST(second_tries_are_paid_for_by_answers)
{
    struct proxy_kit *kit = proxy_kit_new();
    struct abi_route route =
        snapshot_builder_forward(kit->builder, proxy_kit_target(kit, "web", 1));
    uint32_t tries = 0;

    route.retries = LIMIT_RETRIES;
    route.retry_on = ABI_RETRY_CONNECT | ABI_RETRY_RESET;
    proxy_kit_l7(kit, route);
    proxy_kit_start(kit);
    for (int round = 0; round < 20; round++) {
        int client = proxy_kit_client(kit, 0);
        uint8_t first;

        proxy_kit_send(client, GET);
        do { /* every try is read and cut off */
            int up = proxy_kit_accept(kit, 0);

            tries++;
            (void)proxy_kit_until(kit, up, "\r\n\r\n");
            close(up);
            proxy_kit_settle(kit);
        } while (recv(client, &first, 1, MSG_PEEK | MSG_DONTWAIT) != 1);
        CHECK(bytes_has_prefix(proxy_kit_until(kit, client, "\r\n\r\n"),
                               BYTES_LITERAL("HTTP/1.1 502 ")));
        close(client);
        proxy_kit_settle(kit);
    }
    CHECK_UINT(tries, 20 + 10);
    proxy_kit_free(kit);
}

/* --- heads that drip --- */

PROXY_TEST(a_head_that_drips_up_is_read_line_by_line)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nx-a: 1\r\ncontent-length: 2\r\n\r\nok";
    static const char hint[] = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
    struct proxy_kit *kit = started();
    int client = proxy_kit_client(kit, 0);
    int up;

    proxy_kit_send(client, GET);
    up = proxy_kit_accept(kit, 0);
    for (int round = 0; round < 3; round++) {
        (void)proxy_kit_until(kit, up, "\r\n\r\n");
        for (size_t i = 0; i < sizeof(hint) - 1; i++) {
            proxy_kit_send_bytes(up, bytes_of(&hint[i], 1));
            (void)proxy_kit_turn(kit, KIT_MS);
        }
        for (size_t i = 0; i < sizeof(head) - 1; i++) {
            proxy_kit_send_bytes(up, bytes_of(&head[i], 1));
            (void)proxy_kit_turn(kit, KIT_MS);
        }
        (void)proxy_kit_until(kit, client, "\r\n\r\nok");
        proxy_kit_send(client, GET);
    }
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    close(up);
    close(client);
    proxy_kit_free(kit);
}
