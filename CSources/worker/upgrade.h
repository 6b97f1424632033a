/* An upgrade as the data plane sees it that is being replaced: it starts the new program, hands
 * over to it what it has, and once the new one serves it drains and ends. Until then nothing
 * changes for clients, and whatever goes wrong leaves this one as it was. */
#ifndef WORKER_UPGRADE_H
#define WORKER_UPGRADE_H

#include "state.h"

#define UPGRADE_HELLO_MS 5000u  /* from its start to its first word */
#define UPGRADE_GIVE_MS  20000u /* from there until all its workers serve */
#define UPGRADE_LOST_MS  500u   /* from the end of its channel to its status */
#define UPGRADE_TELL_MS  1000u  /* between two words about draining */

/* The control plane wants `path` to take over. */
void upgrade_receive(struct state *state, const char *path);

/* Something came from the heir, or its end was closed. */
void upgrade_read(struct state *state);

/* A child has ended: whether it was the heir. */
bool upgrade_ended(struct state *state, pid_t pid, int status);

void upgrade_tick(struct state *state);
/* When upgrade_tick() has something to do, CLOCK_MONOTONIC; UINT64_MAX: never. */
uint64_t upgrade_due_ms(const struct state *state);

/* Whether publications have to wait for its end. */
bool upgrade_is_under_way(const struct state *state);

#endif
