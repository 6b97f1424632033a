/* The epoll engine: one wait for edges per turn, then what became readable is read into buffers of
 * the pool, once per descriptor and turn, so that a busy one neither keeps the others waiting nor
 * takes more than one buffer. */
#include <errno.h>
#include <unistd.h>

#include "base/must.h"
#include "base/num.h"
#include "ring_parts.h"
#include "ring_watch.h"

#define RING_ACCEPTS_MAX 16u /* of one listener in one turn */

#define RING_NS_PER_MS 1000000u

/* Never early: a timer that fires before its time would be armed again and again. */
static int ring_epoll_patience(uint64_t timeout_ns)
{
    uint64_t ms = timeout_ns / RING_NS_PER_MS + (timeout_ns % RING_NS_PER_MS != 0 ? 1 : 0);

    return timeout_ns == UINT64_MAX ? -1 : (int)num_min_u64(ms, INT32_MAX);
}

/* 0, or -errno of a broken ring. */
static int ring_epoll_enter(struct ring *ring, uint64_t timeout_ns)
{
    struct ring_watches *watches = &ring->watches;
    int count =
        epoll_wait(watches->epoll, watches->told, RING_TOLD_MAX, ring_epoll_patience(timeout_ns));

    ring->stats.enters++;
    if (count < 0) {
        return errno == EINTR ? 0 : -errno;
    }
    for (int i = 0; i < count; i++) {
        ring_watch_told(ring, watches->told[i].data.fd, watches->told[i].events);
    }
    return 0;
}

static void ring_epoll_read_empty(struct ring *ring, int fd)
{
    ring->watches.list[fd].flags &= (uint8_t)~RING_WATCH_READABLE;
}

/* One receive: whether it made an event. */
static bool ring_epoll_receive(struct ring *ring, int fd, const struct ring_op *op,
                               struct ring_event *event)
{
    const enum ring_group group = (enum ring_group)op->group;
    const bool once = op->once;
    struct iovec room;
    ssize_t got;

    *event = (struct ring_event){.token = op->token, .result = -ENOBUFS};
    if (!ring_buffers_take(ring, group, &room)) {
        ring_watch_drop_reader(ring, fd);
        return true;
    }
    do {
        got = recv(fd, room.iov_base, room.iov_len, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN) {
        ring_epoll_read_empty(ring, fd);
        return false;
    }
    event->result = got >= 0 ? (int32_t)got : -errno;
    if (got <= 0) {
        ring_watch_drop_reader(ring, fd);
        return true;
    }
    ring_buffers_lend_taken(ring, group, event);
    /* What comes after a short read makes an edge of its own; an end that was told before does not.
     */
    if ((size_t)got < room.iov_len && (ring->watches.list[fd].flags & RING_WATCH_ENDED) == 0) {
        ring_epoll_read_empty(ring, fd);
    }
    if (once) {
        ring_watch_drop_reader(ring, fd);
    } else {
        event->flags |= RING_EVENT_MORE;
    }
    return true;
}

/* Who waits at a listener: the number of events. */
static uint32_t ring_epoll_accept(struct ring *ring, int listener, struct ring_event *events,
                                  uint32_t max)
{
    const uint64_t token = ring_watch_reader(ring, listener)->token;
    uint32_t count = 0;

    while (count < num_min_u32(max, RING_ACCEPTS_MAX)) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0 && (uint32_t)fd >= ring->fd_count) {
            close(fd);
            fd = -1;
            errno = EMFILE;
        }
        if (fd < 0 && errno == EAGAIN) {
            ring_epoll_read_empty(ring, listener);
            break;
        }
        if (fd < 0 && errno == EINTR) {
            continue;
        }
        events[count++] = (struct ring_event){
            .token = token,
            .result = fd >= 0 ? fd : -errno,
            .flags = fd >= 0 ? RING_EVENT_MORE : 0,
        };
        if (fd < 0) {
            ring_watch_drop_reader(ring, listener);
            break;
        }
        ring_watch_accepted(ring, fd);
    }
    return count;
}

/* Reads once from each descriptor that was readable when the turn began. */
static uint32_t ring_epoll_read(struct ring *ring, struct ring_event *events, uint32_t max)
{
    uint32_t count = 0;

    for (uint32_t left = ring->watches.readable; left > 0 && count < max; left--) {
        int fd = ring_watch_next_readable(ring);
        const struct ring_op *op = ring_watch_reader(ring, fd);

        if (op == NULL || (ring->watches.list[fd].flags & RING_WATCH_READABLE) == 0) {
            continue; /* cancelled or closed since */
        }
        if (op->kind == RING_OP_ACCEPT) {
            count += ring_epoll_accept(ring, fd, &events[count], max - count);
        } else if (ring_epoll_receive(ring, fd, op, &events[count])) {
            count++;
        }
        ring_watch_queue(ring, fd);
    }
    return count;
}

static int ring_epoll_wait(struct ring *ring, uint64_t timeout_ns, struct ring_event *events,
                           uint32_t max)
{
    const struct ring_watches *watches = &ring->watches;
    int err = ring->broken;
    uint32_t count;

    ring_watch_run_closes(ring);
    if (err == 0) {
        bool ready = watches->ended.first != 0 || watches->readable > 0;

        err = ring_epoll_enter(ring, ready ? 0 : timeout_ns);
    }
    ring_read_clock(ring);
    if (err != 0) {
        ring->broken = err;
        return err;
    }
    count = ring_watch_tell_ended(ring, events, max);
    count += ring_epoll_read(ring, &events[count], max - count);
    ring->stats.events += count;
    return (int)count;
}

static int ring_epoll_start(struct ring *ring, const struct ring_config *config, const char **hint)
{
    int err = ring_watch_start(ring);

    (void)config;
    if (err == -EMFILE || err == -ENFILE) {
        *hint = "no descriptor for the set of epoll: check RLIMIT_NOFILE";
    }
    return err;
}

static const char *ring_epoll_mode(const struct ring *ring)
{
    (void)ring;
    return "edge-triggered";
}

const struct ring_engine ring_epoll_engine = {
    .kind = RING_ENGINE_EPOLL,
    .name = "epoll",
    .start = ring_epoll_start,
    .stop = ring_watch_stop,
    .mode = ring_epoll_mode,
    .wait = ring_epoll_wait,
    .accept = ring_watch_accept,
    .recv = ring_watch_recv,
    .recv_once = ring_watch_recv_once,
    .poll = ring_watch_poll,
    .connect = ring_watch_connect,
    .cancel = ring_watch_cancel,
    .close = ring_watch_close,
};
