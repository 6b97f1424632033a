/* The logger: a process of its own that drains the rings of all workers and writes access logs. It
 * may wait for a slow disk, as neither a worker nor the supervisor may; while it does, records
 * gather in the rings, and what finds them full is counted by the worker that had it.
 *
 * The rings belong to the supervisor. A worker that dies has lost nothing that it handed over; when
 * the logger dies its successor goes on behind the last record that was written. */
#ifndef WORKER_LOGGER_H
#define WORKER_LOGGER_H

#include <stdint.h>

#include "abi/log.h"
#include "abi/stats.h"

struct logger_config {
    int channel; /* to the supervisor: PREPARE with the committed snapshot, REOPEN, DRAIN */
    uint32_t workers;
    struct abi_records *rings[LIMIT_WORKERS];
    struct abi_stats *stats[LIMIT_WORKERS];
    uint64_t orphan_grace_ms; /* workers that lost their supervisor go on so long */
};

/* Runs until told to end (DRAIN: what is in the rings is written first). Returns the process' exit
 * status. */
int logger_run(const struct logger_config *config);

#endif
