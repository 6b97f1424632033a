/* Connections that do one request each and then nothing, for measuring what they cost.
 *
 * Commands on standard input, one answer line each: a number opens connections up to that many;
 * `check` asks one more request on every connection; the end of input ends. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "load.h"

#define PATIENCE_MS 5000

/* Waits for something on `conn`; what other connections say is that they were dropped. */
static bool wait_for(struct load_thread *thread, const struct load_conn *conn)
{
    struct epoll_event event;

    for (;;) {
        if (epoll_wait(thread->poller, &event, 1, PATIENCE_MS) != 1) {
            return false;
        }
        if (event.data.ptr == conn) {
            return true;
        }
        if ((event.events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0) {
            thread->errors[LOAD_CLOSED]++;
        }
    }
}

static bool connect_one(struct load_thread *thread, struct load_conn *conn)
{
    enum load_error error = load_conn_open(thread, conn);

    while (error == LOAD_OK && wait_for(thread, conn)) {
        error = load_conn_shake(conn);
        if (error == LOAD_OK) {
            return true;
        }
        error = error == LOAD_AGAIN ? LOAD_OK : error;
    }
    return false;
}

static bool ask_one(struct load_thread *thread, struct load_conn *conn)
{
    uint32_t ended = 0;

    load_work_begin(thread->options, conn, 0);
    if (load_conn_flush(thread->options, conn) != LOAD_OK) {
        return false;
    }
    for (;;) {
        ssize_t got = load_conn_read(conn, thread->buffer, thread->buffer_size);
        struct load_bytes in = {thread->buffer, got > 0 ? (size_t)got : 0};

        if (got == 0 || got == -2 || (got == -1 && !wait_for(thread, conn))) {
            return false;
        }
        if (got > 0 && load_work_take(thread->options, conn, in, &ended) != LOAD_OK) {
            return false;
        }
        if (ended > 0) {
            return true;
        }
    }
}

static uint32_t check_all(struct load_thread *thread)
{
    uint32_t good = 0;

    for (uint32_t i = 0; i < thread->connected; i++) {
        good += ask_one(thread, &thread->conns[i]) ? 1 : 0;
    }
    return good;
}

static void open_until(struct load_thread *thread, uint32_t wanted)
{
    while (thread->connected < wanted && thread->connected < thread->count) {
        struct load_conn *conn = &thread->conns[thread->connected];

        conn->base = (uint64_t)thread->connected << 32;
        if (!connect_one(thread, conn) || !ask_one(thread, conn)) {
            kit_die("connection %u got no right answer", thread->connected + 1);
        }
        thread->connected++;
    }
}

int load_idle_run(const struct load_options *options)
{
    static struct load_thread thread;
    char line[32];

    thread.options = options;
    thread.poller = epoll_create1(EPOLL_CLOEXEC);
    thread.count = options->connections;
    thread.conns = calloc(thread.count, sizeof(*thread.conns));
    thread.buffer_size = 64 << 10;
    thread.buffer = malloc(thread.buffer_size);
    if (thread.conns == NULL || thread.buffer == NULL) {
        kit_die("no memory for %u connections", thread.count);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strcmp(line, "check") == 0) {
            printf("answered %u dropped %llu\n", check_all(&thread),
                   (unsigned long long)thread.errors[LOAD_CLOSED]);
        } else {
            open_until(&thread, (uint32_t)kit_number("connections", line, UINT32_MAX));
            printf("open %u\n", thread.connected);
        }
    }
    return 0;
}
