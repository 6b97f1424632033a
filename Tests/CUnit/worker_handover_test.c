#include "worker/handover.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "cunit.h"

/* Two supervisors in one process: what is taken are duplicates, as over a socket. */
static struct sockets from, to;

static struct sockets_entry *add_entry(uint64_t key, sa_family_t family, uint64_t slots)
{
    struct sockets_entry *entry = &from.entries[from.count++];

    *entry = (struct sockets_entry){.key = key, .committed = true, .listening = true};
    memset(entry->fds, 0xff, sizeof(entry->fds));
    entry->address.ss_family = family;
    entry->length = family == AF_UNIX ? sizeof(struct sockaddr_un) : sizeof(struct sockaddr_in);
    entry->mode = 0600;
    entry->inode = key * 10;
    snprintf(entry->name, sizeof(entry->name), "listener-%u", (unsigned)key);
    for (uint32_t slot = 0; slot < from.slots; slot++) {
        if ((slots >> slot & 1) != 0) {
            entry->fds[slot] = slot > 0 && family == AF_UNIX
                                   ? entry->fds[0]
                                   : socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        }
    }
    return entry;
}

/* Gives everything from one to the other as the two supervisors do; the number of messages. */
static uint32_t hand_over(uint32_t slots)
{
    struct control_message message;
    uint32_t index = 0;
    int fds[SHM_DESCRIPTORS];

    sockets_init(&to, slots);
    while (handover_sockets(&from, index, &message.sockets, fds)) {
        message.descriptors.count = message.sockets.count;
        for (uint32_t i = 0; i < message.sockets.count; i++) {
            message.descriptors.fds[i] = dup(fds[i]);
        }
        CHECK(control_check(CONTROL_ELDER, message.bytes, message.head.length,
                            message.descriptors.count) == NULL);
        CHECK(handover_take_sockets(&to, &message));
        control_drop(&message);
        index++;
    }
    return index;
}

static void end_both(void)
{
    handover_let_go(&from);
    handover_let_go(&to);
    CHECK_UINT(from.count, 0);
    CHECK_UINT(to.count, 0);
}

static int next_descriptor(void)
{
    int fd = dup(0);

    close(fd);
    return fd;
}

TEST(sockets_arrive_slot_by_slot)
{
    int free_before = next_descriptor();

    sockets_init(&from, 3);
    add_entry(7, AF_INET, 7);
    add_entry(8, AF_INET, 5); /* slot 1 is out of service */
    CHECK_UINT(hand_over(3), 3);
    CHECK_UINT(to.count, 2);
    CHECK_UINT(to.entries[0].key, 7);
    CHECK_STRING(to.entries[1].name, "listener-8");
    CHECK_UINT(to.entries[1].length, sizeof(struct sockaddr_in));
    for (uint32_t slot = 0; slot < 3; slot++) {
        CHECK(to.entries[0].fds[slot] >= 0);
        CHECK((to.entries[1].fds[slot] >= 0) == (slot != 1));
    }
    CHECK(to.entries[0].committed && to.entries[0].listening);
    end_both();
    CHECK_INT(next_descriptor(), free_before);
}

TEST(a_unix_socket_is_one_for_all_slots)
{
    int free_before = next_descriptor();

    sockets_init(&from, 4);
    add_entry(9, AF_UNIX, 15);
    CHECK_UINT(hand_over(4), 1);
    CHECK(to.entries[0].fds[0] >= 0);
    CHECK_INT(to.entries[0].fds[3], to.entries[0].fds[0]);
    CHECK_UINT(to.entries[0].inode, 90);
    CHECK_UINT(to.entries[0].mode, 0600);
    end_both();
    CHECK_INT(next_descriptor(), free_before);
}

TEST(more_slots_than_one_message_holds)
{
    sockets_init(&from, LIMIT_WORKERS);
    add_entry(1, AF_INET, UINT64_MAX);
    CHECK_UINT(hand_over(LIMIT_WORKERS), 2);
    CHECK_UINT(to.count, 1);
    for (uint32_t slot = 0; slot < LIMIT_WORKERS; slot++) {
        CHECK(to.entries[0].fds[slot] >= 0);
    }
    end_both();
}

TEST(what_is_not_committed_is_not_handed_over)
{
    sockets_init(&from, 1);
    add_entry(1, AF_INET, 1)->committed = false;
    add_entry(2, AF_INET, 1);
    CHECK_UINT(hand_over(1), 1);
    CHECK_UINT(to.entries[0].key, 2);
    end_both();
}

TEST(sockets_of_slots_that_are_not_there_are_refused)
{
    struct control_message message = {
        .sockets = {.head = control_head(ABI_HANDOVER_SOCKETS, sizeof(message.sockets)),
                    .first = 1,
                    .count = 1,
                    .length = 16}};

    message.descriptors.count = 1;
    message.descriptors.fds[0] = dup(0);
    sockets_init(&to, 1);
    CHECK(!handover_take_sockets(&to, &message));
    sockets_init(&to, 2);
    CHECK(handover_take_sockets(&to, &message));
    message.descriptors.fds[0] = dup(0);
    CHECK(!handover_take_sockets(&to, &message)); /* the same slot twice */
    control_drop(&message);
    handover_let_go(&to);
}
