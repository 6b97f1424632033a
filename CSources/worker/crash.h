/* Last words of a worker: on a fatal signal the cause, a backtrace of addresses and the newest
 * events go to standard error (the supervisor's log); then the default action follows, so that a
 * core dump is made where the system makes one. */
#ifndef WORKER_CRASH_H
#define WORKER_CRASH_H

#include <stdint.h>

#include "base/evlog.h"

/* `events` and `generation` are read by the handler and must stay. */
void crash_install(uint32_t worker, const struct evlog *events, const uint64_t *generation);

#endif
