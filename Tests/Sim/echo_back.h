/* Clients that send a stream of their own and want it back, byte by byte; and a service that does
 * so. For every program that only carries bytes. */
#ifndef ECHO_BACK_H
#define ECHO_BACK_H

#include "sim.h"

struct echo_back_totals {
    uint32_t completed; /* got everything and then the end */
    uint32_t broken;    /* refused or reset on the way */
    uint32_t cut;       /* met the end before it had everything */
};

/* A client of `port`, with a stream and a pace drawn from the seed. A wrong byte
 * fails the run. `totals` lives as long as the world. */
void echo_back_client(uint16_t port, struct echo_back_totals *totals);

/* A service on `port` that sends everything back and ends when its peer has. */
void echo_back_serve(uint16_t port);

#endif
