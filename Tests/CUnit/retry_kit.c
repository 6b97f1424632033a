#include "retry_kit.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct proxy_kit *retry_kit_of(uint32_t retry_on, uint32_t retries, struct abi_traffic traffic)
{
    struct proxy_kit *kit = proxy_kit_new();
    struct abi_route route =
        snapshot_builder_forward(kit->builder, proxy_kit_target(kit, "web", 2));

    route.retries = retries;
    route.retry_on = retry_on;
    route.traffic = snapshot_builder_add(kit->builder, ABI_SECTION_TRAFFIC, &traffic);
    proxy_kit_l7(kit, route);
    proxy_kit_start(kit);
    return kit;
}

int retry_kit_next(struct proxy_kit *kit)
{
    for (int turns = 0; turns < 60000; turns++) {
        for (uint32_t i = 0; i < kit->upstream_count; i++) {
            int fd = accept4(kit->upstreams[i], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

            if (fd >= 0) {
                return fd;
            }
        }
        (void)proxy_kit_turn(kit, KIT_MS);
    }
    CHECK(false);
    return -1;
}

bool retry_kit_is_alone(struct proxy_kit *kit)
{
    return proxy_kit_is_alone(kit, 0) && proxy_kit_is_alone(kit, 1);
}

void retry_kit_answer(struct proxy_kit *kit, const char *text)
{
    int up = retry_kit_next(kit);

    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, text);
    proxy_kit_settle(kit);
    close(up);
}

void retry_kit_status(struct proxy_kit *kit, int client, const char *status)
{
    char start[32];
    struct bytes head = proxy_kit_until(kit, client, "\r\n\r\n");

    snprintf(start, sizeof(start), "HTTP/1.1 %s ", status);
    CHECK(bytes_has_prefix(head, bytes_of(start, strlen(start))));
}
