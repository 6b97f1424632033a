/* Data planes of before an upgrade that still drain: how far they are, and what they are told. */
#ifndef WORKER_ELDERS_H
#define WORKER_ELDERS_H

#include "state.h"

/* Takes over the channel to one. */
void elders_add(struct state *state, int channel);

/* Something came from it, or it has ended. */
void elders_read(struct state *state, struct state_elder *elder);

uint32_t elders_count(const struct state *state);
/* Until the first of them ends at the latest; 0: there is none. */
uint64_t elders_left_ms(const struct state *state);

/* Tells a control plane that has just come of all. */
void elders_introduce(struct state *state);

/* Access logs go to files of their names again. */
void elders_reopen(struct state *state);
/* What is left of them is cut after so long. */
void elders_hurry(struct state *state, uint64_t grace_ms);

/* Another data plane looks after them from now on. */
void elders_leave(struct state *state);

#endif
