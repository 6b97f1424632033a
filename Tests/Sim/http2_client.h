/* Clients of HTTP/2 in the world of http_world.h. */
#ifndef HTTP2_CLIENT_H
#define HTTP2_CLIENT_H

#include "http2/h2_memory.h"

/* One with some exchanges, drawn from the seed; its session is in this memory. proxy_world.busy
 * counts it. */
void http2_client_start(uint16_t port, struct h2_memory *memory);

#endif
