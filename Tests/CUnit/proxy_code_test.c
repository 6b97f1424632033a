/* Answers that are coded on their way: what the client gets of them, and which are left alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "decompress_kit.h"
#include "proxy_kit.h"

#define BODY_SIZE 3000u

static char body[BODY_SIZE + 1];

static void fill_body(void)
{
    for (uint32_t i = 0; i < BODY_SIZE; i++) {
        body[i] = "ring mesh "[i % 10];
    }
}

/* zstd before br before gzip, of text/html and text/plain, from 100 bytes on. */
static struct proxy_kit *started(void)
{
    struct proxy_kit *kit = proxy_kit_new();
    uint32_t web = proxy_kit_target(kit, "web", 1);
    struct abi_text types[] = {snapshot_builder_text(kit->builder, "text/html"),
                               snapshot_builder_text(kit->builder, "text/plain")};
    struct abi_compression compression = {
        .types = {0, 2},
        .min_length = 100,
        .coding_count = 3,
        .codings = {ABI_CODING_ZSTD, ABI_CODING_BROTLI, ABI_CODING_GZIP},
        .levels = {[ABI_CODING_GZIP] = 5, [ABI_CODING_BROTLI] = 4, [ABI_CODING_ZSTD] = 3},
    };

    fill_body();
    proxy_kit_l7(kit, snapshot_builder_forward(kit->builder, web));
    snapshot_builder_add(kit->builder, ABI_SECTION_MEDIA_TYPE, &types[0]);
    snapshot_builder_add(kit->builder, ABI_SECTION_MEDIA_TYPE, &types[1]);
    proxy_kit_listener(kit, 0)->compression =
        snapshot_builder_add(kit->builder, ABI_SECTION_COMPRESSION, &compression);
    proxy_kit_start(kit);
    return kit;
}

static bool has(struct bytes text, const char *part)
{
    return text.len > 0 && memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

/* One exchange on connections of its own: the head that the client got, and its body in *rest. The
 * upstream closes its connection at the end. Both live until the next call. */
static struct bytes exchange(struct proxy_kit *kit, const char *request, const char *answer,
                             const char *content, struct bytes *rest)
{
    static uint8_t kept[65536];
    int client = proxy_kit_client(kit, 0);
    int up;
    struct bytes all;
    const uint8_t *end;

    proxy_kit_send(client, request);
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, answer);
    proxy_kit_send(up, content);
    proxy_kit_settle(kit);
    close(up);
    all = proxy_kit_rest(kit, client, NULL);
    close(client);
    CHECK(all.len <= sizeof(kept));
    memcpy(kept, all.ptr, all.len);
    end = memmem(kept, all.len, "\r\n\r\n", 4);
    if (!CHECK(end != NULL)) {
        *rest = bytes_of(NULL, 0);
        return bytes_of(NULL, 0);
    }
    *rest = bytes_of(end + 4, all.len - (size_t)(end + 4 - kept));
    return bytes_of(kept, (size_t)(end + 2 - kept));
}

/* The data of a chunked body, in place. */
static struct bytes unchunked(struct bytes in)
{
    uint8_t *to = (uint8_t *)(uintptr_t)in.ptr;
    size_t length = 0;

    for (;;) {
        char *end;
        unsigned long size = strtoul((const char *)in.ptr, &end, 16);
        size_t line = (size_t)(end - (const char *)in.ptr) + 2;

        if (!CHECK(line + size + 2 <= in.len) || size == 0) {
            CHECK_UINT(in.len, line + 2); /* the last chunk, then nothing */
            return bytes_of(to, length);
        }
        memmove(to + length, in.ptr + line, size);
        length += size;
        in = bytes_from(in, line + size + 2);
    }
}

static void check_body(enum compress_coding coding, struct bytes coded, const char *expected)
{
    static uint8_t out[65536];
    struct decompress *decoder = decompress_start(coding);
    size_t length = decompress_run(decoder, coded, out, sizeof(out));

    CHECK(length <= sizeof(out) && decompress_end(decoder));
    CHECK_TEXT(bytes_of(out, length <= sizeof(out) ? length : 0), expected);
}

static const struct {
    const char *accepted;
    enum compress_coding coding;
    const char *name;
} codings[] = {
    {"gzip", COMPRESS_GZIP, "content-encoding: gzip\r\n"},
    {"gzip, br", COMPRESS_BROTLI, "content-encoding: br\r\n"},
    {"gzip, deflate, br, zstd", COMPRESS_ZSTD, "content-encoding: zstd\r\n"},
};

PROXY_TEST(answers_are_coded_for_clients_that_take_it)
{
    static const char *const framings[] = {"content-length: 3000\r\n", "connection: close\r\n"};
    struct proxy_kit *kit = started();
    char request[200];
    char answer[300];
    struct bytes rest;

    for (size_t i = 0; i < sizeof(codings) / sizeof(codings[0]); i++) {
        for (size_t f = 0; f < 2; f++) {
            cunit_context("%s, %s", codings[i].accepted, framings[f]);
            snprintf(
                request, sizeof(request),
                "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\naccept-encoding: %s\r\n\r\n",
                codings[i].accepted);
            snprintf(answer, sizeof(answer),
                     "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\n"
                     "etag: \"abc\"\r\naccept-ranges: bytes\r\n%s\r\n",
                     framings[f]);
            struct bytes head = exchange(kit, request, answer, body, &rest);

            CHECK(has(head, codings[i].name) && has(head, "vary: accept-encoding\r\n"));
            CHECK(has(head, "transfer-encoding: chunked\r\n"));
            CHECK(!has(head, "content-length") && !has(head, "accept-ranges"));
            CHECK(has(head, "etag: W/\"abc\"\r\n") && !has(head, "etag: \"abc\""));
            struct bytes coded = unchunked(rest);

            CHECK(coded.len < BODY_SIZE / 4);
            check_body(codings[i].coding, coded, body);
        }
    }
    proxy_kit_free(kit);
}

/* An answer's fields, and whether it is coded and says that it varies. */
static const struct {
    const char *what;
    const char *request;
    const char *fields;
    bool coded;
    bool varies;
} cases[] = {
    {"plain text", "GET", "content-type: text/plain\r\n", true, true},
    {"a weak tag", "GET", "content-type: text/plain\r\netag: W/\"x\"\r\n", true, true},
    {"an error", "POST", "content-type: text/plain\r\n", true, true},
    {"varies already", "GET", "content-type: text/html\r\nvary: cookie, Accept-Encoding\r\n", true,
     false},
    {"varies with everything", "GET", "content-type: text/html\r\nvary: *\r\n", true, false},
    {"HEAD", "HEAD", "content-type: text/html\r\n", false, true},
    {"another type", "GET", "content-type: text/css\r\n", false, false},
    {"no type", "GET", "", false, false},
    {"two types", "GET", "content-type: text/html\r\ncontent-type: text/html\r\n", false, false},
    {"coded already", "GET", "content-type: text/html\r\ncontent-encoding: br\r\n", false, false},
    {"coded as identity", "GET", "content-type: text/html\r\ncontent-encoding: identity\r\n", false,
     false},
    {"must not be changed", "GET",
     "content-type: text/html\r\ncache-control: public, No-Transform\r\n", false, false},
    {"a part", "GET", "content-type: text/html\r\ncontent-range: bytes 0-2999/9000\r\n", false,
     false},
    {"with its sum", "GET", "content-type: text/html\r\nrepr-digest: sha-256=:AA==:\r\n", false,
     false},
};

PROXY_TEST(some_answers_are_left_alone)
{
    struct proxy_kit *kit = started();
    char request[200];
    char answer[300];
    struct bytes rest;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool bodyless = strcmp(cases[i].request, "HEAD") == 0;

        cunit_context("%s", cases[i].what);
        snprintf(request, sizeof(request),
                 "%s / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\nconnection: close\r\n"
                 "accept-encoding: gzip\r\n\r\n",
                 cases[i].request);
        snprintf(answer, sizeof(answer), "HTTP/1.1 %s\r\ncontent-length: 3000\r\n%s\r\n",
                 strcmp(cases[i].request, "POST") == 0 ? "500 Oh" : "200 OK", cases[i].fields);
        struct bytes head = exchange(kit, request, answer, bodyless ? "" : body, &rest);

        CHECK_INT(has(head, "content-encoding: gzip\r\n"), cases[i].coded);
        CHECK_INT(has(head, "vary: accept-encoding\r\n"), cases[i].varies);
        CHECK_INT(has(head, "content-length: 3000\r\n"), !cases[i].coded);
        if (cases[i].coded) {
            check_body(COMPRESS_GZIP, unchunked(rest), body);
        } else {
            CHECK_TEXT(rest, bodyless ? "" : body);
        }
    }
    proxy_kit_free(kit);
}

static const struct {
    const char *what;
    const char *request;
    const char *answer;
    const char *content;
} plain[] = {
    {"nothing is wished", "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
     "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 120\r\n\r\n", NULL},
    {"identity is wished more",
     "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n"
     "accept-encoding: gzip;q=0.5\r\naccept-encoding: identity\r\n\r\n",
     "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 120\r\n\r\n", NULL},
    {"a short body",
     "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\naccept-encoding: gzip\r\n\r\n",
     "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 5\r\n\r\n", "short"},
    {"HTTP/1.0", "GET / HTTP/1.0\r\nhost: a\r\naccept-encoding: gzip\r\n\r\n",
     "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 120\r\n\r\n", NULL},
    {"206", "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\naccept-encoding: gzip\r\n\r\n",
     "HTTP/1.1 206 Part\r\ncontent-type: text/html\r\ncontent-length: 120\r\n\r\n", NULL},
};

PROXY_TEST(bodies_that_go_as_they_came)
{
    struct proxy_kit *kit = started();
    char content[121];
    struct bytes rest;

    snprintf(content, sizeof(content), "%s", body);
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        const char *sent = plain[i].content != NULL ? plain[i].content : content;
        struct bytes head = exchange(kit, plain[i].request, plain[i].answer, sent, &rest);

        cunit_context("%s", plain[i].what);
        CHECK(!has(head, "content-encoding") && has(head, "content-length: "));
        CHECK_TEXT(rest, sent);
    }
    proxy_kit_free(kit);
}

/* Each event can be read before the next one is sent. */
PROXY_TEST(events_are_not_kept_back)
{
    struct proxy_kit *kit = started();
    int client = proxy_kit_client(kit, 0);
    int up;
    struct decompress *decoder = decompress_start(COMPRESS_GZIP);
    uint8_t out[100];

    proxy_kit_send(client, "GET / HTTP/1.1\r\nhost: a\r\naccept-encoding: gzip\r\n\r\n");
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"
                       "transfer-encoding: chunked\r\n\r\n");
    (void)proxy_kit_until(kit, client, "\r\n\r\n");
    for (int i = 0; i < 5; i++) {
        proxy_kit_send(up, "6\r\nevent\n\r\n");
        struct bytes line = proxy_kit_until(kit, client, "\r\n");
        unsigned long size = strtoul((const char *)line.ptr, NULL, 16);
        struct bytes chunk = proxy_kit_until(kit, client, "\r\n"); /* gzip of this has no CRLF */

        CHECK_UINT(chunk.len, size + 2);
        size_t length =
            decompress_run(decoder, bytes_part(chunk, 0, chunk.len - 2), out, sizeof(out));

        CHECK_TEXT(bytes_of(out, length <= sizeof(out) ? length : 0), "event\n");
    }
    /* An upstream that dies in the middle: the client must see that it is not whole. */
    close(up);
    struct bytes rest = proxy_kit_rest(kit, client, NULL);

    CHECK(!has(rest, "0\r\n\r\n"));
    CHECK(!decompress_end(decoder));
    close(client);
    proxy_kit_free(kit);
}

PROXY_TEST(more_at_a_time_than_there_is_memory_for_go_plain)
{
    struct proxy_kit *kit = started();
    int clients[3];
    int ups[3];

    kit->proxy->coders.capacity = 2;
    for (int i = 0; i < 3; i++) {
        clients[i] = proxy_kit_client(kit, 0);
        proxy_kit_send(clients[i], "GET / HTTP/1.1\r\nhost: a\r\naccept-encoding: br\r\n\r\n");
        ups[i] = proxy_kit_accept(kit, 0);
        (void)proxy_kit_until(kit, ups[i], "\r\n\r\n");
        proxy_kit_send(ups[i], "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"
                               "content-length: 3000\r\n\r\n");
        struct bytes head = proxy_kit_until(kit, clients[i], "\r\n\r\n");

        CHECK_INT(has(head, "content-encoding: br\r\n"), i < 2);
        CHECK(has(head, "vary: accept-encoding\r\n"));
    }
    close(clients[0]);
    close(ups[0]);
    proxy_kit_settle(kit); /* its memory is there again */
    CHECK_UINT(kit->proxy->coders.used, 1);
    for (int i = 1; i < 3; i++) {
        close(ups[i]);
        close(clients[i]);
    }
    proxy_kit_free(kit);
}
