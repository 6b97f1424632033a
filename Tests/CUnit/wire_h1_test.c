/* Heads, one rule at a time: just inside, just outside. */
#include "wire/h1.h"

#include <string.h>

#include "base/err.h"
#include "cunit.h"

#define HOST "Host: ex.test\r\n"

static struct h1_head head;

/* The result for a text beside unreadable pages; *start is where it lies. */
static int request_at(const char *text, const uint8_t **start)
{
    struct bytes in = cunit_guarded(cunit_text(text));

    memset(&head, 0x5a, sizeof(head));
    cunit_context("%s", text);
    *start = in.ptr;
    return h1_parse_request(in, &head);
}

static int request(const char *text)
{
    const uint8_t *start;
    int result = request_at(text, &start);

    cunit_unguard(start);
    return result;
}

static int response(const char *text, enum h1_method method)
{
    struct bytes in = cunit_guarded(cunit_text(text));
    int result;

    memset(&head, 0x5a, sizeof(head));
    cunit_context("%s", text);
    result = h1_parse_response(in, method, &head);
    cunit_unguard(in.ptr);
    return result;
}

/* A request with these fields after Host. */
static int fields(const char *lines)
{
    char text[1024] = "POST /p HTTP/1.1\r\n" HOST;

    strcat(text, lines);
    strcat(text, "\r\n");
    return request(text);
}

static bool accepted(int result)
{
    return result > 0 && (uint32_t)result == head.length;
}

TEST(a_whole_request)
{
    const uint8_t *start;
    const char *text = "\r\nPUT /a/b?x=1&y HTTP/1.1\r\nHost: ex.test:8080\r\nX-Empty:\r\n"
                       "x-spaced: \t a b \t\r\nContent-Length: 5\r\nCookie: a=1; b=2\r\n\r\nhello";
    int result = request_at(text, &start);

    CHECK_UINT(result, strlen(text) - 5);
    CHECK_INT(head.method, H1_METHOD_PUT);
    CHECK_TEXT(h1_slice(start, head.method_name), "PUT");
    CHECK_INT(head.form, H1_FORM_ORIGIN);
    CHECK_TEXT(h1_slice(start, head.target), "/a/b?x=1&y");
    CHECK_TEXT(h1_slice(start, head.path), "/a/b");
    CHECK(head.has_query);
    CHECK_TEXT(h1_slice(start, head.query), "x=1&y");
    CHECK_TEXT(h1_slice(start, head.authority), "ex.test:8080");
    CHECK_INT(head.minor, 1);
    CHECK_INT(head.framing, H1_FRAMING_LENGTH);
    CHECK_UINT(head.content_length, 5);
    CHECK_INT(head.flags, H1_KEEP_ALIVE);
    CHECK_UINT(head.fields_at, 27);
    CHECK_UINT(head.field_count, 5);
    CHECK_TEXT(h1_name(start, &head.fields[1]), "X-Empty");
    CHECK_TEXT(h1_value(start, &head.fields[1]), "");
    CHECK_INT(head.fields[1].flags, 0);
    CHECK_TEXT(h1_value(start, &head.fields[2]), "a b");
    CHECK_INT(head.fields[2].flags, 0);
    CHECK_INT(head.fields[4].id, HDR_COOKIE);
    CHECK_INT(head.fields[4].flags, H1_FIELD_CANONICAL);
    CHECK(h1_find(&head, HDR_CONTENT_LENGTH) == &head.fields[3]);
    CHECK(h1_find(&head, HDR_EXPECT) == NULL);
    CHECK_UINT(head.ids, 1u << HDR_HOST | 1u << HDR_CONTENT_LENGTH | 1u << HDR_COOKIE);
}

TEST(a_whole_response)
{
    const char *text = "HTTP/1.1 404 Not  Found\xe9\r\nContent-Length: 0\r\nServer: x\r\n\r\n";
    struct bytes in = cunit_guarded(cunit_text(text));

    CHECK_UINT(h1_parse_response(in, H1_METHOD_GET, &head), in.len);
    CHECK_INT(head.status, 404);
    CHECK_TEXT(h1_slice(in.ptr, head.reason), "Not  Found\xe9");
    CHECK_INT(head.framing, H1_FRAMING_LENGTH);
    CHECK_UINT(head.content_length, 0);
    CHECK_INT(head.flags, H1_KEEP_ALIVE);
    CHECK_UINT(head.field_count, 2);
    CHECK_UINT(head.method_name.len, 0);
}

TEST(methods)
{
    static const char *const names[] = {"?",      "GET",     "HEAD",    "POST",  "PUT",
                                        "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"};

    for (int i = 1; i < H1_METHOD_COUNT; i++) {
        CHECK_INT(h1_method_of(cunit_guarded(cunit_text(names[i]))), i);
    }
    CHECK_INT(h1_method_of(BYTES_LITERAL("get")), H1_METHOD_OTHER);
    CHECK_INT(h1_method_of(BYTES_LITERAL("GETS")), H1_METHOD_OTHER);
    CHECK_INT(h1_method_of(BYTES_LITERAL("PURGE")), H1_METHOD_OTHER);
    CHECK_INT(h1_method_of(bytes_of(NULL, 0)), H1_METHOD_OTHER);
    CHECK(h1_is_idempotent(H1_METHOD_PUT));
    CHECK(h1_is_idempotent(H1_METHOD_OPTIONS));
    CHECK(!h1_is_idempotent(H1_METHOD_POST));
    CHECK(!h1_is_idempotent(H1_METHOD_PATCH));
    CHECK(!h1_is_idempotent(H1_METHOD_CONNECT));
    CHECK(!h1_is_idempotent(H1_METHOD_OTHER));
    CHECK(accepted(request("PURGEX /p HTTP/1.1\r\n" HOST "\r\n")));
    CHECK_INT(head.method, H1_METHOD_OTHER);
    CHECK_INT(request("G\x80T /p HTTP/1.1\r\n" HOST "\r\n"), MESH_E_SYNTAX);
    CHECK_INT(request(" GET /p HTTP/1.1\r\n" HOST "\r\n"), MESH_E_SYNTAX);
}

TEST(target_forms)
{
    const uint8_t *start;

    CHECK(accepted(request_at("GET http://a.test/p?q HTTP/1.1\r\nHost: b.test\r\n\r\n", &start)));
    CHECK_INT(head.form, H1_FORM_ABSOLUTE);
    CHECK_TEXT(h1_slice(start, head.authority), "a.test");
    CHECK_TEXT(h1_slice(start, head.path), "/p");
    CHECK_TEXT(h1_slice(start, head.query), "q");
    CHECK(accepted(request_at("GET HTTPS://a.test:1?q HTTP/1.1\r\nHost: b.test\r\n\r\n", &start)));
    CHECK_TEXT(h1_slice(start, head.authority), "a.test:1");
    CHECK_TEXT(h1_slice(start, head.path), "");
    CHECK_TEXT(h1_slice(start, head.query), "q");
    CHECK(accepted(request_at("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n", &start)));
    CHECK_INT(head.form, H1_FORM_AUTHORITY);
    CHECK_TEXT(h1_slice(start, head.authority), "a.test:443");
    CHECK_UINT(head.path.len, 0);
    CHECK(accepted(request_at("OPTIONS * HTTP/1.1\r\n" HOST "\r\n", &start)));
    CHECK_INT(head.form, H1_FORM_ASTERISK);
    CHECK_UINT(head.path.len, 0);
    CHECK_TEXT(h1_slice(start, head.authority), "ex.test");
    CHECK(accepted(request_at("GET /? HTTP/1.1\r\n" HOST "\r\n", &start)));
    CHECK(head.has_query);
    CHECK_UINT(head.query.len, 0);
    CHECK(accepted(request("GET /?a?b HTTP/1.1\r\n" HOST "\r\n")));
}

TEST(targets_refused)
{
    CHECK_INT(request("GET * HTTP/1.1\r\n" HOST "\r\n"), MESH_E_SYNTAX);
    CHECK_INT(request("OPTIONS ** HTTP/1.1\r\n" HOST "\r\n"), MESH_E_SYNTAX);
    CHECK_INT(request("GET p HTTP/1.1\r\n" HOST "\r\n"), MESH_E_SYNTAX);
    CHECK_INT(request("GET ftp://ex.test/ HTTP/1.1\r\n" HOST "\r\n"), MESH_E_SYNTAX);
    CHECK_INT(request("GET http:// HTTP/1.1\r\n" HOST "\r\n"), MESH_E_SYNTAX);
    CHECK_INT(request("GET http:///p HTTP/1.1\r\n" HOST "\r\n"), MESH_E_SYNTAX);
    CHECK_INT(request("GET http://u@ex.test/p HTTP/1.1\r\n" HOST "\r\n"), MESH_E_SYNTAX);
    CHECK_INT(request("GET http://ex.test:0/p HTTP/1.1\r\n" HOST "\r\n"), MESH_E_SYNTAX);
    CHECK_INT(request("CONNECT ex.test HTTP/1.1\r\n" HOST "\r\n"), MESH_E_SYNTAX);
    CHECK_INT(request("CONNECT ex.test: HTTP/1.1\r\n" HOST "\r\n"), MESH_E_SYNTAX);
    CHECK_INT(request("CONNECT /p HTTP/1.1\r\n" HOST "\r\n"), MESH_E_SYNTAX);
    CHECK_INT(request("GET /p#f HTTP/1.1\r\n" HOST "\r\n"), MESH_E_SYNTAX);
    CHECK_INT(request("GET /p?q#f HTTP/1.1\r\n" HOST "\r\n"), MESH_E_SYNTAX);
    CHECK_INT(request("GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n"), MESH_E_SYNTAX);
    CHECK_INT(request("GET /p?\x7f HTTP/1.1\r\n" HOST "\r\n"), MESH_E_SYNTAX);
    CHECK_INT(request("GET /p\t HTTP/1.1\r\n" HOST "\r\n"), MESH_E_SYNTAX);
    CHECK_INT(request("GET /p  HTTP/1.1\r\n" HOST "\r\n"), MESH_E_SYNTAX);
    CHECK_INT(request("GET /p\r\n\r\n"), MESH_E_SYNTAX);
}

TEST(versions)
{
    CHECK(accepted(request("GET / HTTP/1.0\r\n\r\n")));
    CHECK_INT(head.minor, 0);
    CHECK_INT(head.flags, 0);
    CHECK_UINT(head.authority.len, 0);
    CHECK(accepted(request("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")));
    CHECK_INT(head.flags, H1_KEEP_ALIVE);
    CHECK_INT(request("GET / HTTP/1.2\r\n" HOST "\r\n"), MESH_E_VERSION);
    CHECK_INT(request("GET / HTTP/0.9\r\n" HOST "\r\n"), MESH_E_VERSION);
    CHECK_INT(request("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), MESH_E_VERSION);
    CHECK_INT(request("GET / HTTP/1.10\r\n" HOST "\r\n"), MESH_E_SYNTAX);
    CHECK_INT(request("GET / http/1.1\r\n" HOST "\r\n"), MESH_E_SYNTAX);
    CHECK_INT(request("GET / HTTP/1.1 \r\n" HOST "\r\n"), MESH_E_SYNTAX);
    CHECK_INT(request("GET / HTTP/1.1\rX" HOST "\r\n"), MESH_E_SYNTAX);
    CHECK_INT(request("GET / HTTP/x"), MESH_E_SYNTAX);
    CHECK_INT(response("HTTP/1.2 200 OK\r\n\r\n", H1_METHOD_GET), MESH_E_VERSION);
    CHECK_INT(response("HTTP/2.0 200 OK\r\n\r\n", H1_METHOD_GET), MESH_E_VERSION);
    CHECK_INT(response("\r\nHTTP/1.1 200 OK\r\n\r\n", H1_METHOD_GET), MESH_E_SYNTAX);
}

TEST(field_lines_refused)
{
    CHECK_INT(fields("X-A : v\r\n"), MESH_E_SYNTAX);
    CHECK_INT(fields(": v\r\n"), MESH_E_SYNTAX);
    CHECK_INT(fields("X-A\r\n"), MESH_E_SYNTAX);
    CHECK_INT(fields("X-A: v\r\n w\r\n"), MESH_E_SYNTAX);
    CHECK_INT(fields("X-A: v\r\n\tw\r\n"), MESH_E_SYNTAX);
    CHECK_INT(fields("X-A: v\rw\r\n"), MESH_E_SYNTAX);
    CHECK_INT(fields("X-A: v\n"), MESH_E_SYNTAX);
    CHECK_INT(fields("X-A: v\x01\r\n"), MESH_E_SYNTAX);
    CHECK_INT(fields("X-A: v\x7f\r\n"), MESH_E_SYNTAX);
    CHECK_INT(fields("X\xc3\xa9: v\r\n"), MESH_E_SYNTAX);
    CHECK_INT(fields("X A: v\r\n"), MESH_E_SYNTAX);
    CHECK_INT(fields("X/A: v\r\n"), MESH_E_SYNTAX);
    CHECK(accepted(fields("X-A: caf\xe9\xff\t\x80\r\n")));
    CHECK(accepted(fields("!#$%&'*+-.^_`|~9aZ: v\r\n")));
}

TEST(host_rules)
{
    static const char *const good[] = {"ex.test",   "EX.test.",   "a_b-c",         "1.2.3.4:80",
                                       "[::1]:443", "ex.test:",   "ex.test:65535", "[fe80::1]",
                                       "x:1",       "ex.test:080"};
    static const char *const bad[] = {
        "",         ".ex.test",  "ex..test",  "ex.test..", "u@ex.test", "ex.test:0",
        "ex:65536", "ex:123456", "ex:a",      "a,b",       "a b",       "a/b",
        "ex%41",    "[::1",      "[::1]x",    "[::1%25e]", "[v1.x]",    ":80",
        "ex:80:80", "ex\xff",    "*.ex.test", "[]",        "[1.2.3.4]", "ex.test?",
    };
    char text[256];

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        strcpy(text, "GET / HTTP/1.1\r\nHost: ");
        strcat(strcat(text, good[i]), "\r\n\r\n");
        CHECK(accepted(request(text)));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        strcpy(text, "GET / HTTP/1.1\r\nHost: ");
        strcat(strcat(text, bad[i]), "\r\n\r\n");
        CHECK_INT(request(text), MESH_E_SYNTAX);
    }
    CHECK_INT(request("GET / HTTP/1.1\r\n\r\n"), MESH_E_SYNTAX);
    CHECK_INT(request("GET / HTTP/1.1\r\n" HOST HOST "\r\n"), MESH_E_SYNTAX);
    CHECK_INT(request("GET / HTTP/1.0\r\n" HOST "hOST: b.test\r\n\r\n"), MESH_E_SYNTAX);
    CHECK_INT(request("GET http://ex.test/ HTTP/1.1\r\nHost: a b\r\n\r\n"), MESH_E_SYNTAX);
    CHECK_INT(request("GET http://ex.test/ HTTP/1.1\r\n\r\n"), MESH_E_SYNTAX);
}

TEST(content_length)
{
    CHECK(accepted(fields("Content-Length: 0\r\n")));
    CHECK_INT(head.framing, H1_FRAMING_LENGTH);
    CHECK(accepted(fields("content-length:9223372036854775807\r\n")));
    CHECK_UINT(head.content_length, INT64_MAX);
    CHECK_INT(fields("Content-Length: 9223372036854775808\r\n"), MESH_E_FRAMING);
    CHECK_INT(fields("Content-Length: 18446744073709551616\r\n"), MESH_E_FRAMING);
    CHECK_INT(fields("Content-Length: 10000000000000000000\r\n"), MESH_E_FRAMING);
    CHECK_INT(fields("Content-Length: 05\r\n"), MESH_E_FRAMING);
    CHECK_INT(fields("Content-Length: 00\r\n"), MESH_E_FRAMING);
    CHECK_INT(fields("Content-Length: +5\r\n"), MESH_E_FRAMING);
    CHECK_INT(fields("Content-Length: 5,5\r\n"), MESH_E_FRAMING);
    CHECK_INT(fields("Content-Length:\r\n"), MESH_E_FRAMING);
    CHECK_INT(fields("Content-Length: 5\r\nContent-Length: 5\r\n"), MESH_E_FRAMING);
    CHECK_INT(response("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n",
                       H1_METHOD_GET),
              MESH_E_FRAMING);
}

TEST(transfer_encoding)
{
    CHECK(accepted(fields("Transfer-Encoding: ChunkeD\r\n")));
    CHECK_INT(head.framing, H1_FRAMING_CHUNKED);
    CHECK_INT(fields("Transfer-Encoding: gzip, chunked\r\n"), MESH_E_UNSUPPORTED);
    CHECK_INT(head.flags & H1_EXPECT_UNKNOWN, 0);
    CHECK_INT(fields("Transfer-Encoding: chunked, gzip\r\n"), MESH_E_FRAMING);
    CHECK_INT(fields("Transfer-Encoding: chunked, chunked\r\n"), MESH_E_FRAMING);
    CHECK_INT(fields("Transfer-Encoding: gzip\r\n"), MESH_E_FRAMING);
    CHECK_INT(fields("Transfer-Encoding: identity\r\n"), MESH_E_FRAMING);
    CHECK_INT(fields("Transfer-Encoding: chunked,\r\n"), MESH_E_FRAMING);
    CHECK_INT(fields("Transfer-Encoding:\r\n"), MESH_E_FRAMING);
    CHECK_INT(fields("Transfer-Encoding: chunked;q=1\r\n"), MESH_E_FRAMING);
    CHECK_INT(fields("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
              MESH_E_FRAMING);
    CHECK_INT(fields("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"), MESH_E_FRAMING);
    CHECK_INT(request("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), MESH_E_FRAMING);
    CHECK_INT(response("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", H1_METHOD_GET),
              MESH_E_FRAMING);
    CHECK_INT(response("HTTP/1.1 200 OK\r\nTransfer-Encoding: foo\r\n\r\n", H1_METHOD_GET),
              MESH_E_FRAMING);
}

TEST(connect_has_no_body)
{
    CHECK(accepted(request("CONNECT a:1 HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n")));
    CHECK_INT(head.framing, H1_FRAMING_NONE);
    CHECK_INT(request("CONNECT a:1 HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n"), MESH_E_FRAMING);
    CHECK_INT(request("CONNECT a:1 HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"),
              MESH_E_FRAMING);
}

TEST(connection_options)
{
    CHECK(accepted(fields("Connection: close\r\n")));
    CHECK_INT(head.flags, 0);
    CHECK(accepted(fields("Connection: keep-alive, CLOSE\r\n")));
    CHECK_INT(head.flags, 0);
    CHECK(accepted(fields("Connection: keep-alive\r\nConnection: x, close\r\n")));
    CHECK_INT(head.flags, 0);
    CHECK(accepted(fields("Connection: closed\r\n")));
    CHECK_INT(head.flags, H1_KEEP_ALIVE);
    CHECK(accepted(fields("TE: gzip;q=1, Trailers\r\n")));
    CHECK_INT(head.flags, H1_KEEP_ALIVE | H1_TE_TRAILERS);
    CHECK(accepted(fields("Connection: X-A, keep-alive, x-b,Host,Content-Length\r\nx-a: 1\r\n"
                          "X-B: 2\r\nX-A: 3\r\nX-C: 4\r\nContent-Length: 5\r\n")));
    CHECK_INT(head.flags, H1_KEEP_ALIVE);
    CHECK_INT(head.fields[0].flags, H1_FIELD_CANONICAL); /* Host is protected */
    CHECK_INT(head.fields[2].flags, H1_FIELD_CANONICAL | H1_FIELD_NOMINATED);
    CHECK_INT(head.fields[3].flags, H1_FIELD_CANONICAL | H1_FIELD_NOMINATED);
    CHECK_INT(head.fields[4].flags, H1_FIELD_CANONICAL | H1_FIELD_NOMINATED);
    CHECK_INT(head.fields[5].flags, H1_FIELD_CANONICAL);
    CHECK_INT(head.fields[6].flags, H1_FIELD_CANONICAL);
}

TEST(connection_options_are_bounded)
{
    char text[512] = "Connection: close, upgrade";

    for (uint32_t i = 0; i < H1_MAX_NOMINATED; i++) {
        strcat(text, ",a");
    }
    CHECK(accepted(fields(strcat(text, "\r\n"))));
    CHECK_INT(fields(strcat(text, "Connection: b\r\n")), MESH_E_TOO_MANY);
}

TEST(upgrade)
{
    CHECK(accepted(fields("Connection: Upgrade\r\nUpgrade: WebSocket\r\n")));
    CHECK_INT(head.flags, H1_KEEP_ALIVE | H1_UPGRADE | H1_UPGRADE_WEBSOCKET);
    CHECK(accepted(fields("Connection: Upgrade\r\nUpgrade: h2c\r\n")));
    CHECK_INT(head.flags, H1_KEEP_ALIVE | H1_UPGRADE);
    CHECK(accepted(fields("Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n")));
    CHECK_INT(head.flags, H1_KEEP_ALIVE | H1_UPGRADE);
    CHECK(accepted(fields("Upgrade: websocket\r\n")));
    CHECK_INT(head.flags, H1_KEEP_ALIVE);
    CHECK(accepted(fields("Connection: upgrade\r\n")));
    CHECK_INT(head.flags, H1_KEEP_ALIVE);
    CHECK(accepted(fields("Connection: upgrade\r\nUpgrade:\r\n")));
    CHECK_INT(head.flags, H1_KEEP_ALIVE);
    CHECK(accepted(
        request("GET / HTTP/1.0\r\n" HOST "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n")));
    CHECK_INT(head.flags, 0);
}

TEST(expectations)
{
    CHECK(accepted(fields("Expect: 100-Continue\r\nContent-Length: 5\r\n")));
    CHECK_INT(head.flags, H1_KEEP_ALIVE | H1_EXPECT_CONTINUE);
    CHECK_INT(fields("Expect: 200-ok\r\n"), MESH_E_UNSUPPORTED);
    CHECK_INT(head.flags & H1_EXPECT_UNKNOWN, H1_EXPECT_UNKNOWN);
    CHECK_INT(fields("Expect: 100-continue, x\r\n"), MESH_E_UNSUPPORTED);
    CHECK_INT(fields("Expect: 100-continue\r\nExpect: 100-continue\r\n"), MESH_E_UNSUPPORTED);
    CHECK_INT(fields("Expect:\r\n"), MESH_E_UNSUPPORTED);
    CHECK(accepted(request("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n")));
    CHECK_INT(head.flags, 0);
}

TEST(aliases_are_marked)
{
    CHECK(accepted(fields("X_Forwarded_For: 6\r\nContent_Length: 7\r\nX_Other: 8\r\n")));
    CHECK_INT(head.framing, H1_FRAMING_NONE);
    CHECK_INT(head.fields[1].flags, H1_FIELD_CANONICAL | H1_FIELD_ALIAS);
    CHECK_INT(head.fields[2].flags, H1_FIELD_CANONICAL | H1_FIELD_ALIAS);
    CHECK_INT(head.fields[3].flags, H1_FIELD_CANONICAL);
}

TEST(status_lines)
{
    CHECK(accepted(response("HTTP/1.1 200 \r\n\r\n", H1_METHOD_GET)));
    CHECK_UINT(head.reason.len, 0);
    CHECK(accepted(response("HTTP/1.0 200\r\n\r\n", H1_METHOD_GET)));
    CHECK_UINT(head.reason.len, 0);
    CHECK(accepted(response("HTTP/1.1 999 x\r\n\r\n", H1_METHOD_GET)));
    CHECK_INT(response("HTTP/1.1 099 x\r\n\r\n", H1_METHOD_GET), MESH_E_SYNTAX);
    CHECK_INT(response("HTTP/1.1 99 x\r\n\r\n", H1_METHOD_GET), MESH_E_SYNTAX);
    CHECK_INT(response("HTTP/1.1 1000 x\r\n\r\n", H1_METHOD_GET), MESH_E_SYNTAX);
    CHECK_INT(response("HTTP/1.1 2OO x\r\n\r\n", H1_METHOD_GET), MESH_E_SYNTAX);
    CHECK_INT(response("HTTP/1.1  200 x\r\n\r\n", H1_METHOD_GET), MESH_E_SYNTAX);
    CHECK_INT(response("HTTP/1.1 200\tOK\r\n\r\n", H1_METHOD_GET), MESH_E_SYNTAX);
    CHECK_INT(response("HTTP/1.1 200 O\x01K\r\n\r\n", H1_METHOD_GET), MESH_E_SYNTAX);
    CHECK_INT(response("HTTP/1.1 200 OK\n\n", H1_METHOD_GET), MESH_E_SYNTAX);
    CHECK_INT(response("hello", H1_METHOD_GET), MESH_E_SYNTAX);
}

TEST(framing_of_responses)
{
    static const struct {
        const char *status;
        enum h1_method method;
        const char *lines;
        enum h1_framing framing;
    } cases[] = {
        {"200", H1_METHOD_GET, "", H1_FRAMING_UNTIL_CLOSE},
        {"200", H1_METHOD_GET, "Content-Length: 3\r\n", H1_FRAMING_LENGTH},
        {"200", H1_METHOD_POST, "Transfer-Encoding: chunked\r\n", H1_FRAMING_CHUNKED},
        {"200", H1_METHOD_HEAD, "Transfer-Encoding: chunked\r\n", H1_FRAMING_NONE},
        {"200", H1_METHOD_HEAD, "Content-Length: 3\r\n", H1_FRAMING_NONE},
        {"404", H1_METHOD_HEAD, "", H1_FRAMING_NONE},
        {"204", H1_METHOD_GET, "Content-Length: 3\r\n", H1_FRAMING_NONE},
        {"304", H1_METHOD_GET, "Content-Length: 3\r\n", H1_FRAMING_NONE},
        {"100", H1_METHOD_POST, "", H1_FRAMING_NONE},
        {"103", H1_METHOD_GET, "", H1_FRAMING_NONE},
        {"101", H1_METHOD_GET, "", H1_FRAMING_TUNNEL},
        {"200", H1_METHOD_CONNECT, "", H1_FRAMING_TUNNEL},
        {"299", H1_METHOD_CONNECT, "Content-Length: 3\r\n", H1_FRAMING_TUNNEL},
        {"300", H1_METHOD_CONNECT, "Content-Length: 3\r\n", H1_FRAMING_LENGTH},
        {"407", H1_METHOD_CONNECT, "", H1_FRAMING_UNTIL_CLOSE},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[256] = "HTTP/1.1 ";

        strcat(strcat(strcat(text, cases[i].status), " x\r\n"), cases[i].lines);
        CHECK(accepted(response(strcat(text, "\r\n"), cases[i].method)));
        CHECK_INT(head.framing, cases[i].framing);
        CHECK_INT((head.flags & H1_KEEP_ALIVE) != 0, head.framing != H1_FRAMING_UNTIL_CLOSE);
    }
}

TEST(refusals_have_a_status)
{
    CHECK_INT(request("GET / HTTP/1.1\r\n\r\n"), MESH_E_SYNTAX);
    CHECK_INT(h1_refusal_status(MESH_E_SYNTAX, &head), 400);
    CHECK_INT(h1_refusal_status(MESH_E_FRAMING, &head), 400);
    CHECK_INT(h1_refusal_status(MESH_E_VERSION, &head), 505);
    CHECK_INT(h1_refusal_status(MESH_E_TOO_MANY, &head), 431);
    CHECK_INT(h1_refusal_status(fields("Expect: x\r\n"), &head), 417);
    CHECK_INT(h1_refusal_status(fields("Transfer-Encoding: br, chunked\r\n"), &head), 501);
}

TEST(reasons)
{
    CHECK_STRING(h1_reason(200), "OK");
    CHECK_STRING(h1_reason(100), "Continue");
    CHECK_STRING(h1_reason(511), "Network Authentication Required");
    CHECK_STRING(h1_reason(503), "Service Unavailable");
    CHECK_STRING(h1_reason(0), "");
    CHECK_STRING(h1_reason(299), "");
    CHECK_STRING(h1_reason(599), "");
    for (uint16_t status = 0; status < 1000; status++) {
        CHECK(strlen(h1_reason(status)) < 32);
    }
}
