/* The backend of the benchmark, the same for every proxy: HTTP/1.1 and the exchange protocol of
 * kit.h on one thread.
 *
 *   backend --http PORT --exchange PORT --grpc PORT [--cpu N] [--congestion NAME] [--spin]
 *
 * HTTP: `GET /b/BYTES/SEQ` is answered with BYTES of body(SEQ), `GET /t/BYTES/SEQ` with text, as
 * text/html; anything else closes. Requests may be pipelined; no body is accepted. gRPC:
 * backend_h2.h. Ends with SIGTERM. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "backend_h2.h"
#include "kit.h"

#define BATCH      256
#define HEAD_MAX   8192u
#define ANSWER_MAX 256u

struct conn {
    int fd;
    bool exchange;
    bool waits_to_write;
    struct backend_h2 *h2; /* or NULL */
    uint32_t have;         /* bytes in `in` */
    uint32_t up_left;
    struct kit_exchange message;
    uint32_t out_head; /* what `head` still has to send, at its end */
    uint32_t out_head_len;
    const uint8_t *out_body;
    size_t out_body_len;
    uint8_t head[ANSWER_MAX];
    uint8_t in[HEAD_MAX];
};

static int poller;
static uint8_t bulk[256 << 10];
static int listeners[3]; /* HTTP, exchange, gRPC */
static const char *congestion;

static void drop(struct conn *conn)
{
    close(conn->fd);
    free(conn->h2);
    free(conn);
}

static void want(struct conn *conn, bool write)
{
    struct epoll_event event = {.events = write ? EPOLLOUT : EPOLLIN, .data.ptr = conn};

    if (conn->waits_to_write != write) {
        conn->waits_to_write = write;
        (void)epoll_ctl(poller, EPOLL_CTL_MOD, conn->fd, &event);
    }
}

/* 1 all is out, 0 the socket is full, -1 the connection is gone. */
static int flush(struct conn *conn)
{
    while (conn->out_head > 0 || conn->out_body_len > 0) {
        struct iovec parts[2] = {
            {conn->head + conn->out_head_len - conn->out_head, conn->out_head},
            {(void *)(uintptr_t)conn->out_body, conn->out_body_len},
        };
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
        ssize_t sent = sendmsg(conn->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent < 0) {
            want(conn, errno == EAGAIN);
            return errno == EAGAIN ? 0 : -1;
        }
        size_t of_head = (size_t)sent < conn->out_head ? (size_t)sent : conn->out_head;

        conn->out_head -= (uint32_t)of_head;
        conn->out_body += (size_t)sent - of_head;
        conn->out_body_len -= (size_t)sent - of_head;
    }
    want(conn, false);
    return 1;
}

static bool digits(const uint8_t **at, const uint8_t *end, uint64_t *value)
{
    const uint8_t *start = *at;

    *value = 0;
    while (*at < end && **at >= '0' && **at <= '9' && *at - start < 19) {
        *value = *value * 10 + (uint64_t)(**at - '0');
        (*at)++;
    }
    return *at > start;
}

/* The next whole request in `in` becomes an answer: 1, 0 when there is none, -1 when it is wrong.
 */
static int take_request(struct conn *conn)
{
    static const char prefix[] = "GET /b/", text[] = "GET /t/";
    static uint64_t known = UINT64_MAX;
    static bool known_text;
    static char answer[ANSWER_MAX];
    static uint32_t answer_len;
    const uint8_t *end = memmem(conn->in, conn->have, "\r\n\r\n", 4);
    const uint8_t *at = conn->in + sizeof(prefix) - 1;
    bool is_text = memcmp(conn->in, text, sizeof(text) - 1) == 0;
    uint64_t bytes, seq;

    if (end == NULL) {
        return conn->have == HEAD_MAX ? -1 : 0;
    }
    if ((!is_text && memcmp(conn->in, prefix, sizeof(prefix) - 1) != 0) ||
        !digits(&at, end, &bytes) || *at++ != '/' || !digits(&at, end, &seq) || *at != ' ' ||
        bytes > KIT_BODY_MAX) {
        return -1;
    }
    if (bytes != known || is_text != known_text) {
        known = bytes;
        known_text = is_text;
        answer_len = (uint32_t)snprintf(answer, sizeof(answer),
                                        "HTTP/1.1 200 OK\r\nServer: backend\r\nContent-Type: %s\r\n"
                                        "Cache-Control: no-store\r\nContent-Length: %llu\r\n\r\n",
                                        is_text ? "text/html" : "application/octet-stream",
                                        (unsigned long long)bytes);
    }
    memcpy(conn->head, answer, answer_len);
    conn->out_head = conn->out_head_len = answer_len;
    conn->out_body = is_text ? kit_text(seq) : kit_body(seq);
    conn->out_body_len = bytes;
    conn->have -= (uint32_t)(end + 4 - conn->in);
    memmove(conn->in, end + 4, conn->have);
    return 1;
}

/* `len` bytes of the upward part of a message; false when they are not as they should be. */
static bool take_up(struct conn *conn, const uint8_t *data, uint32_t len)
{
    const uint8_t *wanted = kit_body(conn->message.seq) + (conn->message.up - conn->up_left);

    conn->up_left -= len;
    return memcmp(data, wanted, len) == 0;
}

static void answer_exchange(struct conn *conn)
{
    memcpy(conn->head, &conn->message.seq, KIT_ANSWER_HEAD);
    conn->out_head = conn->out_head_len = KIT_ANSWER_HEAD;
    conn->out_body = kit_body(conn->message.seq + 1);
    conn->out_body_len = conn->message.down - KIT_ANSWER_HEAD;
    conn->message.down = 0; /* nothing is owed any more */
}

/* As take_request(), for one message of the exchange protocol. */
static int take_message(struct conn *conn)
{
    if (conn->message.down == 0) {
        if (conn->have < KIT_EXCHANGE_HEAD) {
            return 0;
        }
        memcpy(&conn->message, conn->in, KIT_EXCHANGE_HEAD);
        if (conn->message.up > KIT_BODY_MAX || conn->message.down > KIT_BODY_MAX ||
            conn->message.down < KIT_ANSWER_HEAD) {
            return -1;
        }
        conn->up_left = conn->message.up;
        conn->have -= KIT_EXCHANGE_HEAD;
        memmove(conn->in, conn->in + KIT_EXCHANGE_HEAD, conn->have);
    }
    uint32_t here = conn->have < conn->up_left ? conn->have : conn->up_left;

    if (!take_up(conn, conn->in, here)) {
        return -1;
    }
    conn->have -= here;
    memmove(conn->in, conn->in + here, conn->have);
    if (conn->up_left > 0) {
        return 0;
    }
    answer_exchange(conn);
    return 1;
}

/* Answers what has come; false when the connection is to be dropped. */
static bool serve(struct conn *conn)
{
    if (conn->h2 != NULL) {
        int served = backend_h2_serve(conn->h2, conn->fd);

        want(conn, served == 0);
        return served >= 0;
    }
    for (;;) {
        int flushed = flush(conn);

        if (flushed <= 0) {
            return flushed == 0;
        }
        int taken = conn->exchange ? take_message(conn) : take_request(conn);

        if (taken < 0) {
            return false;
        }
        if (taken == 0) {
            return true;
        }
    }
}

/* The upward part of a message straight from the socket, past `in`. */
static ssize_t receive_bulk(struct conn *conn)
{
    size_t most = conn->up_left < sizeof(bulk) ? conn->up_left : sizeof(bulk);
    ssize_t got = recv(conn->fd, bulk, most, MSG_DONTWAIT);

    if (got > 0 && !take_up(conn, bulk, (uint32_t)got)) {
        return -2;
    }
    return got;
}

static void readable(struct conn *conn)
{
    ssize_t got;

    if (conn->h2 != NULL) {
        if (!serve(conn)) {
            drop(conn);
        }
        return;
    }
    if (conn->exchange && conn->message.down > 0 && conn->up_left > 0 && conn->have == 0) {
        got = receive_bulk(conn);
    } else {
        got = recv(conn->fd, conn->in + conn->have, HEAD_MAX - conn->have, MSG_DONTWAIT);
        conn->have += got > 0 ? (uint32_t)got : 0;
    }
    if (got < 0 && errno == EAGAIN && got != -2) {
        return;
    }
    if (got <= 0 || !serve(conn)) {
        drop(conn);
    }
}

static void welcome(int listener)
{
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0) {
            return;
        }
        struct conn *conn = calloc(1, sizeof(*conn));
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};

        if (conn != NULL && listener == listeners[2]) {
            conn->h2 = calloc(1, sizeof(*conn->h2));
        }
        if (conn == NULL || (listener == listeners[2] && conn->h2 == NULL)) {
            kit_die("no memory for a connection");
        }
        conn->fd = fd;
        conn->exchange = listener == listeners[1];
        kit_tune(fd, congestion);
        if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) != 0) {
            drop(conn);
        }
    }
}

_Noreturn static void run(int timeout)
{
    struct epoll_event events[BATCH];

    for (;;) {
        int count = epoll_wait(poller, events, BATCH, timeout);

        for (int i = 0; i < count; i++) {
            struct conn *conn = events[i].data.ptr;

            if (conn == (void *)&listeners[0] || conn == (void *)&listeners[1] ||
                conn == (void *)&listeners[2]) {
                welcome(*(int *)(void *)conn);
            } else if (!conn->waits_to_write) {
                readable(conn);
            } else if (!serve(conn)) {
                drop(conn);
            }
        }
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"http", required_argument, NULL, 'h'},
        {"exchange", required_argument, NULL, 'x'},
        {"cpu", required_argument, NULL, 'c'},
        {"congestion", required_argument, NULL, 'g'},
        {"spin", no_argument, NULL, 's'},
        {"grpc", required_argument, NULL, 'r'},
        {NULL, 0, NULL, 0},
    };
    uint16_t ports[3] = {0, 0, 0};
    int timeout = -1, cpu = -1, name;

    while ((name = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (name) {
        case 'h':
            ports[0] = (uint16_t)kit_number("--http", optarg, UINT16_MAX);
            break;
        case 'x':
            ports[1] = (uint16_t)kit_number("--exchange", optarg, UINT16_MAX);
            break;
        case 'r':
            ports[2] = (uint16_t)kit_number("--grpc", optarg, UINT16_MAX);
            break;
        case 'c':
            cpu = (int)kit_number("--cpu", optarg, 1023);
            break;
        case 'g':
            congestion = optarg;
            break;
        case 's':
            timeout = 0;
            break;
        default:
            return 64;
        }
    }
    signal(SIGPIPE, SIG_IGN);
    kit_init();
    kit_open_files();
    kit_pin(cpu);
    poller = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < 3; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listeners[i]};

        if (ports[i] == 0) { /* not asked for */
            continue;
        }
        listeners[i] = kit_listen(ports[i], congestion);
        (void)epoll_ctl(poller, EPOLL_CTL_ADD, listeners[i], &event);
    }
    run(timeout);
}
