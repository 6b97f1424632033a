/* The gauges of a stats region, which start from zero with every worker process, while counters and
 * histograms go on. */
#ifndef WORKER_GAUGES_H
#define WORKER_GAUGES_H

#include "abi/stats.h"

/* Only pages that were ever written are touched: the region is sparse. `file` is its memory file.
 */
void gauges_clear(int file, struct abi_stats *stats);

#endif
