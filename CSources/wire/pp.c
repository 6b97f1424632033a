#include "wire/pp.h"

#include <string.h>

#include "base/err.h"

#define PP_SIGNATURE BYTES_LITERAL("\r\n\r\n\0\r\nQUIT\n")
#define PP_PREFIX    16u /* signature, version and command, family, length */

enum pp_tlv { /* haproxy's PP2_TYPE_* */
              PP_TLV_ALPN = 0x01,
              PP_TLV_AUTHORITY = 0x02,
              PP_TLV_CRC32C = 0x03,
              PP_TLV_UNIQUE_ID = 0x05,
              PP_TLV_SSL = 0x20,
              PP_TLV_SSL_VERSION = 0x21,
              PP_TLV_SSL_NAME = 0x22,
};

/* Bytes of both addresses and ports, by family. */
static const uint8_t pp_address_size[PP_FAMILY_COUNT] = {0, 12, 36, 216};

_Static_assert(PP_MAX_HEADER >= PP_PREFIX + 216 + 5 + 3 + PP_MAX_NAME,
               "the longest addresses and a name fit");
_Static_assert(PP_MAX_WRITTEN ==
                   PP_PREFIX + 216 + 4 * (3 + PP_MAX_NAME) + (3 + PP_MAX_ID) + (3 + 5) + (3 + 4),
               "addresses, four names, the id, TLS facts and the checksum");

/* CRC32c (Castagnoli, reflected), four bits a step. */
static uint32_t pp_crc_more(uint32_t crc, struct bytes in)
{
    static const uint32_t table[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };

    for (size_t i = 0; i < in.len; i++) {
        crc ^= in.ptr[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return crc;
}

/* Of a header whose four checksum bytes at `at` count as zeros. */
static uint32_t pp_crc(struct bytes header, size_t at)
{
    static const uint8_t zeros[4] = {0};
    uint32_t crc = pp_crc_more(UINT32_MAX, bytes_part(header, 0, at));

    crc = pp_crc_more(crc, bytes_of(zeros, 4));
    return ~pp_crc_more(crc, bytes_from(header, at + 4));
}

static uint16_t pp_load16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t pp_load32(const uint8_t *at)
{
    return (uint32_t)pp_load16(at) << 16 | pp_load16(at + 2);
}

/* Whether `in` is the beginning of `whole`, or begins with it. */
static bool pp_agrees(struct bytes in, struct bytes whole)
{
    size_t common = in.len < whole.len ? in.len : whole.len;

    return common == 0 || memcmp(in.ptr, whole.ptr, common) == 0;
}

/* --- version 1: PROXY TCP4 1.2.3.4 5.6.7.8 1111 80 CRLF --- */

/* The next field, up to a blank or the end. */
static struct bytes pp_field(struct bytes *rest)
{
    size_t at = 0;
    struct bytes field;

    while (at < rest->len && rest->ptr[at] != ' ') {
        at++;
    }
    field = bytes_part(*rest, 0, at);
    *rest = bytes_from(*rest, at < rest->len ? at + 1 : at);
    return field;
}

static bool pp_parse_line(struct bytes line, struct pp_header *header)
{
    struct bytes rest = bytes_from(line, BYTES_LITERAL("PROXY ").len);
    struct bytes name = pp_field(&rest);
    bool (*parse)(struct bytes text, struct ip_address *ip) = ip_parse4;

    if (bytes_equal(name, BYTES_LITERAL("UNKNOWN"))) {
        header->family = PP_UNSPEC; /* the rest is to be ignored */
        return true;
    }
    header->family = PP_IP4;
    if (bytes_equal(name, BYTES_LITERAL("TCP6"))) {
        header->family = PP_IP6;
        parse = ip_parse6;
    } else if (!bytes_equal(name, BYTES_LITERAL("TCP4"))) {
        return false;
    }
    return parse(pp_field(&rest), &header->source) &&
           parse(pp_field(&rest), &header->destination) &&
           ip_parse_port(pp_field(&rest), &header->source_port) &&
           ip_parse_port(rest, &header->destination_port);
}

static int pp_parse_v1(struct bytes in, struct pp_header *header)
{
    size_t at = BYTES_LITERAL("PROXY ").len;

    header->version = PP_V1;
    while (at < in.len && in.ptr[at] >= ' ' && in.ptr[at] < 0x7f) {
        at++;
    }
    if (at > PP_MAX_V1 - 2) {
        return MESH_E_TOO_LONG;
    }
    if (at >= in.len || (at + 1 == in.len && in.ptr[at] == '\r')) {
        return 0;
    }
    if (in.ptr[at] != '\r' || in.ptr[at + 1] != '\n' ||
        !pp_parse_line(bytes_part(in, 0, at), header)) {
        return MESH_E_SYNTAX;
    }
    return (int)at + 2;
}

/* --- version 2 --- */

/* The next type, length and value. */
static bool pp_next_tlv(struct bytes *rest, uint8_t *type, struct bytes *value)
{
    size_t length;

    if (rest->len < 3) {
        return false;
    }
    length = pp_load16(rest->ptr + 1);
    if (length > rest->len - 3) {
        return false;
    }
    *type = rest->ptr[0];
    *value = bytes_part(*rest, 3, 3 + length);
    *rest = bytes_from(*rest, 3 + length);
    return true;
}

/* A value that may be there once, of 1 ... `most` bytes. */
static bool pp_take(struct bytes *slot, struct bytes value, size_t most)
{
    if (slot->len > 0 || value.len == 0 || value.len > most) {
        return false;
    }
    *slot = value;
    return true;
}

static bool pp_is_visible(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

static bool pp_parse_ssl(struct bytes value, struct pp_header *header)
{
    struct pp_ssl *ssl = &header->ssl;
    struct bytes rest;

    if (header->has_ssl || value.len < 5) {
        return false;
    }
    header->has_ssl = true;
    ssl->client = value.ptr[0];
    ssl->verify = pp_load32(value.ptr + 1);
    rest = bytes_from(value, 5);
    while (rest.len > 0) {
        struct bytes part;
        uint8_t type;

        if (!pp_next_tlv(&rest, &type, &part) ||
            (type == PP_TLV_SSL_VERSION && !pp_take(&ssl->version, part, PP_MAX_NAME)) ||
            (type == PP_TLV_SSL_NAME && !pp_take(&ssl->name, part, PP_MAX_NAME))) {
            return false;
        }
    }
    return true;
}

static int pp_parse_tlv(struct bytes whole, uint8_t type, struct bytes value,
                        struct pp_header *header)
{
    bool good = true;

    switch (type) {
    case PP_TLV_ALPN:
        good = pp_take(&header->alpn, value, PP_MAX_NAME);
        break;
    case PP_TLV_AUTHORITY:
        good = pp_take(&header->authority, value, PP_MAX_NAME) && pp_is_visible(value);
        break;
    case PP_TLV_UNIQUE_ID:
        good = pp_take(&header->unique_id, value, PP_MAX_ID);
        break;
    case PP_TLV_SSL:
        good = pp_parse_ssl(value, header);
        break;
    case PP_TLV_CRC32C:
        if (header->checksum || value.len != 4) {
            return MESH_E_SYNTAX;
        }
        header->checksum = true;
        return pp_crc(whole, (size_t)(value.ptr - whole.ptr)) == pp_load32(value.ptr)
                   ? MESH_OK
                   : MESH_E_CHECKSUM;
    default:
        break; /* a type of another time is not ours to judge */
    }
    return good ? MESH_OK : MESH_E_SYNTAX;
}

/* A socket's file name: everything before the first zero. */
static struct bytes pp_path(const uint8_t *at)
{
    size_t length = 0;

    while (length < 108 && at[length] != 0) {
        length++;
    }
    return bytes_of(at, length);
}

static void pp_parse_addresses(const uint8_t *at, struct pp_header *header)
{
    switch ((enum pp_family)header->family) {
    case PP_IP4:
        header->source = ip_of4(at);
        header->destination = ip_of4(at + 4);
        header->source_port = pp_load16(at + 8);
        header->destination_port = pp_load16(at + 10);
        break;
    case PP_IP6:
        memcpy(header->source.bytes, at, 16);
        memcpy(header->destination.bytes, at + 16, 16);
        header->source_port = pp_load16(at + 32);
        header->destination_port = pp_load16(at + 34);
        break;
    case PP_UNIX:
        header->source_path = pp_path(at);
        header->destination_path = pp_path(at + 108);
        break;
    case PP_UNSPEC:
    case PP_FAMILY_COUNT:
        break;
    }
}

/* What the sixteen fixed bytes say, as far as they are there. */
static int pp_parse_prefix(struct bytes in, struct pp_header *header)
{
    uint8_t transport;

    if (in.len > 12) {
        if (in.ptr[12] != 0x20 && in.ptr[12] != 0x21) {
            return MESH_E_SYNTAX;
        }
        header->local = in.ptr[12] == 0x20;
    }
    if (in.len > 13 && !header->local) { /* LOCAL: the rest of the header is to be ignored */
        header->family = in.ptr[13] >> 4;
        transport = in.ptr[13] & 15;
        if (header->family >= PP_FAMILY_COUNT || transport > 2 ||
            (header->family == PP_UNSPEC) != (transport == 0)) {
            return MESH_E_SYNTAX;
        }
        if (transport == 2) {
            return MESH_E_UNSUPPORTED;
        }
    }
    if (in.len >= PP_PREFIX) {
        size_t length = pp_load16(in.ptr + 14);

        if (length > PP_MAX_HEADER - PP_PREFIX) {
            return MESH_E_TOO_LONG;
        }
        if (length < pp_address_size[header->family]) {
            return MESH_E_SYNTAX;
        }
    }
    return MESH_OK;
}

static int pp_parse_v2(struct bytes in, struct pp_header *header)
{
    struct bytes rest;
    size_t length;
    int result;

    header->version = PP_V2;
    result = pp_parse_prefix(in, header);
    if (result != MESH_OK) {
        return result;
    }
    length = in.len < PP_PREFIX ? PP_MAX_HEADER : PP_PREFIX + (size_t)pp_load16(in.ptr + 14);
    if (in.len < length) {
        return 0;
    }
    in = bytes_part(in, 0, length);
    if (header->local) {
        return (int)length;
    }
    pp_parse_addresses(in.ptr + PP_PREFIX, header);
    rest = bytes_from(in, PP_PREFIX + pp_address_size[header->family]);
    while (rest.len > 0) {
        struct bytes value;
        uint8_t type;

        if (!pp_next_tlv(&rest, &type, &value)) {
            return MESH_E_SYNTAX;
        }
        result = pp_parse_tlv(in, type, value, header);
        if (result != MESH_OK) {
            return result;
        }
    }
    return (int)length;
}

int pp_parse(struct bytes in, uint8_t versions, struct pp_header *header)
{
    bool v1 = (versions & PP_V1) != 0 && pp_agrees(in, BYTES_LITERAL("PROXY "));
    bool v2 = (versions & PP_V2) != 0 && pp_agrees(in, PP_SIGNATURE);

    memset(header, 0, sizeof(*header));
    if (v1) {
        return in.len < BYTES_LITERAL("PROXY ").len ? 0 : pp_parse_v1(in, header);
    }
    if (v2) {
        return in.len < PP_SIGNATURE.len ? 0 : pp_parse_v2(in, header);
    }
    return MESH_E_SYNTAX;
}

/* --- writing --- */

struct pp_out { /* a bounded writer; `full` once something did not fit */
    uint8_t *start;
    size_t at;
    size_t capacity;
    bool full;
};

static void pp_put(struct pp_out *out, struct bytes bytes)
{
    if (out->full || bytes.len > out->capacity - out->at) {
        out->full = true;
        return;
    }
    if (bytes.len > 0) {
        memcpy(out->start + out->at, bytes.ptr, bytes.len);
        out->at += bytes.len;
    }
}

static void pp_put16(struct pp_out *out, uint32_t value)
{
    const uint8_t two[2] = {(uint8_t)(value >> 8), (uint8_t)value};

    pp_put(out, bytes_of(two, 2));
}

static void pp_put_decimal(struct pp_out *out, uint32_t value)
{
    uint8_t digits[5];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    pp_put(out, bytes_of(digits + at, sizeof(digits) - at));
}

static void pp_put_ip(struct pp_out *out, const struct ip_address *ip)
{
    char text[IP_TEXT_MAX];
    size_t length = ip_format(ip, text);

    pp_put(out, bytes_of(text, length));
    pp_put(out, BYTES_LITERAL(" "));
}

/* A line cannot name one address in IPv4 and one in IPv6. */
static void pp_write_v1(struct pp_out *out, const struct pp_header *header)
{
    bool source4 = ip_is4(&header->source);
    bool named = !header->local && (header->family == PP_IP4 || header->family == PP_IP6) &&
                 source4 == ip_is4(&header->destination);

    if (!named) {
        pp_put(out, BYTES_LITERAL("PROXY UNKNOWN\r\n"));
        return;
    }
    pp_put(out, source4 ? BYTES_LITERAL("PROXY TCP4 ") : BYTES_LITERAL("PROXY TCP6 "));
    pp_put_ip(out, &header->source);
    pp_put_ip(out, &header->destination);
    pp_put_decimal(out, header->source_port);
    pp_put(out, BYTES_LITERAL(" "));
    pp_put_decimal(out, header->destination_port);
    pp_put(out, BYTES_LITERAL("\r\n"));
}

static void pp_put_tlv(struct pp_out *out, uint8_t type, struct bytes value, size_t most)
{
    if (value.len == 0 || value.len > most) {
        return;
    }
    pp_put(out, bytes_of(&type, 1));
    pp_put16(out, (uint32_t)value.len);
    pp_put(out, value);
}

static void pp_put_ssl(struct pp_out *out, const struct pp_ssl *ssl)
{
    uint8_t type = PP_TLV_SSL;
    size_t at = out->at + 1;
    size_t length;

    pp_put(out, bytes_of(&type, 1));
    pp_put16(out, 0);
    pp_put(out, bytes_of(&ssl->client, 1));
    pp_put16(out, ssl->verify >> 16);
    pp_put16(out, ssl->verify & 0xffff);
    pp_put_tlv(out, PP_TLV_SSL_VERSION, ssl->version, PP_MAX_NAME);
    pp_put_tlv(out, PP_TLV_SSL_NAME, ssl->name, PP_MAX_NAME);
    if (!out->full) {
        length = out->at - at - 2;
        out->start[at] = (uint8_t)(length >> 8);
        out->start[at + 1] = (uint8_t)length;
    }
}

static void pp_put_addresses(struct pp_out *out, const struct pp_header *header)
{
    static const uint8_t zeros[108] = {0};
    const struct bytes paths[2] = {header->source_path, header->destination_path};
    size_t skip = header->family == PP_IP6 ? 0 : 12;

    switch ((enum pp_family)header->family) {
    case PP_IP4:
    case PP_IP6:
        pp_put(out, bytes_of(header->source.bytes + skip, 16 - skip));
        pp_put(out, bytes_of(header->destination.bytes + skip, 16 - skip));
        pp_put16(out, header->source_port);
        pp_put16(out, header->destination_port);
        break;
    case PP_UNIX:
        for (uint32_t i = 0; i < 2; i++) {
            size_t length = paths[i].len < 108 ? paths[i].len : 108;

            pp_put(out, bytes_part(paths[i], 0, length));
            pp_put(out, bytes_of(zeros, 108 - length));
        }
        break;
    case PP_UNSPEC:
    case PP_FAMILY_COUNT:
        break;
    }
}

static void pp_write_v2(struct pp_out *out, const struct pp_header *header)
{
    const uint8_t command = header->local ? 0x20 : 0x21;
    const uint8_t family =
        header->local || header->family == PP_UNSPEC ? 0 : (uint8_t)(header->family << 4 | 1);
    size_t crc_at = 0;
    size_t length;
    uint32_t crc;

    pp_put(out, PP_SIGNATURE);
    pp_put(out, bytes_of(&command, 1));
    pp_put(out, bytes_of(&family, 1));
    pp_put16(out, 0);
    if (!header->local) {
        pp_put_addresses(out, header);
        pp_put_tlv(out, PP_TLV_ALPN, header->alpn, PP_MAX_NAME);
        pp_put_tlv(out, PP_TLV_AUTHORITY, header->authority, PP_MAX_NAME);
        pp_put_tlv(out, PP_TLV_UNIQUE_ID, header->unique_id, PP_MAX_ID);
        if (header->has_ssl) {
            pp_put_ssl(out, &header->ssl);
        }
        if (header->checksum) {
            pp_put_tlv(out, PP_TLV_CRC32C, BYTES_LITERAL("\0\0\0\0"), 4);
            crc_at = out->at - 4;
        }
    }
    if (out->full) {
        return;
    }
    length = out->at - PP_PREFIX;
    out->start[14] = (uint8_t)(length >> 8);
    out->start[15] = (uint8_t)length;
    if (crc_at > 0) {
        crc = pp_crc(bytes_of(out->start, out->at), crc_at);
        for (uint32_t i = 0; i < 4; i++) {
            out->start[crc_at + i] = (uint8_t)(crc >> (24 - 8 * i));
        }
    }
}

size_t pp_write(const struct pp_header *header, uint8_t *to, size_t capacity)
{
    struct pp_out out = {.start = to, .capacity = capacity};

    if (header->version == PP_V1) {
        pp_write_v1(&out, header);
    } else {
        pp_write_v2(&out, header);
    }
    return out.full ? 0 : out.at;
}
