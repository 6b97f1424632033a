/* One publication on its way to every worker: PREPARE -> COMMIT or ABORT. Pure: events and the time
 * come in, the supervisor asks what to do and does it.
 *
 *   begin -> PREPARING --(all asked have answered, or the deadline)--> COMMIT due
 *                      --(one refused)-------------------------------> ABORT due
 *   commit -> COMMITTING --(all awaited have committed, or the deadline)--> END due
 *   end -> IDLE
 *
 * A process that died, or does not answer, has no veto. One that is started meanwhile is asked too
 * (rollout_join). Once committed, every slot whose worker is not out of service is awaited: its
 * process, or the one that replaces it. */
#ifndef WORKER_ROLLOUT_H
#define WORKER_ROLLOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/control.h"

#define ROLLOUT_COMMIT_MS 500u /* a worker that has prepared commits within one loop turn */

enum rollout_state {
    ROLLOUT_IDLE = 0,       /* nothing under way */
    ROLLOUT_PREPARING = 1,  /* answers to PREPARE are awaited */
    ROLLOUT_COMMITTING = 2, /* answers to COMMIT are awaited */
    ROLLOUT_STATE_COUNT
};

enum rollout_step {
    ROLLOUT_WAIT = 0, /* for an event or rollout_due_ms() */
    ROLLOUT_COMMIT,   /* send COMMIT, then rollout_commit() */
    ROLLOUT_ABORT,    /* send ABORT, then rollout_end() */
    ROLLOUT_END,      /* rollout_end() */
};

/* Sets of workers are one bit per slot. */
struct rollout {
    enum rollout_state state;
    bool refused;
    uint64_t generation;
    uint64_t due_ms;
    uint64_t asked;     /* living processes that were sent PREPARE */
    uint64_t prepared;  /* of them, those that can commit */
    uint64_t awaited;   /* slots that must commit */
    uint64_t committed; /* of them, those that have */
};

struct rollout_result {
    enum abi_published outcome;
    uint64_t laggards;
};

const char *rollout_state_name(enum rollout_state state);

/* From IDLE. `asked` are the workers that were sent PREPARE. */
void rollout_begin(struct rollout *rollout, uint64_t generation, uint64_t asked, uint64_t now_ms);

/* A process that was started while others prepare has been sent PREPARE as well. */
void rollout_join(struct rollout *rollout, uint32_t worker);

/* The slot's process has ended. */
void rollout_gone(struct rollout *rollout, uint32_t worker);

/* What a worker says; false when it is about another generation or comes at another time, and then
 * changes nothing. */
bool rollout_prepared(struct rollout *rollout, uint32_t worker, uint64_t generation);
bool rollout_refused(struct rollout *rollout, uint32_t worker, uint64_t generation);
bool rollout_committed(struct rollout *rollout, uint32_t worker, uint64_t generation);

enum rollout_step rollout_next(const struct rollout *rollout, uint64_t now_ms);

/* The asked ones that have not answered PREPARE. */
uint64_t rollout_silent(const struct rollout *rollout);

/* After ROLLOUT_COMMIT: COMMIT has been sent; `awaited` are the slots in service. */
void rollout_commit(struct rollout *rollout, uint64_t awaited, uint64_t now_ms);

/* The slot is out of service now and no longer awaited. */
void rollout_forget(struct rollout *rollout, uint32_t worker);

/* Back to IDLE. `slots` is how many there are, for the case that none has committed. */
struct rollout_result rollout_end(struct rollout *rollout, uint32_t slots);

/* When rollout_next() may change by time alone; UINT64_MAX when idle. */
uint64_t rollout_due_ms(const struct rollout *rollout);

#endif
