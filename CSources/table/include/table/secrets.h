/* The secrets region opened for reading: checked once, then trusted, as a snapshot is. The mapping
 * is its owner's. */
#ifndef TABLE_SECRETS_H
#define TABLE_SECRETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "table/view.h"

struct secrets {
    const struct abi_secrets *head; /* also the start of the mapping; NULL: none */
    const struct abi_secret *records;
    size_t size;
};

/* `bytes` is 16-byte aligned; `size` is the size of the file. false: see the refusal. */
[[nodiscard]] bool secrets_open(struct secrets *secrets, const void *bytes, size_t size,
                                struct view_refusal *refusal);
/* By binary search; NULL when absent. */
const struct abi_secret *secrets_find(const struct secrets *secrets, uint64_t id);
struct bytes secrets_bytes(const struct secrets *secrets, struct abi_ref ref);

#endif
