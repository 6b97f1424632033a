/* Queued operations of io_uring: each fills one submission entry. */
#include "ring_uring.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/must.h"

/* Remembers that `token` was armed on `fd`. */
static void ring_note(struct ring *ring, int fd, enum ring_use use, uint64_t token)
{
    struct ring_fd *entry;
    uint8_t bit = (uint8_t)(1u << use);

    MUST(fd >= 0);
    MUST(ring_token_kind(token) != RING_KIND_OWN);
    if ((uint32_t)fd >= ring->fd_count) {
        return;
    }
    entry = &ring->fds[fd];
    /* Another owner of the descriptor armed before. Its operation has ended long ago unless two
     * polls overlap; the room cannot know, so the close will look at all. A receive is always
     * superseded: two at once would tear the stream apart. */
    if ((entry->used & bit) != 0 && entry->tokens[use] != token && use != RING_USE_RECV) {
        entry->crowded = 1;
    }
    entry->tokens[use] = token;
    entry->used |= bit;
}

void ring_ops_accept(struct ring *ring, int listener, uint64_t token)
{
    struct io_uring_sqe *sqe = ring_sqe(ring);

    ring_note(ring, listener, RING_USE_START, token);
    io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    sqe->user_data = token;
}

/* A receive without memory of its own: the kernel picks a buffer when there is something. */
static struct io_uring_sqe *ring_prep_recv(struct ring *ring, int fd, enum ring_group group,
                                           uint64_t token)
{
    struct io_uring_sqe *sqe = ring_sqe(ring);

    MUST(group < RING_GROUP_COUNT);
    ring_note(ring, fd, RING_USE_RECV, token);
    io_uring_prep_recv(sqe, fd, NULL, 0, 0);
    sqe->flags = IOSQE_BUFFER_SELECT;
    sqe->buf_group = (uint16_t)group;
    sqe->user_data = token;
    return sqe;
}

void ring_ops_recv(struct ring *ring, int fd, enum ring_group group, uint64_t token)
{
    struct io_uring_sqe *sqe = ring_prep_recv(ring, fd, group, token);

    sqe->ioprio = IORING_RECV_MULTISHOT;
}

void ring_ops_recv_once(struct ring *ring, int fd, enum ring_group group, uint64_t token)
{
    (void)ring_prep_recv(ring, fd, group, token);
}

void ring_ops_poll(struct ring *ring, int fd, uint32_t mask, uint64_t token)
{
    struct io_uring_sqe *sqe = ring_sqe(ring);

    ring_note(ring, fd, (mask & POLLOUT) != 0 ? RING_USE_POLL_OUT : RING_USE_POLL_IN, token);
    io_uring_prep_poll_add(sqe, fd, mask);
    sqe->user_data = token;
}

void ring_ops_connect(struct ring *ring, int fd, const struct sockaddr_storage *address,
                      socklen_t length, uint64_t token)
{
    struct io_uring_sqe *sqe = ring_sqe(ring);
    struct sockaddr_storage *copy;

    MUST(length <= sizeof(*address));
    ring_note(ring, fd, RING_USE_START, token);
    /* The kernel reads the address when the entry is submitted, not later. */
    copy = &ring->addresses[sqe - ring->uring.sq.sqes];
    memcpy(copy, address, length);
    io_uring_prep_connect(sqe, fd, (const struct sockaddr *)copy, length);
    sqe->user_data = token;
}

/* The kernel finds the operations by their token alone. */
void ring_ops_cancel(struct ring *ring, int fd, uint64_t token)
{
    struct io_uring_sqe *sqe = ring_sqe(ring);

    (void)fd;
    MUST(ring_token_kind(token) != RING_KIND_OWN);
    io_uring_prep_cancel64(sqe, token, IORING_ASYNC_CANCEL_ALL);
    sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = RING_OWN_CANCEL;
}

/* Ends whatever may be pending on `fd`. */
static void ring_cancel_fd(struct ring *ring, int fd)
{
    struct ring_fd *entry = (uint32_t)fd < ring->fd_count ? &ring->fds[fd] : NULL;

    if (entry == NULL || entry->crowded != 0) {
        struct io_uring_sqe *sqe = ring_sqe(ring);

        io_uring_prep_cancel_fd(sqe, fd, IORING_ASYNC_CANCEL_ALL);
        sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
        sqe->user_data = RING_OWN_CANCEL;
        ring->stats.close_walks++;
    } else {
        for (uint32_t use = 0; use < RING_USE_COUNT; use++) {
            if ((entry->used & (1u << use)) != 0) {
                ring_ops_cancel(ring, fd, entry->tokens[use]);
            }
        }
    }
    if (entry != NULL) {
        *entry = (struct ring_fd){0};
    }
}

/* A pending operation holds the file: closing the descriptor alone would send nothing and leave the
 * operation behind. So the cancellations come first, and the descriptor is closed by the ring,
 * after them and after whatever is still queued for it: its number is not free before. The last
 * reference goes when the cancelled operations have run, in the same system call. */
void ring_ops_close(struct ring *ring, int fd, bool reset)
{
    struct io_uring_sqe *sqe;

    MUST(fd >= 0);
    if (reset) {
        ring_will_reset(fd);
    }
    ring_cancel_fd(ring, fd);
    sqe = ring_sqe(ring);
    io_uring_prep_close(sqe, fd);
    sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = RING_OWN_CLOSE;
}
