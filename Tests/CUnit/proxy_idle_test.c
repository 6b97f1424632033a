/* Exchanges in which nothing moves, and those in which little does. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "retry_kit.h"

#define IDLE_MS 200u

static const struct abi_traffic idle = {.idle_timeout_ms = IDLE_MS};

/* Longer than nothing may move, a little of it at a time. A machine that stalls for half of that
 * time proves nothing: then no more is sent. */
static void trickle(struct proxy_kit *kit, int from, int to)
{
    for (int i = 0; i < 6; i++) {
        uint64_t began_ns = ring_now_ns(kit->ring);

        usleep(IDLE_MS * 1000 / 4);
        if (ring_now_ns(kit->ring) - began_ns > IDLE_MS * 500000ull) {
            return;
        }
        proxy_kit_send(from, ".");
        (void)proxy_kit_until(kit, to, ".");
    }
}

PROXY_TEST(an_upstream_that_says_nothing_is_504)
{
    struct proxy_kit *kit = retry_kit_of(0, 0, idle);
    int client = proxy_kit_client(kit, 0);
    int up;

    proxy_kit_send(client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    up = retry_kit_next(kit);
    retry_kit_status(kit, client, "504");
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_REQUEST_TIMEOUT), 1);
    close(up);
    close(client);
    proxy_kit_free(kit);
}

PROXY_TEST(a_client_that_says_no_more_is_408)
{
    struct proxy_kit *kit = retry_kit_of(0, 0, idle);
    int client = proxy_kit_client(kit, 0);
    int up;

    proxy_kit_send(client, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc");
    up = retry_kit_next(kit);
    (void)proxy_kit_until(kit, up, "abc");
    trickle(kit, client, up);
    retry_kit_status(kit, client, "408");
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_IDLE_TIMEOUT), 1);
    close(up);
    close(client);
    proxy_kit_free(kit);
}

PROXY_TEST(an_answer_that_stops_is_cut)
{
    struct proxy_kit *kit = retry_kit_of(0, 0, idle);
    int client = proxy_kit_client(kit, 0);
    bool reset;
    int up;

    proxy_kit_send(client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    up = retry_kit_next(kit);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n");
    (void)proxy_kit_until(kit, client, "\r\n\r\n");
    trickle(kit, up, client);
    (void)proxy_kit_rest(kit, client, &reset);
    CHECK(reset);
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_IDLE_TIMEOUT), 1);
    close(up);
    close(client);
    proxy_kit_free(kit);
}

PROXY_TEST(a_tunnel_in_which_nothing_moves_is_cut)
{
    struct proxy_kit *kit = retry_kit_of(0, 0, idle);
    int client = proxy_kit_client(kit, 0);
    bool reset;
    int up;

    proxy_kit_send(client, "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n"
                           "Upgrade: websocket\r\n\r\n");
    up = retry_kit_next(kit);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                       "Upgrade: websocket\r\n\r\n");
    (void)proxy_kit_until(kit, client, "\r\n\r\n");
    trickle(kit, client, up);
    trickle(kit, up, client);
    (void)proxy_kit_rest(kit, client, &reset);
    CHECK(reset);
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_IDLE_TIMEOUT), 1);
    close(up);
    close(client);
    proxy_kit_free(kit);
}
