#include "ring_kit.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cunit.h"

enum ring_engine_kind kit_engine = RING_ENGINE_URING;

struct ring *kit_ring_of(const struct ring_config *config)
{
    struct ring_config chosen = *config;
    const char *hint = NULL;
    struct ring *ring = NULL;
    int err;

    chosen.engine = kit_engine;
    err = ring_create(&chosen, &ring, &hint);

    if (err == -EPERM || err == -ENOSYS) {
        cunit_skip("no io_uring here: %s", hint);
    }
    CHECK_INT(err, 0);
    if (err != 0) {
        cunit_skip("ring_create: %s, %s", strerror(-err), hint != NULL ? hint : "no hint");
    }
    return ring;
}

struct ring *kit_ring(void)
{
    const struct ring_config config = {
        .entries = 64,
        .small_buffers = 64,
        .large_buffers = 8,
        .pipes = 4,
    };

    return kit_ring_of(&config);
}

struct ring_event kit_next(struct ring *ring, uint64_t timeout_ns)
{
    struct ring_event event = {0};
    uint64_t deadline;
    int count;

    CHECK(ring_wait(ring, 0, &event, 1) >= 0);
    deadline = ring_now_ns(ring) + timeout_ns;
    if (event.token != 0) {
        return event;
    }
    do {
        uint64_t now = ring_now_ns(ring);

        count = ring_wait(ring, now < deadline ? deadline - now : 0, &event, 1);
        CHECK(count >= 0);
    } while (count == 0 && ring_now_ns(ring) < deadline);
    return count == 1 ? event : (struct ring_event){0};
}

struct ring_event kit_expect(struct ring *ring, uint64_t token)
{
    for (;;) {
        struct ring_event event = kit_next(ring, KIT_PATIENT);

        if (event.token == token || event.token == 0) {
            CHECK_UINT(event.token, token);
            return event;
        }
        ring_event_drop(ring, &event, false);
    }
}

void kit_turn(struct ring *ring)
{
    struct ring_event event;

    CHECK_INT(ring_wait(ring, 0, &event, 1), 0);
}

int kit_listener(struct sockaddr_storage *address, int backlog)
{
    struct sockaddr_in any = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t length = sizeof(any);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0);
    CHECK_INT(bind(fd, (const struct sockaddr *)&any, sizeof(any)), 0);
    CHECK_INT(listen(fd, backlog), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&any, &length), 0);
    memset(address, 0, sizeof(*address));
    memcpy(address, &any, sizeof(any));
    return fd;
}

void kit_pair(int ends[2])
{
    struct sockaddr_storage address;
    const struct timeval limit = {.tv_sec = 2};
    const int on = 1;
    int listener = kit_listener(&address, 8);

    ends[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(connect(ends[1], (const struct sockaddr *)&address, sizeof(struct sockaddr_in)), 0);
    ends[0] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    CHECK(ends[0] >= 0);
    CHECK_INT(setsockopt(ends[1], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    CHECK_INT(setsockopt(ends[1], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
    close(listener);
}

int kit_read(int fd)
{
    uint8_t data[4096];
    ssize_t got = recv(fd, data, sizeof(data), 0);

    return got >= 0 ? (int)got : -errno;
}

uint32_t kit_open_fds(void)
{
    DIR *folder = opendir("/proc/self/fd");
    uint32_t count = 0;

    CHECK(folder != NULL);
    while (readdir(folder) != NULL) {
        count++;
    }
    closedir(folder);
    return count;
}

static uint8_t kit_byte(uint64_t at)
{
    return (uint8_t)((at * 0x9e3779b97f4a7c15ULL) >> 56);
}

void kit_fill(uint8_t *to, uint64_t at, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = kit_byte(at + i);
    }
}

bool kit_matches(struct bytes in, uint64_t at)
{
    for (size_t i = 0; i < in.len; i++) {
        if (in.ptr[i] != kit_byte(at + i)) {
            return false;
        }
    }
    return true;
}
