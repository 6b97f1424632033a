#include "worker/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cunit.h"

/* A view with nothing but listeners, as much as the sockets look at. */
struct stand_in {
    struct view view;
    struct abi_listener listeners[4];
    uint8_t text[256];
    uint32_t used;
};

static struct abi_text put_text(struct stand_in *in, const char *text)
{
    struct abi_text at = {.at = in->used, .len = (uint32_t)strlen(text)};

    memcpy(in->text + in->used, text, at.len);
    in->used += at.len;
    return at;
}

static void finish(struct stand_in *in)
{
    in->view.text = in->text;
    in->view.listeners = in->listeners;
}

/* A loopback address of this process: no client or server of another program, which all have
 * 127.0.0.1, can take a port between the moment that it was found free and its use. */
static struct in_addr own_address(void)
{
    uint32_t pid = (uint32_t)getpid();

    return (struct in_addr){htonl(0x7f400000u | (pid & 0x3fffffu))};
}

static void add_ip4(struct stand_in *in, uint64_t key, const char *name, uint16_t port)
{
    struct abi_listener *listener = &in->listeners[in->view.counts[ABI_SECTION_LISTENER]++];
    const struct in_addr own = own_address();

    listener->key = key;
    listener->name = put_text(in, name);
    listener->address.family = ABI_FAMILY_IP4;
    listener->address.port = port;
    memcpy(listener->address.ip, &own.s_addr, 4);
    finish(in);
}

static void add_unix(struct stand_in *in, uint64_t key, const char *name, const char *path)
{
    struct abi_listener *listener = &in->listeners[in->view.counts[ABI_SECTION_LISTENER]++];

    listener->key = key;
    listener->name = put_text(in, name);
    listener->address.family = ABI_FAMILY_UNIX;
    listener->address.mode = 0640;
    listener->address.path = put_text(in, path);
    finish(in);
}

/* A port that nobody uses at the moment, and that was not given before: the kernel may well name
 * the same one twice. */
static uint16_t free_port(void)
{
    static uint64_t given[65536 / 64];
    struct sockaddr_in address;
    socklen_t length = sizeof(address);
    uint16_t port;

    do {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = own_address()};
        CHECK_INT(bind(fd, (struct sockaddr *)&address, length), 0);
        CHECK_INT(getsockname(fd, (struct sockaddr *)&address, &length), 0);
        close(fd);
        port = ntohs(address.sin_port);
    } while ((given[port / 64] >> (port % 64) & 1) != 0);
    given[port / 64] |= 1ull << (port % 64);
    return port;
}

/* 0 or the errno of a connection attempt. */
static int try_connect(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = own_address()};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int err = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : errno;

    close(fd);
    return err;
}

static struct sockets *make_sockets(uint32_t slots)
{
    struct sockets *sockets = calloc(1, sizeof(*sockets));

    sockets_init(sockets, slots);
    return sockets;
}

static void drop_sockets(struct sockets *sockets)
{
    sockets_close(sockets);
    free(sockets);
}

TEST(clients_are_let_in_at_commit_and_not_before)
{
    struct sockets *sockets = make_sockets(2);
    struct stand_in one = {.used = 0};
    char reason[LIMIT_REASON];
    uint32_t listener = 0;
    uint16_t port = free_port();

    add_ip4(&one, 1, "public", port);
    CHECK(sockets_stage(sockets, &one.view, &listener, reason));
    CHECK_UINT(sockets->count, 1);
    CHECK(sockets->entries[0].fds[0] >= 0);
    CHECK(sockets->entries[0].fds[1] >= 0);
    CHECK_INT(sockets->entries[0].fds[2], -1);
    CHECK_INT(try_connect(port), ECONNREFUSED);
    CHECK(sockets_listen(sockets, reason));
    sockets_commit(sockets);
    sockets_settle(sockets);
    CHECK_INT(try_connect(port), 0);
    drop_sockets(sockets);
    CHECK_INT(try_connect(port), ECONNREFUSED);
}

TEST(an_aborted_publication_leaves_no_trace)
{
    struct sockets *sockets = make_sockets(1);
    struct stand_in one = {.used = 0}, two = {.used = 0};
    char reason[LIMIT_REASON];
    uint32_t listener = 0;
    uint16_t port = free_port(), other = free_port();
    int fd;

    add_ip4(&one, 1, "a", port);
    CHECK(sockets_stage(sockets, &one.view, &listener, reason));
    CHECK(sockets_listen(sockets, reason));
    sockets_commit(sockets);
    fd = sockets->entries[0].fds[0];
    add_ip4(&two, 2, "b", other);
    CHECK(sockets_stage(sockets, &two.view, &listener, reason));
    sockets_unstage(sockets);
    CHECK_UINT(sockets->count, 1);
    CHECK_UINT(sockets->entries[0].key, 1);
    CHECK_INT(sockets->entries[0].fds[0], fd);
    CHECK_INT(try_connect(port), 0);
    CHECK_INT(try_connect(other), ECONNREFUSED);
    drop_sockets(sockets);
}

TEST(an_unchanged_listener_keeps_its_socket_and_a_lost_one_is_closed_last)
{
    struct sockets *sockets = make_sockets(1);
    struct stand_in one = {.used = 0}, two = {.used = 0};
    char reason[LIMIT_REASON];
    uint32_t listener = 0;
    uint16_t port = free_port(), other = free_port();
    int fd;

    add_ip4(&one, 1, "a", port);
    add_ip4(&one, 2, "b", other);
    CHECK(sockets_stage(sockets, &one.view, &listener, reason));
    CHECK(sockets_listen(sockets, reason));
    sockets_commit(sockets);
    fd = sockets->entries[1].fds[0];
    add_ip4(&two, 2, "b", other);
    CHECK(sockets_stage(sockets, &two.view, &listener, reason));
    CHECK(sockets_listen(sockets, reason));
    sockets_commit(sockets);
    CHECK_UINT(sockets->count, 2);
    CHECK_INT(try_connect(port), 0);
    sockets_settle(sockets);
    CHECK_UINT(sockets->count, 1);
    CHECK_INT(sockets->entries[0].fds[0], fd);
    CHECK_INT(try_connect(port), ECONNREFUSED);
    CHECK_INT(try_connect(other), 0);
    drop_sockets(sockets);
}

TEST(an_address_in_use_is_named)
{
    struct sockets *sockets = make_sockets(2);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = own_address()};
    socklen_t length = sizeof(address);
    int foreign = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct stand_in one = {.used = 0};
    char reason[LIMIT_REASON], expected[LIMIT_REASON];
    uint32_t listener = 0;
    const int on = 1;

    /* Even one that would share: its owner is not this data plane. */
    CHECK_INT(setsockopt(foreign, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
    CHECK_INT(bind(foreign, (struct sockaddr *)&address, length), 0);
    CHECK_INT(listen(foreign, 1), 0);
    CHECK_INT(getsockname(foreign, (struct sockaddr *)&address, &length), 0);
    add_ip4(&one, 1, "free", free_port());
    add_ip4(&one, 2, "public", ntohs(address.sin_port));
    CHECK(!sockets_stage(sockets, &one.view, &listener, reason));
    snprintf(expected, sizeof(expected), "listener public: %s:%u: Address already in use",
             inet_ntoa(own_address()), ntohs(address.sin_port));
    CHECK_STRING(reason, expected);
    CHECK_UINT(listener, 1);
    CHECK_UINT(sockets->count, 0);
    close(foreign);
    CHECK(sockets_stage(sockets, &one.view, &listener, reason));
    drop_sockets(sockets);
}

TEST(two_listeners_of_one_snapshot_cannot_share_an_address)
{
    struct sockets *sockets = make_sockets(1);
    struct stand_in twice = {.used = 0}, renamed = {.used = 0}, both = {.used = 0};
    char reason[LIMIT_REASON];
    uint32_t listener = 0;
    uint16_t port = free_port();

    add_ip4(&twice, 1, "a", port);
    add_ip4(&twice, 2, "b", port);
    CHECK(!sockets_stage(sockets, &twice.view, &listener, reason));
    CHECK(strstr(reason, "in use by listener a") != NULL);
    /* From one generation to the next the address may change hands. */
    add_ip4(&renamed, 3, "c", port);
    CHECK(sockets_stage(sockets, &renamed.view, &listener, reason));
    CHECK(sockets_listen(sockets, reason));
    sockets_commit(sockets);
    add_ip4(&both, 4, "d", port);
    CHECK(sockets_stage(sockets, &both.view, &listener, reason));
    sockets_unstage(sockets);
    /* Whichever stands first in the snapshot. */
    add_ip4(&both, 3, "c", port);
    CHECK(!sockets_stage(sockets, &both.view, &listener, reason));
    CHECK_UINT(sockets->count, 1);
    drop_sockets(sockets);
}

TEST(a_key_cannot_move_to_another_address)
{
    struct sockets *sockets = make_sockets(1);
    struct stand_in one = {.used = 0}, two = {.used = 0};
    char reason[LIMIT_REASON];
    uint32_t listener = 0;

    add_ip4(&one, 1, "a", free_port());
    CHECK(sockets_stage(sockets, &one.view, &listener, reason));
    sockets_commit(sockets);
    add_ip4(&two, 1, "a", free_port());
    CHECK(!sockets_stage(sockets, &two.view, &listener, reason));
    CHECK(strstr(reason, "another address") != NULL);
    CHECK_UINT(sockets->count, 1);
    drop_sockets(sockets);
}

/* A worker that takes an instant to close its copy must not keep a listener from coming back. */
TEST(a_listener_that_comes_back_at_once_is_let_in)
{
    struct sockets *sockets = make_sockets(1);
    struct stand_in with = {.used = 0}, without = {.used = 0};
    char reason[LIMIT_REASON];
    uint32_t listener = 0;
    uint16_t port = free_port();
    int copy;

    add_ip4(&with, 1, "a", port);
    finish(&without);
    CHECK(sockets_stage(sockets, &with.view, &listener, reason));
    CHECK(sockets_listen(sockets, reason));
    sockets_commit(sockets);
    copy = dup(sockets->entries[0].fds[0]);
    CHECK(sockets_stage(sockets, &without.view, &listener, reason));
    sockets_commit(sockets);
    sockets_settle(sockets);
    CHECK_UINT(sockets->count, 0);
    CHECK(sockets_stage(sockets, &with.view, &listener, reason));
    close(copy);
    drop_sockets(sockets);
}

TEST(port_zero_is_refused)
{
    struct sockets *sockets = make_sockets(1);
    struct stand_in one = {.used = 0};
    char reason[LIMIT_REASON];
    uint32_t listener = 0;

    add_ip4(&one, 1, "a", 0);
    CHECK(!sockets_stage(sockets, &one.view, &listener, reason));
    CHECK(strstr(reason, "port 0") != NULL);
    drop_sockets(sockets);
}

TEST(a_slot_out_of_service_has_no_socket_in_the_group)
{
    struct sockets *sockets = make_sockets(2);
    struct stand_in one = {.used = 0}, two = {.used = 0};
    char reason[LIMIT_REASON];
    uint32_t listener = 0;
    uint16_t port = free_port();

    add_ip4(&one, 1, "a", port);
    CHECK(sockets_stage(sockets, &one.view, &listener, reason));
    CHECK(sockets_listen(sockets, reason));
    sockets_commit(sockets);
    sockets_close_slot(sockets, 1);
    CHECK_INT(sockets->entries[0].fds[1], -1);
    CHECK_INT(try_connect(port), 0);
    add_ip4(&two, 1, "a", port);
    add_ip4(&two, 2, "b", free_port());
    CHECK(sockets_stage(sockets, &two.view, &listener, reason));
    CHECK_INT(sockets->entries[1].fds[1], -1);
    sockets_close_slot(sockets, 0);
    CHECK_INT(try_connect(port), ECONNREFUSED);
    CHECK(sockets_open_slot(sockets, 1, reason));
    CHECK(sockets->entries[1].fds[1] >= 0);
    CHECK_INT(try_connect(port), 0);
    drop_sockets(sockets);
}

TEST(a_unix_listener_is_one_socket_with_its_permissions)
{
    struct sockets *sockets = make_sockets(3);
    struct stand_in one = {.used = 0};
    char folder[] = "/tmp/cunit-XXXXXX", path[64], reason[LIMIT_REASON];
    uint32_t listener = 0;
    struct stat about;

    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof(path), "%s/l.sock", folder);
    add_unix(&one, 1, "local", path);
    CHECK(sockets_stage(sockets, &one.view, &listener, reason));
    CHECK_INT(sockets->entries[0].fds[0], sockets->entries[0].fds[2]);
    CHECK(sockets_listen(sockets, reason));
    sockets_commit(sockets);
    CHECK_INT(stat(path, &about), 0);
    CHECK_INT(about.st_mode & 07777, 0640);
    sockets_close_slot(sockets, 0);
    CHECK(sockets->entries[0].fds[0] >= 0);
    drop_sockets(sockets);
    CHECK_INT(stat(path, &about), -1);
    CHECK_INT(rmdir(folder), 0);
}

TEST(a_stale_unix_socket_is_replaced_and_a_live_one_is_not)
{
    struct sockets *sockets = make_sockets(1), *other = make_sockets(1);
    struct stand_in one = {.used = 0};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char folder[] = "/tmp/cunit-XXXXXX", reason[LIMIT_REASON];
    uint32_t listener = 0;
    int stale = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(mkdtemp(folder) != NULL);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/l.sock", folder);
    CHECK_INT(bind(stale, (struct sockaddr *)&address, sizeof(address)), 0);
    close(stale);
    add_unix(&one, 1, "local", address.sun_path);
    CHECK(sockets_stage(sockets, &one.view, &listener, reason));
    CHECK(sockets_listen(sockets, reason));
    CHECK(!sockets_stage(other, &one.view, &listener, reason));
    CHECK(strstr(reason, "Address already in use") != NULL);
    drop_sockets(other);
    CHECK_INT(access(address.sun_path, F_OK), 0); /* the other one's failure left ours alone */
    drop_sockets(sockets);
    CHECK_INT(rmdir(folder), 0);
}

TEST(addresses_in_words)
{
    struct sockaddr_storage address = {.ss_family = AF_INET6};
    struct sockaddr_in6 *ip6 = (struct sockaddr_in6 *)(void *)&address;
    char text[SOCKETS_TEXT];

    ip6->sin6_port = htons(443);
    ip6->sin6_addr = in6addr_loopback;
    sockets_text(&address, text);
    CHECK_STRING(text, "[::1]:443");
}
