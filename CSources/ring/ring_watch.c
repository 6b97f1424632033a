/* Operations of the epoll engine. Each descriptor is registered once, edge-triggered, and stays so:
 * what the kernel told and nobody has used yet is remembered in its flags, so that arming a receive
 * again costs no system call. Only polls ask the kernel each time, because what they wait for is
 * used up outside of this room's sight (splice, send). */
#include "ring_watch.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/must.h"
#include "ring_parts.h"

#define RING_WATCH_IN   (EPOLLIN | EPOLLRDHUP)
#define RING_WATCH_OVER (EPOLLERR | EPOLLHUP) /* told whether asked for or not */

/* The same bits, so that a poll's mask passes through unchanged. */
_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLRDHUP == POLLRDHUP &&
                   EPOLLERR == POLLERR && EPOLLHUP == POLLHUP,
               "epoll and poll masks");

_Static_assert(sizeof(struct ring_op) + sizeof(struct ring_watch) <= 40,
               "an idle connection costs no more than with io_uring");

static struct ring_watch *ring_watch_at(struct ring *ring, int fd)
{
    MUST(fd >= 0);
    MUST((uint32_t)fd < ring->fd_count);
    return &ring->watches.list[fd];
}

/* --- operations and their lists --- */

static uint32_t ring_op_take(struct ring *ring)
{
    struct ring_watches *watches = &ring->watches;
    uint32_t index = watches->ops_free;

    if (index != 0) {
        watches->ops_free = watches->ops[index].next;
    } else {
        index = watches->ops_fresh++;
        MUST(index <= ring->fd_count * RING_OPS_PER_FD); /* an owner that arms without end */
    }
    watches->ops[index] = (struct ring_op){0};
    return index;
}

static void ring_op_give(struct ring *ring, uint32_t index)
{
    ring->watches.ops[index].next = ring->watches.ops_free;
    ring->watches.ops_free = index;
}

static void ring_op_append(struct ring *ring, struct ring_op_list *list, uint32_t index)
{
    ring->watches.ops[index].next = 0;
    if (list->first == 0) {
        list->first = index;
    } else {
        ring->watches.ops[list->last].next = index;
    }
    list->last = index;
}

static uint32_t ring_op_shift(struct ring *ring, struct ring_op_list *list)
{
    uint32_t index = list->first;

    if (index != 0) {
        list->first = ring->watches.ops[index].next;
    }
    return index;
}

/* Over: its event is told in the next turn. */
static void ring_op_end(struct ring *ring, uint32_t index, int32_t result)
{
    ring->watches.ops[index].result = result;
    ring_op_append(ring, &ring->watches.ended, index);
}

/* --- the kernel's set --- */

/* From now on `mask` is told too, and at once if it holds already. 0 or -errno. */
static int ring_watch_ask(struct ring *ring, int fd, uint32_t mask)
{
    struct ring_watch *watch = ring_watch_at(ring, fd);
    struct epoll_event event = {.events = watch->asked | mask | EPOLLET, .data.fd = fd};
    bool known = (watch->flags & RING_WATCH_KNOWN) != 0;
    int err = epoll_ctl(ring->watches.epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);

    if (err != 0 && known && errno == ENOENT) { /* closed beside the ring: another file by now */
        ring_watch_forget(ring, fd);
        event.events = mask | EPOLLET;
        err = epoll_ctl(ring->watches.epoll, EPOLL_CTL_ADD, fd, &event);
    }
    if (err != 0) {
        return -errno;
    }
    watch->asked |= (uint16_t)mask;
    watch->flags |= RING_WATCH_KNOWN;
    return 0;
}

/* A new operation of `fd` that needs `mask` told: pending, or ended with the kernel's refusal. */
static void ring_watch_arm(struct ring *ring, int fd, struct ring_op op, uint32_t mask)
{
    struct ring_watch *watch = ring_watch_at(ring, fd);
    uint32_t index = ring_op_take(ring);
    int err = 0;

    MUST(ring_token_kind(op.token) != RING_KIND_OWN);
    ring->watches.ops[index] = op;
    if ((watch->asked & mask) != mask || op.kind == RING_OP_POLL) {
        err = ring_watch_ask(ring, fd, mask);
    }
    if (err != 0) {
        ring_op_end(ring, index, err);
        return;
    }
    ring->watches.ops[index].next = watch->ops;
    watch->ops = index;
}

void ring_watch_accept(struct ring *ring, int listener, uint64_t token)
{
    ring_watch_at(ring, listener)->flags &= (uint8_t)~RING_WATCH_OURS;
    ring_watch_arm(ring, listener, (struct ring_op){.token = token, .kind = RING_OP_ACCEPT},
                   RING_WATCH_IN);
    ring_watch_queue(ring, listener);
}

static void ring_watch_read(struct ring *ring, int fd, struct ring_op op)
{
    MUST(op.group < RING_GROUP_COUNT);
    ring_watch_arm(ring, fd, op, RING_WATCH_IN);
    ring_watch_queue(ring, fd);
}

void ring_watch_recv(struct ring *ring, int fd, enum ring_group group, uint64_t token)
{
    ring_watch_read(
        ring, fd, (struct ring_op){.token = token, .kind = RING_OP_RECV, .group = (uint8_t)group});
}

void ring_watch_recv_once(struct ring *ring, int fd, enum ring_group group, uint64_t token)
{
    ring_watch_read(
        ring, fd,
        (struct ring_op){
            .token = token, .kind = RING_OP_RECV, .group = (uint8_t)group, .once = true});
}

void ring_watch_poll(struct ring *ring, int fd, uint32_t mask, uint64_t token)
{
    const struct ring_op op = {.token = token, .kind = RING_OP_POLL, .mask = (uint16_t)mask};

    ring_watch_arm(ring, fd, op, mask);
}

void ring_watch_connect(struct ring *ring, int fd, const struct sockaddr_storage *address,
                        socklen_t length, uint64_t token)
{
    const struct ring_op op = {.token = token, .kind = RING_OP_CONNECT};
    int err;

    MUST(length <= sizeof(*address));
    ring_watch_at(ring, fd)->flags |= RING_WATCH_OURS;
    err = connect(fd, (const struct sockaddr *)address, length) == 0 ? 0 : -errno;
    if (err == -EINPROGRESS || err == -EINTR) {
        ring_watch_arm(ring, fd, op, EPOLLOUT | RING_WATCH_IN);
    } else {
        uint32_t index = ring_op_take(ring);

        ring->watches.ops[index] = op;
        ring_op_end(ring, index, err);
    }
}

/* --- the end of operations and descriptors --- */

/* Every operation of `fd`, or those with the token, ends with -ECANCELED. */
static void ring_watch_end(struct ring *ring, int fd, bool all, uint64_t token)
{
    uint32_t *at = &ring_watch_at(ring, fd)->ops;

    while (*at != 0) {
        uint32_t index = *at;
        struct ring_op *op = &ring->watches.ops[index];

        if (all || op->token == token) {
            *at = op->next;
            ring_op_end(ring, index, -ECANCELED);
        } else {
            at = &op->next;
        }
    }
}

void ring_watch_cancel(struct ring *ring, int fd, uint64_t token)
{
    MUST(ring_token_kind(token) != RING_KIND_OWN);
    ring_watch_end(ring, fd, false, token);
}

/* The number is free only in the next turn, as with io_uring: until then nobody who still has it
 * reaches somebody else's file. */
void ring_watch_close(struct ring *ring, int fd, bool reset)
{
    uint32_t index;

    MUST(fd >= 0);
    if (reset) {
        ring_will_reset(fd);
    }
    if ((uint32_t)fd < ring->fd_count) {
        ring_watch_end(ring, fd, true, 0);
    }
    index = ring_op_take(ring);
    ring->watches.ops[index] = (struct ring_op){.kind = RING_OP_CLOSE, .result = fd};
    ring_op_append(ring, &ring->watches.closes, index);
}

/* A file that another process has too stays in the kernel's set when its number here is closed, and
 * would go on telling. */
static void ring_watch_unask(struct ring *ring, int fd)
{
    const uint8_t flags = ring_watch_at(ring, fd)->flags;

    if ((flags & RING_WATCH_KNOWN) != 0 && (flags & RING_WATCH_OURS) == 0) {
        (void)epoll_ctl(ring->watches.epoll, EPOLL_CTL_DEL, fd, NULL);
    }
    ring_watch_forget(ring, fd);
}

void ring_watch_run_closes(struct ring *ring)
{
    uint32_t index;

    while ((index = ring_op_shift(ring, &ring->watches.closes)) != 0) {
        int fd = ring->watches.ops[index].result;

        ring_op_give(ring, index);
        if ((uint32_t)fd < ring->fd_count) {
            ring_watch_unask(ring, fd);
        }
        /* Closing what is not open means that somebody else's file may be next. */
        MUST(close(fd) == 0 || errno != EBADF);
    }
}

void ring_watch_forget(struct ring *ring, int fd)
{
    struct ring_watch *watch = ring_watch_at(ring, fd);

    watch->asked = 0;
    watch->flags &= RING_WATCH_QUEUED;
}

void ring_watch_accepted(struct ring *ring, int fd)
{
    ring_watch_at(ring, fd)->flags |= RING_WATCH_OURS;
}

/* --- what the kernel tells --- */

/* How a handshake has ended. */
static int32_t ring_watch_connected(int fd, uint32_t mask)
{
    int err = 0;
    socklen_t length = sizeof(err);

    if ((mask & RING_WATCH_OVER) != 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &length) != 0) {
        return -errno;
    }
    return -err;
}

void ring_watch_told(struct ring *ring, int fd, uint32_t mask)
{
    struct ring_watch *watch = ring_watch_at(ring, fd);
    uint32_t *at = &watch->ops;

    while (*at != 0) {
        uint32_t index = *at;
        struct ring_op *op = &ring->watches.ops[index];
        uint32_t met = 0;

        if (op->kind == RING_OP_POLL) {
            met = mask & (op->mask | RING_WATCH_OVER);
        } else if (op->kind == RING_OP_CONNECT) {
            met = mask & (EPOLLOUT | RING_WATCH_OVER);
        }
        if (met == 0) {
            at = &op->next;
            continue;
        }
        *at = op->next;
        ring_op_end(ring, index,
                    op->kind == RING_OP_POLL ? (int32_t)met : ring_watch_connected(fd, mask));
    }
    if ((mask & (RING_WATCH_IN | RING_WATCH_OVER)) != 0) {
        watch->flags |= RING_WATCH_READABLE;
    }
    if ((mask & (EPOLLRDHUP | RING_WATCH_OVER)) != 0) {
        watch->flags |= RING_WATCH_ENDED;
    }
    ring_watch_queue(ring, fd);
}

uint32_t ring_watch_tell_ended(struct ring *ring, struct ring_event *events, uint32_t max)
{
    uint32_t count = 0;
    uint32_t index;

    while (count < max && (index = ring_op_shift(ring, &ring->watches.ended)) != 0) {
        const struct ring_op *op = &ring->watches.ops[index];

        events[count++] = (struct ring_event){.token = op->token, .result = op->result};
        ring_op_give(ring, index);
    }
    return count;
}

/* --- who can read --- */

/* The place that points to the pending receive or accept, or to none. */
static uint32_t *ring_watch_reader_at(struct ring *ring, int fd)
{
    uint32_t *at = &ring_watch_at(ring, fd)->ops;

    while (*at != 0 && ring->watches.ops[*at].kind != RING_OP_RECV &&
           ring->watches.ops[*at].kind != RING_OP_ACCEPT) {
        at = &ring->watches.ops[*at].next;
    }
    return at;
}

struct ring_op *ring_watch_reader(struct ring *ring, int fd)
{
    uint32_t index = *ring_watch_reader_at(ring, fd);

    return index != 0 ? &ring->watches.ops[index] : NULL;
}

void ring_watch_drop_reader(struct ring *ring, int fd)
{
    uint32_t *at = ring_watch_reader_at(ring, fd);
    uint32_t index = *at;

    MUST(index != 0);
    *at = ring->watches.ops[index].next;
    ring_op_give(ring, index);
}

void ring_watch_queue(struct ring *ring, int fd)
{
    struct ring_watches *watches = &ring->watches;
    struct ring_watch *watch = ring_watch_at(ring, fd);

    if ((watch->flags & (RING_WATCH_READABLE | RING_WATCH_QUEUED)) != RING_WATCH_READABLE ||
        ring_watch_reader(ring, fd) == NULL) {
        return;
    }
    watch->flags |= RING_WATCH_QUEUED;
    if (watches->readable == 0) {
        watches->readable_first = (uint32_t)fd;
    } else {
        watches->list[watches->readable_last].next_readable = (uint32_t)fd;
    }
    watches->readable_last = (uint32_t)fd;
    watches->readable++;
}

int ring_watch_next_readable(struct ring *ring)
{
    struct ring_watches *watches = &ring->watches;
    uint32_t fd = watches->readable_first;

    MUST(watches->readable > 0);
    watches->readable--;
    watches->readable_first = watches->list[fd].next_readable;
    watches->list[fd].flags &= (uint8_t)~RING_WATCH_QUEUED;
    return (int)fd;
}

/* --- start and end --- */

int ring_watch_start(struct ring *ring)
{
    struct ring_watches *watches = &ring->watches;
    size_t ops = (size_t)ring->fd_count * RING_OPS_PER_FD + 1;

    watches->ops_fresh = 1;
    watches->list = ring_pages(ring->fd_count * sizeof(watches->list[0]));
    watches->ops = ring_pages(ops * sizeof(watches->ops[0]));
    if (watches->list == NULL || watches->ops == NULL) {
        return -ENOMEM;
    }
    watches->epoll = epoll_create1(EPOLL_CLOEXEC);
    return watches->epoll >= 0 ? 0 : -errno;
}

void ring_watch_stop(struct ring *ring)
{
    struct ring_watches *watches = &ring->watches;
    size_t ops = (size_t)ring->fd_count * RING_OPS_PER_FD + 1;

    if (watches->epoll > 0) {
        ring_watch_run_closes(ring);
        close(watches->epoll);
    }
    ring_pages_release(watches->list, ring->fd_count * sizeof(watches->list[0]));
    ring_pages_release(watches->ops, ops * sizeof(watches->ops[0]));
}
