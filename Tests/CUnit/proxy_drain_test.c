/* What clients see of a worker that drains, alone or while a successor accepts. */
#include <unistd.h>

#include "proxy_kit.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

static struct proxy_kit *started(void)
{
    struct proxy_kit *kit = proxy_kit_new();
    uint32_t web = proxy_kit_target(kit, "web", 1);

    proxy_kit_l7(kit, snapshot_builder_forward(kit->builder, web));
    proxy_kit_start(kit);
    return kit;
}

TEST(a_client_between_two_requests_is_let_go_when_nobody_will_be_there)
{
    struct proxy_kit *kit = started();
    int client = proxy_kit_client(kit, 0);
    int up;

    proxy_kit_send(client, GET);
    up = proxy_kit_accept(kit, 0);
    proxy_kit_expect(kit, up, "GET / HTTP/1.1\r\n");
    proxy_kit_send(up, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    (void)proxy_kit_until(kit, client, "ok");
    proxy_drain(kit->proxy, 5000);
    proxy_kit_expect_end(kit, client);
    close(client);
    close(up);
    proxy_kit_free(kit);
}

TEST(a_client_between_two_requests_is_told_with_its_next_answer)
{
    struct proxy_kit *kit = started();
    int client = proxy_kit_client(kit, 0);
    int up;

    proxy_kit_send(client, GET);
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    (void)proxy_kit_until(kit, client, "ok");
    proxy_retire(kit->proxy, 5000);
    proxy_kit_expect_silence(kit, client);
    CHECK(!proxy_is_drained(kit->proxy));
    close(up); /* the idle connection to it went when the drain began */
    proxy_kit_send(client, GET);
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    proxy_kit_expect(kit, client, "HTTP/1.1 200 OK\r\n");
    (void)proxy_kit_until(kit, client, "connection: close\r\n\r\nok");
    proxy_kit_expect_end(kit, client);
    close(client);
    close(up);
    proxy_kit_settle(kit);
    CHECK(proxy_is_drained(kit->proxy));
    proxy_kit_free(kit);
}

TEST(an_answer_that_promised_another_one_keeps_its_word)
{
    struct proxy_kit *kit = started();
    int client = proxy_kit_client(kit, 0);
    int up;

    proxy_kit_send(client, GET);
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha");
    (void)proxy_kit_until(kit, client, "ha");
    proxy_retire(kit->proxy, 5000);
    proxy_kit_send(up, "lf");
    (void)proxy_kit_until(kit, client, "lf");
    proxy_kit_expect_silence(kit, client);
    close(up);
    proxy_kit_send(client, GET);
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_kit_send(up, "HTTP/1.1 204 No Content\r\n\r\n");
    (void)proxy_kit_until(kit, client, "connection: close\r\n\r\n");
    proxy_kit_expect_end(kit, client);
    close(client);
    close(up);
    proxy_kit_free(kit);
}

TEST(who_was_accepted_before_is_served)
{
    struct proxy_kit *kit = started();
    int client = proxy_kit_client(kit, 0); /* perhaps accepted by the kernel, not yet seen here */
    int up;

    proxy_retire(kit->proxy, 5000);
    if (proxy_kit_worker_stat(kit, ABI_WORKER_ACCEPTED) == 0) {
        proxy_kit_settle(kit);
    }
    if (proxy_kit_worker_stat(kit, ABI_WORKER_ACCEPTED) == 1) {
        proxy_kit_send(client, GET);
        up = proxy_kit_accept(kit, 0);
        (void)proxy_kit_until(kit, up, "\r\n\r\n");
        proxy_kit_send(up, "HTTP/1.1 204 No Content\r\n\r\n");
        (void)proxy_kit_until(kit, client, "connection: close\r\n\r\n");
        proxy_kit_expect_end(kit, client);
        close(up);
    }
    close(client);
    proxy_kit_settle(kit);
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_DRAINED), 0);
    proxy_kit_free(kit);
}

TEST(what_is_left_is_cut_at_the_end)
{
    struct proxy_kit *kit = started();
    int client = proxy_kit_client(kit, 0);
    int up;

    proxy_kit_send(client, GET);
    up = proxy_kit_accept(kit, 0);
    (void)proxy_kit_until(kit, up, "\r\n\r\n");
    proxy_retire(kit->proxy, 50);
    (void)proxy_kit_rest(kit, client, &(bool){false});
    CHECK_UINT(proxy_kit_outcome(kit, 0, ABI_OUTCOME_DRAINED), 1);
    close(client);
    close(up);
    proxy_kit_free(kit);
}
