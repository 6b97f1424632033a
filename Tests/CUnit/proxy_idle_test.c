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

struct exchange {
    struct proxy_kit *kit;
    int client;
    int up;
};

/* A request whose upstream has it as far as `seen`; it sends `answer`, of which the client has the
 * head then. */
static struct exchange begin(const char *request, const char *seen, const char *answer)
{
    struct exchange made = {.kit = retry_kit_of(0, 0, idle)};

    made.client = proxy_kit_client(made.kit, 0);
    proxy_kit_send(made.client, request);
    made.up = retry_kit_next(made.kit);
    (void)proxy_kit_until(made.kit, made.up, seen);
    if (answer != NULL) {
        proxy_kit_send(made.up, answer);
        (void)proxy_kit_until(made.kit, made.client, "\r\n\r\n");
    }
    return made;
}

/* It has come to this. */
static void end(const struct exchange *made, enum abi_outcome outcome)
{
    CHECK_UINT(proxy_kit_outcome(made->kit, 0, outcome), 1);
    close(made->up);
    close(made->client);
    proxy_kit_free(made->kit);
}

static void is_cut(const struct exchange *made)
{
    bool reset;

    (void)proxy_kit_rest(made->kit, made->client, &reset);
    CHECK(reset);
    end(made, ABI_OUTCOME_IDLE_TIMEOUT);
}

PROXY_TEST(an_upstream_that_says_nothing_is_504)
{
    struct exchange made = begin("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "\r\n\r\n", NULL);

    retry_kit_status(made.kit, made.client, "504");
    end(&made, ABI_OUTCOME_REQUEST_TIMEOUT);
}

PROXY_TEST(a_client_that_says_no_more_is_408)
{
    struct exchange made =
        begin("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc", "abc", NULL);

    trickle(made.kit, made.client, made.up);
    retry_kit_status(made.kit, made.client, "408");
    end(&made, ABI_OUTCOME_IDLE_TIMEOUT);
}

PROXY_TEST(an_answer_that_stops_is_cut)
{
    struct exchange made = begin("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "\r\n\r\n",
                                 "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n");

    trickle(made.kit, made.up, made.client);
    is_cut(&made);
}

PROXY_TEST(a_tunnel_in_which_nothing_moves_is_cut)
{
    struct exchange made =
        begin("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
              "\r\n\r\n",
              "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
              "Upgrade: websocket\r\n\r\n");

    trickle(made.kit, made.client, made.up);
    trickle(made.kit, made.up, made.client);
    is_cut(&made);
}
