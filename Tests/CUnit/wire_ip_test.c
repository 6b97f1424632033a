#include "wire/ip.h"

#include <arpa/inet.h>
#include <string.h>

#include "cunit.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
    const char *text;
    const char *normal; /* NULL: no address */
} addresses[] = {
    {"0.0.0.0", "0.0.0.0"},
    {"255.255.255.255", "255.255.255.255"},
    {"1.2.3.4", "1.2.3.4"},
    {"256.1.1.1", NULL},
    {"1.2.3", NULL},
    {"1.2.3.4.5", NULL},
    {"1.2.3.4.", NULL},
    {".1.2.3.4", NULL},
    {"1..3.4", NULL},
    {"01.2.3.4", NULL},
    {"1.2.3.00", NULL},
    {"1.2.3.4 ", NULL},
    {" 1.2.3.4", NULL},
    {"0x1.2.3.4", NULL},
    {"+1.2.3.4", NULL},
    {"", NULL},
    {"::", "::"},
    {"::1", "::1"},
    {"1::", "1::"},
    {"2001:db8::1", "2001:db8::1"},
    {"2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
    {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
    {"0:0:0:0:0:0:0:0", "::"},
    {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
    {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
    {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
    {"1:0:0:2:0:0:0:3", "1:0:0:2::3"},
    {"::ffff:1.2.3.4", "1.2.3.4"},
    {"::ffff:102:304", "1.2.3.4"},
    {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
    {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
    {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    {"1:2:3:4:5:6:7", NULL},
    {"1:2:3:4:5:6:7:8:9", NULL},
    {"1:2:3:4:5:6:7:8::", NULL},
    {"1::2::3", NULL},
    {":::", NULL},
    {":", NULL},
    {"1:", NULL},
    {":1", NULL},
    {"12345::", NULL},
    {"::1.2.3", NULL},
    {"::1.2.3.4:1", NULL},
    {"::1.2.3.04", NULL},
    {"1:2:3:4:5:6:7:1.2.3.4", NULL},
    {"fe80::1%eth0", NULL},
    {"[::1]", NULL},
    {"::g", NULL},
};

TEST(addresses_have_one_reading)
{
    for (size_t i = 0; i < COUNT(addresses); i++) {
        char text[IP_TEXT_MAX];
        struct bytes in = cunit_guarded(cunit_text(addresses[i].text));
        struct ip_address ip;
        bool good = ip_parse(in, &ip);

        cunit_context("%s", addresses[i].text);
        if (CHECK_INT(good, addresses[i].normal != NULL) && good) {
            size_t length = ip_format(&ip, text);

            CHECK_TEXT(bytes_of(text, length), addresses[i].normal);
        }
    }
}

/* Random text over the characters of addresses, and damaged addresses, against the C library. */
TEST(addresses_are_read_as_the_c_library_does)
{
    static const char alphabet[] = "0123::::....aF9 ";

    for (uint32_t round = 0; round < 200000; round++) {
        char text[64];
        uint8_t theirs[16];
        struct ip_address ours;
        size_t length;
        bool good;

        if (round % 2 == 0) {
            length = 1 + cunit_random_below(20);
            for (size_t i = 0; i < length; i++) {
                text[i] = alphabet[cunit_random_below(sizeof(alphabet) - 1)];
            }
        } else {
            length = strlen(addresses[round / 2 % COUNT(addresses)].text);
            memcpy(text, addresses[round / 2 % COUNT(addresses)].text, length);
            if (length > 0) {
                text[cunit_random_below((uint32_t)length)] =
                    alphabet[cunit_random_below(sizeof(alphabet) - 1)];
            }
        }
        text[length] = '\0';
        good = inet_pton(AF_INET6, text, theirs) == 1;
        if (ip_parse6(bytes_of(text, length), &ours) != good ||
            (good && memcmp(theirs, ours.bytes, 16) != 0)) {
            cunit_context("%s", text);
            CHECK(false);
        }
        good = inet_pton(AF_INET, text, theirs) == 1;
        if (ip_parse4(bytes_of(text, length), &ours) != good ||
            (good && memcmp(theirs, ours.bytes + 12, 4) != 0)) {
            cunit_context("%s", text);
            CHECK(false);
        }
    }
    CHECK(true);
}

TEST(every_address_survives_its_text)
{
    for (uint32_t round = 0; round < 20000; round++) {
        char text[IP_TEXT_MAX];
        struct ip_address ip;
        struct ip_address back;

        for (uint32_t i = 0; i < 16; i++) {
            ip.bytes[i] = cunit_random_below(3) == 0 ? (uint8_t)cunit_random_below(256) : 0;
        }
        if (!ip_parse(bytes_of(text, ip_format(&ip, text)), &back) ||
            memcmp(&ip, &back, sizeof(ip)) != 0) {
            CHECK(false);
        }
    }
    CHECK(true);
}

TEST(ports_have_one_form)
{
    uint16_t port = 0;

    CHECK(ip_parse_port(BYTES_LITERAL("0"), &port) && port == 0);
    CHECK(ip_parse_port(BYTES_LITERAL("65535"), &port) && port == 65535);
    CHECK(!ip_parse_port(BYTES_LITERAL("65536"), &port));
    CHECK(!ip_parse_port(BYTES_LITERAL("99999"), &port));
    CHECK(!ip_parse_port(BYTES_LITERAL("100000"), &port));
    CHECK(!ip_parse_port(BYTES_LITERAL("080"), &port));
    CHECK(!ip_parse_port(BYTES_LITERAL("-1"), &port));
    CHECK(!ip_parse_port(BYTES_LITERAL(""), &port));
}
