/* What a route can write into fields about the exchange; private to the room. The words are those
 * of the access log. */
#ifndef PROXY_L7VARS_H
#define PROXY_L7VARS_H

#include "abi/entries.h"
#include "base/bytes.h"

#define L7VARS_ROOM 64u

struct l7_view;
struct proxy;
struct request;

struct l7vars {
    struct proxy *proxy;
    struct request *request;
    const struct l7_view *view;    /* NULL: with the answer, when only what that tells is known */
    const struct abi_route *route; /* as above */
};

/* Empty: not known, or nothing that a field can hold. It lies in `room`, or as long as `vars`. */
struct bytes l7vars_text(const struct l7vars *vars, enum abi_header_variable variable,
                         uint8_t room[static L7VARS_ROOM]);

#endif
