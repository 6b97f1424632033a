/* HTTP/2 through a proxy over loopback, on each engine: the peers are sessions of the room http2.
 */
#include "http2/h2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http2_kit.h"
#include "proxy_kit.h"

#define ASK  "GET /%u HTTP/1.1\r\nhost: a\r\n\r\n"
#define POST BYTES_LITERAL("POST /p HTTP/1.1\r\nhost: a\r\n\r\n")

/* A peer of the proxy: a session and its socket. */
struct far {
    struct kit_side *side;
    int fd;
    bool ended;
};

static struct far far_of(int fd, bool server)
{
    struct far far = {.side = malloc(sizeof(struct kit_side)), .fd = fd};

    MUST(far.side != NULL);
    kit_open(far.side, server);
    return far;
}

static void far_end(struct far *far)
{
    kit_close(far->side);
    free(far->side);
    close(far->fd);
}

/* What it has to say goes out, a turn of the proxy, what has come for it is read. */
static void far_turn(struct proxy_kit *kit, struct far *far)
{
    static uint8_t in[65536];
    ssize_t got;

    far->side->out_length = 0;
    (void)h2_send(far->side->session, sizeof(far->side->out) / 2);
    if (far->side->out_length > 0 && !far->ended) {
        proxy_kit_send_bytes(far->fd, bytes_of(far->side->out, far->side->out_length));
    }
    (void)proxy_kit_turn(kit, KIT_MS);
    got = recv(far->fd, in, sizeof(in), MSG_DONTWAIT);
    if (got > 0) {
        kit_feed(far->side, bytes_of(in, (size_t)got));
    }
    far->ended = far->ended || got == 0;
}

/* Settings and what waits for them pass in this time. */
static void far_settle(struct proxy_kit *kit, struct far *far)
{
    for (uint32_t i = 0; i < 10; i++) {
        far_turn(kit, far);
    }
}

/* Turns until it holds; a failed check when it never does. */
#define FAR_UNTIL(kit, far, condition)                                                             \
    do {                                                                                           \
        for (uint32_t turn = 0; turn < 2000 && !(condition); turn++) {                             \
            far_turn(kit, far);                                                                    \
        }                                                                                          \
        CHECK(condition);                                                                          \
    } while (0)

static struct kit_stream *far_ask(struct far *far, struct bytes text, const char *body)
{
    struct kit_stream *stream = &far->side->streams[far->side->opened++];

    *stream = (struct kit_stream){.used = true, .send = body};
    stream->id = h2_request(far->side->session, stream, text, body == NULL);
    CHECK(stream->id > 0);
    return stream;
}

static struct kit_stream *far_get(struct far *far, uint32_t number)
{
    char text[64];
    int length = snprintf(text, sizeof(text), ASK, number);

    return far_ask(far, bytes_of(text, (size_t)length), NULL);
}

static struct proxy_kit *started(enum abi_protocol protocol)
{
    struct proxy_kit *kit = proxy_kit_new();
    uint32_t web = proxy_kit_target(kit, "web", 1);
    struct abi_route route = snapshot_builder_forward(kit->builder, web);

    route.retries = 1;
    proxy_kit_l7(kit, route);
    proxy_kit_target_record(kit, web)->protocol = (uint8_t)protocol;
    proxy_kit_start(kit);
    return kit;
}

PROXY_TEST(answers_find_their_streams)
{
    struct proxy_kit *kit = started(ABI_PROTOCOL_HTTP1);
    struct far client = far_of(proxy_kit_client(kit, 0), false);
    struct kit_stream *streams[3];
    char text[80];
    int ups[3];

    for (uint32_t i = 0; i < 3; i++) {
        streams[i] = far_get(&client, i);
        far_settle(kit, &client);
        ups[i] = proxy_kit_accept(kit, 0);
        (void)snprintf(text, sizeof(text), "GET /%u HTTP/1.1\r\n", i);
        proxy_kit_expect(kit, ups[i], text);
        (void)proxy_kit_until(kit, ups[i], "\r\n\r\n");
    }
    for (uint32_t i = 3; i-- > 0;) { /* the last one first */
        (void)snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n%u!", i);
        proxy_kit_send(ups[i], text);
        FAR_UNTIL(kit, &client, streams[i]->closed);
        (void)snprintf(text, sizeof(text), "%u!", i);
        CHECK_TEXT(bytes_of(streams[i]->body, streams[i]->body_length), text);
        CHECK_UINT(streams[i]->code, H2_NO_ERROR);
    }
    far_end(&client);
    for (uint32_t i = 0; i < 3; i++) {
        close(ups[i]);
    }
    proxy_kit_free(kit);
}

/* How many sends the proxy needs for an exchange on an upstream connection that is open. */
static uint64_t sends_for(struct proxy_kit *kit, struct far *client, int up, const char *body)
{
    uint64_t before = ring_stats(kit->ring)->sends;
    struct kit_stream *stream = body == NULL ? far_get(client, 0) : far_ask(client, POST, body);

    far_turn(kit, client);
    proxy_kit_expect(kit, up, body == NULL ? "GET /0 HTTP/1.1\r\n" : "POST /p HTTP/1.1\r\n");
    (void)proxy_kit_until(kit, up, body == NULL ? "\r\n\r\n" : "\r\n0\r\n\r\n");
    proxy_kit_send(up, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    FAR_UNTIL(kit, client, stream->closed);
    CHECK_UINT(stream->code, H2_NO_ERROR);
    return ring_stats(kit->ring)->sends - before;
}

/* A head and the body that comes with it are one send; what is too long to wait goes behind it. */
PROXY_TEST(what_comes_in_one_read_goes_up_together)
{
    struct proxy_kit *kit = started(ABI_PROTOCOL_HTTP1);
    struct far client = far_of(proxy_kit_client(kit, 0), false);
    static char body[6001];
    struct kit_stream *first = far_get(&client, 1);
    uint64_t head;
    int up;

    far_settle(kit, &client);
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    FAR_UNTIL(kit, &client, first->closed);
    far_settle(kit, &client);
    head = sends_for(kit, &client, up, NULL);
    CHECK_UINT(sends_for(kit, &client, up, "in one piece"), head);
    memset(body, 'b', sizeof(body) - 1);
    (void)sends_for(kit, &client, up, body);
    far_end(&client);
    close(up);
    proxy_kit_free(kit);
}

PROXY_TEST(a_body_and_trailers_go_up_in_chunks_and_come_down_in_frames)
{
    struct proxy_kit *kit = started(ABI_PROTOCOL_HTTP1);
    struct far client = far_of(proxy_kit_client(kit, 0), false);
    struct kit_stream *stream = far_ask(&client, POST, "question");
    struct bytes seen;
    int up;

    stream->send_trailers = "x-sum: 8\n";
    far_settle(kit, &client);
    up = proxy_kit_accept(kit, 0);
    seen = proxy_kit_until(kit, up, "0\r\nx-sum: 8\r\n\r\n");
    CHECK(memmem(seen.ptr, seen.len, "\r\ntransfer-encoding: chunked\r\n", 30) != NULL);
    CHECK(memmem(seen.ptr, seen.len, "8\r\nquestion\r\n", 13) != NULL);
    proxy_kit_send(up, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
                       "6\r\nanswer\r\n0\r\nx-sum: 6\r\n\r\n");
    FAR_UNTIL(kit, &client, stream->closed);
    CHECK_TEXT(bytes_of(stream->body, stream->body_length), "answer");
    CHECK_STRING(stream->trailers, "x-sum: 6\r\n");
    far_end(&client);
    close(up);
    proxy_kit_free(kit);
}

PROXY_TEST(a_stream_that_is_reset_leaves_its_upstream)
{
    struct proxy_kit *kit = started(ABI_PROTOCOL_HTTP1);
    struct far client = far_of(proxy_kit_client(kit, 0), false);
    struct kit_stream *stream = far_get(&client, 1);
    struct kit_stream *other;
    int ups[2];

    far_settle(kit, &client);
    ups[0] = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, ups[0], "\r\n\r\n");
    h2_reset(client.side->session, stream->id, H2_CANCEL);
    far_settle(kit, &client);
    (void)proxy_kit_rest(kit, ups[0], NULL);
    other = far_get(&client, 2); /* the connection goes on */
    far_settle(kit, &client);
    ups[1] = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, ups[1], "\r\n\r\n");
    proxy_kit_send(ups[1], "HTTP/1.1 204 No Content\r\n\r\n");
    FAR_UNTIL(kit, &client, other->closed);
    CHECK(strncmp(other->head, "HTTP/1.1 204 ", 13) == 0);
    far_end(&client);
    close(ups[0]);
    close(ups[1]);
    proxy_kit_free(kit);
}

PROXY_TEST(a_client_that_goes_takes_its_requests_along)
{
    struct proxy_kit *kit = started(ABI_PROTOCOL_HTTP1);
    struct far client = far_of(proxy_kit_client(kit, 0), false);
    int ups[2];

    for (uint32_t i = 0; i < 2; i++) {
        (void)far_get(&client, i);
        far_settle(kit, &client);
        ups[i] = proxy_kit_accept(kit, 0);
        (void)proxy_kit_until(kit, ups[i], "\r\n\r\n");
    }
    far_end(&client);
    for (uint32_t i = 0; i < 2; i++) {
        (void)proxy_kit_rest(kit, ups[i], NULL);
        close(ups[i]);
    }
    proxy_kit_free(kit);
}

/* It was accepted before its process retired, yet showed only later what it speaks. */
PROXY_TEST(a_connection_that_begins_while_its_process_retires_is_told_to_leave)
{
    struct proxy_kit *kit = started(ABI_PROTOCOL_HTTP1);
    struct far client = far_of(proxy_kit_client(kit, 0), false);
    struct kit_stream *stream;
    int up;

    proxy_kit_settle(kit);
    proxy_retire(kit->proxy, 5000);
    stream = far_get(&client, 1);
    far_settle(kit, &client);
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, "HTTP/1.1 204 No Content\r\n\r\n");
    FAR_UNTIL(kit, &client, stream->closed);
    CHECK(strncmp(stream->head, "HTTP/1.1 204 ", 13) == 0); /* and is served */
    FAR_UNTIL(kit, &client, client.side->left && client.ended);
    CHECK_UINT(h2_room(client.side->session), 0);
    far_end(&client);
    close(up);
    proxy_kit_free(kit);
}

/* It has lasted as long as it may: what is under way is served, then it ends. */
PROXY_TEST(a_connection_that_has_grown_old_is_told_to_leave)
{
    struct proxy_kit *kit = started(ABI_PROTOCOL_HTTP1);
    struct far client = far_of(proxy_kit_client(kit, 0), false);
    struct kit_stream *stream = far_get(&client, 1);
    int up;

    far_settle(kit, &client);
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_age(kit, ABI_PROTOCOL_HTTP1, 1);
    FAR_UNTIL(kit, &client, client.side->left);
    CHECK(!client.ended && !stream->closed);
    proxy_kit_send(up, "HTTP/1.1 204 No Content\r\n\r\n");
    FAR_UNTIL(kit, &client, stream->closed && client.ended);
    CHECK(strncmp(stream->head, "HTTP/1.1 204 ", 13) == 0);
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_MAX_LIFETIME), 1);
    far_end(&client);
    close(up);
    proxy_kit_free(kit);
}

/* Its requests go elsewhere, those it carries are answered. */
PROXY_TEST(an_upstream_connection_that_has_grown_old_takes_no_more)
{
    struct proxy_kit *kit = started(ABI_PROTOCOL_HTTP2);
    struct far ups[2];
    int clients[2];

    proxy_kit_age(kit, ABI_PROTOCOL_HTTP2, 900);
    for (uint32_t i = 0; i < 2; i++) {
        clients[i] = proxy_kit_client(kit, 0);
        proxy_kit_send(clients[i], "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        ups[i] = far_of(proxy_kit_accept(kit, 0), true);
        FAR_UNTIL(kit, &ups[i], ups[i].side->opened == 1 && ups[i].side->streams[0].ended);
        for (uint64_t until_ns = ring_now_ns(kit->ring) + 1000 * KIT_MS;
             ring_now_ns(kit->ring) < until_ns;) {
            far_turn(kit, &ups[i]);
        }
        CHECK(!ups[i].ended);
    }
    for (uint32_t i = 0; i < 2; i++) {
        CHECK(h2_answer(ups[i].side->session, ups[i].side->streams[0].id,
                        BYTES_LITERAL("HTTP/1.1 204 No Content\r\n\r\n"), true));
        FAR_UNTIL(kit, &ups[i], ups[i].ended);
        (void)proxy_kit_until(kit, clients[i], "\r\n\r\n");
        far_end(&ups[i]);
        close(clients[i]);
    }
    proxy_kit_free(kit);
}

PROXY_TEST(requests_share_one_connection_to_an_upstream)
{
    struct proxy_kit *kit = started(ABI_PROTOCOL_HTTP2);
    struct far up = {.fd = -1};
    int clients[3];

    for (uint32_t i = 0; i < 3; i++) {
        clients[i] = proxy_kit_client(kit, 0);
        proxy_kit_send(clients[i], "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        if (i == 0) {
            up = far_of(proxy_kit_accept(kit, 0), true);
        }
        FAR_UNTIL(kit, &up, up.side->opened == i + 1 && up.side->streams[i].ended);
    }
    CHECK(proxy_kit_is_alone(kit, 0));
    for (uint32_t i = 3; i-- > 0;) {
        up.side->streams[i].send = i == 0 ? "a" : i == 1 ? "b" : "c";
        CHECK(h2_answer(up.side->session, up.side->streams[i].id,
                        BYTES_LITERAL("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n"), false));
        FAR_UNTIL(kit, &up, up.side->streams[i].closed);
        (void)proxy_kit_until(kit, clients[i],
                              i == 0   ? "\r\n\r\na"
                              : i == 1 ? "\r\n\r\nb"
                                       : "\r\n\r\nc");
        close(clients[i]);
    }
    far_end(&up);
    proxy_kit_free(kit);
}

PROXY_TEST(a_call_is_told_of_a_failure_by_a_head_alone)
{
    struct proxy_kit *kit = started(ABI_PROTOCOL_HTTP2);
    struct far client = far_of(proxy_kit_client(kit, 0), false);
    struct kit_stream *stream;

    abi_overlay_set(kit->overlay, 0, ABI_OVERLAY_DOWN);
    stream = far_ask(&client,
                     BYTES_LITERAL("POST /a.B/C HTTP/1.1\r\nhost: a\r\nte: trailers\r\n"
                                   "content-type: application/grpc+proto\r\n\r\n"),
                     "hello");
    FAR_UNTIL(kit, &client, stream->closed);
    CHECK(strstr(stream->head, "grpc-status: 14\r\n") != NULL);
    CHECK(strstr(stream->head, "grpc-message: no healthy upstream\r\n") != NULL);
    CHECK(strstr(stream->head, "content-length") == NULL);
    CHECK(strncmp(stream->head, "HTTP/1.1 200", 12) == 0);
    CHECK_UINT(stream->heads, 1);
    CHECK_UINT(stream->received, 0);
    far_end(&client);
    proxy_kit_free(kit);
}

/* A request is refused once and asked again, with its body; or it is not and gets 502. */
static void check_refused(const char *body, size_t padding, bool again)
{
    struct proxy_kit *kit = started(ABI_PROTOCOL_HTTP2);
    int client = proxy_kit_client(kit, 0);
    struct far up;
    char head[2200];

    (void)snprintf(head, sizeof(head),
                   "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\nx: %0*d\r\n\r\n",
                   strlen(body), (int)padding, 0);
    proxy_kit_send(client, head);
    up = far_of(proxy_kit_accept(kit, 0), true);
    FAR_UNTIL(kit, &up, up.side->opened == 1);
    proxy_kit_send(client, body);
    FAR_UNTIL(kit, &up, up.side->streams[0].ended);
    h2_reset(up.side->session, up.side->streams[0].id, H2_REFUSED_STREAM);
    if (again) {
        FAR_UNTIL(kit, &up, up.side->opened == 2 && up.side->streams[1].ended);
        CHECK_BYTES(bytes_of(up.side->streams[1].body, up.side->streams[1].body_length),
                    bytes_of(up.side->streams[0].body, up.side->streams[0].body_length));
        CHECK_UINT(up.side->streams[1].received, strlen(body));
        CHECK(h2_answer(up.side->session, up.side->streams[1].id,
                        BYTES_LITERAL("HTTP/1.1 204 No Content\r\n\r\n"), true));
        FAR_UNTIL(kit, &up, up.side->streams[1].closed);
    } else {
        FAR_UNTIL(kit, &up, up.side->streams[0].closed);
        CHECK_UINT(up.side->opened, 1);
    }
    CHECK(
        bytes_has_prefix(proxy_kit_until(kit, client, "\r\n\r\n"),
                         again ? BYTES_LITERAL("HTTP/1.1 204 ") : BYTES_LITERAL("HTTP/1.1 502 ")));
    close(client);
    far_end(&up);
    proxy_kit_free(kit);
}

PROXY_TEST(what_an_upstream_did_not_look_at_is_asked_of_it_again)
{
    static char body[LIMIT_REPLAY_DEFAULT + 2];

    check_refused("", 1, true);
    check_refused("once", 1, true);
    memset(body, 'b', 1000);
    body[1000] = '\0';
    check_refused(body, 1, true);
    check_refused(body, 1100, true);
    memset(body, 'b', LIMIT_REPLAY_DEFAULT);
    body[LIMIT_REPLAY_DEFAULT] = '\0';
    check_refused(body, 1, true);
    body[LIMIT_REPLAY_DEFAULT] = 'b';
    check_refused(body, 1, false);
    check_refused("once", 2000, false); /* the head is kept elsewhere */
}
