/* HTTP exchanges over loopback: what the client and the upstream see, to the byte where it
 * matters. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy_kit.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

static struct proxy_kit *kit_of(uint32_t endpoints)
{
    struct proxy_kit *kit = proxy_kit_new();
    uint32_t web = proxy_kit_target(kit, "web", endpoints);

    proxy_kit_l7(kit, snapshot_builder_forward(kit->builder, web));
    return kit;
}

static struct proxy_kit *started(uint32_t endpoints)
{
    struct proxy_kit *kit = kit_of(endpoints);

    proxy_kit_start(kit);
    return kit;
}

PROXY_TEST(one_exchange_and_the_next_on_the_same_connections)
{
    struct proxy_kit *kit = started(1);
    int client = proxy_kit_client(kit, 0);
    int up;

    proxy_kit_send(client, GET);
    up = proxy_kit_accept(kit, 0);
    for (int i = 0; i < 3; i++) {
        (void)proxy_kit_until(kit, up, "\r\n\r\n");
        proxy_kit_send(up, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        (void)proxy_kit_until(kit, client, "\r\n\r\nok");
        proxy_kit_send(client, GET);
    }
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    CHECK(proxy_kit_is_alone(kit, 0));
    close(up);
    close(client);
    proxy_kit_free(kit);
}

PROXY_TEST(a_head_that_ends_within_is_the_end_of_waiting)
{
    struct proxy_kit *kit = started(1);
    int client = proxy_kit_client(kit, 0);
    int up;

    /* The upstream dies in the middle of its head: nobody may wait for the rest. */
    proxy_kit_send(client, GET);
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, "HTTP/1.1 200 OK\r\ncontent-le");
    proxy_kit_settle(kit);
    close(up);
    CHECK(
        bytes_has_prefix(proxy_kit_until(kit, client, "\r\n\r\n"), BYTES_LITERAL("HTTP/1.1 502 ")));
    close(client);

    /* A client does: it hears so at once, not when its time is over. */
    client = proxy_kit_client(kit, 0);
    proxy_kit_send(client, "GET / HTTP/1.1\r\nHo");
    proxy_kit_settle(kit);
    shutdown(client, SHUT_WR);
    CHECK(bytes_has_prefix(proxy_kit_rest(kit, client, NULL), BYTES_LITERAL("HTTP/1.1 400 ")));
    close(client);
    proxy_kit_free(kit);
}

PROXY_TEST(a_body_is_never_left_out_of_a_second_try)
{
    struct proxy_kit *kit = started(1);
    int client = proxy_kit_client(kit, 0);
    int up;

    proxy_kit_send(client, GET);
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    (void)proxy_kit_until(kit, client, "\r\n\r\nok");

    /* On the connection that is in use already: one of those that go stale. The body is empty, yet
     * it takes bytes to say so. */
    proxy_kit_send(client, "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(client, "0\r\n\r\n");
    proxy_kit_expect(kit, up, "0\r\n\r\n");
    close(up);
    CHECK(
        bytes_has_prefix(proxy_kit_until(kit, client, "\r\n\r\n"), BYTES_LITERAL("HTTP/1.1 502 ")));
    CHECK(proxy_kit_is_alone(kit, 0));
    close(client);
    proxy_kit_free(kit);
}

#define POST_HEAD 52u

/* A POST of `length` bytes in all; its body ends in "END". */
static void fill_post(uint8_t *to, size_t length)
{
    char head[POST_HEAD + 1];

    CHECK_INT(snprintf(head, sizeof(head),
                       "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: %05zu\r\n\r\n",
                       length - POST_HEAD),
              POST_HEAD);
    memset(to, 'x', length);
    memcpy(to, head, POST_HEAD);
    memcpy(to + length - 3, "END", 3);
}

PROXY_TEST(a_held_head_may_lie_across_blocks)
{
    static uint8_t ahead[SPILL_BLOCK_SIZE + 200];
    struct proxy_kit *kit = started(1);
    int client = proxy_kit_client(kit, 0);
    size_t post = SPILL_BLOCK_SIZE - 100;
    int up;

    /* While the first request waits, the second is held whole and the third to a part: its first
     * hundred bytes end one block, the rest begins the next. */
    proxy_kit_send(client, GET);
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    fill_post(ahead, post);
    memset(ahead + post, 'y', sizeof(ahead) - post);
    memcpy(ahead + post, "GET /c HTTP/1.1\r\nHost: a\r\nX: ", 29);
    proxy_kit_send_bytes(client, bytes_of(ahead, sizeof(ahead)));
    proxy_kit_settle(kit);
    proxy_kit_send(up, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    (void)proxy_kit_until(kit, up, "END");
    proxy_kit_send(up, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    proxy_kit_settle(kit);

    /* Byte by byte to its end. */
    for (uint32_t i = 0; i < 4; i++) {
        proxy_kit_send_bytes(client, bytes_of(&"\r\n\r\n"[i], 1));
        proxy_kit_settle(kit);
    }
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    close(up);
    close(client);
    proxy_kit_free(kit);
}

/* --- clients that do not read --- */

static struct proxy_kit *responding(void)
{
    struct proxy_kit *kit = proxy_kit_new();
    struct snapshot_builder *b = kit->builder;

    proxy_kit_l7(kit, (struct abi_route){
                          .action = ABI_ACTION_RESPOND,
                          .status = 200,
                          .path_dfa = ABI_NONE,
                          .traffic = ABI_NONE,
                          .body = snapshot_builder_text(b, "local"),
                          .rule = snapshot_builder_text(b, "local"),
                          .origin = snapshot_builder_text(b, "test"),
                      });
    proxy_kit_start(kit);
    return kit;
}

struct flood {
    int client;
    struct bytes request;
    size_t part; /* of a request that is partly sent */
    uint64_t requests;
};

/* Asks until no more goes in; true when something did. */
static bool flood_push(struct flood *flood)
{
    bool some = false;
    ssize_t sent;

    while ((sent = send(flood->client, flood->request.ptr + flood->part,
                        flood->request.len - flood->part, MSG_NOSIGNAL)) > 0) {
        flood->part += (size_t)sent;
        some = true;
        if (flood->part == flood->request.len) {
            flood->part = 0;
            flood->requests++;
        }
        if (flood->requests % 1000 == 0) {
            break;
        }
    }
    return some;
}

PROXY_TEST(a_flood_of_questions_from_a_client_that_reads_nothing)
{
    struct proxy_kit *kit = responding();
    struct flood flood = {.client = proxy_kit_client(kit, 0), .request = BYTES_LITERAL(GET)};
    uint64_t answers = 0;
    uint32_t quiet = 0;
    struct bytes rest;

    while (quiet < 20) {
        bool some = flood_push(&flood);

        some = proxy_kit_turn(kit, KIT_MS) > 0 || some;
        quiet = some ? 0 : quiet + 1;
    }
    /* No more is stored for it than for any slow reader, and it is served no less. */
    CHECK(proxy_kit_worker_stat(kit, ABI_WORKER_SPILL_BLOCKS_HIGH) < 64);
    CHECK_UINT(proxy_kit_worker_stat(kit, ABI_WORKER_SHED), 0);
    while (flood.part > 0) {
        uint8_t data[65536];
        ssize_t got = recv(flood.client, data, sizeof(data), 0);

        for (ssize_t i = 0; i < got; i++) {
            answers += data[i] == 'H';
        }
        (void)proxy_kit_turn(kit, KIT_MS);
        if (send(flood.client, flood.request.ptr + flood.part, 1, MSG_NOSIGNAL) == 1) {
            flood.part++;
        }
        if (flood.part == flood.request.len) {
            flood.part = 0;
            flood.requests++;
        }
    }
    shutdown(flood.client, SHUT_WR);
    rest = proxy_kit_rest(kit, flood.client, NULL);
    for (size_t i = 0; i < rest.len; i++) {
        answers += rest.ptr[i] == 'H';
    }
    CHECK_UINT(answers, flood.requests); /* one H in each: HTTP/1.1 */
    close(flood.client);
    proxy_kit_free(kit);
}

PROXY_TEST(a_flood_of_interim_answers)
{
    static const char hint[] =
        "HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n";
    struct proxy_kit *kit = started(1);
    int client = proxy_kit_client(kit, 0);
    uint64_t sent = 0;
    uint32_t quiet = 0;
    struct bytes in = cunit_text(hint);
    size_t at = 0;
    int up;

    proxy_kit_send(client, GET);
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    while (quiet < 20 && sent < 64u << 20) {
        ssize_t count = send(up, in.ptr + at, in.len - at, MSG_NOSIGNAL);
        bool some = count > 0;

        if (some) {
            sent += (uint64_t)count;
            at = (at + (size_t)count) % in.len;
        } else {
            some = proxy_kit_turn(kit, KIT_MS) > 0;
        }
        quiet = some ? 0 : quiet + 1;
    }
    CHECK(proxy_kit_worker_stat(kit, ABI_WORKER_SPILL_BLOCKS_HIGH) < 64);
    CHECK_UINT(proxy_kit_worker_stat(kit, ABI_WORKER_SHED), 0);
    close(up);
    close(client);
    proxy_kit_settle(kit);
    proxy_kit_free(kit);
}

PROXY_TEST(trailers_of_both_directions_at_once)
{
    struct proxy_kit *kit = started(1);
    int client = proxy_kit_client(kit, 0);
    int up;

    /* Both messages are within their trailer sections at the same time. */
    proxy_kit_send(client, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                           "3\r\nabc\r\n0\r\nx-up: 1\r\n");
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "3\r\nabc\r\n");
    proxy_kit_send(up, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
                       "3\r\nxyz\r\n0\r\nx-down: 2\r\n");
    (void)proxy_kit_until(kit, client, "3\r\nxyz\r\n");
    proxy_kit_settle(kit);
    proxy_kit_send(client, "\r\n");
    proxy_kit_expect(kit, up, "0\r\nx-up: 1\r\n\r\n");
    proxy_kit_send(up, "\r\n");
    proxy_kit_expect(kit, client, "0\r\nx-down: 2\r\n\r\n");
    close(up);
    close(client);
    proxy_kit_free(kit);
}

PROXY_TEST(a_burst_behind_half_a_head)
{
    static uint8_t body[600000];
    struct proxy_kit *kit = started(1);
    int client = proxy_kit_client(kit, 0);
    struct bytes rest = bytes_of(body, sizeof(body));
    uint64_t got = 0;
    int up;

    /* What is held reaches its limit within one turn, before anybody could look at it. */
    proxy_kit_send(client, "POST / HTTP/1.1\r\nHost: a\r\nConte");
    proxy_kit_settle(kit);
    proxy_kit_send(client, "nt-Length: 600000\r\n\r\n");
    while (rest.len > 0) {
        ssize_t sent = send(client, rest.ptr, rest.len, MSG_NOSIGNAL);

        if (sent < 0) {
            break;
        }
        rest = bytes_from(rest, (size_t)sent);
    }
    (void)proxy_kit_busy_turn(kit);
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    for (uint32_t quiet = 0; quiet < 50 && got < sizeof(body); quiet++) {
        static uint8_t data[65536];
        ssize_t count;

        (void)proxy_kit_turn(kit, KIT_MS);
        while ((count = recv(up, data, sizeof(data), 0)) > 0) {
            got += (uint64_t)count;
            quiet = 0;
        }
        count = rest.len == 0 ? 0 : send(client, rest.ptr, rest.len, MSG_NOSIGNAL);
        rest = bytes_from(rest, count > 0 ? (size_t)count : 0);
    }
    CHECK_UINT(got, sizeof(body));
    close(up);
    close(client);
    proxy_kit_settle(kit);
    proxy_kit_free(kit);
}

/* The kit's only route, with changes of the message's fields. */
static void add_ops(struct proxy_kit *kit, struct abi_route *route, const char *const (*ops)[3],
                    uint32_t count)
{
    route->header_ops =
        (struct abi_ref){snapshot_builder_count(kit->builder, ABI_SECTION_HEADER_OP), count};
    for (uint32_t i = 0; i < count; i++) {
        struct abi_header_op op = {
            .kind = (uint8_t)(ops[i][0][0] == '+'   ? ABI_HEADER_ADD
                              : ops[i][0][0] == '=' ? ABI_HEADER_SET
                                                    : ABI_HEADER_REMOVE),
            .response = ops[i][0][1] == '<' ? 1 : 0,
            .name = snapshot_builder_text(kit->builder, ops[i][1]),
        };

        if (op.kind != ABI_HEADER_REMOVE) {
            op.value = snapshot_builder_text(kit->builder, ops[i][2]);
        }
        snapshot_builder_add(kit->builder, ABI_SECTION_HEADER_OP, &op);
    }
}

PROXY_TEST(a_route_changes_fields_in_both_directions)
{
    static const char *const ops[][3] = {
        {"+>", "x-leg", "added"},
        {"=>", "X-Role", "web"},
        {"->", "cookie", NULL},
        {"+<", "vary", "x-leg"},
        {"=<", "cache-control", "no-store"},
        {"-<", "server", NULL},
    };
    struct proxy_kit *kit = proxy_kit_new();
    uint32_t web = proxy_kit_target(kit, "web", 1);
    struct abi_route route = snapshot_builder_forward(kit->builder, web);
    int client, up;

    add_ops(kit, &route, ops, 6);
    proxy_kit_l7(kit, route);
    proxy_kit_start(kit);
    client = proxy_kit_client(kit, 0);
    proxy_kit_send(client, "GET / HTTP/1.1\r\nHost: a\r\nX-Leg: own\r\nx-role: me\r\nCookie: c\r\n"
                           "Accept: b\r\n\r\n");
    up = proxy_kit_accept(kit, 0);
    proxy_kit_expect(kit, up,
                     "GET / HTTP/1.1\r\nhost: a\r\nX-Leg: own\r\nAccept: b\r\n"
                     "x-leg: added\r\nX-Role: web\r\nx-forwarded-for: ");
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, "HTTP/1.1 103 Early Hints\r\nserver: x\r\n\r\n");
    proxy_kit_expect(kit, client, "HTTP/1.1 103 Early Hints\r\nserver: x\r\n\r\n");
    proxy_kit_send(up, "HTTP/1.1 200 OK\r\nServer: x\r\nVary: a\r\nCache-Control: public\r\n"
                       "cache-control: max-age=1\r\ndate: d\r\ncontent-length: 2\r\n\r\nok");
    proxy_kit_expect(kit, client,
                     "HTTP/1.1 200 OK\r\nVary: a\r\ndate: d\r\ncontent-length: 2\r\n"
                     "vary: x-leg\r\ncache-control: no-store\r\n\r\nok");
    close(up);
    close(client);
    proxy_kit_free(kit);
}

/* The next generation: the same listener, answering by itself. */
static void commit_closed(struct proxy_kit *kit)
{
    struct snapshot_builder *b = snapshot_builder_new();
    struct abi_listener listener = snapshot_builder_listener(b, "l0", kit->listener_ports[0]);
    struct abi_route route = {
        .action = ABI_ACTION_RESPOND, .status = 404, .path_dfa = ABI_NONE, .traffic = ABI_NONE};

    listener.key = kit->listener_keys[0];
    listener.kind = ABI_LISTENER_L7;
    listener.route_table = snapshot_builder_route_table(b, route);
    snapshot_builder_add(b, ABI_SECTION_LISTENER, &listener);
    proxy_kit_commit(kit, b);
}

/* The changes outlive their generation and do not keep it: the next one may come meanwhile. */
PROXY_TEST(changes_of_an_answer_outlive_their_generation)
{
    static char value[3000];
    const char *const ops[][3] = {{"=<", "x-long", value}};
    struct proxy_kit *kit = proxy_kit_new();
    uint32_t web = proxy_kit_target(kit, "web", 1);
    struct abi_route route = snapshot_builder_forward(kit->builder, web);
    int client, up;

    memset(value, 'v', sizeof(value) - 1);
    add_ops(kit, &route, ops, 1);
    proxy_kit_l7(kit, route);
    proxy_kit_start(kit);
    client = proxy_kit_client(kit, 0);
    proxy_kit_send(client, GET);
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    for (int i = 0; i < 6; i++) {
        commit_closed(kit);
        proxy_kit_settle(kit);
    }
    CHECK_UINT(kit->live, 1);
    proxy_kit_send(up, "HTTP/1.1 204 No Content\r\ndate: d\r\n\r\n");
    proxy_kit_expect(kit, client, "HTTP/1.1 204 No Content\r\ndate: d\r\nx-long: ");
    proxy_kit_expect(kit, client, value);
    proxy_kit_expect(kit, client, "\r\n\r\n");
    close(up);
    close(client);
    proxy_kit_free(kit);
}

PROXY_TEST(an_answer_of_our_own_carries_the_routes_fields)
{
    static const char *const ops[][3] = {
        {"=<", "retry-after", "60"}, {"=<", "Server", "edge"}, {"=<", "content-length", "9"}};
    struct proxy_kit *kit = proxy_kit_new();
    struct abi_route route = {
        .action = ABI_ACTION_RESPOND, .status = 503, .path_dfa = ABI_NONE, .traffic = ABI_NONE};
    struct bytes head;
    int client;

    route.body = snapshot_builder_text(kit->builder, "later\n");
    add_ops(kit, &route, ops, 3);
    proxy_kit_l7(kit, route);
    proxy_kit_start(kit);
    client = proxy_kit_client(kit, 0);
    proxy_kit_send(client, GET);
    head = proxy_kit_until(kit, client, "\r\n\r\nlater\n");
    CHECK(memmem(head.ptr, head.len, "\r\nretry-after: 60\r\n", 19) != NULL);
    CHECK(memmem(head.ptr, head.len, "\r\nServer: edge\r\n", 16) != NULL);
    CHECK(memmem(head.ptr, head.len, "ringmesh", 8) == NULL);
    CHECK(memmem(head.ptr, head.len, "\r\ncontent-length: 6\r\n", 21) != NULL);
    CHECK(memmem(head.ptr, head.len, "length: 9", 9) == NULL);
    close(client);
    proxy_kit_free(kit);
}
