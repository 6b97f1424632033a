/* The loop of one thread: as many requests as possible, or some per second on a schedule.
 *
 * On a schedule a request's latency counts from when it was due, so that a proxy which stops for a
 * while is charged for all that should have been asked meanwhile. */
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>

#include "load.h"

#define BATCH         256
#define ERRORS_MAX    1000u
#define CONNECT_AHEAD 64u /* connections being opened at once */
#define LATE_NS       1000000u
#define STALLED_NS    1000000000u

static uint32_t index_of(const struct load_thread *thread, const struct load_conn *conn)
{
    return (uint32_t)(conn - thread->conns);
}

static void push_idle(struct load_thread *thread, struct load_conn *conn)
{
    if (!conn->queued) {
        uint32_t at = (thread->idle_head + thread->idle_count++) % thread->count;

        thread->idle[at] = index_of(thread, conn);
        conn->queued = true;
    }
}

static struct load_conn *pop_idle(struct load_thread *thread)
{
    struct load_conn *conn = &thread->conns[thread->idle[thread->idle_head]];

    thread->idle_head = (thread->idle_head + 1) % thread->count;
    thread->idle_count--;
    conn->queued = false;
    return conn;
}

static uint64_t errors_of(const struct load_thread *thread)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < LOAD_ERROR_COUNT; i++) {
        sum += thread->errors[i];
    }
    return sum;
}

static void open_one(struct load_thread *thread, struct load_conn *conn)
{
    conn->opened_ns = kit_now_ns();
    if (load_conn_open(thread, conn) != LOAD_OK) {
        thread->errors[LOAD_NO_CONNECT]++;
        load_conn_close(conn);
    }
}

static void note_served(struct load_conn *conn)
{
    if (!conn->served) {
        conn->served = true;
        atomic_fetch_add(&load_served, 1);
    }
}

static void fail(struct load_thread *thread, struct load_conn *conn, enum load_error error)
{
    note_served(conn); /* its error is told in the end, so nobody has to wait for it */
    thread->errors[error]++;
    load_conn_close(conn);
    if (errors_of(thread) < ERRORS_MAX) {
        open_one(thread, conn);
    }
}

static enum load_error begin(struct load_thread *thread, struct load_conn *conn, uint64_t now)
{
    load_work_begin(thread->options, conn, now);
    enum load_error error = load_conn_flush(thread->options, conn);

    return error == LOAD_AGAIN ? LOAD_OK : error;
}

/* A connection that may take another request gets it, or waits for its turn on the schedule. */
static enum load_error go_on(struct load_thread *thread, struct load_conn *conn)
{
    const struct load_options *options = thread->options;
    enum load_error error = LOAD_OK;

    if (options->rate > 0) {
        if (conn->in_flight == 0) {
            push_idle(thread, conn);
        }
        return LOAD_OK;
    }
    while (error == LOAD_OK && conn->in_flight < options->depth && conn->out_head == 0 &&
           conn->out_body == 0) {
        error = begin(thread, conn, options->fresh ? conn->opened_ns : kit_now_ns());
    }
    return error;
}

static void account(struct load_thread *thread, struct load_conn *conn, uint32_t ended)
{
    uint64_t now = kit_now_ns();

    note_served(conn);
    if (atomic_load_explicit(&load_phase, memory_order_relaxed) != LOAD_MEASURING) {
        return;
    }
    for (uint32_t i = 0; i < ended; i++) {
        uint64_t number = conn->answered - ended + i;

        load_hist_add(&thread->hist, now - conn->begun_ns[number % LOAD_DEPTH_MAX]);
    }
    thread->requests += ended;
    thread->resumed += conn->resumed ? ended : 0;
    thread->bytes += (uint64_t)ended * (thread->options->up + thread->options->down);
}

/* Reads all there is; *ended says how many answers that completed. */
static enum load_error drain(struct load_thread *thread, struct load_conn *conn, uint32_t *ended)
{
    for (;;) {
        ssize_t got = load_conn_read(conn, thread->buffer, thread->buffer_size);

        if (got == -1) {
            return LOAD_OK;
        }
        if (got <= 0) {
            return LOAD_CLOSED;
        }
        struct load_bytes in = {thread->buffer, (size_t)got};
        enum load_error error = load_work_take(thread->options, conn, in, ended);

        if (error != LOAD_OK) {
            return error;
        }
        if (conn->ssl == NULL && (size_t)got < thread->buffer_size) {
            return LOAD_OK; /* the socket is empty, and its next byte brings an event */
        }
    }
}

static enum load_error shake(struct load_thread *thread, struct load_conn *conn)
{
    enum load_error error = load_conn_shake(conn);

    if (error != LOAD_OK) {
        return error == LOAD_AGAIN ? LOAD_OK : error;
    }
    thread->connected++;
    return go_on(thread, conn);
}

static enum load_error pump(struct load_thread *thread, struct load_conn *conn)
{
    uint32_t ended = 0;
    enum load_error error = load_conn_flush(thread->options, conn);

    if (error == LOAD_CLOSED) {
        return error;
    }
    error = drain(thread, conn, &ended);
    if (ended > 0) {
        account(thread, conn, ended);
    }
    if (error != LOAD_OK) {
        return error;
    }
    if (ended > 0 && thread->options->fresh) {
        load_conn_close(conn);
        open_one(thread, conn);
        return LOAD_OK;
    }
    if (ended > 0 || thread->options->rate <= 0) {
        return go_on(thread, conn);
    }
    return LOAD_OK;
}

static void handle(struct load_thread *thread, struct load_conn *conn, uint32_t events)
{
    enum load_error error;

    if (conn->fd < 0) {
        return;
    }
    if (!conn->connected && (events & (EPOLLOUT | EPOLLIN | EPOLLERR | EPOLLHUP)) == 0) {
        return;
    }
    error = conn->connected ? pump(thread, conn) : shake(thread, conn);
    if (error != LOAD_OK) {
        fail(thread, conn, error);
    }
}

/* Begins what is due; a request that finds no free connection stays due. */
static void keep_schedule(struct load_thread *thread)
{
    uint64_t now = kit_now_ns();

    while (thread->due_ns <= now && thread->idle_count > 0) {
        struct load_conn *conn = pop_idle(thread);

        if (!conn->connected || conn->in_flight > 0) {
            continue; /* it failed meanwhile, and comes back by itself */
        }
        if (now - thread->due_ns > LATE_NS &&
            atomic_load_explicit(&load_phase, memory_order_relaxed) == LOAD_MEASURING) {
            thread->late++;
        }
        enum load_error error = begin(thread, conn, thread->due_ns);

        if (error != LOAD_OK) {
            fail(thread, conn, error);
        }
        thread->due_ns += thread->step_ns;
    }
}

static int wait_for(struct load_thread *thread, struct epoll_event *events, bool scheduled)
{
    struct timespec sleep = {0, 50000000};

    if (scheduled) {
        uint64_t now = kit_now_ns();
        uint64_t left = thread->due_ns > now ? thread->due_ns - now : 0;

        if (thread->idle_count > 0 && left < (uint64_t)sleep.tv_nsec) {
            sleep.tv_nsec = (long)left;
        }
    }
    if (thread->options->spin) {
        sleep.tv_nsec = 0;
    }
    return epoll_pwait2(thread->poller, events, BATCH, &sleep, NULL);
}

static void count_stalled(struct load_thread *thread)
{
    uint64_t now = kit_now_ns();

    for (uint32_t i = 0; i < thread->count; i++) {
        struct load_conn *conn = &thread->conns[i];

        if (conn->in_flight > 0 &&
            now - conn->begun_ns[conn->answered % LOAD_DEPTH_MAX] > STALLED_NS) {
            thread->errors[LOAD_STALLED]++;
        }
        load_conn_close(conn);
    }
}

static void prepare(struct load_thread *thread)
{
    thread->poller = epoll_create1(EPOLL_CLOEXEC);
    thread->conns = calloc(thread->count, sizeof(*thread->conns));
    thread->idle = calloc(thread->count, sizeof(*thread->idle));
    thread->buffer_size = 256 << 10;
    thread->buffer = malloc(thread->buffer_size);
    if (thread->poller < 0 || thread->conns == NULL || thread->idle == NULL ||
        thread->buffer == NULL) {
        kit_die("no memory for %u connections", thread->count);
    }
    for (uint32_t i = 0; i < thread->count; i++) {
        thread->conns[i].fd = -1;
        thread->conns[i].base = ((uint64_t)(uint32_t)(thread->cpu + 2) << 16 | i) << 32;
    }
    if (thread->options->rate > 0) {
        (void)prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);
    }
}

void *load_loop_run(void *argument)
{
    struct load_thread *thread = argument;
    struct epoll_event events[BATCH];
    uint32_t opened = 0;
    bool scheduled = false;

    kit_pin(thread->cpu);
    prepare(thread);
    while (atomic_load_explicit(&load_phase, memory_order_relaxed) != LOAD_ENDED &&
           errors_of(thread) < ERRORS_MAX) {
        while (opened < thread->count && opened < thread->connected + CONNECT_AHEAD) {
            open_one(thread, &thread->conns[opened++]);
        }
        int count = wait_for(thread, events, scheduled);

        for (int i = 0; i < count; i++) {
            handle(thread, events[i].data.ptr, events[i].events);
        }
        if (thread->options->rate > 0 && thread->connected >= thread->count) {
            if (!scheduled) {
                scheduled = true;
                thread->due_ns = kit_now_ns();
            }
            keep_schedule(thread);
        }
    }
    count_stalled(thread);
    return NULL;
}
