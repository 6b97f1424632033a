#include "table/original.h"

#include <stdlib.h>
#include <string.h>

#include "abi/limits.h"
#include "cunit.h"
#include "table_faults.h"
#include "table_kit.h"

static struct original_address address_of(uint8_t last, uint16_t port)
{
    return (struct original_address){.ip = {[10] = 0xff, 0xff, 10, 0, 0, last}, .port = port};
}

TEST(an_own_port_wins_over_every_port)
{
    struct snapshot_builder *b = table_kit_everything();
    struct original_address address = address_of(1, 80);
    struct view_refusal refusal;
    struct view view;

    CHECK(view_open(&view, snapshot_builder_bytes(b), snapshot_builder_size(b), &refusal));
    CHECK_UINT(original_find(&view, 3, &address), 4);
    address.port = 443;
    CHECK_UINT(original_find(&view, 3, &address), 5);
    CHECK_UINT(original_find(&view, 2, &address), ABI_NONE);
    address = address_of(2, 443);
    CHECK_UINT(original_find(&view, 3, &address), ABI_NONE);
    address = address_of(1, 443);
    address.ip[10] = 0; /* not the IPv4 address */
    CHECK_UINT(original_find(&view, 3, &address), ABI_NONE);
    snapshot_builder_free(b);
}

/* Nobody is dialled at an address that only services have. */
TEST(what_was_meant_for_a_service_that_is_gone_goes_nowhere)
{
    struct snapshot_builder *b = table_kit_everything();
    struct original_address address = address_of(2, 443);
    struct view_refusal refusal;
    struct view view;

    CHECK(view_open(&view, snapshot_builder_bytes(b), snapshot_builder_size(b), &refusal));
    CHECK(view.listeners[3].other != ABI_NONE);
    CHECK_UINT(original_lead(&view, 3, &address), view.listeners[3].other);
    for (uint32_t first = 0; first < 256; first++) {
        address.ip[12] = (uint8_t)first;
        CHECK_UINT(original_is_virtual(&address), first >= 240);
        CHECK_UINT(original_lead(&view, 3, &address),
                   first >= 240 ? ABI_NONE : view.listeners[3].other);
    }
    address.ip[10] = 0; /* not the IPv4 address */
    CHECK(!original_is_virtual(&address));
    address = address_of(1, 80);
    CHECK_UINT(original_lead(&view, 3, &address), 4);
    snapshot_builder_free(b);
}

static int by_order(const void *a, const void *b)
{
    return original_compare(a, b);
}

/* The exact record, else that of every port, looked at one by one. */
static uint32_t looked_up(const struct view *view, uint32_t listener,
                          const struct original_address *address)
{
    uint32_t found = ABI_NONE;

    for (uint32_t i = 0; i < view->counts[ABI_SECTION_ORIGINAL]; i++) {
        const struct abi_original *one = &view->originals[i];

        if (one->listener != listener || memcmp(one->ip, address->ip, 16) != 0) {
            continue;
        }
        if (one->port == address->port) {
            return one->inner;
        }
        found = one->port == 0 ? one->inner : found;
    }
    return found;
}

TEST(addresses_are_found_as_if_one_looked_at_all)
{
    struct abi_original originals[96];
    struct view view = {.originals = originals};

    for (uint32_t round = 0; round < 500; round++) {
        uint32_t wanted = cunit_random_below(96) + 1;
        uint32_t count = 0;

        for (uint32_t i = 0; i < wanted; i++) {
            originals[i] = (struct abi_original){.ip = {[15] = (uint8_t)cunit_random_below(12)},
                                                 .listener = cunit_random_below(3),
                                                 .port = cunit_random_below(4),
                                                 .inner = i};
        }
        qsort(originals, wanted, sizeof(originals[0]), by_order);
        for (uint32_t i = 0; i < wanted; i++) { /* no three twice */
            if (count == 0 || original_compare(&originals[count - 1], &originals[i]) < 0) {
                originals[count++] = originals[i];
            }
        }
        view.counts[ABI_SECTION_ORIGINAL] = count;
        for (uint32_t i = 0; i < 200; i++) {
            struct original_address address = {.ip = {[15] = (uint8_t)cunit_random_below(13)},
                                               .port = (uint16_t)(1 + cunit_random_below(4))};
            uint32_t listener = cunit_random_below(4);

            CHECK_UINT(original_find(&view, listener, &address),
                       looked_up(&view, listener, &address));
        }
    }
}

/* Records of table_kit_everything: listeners 3 (redirected), 4 (behind it, in the mesh), 5 (behind
 * it, for all others); endpoint 13 is where the client wanted to go. */
static const struct table_fault faults[] = {
    {"redirected and mesh", ABI_SECTION_LISTENER, 3, FIELD(abi_listener, flags),
     ABI_LISTENER_REDIRECTED | ABI_LISTENER_MESH_OUTBOUND, ABI_REFUSAL_VALUE},
    {"an L7 listener for redirected ones", ABI_SECTION_LISTENER, 0, FIELD(abi_listener, flags),
     ABI_LISTENER_REDIRECTED, ABI_REFUSAL_VALUE},
    {"redirected with splits", ABI_SECTION_LISTENER, 3, FIELD(abi_listener, splits.count), 1,
     ABI_REFUSAL_VALUE},
    {"redirected with routes", ABI_SECTION_LISTENER, 3, FIELD(abi_listener, route_table), 0,
     ABI_REFUSAL_VALUE},
    {"redirected with TLS", ABI_SECTION_LISTENER, 3, FIELD(abi_listener, tls), 0,
     ABI_REFUSAL_VALUE},
    {"others to a listener with a socket", ABI_SECTION_LISTENER, 3, FIELD(abi_listener, other), 1,
     ABI_REFUSAL_REFERENCE},
    {"others to no listener", ABI_SECTION_LISTENER, 3, FIELD(abi_listener, other), 6,
     ABI_REFUSAL_REFERENCE},
    {"others of a plain listener", ABI_SECTION_LISTENER, 1, FIELD(abi_listener, other), 4,
     ABI_REFUSAL_REFERENCE},
    {"an inner listener that the mesh calls", ABI_SECTION_LISTENER, 2, FIELD(abi_listener, flags),
     ABI_LISTENER_INNER | ABI_LISTENER_MESH_INBOUND, ABI_REFUSAL_VALUE},
    {"an address of a plain listener", ABI_SECTION_ORIGINAL, 0, FIELD(abi_original, listener), 1,
     ABI_REFUSAL_REFERENCE},
    {"an address of no listener", ABI_SECTION_ORIGINAL, 1, FIELD(abi_original, listener), 6,
     ABI_REFUSAL_REFERENCE},
    {"an address for a listener with a socket", ABI_SECTION_ORIGINAL, 0, FIELD(abi_original, inner),
     3, ABI_REFUSAL_REFERENCE},
    {"an address for no listener", ABI_SECTION_ORIGINAL, 0, FIELD(abi_original, inner), ABI_NONE,
     ABI_REFUSAL_REFERENCE},
    {"port of an address", ABI_SECTION_ORIGINAL, 1, FIELD(abi_original, port), 65536,
     ABI_REFUSAL_VALUE},
    {"the same address twice", ABI_SECTION_ORIGINAL, 1, FIELD(abi_original, port), 0,
     ABI_REFUSAL_ORDER},
    {"addresses out of order", ABI_SECTION_ORIGINAL, 0, offsetof(struct abi_original, ip) + 15, 1,
     2, ABI_REFUSAL_ORDER},
    {"to the original by a port", ABI_SECTION_ENDPOINT, 13, FIELD(abi_endpoint, address.port), 1,
     ABI_REFUSAL_PADDING},
    {"to the original by TLS", ABI_SECTION_ENDPOINT, 13, FIELD(abi_endpoint, tls), 1,
     ABI_REFUSAL_VALUE},
    {"a listener on an original", ABI_SECTION_LISTENER, 0, FIELD(abi_listener, address.family),
     ABI_FAMILY_ORIGINAL, ABI_REFUSAL_VALUE},
};

TEST(every_broken_rule_of_redirection_is_refused_by_name)
{
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        table_faults_check(&faults[i]);
    }
}
