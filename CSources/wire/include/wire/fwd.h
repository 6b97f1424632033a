/* The fields in which proxies name those before them: Forwarded (RFC 7239) and X-Forwarded-For.
 *
 * Forwarded is read strictly: pairs of a token, `=` and a token or quoted string, no parameter
 * twice in one element, nodes as section 6 has them. A quoted pair (`\x`) in for, by, host or proto
 * is refused, since readers differ about it. X-Forwarded-For has no standard; an element of it is
 * an address, in brackets or not, perhaps with a port. */
#ifndef WIRE_FWD_H
#define WIRE_FWD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "wire/ip.h"

#define FWD_MAX_PAIRS 8u /* parameters of one element */

enum fwd_node_kind {
    FWD_NODE_NONE = 0, /* not told */
    FWD_NODE_IP,
    FWD_NODE_UNKNOWN,    /* `unknown` */
    FWD_NODE_OBFUSCATED, /* `_hidden` */
    FWD_NODE_COUNT
};

struct fwd_node {
    uint8_t kind;         /* enum fwd_node_kind */
    uint16_t port;        /* 0: none, or obfuscated */
    struct ip_address ip; /* FWD_NODE_IP */
    struct bytes name;    /* the node without port, brackets and quotes */
};

struct fwd_element {
    struct bytes text;      /* the element as it stands */
    struct fwd_node client; /* `for` */
    struct fwd_node by;
    struct bytes host;  /* without quotes; empty: not told */
    struct bytes proto; /* a URI scheme as sent; empty: not told */
};

/* The next element of a field value, from the left; empty ones are skipped. 1 and *element with
 * slices of the value, 0 at the end, or MESH_E_SYNTAX and MESH_E_TOO_MANY (then the rest of the
 * value means nothing). *rest is what is unread. */
[[nodiscard]] int fwd_next(struct bytes *rest, struct fwd_element *element);

/* Takes the last element off a value of X-Forwarded-For: 1 and *text is its address without
 * brackets and port, 0 when none is left, MESH_E_SYNTAX when the last is no address: whoever wrote
 * it is not worth following further. */
[[nodiscard]] int fwd_last_address(struct bytes *rest, struct ip_address *ip, struct bytes *text);

/* Whether a text is a URI scheme (RFC 3986 3.1). */
bool fwd_is_scheme(struct bytes text);

#endif
