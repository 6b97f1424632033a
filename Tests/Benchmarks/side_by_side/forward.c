/* The floor of the benchmark: bytes from one socket to the other and nothing else, edge-triggered
 * epoll on one thread.
 *
 *   forward --pair LISTEN=TARGET [--pair ...] [--splice] [--cpu N] [--congestion NAME]
 *
 * Each accepted connection gets one to its target. Bytes are copied through one buffer, or with
 * --splice moved through a pipe per direction. A half-close is passed on; an error closes both
 * ends. Ends with SIGTERM. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kit.h"

#define BATCH     256
#define PAIRS_MAX 4u
#define COPY_SIZE (64u << 10)
#define PIPE_SIZE (256 << 10)

struct stream;

struct lane { /* one direction */
    struct stream *stream;
    int from;
    int to;
    int pipe[2];
    size_t inside; /* bytes in the pipe */
    uint8_t *rest; /* what the socket did not take */
    size_t rest_from, rest_to;
    bool readable;
    bool ended; /* the source has; passed on when all is out */
    bool shut;
};

struct stream {
    struct lane lanes[2]; /* from the client, from the target */
    bool dead;            /* closed; freed at the end of the batch */
    struct stream *next_dead;
};

struct pair {
    int listener;
    uint16_t target;
};

static struct pair pairs[PAIRS_MAX];
static uint32_t pair_count;
static uint8_t buffer[COPY_SIZE];
static struct stream *dead;
static const char *congestion;
static bool use_splice;
static int poller;

static void watch(int fd, uint32_t events, void *data)
{
    struct epoll_event event = {.events = events, .data.ptr = data};

    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) != 0) {
        kit_die("epoll: %s", strerror(errno));
    }
}

static void open_stream(int client, uint16_t target)
{
    struct stream *stream = calloc(1, sizeof(*stream));
    int upstream = kit_connect(target, congestion);

    if (stream == NULL || upstream < 0) {
        kit_die("no memory or no descriptor for a connection");
    }
    for (int i = 0; i < 2; i++) {
        struct lane *lane = &stream->lanes[i];

        lane->stream = stream;
        lane->from = i == 0 ? client : upstream;
        lane->to = i == 0 ? upstream : client;
        if (use_splice && pipe2(lane->pipe, O_NONBLOCK | O_CLOEXEC) != 0) {
            kit_die("pipe: %s", strerror(errno));
        }
        if (use_splice) {
            (void)fcntl(lane->pipe[1], F_SETPIPE_SZ, PIPE_SIZE);
        }
    }
    for (int i = 0; i < 2; i++) {
        watch(stream->lanes[i].from, EPOLLIN | EPOLLOUT | EPOLLET, &stream->lanes[i]);
    }
}

static void close_stream(struct stream *stream)
{
    for (int i = 0; i < 2; i++) {
        struct lane *lane = &stream->lanes[i];

        close(lane->from);
        if (use_splice) {
            close(lane->pipe[0]);
            close(lane->pipe[1]);
        }
        free(lane->rest);
    }
    stream->dead = true;
    stream->next_dead = dead;
    dead = stream;
}

/* What an attempt to move bytes means: -1 the connection is over, 0 not now, else they moved. */
static int moved(ssize_t count)
{
    if (count > 0) {
        return 1;
    }
    /* ENOTCONN: the target is still being connected. */
    return count < 0 && (errno == EAGAIN || errno == ENOTCONN) ? 0 : -1;
}

/* true: nothing is left to send. */
static int flush_rest(struct lane *lane)
{
    while (lane->rest_from < lane->rest_to) {
        ssize_t sent = send(lane->to, lane->rest + lane->rest_from, lane->rest_to - lane->rest_from,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        int step = moved(sent);

        if (step <= 0) {
            return step;
        }
        lane->rest_from += (size_t)sent;
    }
    return 1;
}

static int copy_lane(struct lane *lane)
{
    int step = flush_rest(lane);

    while (step > 0 && lane->readable && !lane->ended) {
        ssize_t got = recv(lane->from, buffer, sizeof(buffer), MSG_DONTWAIT);

        lane->ended = got == 0;
        step = lane->ended ? 1 : moved(got);
        lane->readable = got == (ssize_t)sizeof(buffer); /* else its next byte brings an event */
        if (step <= 0 || lane->ended) {
            break;
        }
        ssize_t sent = send(lane->to, buffer, (size_t)got, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent < got) {
            step = moved(sent);
            sent = sent < 0 ? 0 : sent;
            lane->rest = lane->rest != NULL ? lane->rest : malloc(COPY_SIZE);
            if (lane->rest == NULL) {
                return -1;
            }
            lane->rest_from = 0;
            lane->rest_to = (size_t)(got - sent);
            memcpy(lane->rest, buffer + sent, lane->rest_to);
            step = step < 0 ? -1 : 0;
        }
    }
    return step;
}

static int splice_lane(struct lane *lane)
{
    const unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;

    for (;;) {
        while (lane->inside > 0) {
            ssize_t out = splice(lane->pipe[0], NULL, lane->to, NULL, lane->inside, flags);
            int step = moved(out);

            if (step <= 0) {
                return step;
            }
            lane->inside -= (size_t)out;
        }
        if (!lane->readable || lane->ended) {
            return 1;
        }
        ssize_t in = splice(lane->from, NULL, lane->pipe[1], NULL, PIPE_SIZE, flags);

        if (in <= 0) {
            lane->readable = false;
            lane->ended = in == 0;
            return lane->ended ? 1 : moved(in);
        }
        lane->inside += (size_t)in;
    }
}

/* false: the stream is over. */
static bool run_lane(struct lane *lane)
{
    int step = use_splice ? splice_lane(lane) : copy_lane(lane);

    if (step > 0 && lane->ended && !lane->shut) {
        lane->shut = true;
        (void)shutdown(lane->to, SHUT_WR);
    }
    return step >= 0 && !(lane->stream->lanes[0].shut && lane->stream->lanes[1].shut);
}

static void run_event(struct lane *in, uint32_t events)
{
    struct stream *stream = in->stream;
    struct lane *out = in == &stream->lanes[0] ? &stream->lanes[1] : &stream->lanes[0];
    bool alive = true;

    if (stream->dead) {
        return;
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
        in->readable = true;
        alive = run_lane(in);
    }
    if (alive && (events & EPOLLOUT) != 0 && (out->inside > 0 || out->rest_from < out->rest_to)) {
        alive = run_lane(out);
    }
    if (!alive) {
        close_stream(stream);
    }
}

static void accept_all(const struct pair *pair)
{
    int client;

    while ((client = accept4(pair->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        kit_tune(client, congestion);
        open_stream(client, pair->target);
    }
}

static void add_pair(char *text)
{
    char *target = strchr(text, '=');

    if (target == NULL || pair_count == PAIRS_MAX) {
        kit_die("--pair: expected LISTEN=TARGET, at most %u times", PAIRS_MAX);
    }
    *target++ = '\0';
    pairs[pair_count++] = (struct pair){
        .listener = kit_listen((uint16_t)kit_number("--pair", text, UINT16_MAX), NULL),
        .target = (uint16_t)kit_number("--pair", target, UINT16_MAX)};
}

static void parse(int argc, char **argv)
{
    static const struct option known[] = {
        {"pair", required_argument, NULL, 'p'},
        {"splice", no_argument, NULL, 's'},
        {"cpu", required_argument, NULL, 'c'},
        {"congestion", required_argument, NULL, 'g'},
        {NULL, 0, NULL, 0},
    };
    int name;

    while ((name = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (name) {
        case 'p':
            add_pair(optarg);
            break;
        case 's':
            use_splice = true;
            break;
        case 'c':
            kit_pin((int)kit_number("--cpu", optarg, 1023));
            break;
        case 'g':
            congestion = optarg;
            break;
        default: /* getopt_long() has said what is wrong */
            exit(64);
        }
    }
    if (pair_count == 0) {
        kit_die("--pair is needed");
    }
}

int main(int argc, char **argv)
{
    struct epoll_event events[BATCH];

    signal(SIGPIPE, SIG_IGN);
    kit_open_files();
    parse(argc, argv);
    poller = epoll_create1(EPOLL_CLOEXEC);
    for (uint32_t i = 0; i < pair_count; i++) {
        watch(pairs[i].listener, EPOLLIN, &pairs[i]);
    }
    for (;;) {
        int count = epoll_wait(poller, events, BATCH, -1);

        for (int i = 0; i < count; i++) {
            const struct pair *pair = events[i].data.ptr;

            if (pair >= pairs && pair < pairs + PAIRS_MAX) {
                accept_all(pair);
            } else {
                run_event(events[i].data.ptr, events[i].events);
            }
        }
        while (dead != NULL) {
            struct stream *gone = dead;

            dead = gone->next_dead;
            free(gone);
        }
    }
}
