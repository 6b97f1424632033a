/* A generation is held by being current and by requests that choose an endpoint from it. */
#ifndef PROXY_GENERATION_H
#define PROXY_GENERATION_H

#include "state.h"

void generation_use(struct proxy_generation *generation);
/* Without users and retired, it goes back to the worker. */
void generation_leave(struct proxy *proxy, struct proxy_generation *generation);

#endif
