/* Services that speak HTTP/2 by prior knowledge: many exchanges on one connection, checked to the
 * byte, and everything that a server of HTTP/2 may do to its client. */
#ifndef HTTP2_SERVICE_H
#define HTTP2_SERVICE_H

#include "http2/h2_memory.h"
#include "sim.h"

void http2_service_start(uint16_t port, struct h2_memory *memory);

#endif
