/* The ring of a real kernel implements core/ring.h. What it tells besides: how it runs here, and
 * what this kernel has. */
#ifndef RING_MODE_H
#define RING_MODE_H

#include <stdbool.h>

#include "core/ring.h"

/* RING_ENGINE_URING or RING_ENGINE_EPOLL. */
enum ring_engine_kind ring_kind(const struct ring *ring);

/* For the log and for tests: "deferred" when completions are produced only inside ring_wait()
 * (kernel 6.1), "cooperative" when the kernel may produce them at any system call, "edge-triggered"
 * for epoll. */
const char *ring_mode(const struct ring *ring);

enum ring_ktls {
    RING_KTLS_UNKNOWN = 0, /* could not be tried: no loopback, no descriptors */
    RING_KTLS_NO = 1,
    RING_KTLS_YES = 2,
};

/* Whether the kernel takes TLS over on a socket ("ulp tls"), tried on a connection over loopback.
 * Nothing uses it yet; it is reported. */
enum ring_ktls ring_ktls_probe(void);

#endif
