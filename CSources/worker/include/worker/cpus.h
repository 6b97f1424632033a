/* Which processors the workers run on: worker n on the n-th of the list, round and round. */
#ifndef WORKER_CPUS_H
#define WORKER_CPUS_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/limits.h"

struct cpus {
    uint32_t count;
    uint32_t list[LIMIT_WORKERS];
};

/* "1", "0-3", "1,2", "0-1,4": at most LIMIT_WORKERS processors. false for anything else. */
bool cpus_parse(const char *text, struct cpus *out);

/* As cpus_parse() takes it. */
#define CPUS_TEXT (LIMIT_WORKERS * 6u)
void cpus_text(const struct cpus *cpus, char out[CPUS_TEXT]);

/* Those this process may run on, at most LIMIT_WORKERS. */
bool cpus_allowed(struct cpus *out);

/* Binds the calling process to the processor of `slot`; false when the system says no. */
bool cpus_pin(const struct cpus *cpus, uint32_t slot);

/* Binds the calling process to the processors that none of so many workers is bound to; false when
 * there are none, and it may run where it could before. */
bool cpus_spare(const struct cpus *cpus, uint32_t workers);

#endif
