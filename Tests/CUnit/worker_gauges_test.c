#include "worker/gauges.h"

#include <sys/stat.h>
#include <unistd.h>

#include "cunit.h"
#include "worker/region.h"

static uint64_t blocks_of(int fd)
{
    struct stat about;

    CHECK_INT(fstat(fd, &about), 0);
    return (uint64_t)about.st_blocks;
}

TEST(gauges_go_and_counters_stay)
{
    struct region region;
    int fd = region_create("cunit", abi_stats_size(), &region);
    struct abi_stats *stats = region.base;
    const uint32_t listeners[] = {0, 1, 7, LIMIT_LISTENERS - 1};
    const uint32_t targets[] = {0, 1, 1000, LIMIT_TARGETS - 1};

    stats->counters[ABI_WORKER_CONNECTIONS_OPEN] = 5;
    stats->counters[ABI_WORKER_ACCEPTED] = 6;
    stats->counters[ABI_WORKER_STARTS] = 2;
    for (int i = 0; i < 4; i++) {
        abi_stats_listener(stats, listeners[i])->counters[ABI_LISTENER_OPEN] = 3;
        abi_stats_listener(stats, listeners[i])->counters[ABI_LISTENER_ACCEPTED] = 4;
        abi_stats_target(stats, targets[i])->counters[ABI_TARGET_OPEN] = 8;
        abi_stats_target(stats, targets[i])->counters[ABI_TARGET_REQUESTS] = 9;
    }
    gauges_clear(fd, stats);
    CHECK_UINT(stats->counters[ABI_WORKER_CONNECTIONS_OPEN], 0);
    CHECK_UINT(stats->counters[ABI_WORKER_ACCEPTED], 6);
    CHECK_UINT(stats->counters[ABI_WORKER_STARTS], 2);
    for (int i = 0; i < 4; i++) {
        cunit_context("slots %u and %u", listeners[i], targets[i]);
        CHECK_UINT(abi_stats_listener(stats, listeners[i])->counters[ABI_LISTENER_OPEN], 0);
        CHECK_UINT(abi_stats_listener(stats, listeners[i])->counters[ABI_LISTENER_ACCEPTED], 4);
        CHECK_UINT(abi_stats_target(stats, targets[i])->counters[ABI_TARGET_OPEN], 0);
        CHECK_UINT(abi_stats_target(stats, targets[i])->counters[ABI_TARGET_REQUESTS], 9);
    }
    region_unmap(&region);
    close(fd);
}

TEST(every_gauge_of_a_full_region_goes)
{
    struct region region;
    int fd = region_create("cunit", abi_stats_size(), &region);
    struct abi_stats *stats = region.base;
    uint64_t left = 0;

    for (uint32_t slot = 0; slot < LIMIT_TARGETS; slot++) {
        abi_stats_target(stats, slot)->counters[ABI_TARGET_OPEN] = 1;
    }
    for (uint32_t slot = 0; slot < LIMIT_LISTENERS; slot++) {
        abi_stats_listener(stats, slot)->counters[ABI_LISTENER_OPEN] = 1;
    }
    gauges_clear(fd, stats);
    for (uint32_t slot = 0; slot < LIMIT_TARGETS; slot++) {
        left += abi_stats_target(stats, slot)->counters[ABI_TARGET_OPEN];
    }
    for (uint32_t slot = 0; slot < LIMIT_LISTENERS; slot++) {
        left += abi_stats_listener(stats, slot)->counters[ABI_LISTENER_OPEN];
    }
    CHECK_UINT(left, 0);
    region_unmap(&region);
    close(fd);
}

TEST(pages_that_were_never_written_stay_unused)
{
    struct region region;
    int fd = region_create("cunit", abi_stats_size(), &region);
    struct abi_stats *stats = region.base;
    uint64_t before;

    abi_stats_target(stats, 20000)->counters[ABI_TARGET_OPEN] = 1;
    stats->magic = 1;
    before = blocks_of(fd);
    gauges_clear(fd, stats);
    gauges_clear(fd, stats);
    CHECK_UINT(blocks_of(fd), before);
    region_unmap(&region);
    close(fd);
}
