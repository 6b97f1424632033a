/* What edges, a shared file and a full table can do to the epoll engine. Most cases hold for every
 * engine and are run on every one. */
#include "ring_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cunit.h"
#include "ring/ring_parts.h"

enum { KIND_ACCEPT = 1, KIND_RECV, KIND_POLL };

static uint64_t token_of(uint8_t kind, uint32_t slot)
{
    return ring_token(kind, slot, 1);
}

static void send_all(int fd, const char *text)
{
    CHECK_INT(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What came while nothing was armed makes no new edge: it must be remembered. */
RING_TEST(data_that_came_unasked_is_read_when_asked)
{
    const uint64_t token = token_of(KIND_RECV, 1);
    struct ring *ring = kit_ring();
    struct ring_event event;
    int ends[2];

    kit_pair(ends);
    ring_recv(ring, ends[0], RING_GROUP_SMALL, token);
    kit_turn(ring);
    ring_cancel(ring, ends[0], token);
    CHECK_INT(kit_expect(ring, token).result, -ECANCELED);
    send_all(ends[1], "unasked");
    CHECK_UINT(kit_next(ring, KIT_MOMENT).token, 0);
    CHECK_UINT(kit_next(ring, KIT_MOMENT).token, 0);
    ring_recv_once(ring, ends[0], RING_GROUP_SMALL, token);
    event = kit_expect(ring, token);
    CHECK_TEXT(ring_event_bytes(ring, &event), "unasked");
    ring_event_drop(ring, &event, false);
    ring_close(ring, ends[0], false);
    close(ends[1]);
    ring_destroy(ring);
}

/* The last bytes and the end are one edge; the short read of the bytes must not hide the end. */
RING_TEST(bytes_and_the_end_of_the_stream_at_once)
{
    const uint64_t token = token_of(KIND_RECV, 1);
    struct ring *ring = kit_ring();
    struct ring_event event;
    int ends[2];

    kit_pair(ends);
    send_all(ends[1], "last words");
    shutdown(ends[1], SHUT_WR);
    ring_recv(ring, ends[0], RING_GROUP_SMALL, token);
    event = kit_expect(ring, token);
    CHECK_TEXT(ring_event_bytes(ring, &event), "last words");
    ring_event_drop(ring, &event, false);
    event = kit_expect(ring, token);
    CHECK_INT(event.result, 0);
    CHECK_UINT(event.flags, 0);
    /* An ended stream says so again, and a poll of it holds at once. */
    ring_recv(ring, ends[0], RING_GROUP_SMALL, token);
    CHECK_INT(kit_expect(ring, token).result, 0);
    ring_poll(ring, ends[0], POLLIN, token_of(KIND_POLL, 1));
    CHECK((kit_expect(ring, token_of(KIND_POLL, 1)).result & POLLIN) != 0);
    ring_close(ring, ends[0], false);
    close(ends[1]);
    ring_destroy(ring);
}

/* A poll asks what holds now, also when others have read or filled the socket since. */
RING_TEST(polls_ask_again_each_time)
{
    const uint64_t token = token_of(KIND_POLL, 1);
    struct ring *ring = kit_ring();
    uint8_t back[8];
    int ends[2];

    kit_pair(ends);
    send_all(ends[1], "abc");
    for (int i = 0; i < 3; i++) {
        ring_poll(ring, ends[0], POLLIN, token);
        CHECK_INT(kit_expect(ring, token).result, POLLIN);
    }
    CHECK_INT(recv(ends[0], back, sizeof(back), 0), 3);
    ring_poll(ring, ends[0], POLLIN, token);
    CHECK_UINT(kit_next(ring, KIT_MOMENT).token, 0);
    send_all(ends[1], "d");
    CHECK_INT(kit_expect(ring, token).result, POLLIN);
    ring_close(ring, ends[0], false);
    close(ends[1]);
    ring_destroy(ring);
}

/* A stream that never ends to be readable does not keep another from its turn. */
RING_TEST(a_flood_leaves_the_others_their_turn)
{
    struct ring *ring = kit_ring();
    struct ring_event events[4];
    static uint8_t flood[1 << 20];
    bool served = false;
    int busy[2];
    int quiet[2];

    kit_pair(busy);
    kit_pair(quiet);
    CHECK(send(busy[1], flood, sizeof(flood), MSG_DONTWAIT) > 200000);
    ring_recv(ring, busy[0], RING_GROUP_SMALL, token_of(KIND_RECV, 1));
    ring_recv(ring, quiet[0], RING_GROUP_SMALL, token_of(KIND_RECV, 2));
    send_all(quiet[1], "me too");
    for (int turn = 0; turn < 20 && !served; turn++) {
        int count = ring_wait(ring, KIT_PATIENT, events, 4);

        for (int i = 0; i < count; i++) {
            served = served || events[i].token == token_of(KIND_RECV, 2);
            if ((events[i].flags & RING_EVENT_MORE) == 0) {
                ring_recv(ring, busy[0], RING_GROUP_SMALL, token_of(KIND_RECV, 1));
            }
            ring_event_drop(ring, &events[i], false);
        }
    }
    CHECK(served);
    ring_close(ring, busy[0], true);
    ring_close(ring, quiet[0], false);
    close(busy[1]);
    close(quiet[1]);
    ring_destroy(ring);
}

/* The supervisor holds every listening socket too: closing it here must end what is told of it,
 * though the file lives on, and the number may be anything else next. */
RING_TEST(a_closed_file_that_another_process_has_is_silent)
{
    struct ring *ring = kit_ring();
    struct sockaddr_storage address;
    int listener = kit_listener(&address, 8);
    int elsewhere = fcntl(listener, F_DUPFD_CLOEXEC, 100);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int ends[2];

    ring_accept(ring, listener, token_of(KIND_ACCEPT, 1));
    kit_turn(ring);
    ring_close(ring, listener, false);
    CHECK_INT(kit_next(ring, KIT_PATIENT).result, -ECANCELED);
    kit_pair(ends);
    CHECK(ends[0] == listener || ends[1] == listener || fcntl(listener, F_GETFD) < 0);
    ring_recv(ring, ends[0], RING_GROUP_SMALL, token_of(KIND_RECV, 1));
    CHECK_INT(connect(client, (const struct sockaddr *)&address, sizeof(struct sockaddr_in)), 0);
    CHECK_UINT(kit_next(ring, KIT_MOMENT).token, 0);
    CHECK(ring_stats(ring)->enters < 20); /* nor is it told in vain */
    close(client);
    close(elsewhere);
    ring_close(ring, ends[0], false);
    close(ends[1]);
    ring_destroy(ring);
}

/* An accepted descriptor that is dropped leaves nothing known of its number. */
RING_TEST(a_dropped_connection_leaves_its_number_clean)
{
    struct ring *ring = kit_ring();
    struct sockaddr_storage address;
    struct ring_event event;
    int listener = kit_listener(&address, 8);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int ends[2];

    ring_accept(ring, listener, token_of(KIND_ACCEPT, 1));
    CHECK_INT(connect(client, (const struct sockaddr *)&address, sizeof(struct sockaddr_in)), 0);
    event = kit_expect(ring, token_of(KIND_ACCEPT, 1));
    ring_event_drop(ring, &event, true);
    CHECK_INT(pipe(ends), 0);
    CHECK(ends[0] == event.result || ends[1] == event.result);
    ring_poll(ring, ends[0], POLLIN, token_of(KIND_POLL, 1));
    CHECK_UINT(kit_next(ring, KIT_MOMENT).token, 0);
    CHECK_INT(write(ends[1], "x", 1), 1);
    CHECK_INT(kit_expect(ring, token_of(KIND_POLL, 1)).result, POLLIN);
    ring_close(ring, ends[0], false);
    ring_close(ring, listener, false);
    close(ends[1]);
    close(client);
    ring_destroy(ring);
}

/* Without a free descriptor accepting ends with the kernel's word for it, and goes on when armed
 * again: whoever waits in the queue is not forgotten. */
RING_TEST(accepting_without_free_descriptors)
{
    const uint64_t token = token_of(KIND_ACCEPT, 1);
    struct ring *ring = kit_ring();
    struct sockaddr_storage address;
    struct ring_event event;
    struct rlimit before;
    struct rlimit none;
    int listener = kit_listener(&address, 8);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){.rlim_cur = (rlim_t)client + 1, .rlim_max = before.rlim_max};
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &none), 0);
    ring_accept(ring, listener, token);
    CHECK_INT(connect(client, (const struct sockaddr *)&address, sizeof(struct sockaddr_in)), 0);
    for (int i = 0; i < 2; i++) {
        event = kit_expect(ring, token);
        CHECK_INT(event.result, -EMFILE);
        CHECK_UINT(event.flags, 0);
        CHECK_INT(i == 0 ? 0 : setrlimit(RLIMIT_NOFILE, &before), 0);
        ring_accept(ring, listener, token);
    }
    event = kit_expect(ring, token);
    CHECK(event.result > 0);
    CHECK_UINT(event.flags, RING_EVENT_MORE);
    ring_event_drop(ring, &event, true);
    ring_close(ring, listener, false);
    close(client);
    ring_destroy(ring);
}

/* A poll of a file that epoll cannot watch ends with the reason. */
TEST(what_cannot_be_watched_ends_with_the_reason)
{
    struct ring *ring = (kit_engine = RING_ENGINE_EPOLL, kit_ring());
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    struct ring_event event;

    CHECK(fd >= 0);
    ring_poll(ring, fd, POLLIN, token_of(KIND_POLL, 1));
    event = kit_expect(ring, token_of(KIND_POLL, 1));
    CHECK_INT(event.result, -EPERM);
    CHECK_UINT(event.flags, 0);
    ring_close(ring, fd, false);
    ring_destroy(ring);
}

/* Idle connections cost a place in two tables and no buffer; messages cost no registration. */
TEST(idle_connections_hold_no_buffer_and_few_operations)
{
    enum { COUNT = 100 };
    struct ring *ring = (kit_engine = RING_ENGINE_EPOLL, kit_ring());
    int ends[COUNT][2];

    for (uint32_t i = 0; i < COUNT; i++) {
        kit_pair(ends[i]);
        ring_recv(ring, ends[i][0], RING_GROUP_SMALL, token_of(KIND_RECV, i + 1));
    }
    kit_turn(ring);
    CHECK_UINT(ring_buffers_free(ring, RING_GROUP_SMALL), 64);
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < COUNT; i++) {
            struct ring_event event;

            send_all(ends[i][1], "x");
            event = kit_expect(ring, token_of(KIND_RECV, i + 1));
            CHECK_UINT(event.flags, RING_EVENT_BUFFER | RING_EVENT_MORE);
            CHECK_UINT(event.buffer, 0); /* always the warmest */
            ring_event_drop(ring, &event, false);
        }
    }
    CHECK_UINT(ring->watches.ops_fresh, COUNT + 1);
    for (uint32_t i = 0; i < COUNT; i++) {
        ring_close(ring, ends[i][0], false);
        close(ends[i][1]);
    }
    ring_destroy(ring);
}

/* Everybody who waits is told, though one turn takes only so many of them. */
TEST(one_turn_accepts_and_tells_a_bounded_number)
{
    enum { BURST = 60 };
    struct ring *ring = (kit_engine = RING_ENGINE_EPOLL, kit_ring());
    struct sockaddr_storage address;
    struct ring_event events[BURST];
    int listener = kit_listener(&address, BURST);
    int clients[BURST];
    int accepted = 0;
    int turns = 0;

    for (int i = 0; i < BURST; i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK_INT(connect(clients[i], (const struct sockaddr *)&address, sizeof(address)), 0);
    }
    ring_accept(ring, listener, token_of(KIND_ACCEPT, 1));
    while (accepted < BURST && turns < BURST) {
        int count = ring_wait(ring, KIT_PATIENT, events, BURST);

        CHECK(count > 0 && count <= 16);
        for (int i = 0; i < count; i++) {
            ring_event_drop(ring, &events[i], true);
        }
        accepted += count;
        turns++;
    }
    CHECK_INT(accepted, BURST);
    CHECK_INT(turns, 4);
    for (int i = 0; i < BURST; i++) {
        close(clients[i]);
    }
    ring_close(ring, listener, false);
    ring_destroy(ring);
}
