/* The door of the room: which engine drives a ring, its start and end, and the calls that go to the
 * engine. They are made per connection or per turn, not per message. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/must.h"
#include "base/num.h"
#include "ring/mode.h"
#include "ring_parts.h"

/* More descriptors than any worker can have: a limit set to "infinity" costs no gigabytes of
 * address space. */
#define RING_FDS_MAX (1u << 20)

static uint32_t ring_fd_count(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_NOFILE, &limit) == 0
               ? (uint32_t)num_min_u64(RING_FDS_MAX, limit.rlim_max)
               : RING_FDS_MAX;
}

static int ring_start(struct ring *ring, const struct ring_config *config, const char **hint)
{
    int err;

    ring->fd_count = ring_fd_count();
    if ((err = ring_pipes_init(&ring->pipes, config->pipes)) != 0 ||
        (err = ring_buffers_init(ring, RING_GROUP_SMALL, config->small_buffers)) != 0 ||
        (err = ring_buffers_init(ring, RING_GROUP_LARGE, config->large_buffers)) != 0) {
        return err;
    }
    return ring->engine->start(ring, config, hint);
}

/* A ring on this engine, or NULL and *err. */
static struct ring *ring_open(const struct ring_engine *engine, const struct ring_config *config,
                              int *err, const char **hint)
{
    struct ring *ring = calloc(1, sizeof(*ring));

    *err = -ENOMEM;
    if (ring == NULL) {
        return NULL;
    }
    ring->engine = engine;
    *err = ring_start(ring, config, hint);
    if (*err != 0) {
        ring_destroy(ring);
        return NULL;
    }
    ring_read_clock(ring);
    return ring;
}

int ring_create(const struct ring_config *config, struct ring **out, const char **hint)
{
    const char *cause = NULL;
    int err;

    /* splice(2) into a socket whose peer is gone has no flag against the signal. */
    signal(SIGPIPE, SIG_IGN);
    *out = ring_open(config->engine == RING_ENGINE_EPOLL ? &ring_epoll_engine : &ring_uring_engine,
                     config, &err, &cause);
    /* Without descriptors there is no other engine either. */
    if (*out == NULL && config->engine == RING_ENGINE_AUTO && err != -EMFILE && err != -ENFILE) {
        const char *other = NULL;

        *out = ring_open(&ring_epoll_engine, config, &err, &other);
    }
    if (hint != NULL) {
        *hint = cause;
    }
    return err;
}

void ring_destroy(struct ring *ring)
{
    if (ring == NULL) {
        return;
    }
    ring->engine->stop(ring);
    for (uint32_t group = 0; group < RING_GROUP_COUNT; group++) {
        ring_buffers_release(ring, (enum ring_group)group);
    }
    ring_pipes_release(&ring->pipes);
    free(ring);
}

const char *ring_engine(const struct ring *ring)
{
    return ring->engine->name;
}

enum ring_engine_kind ring_kind(const struct ring *ring)
{
    return ring->engine->kind;
}

const char *ring_mode(const struct ring *ring)
{
    return ring->engine->mode(ring);
}

const struct ring_stats *ring_stats(const struct ring *ring)
{
    return &ring->stats;
}

uint64_t ring_now_ns(const struct ring *ring)
{
    return ring->now_ns;
}

/* --- calls of the engine --- */

int ring_wait(struct ring *ring, uint64_t timeout_ns, struct ring_event *events, uint32_t max)
{
    MUST(max > 0);
    return ring->engine->wait(ring, timeout_ns, events, max);
}

void ring_accept(struct ring *ring, int listener, uint64_t token)
{
    ring->engine->accept(ring, listener, token);
}

void ring_recv(struct ring *ring, int fd, enum ring_group group, uint64_t token)
{
    ring->engine->recv(ring, fd, group, token);
}

void ring_recv_once(struct ring *ring, int fd, enum ring_group group, uint64_t token)
{
    ring->engine->recv_once(ring, fd, group, token);
}

void ring_poll(struct ring *ring, int fd, uint32_t mask, uint64_t token)
{
    ring->engine->poll(ring, fd, mask, token);
}

void ring_connect(struct ring *ring, int fd, const struct sockaddr_storage *address,
                  socklen_t length, uint64_t token)
{
    ring->engine->connect(ring, fd, address, length, token);
}

void ring_cancel(struct ring *ring, int fd, uint64_t token)
{
    ring->engine->cancel(ring, fd, token);
}

void ring_close(struct ring *ring, int fd, bool reset)
{
    ring->engine->close(ring, fd, reset);
}
