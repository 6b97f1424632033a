/* The ring of a real kernel implements core/ring.h. What it tells besides: how it runs here. */
#ifndef RING_MODE_H
#define RING_MODE_H

#include "core/ring.h"

/* For the log and for tests: "deferred" when completions are produced only inside ring_wait()
 * (kernel 6.1), "cooperative" when the kernel may produce them at any system call. */
const char *ring_mode(const struct ring *ring);

#endif
