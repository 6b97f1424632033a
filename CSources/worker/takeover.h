/* An upgrade as the new data plane sees it: it receives what the running one has, starts workers on
 * the same listening sockets, and when all serve it asks for the rest. If anything goes wrong
 * before that it lets go: its workers finish what they have accepted, and the running one never
 * stopped. */
#ifndef WORKER_TAKEOVER_H
#define WORKER_TAKEOVER_H

#include "state.h"

#define TAKEOVER_GIVE_MS 10000u /* for all that the elder gives */

/* Receives from the elder, waiting for it; the number of workers is the elder's. false: `reason`
 * (LIMIT_REASON bytes) says why. */
[[nodiscard]] bool takeover_receive(struct state *state, struct supervisor_config *config,
                                    char *reason);

/* Tells the elder that it has to go on by itself. */
void takeover_fail(struct state *state, const char *reason);

/* As above once the loop runs: drains what the workers have, and ends. */
void takeover_abandon(struct state *state, const char *reason);

/* Something came from the elder, or its end was closed. */
void takeover_read(struct state *state);

/* Asks for the rest when every worker serves. */
void takeover_tick(struct state *state);

#endif
