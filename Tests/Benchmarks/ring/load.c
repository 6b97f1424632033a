/* The two ends of a forwarder under test.
 *
 *   load sink PORT echo|discard|source
 *   load run PORT pingpong|up|down|verify CONNECTIONS SECONDS RATE PID
 *
 * pingpong: 64-byte messages, one outstanding per connection; RATE messages per second over all
 * connections, 0 = as fast as they come back. Every answer must be its question.
 * up, down: bulk to a discarding, from a sending sink. verify: 64 MiB through an echo, every byte
 * compared. The result is one line of JSON; cpu_ns is what the scheduler counts for process PID
 * during the measured time. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE     64
#define BULK        (256 * 1024)
#define CONNS_MAX   4096
#define LATENCIES   (1 << 20)
#define VERIFY_SIZE (64ull << 20)
#define WARM_UP_NS  300000000ull

enum mode { PINGPONG, UP, DOWN, VERIFY };

struct conn {
    int fd;
    uint64_t sent_ns;
    uint64_t number; /* of the outstanding message, 0 = none */
    uint32_t got;    /* bytes of its answer */
    uint8_t answer[MESSAGE];
};

static struct conn conns[CONNS_MAX];
static uint32_t latencies[LATENCIES]; /* nanoseconds */
static uint64_t latency_count;
static uint64_t done;   /* messages or bytes in the measured time */
static uint64_t errors; /* wrong answers, broken connections */
static bool measuring;
static uint64_t next_number = 1;
static uint8_t bulk[BULK];

[[noreturn]] static void fail(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(70);
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static int tuned_socket(void)
{
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0) {
        fail("socket");
    }
    return fd;
}

static struct sockaddr_in address_of(const char *port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons((uint16_t)atoi(port)),
    };
}

static void watch(int epoll_fd, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = {.events = events, .data.u64 = data};

    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        fail("epoll_ctl");
    }
}

/* One readable or writable connection of the sink. */
static void sink_serve(int fd, const char *mode)
{
    static uint8_t data[BULK];
    ssize_t got;

    if (strcmp(mode, "source") == 0) {
        got = send(fd, bulk, BULK, MSG_NOSIGNAL | MSG_DONTWAIT);
    } else if (strcmp(mode, "discard") == 0) {
        got = recv(fd, NULL, 1 << 24, MSG_TRUNC | MSG_DONTWAIT);
    } else {
        got = recv(fd, data, BULK, MSG_DONTWAIT);
        for (ssize_t at = 0; at < got;) { /* blocking: the far end reads all the time */
            ssize_t part = send(fd, data + at, (size_t)(got - at), MSG_NOSIGNAL);

            if (part < 0) {
                got = -1;
                break;
            }
            at += part;
        }
    }
    if (got == 0 || (got < 0 && errno != EAGAIN)) {
        close(fd);
    }
}

static int sink(const char *port, const char *mode)
{
    const struct sockaddr_in address = address_of(port);
    struct epoll_event events[256];
    int epoll_fd = epoll_create1(0);
    int listener = tuned_socket();

    if (bind(listener, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(listener, CONNS_MAX) != 0) {
        fail("listen");
    }
    watch(epoll_fd, listener, EPOLLIN, (uint64_t)listener);
    for (;;) {
        int count = epoll_wait(epoll_fd, events, 256, -1);

        for (int i = 0; i < count; i++) {
            int fd = (int)events[i].data.u64;

            if (fd == listener) {
                fd = accept(listener, NULL, NULL);
                watch(epoll_fd, fd, strcmp(mode, "source") == 0 ? EPOLLOUT : EPOLLIN, (uint64_t)fd);
            } else {
                sink_serve(fd, mode);
            }
        }
    }
}

static void ask(struct conn *conn)
{
    uint64_t message[MESSAGE / 8];

    conn->number = next_number++;
    conn->got = 0;
    for (int i = 0; i < MESSAGE / 8; i++) {
        message[i] = conn->number * (uint64_t)(2 * i + 1);
    }
    conn->sent_ns = now_ns();
    if (send(conn->fd, message, MESSAGE, MSG_NOSIGNAL) != MESSAGE) {
        errors++;
    }
}

/* true when the answer is complete. */
static bool answered(struct conn *conn)
{
    ssize_t got = recv(conn->fd, conn->answer + conn->got, MESSAGE - conn->got, MSG_DONTWAIT);

    if (got <= 0) {
        errors += got == 0 || errno != EAGAIN;
        return false;
    }
    conn->got += (uint32_t)got;
    if (conn->got < MESSAGE) {
        return false;
    }
    for (int i = 0; i < MESSAGE / 8; i++) {
        uint64_t word;

        memcpy(&word, conn->answer + 8 * i, 8);
        errors += word != conn->number * (uint64_t)(2 * i + 1);
    }
    conn->number = 0;
    if (measuring) {
        done++;
        latencies[latency_count++ % LATENCIES] = (uint32_t)(now_ns() - conn->sent_ns);
    }
    return true;
}

static void bulk_serve(const struct conn *conn, enum mode mode)
{
    ssize_t moved = mode == UP ? send(conn->fd, bulk, BULK, MSG_NOSIGNAL | MSG_DONTWAIT)
                               : recv(conn->fd, NULL, 1 << 24, MSG_TRUNC | MSG_DONTWAIT);

    if (moved > 0 && measuring) {
        done += (uint64_t)moved;
    }
    errors += moved == 0 || (moved < 0 && errno != EAGAIN);
}

/* Nanoseconds on a processor, from /proc/PID/schedstat. */
static uint64_t cpu_ns(const char *pid)
{
    char path[64];
    unsigned long long ns = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%s/schedstat", pid);
    file = fopen(path, "r");
    if (file == NULL || fscanf(file, "%llu", &ns) != 1) {
        fail(path);
    }
    fclose(file);
    return ns;
}

static int by_value(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;

    return (left > right) - (left < right);
}

static void report(uint64_t passed_ns, uint64_t cpu)
{
    size_t count = latency_count < LATENCIES ? latency_count : LATENCIES;

    qsort(latencies, count, sizeof(latencies[0]), by_value);
    printf("{\"done\": %llu, \"per_second\": %.1f, \"cpu_ns\": %llu, \"cpu_ns_each\": %.3f, "
           "\"busy\": %.3f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"errors\": %llu}\n",
           (unsigned long long)done, (double)done * 1e9 / (double)passed_ns,
           (unsigned long long)cpu, done == 0 ? 0 : (double)cpu / (double)done,
           (double)cpu / (double)passed_ns, count == 0 ? 0 : latencies[count / 2] / 1e3,
           count == 0 ? 0 : latencies[count * 99 / 100] / 1e3, (unsigned long long)errors);
}

/* Sends what is due at `rate` over the connections in turn; those still waiting are passed over. */
static void pace(uint32_t count, double rate, uint64_t start_ns)
{
    static uint64_t asked;
    static uint32_t turn;
    uint64_t due = (uint64_t)((double)(now_ns() - start_ns) * rate / 1e9);

    for (uint32_t tried = 0; asked < due && tried < count; tried++) {
        struct conn *conn = &conns[turn++ % count];

        if (conn->number == 0) {
            ask(conn);
            asked++;
        }
    }
    if (asked + count < due) { /* overload: the missed ones are not made up for */
        asked = due;
    }
}

static void run_events(int epoll_fd, enum mode mode, double rate)
{
    struct epoll_event events[256];
    int count = epoll_wait(epoll_fd, events, 256, 1);

    for (int i = 0; i < count; i++) {
        struct conn *conn = &conns[events[i].data.u64];

        if (mode != PINGPONG) {
            bulk_serve(conn, mode);
        } else if (answered(conn) && rate == 0) {
            ask(conn);
        }
    }
    if (errors > 1000) {
        fail("too many errors");
    }
}

static void connect_all(int epoll_fd, const char *port, enum mode mode, uint32_t count)
{
    const struct sockaddr_in address = address_of(port);

    for (uint32_t i = 0; i < count; i++) {
        conns[i].fd = tuned_socket();
        if (connect(conns[i].fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
            fail("connect");
        }
        watch(epoll_fd, conns[i].fd, mode == UP ? EPOLLOUT : EPOLLIN, i);
    }
}

static int run(char **argv, enum mode mode)
{
    uint32_t count = (uint32_t)atoi(argv[4]);
    uint64_t length_ns = (uint64_t)(atof(argv[5]) * 1e9);
    double rate = atof(argv[6]);
    int epoll_fd = epoll_create1(0);
    uint64_t start = 0;
    uint64_t from = 0;
    uint64_t cpu = 0;

    connect_all(epoll_fd, argv[2], mode, count);
    start = now_ns();
    for (uint32_t i = 0; i < count && mode == PINGPONG && rate == 0; i++) {
        ask(&conns[i]);
    }
    for (;;) {
        uint64_t now = now_ns();

        if (!measuring && now >= start + WARM_UP_NS) {
            measuring = true;
            from = now;
            cpu = cpu_ns(argv[7]);
        }
        if (measuring && now >= from + length_ns) {
            report(now - from, cpu_ns(argv[7]) - cpu);
            return errors == 0 ? 0 : 1;
        }
        if (rate > 0) {
            pace(count, rate, start);
        }
        run_events(epoll_fd, mode, rate);
    }
}

/* Both directions at once, so that the forwarder meets full sockets on both sides. */
static int verify(const char *port)
{
    const struct sockaddr_in address = address_of(port);
    uint64_t sent = 0;
    uint64_t got = 0;
    static uint8_t data[65536];
    int fd = tuned_socket();

    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        fail("connect");
    }
    for (size_t i = 0; i < BULK; i++) {
        bulk[i] = (uint8_t)((i * 0x9e3779b97f4a7c15ull) >> 56);
    }
    while (got < VERIFY_SIZE) {
        size_t at = sent % (BULK - 4096); /* a period that is no multiple of any buffer */
        size_t room = (BULK - 4096) - at;
        ssize_t part = -1;

        if (sent < VERIFY_SIZE) {
            room = room < VERIFY_SIZE - sent ? room : VERIFY_SIZE - sent;
            part = send(fd, bulk + at, room, MSG_NOSIGNAL | MSG_DONTWAIT);
            sent += part > 0 ? (uint64_t)part : 0;
        }
        part = recv(fd, data, sizeof(data), part > 0 ? MSG_DONTWAIT : 0);
        if (part == 0 || (part < 0 && errno != EAGAIN)) {
            fail("verify: the stream ended");
        }
        for (ssize_t i = 0; i < part; i++, got++) {
            if (data[i] != bulk[got % (BULK - 4096)]) {
                fprintf(stderr, "load: byte %llu differs\n", (unsigned long long)got);
                return 1;
            }
        }
    }
    printf("{\"done\": %llu, \"errors\": 0}\n", (unsigned long long)got);
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const modes[] = {"pingpong", "up", "down", "verify"};

    if (argc == 4 && strcmp(argv[1], "sink") == 0) {
        return sink(argv[2], argv[3]);
    }
    for (int i = 0; argc == 8 && i < 4; i++) {
        if (strcmp(argv[1], "run") == 0 && strcmp(argv[3], modes[i]) == 0) {
            return i == VERIFY ? verify(argv[2]) : run(argv, (enum mode)i);
        }
    }
    fprintf(stderr, "usage: load sink PORT MODE | load run PORT MODE CONNS SECONDS RATE PID\n");
    return 64;
}
