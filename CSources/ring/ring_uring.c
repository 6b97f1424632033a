/* The loop turn of io_uring: one system call submits and waits, then completions are read straight
 * from the shared queue. */
#include "ring_uring.h"

#include <errno.h>

#include "base/must.h"
#include "base/num.h"

/* How often a full submission queue is pushed before the ring counts as broken. */
#define RING_PUSH_MAX 1000

/* The kernel completes a bounded number of receives in one call and leaves the others for the next
 * (20 since Linux 6.13). A call that came back full is followed by another one, so that a turn has
 * all there is: what answers it then brings leave together. */
#define RING_FULL     20u
#define RING_MORE_MAX 8u

static uint32_t ring_pending(const struct ring *ring)
{
    return ring->sq_tail - io_uring_smp_load_acquire(ring->uring.sq.khead);
}

static uint32_t ring_ready(const struct ring *ring)
{
    return io_uring_smp_load_acquire(ring->uring.cq.ktail) - *ring->uring.cq.khead;
}

static void ring_refill(struct ring *ring)
{
    for (uint32_t group = 0; group < RING_GROUP_COUNT; group++) {
        ring_buffers_refill(ring, (enum ring_group)group);
    }
}

/* Submits everything, runs the kernel's deferred work and waits for one completion at most
 * `timeout_ns` (0: does not wait). 0, or -errno of a broken ring. */
static int ring_enter(struct ring *ring, uint64_t timeout_ns)
{
    struct __kernel_timespec limit = {
        .tv_sec = (long long)num_min_u64(timeout_ns / RING_NS, INT32_MAX),
        .tv_nsec = (long long)(timeout_ns % RING_NS),
    };
    struct io_uring_getevents_arg arg = {
        .ts = timeout_ns == UINT64_MAX ? 0 : (uint64_t)(uintptr_t)&limit,
    };
    int ret;

    ring_refill(ring);
    io_uring_smp_store_release(ring->uring.sq.ktail, ring->sq_tail);
    ring->stats.enters++;
    ret = io_uring_enter2((uint32_t)ring->uring.ring_fd, ring_pending(ring), timeout_ns > 0 ? 1 : 0,
                          IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, (void *)&arg, sizeof(arg));
    switch (ret) {
    case -ETIME:
    case -EINTR:
    case -EAGAIN: /* no memory for a request at the moment: the entries stay queued */
    case -EBUSY:  /* completions must be reaped first */
        return 0;
    default:
        return ret < 0 ? ret : 0;
    }
}

struct io_uring_sqe *ring_sqe(struct ring *ring)
{
    struct io_uring_sq *sq = &ring->uring.sq;

    for (uint32_t i = 0; ring_pending(ring) == sq->ring_entries; i++) {
        int err = ring->broken;

        if (err == 0) {
            ring->stats.queue_full++;
            err = i < RING_PUSH_MAX ? ring_enter(ring, 0) : -EBUSY;
        }
        if (err != 0) {
            ring->broken = err;
            return &sq->sqes[ring->sq_tail & sq->ring_mask];
        }
    }
    return &sq->sqes[ring->sq_tail++ & sq->ring_mask];
}

/* Results of the room's own operations: a cancellation that found nothing is as good as one that
 * did, but closing a descriptor that is not open means that somebody else's may be next. */
static void ring_own(uint64_t token, int32_t result)
{
    if (token == RING_OWN_CLOSE) {
        MUST(result != -EBADF);
    }
}

/* Moves completions into `events`; the room's own are swallowed. */
static uint32_t ring_reap(struct ring *ring, struct ring_event *events, uint32_t max)
{
    struct io_uring_cq *cq = &ring->uring.cq;
    uint32_t head = *cq->khead;
    uint32_t tail = io_uring_smp_load_acquire(cq->ktail);
    uint32_t count = 0;

    while (head != tail && count < max) {
        const struct io_uring_cqe *cqe = &cq->cqes[head++ & cq->ring_mask];
        struct ring_event *event = &events[count];

        if (cqe->user_data >= RING_OWN_CLOSE) {
            ring_own(cqe->user_data, cqe->res);
            continue;
        }
        *event = (struct ring_event){
            .token = cqe->user_data,
            .result = cqe->res,
            .flags = cqe->flags & IORING_CQE_F_MORE ? RING_EVENT_MORE : 0,
        };
        if (cqe->flags & IORING_CQE_F_BUFFER) {
            ring_buffers_lend(ring, (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT), event);
        } else if (cqe->res == -ENOBUFS) {
            ring_buffers_starved(ring);
        }
        count++;
    }
    io_uring_smp_store_release(cq->khead, head);
    ring->stats.events += count;
    return count;
}

int ring_uring_wait(struct ring *ring, uint64_t timeout_ns, struct ring_event *events, uint32_t max)
{
    uint32_t ready = ring_ready(ring);
    int err = ring->broken;
    uint32_t count;
    uint32_t came;

    MUST(max > 0);
    /* What the last call left is not waited for, and only submitted past when it fills the call. */
    if (err == 0 && (ready < max || ring_pending(ring) > 0)) {
        err = ring_enter(ring, ready > 0 ? 0 : timeout_ns);
    } else if ((ring->uring.flags & IORING_SETUP_DEFER_TASKRUN) == 0) {
        ring_refill(ring); /* receives complete in other system calls too */
    }
    count = err == 0 ? ring_reap(ring, events, max) : 0;
    came = count;
    for (uint32_t i = 0; i < RING_MORE_MAX && err == 0 && came >= RING_FULL && count < max; i++) {
        if (ring->buffers[RING_GROUP_LARGE].lent > 0) {
            break; /* bulk takes memory for every receive of a turn */
        }
        err = ring_enter(ring, 0);
        came = err == 0 ? ring_reap(ring, events + count, max - count) : 0;
        count += came;
    }
    ring_read_clock(ring);
    ring->broken = err;
    return count == 0 && err != 0 ? err : (int)count;
}

const struct ring_engine ring_uring_engine = {
    .kind = RING_ENGINE_URING,
    .name = "io_uring",
    .start = ring_setup_start,
    .stop = ring_setup_stop,
    .mode = ring_setup_mode,
    .wait = ring_uring_wait,
    .accept = ring_ops_accept,
    .recv = ring_ops_recv,
    .recv_once = ring_ops_recv_once,
    .poll = ring_ops_poll,
    .connect = ring_ops_connect,
    .cancel = ring_ops_cancel,
    .close = ring_ops_close,
};
