/* Streams through an L4 listener over loopback. */
#include <sys/socket.h>
#include <unistd.h>

#include "proxy_kit.h"

static struct proxy_kit *started(uint32_t endpoints)
{
    struct proxy_kit *kit = proxy_kit_new();

    proxy_kit_l4(kit, proxy_kit_target(kit, "raw", endpoints));
    proxy_kit_start(kit);
    return kit;
}

static void reset(int fd)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};

    CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    close(fd);
}

PROXY_TEST(both_ways_and_half_closes)
{
    struct proxy_kit *kit = started(1);
    int client = proxy_kit_client(kit, 0);
    int up = proxy_kit_accept(kit, 0);

    proxy_kit_send(client, "to the service");
    proxy_kit_expect(kit, up, "to the service");
    proxy_kit_send(up, "and back");
    proxy_kit_expect(kit, client, "and back");
    shutdown(client, SHUT_WR);
    proxy_kit_expect_end(kit, up);
    proxy_kit_send(up, "still here");
    proxy_kit_expect(kit, client, "still here");
    close(up);
    proxy_kit_expect_end(kit, client);
    close(client);
    proxy_kit_settle(kit);
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_OK), 1);
    proxy_kit_free(kit);
}

PROXY_TEST(a_stream_that_was_cut_does_not_look_whole)
{
    struct proxy_kit *kit = started(1);
    bool was_reset = false;
    int client = proxy_kit_client(kit, 0);
    int up = proxy_kit_accept(kit, 0);

    proxy_kit_send(client, "half of it");
    proxy_kit_expect(kit, up, "half of it");
    reset(client);
    (void)proxy_kit_rest(kit, up, &was_reset);
    CHECK(was_reset);
    close(up);

    client = proxy_kit_client(kit, 0);
    up = proxy_kit_accept(kit, 0);
    proxy_kit_send(up, "half of it");
    proxy_kit_expect(kit, client, "half of it");
    reset(up);
    (void)proxy_kit_rest(kit, client, &was_reset);
    CHECK(was_reset);
    close(client);

    /* Nor when the proxy itself has to end it. */
    client = proxy_kit_client(kit, 0);
    up = proxy_kit_accept(kit, 0);
    proxy_kit_send(client, "half of it");
    proxy_kit_expect(kit, up, "half of it");
    proxy_drain(kit->proxy, 1);
    was_reset = false;
    (void)proxy_kit_rest(kit, up, &was_reset);
    CHECK(was_reset);
    was_reset = false;
    (void)proxy_kit_rest(kit, client, &was_reset);
    CHECK(was_reset);
    close(client);
    close(up);
    proxy_kit_free(kit);
}

PROXY_TEST(nobody_listens_anywhere)
{
    struct proxy_kit *kit = proxy_kit_new();
    bool was_reset = false;
    int client;

    proxy_kit_l4(kit, proxy_kit_target(kit, "raw", 2));
    for (uint32_t i = 0; i < 2; i++) {
        close(kit->upstreams[i]);
        kit->upstreams[i] = -1;
    }
    proxy_kit_start(kit);
    client = proxy_kit_client(kit, 0);
    (void)proxy_kit_rest(kit, client, &was_reset);
    CHECK(was_reset);
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_CONNECT_FAILED), 1);
    close(client);
    proxy_kit_free(kit);
}

PROXY_TEST(what_comes_before_the_upstream_is_there)
{
    struct proxy_kit *kit = started(1);
    int client = proxy_kit_client(kit, 0);
    int up;

    /* Bytes and the end at once, before the connection up is made. */
    proxy_kit_send(client, "early");
    shutdown(client, SHUT_WR);
    up = proxy_kit_accept(kit, 0);
    proxy_kit_expect(kit, up, "early");
    proxy_kit_expect_end(kit, up);
    proxy_kit_send(up, "late");
    close(up);
    proxy_kit_expect(kit, client, "late");
    proxy_kit_expect_end(kit, client);
    close(client);
    proxy_kit_free(kit);
}
