/* What an endpoint takes to answer, as a worker sees it: a mean that forgets, and rises at once to
 * the worst that is seen ("peak EWMA"), so that one that becomes slow is avoided after one answer
 * and comes back when it is fast again.
 *
 * Forgetting is by tau / (tau + t) for an exponential: nobody can tell them apart by the choices
 * they make, and it takes one division. */
#ifndef TABLE_LATENCY_H
#define TABLE_LATENCY_H

#include <stdint.h>

#define LATENCY_MAX_US 60000000u
/* Of an endpoint that has not answered yet and has requests: more than any good one. */
#define LATENCY_UNKNOWN_US 1000000u

struct latency {
    uint32_t us;    /* mean at that time; 0: nothing is known */
    uint32_t at_ms; /* low bits of CLOCK_MONOTONIC */
};

/* The mean as it is now: what is long ago counts for little. */
static inline uint32_t latency_now(const struct latency *latency, uint64_t now_ms,
                                   uint32_t decay_ms)
{
    uint32_t age_ms = (uint32_t)now_ms - latency->at_ms;

    return (uint32_t)((uint64_t)latency->us * decay_ms / ((uint64_t)decay_ms + age_ms));
}

/* An answer took so long. */
static inline void latency_observe(struct latency *latency, uint64_t us, uint64_t now_ms,
                                   uint32_t decay_ms)
{
    uint32_t taken = us < 1 ? 1 : us > LATENCY_MAX_US ? LATENCY_MAX_US : (uint32_t)us;
    uint32_t kept = latency->us == 0 ? 0 : latency_now(latency, now_ms, decay_ms);
    uint32_t age_ms = (uint32_t)now_ms - latency->at_ms;

    /* kept = old * (1 - share of the new one): the rest is the new one's. */
    if (latency->us == 0 || taken >= latency->us) {
        latency->us = taken;
    } else {
        uint32_t rest = (uint32_t)((uint64_t)taken * age_ms / ((uint64_t)decay_ms + age_ms));

        latency->us = kept + rest > 0 ? kept + rest : 1;
    }
    latency->at_ms = (uint32_t)now_ms;
}

/* A try that came to nothing: counts as one that took twice as long as known, and a second at
 * least, or failing fast would look like being fast. */
static inline void latency_failed(struct latency *latency, uint64_t now_ms, uint32_t decay_ms)
{
    uint64_t us = 2 * (uint64_t)latency->us;

    latency_observe(latency, us > LATENCY_UNKNOWN_US ? us : LATENCY_UNKNOWN_US, now_ms, decay_ms);
}

#endif
