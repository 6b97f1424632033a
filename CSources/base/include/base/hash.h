/* One hash for tables in shared memory, computed by the writer and the reader alike: FNV-1a over
 * the bytes, finished so that the low bits depend on all of them. Not for untrusted keys of tables
 * that grow while serving: those use a keyed hash. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/bytes.h"

static inline uint64_t hash_finish(uint64_t h)
{
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdULL;
    h ^= h >> 33;
    return h;
}

#define HASH_START 0xcbf29ce484222325ULL

/* For a key in several parts: from HASH_START, one call per part, then hash_finish. */
static inline uint64_t hash_more(uint64_t h, struct bytes in)
{
    for (size_t i = 0; i < in.len; i++) {
        h = (h ^ in.ptr[i]) * 0x100000001b3ULL;
    }
    return h;
}

static inline uint64_t hash_bytes(struct bytes in)
{
    return hash_finish(hash_more(HASH_START, in));
}

#endif
