/* Variants c and e: edge-triggered epoll, with read and write through one buffer or with splice
 * through a pipe per direction. Variant g: c, level-triggered: a socket is asked about what its
 * pair can go on with at the moment, so a lane that holds something back costs two epoll_ctl(). */
#include "forward.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX  256
#define BUFFER_SIZE 65536

struct lane { /* one direction */
    int from;
    int to;
    int pipe[2];
    size_t inside; /* bytes in the pipe */
    uint8_t *rest; /* what the socket did not take */
    size_t rest_from;
    size_t rest_to;
    uint32_t asked; /* level-triggered: events of `from` */
    bool readable;
};

struct pair {
    struct lane lanes[2];
    bool open;
};

static struct pair pairs[FORWARD_PAIRS_MAX];
static uint8_t shared_buffer[BUFFER_SIZE];
static int epoll_fd;

static void watch(int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = {.events = events, .data.u64 = data};

    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        forward_fail("epoll_ctl", errno);
    }
}

/* Level-triggered: reading from a socket waits for what it brought to be gone, and room is asked
 * for only then. */
static void ask(struct pair *pair, uint32_t slot)
{
    for (uint32_t i = 0; i < 2; i++) {
        struct lane *lane = &pair->lanes[i];
        const struct lane *toward = &pair->lanes[1 - i]; /* writes to this socket */
        uint32_t events = (lane->rest_from < lane->rest_to ? 0 : EPOLLIN) |
                          (toward->rest_from < toward->rest_to ? EPOLLOUT : 0);
        struct epoll_event event = {.events = events, .data.u64 = (uint64_t)slot * 2 + i};

        if (events != lane->asked) {
            lane->asked = events;
            if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, lane->from, &event) != 0) {
                forward_fail("epoll_ctl", errno);
            }
        }
    }
}

static void open_pair(int client, const struct forward_options *options)
{
    uint32_t slot = 0;
    int upstream = forward_dial(options->upstream);

    while (slot < FORWARD_PAIRS_MAX && pairs[slot].open) {
        slot++;
    }
    if (slot == FORWARD_PAIRS_MAX) {
        forward_fail("too many connections", EMFILE);
    }
    pairs[slot] = (struct pair){.open = true};
    for (int i = 0; i < 2; i++) {
        struct lane *lane = &pairs[slot].lanes[i];

        lane->from = i == 0 ? client : upstream;
        lane->to = i == 0 ? upstream : client;
        if (options->splice) {
            if (pipe2(lane->pipe, O_NONBLOCK | O_CLOEXEC) != 0) {
                forward_fail("pipe", errno);
            }
            (void)fcntl(lane->pipe[1], F_SETPIPE_SZ, FORWARD_PIPE_SIZE);
        }
        /* Low bit: which lane the socket is read by. */
        lane->asked = EPOLLIN;
        watch(lane->from, options->level ? EPOLLIN : EPOLLIN | EPOLLOUT | EPOLLET,
              (uint64_t)slot * 2 + (uint64_t)i);
    }
}

static void close_pair(struct pair *pair)
{
    for (int i = 0; i < 2; i++) {
        struct lane *lane = &pair->lanes[i];

        close(lane->from);
        free(lane->rest);
        if (lane->pipe[1] != 0) {
            close(lane->pipe[0]);
            close(lane->pipe[1]);
        }
    }
    *pair = (struct pair){0};
}

/* false: the connection is over. */
static bool flush_rest(struct lane *lane)
{
    while (lane->rest_from < lane->rest_to) {
        ssize_t sent = send(lane->to, lane->rest + lane->rest_from, lane->rest_to - lane->rest_from,
                            MSG_NOSIGNAL);

        if (sent < 0) {
            return errno == EAGAIN;
        }
        lane->rest_from += (size_t)sent;
    }
    return true;
}

static bool copy_lane(struct lane *lane)
{
    if (!flush_rest(lane)) {
        return false;
    }
    while (lane->readable && lane->rest_from == lane->rest_to) {
        ssize_t got = recv(lane->from, shared_buffer, BUFFER_SIZE, 0);
        ssize_t sent;

        if (got <= 0) {
            lane->readable = false;
            return got < 0 && errno == EAGAIN;
        }
        if (got < BUFFER_SIZE) { /* the next edge comes with the next bytes */
            lane->readable = false;
        }
        sent = send(lane->to, shared_buffer, (size_t)got, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) {
            return false;
        }
        sent = sent < 0 ? 0 : sent;
        if (sent < got) {
            lane->rest = lane->rest != NULL ? lane->rest : malloc(BUFFER_SIZE);
            memcpy(lane->rest, shared_buffer + sent, (size_t)(got - sent));
            lane->rest_from = 0;
            lane->rest_to = (size_t)(got - sent);
        }
    }
    return true;
}

static bool splice_lane(struct lane *lane)
{
    const unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;

    for (;;) {
        while (lane->inside > 0) {
            ssize_t out = splice(lane->pipe[0], NULL, lane->to, NULL, lane->inside, flags);

            if (out < 0) {
                return errno == EAGAIN;
            }
            lane->inside -= (size_t)out;
        }
        if (!lane->readable) {
            return true;
        }
        ssize_t in = splice(lane->from, NULL, lane->pipe[1], NULL, FORWARD_PIPE_SIZE, flags);

        if (in <= 0) {
            lane->readable = false;
            return in < 0 && errno == EAGAIN;
        }
        lane->inside += (size_t)in;
    }
}

static void accept_all(const struct forward_options *options)
{
    int client;

    while ((client = accept4(options->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        open_pair(client, options);
    }
}

static void run_event(const struct epoll_event *event, const struct forward_options *options)
{
    struct pair *pair = &pairs[event->data.u64 / 2];
    struct lane *in = &pair->lanes[event->data.u64 % 2];
    struct lane *out = &pair->lanes[1 - event->data.u64 % 2];
    bool (*run)(struct lane *) = options->splice ? splice_lane : copy_lane;
    bool alive = pair->open;

    if (alive && (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
        in->readable = true;
        alive = run(in);
    }
    if (alive && (event->events & EPOLLOUT) != 0 &&
        (out->inside > 0 || out->rest_from < out->rest_to)) {
        alive = run(out);
    }
    if (pair->open && !alive) {
        close_pair(pair);
    } else if (pair->open && options->level) {
        ask(pair, (uint32_t)(event->data.u64 / 2));
    }
}

void forward_epoll(const struct forward_options *options)
{
    struct epoll_event events[EVENTS_MAX];

    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    watch(options->listener, EPOLLIN, UINT64_MAX);
    for (;;) {
        int count = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);

        for (int i = 0; i < count; i++) {
            if (events[i].data.u64 == UINT64_MAX) {
                accept_all(options);
            } else {
                run_event(&events[i], options);
            }
        }
    }
}
