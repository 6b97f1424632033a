/* Who speaks to the supervisor over its control socket: one control plane, and those that would
 * like to be. */
#ifndef WORKER_PEERS_H
#define WORKER_PEERS_H

#include "state.h"

void peers_accept(struct state *state);

/* A message of one that has not said HELLO yet, or of the control plane. */
void peers_read(struct state *state, struct state_peer *peer);
void peers_read_plane(struct state *state);

/* Drops connections that have not said HELLO in time. */
void peers_tick(struct state *state);

/* A message to the control plane, if there is one. One that does not read is dropped. */
void peers_tell(struct state *state, const void *message, const int *fds, uint32_t count);

/* WORKER about a slot, with its stats region in the first message to a control plane. */
void peers_tell_worker(struct state *state, uint32_t slot, bool with_stats);

void peers_drop_plane(struct state *state, const char *why);
/* As above, and of everybody else who is connected. */
void peers_leave(struct state *state, const char *why);

#endif
