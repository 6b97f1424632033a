/* Heads, bodies and trailers from one session to another. */
#include "http2/h2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cunit.h"
#include "http2_kit.h"

#define TEXT(literal) bytes_of("" literal, sizeof(literal) - 1)

static struct kit_side *side_of(bool server)
{
    struct kit_side *side = malloc(sizeof(*side));

    MUST(side != NULL);
    kit_open(side, server);
    return side;
}

static void side_end(struct kit_side *side)
{
    kit_close(side);
    free(side);
}

struct pair {
    struct kit_side *client;
    struct kit_side *server;
};

static struct pair pair_open(void)
{
    struct pair pair = {side_of(false), side_of(true)};

    kit_exchange(pair.client, pair.server, SIZE_MAX);
    return pair;
}

static void pair_close(struct pair *pair)
{
    side_end(pair->client);
    side_end(pair->server);
}

static struct kit_stream *ask(struct pair *pair, struct bytes text, const char *body)
{
    struct kit_stream *stream = &pair->client->streams[pair->client->opened++];

    *stream = (struct kit_stream){.used = true, .send = body};
    stream->id = h2_request(pair->client->session, stream, text, body == NULL);
    CHECK(stream->id > 0);
    return stream;
}

/* Asks for `text` as it stands and compares what the server has of it. */
static void check_request(struct bytes text, const char *expected)
{
    struct pair pair = pair_open();

    (void)ask(&pair, text, NULL);
    kit_exchange(pair.client, pair.server, SIZE_MAX);
    CHECK_STRING(pair.server->streams[0].head, expected);
    CHECK(pair.server->streams[0].ended);
    pair_close(&pair);
}

TEST(h2_request_goes_through_as_text)
{
    check_request(TEXT("GET /a?b HTTP/1.1\r\nhost: ex.test\r\nAccept: */*\r\n\r\n"),
                  "GET /a?b HTTP/1.1\r\nhost: ex.test\r\naccept: */*\r\n\r\n");
    check_request(TEXT("OPTIONS * HTTP/1.1\r\nhost: ex.test\r\n\r\n"),
                  "OPTIONS * HTTP/1.1\r\nhost: ex.test\r\n\r\n");
}

TEST(h2_request_leaves_the_fields_of_a_connection_behind)
{
    check_request(TEXT("GET / HTTP/1.1\r\nhost: a\r\nconnection: te, x\r\nkeep-alive: 5\r\n"
                       "proxy-connection: x\r\ntransfer-encoding: chunked\r\nte: trailers\r\n\r\n"),
                  "GET / HTTP/1.1\r\nhost: a\r\nte: trailers\r\n\r\n");
}

TEST(h2_cookies_are_one_field_again)
{
    check_request(TEXT("GET / HTTP/1.1\r\nhost: a\r\ncookie: a=1\r\nx: y\r\ncookie: b=2\r\n\r\n"),
                  "GET / HTTP/1.1\r\nhost: a\r\nx: y\r\ncookie: a=1; b=2\r\n\r\n");
}

TEST(h2_connect_has_an_authority_only)
{
    struct pair pair = pair_open();

    (void)ask(&pair, TEXT("CONNECT a.test:443 HTTP/1.1\r\nhost: a.test:443\r\n\r\n"), "x");
    kit_exchange(pair.client, pair.server, SIZE_MAX);
    CHECK_STRING(pair.server->streams[0].head,
                 "CONNECT a.test:443 HTTP/1.1\r\nhost: a.test:443\r\n\r\n");
    CHECK(!pair.server->streams[0].chunked);
    pair_close(&pair);
}

TEST(h2_websocket_is_an_upgrade_on_both_sides)
{
    struct pair pair = pair_open();
    struct kit_stream *stream =
        ask(&pair,
            TEXT("GET /ws HTTP/1.1\r\nhost: a\r\nsec-websocket-version: 13\r\n"
                 "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nconnection: upgrade\r\n"
                 "upgrade: websocket\r\n\r\n"),
            "x");
    const char *head = pair.server->streams[0].head;

    kit_exchange(pair.client, pair.server, SIZE_MAX);
    CHECK(strncmp(head, "GET /ws HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n", 59) ==
          0);
    CHECK(strstr(head, "sec-websocket-key: ") != NULL);
    CHECK(strstr(head, "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==") == NULL);
    CHECK(strstr(head, "\r\nhost: a\r\nsec-websocket-version: 13\r\n") != NULL);
    CHECK(h2_answer(pair.server->session, pair.server->streams[0].id,
                    TEXT("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n"
                         "connection: upgrade\r\nsec-websocket-accept: x\r\n\r\n"),
                    false));
    kit_exchange(pair.client, pair.server, SIZE_MAX);
    CHECK(strncmp(stream->head, "HTTP/1.1 200 \r\n", 15) == 0);
    CHECK(strstr(stream->head, "sec-websocket-accept") == NULL);
    pair_close(&pair);
}

/* A whole exchange with an interim answer, bodies and trailers both ways, in pieces. */
static void check_exchange(size_t piece)
{
    struct pair pair = {side_of(false), side_of(true)};
    struct kit_stream *client =
        ask(&pair, TEXT("POST /p HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n\r\n"), "question");
    struct kit_stream *server = &pair.server->streams[0];

    client->send_trailers = "x-sum: 8\n";
    kit_exchange(pair.client, pair.server, piece);
    CHECK_STRING(server->head, "POST /p HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n"
                               "transfer-encoding: chunked\r\n\r\n");
    CHECK(server->chunked && server->ended);
    CHECK_STRING(server->body, "question");
    CHECK_STRING(server->trailers, "x-sum: 8\r\n");
    CHECK(
        h2_answer(pair.server->session, server->id, TEXT("HTTP/1.1 100 Continue\r\n\r\n"), false));
    server->send = "answer";
    server->send_trailers = "grpc-status: 0\r\n";
    CHECK(h2_answer(pair.server->session, server->id,
                    TEXT("HTTP/1.1 200 OK\r\ncontent-length: 6\r\nServer: x\r\n\r\n"), false));
    kit_exchange(pair.client, pair.server, piece);
    CHECK(client->heads == 2);
    CHECK_STRING(client->head, "HTTP/1.1 200 \r\ncontent-length: 6\r\nserver: x\r\n\r\n");
    CHECK_STRING(client->body, "answer");
    CHECK_STRING(client->trailers, "grpc-status: 0\r\n");
    CHECK(client->closed && server->closed && client->code == 0 && server->code == 0);
    CHECK(client->finished && server->finished);
    pair_close(&pair);
}

TEST(h2_exchange_in_pieces_of_any_size)
{
    for (size_t piece = 1; piece < 40; piece++) {
        check_exchange(piece);
    }
    check_exchange(SIZE_MAX);
}

/* Every name that is lent, as it is written mostly and with another first, last or middle byte. */
TEST(h2_names_that_most_heads_have_and_those_beside_them)
{
    static const char *const names[] = {
        "Date",          "ETag",           "Vary",           "Server",          "Accept",
        "Cookie",        "User-Agent",     "Set-Cookie",     "Content-Type",    "gRPC-Timeout",
        "Cache-Control", "Last-Modified",  "Content-Length", "X-Forwarded-For", "Accept-Encoding",
        "Content-Coded", "Content-Encode", "Keep-Alivf",     "Upgradf",         "Content-Encoding",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t length = strlen(names[i]);

        for (size_t at = 0; at <= length; at++) {
            struct pair pair = pair_open();
            struct kit_stream *client = ask(&pair, TEXT("GET / HTTP/1.1\r\nhost: a\r\n\r\n"), NULL);
            char name[32], lowered[32], text[128], expected[128];

            memcpy(name, names[i], length + 1);
            if (at < length) { /* another letter */
                name[at] = name[at] == 'x' ? 'y' : 'x';
            }
            for (size_t k = 0; k <= length; k++) {
                lowered[k] = (char)bytes_lower((uint8_t)name[k]);
            }
            (void)snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\n%s: 0\r\n\r\n", name);
            (void)snprintf(expected, sizeof(expected), "HTTP/1.1 200 \r\n%s: 0\r\n\r\n", lowered);
            cunit_context("%s", name);
            kit_exchange(pair.client, pair.server, SIZE_MAX);
            CHECK(h2_answer(pair.server->session, pair.server->streams[0].id,
                            bytes_of(text, strlen(text)), true));
            kit_exchange(pair.client, pair.server, SIZE_MAX);
            CHECK_STRING(client->head, expected);
            pair_close(&pair);
        }
    }
}

/* What the head before says of a body would be believed of the one that has it. */
TEST(h2_interim_heads_have_no_body)
{
    struct pair pair = pair_open();
    struct kit_stream *client = ask(&pair, TEXT("GET / HTTP/1.1\r\nhost: a\r\n\r\n"), NULL);
    struct kit_stream *server = &pair.server->streams[0];

    kit_exchange(pair.client, pair.server, SIZE_MAX);
    CHECK(h2_answer(pair.server->session, server->id,
                    TEXT("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"), false));
    kit_exchange(pair.client, pair.server, SIZE_MAX);
    CHECK_STRING(client->head, "HTTP/1.1 103 \r\nlink: x\r\n\r\n");
    CHECK(!client->chunked);
    server->send = "answer";
    CHECK(h2_answer(pair.server->session, server->id,
                    TEXT("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n"), false));
    kit_exchange(pair.client, pair.server, SIZE_MAX);
    CHECK_STRING(client->head, "HTTP/1.1 200 \r\ncontent-length: 6\r\n\r\n");
    CHECK(!client->chunked);
    CHECK_STRING(client->body, "answer");
    pair_close(&pair);
}

TEST(h2_reset_is_told_with_its_code)
{
    struct pair pair = pair_open();
    struct kit_stream *stream = ask(&pair, TEXT("GET / HTTP/1.1\r\nhost: a\r\n\r\n"), NULL);

    kit_exchange(pair.client, pair.server, SIZE_MAX);
    h2_forget(pair.server->session, stream->id);
    h2_reset(pair.server->session, stream->id, H2_INTERNAL_ERROR);
    kit_exchange(pair.client, pair.server, SIZE_MAX);
    CHECK(stream->closed && stream->code == H2_INTERNAL_ERROR);
    CHECK(!pair.server->streams[0].closed); /* forgotten */
    pair_close(&pair);
}

TEST(h2_leave_serves_what_is_on_its_way)
{
    struct pair pair = pair_open();
    struct kit_stream *stream;

    h2_leave(pair.server->session, false);
    stream = ask(&pair, TEXT("GET / HTTP/1.1\r\nhost: a\r\n\r\n"), NULL);
    kit_exchange(pair.client, pair.server, SIZE_MAX);
    CHECK(pair.client->left && pair.server->opened == 1);
    CHECK(h2_answer(pair.server->session, stream->id, TEXT("HTTP/1.1 204 \r\n\r\n"), true));
    h2_leave(pair.server->session, true);
    kit_exchange(pair.client, pair.server, SIZE_MAX);
    CHECK_STRING(stream->head, "HTTP/1.1 204 \r\n\r\n");
    CHECK(h2_is_over(pair.server->session));
    CHECK(h2_room(pair.client->session) == 0);
    pair_close(&pair);
}

/* What comes between the decision and its frame was not looked at, as the frame will say. */
TEST(h2_streams_behind_the_last_are_refused)
{
    struct pair pair = pair_open();
    struct kit_stream *first = ask(&pair, TEXT("GET /1 HTTP/1.1\r\nhost: a\r\n\r\n"), NULL);
    struct kit_stream *second;

    kit_exchange(pair.client, pair.server, SIZE_MAX);
    second = ask(&pair, TEXT("POST /2 HTTP/1.1\r\nhost: a\r\n\r\n"), NULL);
    h2_leave(pair.server->session, true);
    CHECK(h2_answer(pair.server->session, first->id, TEXT("HTTP/1.1 204 \r\n\r\n"), true));
    (void)h2_send(pair.client->session, SIZE_MAX);
    kit_feed(pair.server, bytes_of(pair.client->out, pair.client->out_length));
    pair.client->out_length = 0;
    CHECK_UINT(pair.server->opened, 1);
    kit_exchange(pair.client, pair.server, SIZE_MAX);
    CHECK_STRING(first->head, "HTTP/1.1 204 \r\n\r\n");
    CHECK(second->closed && second->code == H2_REFUSED_STREAM);
    CHECK_UINT(pair.server->opened, 1);
    pair_close(&pair);
}

/* Until the peer's settings come one request is sent; whoever gives another up must not be asked
 * for its body later. */
TEST(h2_requests_that_wait_can_be_given_up)
{
    struct pair pair = {side_of(false), side_of(true)};
    struct kit_stream *first = ask(&pair, TEXT("GET /1 HTTP/1.1\r\nhost: a\r\n\r\n"), NULL);
    struct kit_stream *second = ask(&pair, TEXT("POST /2 HTTP/1.1\r\nhost: a\r\n\r\n"), "question");
    struct kit_stream *third = ask(&pair, TEXT("GET /3 HTTP/1.1\r\nhost: a\r\n\r\n"), NULL);

    (void)h2_send(pair.client->session, SIZE_MAX);
    kit_feed(pair.server, bytes_of(pair.client->out, pair.client->out_length));
    h2_abandon(pair.client->session, second->id, H2_CANCEL);
    second->send = NULL; /* whoever asks for it crashes */
    kit_exchange(pair.client, pair.server, SIZE_MAX);
    CHECK_UINT(pair.server->opened, 2);
    CHECK_STRING(pair.server->streams[0].head, "GET /1 HTTP/1.1\r\nhost: a\r\n\r\n");
    CHECK_STRING(pair.server->streams[1].head, "GET /3 HTTP/1.1\r\nhost: a\r\n\r\n");
    CHECK(!second->closed && second->sent == 0);
    CHECK(first->id > 0 && third->id > second->id);
    pair_close(&pair);
}

/* --- limits --- */

static uint16_t refusal_of(uint32_t fields, size_t value)
{
    static char text[65536];
    struct pair pair = pair_open();
    size_t at = 0;
    uint16_t refusal;

    memcpy(text, "GET / HTTP/1.1\r\nhost: a\r\n", 25);
    at = 25;
    for (uint32_t i = 0; i < fields; i++) {
        memcpy(text + at, "x: ", 3);
        memset(text + at + 3, 'v', value);
        memcpy(text + at + 3 + value, "\r\n", 2);
        at += 5 + value;
    }
    memcpy(text + at, "\r\n", 2);
    (void)ask(&pair, bytes_of(text, at + 2), NULL);
    kit_exchange(pair.client, pair.server, SIZE_MAX);
    refusal = pair.server->streams[0].refusal;
    CHECK(pair.server->opened == 1 && pair.server->alive);
    (void)ask(&pair, TEXT("GET /next HTTP/1.1\r\nhost: a\r\n\r\n"), NULL);
    kit_exchange(pair.client, pair.server, SIZE_MAX);
    CHECK(strncmp(pair.server->streams[1].head, "GET /next ", 10) == 0); /* its state is whole */
    pair_close(&pair);
    return refusal;
}

TEST(h2_heads_above_a_limit_are_refused)
{
    CHECK(refusal_of(95, 1) == 0);
    CHECK(refusal_of(96, 1) == 0); /* and four pseudo fields */
    CHECK(refusal_of(97, 1) == 431);
    CHECK(refusal_of(150, 1) == 431);
    CHECK(refusal_of(1, 16000) == 0);
    CHECK(refusal_of(1, H2_MAX_HEAD + 300) == 431);
    CHECK(refusal_of(4, 6000) == 431);
}

/* --- memory --- */

TEST(h2_memory_serves_and_forgets_every_size)
{
    struct h2_memory memory;
    void *arena = aligned_alloc(H2_SLAB_SIZE, 8 * H2_SLAB_SIZE);
    static struct {
        uint8_t *at;
        size_t size;
        uint8_t mark;
    } held[512];
    uint64_t random = 99;

    h2_memory_init(&memory, arena, 8 * H2_SLAB_SIZE);
    for (uint32_t round = 0; round < 20000; round++) {
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        uint32_t slot = (uint32_t)(random >> 33) % 512;
        size_t size = 1 + (random >> 45) % 3000;

        if (held[slot].at != NULL) {
            for (size_t i = 0; i < held[slot].size; i++) {
                MUST(held[slot].at[i] == held[slot].mark);
            }
            h2_memory_give(&memory, held[slot].at);
            held[slot].at = NULL;
            continue;
        }
        held[slot].at = h2_memory_take(&memory, size);
        held[slot].size = size;
        held[slot].mark = (uint8_t)round;
        if (held[slot].at != NULL) {
            memset(held[slot].at, (uint8_t)round, size);
        }
    }
    for (uint32_t i = 0; i < 512; i++) {
        h2_memory_give(&memory, held[i].at);
        held[i].at = NULL;
    }
    CHECK(memory.used == 0);
    for (uint32_t i = 0; i < 8; i++) { /* nothing is left over from the other sizes */
        CHECK(h2_memory_take(&memory, 65536) != NULL);
    }
    CHECK(h2_memory_take(&memory, 1) == NULL);
    CHECK(h2_memory_take(&memory, 65537) == NULL);
    free(arena);
}

TEST(h2_memory_resize_keeps_the_bytes)
{
    struct h2_memory memory;
    void *arena = aligned_alloc(H2_SLAB_SIZE, 8 * H2_SLAB_SIZE);
    uint8_t *object;

    h2_memory_init(&memory, arena, 8 * H2_SLAB_SIZE);
    object = h2_memory_resize(&memory, NULL, 10);
    memcpy(object, "0123456789", 10);
    for (size_t size = 11; size <= 65536; size = size * 3 / 2) {
        object = h2_memory_resize(&memory, object, size);
        MUST(object != NULL && memcmp(object, "0123456789", 10) == 0);
    }
    h2_memory_give(&memory, object);
    CHECK(memory.used == 0);
    free(arena);
}
