#include "kit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

static uint8_t pattern[KIT_PERIOD + KIT_BODY_MAX];
static uint8_t page[KIT_PERIOD + KIT_BODY_MAX];

static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 32;
}

/* Words in the order of chance, between marks and numbers as a page has them. */
static void fill_page(uint64_t *state)
{
    static const char *const words[] = {
        "request ",
        "answer ",
        "the ",
        "of ",
        "<div class=\"row\">",
        "</div>\n",
        "connection ",
        "a ",
        "stream ",
        "and ",
        "<td>",
        "</td>",
        "between ",
        "worker ",
        "listener ",
        "header ",
        "is ",
        "service ",
        "which ",
        "endpoint ",
        "<a href=\"/docs/",
        "\">",
        "</a> ",
        "window ",
        "certificate ",
        "to ",
        "frame ",
        "body ",
        "length ",
        "timeout ",
        "in ",
        "proxy ",
    };
    size_t at = 0;

    while (at < KIT_PERIOD) {
        char number[16];
        uint64_t chance = next(state);
        const char *word = words[chance % 32];

        if (chance % 5 == 0) {
            (void)snprintf(number, sizeof(number), "%u ", (unsigned)(chance >> 8 & 0xffff));
            word = number;
        }
        for (; *word != '\0' && at < KIT_PERIOD; word++) {
            page[at++] = (uint8_t)*word;
        }
    }
}

void kit_init(void)
{
    uint64_t state = 0x9e3779b97f4a7c15;

    for (size_t i = 0; i < KIT_PERIOD; i++) {
        pattern[i] = (uint8_t)next(&state);
    }
    fill_page(&state);
    for (size_t i = KIT_PERIOD; i < sizeof(pattern); i++) {
        pattern[i] = pattern[i - KIT_PERIOD];
        page[i] = page[i - KIT_PERIOD];
    }
}

const uint8_t *kit_body(uint64_t seq)
{
    return pattern + seq * 40503 % KIT_PERIOD;
}

const uint8_t *kit_text(uint64_t seq)
{
    return page + seq * 40503 % KIT_PERIOD;
}

uint64_t kit_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t kit_cpu_ns(pid_t pid)
{
    clockid_t clock;
    struct timespec used;

    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0) {
        return 0;
    }
    return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

void kit_pin(int cpu)
{
    cpu_set_t set;

    if (cpu < 0) {
        return;
    }
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0) {
        kit_die("cannot run on processor %d: %s", cpu, strerror(errno));
    }
}

uint64_t kit_number(const char *what, const char *text, uint64_t most)
{
    char *end = NULL;
    unsigned long long value = strtoull(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end != '\0' || value > most) {
        kit_die("%s: expected 0 to %llu, got '%s'", what, (unsigned long long)most, text);
    }
    return value;
}

void kit_tune(int fd, const char *congestion)
{
    int one = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (congestion != NULL && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion,
                                         (socklen_t)strlen(congestion)) != 0) {
        kit_die("congestion control %s: %s", congestion, strerror(errno));
    }
}

static struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

int kit_listen(uint16_t port, const char *congestion)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int one = 1;

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 4096) != 0) {
        kit_die("cannot listen on port %u: %s", port, strerror(errno));
    }
    kit_tune(fd, congestion);
    return fd;
}

int kit_connect(uint16_t port, const char *congestion)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -1;
    }
    kit_tune(fd, congestion);
    (void)connect(fd, (struct sockaddr *)&address, sizeof(address)); /* the end is told by epoll */
    return fd;
}

void kit_open_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

void kit_die(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}
