#include "tally.h"

#include <unistd.h>

#include "abi/snapshot.h"

int tally_create(uint32_t workers, struct region *out)
{
    int file = region_create("ringmesh-tally", abi_tally_size(workers), out);
    struct abi_tally *tally = out->base;

    if (file >= 0) {
        tally->magic = ABI_TALLY_MAGIC;
        tally->version = ABI_VERSION;
        tally->workers = workers;
    }
    return file;
}

/* Clears the worker's numbers that lie in [from, to), which are whole pages. */
static void tally_forget_part(struct abi_tally *tally, uint32_t worker, uint64_t from, uint64_t to)
{
    uint64_t start = ABI_TALLY_GAUGES_AT + worker * sizeof(uint32_t);
    uint64_t step = tally->workers * sizeof(uint32_t);
    uint64_t row = from <= start ? 0 : (from - start + step - 1) / step;

    for (; row < ABI_TALLY_ROWS && start + row * step < to; row++) {
        void *at = (unsigned char *)tally + start + row * step;

        __atomic_store_n((uint32_t *)at, 0, __ATOMIC_RELAXED);
    }
}

void tally_forget(int file, struct abi_tally *tally, uint32_t worker)
{
    off_t at = (off_t)ABI_TALLY_GAUGES_AT;

    /* Only pages that were ever touched. */
    while ((at = lseek(file, at, SEEK_DATA)) >= 0) {
        off_t end = lseek(file, at, SEEK_HOLE);

        if (end <= at) {
            return;
        }
        tally_forget_part(tally, worker, (uint64_t)at, (uint64_t)end);
        at = end;
    }
}
