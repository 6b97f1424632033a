#include "rollout.h"

#include "base/must.h"

const char *rollout_state_name(enum rollout_state state)
{
    static const char *const names[ROLLOUT_STATE_COUNT] = {"idle", "preparing", "committing"};

    MUST(state < ROLLOUT_STATE_COUNT);
    return names[state];
}

static uint64_t rollout_bit(uint32_t worker)
{
    MUST(worker < LIMIT_WORKERS);
    return 1ULL << worker;
}

void rollout_begin(struct rollout *rollout, uint64_t generation, uint64_t asked, uint64_t now_ms)
{
    MUST(rollout->state == ROLLOUT_IDLE);
    MUST(generation != 0);
    *rollout = (struct rollout){
        .state = ROLLOUT_PREPARING,
        .generation = generation,
        .due_ms = now_ms + LIMIT_PREPARE_MS,
        .asked = asked,
    };
}

void rollout_join(struct rollout *rollout, uint32_t worker)
{
    MUST(rollout->state == ROLLOUT_PREPARING);
    rollout->asked |= rollout_bit(worker);
}

void rollout_gone(struct rollout *rollout, uint32_t worker)
{
    uint64_t bit = rollout_bit(worker);

    rollout->asked &= ~bit;
    rollout->prepared &= ~bit;
    rollout->committed &= ~bit;
}

bool rollout_prepared(struct rollout *rollout, uint32_t worker, uint64_t generation)
{
    uint64_t bit = rollout_bit(worker);

    if (rollout->state != ROLLOUT_PREPARING || generation != rollout->generation ||
        (rollout->asked & bit) == 0) {
        return false;
    }
    rollout->prepared |= bit;
    return true;
}

bool rollout_refused(struct rollout *rollout, uint32_t worker, uint64_t generation)
{
    if (rollout->state != ROLLOUT_PREPARING || generation != rollout->generation ||
        (rollout->asked & rollout_bit(worker)) == 0) {
        return false;
    }
    rollout->refused = true;
    return true;
}

bool rollout_committed(struct rollout *rollout, uint32_t worker, uint64_t generation)
{
    uint64_t bit = rollout_bit(worker);

    if (rollout->state != ROLLOUT_COMMITTING || generation != rollout->generation ||
        (rollout->awaited & bit) == 0) {
        return false;
    }
    rollout->committed |= bit;
    return true;
}

enum rollout_step rollout_next(const struct rollout *rollout, uint64_t now_ms)
{
    switch (rollout->state) {
    case ROLLOUT_PREPARING:
        if (rollout->refused) {
            return ROLLOUT_ABORT;
        }
        return rollout->prepared == rollout->asked || now_ms >= rollout->due_ms ? ROLLOUT_COMMIT
                                                                                : ROLLOUT_WAIT;
    case ROLLOUT_COMMITTING:
        return rollout->committed == rollout->awaited || now_ms >= rollout->due_ms ? ROLLOUT_END
                                                                                   : ROLLOUT_WAIT;
    default:
        return ROLLOUT_WAIT;
    }
}

uint64_t rollout_silent(const struct rollout *rollout)
{
    return rollout->asked & ~rollout->prepared;
}

void rollout_commit(struct rollout *rollout, uint64_t awaited, uint64_t now_ms)
{
    MUST(rollout->state == ROLLOUT_PREPARING);
    MUST(!rollout->refused);
    rollout->state = ROLLOUT_COMMITTING;
    rollout->awaited = awaited;
    rollout->committed = 0;
    rollout->due_ms = now_ms + ROLLOUT_COMMIT_MS;
}

void rollout_forget(struct rollout *rollout, uint32_t worker)
{
    rollout_gone(rollout, worker);
    rollout->awaited &= ~rollout_bit(worker);
}

struct rollout_result rollout_end(struct rollout *rollout, uint32_t slots)
{
    struct rollout_result result = {.outcome = ABI_PUBLISHED_LIVE, .laggards = 0};

    MUST(rollout->state != ROLLOUT_IDLE);
    MUST(slots >= 1);
    MUST(slots <= LIMIT_WORKERS);
    if (rollout->state == ROLLOUT_PREPARING) {
        MUST(rollout->refused);
        result.outcome = ABI_PUBLISHED_REFUSED;
    } else {
        result.laggards = rollout->awaited & ~rollout->committed;
        if (rollout->committed == 0) {
            result.laggards = slots == 64 ? UINT64_MAX : (1ULL << slots) - 1;
        }
        if (result.laggards != 0) {
            result.outcome = ABI_PUBLISHED_PARTIAL;
        }
    }
    *rollout = (struct rollout){.state = ROLLOUT_IDLE};
    return result;
}

uint64_t rollout_due_ms(const struct rollout *rollout)
{
    return rollout->state == ROLLOUT_IDLE ? UINT64_MAX : rollout->due_ms;
}
