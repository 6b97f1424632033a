/* Publications: a generation comes in, is checked, shipped to every worker and committed, or
 * refused with a reason and forgotten. One at a time; one more may wait, and a newer one takes its
 * place. */
#ifndef WORKER_PUBLISH_H
#define WORKER_PUBLISH_H

#include "state.h"

/* Takes over the descriptors of a PUBLISH. */
void publish_receive(struct state *state, struct control_message *message);

/* What a worker said about a generation. */
void publish_phase(struct state *state, uint32_t slot, const struct abi_control_phase *phase);

/* Drives the publication under way. */
void publish_tick(struct state *state);

/* Closes the files: none are left. */
void publish_close(struct state_files *files);

#endif
