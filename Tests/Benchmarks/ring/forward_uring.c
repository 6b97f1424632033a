/* Variant a: multishot receive as in variant b, but sends are queued on the ring too. One send per
 * direction is in flight, so that the stream keeps its order; its buffer is given back when it is
 * done. Written against liburing, since the product's ring has no queued send. */
#include "forward.h"

#include <errno.h>
#include <liburing.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define ENTRIES       1024
#define LARGE_BUFFERS 64
#define SMALL_BUFFERS 2048
#define HELD_MAX      SMALL_BUFFERS
#define HELD_HIGH     4

enum { OP_ACCEPT = 1, OP_RECV, OP_SEND, OP_OTHER };

struct held {
    uint16_t buffer;
    uint32_t length;
};

struct lane {
    int from;
    int to;
    uint32_t generation; /* odd while open */
    uint32_t first;
    uint32_t held; /* the first one is being sent */
    bool armed;
    bool stopped;
    bool starved;
    struct held events[HELD_MAX];
};

static struct lane lanes[FORWARD_LANES_MAX];
static struct io_uring uring;
static struct io_uring_buf_ring *shared;
static uint8_t *memory;
static uint32_t buffer_size;
static uint32_t buffer_count;
static uint32_t buffers_lent;
static const struct forward_options *config;

static uint64_t token_of(uint32_t op, const struct lane *lane)
{
    return (uint64_t)op << 56 | (uint64_t)(lane - lanes) << 32 | lane->generation;
}

static struct io_uring_sqe *next_sqe(void)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring);

    if (sqe == NULL) {
        io_uring_submit(&uring);
        sqe = io_uring_get_sqe(&uring);
    }
    return sqe;
}

static void arm(struct lane *lane)
{
    struct io_uring_sqe *sqe = next_sqe();

    io_uring_prep_recv_multishot(sqe, lane->from, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = 0;
    sqe->user_data = token_of(OP_RECV, lane);
    lane->armed = true;
    lane->starved = false;
}

static void give_back(uint16_t buffer)
{
    io_uring_buf_ring_add(shared, memory + (size_t)buffer * buffer_size, buffer_size, buffer,
                          io_uring_buf_ring_mask(buffer_count), 0);
    io_uring_buf_ring_advance(shared, 1);
    if (buffers_lent-- < buffer_count) {
        return;
    }
    for (uint32_t i = 0; i < FORWARD_LANES_MAX; i++) {
        if (lanes[i].generation % 2 == 1 && lanes[i].starved) {
            arm(&lanes[i]);
        }
    }
}

/* MSG_WAITALL: the kernel itself goes on after a short send. */
static void send_first(struct lane *lane)
{
    const struct held *held = &lane->events[lane->first % HELD_MAX];
    struct io_uring_sqe *sqe = next_sqe();

    io_uring_prep_send(sqe, lane->to, memory + (size_t)held->buffer * buffer_size, held->length,
                       MSG_NOSIGNAL | MSG_WAITALL);
    sqe->user_data = token_of(OP_SEND, lane);
}

static void open_pair(int client)
{
    uint32_t slot = 0;
    int upstream = forward_dial(config->upstream);

    while (slot < FORWARD_LANES_MAX && lanes[slot].generation % 2 == 1) {
        slot += 2;
    }
    if (slot == FORWARD_LANES_MAX) {
        forward_fail("too many connections", EMFILE);
    }
    for (uint32_t i = 0; i < 2; i++) {
        struct lane *lane = &lanes[slot + i];

        lane->generation++;
        lane->from = i == 0 ? client : upstream;
        lane->to = i == 0 ? upstream : client;
        lane->first = lane->held = 0;
        lane->stopped = false;
        arm(lane);
    }
}

static void close_pair(struct lane *lane)
{
    uint32_t slot = (uint32_t)(lane - lanes) & ~1u;

    for (uint32_t i = 0; i < 2; i++) {
        struct io_uring_sqe *sqe = next_sqe();

        lane = &lanes[slot + i];
        lane->generation++;
        io_uring_prep_cancel_fd(sqe, lane->from, IORING_ASYNC_CANCEL_ALL);
        sqe->user_data = (uint64_t)OP_OTHER << 56;
        sqe = next_sqe();
        io_uring_prep_close(sqe, lane->from);
        sqe->user_data = (uint64_t)OP_OTHER << 56;
        for (; lane->held > 0; lane->held--) {
            give_back(lane->events[lane->first++ % HELD_MAX].buffer);
        }
    }
}

static void received(struct lane *lane, const struct io_uring_cqe *cqe)
{
    lane->armed = (cqe->flags & IORING_CQE_F_MORE) != 0;
    if (cqe->res == -ENOBUFS && lane->held > 0) {
        return; /* what it holds goes first, or one slow consumer would get all buffers */
    }
    if (cqe->res == -ENOBUFS) {
        lane->starved = buffers_lent == buffer_count;
        if (!lane->starved) {
            arm(lane);
        }
        return;
    }
    if (cqe->res == -ECANCELED) {
        if (lane->held == 0) {
            lane->stopped = false;
            arm(lane);
        }
        return;
    }
    if (cqe->res <= 0) {
        close_pair(lane);
        return;
    }
    lane->first = lane->held == 0 ? 0 : lane->first;
    lane->events[(lane->first + lane->held) % HELD_MAX] = (struct held){
        .buffer = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT),
        .length = (uint32_t)cqe->res,
    };
    if (lane->held++ == 0) {
        send_first(lane);
    }
    if (lane->held == HELD_HIGH && lane->armed && !lane->stopped) {
        struct io_uring_sqe *sqe = next_sqe();

        lane->stopped = true;
        io_uring_prep_cancel64(sqe, token_of(OP_RECV, lane), 0);
        sqe->user_data = (uint64_t)OP_OTHER << 56;
    }
}

static void sent(struct lane *lane, int32_t result)
{
    const struct held *held = &lane->events[lane->first % HELD_MAX];

    if (result != (int32_t)held->length) {
        close_pair(lane);
        return;
    }
    give_back(held->buffer);
    lane->first++;
    if (--lane->held > 0) {
        send_first(lane);
    } else if (!lane->armed && !lane->starved) {
        lane->stopped = false;
        arm(lane);
    }
}

static void run(const struct io_uring_cqe *cqe)
{
    uint32_t op = (uint32_t)(cqe->user_data >> 56);
    struct lane *lane = &lanes[(cqe->user_data >> 32) & 0xffffff];
    bool current = lane->generation == (uint32_t)cqe->user_data;

    if ((cqe->flags & IORING_CQE_F_BUFFER) != 0) {
        buffers_lent++;
    }
    if (op == OP_ACCEPT) {
        if (cqe->res < 0) {
            forward_fail("accept", -cqe->res);
        }
        open_pair(cqe->res);
    } else if (op == OP_RECV && current) {
        received(lane, cqe);
    } else if (op == OP_SEND && current) {
        sent(lane, cqe->res);
    } else if ((cqe->flags & IORING_CQE_F_BUFFER) != 0) {
        give_back((uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT));
    }
}

static void *pages(size_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (at == MAP_FAILED) {
        forward_fail("memory", errno);
    }
    return at;
}

static void start(void)
{
    struct io_uring_params params = {
        .cq_entries = 4 * ENTRIES,
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE |
                 IORING_SETUP_SUBMIT_ALL,
    };
    struct io_uring_buf_reg reg = {0};
    int err = io_uring_queue_init_params(ENTRIES, &uring, &params);

    if (err != 0) {
        forward_fail("io_uring", -err);
    }
    buffer_size = config->large ? 65536 : 4096;
    buffer_count = config->large ? LARGE_BUFFERS : SMALL_BUFFERS;
    shared = pages(buffer_count * sizeof(struct io_uring_buf));
    memory = pages((size_t)buffer_count * buffer_size);
    reg.ring_addr = (uint64_t)(uintptr_t)shared;
    reg.ring_entries = buffer_count;
    err = io_uring_register_buf_ring(&uring, &reg, 0);
    if (err != 0) {
        forward_fail("buffer ring", -err);
    }
    buffers_lent = buffer_count;
    for (uint32_t i = 0; i < buffer_count; i++) {
        give_back((uint16_t)i);
    }
}

void forward_uring(const struct forward_options *options)
{
    struct io_uring_sqe *sqe;

    config = options;
    start();
    sqe = next_sqe();
    io_uring_prep_multishot_accept(sqe, options->listener, NULL, NULL,
                                   SOCK_NONBLOCK | SOCK_CLOEXEC);
    sqe->user_data = (uint64_t)OP_ACCEPT << 56;
    for (;;) {
        struct io_uring_cqe *cqe;
        unsigned head;
        unsigned count = 0;

        io_uring_submit_and_wait(&uring, 1);
        io_uring_for_each_cqe(&uring, head, cqe)
        {
            run(cqe);
            count++;
        }
        io_uring_cq_advance(&uring, count);
    }
}
