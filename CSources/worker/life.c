#include "life.h"

#include "base/num.h"

_Static_assert(LIFE_CRASHES >= 2, "the pause needs an end before this one");
_Static_assert((LIFE_PAUSE_MS << LIFE_CRASHES) < LIFE_WINDOW_MS,
               "pauses must not push a crash loop out of its window");

struct life_plan life_ended(struct life *life, uint64_t started_ms, uint64_t now_ms)
{
    uint32_t recent = 0;

    if (now_ms - started_ms >= LIFE_WINDOW_MS) {
        *life = (struct life){.broken = 0};
    }
    for (uint32_t i = LIFE_CRASHES - 1; i > 0; i--) {
        life->ends_ms[i] = life->ends_ms[i - 1];
    }
    life->ends_ms[0] = now_ms;
    while (recent < LIFE_CRASHES && life->ends_ms[recent] != 0 &&
           now_ms - life->ends_ms[recent] < LIFE_WINDOW_MS) {
        recent++;
    }
    if (recent == LIFE_CRASHES || life->broken > 0) {
        uint64_t pause = (uint64_t)LIFE_BROKEN_MS << num_min_u32(life->broken, 16);

        life->broken++;
        return (struct life_plan){.start_ms = now_ms + num_min_u64(pause, LIFE_BROKEN_MAX_MS),
                                  .out_of_service = true};
    }
    return (struct life_plan){
        .start_ms = recent == 1 ? now_ms : now_ms + ((uint64_t)LIFE_PAUSE_MS << (recent - 2))};
}
