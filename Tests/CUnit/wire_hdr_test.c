#include "wire/hdr.h"

#include <ctype.h>
#include <string.h>

#include "cunit.h"
#include "wire/hdr_names.h"

static const struct {
    enum hdr_id id;
    const char *name;
} known[] = {
    {HDR_HOST, "host"},
    {HDR_CONNECTION, "connection"},
    {HDR_CONTENT_LENGTH, "content-length"},
    {HDR_TRANSFER_ENCODING, "transfer-encoding"},
    {HDR_TE, "te"},
    {HDR_TRAILER, "trailer"},
    {HDR_UPGRADE, "upgrade"},
    {HDR_KEEP_ALIVE, "keep-alive"},
    {HDR_PROXY_CONNECTION, "proxy-connection"},
    {HDR_PROXY_AUTHENTICATE, "proxy-authenticate"},
    {HDR_PROXY_AUTHORIZATION, "proxy-authorization"},
    {HDR_EXPECT, "expect"},
    {HDR_VIA, "via"},
    {HDR_FORWARDED, "forwarded"},
    {HDR_X_FORWARDED_FOR, "x-forwarded-for"},
    {HDR_X_FORWARDED_PROTO, "x-forwarded-proto"},
    {HDR_X_FORWARDED_HOST, "x-forwarded-host"},
    {HDR_X_FORWARDED_PORT, "x-forwarded-port"},
    {HDR_X_REAL_IP, "x-real-ip"},
    {HDR_HTTP2_SETTINGS, "http2-settings"},
    {HDR_DATE, "date"},
    {HDR_SERVER, "server"},
    {HDR_CONTENT_TYPE, "content-type"},
    {HDR_CONTENT_ENCODING, "content-encoding"},
    {HDR_LOCATION, "location"},
    {HDR_COOKIE, "cookie"},
    {HDR_AUTHORIZATION, "authorization"},
    {HDR_TRACEPARENT, "traceparent"},
    {HDR_TRACESTATE, "tracestate"},
    {HDR_SEC_WEBSOCKET_KEY, "sec-websocket-key"},
};
#define KNOWN_COUNT (sizeof(known) / sizeof(known[0]))

/* `name` written to `out`, every second letter in upper case. */
static struct bytes alternate_case(const char *name, char *out)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < len; i++) {
        out[i] = (char)(i % 2 == 0 ? toupper(name[i]) : name[i]);
    }
    return bytes_of(out, len);
}

TEST(every_id_is_found_by_its_name_in_any_case)
{
    uint32_t found = 0;

    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        char mixed[32];
        struct bytes name = cunit_guarded(cunit_text(known[i].name));

        cunit_context("%s", known[i].name);
        CHECK_INT(hdr_find(name), known[i].id);
        CHECK_INT(hdr_find(alternate_case(known[i].name, mixed)), known[i].id);
        CHECK(!hdr_is_alias(name));
        found |= 1u << hdr_find(name);
        cunit_unguard(name.ptr);
    }
    CHECK_UINT(found, (UINT32_C(1) << HDR_COUNT) - 1 - (1u << HDR_OTHER));
}

/* Every name with one character replaced by every other byte is another name. */
TEST(near_misses_are_other_names)
{
    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        size_t len = strlen(known[i].name);
        char name[32];

        for (size_t at = 0; at < len; at++) {
            for (int c = 0; c < 256; c++) {
                memcpy(name, known[i].name, len);
                name[at] = (char)c;
                if (tolower(c) == known[i].name[at]) {
                    continue;
                }
                cunit_context("%s with 0x%02x at %zu", known[i].name, (unsigned)c, at);
                CHECK(hdr_find(bytes_of(name, len)) != known[i].id);
                CHECK_INT(hdr_is_alias(bytes_of(name, len)),
                          known[i].name[at] == '-' && (c == '_' || c == '.'));
            }
        }
        CHECK_INT(hdr_find(bytes_of(known[i].name, len - 1)), HDR_OTHER);
        memcpy(name, known[i].name, len);
        name[len] = 's';
        CHECK_INT(hdr_find(bytes_of(name, len + 1)), HDR_OTHER);
    }
}

/* The comparison of the head parser, for all tchars. */
TEST(the_fast_comparison_agrees_on_tokens)
{
    const char tchars[] = "!#$%&'*+-.^_`|~019azAZhH";

    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        size_t len = strlen(known[i].name);

        for (size_t at = 0; at < len; at++) {
            for (const char *c = tchars; *c != '\0'; c++) {
                char text[32];
                struct bytes name;

                memcpy(text, known[i].name, len);
                text[at] = *c;
                name = cunit_guarded(bytes_of(text, len));
                CHECK_INT(hdr_is_name(name.ptr, known[i].name, len),
                          tolower(*c) == known[i].name[at]);
                cunit_unguard(name.ptr);
            }
        }
    }
}

TEST(names_of_no_and_any_length)
{
    char text[64];

    CHECK_INT(hdr_find(bytes_of(NULL, 0)), HDR_OTHER);
    CHECK(!hdr_is_alias(bytes_of(NULL, 0)));
    memset(text, 'x', sizeof(text));
    for (size_t len = 1; len <= sizeof(text); len++) {
        struct bytes name = cunit_guarded(bytes_of(text, len));

        CHECK_INT(hdr_find(name), HDR_OTHER);
        CHECK(!hdr_is_alias(name));
    }
}

TEST(aliases)
{
    CHECK(hdr_is_alias(BYTES_LITERAL("X_Forwarded_For")));
    CHECK(hdr_is_alias(BYTES_LITERAL("X.Forwarded.For")));
    CHECK(hdr_is_alias(BYTES_LITERAL("x-forwarded_for")));
    CHECK(hdr_is_alias(BYTES_LITERAL("Content_Length")));
    CHECK(hdr_is_alias(BYTES_LITERAL("Transfer.Encoding")));
    CHECK(!hdr_is_alias(BYTES_LITERAL("X_Trace_Id")));
    CHECK(!hdr_is_alias(BYTES_LITERAL("ho_t")));
}

TEST(sets_of_names)
{
    CHECK(hdr_is_hop_by_hop(HDR_CONNECTION));
    CHECK(hdr_is_hop_by_hop(HDR_TE));
    CHECK(hdr_is_hop_by_hop(HDR_HTTP2_SETTINGS));
    CHECK(hdr_is_hop_by_hop(HDR_PROXY_AUTHENTICATE));
    CHECK(!hdr_is_hop_by_hop(HDR_TRAILER));
    CHECK(!hdr_is_hop_by_hop(HDR_CONTENT_LENGTH));
    CHECK(!hdr_is_hop_by_hop(HDR_OTHER));

    CHECK(hdr_is_protected(HDR_HOST));
    CHECK(hdr_is_protected(HDR_CONTENT_LENGTH));
    CHECK(hdr_is_protected(HDR_TRANSFER_ENCODING));
    CHECK(hdr_is_protected(HDR_X_FORWARDED_FOR));
    CHECK(hdr_is_protected(HDR_FORWARDED));
    CHECK(hdr_is_protected(HDR_VIA));
    CHECK(!hdr_is_protected(HDR_OTHER));
    CHECK(!hdr_is_protected(HDR_COOKIE));
    CHECK(!hdr_is_protected(HDR_KEEP_ALIVE));
}

static bool is_forbidden_trailer(const char *name)
{
    return hdr_is_forbidden_trailer(hdr_find(cunit_text(name)), cunit_text(name));
}

TEST(names_that_come_too_late_in_a_trailer)
{
    CHECK(is_forbidden_trailer("Content-Length"));
    CHECK(is_forbidden_trailer("Transfer-Encoding"));
    CHECK(is_forbidden_trailer("Host"));
    CHECK(is_forbidden_trailer("X-Forwarded-For"));
    CHECK(is_forbidden_trailer("x_forwarded_for"));
    CHECK(is_forbidden_trailer("Cookie"));
    CHECK(is_forbidden_trailer("Content-Type"));
    CHECK(is_forbidden_trailer("Set-Cookie"));
    CHECK(is_forbidden_trailer("CACHE-CONTROL"));
    CHECK(is_forbidden_trailer("www-authenticate"));
    CHECK(is_forbidden_trailer("If-Match"));
    CHECK(!is_forbidden_trailer("grpc-status"));
    CHECK(!is_forbidden_trailer("ETag"));
    CHECK(!is_forbidden_trailer("Server-Timing"));
    CHECK(!is_forbidden_trailer("X-T"));
}

/* The elements of a list, each in brackets. */
static struct bytes elements_of(const char *list)
{
    static char out[128];
    struct bytes rest = cunit_guarded(cunit_text(list));
    struct bytes element;
    size_t at = 0;

    while (hdr_next_element(&rest, &element)) {
        out[at++] = '[';
        memcpy(out + at, element.ptr, element.len);
        at += element.len;
        out[at++] = ']';
    }
    CHECK_UINT(rest.len, 0);
    return bytes_of(out, at);
}

TEST(lists_are_divided_at_commas)
{
    CHECK_TEXT(elements_of(""), "");
    CHECK_TEXT(elements_of("close"), "[close]");
    CHECK_TEXT(elements_of("a,b"), "[a][b]");
    CHECK_TEXT(elements_of(" \ta b\t , c "), "[a b][c]");
    CHECK_TEXT(elements_of(",, ,\t, "), "");
    CHECK_TEXT(elements_of(",a,,b,"), "[a][b]");
}
