/* Start and end of io_uring. The ring starts disabled, gets its buffers and restrictions, and is
 * then enabled: from there on it takes only the operations this room uses, whoever holds it. */
#include "ring_uring.h"

#include <errno.h>
#include <unistd.h>

#define RING_CQ_FACTOR 4u /* multishot operations complete more often than they are armed */

/* Operations of this room: probed, and all that the enabled ring accepts. SEND_ZC is not used: it
 * came with kernel 6.0 like multishot receive, which has no operation code of its own. */
static const uint8_t ring_ops[] = {
    IORING_OP_ACCEPT,  IORING_OP_RECV,         IORING_OP_POLL_ADD,
    IORING_OP_CONNECT, IORING_OP_ASYNC_CANCEL, IORING_OP_CLOSE,
};
#define RING_OPS_COUNT (sizeof(ring_ops) / sizeof(ring_ops[0]))

#define RING_FEATURES                                                                              \
    (IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE |                    \
     IORING_FEAT_FAST_POLL | IORING_FEAT_EXT_ARG | IORING_FEAT_CQE_SKIP)

#define RING_HINT_OLD "this kernel's io_uring is too old: Linux 6.1 or later is needed"

/* The likely cause of a failed set-up. */
static const char *ring_hint(int err)
{
    switch (err) {
    case -ENOSYS:
        return "this kernel has no io_uring, or a seccomp profile hides it";
    case -EPERM:
    case -EACCES:
        return "io_uring is forbidden: by sysctl kernel.io_uring_disabled or by the container's "
               "seccomp profile";
    case -ENOMEM:
        return "no memory for the ring: check RLIMIT_MEMLOCK and the memory limit of the cgroup";
    case -EMFILE:
    case -ENFILE:
        return "no descriptor for the ring: check RLIMIT_NOFILE";
    case -EINVAL:
    case -EOPNOTSUPP:
        return RING_HINT_OLD;
    default:
        return NULL;
    }
}

/* Opens and maps the queues, `deferred` with the best mode this kernel has. */
static int ring_map(struct ring *ring, uint32_t entries, bool deferred)
{
    static const uint32_t modes[2] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, /* 6.1 */
        IORING_SETUP_COOP_TASKRUN,                               /* 5.19 */
    };
    struct io_uring_params params;
    int fd = -EINVAL;
    int err;

    for (uint32_t i = deferred ? 0 : 1; i < 2 && fd == -EINVAL; i++) {
        params = (struct io_uring_params){
            .cq_entries = entries * RING_CQ_FACTOR,
            .flags = modes[i] | IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL |
                     IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE,
        };
        fd = io_uring_setup(entries, &params);
    }
    if (fd < 0) {
        return fd;
    }
    err = io_uring_queue_mmap(fd, &params, &ring->uring);
    if (err != 0) {
        close(fd);
        ring->uring.ring_fd = -1;
        return err;
    }
    ring->uring.features = params.features;
    ring->uring.flags = params.flags;
    for (uint32_t i = 0; i < ring->uring.sq.ring_entries; i++) {
        ring->uring.sq.array[i] = i; /* entries are submitted in the order of their slots */
    }
    return 0;
}

static int ring_probe(struct ring *ring)
{
    struct io_uring_probe *probe;
    bool complete = (ring->uring.features & RING_FEATURES) == RING_FEATURES;

    probe = io_uring_get_probe_ring(&ring->uring);
    if (probe == NULL) {
        return -EINVAL;
    }
    for (size_t i = 0; i < RING_OPS_COUNT; i++) {
        complete = complete && io_uring_opcode_supported(probe, ring_ops[i]) != 0;
    }
    complete = complete && io_uring_opcode_supported(probe, IORING_OP_SEND_ZC) != 0;
    io_uring_free_probe(probe);
    return complete ? 0 : -EOPNOTSUPP;
}

/* From here on the ring takes only what this room uses, and registers nothing any more. */
static int ring_restrict(struct ring *ring)
{
    struct io_uring_restriction rules[RING_OPS_COUNT + 1] = {0};
    int err;

    for (size_t i = 0; i < RING_OPS_COUNT; i++) {
        rules[i].opcode = IORING_RESTRICTION_SQE_OP;
        rules[i].sqe_op = ring_ops[i];
    }
    rules[RING_OPS_COUNT].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
    rules[RING_OPS_COUNT].sqe_flags = IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS;
    /* By number: the shared library of liburing 2.3 does not export these two. */
    err = io_uring_register((uint32_t)ring->uring.ring_fd, IORING_REGISTER_RESTRICTIONS, rules,
                            RING_OPS_COUNT + 1);
    if (err != 0) {
        return err;
    }
    return io_uring_register((uint32_t)ring->uring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

/* Tables beside the kernel's: connect addresses, tokens per descriptor. */
static int ring_tables(struct ring *ring)
{
    ring->fds = ring_pages(ring->fd_count * sizeof(struct ring_fd));
    ring->addresses = ring_pages(ring->uring.sq.ring_entries * sizeof(struct sockaddr_storage));
    return ring->fds != NULL && ring->addresses != NULL ? 0 : -ENOMEM;
}

int ring_setup_start(struct ring *ring, const struct ring_config *config, const char **hint)
{
    bool deferred = config->engine != RING_ENGINE_URING_COOPERATIVE;
    int err;

    ring->uring.ring_fd = -1;
    if ((err = ring_map(ring, config->entries, deferred)) != 0 || (err = ring_probe(ring)) != 0 ||
        (err = ring_tables(ring)) != 0 || (err = ring_buffers_share(ring, RING_GROUP_SMALL)) != 0 ||
        (err = ring_buffers_share(ring, RING_GROUP_LARGE)) != 0 ||
        (err = ring_restrict(ring)) != 0) {
        *hint = ring_hint(err);
    }
    return err;
}

/* Ends what is pending, so that listeners and connections are free when this returns: the kernel's
 * own clean-up of a closed ring comes later. */
static void ring_cancel_all(struct ring *ring)
{
    struct ring_event events[64];
    int count;

    io_uring_prep_cancel64(ring_sqe(ring), 0, IORING_ASYNC_CANCEL_ANY);
    do {
        count = ring_uring_wait(ring, 0, events, 64);
        for (int i = 0; i < count; i++) {
            ring_event_drop(ring, &events[i], false);
        }
    } while (count == 64);
}

void ring_setup_stop(struct ring *ring)
{
    if (ring->uring.ring_fd >= 0) {
        ring_cancel_all(ring);
        io_uring_queue_exit(&ring->uring);
    }
    for (uint32_t group = 0; group < RING_GROUP_COUNT; group++) {
        ring_buffers_unshare(ring, (enum ring_group)group);
    }
    ring_pages_release(ring->fds, ring->fd_count * sizeof(struct ring_fd));
    ring_pages_release(ring->addresses,
                       ring->uring.sq.ring_entries * sizeof(struct sockaddr_storage));
    ring->fds = NULL;
    ring->addresses = NULL;
}

const char *ring_setup_mode(const struct ring *ring)
{
    return (ring->uring.flags & IORING_SETUP_DEFER_TASKRUN) != 0 ? "deferred" : "cooperative";
}
