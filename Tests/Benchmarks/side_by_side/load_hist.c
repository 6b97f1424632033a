/* Latencies in buckets: 32 per power of two, so a figure is right to 3 %. */
#include "load.h"

#define SUB_BITS 5u

static uint32_t bucket_of(uint64_t ns)
{
    if (ns < (1u << SUB_BITS)) {
        return (uint32_t)ns;
    }
    uint32_t top = 63u - (uint32_t)__builtin_clzll(ns);

    return ((top - SUB_BITS + 1) << SUB_BITS) | ((ns >> (top - SUB_BITS)) & ((1u << SUB_BITS) - 1));
}

static uint64_t middle_of(uint32_t bucket)
{
    uint32_t group = bucket >> SUB_BITS;
    uint64_t low = bucket & ((1u << SUB_BITS) - 1);

    if (group == 0) {
        return low;
    }
    return ((low | (1u << SUB_BITS)) << (group - 1)) + ((1ull << (group - 1)) >> 1);
}

void load_hist_add(struct load_hist *hist, uint64_t ns)
{
    hist->counts[bucket_of(ns)]++;
}

void load_hist_merge(struct load_hist *into, const struct load_hist *from)
{
    for (size_t i = 0; i < sizeof(into->counts) / sizeof(into->counts[0]); i++) {
        into->counts[i] += from->counts[i];
    }
}

double load_hist_us(const struct load_hist *hist, double quantile)
{
    uint64_t total = 0, seen = 0;
    size_t buckets = sizeof(hist->counts) / sizeof(hist->counts[0]);

    for (size_t i = 0; i < buckets; i++) {
        total += hist->counts[i];
    }
    for (size_t i = 0; i < buckets; i++) {
        seen += hist->counts[i];
        if (total > 0 && (double)seen >= quantile * (double)total) {
            return (double)middle_of((uint32_t)i) / 1000.0;
        }
    }
    return 0;
}
