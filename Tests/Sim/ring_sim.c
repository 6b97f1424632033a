/* core/ring.h on the simulated world: queued operations and the loop turn. Any ready operation may
 * be told at once, or later, or after others; operations end early, buffers run out, accepts fail:
 * whatever the real kernel may do, more often. */
#include "ring_sim.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/must.h"
#include "base/num.h"

/* --- lists --- */

static struct ring_sim_op *ring_sim_add(struct ring_sim_list *list, const struct ring_sim_op *op)
{
    if (list->count == list->room) {
        list->room = list->room == 0 ? 64 : 2 * list->room;
        list->ops = realloc(list->ops, list->room * sizeof(list->ops[0]));
        MUST(list->ops != NULL);
    }
    list->ops[list->count] = *op;
    return &list->ops[list->count++];
}

static void ring_sim_remove(struct ring_sim_list *list, uint32_t at)
{
    memmove(&list->ops[at], &list->ops[at + 1], (list->count - at - 1) * sizeof(list->ops[0]));
    list->count--;
}

static void ring_sim_tell(struct ring *ring, const struct ring_sim_op *op, struct ring_event event)
{
    if (ring->event_count == ring->event_room) {
        ring->event_room = ring->event_room == 0 ? 64 : 2 * ring->event_room;
        ring->events = realloc(ring->events, ring->event_room * sizeof(ring->events[0]));
        MUST(ring->events != NULL);
    }
    event.token = op->token;
    ring->events[ring->event_count++] = (struct ring_sim_event){event, op->fd_id};
}

/* --- queueing: the rules of the interface --- */

/* "At any time the operations with one token are on one descriptor", told events included. */
static void ring_sim_check_token(const struct ring *ring, uint64_t token, uint64_t fd_id)
{
    for (uint32_t i = 0; i < ring->pending.count; i++) {
        MUST(ring->pending.ops[i].token != token || ring->pending.ops[i].fd_id == fd_id);
    }
    for (uint32_t i = 0; i < ring->queued.count; i++) {
        const struct ring_sim_op *op = &ring->queued.ops[i];

        MUST(op->kind >= RING_SIM_CANCEL || op->token != token || op->fd_id == fd_id);
    }
    for (uint32_t i = 0; i < ring->event_count; i++) {
        MUST(ring->events[i].event.token != token || ring->events[i].fd_id == fd_id);
    }
}

static struct ring_sim_op *ring_sim_queue(struct ring *ring, enum ring_sim_kind kind, int fd,
                                          uint64_t token)
{
    const struct ring_sim_op op = {
        .serial = ++ring->last_serial,
        .token = token,
        .fd = fd,
        .fd_id = sim_fd_get(fd)->id,
        .kind = kind,
    };

    MUST(kind == RING_SIM_CLOSE || ring_token_kind(token) != RING_KIND_OWN);
    if (kind <= RING_SIM_CANCEL) {
        ring_sim_check_token(ring, token, op.fd_id);
    }
    return ring_sim_add(&ring->queued, &op);
}

void ring_accept(struct ring *ring, int listener, uint64_t token)
{
    MUST(sim_fd_get(listener)->kind == SIM_FD_LISTENER);
    ring_sim_queue(ring, RING_SIM_ACCEPT, listener, token);
}

void ring_recv(struct ring *ring, int fd, enum ring_group group, uint64_t token)
{
    MUST(group < RING_GROUP_COUNT);
    ring_sim_queue(ring, RING_SIM_RECV, fd, token)->group = group;
}

void ring_recv_once(struct ring *ring, int fd, enum ring_group group, uint64_t token)
{
    ring_recv(ring, fd, group, token);
    ring->queued.ops[ring->queued.count - 1].once = true;
}

void ring_poll(struct ring *ring, int fd, uint32_t mask, uint64_t token)
{
    MUST((mask & ~(uint32_t)(POLLIN | POLLOUT | POLLRDHUP)) == 0);
    ring_sim_queue(ring, RING_SIM_POLL, fd, token)->mask = mask;
}

void ring_connect(struct ring *ring, int fd, const struct sockaddr_storage *address,
                  socklen_t length, uint64_t token)
{
    MUST(sim_fd_get(fd)->kind == SIM_FD_SOCKET);
    MUST(address->ss_family == AF_INET && length >= sizeof(struct sockaddr_in));
    ring_sim_queue(ring, RING_SIM_CONNECT, fd, token)->port =
        ntohs(((const struct sockaddr_in *)address)->sin_port);
}

void ring_cancel(struct ring *ring, int fd, uint64_t token)
{
    ring_sim_queue(ring, RING_SIM_CANCEL, fd, token);
}

void ring_close(struct ring *ring, int fd, bool reset)
{
    ring_sim_queue(ring, RING_SIM_CLOSE, fd, 0)->reset = reset;
    sim_fd_get(fd)->closing = true;
}

/* --- what is ready --- */

static uint32_t ring_sim_poll_mask(const struct sim_fd *fd)
{
    const struct sim_link *link = fd->link;
    const struct sim_end *end;
    uint32_t mask = 0;

    if (fd->kind != SIM_FD_STREAM) {
        return fd->kind == SIM_FD_LISTENER && fd->queued > 0 ? POLLIN : 0;
    }
    end = &link->ends[fd->side];
    if (end->broken) {
        return POLLIN | POLLOUT | POLLRDHUP | POLLHUP | (end->error != 0 ? POLLERR : 0);
    }
    mask |= sim_readable(link, fd->side) > 0 ? POLLIN : 0;
    mask |= link->halves[1 - fd->side].closed ? POLLIN | POLLRDHUP : 0;
    mask |= sim_room(link, fd->side) > 0 || link->halves[fd->side].closing ? POLLOUT : 0;
    return mask;
}

static bool ring_sim_is_ready(const struct ring_sim_op *op)
{
    const struct sim_fd *fd = sim->fds[op->fd];

    switch (op->kind) {
    case RING_SIM_ACCEPT:
        return fd->queued > 0;
    case RING_SIM_CONNECT:
        return op->answered;
    case RING_SIM_POLL:
        return (ring_sim_poll_mask(fd) & (op->mask | POLLHUP | POLLERR)) != 0;
    default:
        return fd->kind != SIM_FD_STREAM || (ring_sim_poll_mask(fd) & POLLIN) != 0;
    }
}

/* --- running one operation: true when it stays armed --- */

/* Who has waited longest at a listener, or -errno. */
static int ring_sim_take(struct sim_fd *listener)
{
    struct sim_link *link = listener->queue[0];
    int fd = sim_chance(sim->faults.accept_failure) ? -EMFILE : sim_fd_open(SIM_FD_STREAM);

    if (fd < 0) {
        return fd;
    }
    memmove(&listener->queue[0], &listener->queue[1],
            --listener->queued * sizeof(listener->queue[0]));
    sim->fds[fd]->link = link;
    sim->fds[fd]->side = 1;
    link->ends[1].fd = fd;
    return fd;
}

static bool ring_sim_run_accept(struct ring *ring, const struct ring_sim_op *op)
{
    int fd = ring_sim_take(sim->fds[op->fd]);

    if (fd < 0) {
        ring_sim_tell(ring, op, (struct ring_event){.result = fd});
        return false;
    }
    ring_sim_tell(ring, op, (struct ring_event){.result = fd, .flags = RING_EVENT_MORE});
    return true;
}

int ring_accept_now(struct ring *ring, int listener)
{
    (void)ring;
    return sim->fds[listener]->queued == 0 ? -EAGAIN : ring_sim_take(sim->fds[listener]);
}

/* Bytes for one event, or what ends the stream. */
static bool ring_sim_run_recv(struct ring *ring, const struct ring_sim_op *op)
{
    static uint8_t data[RING_LARGE_SIZE];
    struct sim_fd *fd = sim->fds[op->fd];
    struct ring_event event = {0};
    struct sim_end *end;
    size_t count;

    if (fd->kind != SIM_FD_STREAM) {
        ring_sim_tell(ring, op, (struct ring_event){.result = -ENOTCONN});
        return false;
    }
    end = &fd->link->ends[fd->side];
    count = num_min_size(sim_readable(fd->link, fd->side),
                         op->group == RING_GROUP_SMALL ? RING_SMALL_SIZE : RING_LARGE_SIZE);
    if (count == 0) {
        event.result = -end->error;
        end->error = 0;
        ring_sim_tell(ring, op, event);
        return false;
    }
    if (sim_chance(sim->faults.no_buffer) ||
        ring->groups[op->group].lent == ring->groups[op->group].capacity) {
        ring->stats.starved++;
        ring_sim_tell(ring, op, (struct ring_event){.result = -ENOBUFS});
        return false;
    }
    count = sim_chance(sim->faults.partial_recv) ? 1 + sim_random_below((uint32_t)count) : count;
    count = sim_read(fd->link, fd->side, data, count);
    event.result = (int32_t)count;
    MUST(ring_sim_lend(ring, op->group, bytes_of(data, count), &event));
    if (!op->once && !sim_chance(sim->faults.ended_multi)) {
        event.flags |= RING_EVENT_MORE;
    }
    ring_sim_tell(ring, op, event);
    return (event.flags & RING_EVENT_MORE) != 0;
}

static bool ring_sim_run(struct ring *ring, struct ring_sim_op *op)
{
    uint32_t mask;

    op->fires_ns = 0;
    switch (op->kind) {
    case RING_SIM_ACCEPT:
        return ring_sim_run_accept(ring, op);
    case RING_SIM_CONNECT:
        ring_sim_tell(ring, op, (struct ring_event){.result = op->result});
        return false;
    case RING_SIM_POLL:
        mask = ring_sim_poll_mask(sim->fds[op->fd]) & (op->mask | POLLHUP | POLLERR);
        ring_sim_tell(ring, op, (struct ring_event){.result = (int32_t)mask});
        return false;
    default:
        return ring_sim_run_recv(ring, op);
    }
}

/* --- submission --- */

/* Ends what matches: some get what is ready first. */
static void ring_sim_end_ops(struct ring *ring, uint64_t token, uint64_t fd_id)
{
    for (uint32_t i = 0; i < ring->pending.count;) {
        struct ring_sim_op *op = &ring->pending.ops[i];

        if (fd_id != 0 ? op->fd_id != fd_id : op->token != token) {
            i++;
            continue;
        }
        if (!(ring_sim_is_ready(op) && sim_chance(500)) || ring_sim_run(ring, op)) {
            ring_sim_tell(ring, op, (struct ring_event){.result = -ECANCELED});
        }
        ring_sim_remove(&ring->pending, i);
    }
}

static void ring_sim_run_close(struct ring *ring, const struct ring_sim_op *op)
{
    struct sim_fd *fd = sim->fds[op->fd];

    ring_sim_end_ops(ring, 0, op->fd_id);
    if (fd->kind == SIM_FD_STREAM) {
        sim_close(fd->link, fd->side, op->reset);
        fd->link->ends[fd->side].fd = -1;
    }
    for (uint32_t i = 0; i < fd->queued; i++) { /* nobody will accept them any more */
        sim_close(fd->queue[i], 1, true);
    }
    sim_fd_free(op->fd);
}

static void ring_sim_submit(struct ring *ring)
{
    for (uint32_t i = 0; i < ring->queued.count; i++) {
        const struct ring_sim_op *op = &ring->queued.ops[i];

        switch (op->kind) {
        case RING_SIM_CANCEL:
            ring_sim_end_ops(ring, op->token, 0);
            break;
        case RING_SIM_CLOSE:
            ring_sim_run_close(ring, op);
            break;
        case RING_SIM_CONNECT:
            sim_dial(op->serial, op->port);
            ring_sim_add(&ring->pending, op);
            break;
        default:
            for (uint32_t j = 0; j < ring->pending.count && op->kind == RING_SIM_RECV; j++) {
                /* Two receives would tear the stream apart. */
                MUST(ring->pending.ops[j].kind != RING_SIM_RECV ||
                     ring->pending.ops[j].fd_id != op->fd_id);
            }
            ring_sim_add(&ring->pending, op);
            break;
        }
    }
    ring->queued.count = 0;
}

int ring_sim_connecting(const struct ring *ring, uint64_t op)
{
    for (uint32_t i = 0; i < ring->pending.count; i++) {
        if (ring->pending.ops[i].serial == op) {
            return ring->pending.ops[i].fd;
        }
    }
    return -1;
}

void ring_sim_connected(struct ring *ring, uint64_t op, int result)
{
    for (uint32_t i = 0; i < ring->pending.count; i++) {
        if (ring->pending.ops[i].serial == op) {
            ring->pending.ops[i].answered = true;
            ring->pending.ops[i].result = result;
        }
    }
}

/* --- the loop turn --- */

static void ring_sim_wake(void *context, uint64_t number)
{
    (void)context; /* only the clock had to come here */
    (void)number;
}

/* Tells what is ready and due, starting at any operation. */
static void ring_sim_collect(struct ring *ring)
{
    uint32_t count = ring->pending.count;
    uint32_t start = count > 0 ? sim_random_below(count) : 0;
    uint32_t ended = 0;

    for (uint32_t n = 0; n < count; n++) {
        uint32_t at = (start + n) % count;
        struct ring_sim_op *op = &ring->pending.ops[at];

        if (op->kind == RING_SIM_CLOSE || !ring_sim_is_ready(op)) {
            continue;
        }
        if (op->fires_ns == 0) {
            bool late = sim_chance(sim->faults.late_event);

            op->fires_ns = sim->now_ns + (late ? sim_random_below(20000000) : 0);
            if (late) {
                sim_schedule(op->fires_ns - sim->now_ns, ring_sim_wake, NULL, 0);
            }
        }
        if (op->fires_ns <= sim->now_ns && !ring_sim_run(ring, op)) {
            op->kind = RING_SIM_CLOSE; /* removed below: the order must hold meanwhile */
            ended++;
        }
    }
    for (uint32_t i = ring->pending.count; i > 0 && ended > 0; i--) {
        if (ring->pending.ops[i - 1].kind == RING_SIM_CLOSE) {
            ring_sim_remove(&ring->pending, i - 1);
            ended--;
        }
    }
}

int ring_wait(struct ring *ring, uint64_t timeout_ns, struct ring_event *events, uint32_t max)
{
    uint64_t deadline;
    uint32_t count;

    MUST(max > 0);
    sim->now_ns += sim_random_below(20000); /* what the program did took a while */
    deadline = sim->now_ns + num_min_u64(timeout_ns, UINT64_MAX / 2);
    ring->stats.enters++;
    ring_sim_submit(ring);
    ring_sim_collect(ring);
    while (ring->event_count == 0 && sim->now_ns < deadline && !sim->failed) {
        if (!sim_step(deadline)) {
            SIM_CHECK(timeout_ns != UINT64_MAX); /* nothing would ever happen again */
            sim->now_ns = timeout_ns == UINT64_MAX ? sim->now_ns : deadline;
        }
        ring_sim_collect(ring);
    }
    while (sim_step(sim->now_ns)) {
    }
    ring->now_ns = sim->now_ns;
    count = num_min_u32(ring->event_count, max);
    count = count > 0 && sim_chance(100) ? 1 + sim_random_below(count) : count;
    for (uint32_t i = 0; i < count; i++) {
        events[i] = ring->events[i].event;
        sim->digest = hash_finish(sim->digest ^ events[i].token ^ (uint32_t)events[i].result) + 1;
    }
    ring->event_count -= count;
    if (ring->event_count > 0) {
        memmove(ring->events, ring->events + count, ring->event_count * sizeof(ring->events[0]));
    }
    ring->stats.events += count;
    return (int)count;
}

uint64_t ring_now_ns(const struct ring *ring)
{
    return ring->now_ns;
}

int64_t ring_wall_s(const struct ring *ring)
{
    return SIM_EPOCH_S + (int64_t)(ring->now_ns / 1000000000u);
}
