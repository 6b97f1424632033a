/* Streams: bytes travel for a while, arrive in order, and end in one of three ways: an end, a
 * reset, or never. */
#include "sim_world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "base/num.h"

#define SIM_US 1000ull

struct sim_link *sim_link_open(uint16_t port)
{
    struct sim_link *link = sim_alloc(sizeof(*link));

    for (int i = 0; i < 2; i++) {
        /* From a few hundred bytes, where every message is torn, up to plenty. */
        link->halves[i].size = 256u << sim_random_below(11);
        link->halves[i].data = sim_alloc(link->halves[i].size);
        link->ends[i].fd = -1;
    }
    link->latency_ns = (1 + sim_random_below(500)) * SIM_US;
    link->port = port;
    link->next = sim->links;
    sim->links = link;
    return link;
}

/* --- telling the other side --- */

static void sim_touch_now(void *context, uint64_t number)
{
    struct sim_peer *peer = context;

    (void)number;
    peer->touched = false;
    if (!peer->finished) {
        peer->changed(peer);
    }
}

/* The scenario's end looks at its connection soon; what it finds may be more than one change. */
static void sim_touch(struct sim_link *link, uint32_t side)
{
    struct sim_peer *peer = link->ends[side].peer;

    if (peer != NULL && peer->connected && !peer->touched && !peer->finished) {
        peer->touched = true;
        sim_schedule(sim_random_below(200) * SIM_US, sim_touch_now, peer, 0);
    }
}

/* When something sent now by `side` arrives: after everything it sent before. */
static uint64_t sim_arrival(struct sim_link *link, uint32_t side)
{
    struct sim_half *half = &link->halves[side];
    uint64_t at = sim->now_ns + link->latency_ns;

    if (sim_chance(sim->faults.slow_network)) {
        at += sim_random_below(200) * SIM_MS;
    }
    half->last_ns = at > half->last_ns ? at : half->last_ns;
    return half->last_ns - sim->now_ns;
}

static void sim_reset_arrives(void *context, uint64_t side)
{
    struct sim_link *link = context;
    struct sim_end *end = &link->ends[side];

    if (end->gone || end->broken) {
        return;
    }
    end->broken = true;
    end->error = ECONNRESET;
    if (end->peer != NULL) {
        end->peer->reset = true;
        sim_touch(link, (uint32_t)side);
    }
}

static void sim_send_reset(struct sim_link *link, uint32_t side)
{
    sim_schedule(sim_arrival(link, side), sim_reset_arrives, link, 1 - side);
}

static void sim_bytes_arrive(void *context, uint64_t number)
{
    struct sim_link *link = context;
    uint32_t side = number & 1;
    struct sim_half *half = &link->halves[side];

    half->arrived += number >> 1;
    MUST(half->arrived <= half->written);
    if (link->ends[1 - side].gone) { /* nobody is there any more */
        half->read = half->arrived;
        sim_send_reset(link, 1 - side);
        return;
    }
    sim_touch(link, 1 - side);
}

static void sim_end_arrives(void *context, uint64_t side)
{
    struct sim_link *link = context;

    link->halves[side].closed = true;
    sim_touch(link, 1 - (uint32_t)side);
}

/* --- reading and writing --- */

size_t sim_readable(const struct sim_link *link, uint32_t side)
{
    const struct sim_half *half = &link->halves[1 - side];

    return half->arrived - half->read;
}

bool sim_at_end(const struct sim_link *link, uint32_t side)
{
    const struct sim_half *half = &link->halves[1 - side];

    return half->closed && half->read == half->written;
}

size_t sim_room(const struct sim_link *link, uint32_t side)
{
    const struct sim_half *half = &link->halves[side];

    return half->size - (half->written - half->read);
}

size_t sim_read(struct sim_link *link, uint32_t side, uint8_t *to, size_t max)
{
    struct sim_half *half = &link->halves[1 - side];
    size_t count = num_min_size(sim_readable(link, side), max);

    for (size_t i = 0; i < count; i++) {
        to[i] = half->data[(half->read + i) % half->size];
    }
    half->read += count;
    if (count > 0) {
        sim_touch(link, 1 - side); /* there is room again */
    }
    return count;
}

size_t sim_write(struct sim_link *link, uint32_t side, struct bytes in)
{
    struct sim_half *half = &link->halves[side];
    size_t count = num_min_size(sim_room(link, side), in.len);

    MUST(!half->closing);
    for (size_t i = 0; i < count; i++) {
        half->data[(half->written + i) % half->size] = in.ptr[i];
    }
    half->written += count;
    if (count > 0) {
        sim_schedule(sim_arrival(link, side), sim_bytes_arrive, link, (uint64_t)count << 1 | side);
    }
    return count;
}

void sim_shutdown(struct sim_link *link, uint32_t side)
{
    if (!link->halves[side].closing) {
        link->halves[side].closing = true;
        sim_schedule(sim_arrival(link, side), sim_end_arrives, link, side);
    }
}

void sim_close(struct sim_link *link, uint32_t side, bool reset)
{
    struct sim_end *end = &link->ends[side];

    MUST(!end->gone);
    end->gone = true;
    if (end->broken) {
        return;
    }
    /* As Linux does: what was not read is lost, and the other side is told so. */
    if (reset || sim_readable(link, side) > 0) {
        sim_send_reset(link, side);
        return;
    }
    sim_shutdown(link, side);
}

/* --- the scenario's ends --- */

struct sim_peer *sim_peer_add(struct sim_link *link, uint32_t side,
                              void (*changed)(struct sim_peer *peer), void *context)
{
    struct sim_peer *peer = sim_alloc(sizeof(*peer));

    *peer = (struct sim_peer){.changed = changed, .context = context, .link = link, .side = side};
    link->ends[side].peer = peer;
    sim->peers = realloc(sim->peers, (sim->peer_count + 1) * sizeof(sim->peers[0]));
    MUST(sim->peers != NULL);
    sim->peers[sim->peer_count++] = peer;
    return peer;
}

static void sim_peer_connected(struct sim_peer *peer)
{
    peer->connected = true;
    sim_touch(peer->link, peer->side);
}

static void sim_peer_breaks(void *context, uint64_t number)
{
    struct sim_peer *peer = context;

    (void)number;
    if (!peer->finished && !peer->link->ends[peer->side].gone) {
        peer->reset = true;
        sim_close(peer->link, peer->side, true);
        sim_touch(peer->link, peer->side);
    }
}

/* Some peers are fated to break at some point. */
static void sim_peer_fate(struct sim_peer *peer)
{
    if (sim_chance(sim->faults.peer_reset)) {
        sim_schedule(sim_random_below(100000) * SIM_US, sim_peer_breaks, peer, 0);
    }
}

static struct sim_fd *sim_listener_of(uint16_t port)
{
    for (int fd = SIM_FD_FIRST; fd < SIM_FDS_MAX; fd++) {
        struct sim_fd *entry = sim->fds[fd];

        if (entry != NULL && entry->kind == SIM_FD_LISTENER && entry->port == port &&
            !entry->closing) {
            return entry;
        }
    }
    return NULL;
}

static void sim_client_arrives(void *context, uint64_t number)
{
    struct sim_peer *peer = context;
    struct sim_fd *listener = sim_listener_of(peer->link->port);

    (void)number;
    if (listener == NULL || listener->queued == SIM_QUEUE_MAX) {
        peer->refused = true;
        peer->connected = true;
        peer->link->ends[peer->side].broken = true;
        sim_touch(peer->link, peer->side);
        return;
    }
    listener->queue[listener->queued++] = peer->link;
    sim_peer_connected(peer);
    sim_peer_fate(peer);
}

int sim_listen(uint16_t port)
{
    int fd = sim_fd_open(SIM_FD_LISTENER);

    MUST(fd >= 0);
    sim->fds[fd]->port = port;
    return fd;
}

struct sim_peer *sim_connect(uint16_t port, void (*changed)(struct sim_peer *peer), void *context)
{
    struct sim_link *link = sim_link_open(port);
    struct sim_peer *peer = sim_peer_add(link, 0, changed, context);

    sim_schedule(link->latency_ns, sim_client_arrives, peer, 0);
    return peer;
}

void sim_serve(uint16_t port, void (*changed)(struct sim_peer *peer), void *context)
{
    struct sim_service *service = sim_alloc(sizeof(*service));

    *service = (struct sim_service){port, changed, context, sim->services};
    sim->services = service;
}

static void sim_dial_answered(void *context, uint64_t op)
{
    uint16_t port = (uint16_t)(uintptr_t)context;
    int fd = sim->ring != NULL ? ring_sim_connecting(sim->ring, op) : -1;
    struct sim_service *service = sim->services;
    struct sim_peer *peer;

    if (fd < 0) {
        return;
    }
    while (service != NULL && service->port != port) {
        service = service->next;
    }
    if (service != NULL && service->changed == NULL) {
        return; /* a black hole */
    }
    if (service == NULL || sim_chance(sim->faults.connect_refused)) {
        ring_sim_connected(sim->ring, op, -ECONNREFUSED);
        return;
    }
    peer = sim_peer_add(sim_link_open(port), 1, service->changed, service->context);
    sim->fds[fd]->kind = SIM_FD_STREAM;
    sim->fds[fd]->link = peer->link;
    sim->fds[fd]->side = 0;
    peer->link->ends[0].fd = fd;
    ring_sim_connected(sim->ring, op, 0);
    sim_peer_connected(peer);
    sim_peer_fate(peer);
}

void sim_dial(uint64_t op, uint16_t port)
{
    if (!sim_chance(sim->faults.connect_lost)) {
        sim_schedule(sim_random_below(3000) * SIM_US, sim_dial_answered, (void *)(uintptr_t)port,
                     op);
    }
}

size_t sim_peer_room(const struct sim_peer *peer)
{
    bool shut = peer->reset || peer->link->halves[peer->side].closing;

    return shut ? 0 : sim_room(peer->link, peer->side);
}

size_t sim_peer_send(struct sim_peer *peer, struct bytes in)
{
    return sim_peer_room(peer) == 0 ? 0 : sim_write(peer->link, peer->side, in);
}

size_t sim_peer_read(struct sim_peer *peer, uint8_t *to, size_t max)
{
    size_t count = sim_read(peer->link, peer->side, to, max);

    peer->ended = sim_at_end(peer->link, peer->side);
    return count;
}

void sim_peer_shutdown(struct sim_peer *peer)
{
    sim_shutdown(peer->link, peer->side);
}

void sim_peer_close(struct sim_peer *peer)
{
    peer->finished = true;
    if (!peer->link->ends[peer->side].gone) {
        sim_close(peer->link, peer->side, false);
    }
}

void sim_peer_reset(struct sim_peer *peer)
{
    peer->finished = true;
    if (!peer->link->ends[peer->side].gone) {
        sim_close(peer->link, peer->side, true);
    }
}
