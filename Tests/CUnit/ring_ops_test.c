/* Queued operations on real sockets; how they end with their descriptor is in ring_close_test.c. */
#include "ring_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "cunit.h"

enum { KIND_ACCEPT = 1, KIND_CONNECT, KIND_RECV, KIND_POLL };

static uint64_t token_of(uint8_t kind, uint32_t slot)
{
    return ring_token(kind, slot, 1);
}

static void send_all(int fd, const char *text)
{
    CHECK_INT(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

RING_TEST(receives_messages_until_the_end_of_the_stream)
{
    struct ring *ring = kit_ring();
    const uint64_t token = token_of(KIND_RECV, 7);
    struct ring_event event;
    int ends[2];

    kit_pair(ends);
    ring_recv(ring, ends[0], RING_GROUP_SMALL, token);
    kit_turn(ring);
    for (int i = 0; i < 3; i++) {
        send_all(ends[1], "ping");
        event = kit_expect(ring, token);
        CHECK_INT(event.result, 4);
        CHECK_UINT(event.flags, RING_EVENT_MORE | RING_EVENT_BUFFER);
        CHECK_UINT(event.group, RING_GROUP_SMALL);
        CHECK_TEXT(ring_event_bytes(ring, &event), "ping");
        CHECK_UINT(ring_buffers_free(ring, RING_GROUP_SMALL), 63);
        CHECK(!ring_buffer_return(ring, event.group, event.buffer));
    }
    shutdown(ends[1], SHUT_WR);
    event = kit_expect(ring, token);
    CHECK_INT(event.result, 0);
    CHECK_UINT(event.flags, 0);
    CHECK_UINT(ring_buffers_free(ring, RING_GROUP_SMALL), 64);
    /* The other direction is still open. */
    CHECK_INT(ring_send(ring, ends[0], &(struct iovec){(void *)"pong", 4}, 1), 4);
    CHECK_INT(kit_read(ends[1]), 4);
    ring_close(ring, ends[0], false);
    kit_turn(ring);
    CHECK_INT(kit_read(ends[1]), 0);
    close(ends[1]);
    ring_destroy(ring);
}

RING_TEST(half_close_of_our_side_keeps_receiving)
{
    struct ring *ring = kit_ring();
    const uint64_t token = token_of(KIND_RECV, 1);
    struct ring_event event;
    int ends[2];

    kit_pair(ends);
    ring_recv(ring, ends[0], RING_GROUP_LARGE, token);
    kit_turn(ring);
    ring_shutdown_write(ring, ends[0]);
    CHECK_INT(kit_read(ends[1]), 0);
    send_all(ends[1], "still here");
    event = kit_expect(ring, token);
    CHECK_UINT(event.group, RING_GROUP_LARGE);
    CHECK_TEXT(ring_event_bytes(ring, &event), "still here");
    ring_event_drop(ring, &event, false);
    CHECK_UINT(ring_buffers_free(ring, RING_GROUP_LARGE), 8);
    close(ends[1]);
    CHECK_INT(kit_expect(ring, token).result, 0);
    ring_close(ring, ends[0], false);
    ring_destroy(ring);
}

RING_TEST(a_reset_ends_the_receive)
{
    struct ring *ring = kit_ring();
    const uint64_t token = token_of(KIND_RECV, 2);
    const struct linger now = {.l_onoff = 1};
    struct ring_event event;
    int ends[2];

    kit_pair(ends);
    ring_recv(ring, ends[0], RING_GROUP_SMALL, token);
    kit_turn(ring);
    setsockopt(ends[1], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(ends[1]);
    event = kit_expect(ring, token);
    CHECK_INT(event.result, -ECONNRESET);
    CHECK_UINT(event.flags, 0);
    ring_close(ring, ends[0], false);
    ring_destroy(ring);
}

RING_TEST(receive_once_gives_one_event)
{
    struct ring *ring = kit_ring();
    const uint64_t token = token_of(KIND_RECV, 3);
    struct ring_event event;
    int ends[2];

    kit_pair(ends);
    ring_recv_once(ring, ends[0], RING_GROUP_LARGE, token);
    kit_turn(ring);
    send_all(ends[1], "one");
    event = kit_expect(ring, token);
    CHECK_TEXT(ring_event_bytes(ring, &event), "one");
    CHECK_UINT(event.flags, RING_EVENT_BUFFER);
    ring_event_drop(ring, &event, false);
    send_all(ends[1], "two");
    CHECK_UINT(kit_next(ring, KIT_MOMENT).token, 0);
    ring_recv_once(ring, ends[0], RING_GROUP_LARGE, token);
    event = kit_expect(ring, token);
    CHECK_TEXT(ring_event_bytes(ring, &event), "two");
    ring_event_drop(ring, &event, false);
    ring_close(ring, ends[0], false);
    close(ends[1]);
    ring_destroy(ring);
}

RING_TEST(cancel_ends_only_its_token)
{
    struct ring *ring = kit_ring();
    struct ring_event event;
    int first[2];
    int second[2];

    kit_pair(first);
    kit_pair(second);
    ring_recv(ring, first[0], RING_GROUP_SMALL, token_of(KIND_RECV, 1));
    ring_recv(ring, second[0], RING_GROUP_SMALL, token_of(KIND_RECV, 2));
    kit_turn(ring);
    ring_cancel(ring, first[0], token_of(KIND_RECV, 1));
    event = kit_next(ring, KIT_PATIENT);
    CHECK_UINT(event.token, token_of(KIND_RECV, 1));
    CHECK_INT(event.result, -ECANCELED);
    CHECK_UINT(event.flags, 0);
    ring_cancel(ring, first[0], token_of(KIND_RECV, 1)); /* nothing is pending: no event at all */
    CHECK_UINT(kit_next(ring, KIT_MOMENT).token, 0);
    send_all(second[1], "x");
    event = kit_next(ring, KIT_PATIENT);
    CHECK_UINT(event.token, token_of(KIND_RECV, 2));
    CHECK_INT(event.result, 1);
    ring_event_drop(ring, &event, false);
    ring_close(ring, first[0], false);
    ring_close(ring, second[0], false);
    close(first[1]);
    close(second[1]);
    ring_destroy(ring);
}

RING_TEST(accepts_a_burst_with_one_operation)
{
    enum { BURST = 200 };
    struct ring *ring = kit_ring();
    const uint64_t token = token_of(KIND_ACCEPT, 0);
    struct sockaddr_storage address;
    struct sockaddr_storage peer;
    struct ring_event event;
    int listener = kit_listener(&address, BURST);
    int clients[BURST];

    ring_accept(ring, listener, token);
    for (int i = 0; i < BURST; i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK_INT(connect(clients[i], (const struct sockaddr *)&address, sizeof(address)), 0);
    }
    for (int i = 0; i < BURST; i++) {
        event = kit_next(ring, KIT_PATIENT);
        CHECK_UINT(event.token, token);
        CHECK(event.result > 2);
        CHECK((event.flags & RING_EVENT_MORE) != 0);
        CHECK((fcntl(event.result, F_GETFL) & O_NONBLOCK) != 0);
        CHECK((fcntl(event.result, F_GETFD) & FD_CLOEXEC) != 0);
        ring_accepted(ring, event.result, "reno");
        CHECK(ring_peer(ring, event.result, &peer) && peer.ss_family == AF_INET);
        CHECK(ring_local(ring, event.result, &peer));
        CHECK(((struct sockaddr_in *)&peer)->sin_port ==
              ((struct sockaddr_in *)&address)->sin_port);
        ring_event_drop(ring, &event, true);
    }
    for (int i = 0; i < BURST; i++) {
        CHECK_INT(kit_read(clients[i]), 0);
        close(clients[i]);
    }
    ring_close(ring, listener, false);
    event = kit_next(ring, KIT_PATIENT);
    CHECK_INT(event.result, -ECANCELED);
    CHECK_UINT(event.flags, 0);
    ring_destroy(ring);
}

RING_TEST(accepts_on_many_listeners)
{
    enum { LISTENERS = 40, EACH = 3 };
    struct ring *ring = kit_ring();
    struct sockaddr_storage addresses[LISTENERS];
    uint32_t accepted[LISTENERS] = {0};
    int listeners[LISTENERS];
    int clients[LISTENERS * EACH];

    for (uint32_t i = 0; i < LISTENERS; i++) {
        listeners[i] = kit_listener(&addresses[i], EACH);
        ring_accept(ring, listeners[i], token_of(KIND_ACCEPT, i));
    }
    for (uint32_t i = 0; i < LISTENERS * EACH; i++) {
        const struct sockaddr *address = (const struct sockaddr *)&addresses[i % LISTENERS];

        clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK_INT(connect(clients[i], address, sizeof(struct sockaddr_in)), 0);
    }
    for (uint32_t i = 0; i < LISTENERS * EACH; i++) {
        struct ring_event event = kit_next(ring, KIT_PATIENT);

        if (!CHECK(event.token != 0 && event.result >= 0)) {
            return;
        }
        accepted[ring_token_slot(event.token)]++;
        ring_event_drop(ring, &event, true);
    }
    for (uint32_t i = 0; i < LISTENERS; i++) {
        CHECK_UINT(accepted[i], EACH);
        ring_close(ring, listeners[i], false);
    }
    for (uint32_t i = 0; i < LISTENERS * EACH; i++) {
        close(clients[i]);
    }
    ring_destroy(ring);
}

RING_TEST(connects_and_is_refused)
{
    struct ring *ring = kit_ring();
    struct sockaddr_storage address;
    struct sockaddr_storage copy;
    int listener = kit_listener(&address, 8);
    int good = ring_socket(ring, AF_INET, "reno");
    int bad = ring_socket(ring, AF_INET, NULL);

    copy = address;
    ring_connect(ring, good, &copy, sizeof(struct sockaddr_in), token_of(KIND_CONNECT, 1));
    memset(&copy, 0xff, sizeof(copy)); /* the ring has its own copy */
    CHECK_INT(kit_expect(ring, token_of(KIND_CONNECT, 1)).result, 0);
    close(listener);
    ring_connect(ring, bad, &address, sizeof(struct sockaddr_in), token_of(KIND_CONNECT, 2));
    CHECK_INT(kit_expect(ring, token_of(KIND_CONNECT, 2)).result, -ECONNREFUSED);
    CHECK(!ring_peer(ring, bad, &copy));
    ring_close(ring, good, false);
    ring_close(ring, bad, false);
    ring_destroy(ring);
}

/* A listener that answers no more: its queue is full, so further SYNs are dropped. */
RING_TEST(pending_connect_is_cancelled)
{
    struct ring *ring = kit_ring();
    struct sockaddr_storage address;
    int listener = kit_listener(&address, 0);
    int fds[4];
    uint32_t pending = 0;

    for (uint32_t i = 0; i < 4; i++) {
        fds[i] = ring_socket(ring, AF_INET, NULL);
        ring_connect(ring, fds[i], &address, sizeof(struct sockaddr_in),
                     token_of(KIND_CONNECT, i + 1));
    }
    while (kit_next(ring, KIT_MOMENT).token != 0) {
        pending++;
    }
    CHECK(pending < 4); /* at least the last one hangs */
    ring_cancel(ring, fds[3], token_of(KIND_CONNECT, 4));
    CHECK_INT(kit_expect(ring, token_of(KIND_CONNECT, 4)).result, -ECANCELED);
    for (int i = 0; i < 4; i++) {
        ring_close(ring, fds[i], false);
    }
    close(listener);
    ring_destroy(ring);
}

RING_TEST(polls_tell_what_holds)
{
    struct ring *ring = kit_ring();
    struct ring_event event;
    int ends[2];

    kit_pair(ends);
    ring_poll(ring, ends[0], POLLOUT, token_of(KIND_POLL, 1));
    event = kit_expect(ring, token_of(KIND_POLL, 1));
    CHECK(event.result == POLLOUT && event.flags == 0);
    ring_poll(ring, ends[0], POLLIN, token_of(KIND_POLL, 2));
    CHECK_UINT(kit_next(ring, KIT_MOMENT).token, 0);
    send_all(ends[1], "x");
    event = kit_expect(ring, token_of(KIND_POLL, 2));
    CHECK_INT(event.result, POLLIN);
    CHECK_UINT(kit_next(ring, KIT_MOMENT).token, 0); /* once */
    ring_poll(ring, ends[0], POLLRDHUP, token_of(KIND_POLL, 2));
    shutdown(ends[1], SHUT_WR);
    event = kit_expect(ring, token_of(KIND_POLL, 2));
    CHECK((event.result & POLLRDHUP) != 0);
    ring_close(ring, ends[0], false);
    close(ends[1]);
    ring_destroy(ring);
}
