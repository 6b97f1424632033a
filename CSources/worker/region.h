/* Memory files of the data plane: regions made here and handed out, regions that come in and must
 * be sealed before a byte of them is believed. */
#ifndef WORKER_REGION_H
#define WORKER_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/errors.h"

struct region {
    void *base; /* NULL: not mapped */
    size_t size;
};

/* A new memory file of `size` zero bytes that can no longer change its size, mapped for reading and
 * writing. The descriptor, or -errno. */
[[nodiscard]] int region_create(const char *name, size_t size, struct region *out);

/* Whether `fd` is a file that nobody can change any more, of at most `limit` bytes and at least
 * one. ABI_REFUSAL_NONE and *size, or ABI_REFUSAL_SEAL or _SIZE. */
[[nodiscard]] enum abi_refusal region_check(int fd, uint64_t limit, size_t *size);

/* Maps `size` bytes for reading; `secret` keeps them out of core dumps. 0 or -errno. */
[[nodiscard]] int region_map(int fd, size_t size, bool secret, struct region *out);

/* Maps `size` bytes that another process writes, for reading. 0 or -errno. */
[[nodiscard]] int region_share(int fd, size_t size, struct region *out);

/* Makes a mapping read-only. 0 or -errno. */
[[nodiscard]] int region_protect(const struct region *region);

void region_unmap(struct region *region);

/* Gives back the whole pages inside memory that a process got by fork() and has no use for; they
 * read as zeros from then on. The rest of it stays as it is. */
void region_forget(void *memory, size_t size);

#endif
