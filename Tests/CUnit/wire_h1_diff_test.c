/* The head parser against the reference reader, on good heads with seeded damage, and its answers
 * on every prefix. */
#include <string.h>

#include "base/err.h"
#include "cunit.h"
#include "h1_reference.h"
#include "wire/h1.h"

static const char *const requests[] = {
    "GET / HTTP/1.1\r\nHost: ex.test\r\n\r\n",
    "\r\nGET /p?q=1 HTTP/1.1\r\nHost: ex.test:80\r\nConnection: close, X-A, te\r\nTE: trailers\r\n"
    "X-A: 1\r\nx-a:2\r\n\r\n",
    "POST /a/b HTTP/1.1\r\nhost: [2001:db8::1]:8080\r\nContent-Length: 10\r\n"
    "Expect: 100-continue\r\nX_Real_Ip: 1\r\nX-Real-IP: 2\r\n\r\n0123456789",
    "PUT http://a.test/x?y HTTP/1.1\r\nHost: b.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\nProxy-Authorization: x\r\n\r\n",
    "OPTIONS * HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: x\r\n\r\n",
    "DELETE /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "GET /long/path/with/many/segments HTTP/1.1\r\nHost: www.example.test\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\nAccept: */*\r\n"
    "Accept-Encoding: gzip, deflate, br\r\nCookie: session=0123456789abcdef; theme=dark\r\n"
    "X-Forwarded-For: 10.0.0.1\r\nForwarded: for=10.0.0.1\r\nVia: 1.1 x\r\n\r\n",
};

static const char *const responses[] = {
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: x\r\n"
    "Content-Type: text/html; charset=utf-8\r\nTransfer-Encoding: chunked\r\n"
    "Connection: keep-alive\r\n\r\n0\r\n\r\n",
    "HTTP/1.0 200\r\nConnection: Keep-Alive, X-H\r\nX-H: 1\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "HTTP/1.1 304 \r\nContent-Length: 100\r\nETag: \"x\"\r\n\r\n",
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
};

static const char *const splices[] = {
    "\r\n",
    "\n",
    "\r",
    " ",
    "\t",
    ":",
    ",",
    "\r\n ",
    "\r\n\r\n",
    "Host: b\r\n",
    "\x80",
    "chunked",
    "close",
    "HTTP/1.1",
    "HTTP/1.0",
    "0",
    "5",
    "http://",
    "?",
    "#",
    "*",
    "_",
    ".",
    "Content-Length: 3\r\n",
    "upgrade",
    "x-a",
    "[::1]",
    "@",
    "Transfer-Encoding: chunked\r\n",
    "Connection: x-a\r\n",
    "Connection: host, via, x-real-ip\r\n",
    "TE",
    "\x7f",
    "/",
    "Expect: y\r\n",
};
#define COUNT(array) (uint32_t)(sizeof(array) / sizeof((array)[0]))

static char work[4096];

static void remove_at(size_t *len, size_t at, size_t count)
{
    memmove(work + at, work + at + count, *len - at - count);
    *len -= count;
}

static void insert_at(size_t *len, size_t at, const char *what, size_t count)
{
    memmove(work + at + count, work + at, *len - at);
    memcpy(work + at, what, count);
    *len += count;
}

/* One to three random changes. */
static struct bytes damaged(const char *text)
{
    size_t len = strlen(text);
    uint32_t changes = 1 + cunit_random_below(3);

    memcpy(work, text, len);
    for (uint32_t i = 0; i < changes && len > 0; i++) {
        size_t at = cunit_random_below((uint32_t)len);
        const char *splice = splices[cunit_random_below(COUNT(splices))];
        size_t part = cunit_random_below(8) + 1;

        switch (cunit_random_below(6)) {
        case 0:
            work[at] = (char)cunit_random();
            break;
        case 1:
            work[at] = (char)(work[at] ^ 0x20);
            break;
        case 2:
            remove_at(&len, at, part < len - at ? part : len - at);
            break;
        case 3: { /* a piece of itself elsewhere */
            char piece[64];
            size_t from = cunit_random_below((uint32_t)len);
            size_t count = cunit_random_below(64);

            count = count < len - from ? count : len - from;
            memcpy(piece, work + from, count);
            insert_at(&len, at, piece, count);
            break;
        }
        default:
            insert_at(&len, at, splice, strlen(splice));
            break;
        }
    }
    return bytes_of(work, len);
}

TEST(requests_agree_with_the_reference)
{
    uint32_t accepted = 0;

    for (uint32_t round = 0; round < 150000; round++) {
        struct bytes in = cunit_guarded(damaged(requests[round % COUNT(requests)]));
        const char *why = "";
        struct h1_head head;

        cunit_context("round %u: %.*s", round, (int)in.len, (const char *)in.ptr);
        if (!CHECK(reference_agrees_on_request(in, &why))) {
            CHECK_STRING(why, "");
        }
        accepted += h1_parse_request(in, &head) > 0;
        cunit_unguard(in.ptr);
    }
    CHECK(accepted > 15000 && accepted < 135000); /* the damage is neither nothing nor all */
}

TEST(responses_agree_with_the_reference)
{
    static const char *const methods[] = {"GET", "HEAD", "CONNECT", "POST"};
    uint32_t accepted = 0;

    for (uint32_t round = 0; round < 100000; round++) {
        struct bytes in = cunit_guarded(damaged(responses[round % COUNT(responses)]));
        struct bytes method = cunit_text(methods[cunit_random_below(4)]);
        const char *why = "";
        struct h1_head head;

        cunit_context("round %u: %.*s", round, (int)in.len, (const char *)in.ptr);
        if (!CHECK(reference_agrees_on_response(in, method, &why))) {
            CHECK_STRING(why, "");
        }
        accepted += h1_parse_response(in, h1_method_of(method), &head) > 0;
        cunit_unguard(in.ptr);
    }
    CHECK(accepted > 10000 && accepted < 90000);
}

TEST(the_undamaged_ones_agree_too)
{
    const char *why = "";

    for (uint32_t i = 0; i < COUNT(requests); i++) {
        CHECK(reference_agrees_on_request(cunit_guarded(cunit_text(requests[i])), &why));
    }
    for (uint32_t i = 0; i < COUNT(responses); i++) {
        CHECK(reference_agrees_on_response(cunit_guarded(cunit_text(responses[i])),
                                           BYTES_LITERAL("GET"), &why));
    }
}

/* A prefix of a good head asks for more, wherever it ends; bytes behind it change nothing. */
TEST(every_prefix_of_a_good_request_asks_for_more)
{
    for (uint32_t i = 0; i < COUNT(requests); i++) {
        struct bytes whole = cunit_text(requests[i]);
        struct h1_head head;
        int length = h1_parse_request(whole, &head);

        for (size_t len = 0; len <= whole.len && length > 0; len++) {
            struct bytes in = cunit_guarded(bytes_part(whole, 0, len));

            CHECK_INT(h1_parse_request(in, &head), (int)len < length ? 0 : length);
            cunit_unguard(in.ptr);
            in = cunit_guarded_start(bytes_part(whole, 0, len));
            CHECK_INT(h1_parse_request(in, &head), (int)len < length ? 0 : length);
            cunit_unguard(in.ptr);
        }
    }
}

TEST(every_prefix_of_a_good_response_asks_for_more)
{
    for (uint32_t i = 0; i < COUNT(responses); i++) {
        struct bytes whole = cunit_text(responses[i]);
        struct h1_head head;
        int length = h1_parse_response(whole, H1_METHOD_GET, &head);

        CHECK(length > 0);
        for (size_t len = 0; len <= whole.len; len++) {
            struct bytes in = cunit_guarded(bytes_part(whole, 0, len));

            CHECK_INT(h1_parse_response(in, H1_METHOD_GET, &head), (int)len < length ? 0 : length);
            cunit_unguard(in.ptr);
        }
    }
}

/* What is refused stays refused whatever follows: an early verdict is never taken back. */
TEST(a_refusal_is_final)
{
    for (uint32_t round = 0; round < 20000; round++) {
        struct bytes in = damaged(requests[round % COUNT(requests)]);
        bool refused = false;

        for (size_t len = 0; len <= in.len; len++) {
            struct h1_head head;
            int result = h1_parse_request(bytes_part(in, 0, len), &head);

            CHECK(!refused || result < 0);
            refused = result < 0;
            if (result > 0) {
                break;
            }
        }
    }
}
