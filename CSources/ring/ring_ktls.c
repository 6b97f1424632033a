/* Whether this kernel makes TLS records itself. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "ring/mode.h"

#ifndef TCP_ULP
#define TCP_ULP 31
#endif

/* Connects `from` to a listener of its own on loopback: only a connected socket can be given TLS.
 */
static bool ring_ktls_connect(int from, int listener)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);

    return bind(listener, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
           listen(listener, 1) == 0 &&
           getsockname(listener, (struct sockaddr *)&address, &length) == 0 &&
           connect(from, (const struct sockaddr *)&address, sizeof(address)) == 0;
}

enum ring_ktls ring_ktls_probe(void)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int from = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    enum ring_ktls found = RING_KTLS_UNKNOWN;

    if (listener >= 0 && from >= 0 && ring_ktls_connect(from, listener)) {
        found = setsockopt(from, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) == 0 ? RING_KTLS_YES
                                                                                  : RING_KTLS_NO;
    }
    if (listener >= 0) {
        close(listener);
    }
    if (from >= 0) {
        close(from);
    }
    return found;
}
