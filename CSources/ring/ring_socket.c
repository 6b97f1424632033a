/* Immediate operations on sockets. */
#include "ring_parts.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "base/must.h"

#define RING_PARTS_MAX 64

/* SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST: their headers cannot stand beside <netinet/in.h>. */
#define RING_ORIGINAL_DST 80

ssize_t ring_send(struct ring *ring, int fd, const struct iovec *parts, int count)
{
    const int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
    ssize_t sent;

    MUST(count > 0);
    MUST(count <= RING_PARTS_MAX);
    do {
        if (count == 1) {
            sent = send(fd, parts[0].iov_base, parts[0].iov_len, flags);
        } else {
            const struct msghdr message = {
                .msg_iov = (struct iovec *)(uintptr_t)parts, /* sendmsg() only reads them */
                .msg_iovlen = (size_t)count,
            };

            sent = sendmsg(fd, &message, flags);
        }
    } while (sent < 0 && errno == EINTR);
    ring->stats.sends++;
    if (sent >= 0) {
        return sent;
    }
    return errno == EAGAIN ? 0 : -errno;
}

void ring_shutdown_write(struct ring *ring, int fd)
{
    (void)ring;
    (void)shutdown(fd, SHUT_WR); /* ENOTCONN: the next receive reports what happened */
}

/* Small messages leave at once; the peer's own choice of congestion control may be missing here,
 * and then the system's default stays. */
static void ring_set_options(int fd, const char *congestion)
{
    const int on = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (congestion != NULL) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion,
                         (socklen_t)strlen(congestion));
    }
}

int ring_socket(struct ring *ring, int family, const char *congestion)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    (void)ring;
    if (fd < 0) {
        return -errno;
    }
    if (family != AF_UNIX) {
        ring_set_options(fd, congestion);
    }
    return fd;
}

int ring_accept_now(struct ring *ring, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
        return -errno;
    }
    if ((uint32_t)fd >= ring->fd_count) {
        close(fd);
        return -EMFILE;
    }
    if (ring->engine->kind == RING_ENGINE_EPOLL) {
        ring_watch_accepted(ring, fd);
    }
    return fd;
}

void ring_accepted(struct ring *ring, int fd, const char *congestion)
{
    (void)ring;
    ring_set_options(fd, congestion);
}

bool ring_peer(struct ring *ring, int fd, struct sockaddr_storage *peer)
{
    socklen_t length = sizeof(*peer);

    (void)ring;
    return getpeername(fd, (struct sockaddr *)peer, &length) == 0;
}

bool ring_local(struct ring *ring, int fd, struct sockaddr_storage *local)
{
    socklen_t length = sizeof(*local);

    (void)ring;
    return getsockname(fd, (struct sockaddr *)local, &length) == 0;
}

/* The same address and port. What else a socket address has, a zone for example, is not part of
 * what the kernel tells of the original. */
static bool ring_is_same(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    const struct sockaddr_in *a4 = (const struct sockaddr_in *)(const void *)a;
    const struct sockaddr_in *b4 = (const struct sockaddr_in *)(const void *)b;
    const struct sockaddr_in6 *a6 = (const struct sockaddr_in6 *)(const void *)a;
    const struct sockaddr_in6 *b6 = (const struct sockaddr_in6 *)(const void *)b;

    if (a->ss_family == AF_INET) {
        return a4->sin_addr.s_addr == b4->sin_addr.s_addr && a4->sin_port == b4->sin_port;
    }
    return memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr)) == 0 &&
           a6->sin6_port == b6->sin6_port;
}

bool ring_original(struct ring *ring, int fd, struct sockaddr_storage *original)
{
    struct sockaddr_storage local;
    socklen_t length;
    int level;

    if (!ring_local(ring, fd, &local) ||
        (local.ss_family != AF_INET && local.ss_family != AF_INET6)) {
        return false;
    }
    level = local.ss_family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
    length = local.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    memset(original, 0, sizeof(*original));
    return getsockopt(fd, level, RING_ORIGINAL_DST, original, &length) == 0 &&
           original->ss_family == local.ss_family && !ring_is_same(original, &local);
}

void ring_event_drop(struct ring *ring, const struct ring_event *event, bool accepts)
{
    if ((event->flags & RING_EVENT_BUFFER) != 0) {
        (void)ring_buffer_return(ring, event->group, event->buffer);
    }
    if (accepts && event->result >= 0) {
        if (ring->engine->kind == RING_ENGINE_EPOLL) {
            ring_watch_forget(ring, event->result);
        }
        (void)close(event->result); /* nothing was armed on it */
    }
}
