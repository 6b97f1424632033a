/* Listeners for redirected connections without anybody who redirects; with one they are tried by
 * Tests/Integration/test_transparent.py. */
#include <unistd.h>

#include "proxy_kit.h"

/* Listener 0 gets redirected connections, all of which are for the one behind it. */
static struct proxy_kit *started(void)
{
    struct proxy_kit *kit = proxy_kit_new();
    struct abi_listener inner;
    struct abi_listener *outer;
    uint32_t place;

    proxy_kit_l4(kit, proxy_kit_target(kit, "web", 1));
    inner = snapshot_builder_listener(kit->builder, "inner", 1);
    inner.flags = ABI_LISTENER_INNER;
    inner.splits = proxy_kit_listener(kit, 0)->splits;
    place = snapshot_builder_add(kit->builder, ABI_SECTION_LISTENER, &inner);
    outer = proxy_kit_listener(kit, 0);
    outer->flags = ABI_LISTENER_REDIRECTED;
    outer->splits = (struct abi_ref){0};
    outer->other = place;
    proxy_kit_start(kit);
    return kit;
}

/* Whoever calls the port itself would be sent round in a circle. */
PROXY_TEST(a_connection_that_nobody_redirected_is_closed)
{
    struct proxy_kit *kit = started();
    int client = proxy_kit_client(kit, 0);
    bool reset = false;

    CHECK_BYTES(proxy_kit_rest(kit, client, &reset), bytes_of(NULL, 0));
    close(client);
    proxy_kit_settle(kit);
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_NOT_REDIRECTED), 1);
    CHECK_UINT(abi_stats_listener(kit->stats, 0)->counters[ABI_LISTENER_ACCEPTED], 1);
    CHECK_UINT(abi_stats_listener(kit->stats, 1)->counters[ABI_LISTENER_ACCEPTED], 0);
    proxy_kit_free(kit);
}
