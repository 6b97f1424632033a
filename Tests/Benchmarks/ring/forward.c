/* usage: forward VARIANT LISTEN_PORT UPSTREAM_PORT small|large
 *
 *   a  io_uring multishot receive into provided buffers, queued sends
 *   b  io_uring multishot receive into provided buffers, send(2) when the completion is run
 *   c  epoll, read and write
 *   d  io_uring one-shot receive into a provided buffer, send(2)
 *   e  epoll, splice(2)
 *   f  io_uring poll, splice(2)
 */
#include "forward.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

void forward_fail(const char *what, int err)
{
    fprintf(stderr, "forward: %s: %s\n", what, strerror(err));
    exit(70);
}

void forward_tune(int fd)
{
    const int on = 1;

    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, FORWARD_CONGESTION,
                   sizeof(FORWARD_CONGESTION) - 1) != 0) {
        forward_fail("socket options", errno);
    }
}

static struct sockaddr_in forward_address(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons(port),
    };
}

int forward_dial(uint16_t port)
{
    const struct sockaddr_in address = forward_address(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || (forward_tune(fd), false) ||
        connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        forward_fail("connect upstream", errno);
    }
    return fd;
}

/* Accepted sockets inherit its options. */
static int forward_listen(uint16_t port)
{
    const struct sockaddr_in address = forward_address(port);
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        (forward_tune(fd), false) ||
        bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(fd, FORWARD_PAIRS_MAX) != 0) {
        forward_fail("listen", errno);
    }
    return fd;
}

int main(int argc, char **argv)
{
    struct forward_options options;

    if (argc != 5 || strlen(argv[1]) != 1 || strchr("abcdefg", argv[1][0]) == NULL) {
        fprintf(stderr, "usage: forward a|b|c|d|e|f|g LISTEN_PORT UPSTREAM_PORT small|large\n");
        return 64;
    }
    signal(SIGPIPE, SIG_IGN);
    options = (struct forward_options){
        .listener = forward_listen((uint16_t)atoi(argv[2])),
        .upstream = (uint16_t)atoi(argv[3]),
        .large = strcmp(argv[4], "large") == 0,
        .once = argv[1][0] == 'd',
        .splice = argv[1][0] == 'e' || argv[1][0] == 'f',
        .level = argv[1][0] == 'g',
    };
    switch (argv[1][0]) {
    case 'a':
        forward_uring(&options);
        break;
    case 'c':
    case 'e':
    case 'g':
        forward_epoll(&options);
        break;
    default:
        forward_ring(&options);
        break;
    }
    return 0;
}
