/* The worker processes: one per slot, started, watched, replaced. */
#ifndef WORKER_SLOTS_H
#define WORKER_SLOTS_H

#include "state.h"

#define SLOTS_STUCK_MS  5000u  /* without a loop turn: ended and replaced */
#define SLOTS_ABORT_MS  500u   /* from SIGABRT, for last words, to SIGKILL */
#define SLOTS_KILL_MS   1000u  /* after the time to drain */
#define SLOTS_BEHIND_MS 10000u /* without the committed generation: ended and replaced */

/* Makes the stats regions; the processes are started by slots_tick(). false: said in the log. */
[[nodiscard]] bool slots_init(struct state *state);

/* Starts what is due, ends what is stuck or hopelessly behind. */
void slots_tick(struct state *state);

/* When slots_tick() has something to do, CLOCK_MONOTONIC. */
uint64_t slots_due_ms(const struct state *state);

/* Something came from the worker, or its end was closed. */
void slots_read_channel(struct state *state, uint32_t slot);
void slots_read_output(struct state *state, uint32_t slot);

/* Takes the status of every child that has ended. */
void slots_reap(struct state *state);

/* Lends the sockets of the slot that the committed snapshot has, or else those that only the staged
 * one has. */
void slots_send_sockets(struct state *state, uint32_t slot, bool committed);

/* PREPARE with the descriptors of `files`, or COMMIT or ABORT. A worker that cannot take a message
 * is ended. */
void slots_send_generation(struct state *state, uint32_t slot, enum abi_control_type type,
                           const struct state_files *files);

/* As a set: slots with a process; slots that have one or will have one at once. */
uint64_t slots_alive(const struct state *state);
uint64_t slots_in_service(const struct state *state);

/* Changes the state and tells the control plane. */
void slots_set_state(struct state *state, uint32_t slot, enum abi_worker_state next);

/* Tells all workers to finish. */
void slots_drain(struct state *state, uint64_t grace_ms);

/* As above, while another data plane accepts at the same sockets; this one ends when they have. */
void slots_retire(struct state *state);

/* Connections that clients have with the workers. */
uint64_t slots_connections(const struct state *state);

/* Ends the process at once; it is replaced like one that crashed. */
void slots_kill(struct state *state, uint32_t slot, const char *why);

#endif
