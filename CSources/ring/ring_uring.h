/* What the files of the io_uring engine share. */
#ifndef RING_URING_H
#define RING_URING_H

#include "ring_parts.h"

/* User data of the room's own operations, of a kind that no owner's token has. */
#define RING_OWN_CANCEL (~0ULL)
#define RING_OWN_CLOSE  (~0ULL - 1)

/* A fresh entry; a full queue is submitted first. Never NULL: on a broken ring it is one that will
 * not be submitted. */
struct io_uring_sqe *ring_sqe(struct ring *ring);

[[nodiscard]] int ring_setup_start(struct ring *ring, const struct ring_config *config,
                                   const char **hint);
void ring_setup_stop(struct ring *ring);
const char *ring_setup_mode(const struct ring *ring);

[[nodiscard]] int ring_uring_wait(struct ring *ring, uint64_t timeout_ns, struct ring_event *events,
                                  uint32_t max);

void ring_ops_accept(struct ring *ring, int listener, uint64_t token);
void ring_ops_recv(struct ring *ring, int fd, enum ring_group group, uint64_t token);
void ring_ops_recv_once(struct ring *ring, int fd, enum ring_group group, uint64_t token);
void ring_ops_poll(struct ring *ring, int fd, uint32_t mask, uint64_t token);
void ring_ops_connect(struct ring *ring, int fd, const struct sockaddr_storage *address,
                      socklen_t length, uint64_t token);
void ring_ops_cancel(struct ring *ring, int fd, uint64_t token);
void ring_ops_close(struct ring *ring, int fd, bool reset);

/* Makes a group known to the kernel: 0 or -errno. Takes it back, whether known or not. */
[[nodiscard]] int ring_buffers_share(struct ring *ring, enum ring_group group);
void ring_buffers_unshare(struct ring *ring, enum ring_group group);
/* Offers idle buffers to the kernel up to the window. */
void ring_buffers_refill(struct ring *ring, enum ring_group group);
/* A completion brought the buffer with this id: sets the event's buffer, group and flag. */
void ring_buffers_lend(struct ring *ring, uint16_t id, struct ring_event *event);
/* A receive found nothing: a group that ran dry with idle buffers left gets a bigger window. */
void ring_buffers_starved(struct ring *ring);

#endif
