/* Paths and authorities: what is accepted is stable and has one spelling. */
#include <string.h>

#include "fuzz.h"
#include "wire/uri.h"

#define LONGEST 4096u

static void check_path(struct bytes in)
{
    static uint8_t first[LONGEST];
    static uint8_t second[LONGEST];
    struct bytes normal;
    bool changed;
    int length = uri_normal_path(in, first, &changed);

    if (length < 0) {
        return;
    }
    normal = changed ? bytes_of(first, (size_t)length) : in;
    MUST(length > 0 && normal.len == (size_t)length && normal.len <= in.len);
    MUST(uri_normal_path(normal, second, &changed) == length);
    MUST(!changed);
    for (size_t i = 0; i + 1 < normal.len; i++) {
        struct bytes rest = bytes_from(normal, i);

        MUST(!bytes_has_prefix(rest, BYTES_LITERAL("//")));
        MUST(!bytes_has_prefix(rest, BYTES_LITERAL("/./")));
        MUST(!bytes_has_prefix(rest, BYTES_LITERAL("/../")));
        MUST(!bytes_has_prefix(rest, BYTES_LITERAL("%2E")));
        MUST(!bytes_has_prefix(rest, BYTES_LITERAL("%2F")));
    }
    MUST(!bytes_has_suffix(normal, BYTES_LITERAL("/.")));
    MUST(!bytes_has_suffix(normal, BYTES_LITERAL("/..")));
}

static void check_host(struct bytes in)
{
    uint8_t first[URI_MAX_HOST];
    uint8_t second[URI_MAX_HOST];
    struct bytes host;
    uint16_t port;
    uint16_t same_port;
    int length = uri_normal_host(in, first, &port);

    if (length < 0) {
        return;
    }
    MUST(length > 0 && length <= (int)URI_MAX_HOST);
    MUST(uri_split_authority(in, &host, &same_port) == 0);
    MUST(port == same_port && host.ptr == in.ptr);
    MUST(uri_normal_host(bytes_of(first, (size_t)length), second, &port) == length);
    MUST(memcmp(first, second, (size_t)length) == 0 && port == 0);
    MUST(bytes_equal_nocase(host, bytes_of(first, (size_t)length)) || first[0] == '[');
}

FUZZ_TARGET(uri)
{
    if (in.len <= LONGEST) {
        check_path(in);
    }
    check_host(in);
}
