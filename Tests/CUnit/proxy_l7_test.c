/* HTTP exchanges over loopback: what the client and the upstream see, to the byte where it
 * matters. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy_kit.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

static struct proxy_kit *kit_of(uint32_t endpoints)
{
    struct proxy_kit *kit = proxy_kit_new();
    uint32_t web = proxy_kit_target(kit, "web", endpoints);

    proxy_kit_l7(kit, snapshot_builder_forward(kit->builder, web));
    return kit;
}

static struct proxy_kit *started(uint32_t endpoints)
{
    struct proxy_kit *kit = kit_of(endpoints);

    proxy_kit_start(kit);
    return kit;
}

TEST(one_exchange_and_the_next_on_the_same_connections)
{
    struct proxy_kit *kit = started(1);
    int client = proxy_kit_client(kit, 0);
    int up;

    proxy_kit_send(client, GET);
    up = proxy_kit_accept(kit, 0);
    for (int i = 0; i < 3; i++) {
        (void)proxy_kit_until(kit, up, "\r\n\r\n");
        proxy_kit_send(up, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        (void)proxy_kit_until(kit, client, "\r\n\r\nok");
        proxy_kit_send(client, GET);
    }
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    CHECK(proxy_kit_is_alone(kit, 0));
    close(up);
    close(client);
    proxy_kit_free(kit);
}

TEST(a_head_that_ends_within_is_the_end_of_waiting)
{
    struct proxy_kit *kit = started(1);
    int client = proxy_kit_client(kit, 0);
    int up;

    /* The upstream dies in the middle of its head: nobody may wait for the rest. */
    proxy_kit_send(client, GET);
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, "HTTP/1.1 200 OK\r\ncontent-le");
    proxy_kit_settle(kit);
    close(up);
    CHECK(
        bytes_has_prefix(proxy_kit_until(kit, client, "\r\n\r\n"), BYTES_LITERAL("HTTP/1.1 502 ")));
    close(client);

    /* A client does: it hears so at once, not when its time is over. */
    client = proxy_kit_client(kit, 0);
    proxy_kit_send(client, "GET / HTTP/1.1\r\nHo");
    proxy_kit_settle(kit);
    shutdown(client, SHUT_WR);
    CHECK(bytes_has_prefix(proxy_kit_rest(kit, client, NULL), BYTES_LITERAL("HTTP/1.1 400 ")));
    close(client);
    proxy_kit_free(kit);
}

TEST(a_body_is_never_left_out_of_a_second_try)
{
    struct proxy_kit *kit = started(1);
    int client = proxy_kit_client(kit, 0);
    int up;

    proxy_kit_send(client, GET);
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    (void)proxy_kit_until(kit, client, "\r\n\r\nok");

    /* On the connection that is in use already: one of those that go stale. The body is empty, yet
     * it takes bytes to say so. */
    proxy_kit_send(client, "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(client, "0\r\n\r\n");
    proxy_kit_expect(kit, up, "0\r\n\r\n");
    close(up);
    CHECK(
        bytes_has_prefix(proxy_kit_until(kit, client, "\r\n\r\n"), BYTES_LITERAL("HTTP/1.1 502 ")));
    CHECK(proxy_kit_is_alone(kit, 0));
    close(client);
    proxy_kit_free(kit);
}
