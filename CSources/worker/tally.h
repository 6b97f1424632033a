/* The tally: made by the supervisor, counted in by all workers (abi/tally.h). */
#ifndef WORKER_TALLY_H
#define WORKER_TALLY_H

#include "abi/tally.h"
#include "region.h"

/* A new one, of nobody. The descriptor, or -errno. */
[[nodiscard]] int tally_create(uint32_t workers, struct region *out);

/* A worker has ended: what it held is given back. */
void tally_forget(int file, struct abi_tally *tally, uint32_t worker);

#endif
