/* What sessions of HTTP/2 in tests and simulations have in common. */
#ifndef HTTP2_PEER_H
#define HTTP2_PEER_H

#include "http2/h2.h"

/* Small windows, so that they are met; an initializer, of which the rest differs. */
#define HTTP2_PEER_LIMITS(open, calm_in_a_row, calm_in_a_second)                                   \
    {                                                                                              \
        .streams = (open),                                                                         \
        .head = 20480,                                                                             \
        .fields = 100,                                                                             \
        .block = 32768,                                                                            \
        .stream_window = 65536,                                                                    \
        .window = 131072,                                                                          \
        .calm = (calm_in_a_row),                                                                   \
        .calm_per_second = (calm_in_a_second),                                                     \
    }

/* Told what nobody asks about. */
static inline void http2_peer_ignores(void *context)
{
    (void)context;
}
static inline void http2_peer_ignores_stream(void *context, void *user)
{
    (void)context;
    (void)user;
}

#endif
