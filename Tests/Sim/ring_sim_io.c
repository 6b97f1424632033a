/* core/ring.h on the simulated world: life of the ring, and what is done at once. */
#include "ring_sim.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "base/num.h"

int ring_create(const struct ring_config *config, struct ring **out, const char **hint)
{
    struct ring *ring = calloc(1, sizeof(*ring));

    MUST(ring != NULL);
    MUST(sim != NULL && sim->ring == NULL);
    ring->groups[RING_GROUP_SMALL].capacity = config->small_buffers;
    ring->groups[RING_GROUP_LARGE].capacity = config->large_buffers;
    for (int i = 0; i < RING_GROUP_COUNT; i++) {
        uint32_t capacity = ring->groups[i].capacity;

        MUST(capacity > 0 && capacity <= 32768 && (capacity & (capacity - 1)) == 0);
        ring->groups[i].memory = calloc(capacity, sizeof(uint8_t *));
        MUST(ring->groups[i].memory != NULL);
    }
    ring->pipes_max = config->pipes;
    ring->now_ns = sim->now_ns;
    sim->ring = ring;
    *out = ring;
    if (hint != NULL) {
        *hint = NULL;
    }
    return 0;
}

void ring_destroy(struct ring *ring)
{
    if (ring == NULL) {
        return;
    }
    for (uint32_t i = 0; i < ring->event_count; i++) {
        ring_event_drop(ring, &ring->events[i].event, false);
    }
    for (int i = 0; i < RING_GROUP_COUNT; i++) {
        for (uint32_t buffer = 0; buffer < ring->groups[i].capacity; buffer++) {
            free(ring->groups[i].memory[buffer]);
        }
        free(ring->groups[i].memory);
    }
    free(ring->queued.ops);
    free(ring->pending.ops);
    free(ring->events);
    free(ring);
    sim->ring = NULL;
}

const char *ring_engine(const struct ring *ring)
{
    (void)ring;
    return "simulated";
}

const struct ring_stats *ring_stats(const struct ring *ring)
{
    return &ring->stats;
}

bool ring_sim_is_quiet(const struct ring *ring)
{
    bool quiet = SIM_CHECK(ring->groups[RING_GROUP_SMALL].lent == 0);

    quiet = SIM_CHECK(ring->groups[RING_GROUP_LARGE].lent == 0) && quiet;
    quiet = SIM_CHECK(ring->event_count == 0) && quiet;
    quiet = SIM_CHECK(ring->pipes == 0) && quiet;
    for (uint32_t i = 0; i < ring->pending.count; i++) {
        quiet = SIM_CHECK(ring->pending.ops[i].kind == RING_SIM_ACCEPT) && quiet;
    }
    return quiet;
}

/* --- buffers --- */

bool ring_sim_lend(struct ring *ring, enum ring_group group, struct bytes in,
                   struct ring_event *event)
{
    struct ring_sim_group *from = &ring->groups[group];
    uint32_t buffer = sim_random_below(from->capacity);

    if (from->lent == from->capacity) {
        return false;
    }
    while (from->memory[buffer] != NULL) {
        buffer = (buffer + 1) % from->capacity;
    }
    from->memory[buffer] = malloc(in.len);
    MUST(from->memory[buffer] != NULL);
    memcpy(from->memory[buffer], in.ptr, in.len);
    from->lent++;
    event->buffer = (uint16_t)buffer;
    event->group = (uint8_t)group;
    event->flags |= RING_EVENT_BUFFER;
    return true;
}

struct bytes ring_event_bytes(const struct ring *ring, const struct ring_event *event)
{
    const uint8_t *memory;

    MUST((event->flags & RING_EVENT_BUFFER) != 0);
    MUST(event->group < RING_GROUP_COUNT);
    MUST(event->buffer < ring->groups[event->group].capacity);
    memory = ring->groups[event->group].memory[event->buffer];
    MUST(memory != NULL);
    return bytes_of(memory, (size_t)event->result);
}

bool ring_buffer_return(struct ring *ring, uint8_t group, uint16_t buffer)
{
    struct ring_sim_group *to;

    MUST(group < RING_GROUP_COUNT);
    to = &ring->groups[group];
    MUST(buffer < to->capacity);
    MUST(to->memory[buffer] != NULL);
    free(to->memory[buffer]);
    to->memory[buffer] = NULL;
    return to->lent-- == to->capacity;
}

uint32_t ring_buffers_free(const struct ring *ring, enum ring_group group)
{
    return ring->groups[group].capacity - ring->groups[group].lent;
}

void ring_event_drop(struct ring *ring, const struct ring_event *event, bool accepts)
{
    if ((event->flags & RING_EVENT_BUFFER) != 0) {
        (void)ring_buffer_return(ring, event->group, event->buffer);
    }
    if (accepts && event->result >= 0) {
        ring_close(ring, event->result, false);
    }
}

/* --- sockets --- */

/* The stream of a connected descriptor, NULL for one that is not. */
static struct sim_link *ring_sim_stream(int fd, uint32_t *side)
{
    struct sim_fd *entry = sim_fd_get(fd);

    MUST(entry->kind == SIM_FD_STREAM || entry->kind == SIM_FD_SOCKET);
    *side = entry->side;
    return entry->link;
}

/* What a send finds before it may write: 0, or -errno. */
static int ring_sim_sendable(struct sim_link *link, uint32_t side)
{
    struct sim_end *end;
    int error;

    if (link == NULL) {
        return -ENOTCONN;
    }
    end = &link->ends[side];
    error = end->error;
    end->error = 0;
    if (error != 0) {
        return -error;
    }
    return end->broken || link->halves[side].closing ? -EPIPE : 0;
}

/* Writes a part of what there is room for. */
static ssize_t ring_sim_put(struct sim_link *link, uint32_t side, struct bytes in)
{
    size_t room = num_min_size(sim_room(link, side), in.len);

    if (room > 0 && sim_chance(sim->faults.partial_send)) {
        room = sim_random_below((uint32_t)room + 1); /* maybe nothing */
    }
    return (ssize_t)sim_write(link, side, bytes_part(in, 0, room));
}

ssize_t ring_send(struct ring *ring, int fd, const struct iovec *parts, int count)
{
    uint32_t side;
    struct sim_link *link = ring_sim_stream(fd, &side);
    int err = ring_sim_sendable(link, side);
    ssize_t total = 0;

    MUST(count > 0 && count <= 64);
    ring->stats.sends++;
    if (err != 0) {
        return err;
    }
    for (int i = 0; i < count; i++) {
        ssize_t part = ring_sim_put(link, side, bytes_of(parts[i].iov_base, parts[i].iov_len));

        total += part;
        if ((size_t)part < parts[i].iov_len) {
            break;
        }
    }
    return total;
}

void ring_shutdown_write(struct ring *ring, int fd)
{
    uint32_t side;
    struct sim_link *link = ring_sim_stream(fd, &side);

    (void)ring;
    if (link != NULL && !link->ends[side].broken) {
        sim_shutdown(link, side);
    }
}

int ring_socket(struct ring *ring, int family, const char *congestion)
{
    (void)ring;
    (void)congestion;
    return family == AF_INET ? sim_fd_open(SIM_FD_SOCKET) : -EAFNOSUPPORT;
}

void ring_accepted(struct ring *ring, int fd, const char *congestion)
{
    (void)ring;
    (void)congestion;
    MUST(sim_fd_get(fd)->kind == SIM_FD_STREAM);
}

/* 127.0.0.1 with the service's port on one side and one of its own on the other. */
static bool ring_sim_address(int fd, bool service, struct sockaddr_storage *out)
{
    uint32_t side;
    const struct sim_link *link = ring_sim_stream(fd, &side);
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons(link != NULL && service ? link->port : 40000),
    };

    memset(out, 0, sizeof(*out));
    memcpy(out, &address, sizeof(address));
    return link != NULL && !link->ends[side].broken;
}

bool ring_peer(struct ring *ring, int fd, struct sockaddr_storage *peer)
{
    (void)ring;
    return ring_sim_address(fd, sim_fd_get(fd)->side == 0, peer);
}

bool ring_local(struct ring *ring, int fd, struct sockaddr_storage *local)
{
    (void)ring;
    return ring_sim_address(fd, sim_fd_get(fd)->side == 1, local);
}

/* Nobody redirects here. */
bool ring_original(struct ring *ring, int fd, struct sockaddr_storage *original)
{
    (void)ring;
    MUST(sim_fd_get(fd)->kind == SIM_FD_STREAM);
    memset(original, 0, sizeof(*original));
    return false;
}

/* --- splice --- */

int ring_pipe_take(struct ring *ring, int ends[2])
{
    struct sim_pipe *pipe;

    if (ring->pipes == ring->pipes_max || sim_chance(sim->faults.no_pipe)) {
        return -ENFILE;
    }
    pipe = sim_alloc(sizeof(*pipe));
    for (int i = 0; i < 2; i++) {
        ends[i] = sim_fd_open(SIM_FD_PIPE);
        MUST(ends[i] >= 0);
        sim->fds[ends[i]]->pipe = pipe;
        sim->fds[ends[i]]->writes = i == 1;
    }
    ring->pipes++;
    return 0;
}

void ring_pipe_give(struct ring *ring, const int ends[2], bool empty)
{
    struct sim_pipe *pipe = sim_fd_get(ends[0])->pipe;

    MUST(pipe != NULL && sim_fd_get(ends[1])->pipe == pipe);
    MUST(empty == (pipe->length == 0));
    sim_fd_free(ends[0]);
    sim_fd_free(ends[1]);
    MUST(ring->pipes > 0);
    ring->pipes--;
}

static ssize_t ring_sim_splice_in(const struct sim_fd *from, struct sim_pipe *pipe, size_t length)
{
    struct sim_end *end = &from->link->ends[from->side];
    size_t count = num_min_size(length, sim_readable(from->link, from->side));

    if (count > 0) {
        count = num_min_size(count, SIM_PIPE_SIZE - pipe->length);
        if (count > 0 && sim_chance(sim->faults.partial_recv)) {
            count = 1 + sim_random_below((uint32_t)count);
        }
        count = sim_read(from->link, from->side, pipe->data + pipe->length, count);
        pipe->length += (uint32_t)count;
        return count > 0 ? (ssize_t)count : -EAGAIN;
    }
    if (end->broken) {
        int error = end->error;

        end->error = 0;
        return -error;
    }
    return sim_at_end(from->link, from->side) ? 0 : -EAGAIN;
}

static ssize_t ring_sim_splice_out(struct sim_pipe *pipe, const struct sim_fd *to, size_t length)
{
    int err = ring_sim_sendable(to->link, to->side);
    size_t count = num_min_size(length, pipe->length);
    ssize_t moved;

    if (err != 0) {
        return err;
    }
    if (count == 0) {
        return -EAGAIN;
    }
    moved = ring_sim_put(to->link, to->side, bytes_of(pipe->data, count));
    pipe->length -= (uint32_t)moved;
    memmove(pipe->data, pipe->data + moved, pipe->length);
    return moved > 0 ? moved : -EAGAIN;
}

ssize_t ring_splice(struct ring *ring, int from, int to, size_t length, bool more)
{
    const struct sim_fd *source = sim_fd_get(from);
    const struct sim_fd *target = sim_fd_get(to);

    (void)more;
    MUST(length > 0);
    ring->stats.splices++;
    if (source->kind == SIM_FD_PIPE) {
        MUST(!source->writes && target->kind == SIM_FD_STREAM);
        return ring_sim_splice_out(source->pipe, target, length);
    }
    MUST(source->kind == SIM_FD_STREAM && target->kind == SIM_FD_PIPE && target->writes);
    return ring_sim_splice_in(source, target->pipe, length);
}
