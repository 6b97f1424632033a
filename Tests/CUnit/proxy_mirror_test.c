/* Copies of requests: what is in them, and that their originals never notice. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy_kit.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK  "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

/* Listener 0 forwards to upstream 0, copies go to upstream 1. */
static struct proxy_kit *started(void)
{
    struct proxy_kit *kit = proxy_kit_new();
    uint32_t web = proxy_kit_target(kit, "web", 1), shadow = proxy_kit_target(kit, "shadow", 1);
    struct abi_traffic traffic = {.mirror_target = shadow, .mirror_share = ABI_SPLIT_TOTAL};
    struct abi_route route = snapshot_builder_forward(kit->builder, web);

    route.traffic = snapshot_builder_add(kit->builder, ABI_SECTION_TRAFFIC, &traffic);
    proxy_kit_target_record(kit, shadow)->connect_timeout_ms = 200;
    proxy_kit_l7(kit, route);
    proxy_kit_start(kit);
    return kit;
}

/* A request with its copy. */
struct copied {
    struct proxy_kit *kit;
    int client;
    int up;
    int copy; /* -1: none is made */
};

/* What the client sends has reached the upstream; its copy has a connection of its own. */
static struct copied ask(const char *text, bool copies)
{
    struct copied made = {.kit = started(), .copy = -1};

    made.client = proxy_kit_client(made.kit, 0);
    proxy_kit_send(made.client, text);
    made.up = proxy_kit_accept(made.kit, 0);
    if (copies) {
        made.copy = proxy_kit_accept(made.kit, 1);
    }
    return made;
}

/* The original is answered and its client satisfied. */
static void serve(const struct copied *made)
{
    proxy_kit_send(made->up, OK);
    (void)proxy_kit_until(made->kit, made->client, "\r\n\r\nok");
}

/* Counts the copies that failed until now. */
static void end(const struct copied *made, uint64_t failures)
{
    CHECK_UINT(proxy_kit_worker_stat(made->kit, ABI_WORKER_MIRRORS_FAILED), failures);
    close(made->client);
    close(made->up);
    if (made->copy >= 0) {
        close(made->copy);
    }
    proxy_kit_free(made->kit);
}

TEST(a_copy_is_marked_and_otherwise_the_same)
{
    struct copied made = ask("GET /a?b HTTP/1.1\r\nHost: a\r\nx: y\r\n\r\n", true);
    uint8_t original[512];
    struct bytes head = proxy_kit_until(made.kit, made.up, "\r\n\r\n");

    CHECK(head.len < sizeof(original));
    memcpy(original, head.ptr, head.len);
    memcpy(original + head.len - 2, "x-mirrored: 1\r\n\r\n", 18);
    proxy_kit_expect(made.kit, made.copy, (const char *)original);
    proxy_kit_send(made.copy, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 500 No\r\n"
                              "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    serve(&made);
    proxy_kit_send(made.client, GET);
    (void)proxy_kit_until(made.kit, made.copy, "x-mirrored: 1\r\n\r\n"); /* it goes on */
    CHECK(proxy_kit_is_alone(made.kit, 1));
    CHECK_UINT(proxy_kit_worker_stat(made.kit, ABI_WORKER_MIRRORS), 2);
    end(&made, 0);
}

TEST(a_body_goes_to_both)
{
    struct copied made =
        ask("POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\n", true);

    (void)proxy_kit_until(made.kit, made.up, "\r\n\r\n");
    (void)proxy_kit_until(made.kit, made.copy, "\r\n\r\n");
    proxy_kit_send(made.client, "abc\r\n2\r\nde\r\n0\r\nt: 1\r\n\r\n");
    (void)proxy_kit_until(made.kit, made.up, "0\r\nt: 1\r\n\r\n");
    (void)proxy_kit_until(made.kit, made.copy, "0\r\nt: 1\r\n\r\n");
    serve(&made);
    proxy_kit_send(made.copy, OK);
    proxy_kit_settle(made.kit);
    end(&made, 0);
}

TEST(a_copy_outlives_its_original_and_ends_by_itself)
{
    struct copied made = ask(GET, true);

    (void)proxy_kit_until(made.kit, made.copy, "\r\n\r\n");
    serve(&made);
    close(made.client);
    proxy_kit_settle(made.kit);
    CHECK_UINT(proxy_kit_worker_stat(made.kit, ABI_WORKER_MIRRORS_FAILED), 0);
    proxy_kit_send(made.copy, "HTTP/1.1 nonsense\r\n\r\n");
    proxy_kit_expect_end(made.kit, made.copy);
    made.client = proxy_kit_client(made.kit, 0);
    end(&made, 1);
}

TEST(a_part_of_a_request_is_no_copy)
{
    struct copied made = ask("POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 10\r\n\r\nabc", true);

    (void)proxy_kit_until(made.kit, made.copy, "\r\n\r\nabc");
    close(made.client);
    proxy_kit_expect_end(made.kit, made.copy);
    made.client = proxy_kit_client(made.kit, 0);
    end(&made, 1);
}

TEST(what_a_copy_cannot_follow_it_misses)
{
    static uint8_t piece[65536];
    struct copied made = /* whose copy reads nothing */
        ask("POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 67108864\r\n\r\n", true);
    size_t taken = 0;
    uint8_t read_by[65536];

    (void)proxy_kit_until(made.kit, made.up, "\r\n\r\n");
    while (taken < 67108864) {
        ssize_t got;

        (void)send(made.client, piece, sizeof(piece), MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)proxy_kit_turn(made.kit, 0);
        got = recv(made.up, read_by, sizeof(read_by), MSG_DONTWAIT);
        taken += got > 0 ? (size_t)got : 0;
    }
    CHECK_UINT(taken, 67108864);
    serve(&made);
    CHECK(proxy_kit_worker_stat(made.kit, ABI_WORKER_SPILL_BLOCKS_HIGH) < 40);
    end(&made, 1);
}

TEST(nobody_to_copy_for)
{
    struct copied made = {.kit = started(), .copy = -1};

    close(made.kit->upstreams[1]);
    made.kit->upstreams[1] = -1;
    made.client = proxy_kit_client(made.kit, 0);
    proxy_kit_send(made.client, GET);
    made.up = proxy_kit_accept(made.kit, 0);
    (void)proxy_kit_until(made.kit, made.up, "\r\n\r\n");
    serve(&made);
    proxy_kit_settle(made.kit);
    end(&made, 1);
}

TEST(an_upgrade_is_not_copied)
{
    struct copied made =
        ask("GET / HTTP/1.1\r\nHost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n", false);

    (void)proxy_kit_until(made.kit, made.up, "\r\n\r\n");
    serve(&made);
    CHECK(proxy_kit_is_alone(made.kit, 1));
    CHECK_UINT(proxy_kit_worker_stat(made.kit, ABI_WORKER_MIRRORS), 0);
    end(&made, 0);
}
