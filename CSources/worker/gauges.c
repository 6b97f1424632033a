#include "gauges.h"

#include <stddef.h>
#include <unistd.h>

static const uint32_t gauges_worker[] = {
    ABI_WORKER_CONNECTIONS_OPEN,  ABI_WORKER_UPSTREAM_OPEN,    ABI_WORKER_UPSTREAM_IDLE,
    ABI_WORKER_REQUESTS_ACTIVE,   ABI_WORKER_TLS_OPEN,         ABI_WORKER_SPILL_BLOCKS,
    ABI_WORKER_SPILL_BLOCKS_HIGH, ABI_WORKER_CONNECTIONS_HIGH, ABI_WORKER_REQUESTS_HIGH,
    ABI_WORKER_VIEWS_LIVE,
};

/* One gauge in each of `count` records. */
struct gauges_row {
    uint64_t at;   /* the first gauge, bytes from the start of the file */
    uint64_t step; /* bytes of one record */
    uint32_t count;
};

static const struct gauges_row gauges_rows[] = {
    {ABI_STATS_LISTENERS_AT + offsetof(struct abi_listener_stats, counters[ABI_LISTENER_OPEN]),
     sizeof(struct abi_listener_stats), LIMIT_LISTENERS},
    {ABI_STATS_TARGETS_AT + offsetof(struct abi_target_stats, counters[ABI_TARGET_OPEN]),
     sizeof(struct abi_target_stats), LIMIT_TARGETS},
};

/* Clears the gauges that lie in [from, to), which are whole pages. */
static void gauges_clear_part(unsigned char *base, const struct gauges_row *row, uint64_t from,
                              uint64_t to)
{
    uint64_t first = from <= row->at ? 0 : (from - row->at + row->step - 1) / row->step;

    for (uint64_t i = first; i < row->count && row->at + i * row->step < to; i++) {
        abi_stat_set((uint64_t *)(void *)(base + row->at + i * row->step), 0);
    }
}

void gauges_clear(int file, struct abi_stats *stats)
{
    off_t at = 0;

    for (size_t i = 0; i < sizeof(gauges_worker) / sizeof(gauges_worker[0]); i++) {
        abi_stat_set(&stats->counters[gauges_worker[i]], 0);
    }
    while ((at = lseek(file, at, SEEK_DATA)) >= 0) {
        off_t end = lseek(file, at, SEEK_HOLE);

        if (end <= at) {
            return;
        }
        for (size_t i = 0; i < sizeof(gauges_rows) / sizeof(gauges_rows[0]); i++) {
            gauges_clear_part((unsigned char *)stats, &gauges_rows[i], (uint64_t)at, (uint64_t)end);
        }
        at = end;
    }
}
