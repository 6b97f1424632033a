/* Bulk without copies: pages move from socket to pipe to socket. Pipes are few, since their pages
 * are limited per user; an aborted one is closed, because what is inside belongs to a stream that
 * no longer exists. */
#include "ring_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/must.h"

/* Pages of a pipe in bytes. Refused by the kernel for a user over the soft limit of pipe pages: the
 * pipe then stays small and works, slower. */
#define RING_PIPE_SIZE (256 * 1024)

int ring_pipes_init(struct ring_pipes *pipes, uint32_t max)
{
    pipes->max = max;
    if (max == 0) {
        return 0;
    }
    pipes->ends = calloc(max, sizeof(pipes->ends[0]));
    return pipes->ends != NULL ? 0 : -ENOMEM;
}

static void ring_pipe_close(struct ring_pipes *pipes, const int ends[2])
{
    close(ends[0]);
    close(ends[1]);
    MUST(pipes->open > 0);
    pipes->open--;
}

void ring_pipes_release(struct ring_pipes *pipes)
{
    while (pipes->idle > 0) {
        ring_pipe_close(pipes, pipes->ends[--pipes->idle]);
    }
    free(pipes->ends);
    *pipes = (struct ring_pipes){0};
}

int ring_pipe_take(struct ring *ring, int ends[2])
{
    struct ring_pipes *pipes = &ring->pipes;

    if (pipes->idle > 0) {
        pipes->idle--;
        ends[0] = pipes->ends[pipes->idle][0];
        ends[1] = pipes->ends[pipes->idle][1];
        return 0;
    }
    if (pipes->open == pipes->max) {
        return -ENFILE;
    }
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) {
        return -errno;
    }
    (void)fcntl(ends[1], F_SETPIPE_SZ, RING_PIPE_SIZE);
    pipes->open++;
    return 0;
}

void ring_pipe_give(struct ring *ring, const int ends[2], bool empty)
{
    struct ring_pipes *pipes = &ring->pipes;

    if (!empty) {
        ring_pipe_close(pipes, ends);
        return;
    }
    MUST(pipes->idle < pipes->open);
    pipes->ends[pipes->idle][0] = ends[0];
    pipes->ends[pipes->idle][1] = ends[1];
    pipes->idle++;
}

ssize_t ring_splice(struct ring *ring, int from, int to, size_t length, bool more)
{
    const unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | (more ? SPLICE_F_MORE : 0);
    ssize_t moved;

    do {
        moved = splice(from, NULL, to, NULL, length, flags);
    } while (moved < 0 && errno == EINTR);
    ring->stats.splices++;
    return moved >= 0 ? moved : -errno;
}
