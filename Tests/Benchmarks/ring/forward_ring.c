/* Variants b, d and f: the ring of the product, through core/ring.h. */
#include "forward.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/must.h"
#include "core/ring.h"

#define EVENTS_MAX    256
#define LARGE_BUFFERS 64
#define SMALL_BUFFERS 2048
#define HELD_MAX      SMALL_BUFFERS /* at most all buffers wait in one lane */
#define HELD_HIGH     4             /* then the source is not read any more */

enum { KIND_ACCEPT = 1, KIND_RECV, KIND_POLL_IN, KIND_POLL_OUT };

struct lane { /* one direction */
    int from;
    int to;
    uint32_t generation;
    uint32_t first; /* held events are a ring: what the socket did not take */
    uint32_t held;
    uint32_t offset; /* bytes of the first one that are sent */
    bool armed;
    bool stopped; /* cancelled while something is held */
    bool starved; /* no buffer was free */
    bool polls;   /* waits for POLLOUT */
    int pipe[2];
    size_t inside;
    struct ring_event events[HELD_MAX];
};

static struct lane lanes[FORWARD_LANES_MAX]; /* a pair is two neighbours */
static struct ring *ring;
static enum ring_group group;
static const struct forward_options *config;

static uint64_t token_of(uint8_t kind, const struct lane *lane)
{
    return ring_token(kind, (uint32_t)(lane - lanes), lane->generation);
}

static void arm(struct lane *lane)
{
    lane->armed = true;
    if (config->splice) {
        ring_poll(ring, lane->from, POLLIN, token_of(KIND_POLL_IN, lane));
    } else if (config->once) {
        ring_recv_once(ring, lane->from, group, token_of(KIND_RECV, lane));
    } else {
        ring_recv(ring, lane->from, group, token_of(KIND_RECV, lane));
    }
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
        lane->first = lane->held = lane->offset = 0;
        lane->stopped = lane->starved = lane->polls = false;
        lane->inside = 0;
        if (config->splice && ring_pipe_take(ring, lane->pipe) != 0) {
            forward_fail("pipe", EMFILE);
        }
        arm(lane);
    }
}

static void give_back(const struct ring_event *event)
{
    if (!ring_buffer_return(ring, event->group, event->buffer)) {
        return;
    }
    for (uint32_t i = 0; i < FORWARD_LANES_MAX; i++) {
        if (lanes[i].generation % 2 == 1 && lanes[i].starved) {
            lanes[i].starved = false;
            arm(&lanes[i]);
        }
    }
}

static void close_pair(struct lane *lane)
{
    uint32_t slot = (uint32_t)(lane - lanes) & ~1u;

    for (uint32_t i = 0; i < 2; i++) {
        lane = &lanes[slot + i];
        ring_close(ring, lane->from, false);
        if (config->splice) {
            ring_pipe_give(ring, lane->pipe, lane->inside == 0);
        }
        lane->generation++;
        for (; lane->held > 0; lane->held--) {
            give_back(&lane->events[lane->first++ % HELD_MAX]);
        }
    }
}

/* false: the connection is over. */
static bool flush(struct lane *lane)
{
    while (lane->held > 0) {
        const struct ring_event *event = &lane->events[lane->first % HELD_MAX];
        struct bytes in = bytes_from(ring_event_bytes(ring, event), lane->offset);
        const struct iovec part = {(void *)(uintptr_t)in.ptr, in.len};
        ssize_t sent = ring_send(ring, lane->to, &part, 1);

        if (sent < 0) {
            return false;
        }
        lane->offset += (uint32_t)sent;
        if ((size_t)sent == in.len) {
            lane->first++;
            lane->held--;
            lane->offset = 0;
            give_back(event);
        } else if (!lane->polls) {
            lane->polls = true;
            ring_poll(ring, lane->to, POLLOUT, token_of(KIND_POLL_OUT, lane));
            return true;
        } else {
            return true;
        }
    }
    if (!lane->armed && !lane->starved) {
        lane->stopped = false;
        arm(lane);
    }
    return true;
}

static bool run_recv(struct lane *lane, const struct ring_event *event)
{
    lane->armed = (event->flags & RING_EVENT_MORE) != 0;
    if (event->result == -ENOBUFS && lane->held > 0) {
        return true; /* what it holds goes first, or one slow consumer would get all buffers */
    }
    if (event->result == -ENOBUFS) {
        if (ring_buffers_free(ring, group) > 0) {
            arm(lane);
        } else {
            lane->starved = true;
        }
        return true;
    }
    if (event->result == -ECANCELED) {
        return flush(lane);
    }
    if (event->result <= 0) {
        return false;
    }
    MUST(lane->held < HELD_MAX);
    lane->first = lane->held == 0 ? 0 : lane->first;
    lane->events[(lane->first + lane->held++) % HELD_MAX] = *event;
    if (lane->held == HELD_HIGH && lane->armed && !lane->stopped) {
        lane->stopped = true;
        ring_cancel(ring, lane->from, token_of(KIND_RECV, lane));
    }
    return lane->polls || flush(lane);
}

static bool run_splice(struct lane *lane)
{
    for (;;) {
        ssize_t in;

        while (lane->inside > 0) {
            ssize_t out = ring_splice(ring, lane->pipe[0], lane->to, lane->inside, false);

            if (out == -EAGAIN) {
                ring_poll(ring, lane->to, POLLOUT, token_of(KIND_POLL_OUT, lane));
                return true;
            }
            if (out <= 0) {
                return false;
            }
            lane->inside -= (size_t)out;
        }
        in = ring_splice(ring, lane->from, lane->pipe[1], FORWARD_PIPE_SIZE, true);
        if (in == -EAGAIN) {
            arm(lane);
            return true;
        }
        if (in <= 0) {
            return false;
        }
        lane->inside += (size_t)in;
    }
}

static void run_event(const struct ring_event *event)
{
    uint8_t kind = ring_token_kind(event->token);
    struct lane *lane = &lanes[ring_token_slot(event->token)];
    bool alive = true;

    if (kind == KIND_ACCEPT) {
        if (event->result < 0) {
            forward_fail("accept", -event->result);
        }
        open_pair(event->result);
        return;
    }
    if (lane->generation != ring_token_generation(event->token)) {
        ring_event_drop(ring, event, false);
        return;
    }
    if (config->splice) {
        alive = run_splice(lane);
    } else if (kind == KIND_RECV) {
        alive = run_recv(lane, event);
    } else {
        lane->polls = false;
        alive = flush(lane);
    }
    if (!alive) {
        close_pair(lane);
    }
}

void forward_ring(const struct forward_options *options)
{
    const struct ring_config ring_config = {
        .entries = 1024,
        .small_buffers = SMALL_BUFFERS,
        .large_buffers = LARGE_BUFFERS,
        .pipes = FORWARD_LANES_MAX,
    };
    struct ring_event events[EVENTS_MAX];
    const char *hint = NULL;
    int err = ring_create(&ring_config, &ring, &hint);

    if (err != 0) {
        forward_fail(hint != NULL ? hint : "ring", -err);
    }
    config = options;
    group = options->large ? RING_GROUP_LARGE : RING_GROUP_SMALL;
    ring_accept(ring, options->listener, ring_token(KIND_ACCEPT, 0, 1));
    for (;;) {
        int count = ring_wait(ring, UINT64_MAX, events, EVENTS_MAX);

        if (count < 0) {
            forward_fail("ring_wait", -count);
        }
        for (int i = 0; i < count; i++) {
            run_event(&events[i]);
        }
    }
}
