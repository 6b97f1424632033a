/* How descriptors end while operations are pending on them. */
#include "ring_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "cunit.h"

enum { KIND_ACCEPT = 1, KIND_RECV, KIND_POLL };

static uint64_t token_of(uint8_t kind, uint32_t slot)
{
    return ring_token(kind, slot, 1);
}

static void send_all(int fd, const char *text)
{
    CHECK_INT(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* The peer must see the end at once although a receive and two polls hold the file. */
static void close_with_pending(bool reset)
{
    struct ring *ring = kit_ring();
    uint32_t before = kit_open_fds();
    uint32_t canceled = 0;
    int ends[2];

    kit_pair(ends);
    ring_recv(ring, ends[0], RING_GROUP_SMALL, token_of(KIND_RECV, 4));
    ring_poll(ring, ends[0], POLLRDHUP, token_of(KIND_POLL, 4));
    kit_turn(ring);
    ring_close(ring, ends[0], reset);
    for (int i = 0; i < 2; i++) {
        struct ring_event event = kit_next(ring, KIT_PATIENT);

        CHECK_INT(event.result, -ECANCELED);
        CHECK_UINT(event.flags, 0);
        canceled += event.token == token_of(KIND_RECV, 4) ? 1 : 0;
        canceled += event.token == token_of(KIND_POLL, 4) ? 10 : 0;
    }
    CHECK_UINT(canceled, 11);
    CHECK_INT(recv(ends[1], &canceled, 1, MSG_DONTWAIT), reset ? -1 : 0);
    CHECK(!reset || errno == ECONNRESET);
    close(ends[1]);
    CHECK_UINT(kit_open_fds(), before);
    CHECK_UINT(ring_stats(ring)->close_walks, 0);
    ring_destroy(ring);
}

RING_TEST(close_with_pending_operations_sends_fin_at_once)
{
    close_with_pending(false);
}

RING_TEST(close_with_pending_operations_sends_rst_at_once)
{
    close_with_pending(true);
}

/* Everything for the descriptor is queued in one turn, and so is its close: the late operations
 * must not reach whoever gets the number next. */
RING_TEST(close_ends_what_was_queued_in_the_same_turn)
{
    struct ring *ring = kit_ring();
    struct ring_event event;
    int other[2];
    int ends[2];

    kit_pair(ends);
    ring_recv(ring, ends[0], RING_GROUP_SMALL, token_of(KIND_RECV, 5));
    ring_poll(ring, ends[0], POLLIN, token_of(KIND_POLL, 5));
    ring_close(ring, ends[0], false);
    kit_pair(other); /* the number is not free yet */
    CHECK(other[0] != ends[0] && other[1] != ends[0]);
    for (int i = 0; i < 2; i++) {
        event = kit_next(ring, KIT_PATIENT);
        CHECK_INT(event.result, -ECANCELED);
    }
    CHECK_INT(kit_read(ends[1]), 0);
    CHECK_INT(fcntl(ends[0], F_GETFD), -1);

    /* The number is used again; the old tokens are silent. */
    CHECK_INT(dup2(other[0], ends[0]), ends[0]);
    ring_recv(ring, ends[0], RING_GROUP_SMALL, ring_token(KIND_RECV, 5, 3));
    kit_turn(ring);
    send_all(other[1], "new");
    event = kit_next(ring, KIT_PATIENT);
    CHECK_UINT(event.token, ring_token(KIND_RECV, 5, 3));
    CHECK_TEXT(ring_event_bytes(ring, &event), "new");
    ring_event_drop(ring, &event, false);
    ring_close(ring, ends[0], false);
    close(ends[1]);
    close(other[0]);
    close(other[1]);
    ring_destroy(ring);
}

/* Data that came in the same turn as the close may still be given, by io_uring it is: with the old
 * token, which drops it. */
RING_TEST(data_before_a_close_is_told_apart_by_generation)
{
    struct ring *ring = kit_ring();
    struct ring_event event;
    int ends[2];

    kit_pair(ends);
    send_all(ends[1], "early");
    ring_recv(ring, ends[0], RING_GROUP_SMALL, token_of(KIND_RECV, 6));
    ring_close(ring, ends[0], false);
    if (kit_engine != RING_ENGINE_EPOLL) {
        event = kit_next(ring, KIT_PATIENT);
        CHECK_UINT(ring_token_generation(event.token), 1);
        CHECK_INT(event.result, 5);
        ring_event_drop(ring, &event, false);
    }
    event = kit_next(ring, KIT_PATIENT);
    CHECK_UINT(event.token, token_of(KIND_RECV, 6));
    CHECK_INT(event.result, -ECANCELED);
    CHECK_UINT(ring_buffers_free(ring, RING_GROUP_SMALL), 64);
    close(ends[1]);
    ring_destroy(ring);
}

RING_TEST(close_after_two_owners_polled_looks_at_all)
{
    struct ring *ring = kit_ring();
    int ends[2];

    kit_pair(ends);
    ring_poll(ring, ends[0], POLLIN, token_of(KIND_POLL, 1));
    ring_poll(ring, ends[0], POLLRDHUP, token_of(KIND_POLL, 2));
    kit_turn(ring);
    ring_close(ring, ends[0], false);
    CHECK_INT(kit_next(ring, KIT_PATIENT).result, -ECANCELED);
    CHECK_INT(kit_next(ring, KIT_PATIENT).result, -ECANCELED);
    CHECK_INT(kit_read(ends[1]), 0);
    CHECK_UINT(ring_stats(ring)->close_walks, kit_engine == RING_ENGINE_EPOLL ? 0 : 1);
    close(ends[1]);
    ring_destroy(ring);
}

/* In a process of its own: a ring belongs to the task that made it. */
static void close_a_closed_descriptor(void *argument)
{
    struct ring *ring = kit_ring();
    struct ring_event event;

    (void)argument;
    ring_close(ring, 999, false);
    (void)ring_wait(ring, 0, &event, 1);
}

RING_TEST(closing_what_is_not_open_is_a_broken_invariant)
{
    ring_destroy(kit_ring()); /* skips here where there is no io_uring */
    CHECK_ABORTS(close_a_closed_descriptor, NULL);
}

/* A closed listener is gone at once: nobody connects any more, and its port can be bound again. */
RING_TEST(closed_listener_frees_its_port)
{
    struct ring *ring = kit_ring();
    struct sockaddr_storage address;
    int listener = kit_listener(&address, 8);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ring_accept(ring, listener, token_of(KIND_ACCEPT, 1));
    kit_turn(ring);
    ring_close(ring, listener, false);
    CHECK_INT(kit_next(ring, KIT_PATIENT).result, -ECANCELED);
    CHECK_INT(connect(client, (const struct sockaddr *)&address, sizeof(address)), -1);
    CHECK_INT(errno, ECONNREFUSED);
    CHECK_INT(bind(client, (const struct sockaddr *)&address, sizeof(struct sockaddr_in)), 0);
    close(client);
    ring_destroy(ring);
}

/* A ring that is destroyed lets go of its listeners before it returns. */
RING_TEST(destroyed_ring_frees_its_listeners)
{
    struct ring *ring = kit_ring();
    struct sockaddr_storage address;
    int listener = kit_listener(&address, 8);
    int again = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ring_accept(ring, listener, token_of(KIND_ACCEPT, 1));
    kit_turn(ring);
    ring_destroy(ring);
    close(listener);
    CHECK_INT(bind(again, (const struct sockaddr *)&address, sizeof(struct sockaddr_in)), 0);
    close(again);
}
