/* Fields that change for one leg of a split only. */
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "proxy_kit.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
#define OK  "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

static struct abi_ref rules_of(struct proxy_kit *kit, const char *request, const char *answer)
{
    struct abi_header_op op = {.kind = ABI_HEADER_SET};
    struct abi_ref ref = {snapshot_builder_count(kit->builder, ABI_SECTION_HEADER_OP), 2};

    op.name = snapshot_builder_text(kit->builder, "x-leg");
    op.value = snapshot_builder_text(kit->builder, request);
    snapshot_builder_add(kit->builder, ABI_SECTION_HEADER_OP, &op);
    op.response = 1;
    op.value = snapshot_builder_text(kit->builder, answer);
    snapshot_builder_add(kit->builder, ABI_SECTION_HEADER_OP, &op);
    return ref;
}

static bool has(struct bytes head, const char *line)
{
    return memmem(head.ptr, head.len, line, strlen(line)) != NULL;
}

/* Which upstream one request reached, having checked what it and the client saw. */
static uint32_t ask(struct proxy_kit *kit)
{
    static const char *const requests[] = {"x-leg: a\r\n", "x-leg: route\r\n"};
    static const char *const answers[] = {"x-leg: from a\r\n", "x-leg: from route\r\n"};
    int client = proxy_kit_client(kit, 0);
    uint32_t leg = 2;
    struct bytes head;
    int up;

    proxy_kit_send(client, GET);
    for (uint32_t turns = 0; leg == 2 && turns < 1000; turns++) {
        (void)proxy_kit_turn(kit, KIT_MS);
        for (uint32_t i = 0; i < 2; i++) {
            struct pollfd ready = {.fd = kit->upstreams[i], .events = POLLIN};

            leg = poll(&ready, 1, 0) == 1 ? i : leg;
        }
    }
    up = proxy_kit_accept(kit, leg);
    head = proxy_kit_until(kit, up, "\r\n\r\n");
    CHECK(has(head, requests[leg]) && !has(head, requests[1 - leg]));
    proxy_kit_send(up, OK);
    head = proxy_kit_until(kit, client, "\r\n\r\n");
    CHECK(has(head, answers[leg]) && !has(head, answers[1 - leg]));
    close(up);
    close(client);
    return leg;
}

PROXY_TEST(a_leg_has_rules_of_its_own)
{
    struct proxy_kit *kit = proxy_kit_new();
    uint32_t a = proxy_kit_target(kit, "a", 1);
    uint32_t b = proxy_kit_target(kit, "b", 1);
    struct abi_route route = snapshot_builder_forward(kit->builder, a);
    struct abi_split split = {.weight = ABI_SPLIT_TOTAL / 2, .target = a};
    uint32_t seen = 0;

    route.header_ops = rules_of(kit, "route", "from route");
    split.header_ops = rules_of(kit, "a", "from a");
    route.splits = (struct abi_ref){snapshot_builder_count(kit->builder, ABI_SECTION_SPLIT), 2};
    snapshot_builder_add(kit->builder, ABI_SECTION_SPLIT, &split);
    split.target = b;
    split.header_ops = (struct abi_ref){0, 0};
    snapshot_builder_add(kit->builder, ABI_SECTION_SPLIT, &split);
    proxy_kit_l7(kit, route);
    proxy_kit_start(kit);
    for (uint32_t i = 0; i < 64; i++) {
        seen |= 1u << ask(kit);
    }
    CHECK_UINT(seen, 3);
    proxy_kit_free(kit);
}
