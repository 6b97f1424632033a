/* What a supervisor has before its loop begins: a lock, a control socket, regions, an engine; made
 * by itself, or received from the data plane that it takes over from. */
#ifndef WORKER_START_H
#define WORKER_START_H

#include "state.h"

#define START_BACKLOG 16 /* connections to the control socket */

/* Fills `state`. 0 or an exit status, said in the log. Of `config` only what a predecessor decides
 * is changed. */
[[nodiscard]] int start_supervisor(struct state *state, struct supervisor_config *config);

/* Puts this process into the file, whole or not at all; nothing to do without a path. false: said
 * in the log. */
[[nodiscard]] bool start_write_pid(const char *path);

#endif
