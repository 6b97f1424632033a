/* What a worker held is given back when it ends; what others hold stays. */
#include <unistd.h>

#include "cunit.h"
#include "worker/tally.h"

TEST(a_worker_that_ends_gives_back_what_it_held)
{
    static const uint32_t slots[] = {0, 1, 1023, 20000, LIMIT_TARGETS - 1};
    struct region region;
    int file = tally_create(3, &region);
    struct abi_tally *tally = region.base;

    CHECK(file >= 0);
    CHECK_UINT(tally->magic, ABI_TALLY_MAGIC);
    for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
        for (uint32_t gauge = 0; gauge < ABI_TALLY_GAUGE_COUNT; gauge++) {
            uint32_t *row = abi_tally_row(tally, slots[i], (enum abi_tally_gauge)gauge);

            row[0] = 1;
            row[1] = 20;
            row[2] = 300;
        }
        abi_tally_target(tally, slots[i])->retries_owed = 5;
    }
    tally_forget(file, tally, 1);
    for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
        for (uint32_t gauge = 0; gauge < ABI_TALLY_GAUGE_COUNT; gauge++) {
            CHECK_UINT(abi_tally_sum(tally, slots[i], (enum abi_tally_gauge)gauge), 301);
        }
        CHECK_UINT(abi_tally_target(tally, slots[i])->retries_owed, 5);
    }
    tally_forget(file, tally, 0);
    tally_forget(file, tally, 2);
    CHECK_UINT(abi_tally_sum(tally, 1023, ABI_TALLY_REQUESTS), 0);
    close(file);
    region_unmap(&region);
}
