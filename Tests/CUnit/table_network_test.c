#include "table/network.h"

#include <string.h>

#include "abi/limits.h"
#include "cunit.h"

static struct abi_network network(uint8_t first, uint8_t second, uint32_t bits)
{
    return (struct abi_network){.ip = {first, second}, .bits = bits};
}

TEST(a_network_covers_its_prefix)
{
    struct abi_network some = network(0x20, 0x10, 12);
    struct abi_network all = network(0, 0, 0);
    struct abi_network one = {.ip = {1, [15] = 1}, .bits = 128};

    CHECK(network_covers(&some, (const uint8_t[16]){0x20, 0x10}));
    CHECK(network_covers(&some, (const uint8_t[16]){0x20, 0x1f, [15] = 0xff}));
    CHECK(!network_covers(&some, (const uint8_t[16]){0x20, 0x20}));
    CHECK(!network_covers(&some, (const uint8_t[16]){0x20, 0x0f, 0xff}));
    CHECK(!network_covers(&some, (const uint8_t[16]){0x21, 0x10}));
    CHECK(network_covers(&all, (const uint8_t[16]){0xff, [15] = 0xff}));
    CHECK(network_covers(&one, one.ip));
    CHECK(!network_covers(&one, (const uint8_t[16]){1, [15] = 2}));
}

/* Lists of networks that do not overlap, against looking at every one of them. */
TEST(a_list_is_searched_as_if_one_looked_at_all)
{
    struct abi_network networks[64];
    struct view view = {.networks = networks};

    for (uint32_t round = 0; round < 2000; round++) {
        struct abi_ref list = {0, 0};
        uint32_t first = cunit_random_below(40);

        while (list.count < 64 && first < 256) {
            uint32_t bits = 4 + cunit_random_below(13);
            uint32_t step = bits < 8 ? 1u << (8 - bits) : 1;
            uint32_t at = (first + step - 1) / step * step;

            if (at < 256) {
                networks[list.count++] = network((uint8_t)at, 0, bits);
            }
            first = at + step + cunit_random_below(20);
        }
        for (uint32_t i = 0; i < 300; i++) {
            uint8_t ip[16] = {(uint8_t)cunit_random_below(256),
                              (uint8_t)(cunit_random_below(4) == 0 ? cunit_random_below(256) : 0)};
            bool covered = false;

            for (uint32_t n = 0; n < list.count; n++) {
                covered = covered || network_covers(&networks[n], ip);
            }
            if (network_has(&view, list, ip) != covered) {
                cunit_context("round %u, %u.%u", round, ip[0], ip[1]);
                CHECK(false);
            }
        }
    }
    CHECK(!network_has(&view, (struct abi_ref){0, 0}, networks[0].ip));
}
