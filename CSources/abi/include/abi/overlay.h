/* The overlay: one 64-bit word per endpoint slot, written by the control plane, read by every
 * worker at each choice, so that a health flip needs no new snapshot. The supervisor makes it once;
 * it outlives control planes and workers. A zero word means: healthy, weight of the snapshot. */
#ifndef ABI_OVERLAY_H
#define ABI_OVERLAY_H

#include <stdint.h>

#include "abi/limits.h"

#define ABI_OVERLAY_MAGIC 0x59414c5245564f4dULL

enum abi_overlay_bit {
    ABI_OVERLAY_DOWN = 1,  /* failing its checks: not chosen */
    ABI_OVERLAY_DRAIN = 2, /* leaving: not chosen for new work */
};
/* 16 bits; 0 = the snapshot's weight. More than the target's max_weight counts as max_weight. */
#define ABI_OVERLAY_WEIGHT_SHIFT 16u
/* 32 bits: since when the endpoint is there or healthy again, for targets with a slow start. Units
 * of CLOCK_MONOTONIC, counted from 1; 0 = always. They last for eight years. */
#define ABI_OVERLAY_SINCE_SHIFT   32u
#define ABI_OVERLAY_SINCE_UNIT_MS 64u

struct abi_overlay {
    uint64_t magic;
    uint32_t version;
    uint32_t slots;   /* LIMIT_ENDPOINTS */
    uint64_t changes; /* counts writes, so that an idle reader can see that something moved */
    uint64_t _pad0[5];
    /* `slots` words follow */
};

_Static_assert(sizeof(struct abi_overlay) == 64, "layout");

#define ABI_OVERLAY_SIZE (64u + 8u * LIMIT_ENDPOINTS)

static inline uint64_t *abi_overlay_words(struct abi_overlay *overlay)
{
    return (uint64_t *)(void *)(overlay + 1);
}

static inline uint64_t abi_overlay_get(const struct abi_overlay *overlay, uint32_t slot)
{
    const uint64_t *words = (const uint64_t *)(const void *)(overlay + 1);
    return __atomic_load_n(&words[slot], __ATOMIC_ACQUIRE);
}

static inline void abi_overlay_set(struct abi_overlay *overlay, uint32_t slot, uint64_t word)
{
    __atomic_store_n(&abi_overlay_words(overlay)[slot], word, __ATOMIC_RELEASE);
    __atomic_add_fetch(&overlay->changes, 1, __ATOMIC_ACQ_REL);
}

#endif
