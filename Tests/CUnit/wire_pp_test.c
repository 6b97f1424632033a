#include "wire/pp.h"

#include <string.h>

#include "base/err.h"
#include "cunit.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SIG          "\r\n\r\n\0\r\nQUIT\n"
#define V2(rest)     BYTES_LITERAL(SIG rest)
#define TCP4         "\x01\x02\x03\x04\x05\x06\x07\x08\x04\x57\x00\x50"

/* The result for the whole input, after looking at every prefix of it: a prefix of a good header
 * asks for more, and a refusal stays one. */
static int parse(struct bytes whole, uint8_t versions, struct pp_header *header)
{
    int refused = 0;
    int last = 0;

    for (size_t length = 0; length <= whole.len; length++) {
        struct bytes in = cunit_guarded(bytes_part(whole, 0, length));

        last = pp_parse(in, versions, header);
        cunit_unguard(in.ptr);
        if (refused != 0) {
            CHECK_INT(last, refused);
        } else if (last < 0) {
            refused = last;
        } else if (last > 0) {
            CHECK(length >= (size_t)last);
        }
    }
    return last;
}

static const struct {
    const char *line;
    int result; /* of the line without what follows CRLF; 0: bytes of the line */
} lines[] = {
    {"PROXY TCP4 1.2.3.4 5.6.7.8 1111 80\r\n", 0},
    {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", 0},
    {"PROXY TCP4 1.2.3.4 5.6.7.8 0 0\r\n", 0},
    {"PROXY TCP6 2001:db8::1 2001:db8::2 1111 443\r\n", 0},
    {"PROXY TCP6 ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", MESH_E_SYNTAX},
    {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
     0},
    {"PROXY UNKNOWN\r\n", 0},
    {"PROXY UNKNOWN ff::1 ff::2 1 2\r\n", 0},
    {"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
     0}, /* 107 bytes, the longest */
    {"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535 \r\n",
     MESH_E_TOO_LONG},
    {"PROXY TCP4 1.2.3.4 5.6.7.8 99999 80\r\n", MESH_E_SYNTAX},
    {"PROXY TCP4 1.2.3.4 5.6.7.8 1111 80 \r\n", MESH_E_SYNTAX},
    {"PROXY TCP4 1.2.3.4 5.6.7.8 1111\r\n", MESH_E_SYNTAX},
    {"PROXY TCP4 1.2.3.4 5.6.7.8 1111 \r\n", MESH_E_SYNTAX},
    {"PROXY TCP4 1.2.3.4 5.6.7.8 1111 80 90\r\n", MESH_E_SYNTAX},
    {"PROXY TCP4  1.2.3.4 5.6.7.8 1111 80\r\n", MESH_E_SYNTAX},
    {"PROXY TCP4\t1.2.3.4 5.6.7.8 1111 80\r\n", MESH_E_SYNTAX},
    {"PROXY TCP4 1.2.3.4 5.6.7.8 01111 80\r\n", MESH_E_SYNTAX},
    {"PROXY TCP4 1.2.3.04 5.6.7.8 1111 80\r\n", MESH_E_SYNTAX},
    {"PROXY TCP4 2001:db8::1 2001:db8::2 1111 80\r\n", MESH_E_SYNTAX},
    {"PROXY TCP6 1.2.3.4 5.6.7.8 1111 80\r\n", MESH_E_SYNTAX},
    {"PROXY TCP5 1.2.3.4 5.6.7.8 1111 80\r\n", MESH_E_SYNTAX},
    {"PROXY tcp4 1.2.3.4 5.6.7.8 1111 80\r\n", MESH_E_SYNTAX},
    {"PROXY UNKNOWNX\r\n", MESH_E_SYNTAX},
    {"PROXY \r\n", MESH_E_SYNTAX},
    {"proxy TCP4 1.2.3.4 5.6.7.8 1111 80\r\n", MESH_E_SYNTAX},
    {" PROXY TCP4 1.2.3.4 5.6.7.8 1111 80\r\n", MESH_E_SYNTAX},
    {"PROXY TCP4 1.2.3.4 5.6.7.8 1111 80\n", MESH_E_SYNTAX},
    {"PROXY TCP4 1.2.3.4 5.6.7.8 1111 80\r\r\n", MESH_E_SYNTAX},
    {"GET /p HTTP/1.1\r\nHost: ex.test\r\n\r\n", MESH_E_SYNTAX},
};

TEST(lines_of_version_1)
{
    for (size_t i = 0; i < COUNT(lines); i++) {
        struct bytes line = cunit_text(lines[i].line);
        struct pp_header header;

        cunit_context("%s", lines[i].line);
        CHECK_INT(parse(line, PP_ANY, &header),
                  lines[i].result == 0 ? (int)line.len : lines[i].result);
    }
    CHECK_UINT(cunit_text(lines[8].line).len, PP_MAX_V1);
}

TEST(version_1_names_both_ends)
{
    struct pp_header header;
    struct ip_address ip;

    CHECK_INT(parse(BYTES_LITERAL("PROXY TCP4 1.2.3.4 5.6.7.8 1111 80\r\nGET /"), PP_V1, &header),
              36);
    CHECK_UINT(header.version, PP_V1);
    CHECK_UINT(header.family, PP_IP4);
    CHECK(!header.local);
    CHECK(ip_parse(BYTES_LITERAL("1.2.3.4"), &ip) && memcmp(&ip, &header.source, 16) == 0);
    CHECK(ip_parse(BYTES_LITERAL("5.6.7.8"), &ip) && memcmp(&ip, &header.destination, 16) == 0);
    CHECK_UINT(header.source_port, 1111);
    CHECK_UINT(header.destination_port, 80);
    CHECK_INT(parse(BYTES_LITERAL("PROXY UNKNOWN 1.2.3.4\r\n"), PP_V1, &header), 23);
    CHECK_UINT(header.family, PP_UNSPEC);
}

TEST(only_the_versions_asked_for_are_taken)
{
    struct bytes v1 = BYTES_LITERAL("PROXY UNKNOWN\r\n");
    struct bytes v2 = V2("\x20\x00\x00\x00");
    struct pp_header header;

    CHECK_INT(parse(v1, PP_V2, &header), MESH_E_SYNTAX);
    CHECK_INT(parse(v2, PP_V1, &header), MESH_E_SYNTAX);
    CHECK_INT(parse(v1, PP_ANY, &header), 15);
    CHECK_INT(parse(v2, PP_ANY, &header), 16);
    CHECK_INT(parse(v1, 0, &header), MESH_E_SYNTAX);
}

static const struct {
    const char *what;
    struct bytes in;
    int result; /* 0: the bytes of the input */
} blocks[] = {
    {"TCP4", V2("\x21\x11\x00\x0c" TCP4), 0},
    {"LOCAL", V2("\x20\x00\x00\x00"), 0},
    {"LOCAL with anything", V2("\x20\xff\x00\x04\x01\x00\xff\x00"), 0},
    {"UNSPEC", V2("\x21\x00\x00\x00"), 0},
    {"UNSPEC with a TLV", V2("\x21\x00\x00\x04\x01\x00\x01x"), 0},
    {"version 1 in binary", V2("\x11\x11\x00\x0c" TCP4), MESH_E_SYNTAX},
    {"version 3", V2("\x31\x11\x00\x0c" TCP4), MESH_E_SYNTAX},
    {"command 2", V2("\x22\x11\x00\x0c" TCP4), MESH_E_SYNTAX},
    {"command 15", V2("\x2f\x11\x00\x0c" TCP4), MESH_E_SYNTAX},
    {"family 4", V2("\x21\x41\x00\x0c" TCP4), MESH_E_SYNTAX},
    {"transport 3", V2("\x21\x13\x00\x0c" TCP4), MESH_E_SYNTAX},
    {"TCP without family", V2("\x21\x01\x00\x00"), MESH_E_SYNTAX},
    {"IPv4 without transport", V2("\x21\x10\x00\x0c" TCP4), MESH_E_SYNTAX},
    {"datagrams", V2("\x21\x12\x00\x0c" TCP4), MESH_E_UNSUPPORTED},
    {"addresses cut", V2("\x21\x11\x00\x0b\x01\x02\x03\x04\x05\x06\x07\x08\x04\x57\x00"),
     MESH_E_SYNTAX},
    {"IPv6 with the size of IPv4", V2("\x21\x21\x00\x0c" TCP4), MESH_E_SYNTAX},
    {"TLV beyond the header", V2("\x21\x11\x00\x10" TCP4 "\x02\xff\xffx"), MESH_E_SYNTAX},
    {"TLV with one byte too many", V2("\x21\x11\x00\x10" TCP4 "\xe0\x00\x02x"), MESH_E_SYNTAX},
    {"half a TLV", V2("\x21\x11\x00\x0e" TCP4 "\x04\x00"), MESH_E_SYNTAX},
    {"empty padding", V2("\x21\x11\x00\x0f" TCP4 "\x04\x00\x00"), 0},
    {"unknown TLV", V2("\x21\x11\x00\x10" TCP4 "\xe0\x00\x01x"), 0},
    {"empty authority", V2("\x21\x11\x00\x0f" TCP4 "\x02\x00\x00"), MESH_E_SYNTAX},
    {"blank in the authority",
     V2("\x21\x11\x00\x12" TCP4 "\x02\x00\x03"
        "a b"),
     MESH_E_SYNTAX},
    {"authority twice",
     V2("\x21\x11\x00\x14" TCP4 "\x02\x00\x01"
        "a"
        "\x02\x00\x01"
        "a"),
     MESH_E_SYNTAX},
    {"short checksum",
     V2("\x21\x11\x00\x12" TCP4 "\x03\x00\x03"
        "abc"),
     MESH_E_SYNTAX},
    {"wrong checksum",
     V2("\x21\x11\x00\x13" TCP4 "\x03\x00\x04"
        "abcd"),
     MESH_E_CHECKSUM},
    {"TLS facts cut", V2("\x21\x11\x00\x13" TCP4 "\x20\x00\x04\x01\x00\x00\x00"), MESH_E_SYNTAX},
    {"TLS version beyond the facts",
     V2("\x21\x11\x00\x18" TCP4 "\x20\x00\x09\x01\x00\x00\x00\x00\x21\x00\x02"
        "x"),
     MESH_E_SYNTAX},
    {"too long", V2("\x21\x11\xff\xff"), MESH_E_TOO_LONG},
    {"longest but one too long", V2("\x21\x11\x0f\xf1"), MESH_E_TOO_LONG},
    {"signature with one bit turned", BYTES_LITERAL("\r\n\r\n\0\r\nQUIT\r"), MESH_E_SYNTAX},
};

TEST(blocks_of_version_2)
{
    for (size_t i = 0; i < COUNT(blocks); i++) {
        struct pp_header header;

        cunit_context("%s", blocks[i].what);
        CHECK_INT(parse(blocks[i].in, PP_ANY, &header),
                  blocks[i].result == 0 ? (int)blocks[i].in.len : blocks[i].result);
    }
}

TEST(nothing_behind_a_block_is_read)
{
    struct pp_header header;

    CHECK_INT(parse(V2("\x21\x11\x00\x0c" TCP4 "GET / HTTP/1.1\r\n"), PP_ANY, &header), 28);
    CHECK_UINT(header.source_port, 1111);
    CHECK_UINT(header.destination_port, 80);
    CHECK_UINT(header.source.bytes[15], 4);
    CHECK_UINT(header.destination.bytes[15], 8);
}

/* No changed bit of the addresses, the authority or the checksum goes unnoticed. */
TEST(a_checksum_covers_the_whole_header)
{
    uint8_t block[] = SIG "\x21\x11\x00\x1d" TCP4 "\x02\x00\x07"
                          "ex.test"
                          "\x03\x00\x04\x00\x00\x00\x00";
    struct pp_header header = {.version = PP_V2, .family = PP_IP4, .checksum = true};
    uint8_t written[PP_MAX_WRITTEN];
    size_t length;

    header.source = ip_of4((const uint8_t *)"\x01\x02\x03\x04");
    header.destination = ip_of4((const uint8_t *)"\x05\x06\x07\x08");
    header.source_port = 1111;
    header.destination_port = 80;
    header.authority = BYTES_LITERAL("ex.test");
    length = pp_write(&header, written, sizeof(written));
    CHECK_UINT(length, sizeof(block) - 1);
    CHECK_BYTES(bytes_of(written, length - 4), bytes_of(block, length - 4));
    CHECK_INT(parse(bytes_of(written, length), PP_V2, &header), (int)length);
    CHECK(header.checksum);
    for (size_t i = 16; i < length; i++) {
        for (uint32_t bit = 0; bit < 8; bit++) {
            written[i] ^= (uint8_t)(1u << bit);
            cunit_context("byte %zu, bit %u", i, bit);
            /* In the heads of the TLVs a change may hide the checksum itself. */
            if (i < 28 || (i >= 31 && i < 38) || i >= 41) {
                CHECK(pp_parse(bytes_of(written, length), PP_V2, &header) < 0);
            }
            written[i] ^= (uint8_t)(1u << bit);
        }
    }
}

/* Bit by bit, from the reflected polynomial of RFC 3720. */
static uint32_t crc_reference(struct bytes in)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < in.len; i++) {
        crc ^= in.ptr[i];
        for (uint32_t bit = 0; bit < 8; bit++) {
            crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
        }
    }
    return ~crc;
}

TEST(the_checksum_is_crc32c)
{
    struct pp_header header = {.version = PP_V2, .family = PP_UNSPEC, .checksum = true};
    uint8_t written[PP_MAX_WRITTEN];
    size_t length = pp_write(&header, written, sizeof(written));
    uint32_t crc = 0;

    CHECK_UINT(crc_reference(BYTES_LITERAL("123456789")), 0xe3069283u);
    CHECK_UINT(length, 23);
    for (size_t i = length - 4; i < length; i++) {
        crc = crc << 8 | written[i];
        written[i] = 0;
    }
    CHECK_UINT(crc, crc_reference(bytes_of(written, length)));
}

static struct pp_header full_header(void)
{
    struct pp_header header = {
        .version = PP_V2,
        .family = PP_IP6,
        .has_ssl = true,
        .checksum = true,
        .source_port = 1,
        .destination_port = 65535,
        .alpn = BYTES_LITERAL("h2"),
        .authority = BYTES_LITERAL("ex.test"),
        .unique_id = BYTES_LITERAL("\0\1\2\3"),
        .ssl = {.client = PP_CLIENT_SSL | PP_CLIENT_CERT_CONN,
                .verify = 0,
                .version = BYTES_LITERAL("TLSv1.3"),
                .name = BYTES_LITERAL("somebody")},
    };

    memset(header.source.bytes, 0x20, 16);
    memset(header.destination.bytes, 0xfe, 16);
    return header;
}

TEST(what_is_written_is_read_again)
{
    struct pp_header header = full_header();
    uint8_t written[PP_MAX_WRITTEN];
    size_t length = pp_write(&header, written, sizeof(written));
    struct pp_header back;

    CHECK_INT(parse(bytes_of(written, length), PP_ANY, &back), (int)length);
    CHECK_UINT(back.family, PP_IP6);
    CHECK(memcmp(&back.source, &header.source, 16) == 0);
    CHECK(memcmp(&back.destination, &header.destination, 16) == 0);
    CHECK_UINT(back.source_port, 1);
    CHECK_UINT(back.destination_port, 65535);
    CHECK_BYTES(back.alpn, header.alpn);
    CHECK_BYTES(back.authority, header.authority);
    CHECK_BYTES(back.unique_id, header.unique_id);
    CHECK(back.has_ssl && back.checksum);
    CHECK_UINT(back.ssl.client, header.ssl.client);
    CHECK_UINT(back.ssl.verify, 0);
    CHECK_BYTES(back.ssl.version, header.ssl.version);
    CHECK_BYTES(back.ssl.name, header.ssl.name);
    for (size_t room = 0; room < length; room++) {
        uint8_t *small = cunit_guarded_room(room);

        CHECK_UINT(pp_write(&header, small, room), 0);
        cunit_unguard(small);
    }
}

TEST(unix_sockets_have_names)
{
    struct pp_header header = {
        .version = PP_V2,
        .family = PP_UNIX,
        .source_path = BYTES_LITERAL("/run/a"),
    };
    uint8_t written[PP_MAX_WRITTEN];
    size_t length = pp_write(&header, written, sizeof(written));
    struct pp_header back;

    CHECK_UINT(length, 16 + 216);
    CHECK_INT(parse(bytes_of(written, length), PP_ANY, &back), 232);
    CHECK_TEXT(back.source_path, "/run/a");
    CHECK_TEXT(back.destination_path, "");
    memset(written + 16, 'x', 216);
    CHECK_INT(pp_parse(bytes_of(written, length), PP_ANY, &back), 232);
    CHECK_UINT(back.source_path.len, 108);
}

TEST(version_1_is_written)
{
    struct pp_header header = full_header();
    char text[PP_MAX_V1];
    size_t length;

    header.version = PP_V1;
    length = pp_write(&header, (uint8_t *)text, sizeof(text));
    CHECK_TEXT(bytes_of(text, length), "PROXY TCP6 2020:2020:2020:2020:2020:2020:2020:2020 "
                                       "fefe:fefe:fefe:fefe:fefe:fefe:fefe:fefe 1 65535\r\n");
    header.source = ip_of4((const uint8_t *)"\x01\x02\x03\x04");
    length = pp_write(&header, (uint8_t *)text, sizeof(text));
    CHECK_TEXT(bytes_of(text, length), "PROXY UNKNOWN\r\n");
    header.destination = ip_of4((const uint8_t *)"\x05\x06\x07\x08");
    length = pp_write(&header, (uint8_t *)text, sizeof(text));
    CHECK_TEXT(bytes_of(text, length), "PROXY TCP4 1.2.3.4 5.6.7.8 1 65535\r\n");
    header.local = true;
    length = pp_write(&header, (uint8_t *)text, sizeof(text));
    CHECK_TEXT(bytes_of(text, length), "PROXY UNKNOWN\r\n");
    header.version = PP_V2;
    length = pp_write(&header, (uint8_t *)text, sizeof(text));
    CHECK_BYTES(bytes_of(text, length), V2("\x20\x00\x00\x00"));
}
