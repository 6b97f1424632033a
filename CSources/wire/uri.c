#include "wire/uri.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/err.h"
#include "hdr_names.h"
#include "scan.h"
#include "uri_private.h"

/* The value of a hexadecimal digit. */
static inline uint8_t uri_digit(uint8_t c)
{
    return (uint8_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

struct uri_writer {
    uint8_t *out; /* what is written so far begins and, after a whole segment, ends with `/` */
    size_t length;
    size_t segment; /* where the segment begins that is being written */
};

/* `.;x` and `..;x` are names here but dot segments for readers that cut parameters off; so are
 * their escaped forms. */
static bool uri_is_dot_with_parameter(struct bytes segment)
{
    size_t dots = segment.len > 1 && segment.ptr[1] == '.' ? 2 : 1;

    if (segment.len <= dots || segment.ptr[0] != '.') {
        return false;
    }
    return segment.ptr[dots] == ';' || (segment.len >= dots + 3 && segment.ptr[dots] == '%' &&
                                        memcmp(segment.ptr + dots, "%3B", 3) == 0);
}

bool uri_is_dot_segment(struct bytes segment)
{
    return bytes_equal(segment, BYTES_LITERAL(".")) || bytes_equal(segment, BYTES_LITERAL("..")) ||
           uri_is_dot_with_parameter(segment);
}

/* Takes the segment just written away again when it is a dot segment (RFC 3986 5.2.4). */
static int uri_end_segment(struct uri_writer *writer)
{
    struct bytes segment =
        bytes_of(writer->out + writer->segment, writer->length - writer->segment);

    if (bytes_equal(segment, BYTES_LITERAL("."))) {
        writer->length = writer->segment;
        return MESH_OK;
    }
    if (bytes_equal(segment, BYTES_LITERAL(".."))) {
        if (writer->segment == 1) {
            return MESH_E_SYNTAX; /* above the root */
        }
        writer->length = writer->segment - 1;
        while (writer->out[writer->length - 1] != '/') {
            writer->length--;
        }
        return MESH_OK;
    }
    return uri_is_dot_with_parameter(segment) ? MESH_E_SYNTAX : MESH_OK;
}

/* A slash ends the segment; the next one begins after it. Repeated ones count once. */
static int uri_put_slash(struct uri_writer *writer)
{
    int err = uri_end_segment(writer);

    if (err != MESH_OK) {
        return err;
    }
    if (writer->out[writer->length - 1] != '/') {
        writer->out[writer->length++] = '/';
    }
    writer->segment = writer->length;
    return MESH_OK;
}

/* Whether `lead` and the escape that follows it spell an ASCII character in more bytes than one:
 * some readers decode those, most refuse them. */
static bool uri_is_overlong(uint8_t lead, struct bytes rest)
{
    uint8_t second;

    if (rest.len < 3 || rest.ptr[0] != '%' || !scan_is(rest.ptr[1], SCAN_HEX) ||
        !scan_is(rest.ptr[2], SCAN_HEX)) {
        return false;
    }
    second = (uint8_t)(uri_digit(rest.ptr[1]) << 4 | uri_digit(rest.ptr[2]));
    switch (lead) {
    case 0xc0:
    case 0xc1:
        return (second & 0xc0) == 0x80;
    case 0xe0:
        return (second & 0xe0) == 0x80;
    case 0xf0:
        return (second & 0xf0) == 0x80;
    case 0xf8:
        return (second & 0xf8) == 0x80;
    case 0xfc:
        return (second & 0xfc) == 0x80;
    default:
        return false;
    }
}

/* `%` and two digits at the start of `in`. */
static int uri_put_escape(struct uri_writer *writer, struct bytes in)
{
    static const char digits[] = "0123456789ABCDEF";
    uint8_t c;

    if (in.len < 3 || !scan_is(in.ptr[1], SCAN_HEX) || !scan_is(in.ptr[2], SCAN_HEX)) {
        return MESH_E_SYNTAX;
    }
    c = (uint8_t)(uri_digit(in.ptr[1]) << 4 | uri_digit(in.ptr[2]));
    if (c < 0x20 || c == 0x7f || c == '/' || c == '\\' || uri_is_overlong(c, bytes_from(in, 3))) {
        return MESH_E_SYNTAX;
    }
    if (scan_is(c, SCAN_UNRESERVED)) {
        writer->out[writer->length++] = c;
        return MESH_OK;
    }
    writer->out[writer->length++] = '%';
    writer->out[writer->length++] = (uint8_t)digits[c >> 4];
    writer->out[writer->length++] = (uint8_t)digits[c & 15];
    return MESH_OK;
}

/* Whether a character of a path needs a closer look before the path is known to be normal. */
static inline bool uri_is_special(const uint8_t *at, const uint8_t *end)
{
    uint8_t c = *at;

    if (c == '/') {
        return at + 1 < end && (at[1] == '/' || at[1] == '.');
    }
    return c == '%' || c == '\\' || !scan_is(c, SCAN_PATH);
}

/* How much of `path` is normal for certain: up to a character that needs a closer look. */
static size_t uri_normal_prefix(struct bytes path)
{
    const uint8_t *end = path.ptr + path.len;
    const uint8_t *at = path.ptr;

    for (;;) {
        at = scan_segment(at, end, path.ptr);
        if (at == end || uri_is_special(at, end)) {
            return (size_t)(at - path.ptr);
        }
        at++;
    }
}

/* Reads the rest of the path after what uri_normal_prefix took. */
static int uri_rewrite(struct uri_writer *writer, struct bytes rest)
{
    int err = MESH_OK;

    for (size_t i = 0; i < rest.len && err == MESH_OK; i++) {
        uint8_t c = rest.ptr[i];

        if (c == '/') {
            err = uri_put_slash(writer);
        } else if (c == '%') {
            err = uri_put_escape(writer, bytes_from(rest, i));
            i += 2;
        } else if (c == '\\' || !scan_is(c, SCAN_PATH)) {
            err = MESH_E_SYNTAX;
        } else {
            writer->out[writer->length++] = c;
        }
    }
    return err == MESH_OK ? uri_end_segment(writer) : err;
}

int uri_normal_path(struct bytes path, uint8_t *out, bool *changed)
{
    size_t prefix;
    struct uri_writer writer;
    int err;

    *changed = false;
    if (path.len == 0 || path.ptr[0] != '/' || path.len > INT32_MAX) {
        return MESH_E_SYNTAX;
    }
    prefix = uri_normal_prefix(path);
    if (prefix == path.len) {
        return (int)path.len;
    }
    while (prefix > 0 && path.ptr[prefix - 1] != '/') { /* back to the start of the segment */
        prefix--;
    }
    if (prefix == 0) {
        prefix = 1;
    }
    memcpy(out, path.ptr, prefix);
    writer = (struct uri_writer){.out = out, .length = prefix, .segment = prefix};
    err = uri_rewrite(&writer, bytes_from(path, prefix));
    if (err != MESH_OK) {
        return err;
    }
    *changed = !bytes_equal(path, bytes_of(out, writer.length));
    return (int)writer.length;
}

/* `:` and at most five digits after the host, or nothing. An empty port is the default one, port 0
 * cannot be spoken to. */
static int uri_read_port(struct bytes in, uint16_t *port)
{
    uint32_t value = 0;

    *port = 0;
    if (in.len == 0) {
        return MESH_OK;
    }
    if (in.ptr[0] != ':' || in.len > 6) {
        return MESH_E_SYNTAX;
    }
    for (size_t i = 1; i < in.len; i++) {
        if (!scan_is_digit(in.ptr[i])) {
            return MESH_E_SYNTAX;
        }
        value = value * 10 + (uint32_t)(in.ptr[i] - '0');
    }
    if (value > UINT16_MAX || (value == 0 && in.len > 1)) {
        return MESH_E_SYNTAX;
    }
    *port = (uint16_t)value;
    return MESH_OK;
}

/* The 16 bytes of a bracketed IPv6 address. Zones and future versions have no meaning between
 * machines. */
static int uri_read_v6(struct bytes host, struct in6_addr *address)
{
    char text[INET6_ADDRSTRLEN];

    if (host.len < 4 || host.len - 2 >= sizeof(text)) {
        return MESH_E_SYNTAX;
    }
    memcpy(text, host.ptr + 1, host.len - 2);
    text[host.len - 2] = '\0';
    if (memchr(text, '\0', host.len - 2) != NULL) {
        return MESH_E_SYNTAX;
    }
    return inet_pton(AF_INET6, text, address) == 1 ? MESH_OK : MESH_E_SYNTAX;
}

static int uri_split_v6(struct bytes authority, struct bytes *host, uint16_t *port)
{
    const uint8_t *bracket = memchr(authority.ptr, ']', authority.len);
    struct in6_addr address;

    if (bracket == NULL) {
        return MESH_E_SYNTAX;
    }
    *host = bytes_of(authority.ptr, (size_t)(bracket - authority.ptr) + 1);
    if (uri_read_v6(*host, &address) != MESH_OK) {
        return MESH_E_SYNTAX;
    }
    return uri_read_port(bytes_from(authority, host->len), port);
}

/* Whether two dots stand side by side in [at, end); eight bytes at a time, of which the last is
 * looked at again. */
static bool uri_has_double_dot(const uint8_t *at, const uint8_t *end)
{
    const uint64_t ones = 0x0101010101010101ULL;

    for (; end - at >= 8; at += 7) {
        uint64_t x = hdr_load64(at) ^ '.' * ones;
        uint64_t dots = ~(((x & 0x7f * ones) + 0x7f * ones) | x) & 0x80 * ones;

        if ((dots & dots << 8) != 0) {
            return true;
        }
    }
    for (; end - at >= 2; at++) {
        if (at[0] == '.' && at[1] == '.') {
            return true;
        }
    }
    return false;
}

int uri_split_within(struct bytes authority, struct bytes around, struct bytes *host,
                     uint16_t *port)
{
    const uint8_t *start = authority.ptr;
    const uint8_t *stop;
    bool dot;

    if (authority.len == 0) {
        return MESH_E_SYNTAX;
    }
    if (*start == '[') {
        return uri_split_v6(authority, host, port);
    }
    stop = scan_host(start, around.ptr + around.len, around.ptr);
    /* No label is empty: no dot at the start or beside another one; the last one may be dropped. */
    if (stop == start || *start == '.' || uri_has_double_dot(start, stop)) {
        return MESH_E_SYNTAX;
    }
    if (stop - start > URI_MAX_HOST) {
        return MESH_E_TOO_LONG;
    }
    dot = stop[-1] == '.';
    *host = bytes_of(start, (size_t)(stop - start) - dot);
    return uri_read_port(bytes_of(stop, authority.len - (size_t)(stop - start)), port);
}

int uri_split_authority(struct bytes authority, struct bytes *host, uint16_t *port)
{
    return uri_split_within(authority, authority, host, port);
}

/* Eight bytes with letters in lower case. */
static inline uint64_t uri_lower_word(uint64_t x)
{
    const uint64_t ones = 0x0101010101010101ULL;
    uint64_t low = x & 0x7f * ones;                   /* no carry between bytes */
    uint64_t from_a = low + (0x80 - 'A') * ones;      /* high bit: from `A` on */
    uint64_t after_z = low + (0x80 - 'Z' - 1) * ones; /* high bit: after `Z` */
    uint64_t upper = from_a & ~after_z & ~x & 0x80 * ones;

    return x | upper >> 2;
}

/* Copies with letters in lower case; the last eight bytes may overlap those before. */
static void uri_lower(uint8_t *out, struct bytes in)
{
    if (in.len < 8) {
        for (size_t at = 0; at < in.len; at++) {
            out[at] = bytes_lower(in.ptr[at]);
        }
        return;
    }
    for (size_t at = 0;; at += 8) {
        size_t from = at + 8 <= in.len ? at : in.len - 8;
        uint64_t word = uri_lower_word(hdr_load64(in.ptr + from));

        memcpy(out + from, &word, sizeof(word));
        if (at + 8 >= in.len) {
            return;
        }
    }
}

int uri_normal_host(struct bytes authority, uint8_t *out, uint16_t *port)
{
    struct bytes host;
    int err = uri_split_authority(authority, &host, port);

    if (err != MESH_OK) {
        return err;
    }
    if (host.ptr[0] == '[') {
        char text[INET6_ADDRSTRLEN];
        struct in6_addr address;
        size_t length;

        MUST(uri_read_v6(host, &address) == MESH_OK);
        MUST(inet_ntop(AF_INET6, &address, text, sizeof(text)) != NULL);
        length = strlen(text);
        out[0] = '[';
        memcpy(out + 1, text, length);
        out[length + 1] = ']';
        return (int)(length + 2);
    }
    uri_lower(out, host);
    return (int)host.len;
}
