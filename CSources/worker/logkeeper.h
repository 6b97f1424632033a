/* The supervisor's side of access logs: the rings of all slots, and the life of the logger process,
 * which runs from the first committed snapshot that has a log. */
#ifndef WORKER_LOGKEEPER_H
#define WORKER_LOGKEEPER_H

#include "state.h"

#define LOGKEEPER_PAUSE_MS 500u  /* from the end of a logger to the start of the next */
#define LOGKEEPER_END_MS   2000u /* for the last lines, at shutdown */

/* Makes the ring of a slot. false: said in the log. */
[[nodiscard]] bool logkeeper_init(struct state *state, uint32_t slot);

/* The committed snapshot is another one: the logger knows of it before any worker uses it. */
void logkeeper_committed(struct state *state);
void logkeeper_reopen(struct state *state);

/* Starts it when that is due. */
void logkeeper_tick(struct state *state);
/* A child has ended: whether it was the logger. */
bool logkeeper_ended(struct state *state, pid_t pid, int status);
/* All workers are gone: the logger writes what is left, for a bounded time. */
void logkeeper_finish(struct state *state);

#endif
