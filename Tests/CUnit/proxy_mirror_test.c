/* Copies of requests: what is in them, and that their originals never notice. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy_kit.h"

#define OK "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

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

static uint64_t failed(const struct proxy_kit *kit)
{
    return proxy_kit_worker_stat(kit, ABI_WORKER_MIRRORS_FAILED);
}

/* The original is answered and its client satisfied. */
static void serve(struct proxy_kit *kit, int client, int up)
{
    proxy_kit_send(up, OK);
    (void)proxy_kit_until(kit, client, "\r\n\r\nok");
}

TEST(a_copy_is_marked_and_otherwise_the_same)
{
    struct proxy_kit *kit = started();
    int client = proxy_kit_client(kit, 0), up, copy;
    uint8_t original[512];
    struct bytes head;

    proxy_kit_send(client, "GET /a?b HTTP/1.1\r\nHost: a\r\nx: y\r\n\r\n");
    up = proxy_kit_accept(kit, 0);
    head = proxy_kit_until(kit, up, "\r\n\r\n");
    CHECK(head.len < sizeof(original));
    memcpy(original, head.ptr, head.len);
    memcpy(original + head.len - 2, "x-mirrored: 1\r\n\r\n", 18);
    copy = proxy_kit_accept(kit, 1);
    proxy_kit_expect(kit, copy, (const char *)original);
    proxy_kit_send(copy, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 500 No\r\n"
                         "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    serve(kit, client, up);
    proxy_kit_send(client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    (void)proxy_kit_until(kit, copy, "x-mirrored: 1\r\n\r\n"); /* the connection goes on */
    CHECK(proxy_kit_is_alone(kit, 1));
    CHECK_UINT(proxy_kit_worker_stat(kit, ABI_WORKER_MIRRORS), 2);
    CHECK_UINT(failed(kit), 0);
    close(client);
    close(up);
    close(copy);
    proxy_kit_free(kit);
}

TEST(a_body_goes_to_both)
{
    struct proxy_kit *kit = started();
    int client = proxy_kit_client(kit, 0), up, copy;

    proxy_kit_send(client, "POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\n");
    up = proxy_kit_accept(kit, 0);
    copy = proxy_kit_accept(kit, 1);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    (void)proxy_kit_until(kit, copy, "\r\n\r\n");
    proxy_kit_send(client, "abc\r\n2\r\nde\r\n0\r\nt: 1\r\n\r\n");
    (void)proxy_kit_until(kit, up, "0\r\nt: 1\r\n\r\n");
    (void)proxy_kit_until(kit, copy, "0\r\nt: 1\r\n\r\n");
    serve(kit, client, up);
    proxy_kit_send(copy, OK);
    proxy_kit_settle(kit);
    CHECK_UINT(failed(kit), 0);
    close(client);
    close(up);
    close(copy);
    proxy_kit_free(kit);
}

TEST(a_copy_outlives_its_original_and_ends_by_itself)
{
    struct proxy_kit *kit = started();
    int client = proxy_kit_client(kit, 0), up, copy;

    proxy_kit_send(client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    up = proxy_kit_accept(kit, 0);
    copy = proxy_kit_accept(kit, 1);
    (void)proxy_kit_until(kit, copy, "\r\n\r\n");
    serve(kit, client, up);
    close(client);
    proxy_kit_settle(kit);
    CHECK_UINT(failed(kit), 0);
    proxy_kit_send(copy, "HTTP/1.1 nonsense\r\n\r\n");
    proxy_kit_expect_end(kit, copy);
    CHECK_UINT(failed(kit), 1);
    close(up);
    close(copy);
    proxy_kit_free(kit);
}

TEST(a_part_of_a_request_is_no_copy)
{
    struct proxy_kit *kit = started();
    int client = proxy_kit_client(kit, 0), up, copy;

    proxy_kit_send(client, "POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 10\r\n\r\nabc");
    up = proxy_kit_accept(kit, 0);
    copy = proxy_kit_accept(kit, 1);
    (void)proxy_kit_until(kit, copy, "\r\n\r\nabc");
    close(client);
    proxy_kit_expect_end(kit, copy);
    CHECK_UINT(failed(kit), 1);
    close(up);
    close(copy);
    proxy_kit_free(kit);
}

TEST(what_a_copy_cannot_follow_it_misses)
{
    static uint8_t piece[65536];
    struct proxy_kit *kit = started();
    int client = proxy_kit_client(kit, 0), up, copy;
    size_t taken = 0;
    uint8_t read_by[65536];

    proxy_kit_send(client, "POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 67108864\r\n\r\n");
    up = proxy_kit_accept(kit, 0);
    copy = proxy_kit_accept(kit, 1); /* reads nothing */
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    while (taken < 67108864) {
        ssize_t got;

        (void)send(client, piece, sizeof(piece), MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)proxy_kit_turn(kit, 0);
        got = recv(up, read_by, sizeof(read_by), MSG_DONTWAIT);
        taken += got > 0 ? (size_t)got : 0;
    }
    CHECK_UINT(taken, 67108864);
    serve(kit, client, up);
    CHECK_UINT(failed(kit), 1);
    CHECK(proxy_kit_worker_stat(kit, ABI_WORKER_SPILL_BLOCKS_HIGH) < 40);
    close(client);
    close(up);
    close(copy);
    proxy_kit_free(kit);
}

TEST(nobody_to_copy_for)
{
    struct proxy_kit *kit = started();
    int client = proxy_kit_client(kit, 0), up;

    close(kit->upstreams[1]);
    kit->upstreams[1] = -1;
    proxy_kit_send(client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    serve(kit, client, up);
    proxy_kit_settle(kit);
    CHECK_UINT(failed(kit), 1);
    close(client);
    close(up);
    proxy_kit_free(kit);
}

TEST(an_upgrade_is_not_copied)
{
    struct proxy_kit *kit = started();
    int client = proxy_kit_client(kit, 0), up;

    proxy_kit_send(client,
                   "GET / HTTP/1.1\r\nHost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n");
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    serve(kit, client, up);
    CHECK(proxy_kit_is_alone(kit, 1));
    CHECK_UINT(proxy_kit_worker_stat(kit, ABI_WORKER_MIRRORS), 0);
    close(client);
    close(up);
    proxy_kit_free(kit);
}
