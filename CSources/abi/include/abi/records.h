/* A ring of records in shared memory, from one process to another: one writer, one reader.
 *
 *   +---------------------+ 0
 *   | abi_records         |  head: bytes ever written; tail: bytes ever read
 *   +---------------------+ sizeof(struct abi_records)
 *   | data                |  a power of two, used as a ring: records of 8-byte aligned lengths;
 *   |                     |  where one does not fit before the end, a filler stands and it goes to
 *   +---------------------+  the start
 *
 * A record is copied first and counted by `head` afterwards, so a writer that dies in between has
 * written nothing. There is no waiting: a record that finds no room is dropped, and the writer
 * counts it. The reader believes nothing: neither `size` nor what stands in a record. */
#ifndef ABI_RECORDS_H
#define ABI_RECORDS_H

#include <stddef.h>
#include <stdint.h>

struct abi_records {
    uint64_t magic;
    uint32_t version; /* ABI_VERSION */
    uint32_t size;    /* bytes of data, a power of two */
    uint64_t _pad0[6];
    uint64_t head; /* the writer's */
    uint64_t _pad1[7];
    uint64_t tail; /* the reader's */
    uint64_t _pad2[7];
};

/* How every record begins; a filler has these eight bytes only. */
struct abi_record_head {
    uint32_t length; /* of all of it, a multiple of 8 */
    uint32_t kind;   /* enum abi_record_kind */
};

enum abi_record_kind {
    ABI_RECORD_WHOLE = 1,
    ABI_RECORD_FILLER = 2,
};

/* What both ends know of a ring: none of it is read from shared memory. */
struct abi_records_shape {
    uint32_t size;    /* of the data */
    uint32_t least;   /* bytes of a record */
    uint32_t longest; /* as above; a multiple of 8 */
};

static inline unsigned char *abi_records_data(struct abi_records *ring)
{
    return (unsigned char *)(ring + 1);
}

/* Copies a record in. 1, or 0 when there is no room. */
static inline int abi_records_put(struct abi_records *ring, uint32_t size, const void *record,
                                  uint32_t length)
{
    uint64_t head = ring->head; /* nobody else writes it */
    uint64_t used = head - __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
    uint32_t at = (uint32_t)head & (size - 1);
    uint32_t to_end = size - at;
    uint32_t skip = to_end < length ? to_end : 0;

    if (used + skip + length > size) {
        return 0;
    }
    if (skip > 0) {
        const struct abi_record_head filler = {skip, ABI_RECORD_FILLER};

        __builtin_memcpy(abi_records_data(ring) + at, &filler, sizeof(filler));
        at = 0;
    }
    __builtin_memcpy(abi_records_data(ring) + at, record, length);
    __atomic_store_n(&ring->head, head + skip + length, __ATOMIC_RELEASE);
    return 1;
}

enum abi_records_read {
    ABI_RECORDS_EMPTY = 0,
    ABI_RECORDS_TAKEN = 1,  /* `out` is the reader's own copy */
    ABI_RECORDS_BROKEN = 2, /* no record can stand there: everything up to `head` was skipped */
};

/* What stands at *tail is no record: skips everything. */
static inline enum abi_records_read abi_records_skip(struct abi_records *ring, uint64_t *tail)
{
    *tail = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);
    return ABI_RECORDS_BROKEN;
}

/* Copies the record at *tail out and moves *tail behind it; `out` has shape->longest bytes, and its
 * length and kind are as they should be. The ring gives its room back when the reader stores
 * `tail`: abi_records_release(). */
static inline enum abi_records_read abi_records_next(struct abi_records *ring,
                                                     const struct abi_records_shape *shape,
                                                     uint64_t *tail, void *out)
{
    uint64_t left = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) - *tail;
    struct abi_record_head first, copied;
    uint32_t at, to_end;

    for (int fillers = 0; left > 0 && left <= shape->size && left % 8 == 0; fillers++) {
        at = (uint32_t)*tail & (shape->size - 1);
        to_end = shape->size - at;
        __builtin_memcpy(&first, abi_records_data(ring) + at, sizeof(first));
        if (first.length > to_end || first.length > left) {
            break;
        }
        if (first.kind == ABI_RECORD_FILLER && first.length == to_end && fillers == 0) {
            *tail += to_end;
            left -= to_end;
            continue;
        }
        if (first.length < shape->least || first.length > shape->longest || first.length % 8 != 0) {
            break;
        }
        __builtin_memcpy(out, abi_records_data(ring) + at, first.length);
        __builtin_memcpy(&copied, out, sizeof(copied));
        if (copied.length != first.length || copied.kind != ABI_RECORD_WHOLE) {
            break;
        }
        *tail += first.length;
        return ABI_RECORDS_TAKEN;
    }
    return left == 0 ? ABI_RECORDS_EMPTY : abi_records_skip(ring, tail);
}

static inline void abi_records_release(struct abi_records *ring, uint64_t tail)
{
    __atomic_store_n(&ring->tail, tail, __ATOMIC_RELEASE);
}

_Static_assert(sizeof(struct abi_records) == 192, "layout");
_Static_assert(sizeof(struct abi_record_head) == 8, "layout");

#endif
