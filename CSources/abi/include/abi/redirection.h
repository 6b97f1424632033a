/* Records of a snapshot about connections that the kernel redirects to a listener; the rules are
 * those of entries.h. */
#ifndef ABI_REDIRECTION_H
#define ABI_REDIRECTION_H

#include <stdint.h>

/* The listener that an address stands for behind an ABI_LISTENER_REDIRECTED. The section is sorted
 * by listener, address and port, no three twice; a port of its own wins over `every port`. */
struct abi_original {
    uint8_t ip[16];    /* IPv4 as ::ffff:a.b.c.d */
    uint32_t listener; /* LISTENER section, an ABI_LISTENER_REDIRECTED */
    uint32_t port;     /* 0: every port */
    uint32_t inner;    /* LISTENER section, an ABI_LISTENER_INNER */
};

_Static_assert(sizeof(struct abi_original) == 28, "layout");

#endif
