/* When a worker process that ended is started again. Pure. A first end is answered at once; a
 * second within the window after a pause that doubles; the third takes the slot out of service (its
 * sockets leave the SO_REUSEPORT group, so that no client is sent to it) for a while that doubles
 * until a process stays up. */
#ifndef WORKER_LIFE_H
#define WORKER_LIFE_H

#include <stdbool.h>
#include <stdint.h>

#define LIFE_WINDOW_MS     10000u
#define LIFE_CRASHES       3u    /* within the window: out of service */
#define LIFE_PAUSE_MS      100u  /* doubles with each end within the window */
#define LIFE_BROKEN_MS     1000u /* out of service; doubles with each time in a row */
#define LIFE_BROKEN_MAX_MS 32000u

struct life {
    uint64_t ends_ms[LIFE_CRASHES]; /* newest first; 0 = none */
    uint32_t broken;                /* times out of service in a row */
};

struct life_plan {
    uint64_t start_ms; /* when to start the next process */
    bool out_of_service;
};

/* A process that was started at `started_ms` has ended. */
[[nodiscard]] struct life_plan life_ended(struct life *life, uint64_t started_ms, uint64_t now_ms);

#endif
