/* Receive buffers: io_uring takes them out of a shared ring, epoll from the stack of idle ones; the
 * owner gives them back here. */
#include "ring_uring.h"

#include <errno.h>
#include <stdlib.h>

#include "base/must.h"
#include "base/num.h"

/* First bytes of page-sized buffers all fall into one set of the cache; a line more spreads them.
 */
#define RING_BUFFERS_SPREAD 64u

#define RING_BUFFERS_LOOK 4096u /* refills between two looks at the window */

static const uint32_t ring_sizes[RING_GROUP_COUNT] = {RING_SMALL_SIZE, RING_LARGE_SIZE};
static const uint32_t ring_windows[RING_GROUP_COUNT] = {64, 8}; /* at the start, and never less */

static size_t ring_buffers_shared_size(const struct ring_buffers *buffers)
{
    return buffers->capacity * sizeof(struct io_uring_buf);
}

int ring_buffers_init(struct ring *ring, enum ring_group group, uint32_t capacity)
{
    struct ring_buffers *buffers = &ring->buffers[group];

    MUST(capacity > 0);
    MUST(capacity <= 1u << RING_GROUP_BIT);
    MUST((capacity & (capacity - 1)) == 0);
    *buffers = (struct ring_buffers){
        .size = ring_sizes[group],
        .stride = ring_sizes[group] + RING_BUFFERS_SPREAD,
        .capacity = capacity,
        .idle = capacity,
        .window = num_min_u32(capacity, ring_windows[group]),
    };
    buffers->memory = ring_pages((size_t)buffers->stride * capacity);
    buffers->stack = ring_pages(sizeof(uint16_t) * capacity);
    if (buffers->memory == NULL || buffers->stack == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < capacity; i++) {
        buffers->stack[i] = (uint16_t)(capacity - 1 - i); /* the first is on top */
    }
    return 0;
}

void ring_buffers_release(struct ring *ring, enum ring_group group)
{
    struct ring_buffers *buffers = &ring->buffers[group];

    ring_pages_release(buffers->memory, (size_t)buffers->stride * buffers->capacity);
    ring_pages_release(buffers->stack, sizeof(uint16_t) * buffers->capacity);
    *buffers = (struct ring_buffers){0};
}

int ring_buffers_share(struct ring *ring, enum ring_group group)
{
    struct ring_buffers *buffers = &ring->buffers[group];
    struct io_uring_buf_reg reg;

    buffers->shared = ring_pages(ring_buffers_shared_size(buffers));
    if (buffers->shared == NULL) {
        return -ENOMEM;
    }
    reg = (struct io_uring_buf_reg){
        .ring_addr = (uint64_t)(uintptr_t)buffers->shared,
        .ring_entries = buffers->capacity,
        .bgid = (uint16_t)group,
    };
    return io_uring_register_buf_ring(&ring->uring, &reg, 0);
}

void ring_buffers_unshare(struct ring *ring, enum ring_group group)
{
    struct ring_buffers *buffers = &ring->buffers[group];

    ring_pages_release(buffers->shared, ring_buffers_shared_size(buffers));
    buffers->shared = NULL;
}

/* A window that was never half used for a while gets smaller. */
static void ring_buffers_look(struct ring_buffers *buffers, enum ring_group group)
{
    if (buffers->peak < buffers->window / 4) {
        buffers->window = num_max_u32(buffers->window / 2, ring_windows[group]);
        buffers->window = num_min_u32(buffers->window, buffers->capacity);
    }
    buffers->peak = 0;
    buffers->refills = 0;
}

void ring_buffers_refill(struct ring *ring, enum ring_group group)
{
    struct ring_buffers *buffers = &ring->buffers[group];
    const uint32_t mask = buffers->capacity - 1;
    uint32_t count = 0;

    if (buffers->offered < buffers->window) {
        count = num_min_u32(buffers->window - buffers->offered, buffers->idle);
    }
    buffers->peak = num_max_u32(buffers->peak, count);
    if (++buffers->refills == RING_BUFFERS_LOOK) {
        ring_buffers_look(buffers, group);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint16_t index = buffers->stack[--buffers->idle];

        io_uring_buf_ring_add(buffers->shared, buffers->memory + (size_t)index * buffers->stride,
                              buffers->size, (uint16_t)(index | (uint32_t)group << RING_GROUP_BIT),
                              (int)mask, (int)i);
    }
    if (count > 0) {
        buffers->offered += count;
        io_uring_buf_ring_advance(buffers->shared, (int)count);
    }
}

void ring_buffers_lend(struct ring *ring, uint16_t id, struct ring_event *event)
{
    struct ring_buffers *buffers = &ring->buffers[id >> RING_GROUP_BIT];

    event->buffer = id & ((1u << RING_GROUP_BIT) - 1);
    event->group = (uint8_t)(id >> RING_GROUP_BIT);
    event->flags |= RING_EVENT_BUFFER;
    MUST(event->buffer < buffers->capacity);
    MUST(buffers->offered > 0);
    buffers->offered--;
    buffers->lent++;
}

void ring_buffers_starved(struct ring *ring)
{
    ring->stats.starved++;
    for (uint32_t group = 0; group < RING_GROUP_COUNT; group++) {
        struct ring_buffers *buffers = &ring->buffers[group];

        if (buffers->offered == 0 && buffers->idle > 0) {
            buffers->window = num_min_u32(buffers->window * 2, buffers->capacity);
        }
    }
}

bool ring_buffers_take(struct ring *ring, enum ring_group group, struct iovec *room)
{
    struct ring_buffers *buffers = &ring->buffers[group];

    if (buffers->idle == 0) {
        ring->stats.starved++;
        return false;
    }
    *room = (struct iovec){
        .iov_base = buffers->memory + (size_t)buffers->stack[buffers->idle - 1] * buffers->stride,
        .iov_len = buffers->size,
    };
    return true;
}

void ring_buffers_lend_taken(struct ring *ring, enum ring_group group, struct ring_event *event)
{
    struct ring_buffers *buffers = &ring->buffers[group];

    MUST(buffers->idle > 0);
    event->buffer = buffers->stack[--buffers->idle];
    event->group = (uint8_t)group;
    event->flags |= RING_EVENT_BUFFER;
    buffers->lent++;
}

struct bytes ring_event_bytes(const struct ring *ring, const struct ring_event *event)
{
    const struct ring_buffers *buffers;

    MUST((event->flags & RING_EVENT_BUFFER) != 0);
    MUST(event->group < RING_GROUP_COUNT);
    buffers = &ring->buffers[event->group];
    MUST(event->buffer < buffers->capacity);
    return bytes_of(buffers->memory + (size_t)event->buffer * buffers->stride,
                    event->result > 0 ? (size_t)event->result : 0);
}

bool ring_buffer_return(struct ring *ring, uint8_t group, uint16_t buffer)
{
    struct ring_buffers *buffers;

    MUST(group < RING_GROUP_COUNT);
    buffers = &ring->buffers[group];
    MUST(buffer < buffers->capacity);
    MUST(buffers->lent > 0);
    buffers->lent--;
    buffers->stack[buffers->idle++] = buffer;
    return buffers->lent + 1 == buffers->capacity;
}

uint32_t ring_buffers_free(const struct ring *ring, enum ring_group group)
{
    MUST(group < RING_GROUP_COUNT);
    return ring->buffers[group].capacity - ring->buffers[group].lent;
}
