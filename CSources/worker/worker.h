/* The life of one worker process: one ring, one thread, the proxy's traffic, and the control
 * channel to the supervisor. */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include <stdint.h>

#include "abi/log.h"
#include "abi/overlay.h"
#include "abi/stats.h"
#include "abi/tally.h"
#include "core/ring.h"
#include "worker/cpus.h"

#define WORKER_HEARTBEAT_MS 500u /* an idle loop turns at least this often */

struct worker_config {
    uint32_t slot;
    int channel;   /* to the supervisor: SEQPACKET, non-blocking */
    int questions; /* to the control plane, likewise: abi/tokens.h */
    struct abi_stats *stats;
    const struct abi_overlay *overlay;
    struct abi_tally *tally;
    struct abi_records *log; /* for access records */
    const struct cpus *cpus;
    enum ring_engine_kind engine;
    uint64_t orphan_grace_ms; /* what is in flight may take so long when the supervisor has died */
};

/* Runs until drained. Returns the process' exit status. */
int worker_run(const struct worker_config *config);

#endif
