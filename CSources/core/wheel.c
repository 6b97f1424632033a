/* Level 0 holds the ticks of the current group of 64, level 1 the groups of 64 in the current 4096,
 * and so on: a timer stands at the highest level whose index differs between its tick and now, in
 * the slot of its index there. So within a level every slot lies ahead of now, and everything at a
 * level is due before anything at the next: the lowest occupied slot of the lowest occupied level
 * is what comes next. The highest level is circular, and an arming never reaches around to the
 * current slot (WHEEL_SPAN). */
#include "core/wheel.h"

#include <stddef.h>

#include "base/must.h"
#include "base/num.h"

#define WHEEL_TOP      (WHEEL_LEVELS - 1)
#define WHEEL_MASK     (WHEEL_SLOTS - 1)
#define WHEEL_TOP_BITS (WHEEL_TOP * WHEEL_SLOT_BITS)

/* The farthest tick from now that can be armed. */
#define WHEEL_SPAN ((uint64_t)(WHEEL_SLOTS - 1) << WHEEL_TOP_BITS)

_Static_assert(WHEEL_SLOTS == 64, "one word of occupancy per level");

static uint32_t wheel_index(uint64_t tick, uint32_t level)
{
    return (uint32_t)(tick >> (level * WHEEL_SLOT_BITS)) & WHEEL_MASK;
}

void wheel_init(struct wheel *wheel, uint64_t now_ms)
{
    wheel->now_tick = now_ms / WHEEL_TICK_MS;
    wheel->armed = 0;
    for (uint32_t level = 0; level < WHEEL_LEVELS; level++) {
        wheel->occupied[level] = 0;
        for (uint32_t slot = 0; slot < WHEEL_SLOTS; slot++) {
            list_init(&wheel->slots[level][slot]);
        }
    }
    list_init(&wheel->due);
}

void wheel_timer_init(struct wheel_timer *timer, uint64_t token)
{
    list_init(&timer->link);
    timer->due_tick = 0;
    timer->token = token;
}

bool wheel_is_armed(const struct wheel_timer *timer)
{
    return !list_is_empty(&timer->link);
}

/* Puts an unlinked timer in its slot. */
static void wheel_place(struct wheel *wheel, struct wheel_timer *timer)
{
    uint64_t changed = timer->due_tick ^ wheel->now_tick;
    uint32_t level;
    uint32_t slot;

    MUST(timer->due_tick > wheel->now_tick);
    level = (63u - (uint32_t)__builtin_clzll(changed)) / WHEEL_SLOT_BITS;
    level = num_min_u32(level, WHEEL_TOP);
    slot = wheel_index(timer->due_tick, level);
    list_add_last(&wheel->slots[level][slot], &timer->link);
    wheel->occupied[level] |= 1ULL << slot;
}

/* Takes the timer out of its list; a slot that becomes empty is no longer occupied. */
static void wheel_unlink(struct wheel *wheel, struct wheel_timer *timer)
{
    struct list_link *head = timer->link.next;
    bool last = head == timer->link.prev;

    list_remove(&timer->link);
    if (last && head != &wheel->due) {
        uint32_t at = (uint32_t)(head - &wheel->slots[0][0]);

        MUST(at < WHEEL_LEVELS * WHEEL_SLOTS);
        wheel->occupied[at / WHEEL_SLOTS] &= ~(1ULL << (at & WHEEL_MASK));
    }
}

void wheel_arm(struct wheel *wheel, struct wheel_timer *timer, uint64_t now_ms, uint64_t delay_ms)
{
    uint64_t due_ms;
    uint64_t tick;

    if (!num_add_u64(now_ms, delay_ms, &due_ms)) {
        due_ms = UINT64_MAX;
    }
    tick = due_ms / WHEEL_TICK_MS + 1; /* after due_ms, not at it: now_ms was rounded down */
    /* At the next tick at the earliest, so that a handler which arms again always ends. */
    tick = tick > wheel->now_tick ? tick : wheel->now_tick + 1;
    tick = num_min_u64(tick, wheel->now_tick + WHEEL_SPAN);
    if (wheel_is_armed(timer)) {
        if (timer->due_tick == tick) {
            return;
        }
        wheel_unlink(wheel, timer);
    } else {
        wheel->armed++;
    }
    timer->due_tick = tick;
    wheel_place(wheel, timer);
}

void wheel_cancel(struct wheel *wheel, struct wheel_timer *timer)
{
    if (!wheel_is_armed(timer)) {
        return;
    }
    wheel_unlink(wheel, timer);
    MUST(wheel->armed > 0);
    wheel->armed--;
}

/* The next occupied slot: its level and first tick. false when there is none. */
static bool wheel_next_slot(const struct wheel *wheel, uint32_t *level_out, uint64_t *tick_out)
{
    for (uint32_t level = 0; level < WHEEL_LEVELS; level++) {
        uint32_t shift = level * WHEEL_SLOT_BITS;
        uint32_t current = wheel_index(wheel->now_tick, level);
        uint64_t ahead = wheel->occupied[level] & ~((2ULL << current) - 1);
        uint64_t group = wheel->now_tick >> shift >> WHEEL_SLOT_BITS;

        if (wheel->occupied[level] == 0) {
            continue;
        }
        if (ahead == 0) {
            MUST(level == WHEEL_TOP); /* only there may a slot be behind: it is in the next turn */
            ahead = wheel->occupied[level];
            group++;
        }
        *level_out = level;
        *tick_out = (group << WHEEL_SLOT_BITS | (uint64_t)__builtin_ctzll(ahead)) << shift;
        return true;
    }
    return false;
}

/* Empties the slot that now_tick has just reached: what is due goes to the due list, the rest to
 * lower levels. */
static void wheel_open_slot(struct wheel *wheel, uint32_t level)
{
    uint32_t slot = wheel_index(wheel->now_tick, level);
    struct list_link *head = &wheel->slots[level][slot];
    struct list_link *link;

    wheel->occupied[level] &= ~(1ULL << slot);
    while ((link = list_first(head)) != NULL) {
        struct wheel_timer *timer = LIST_OWNER(link, struct wheel_timer, link);

        list_remove(link);
        if (timer->due_tick <= wheel->now_tick) {
            list_add_last(&wheel->due, link);
        } else {
            wheel_place(wheel, timer);
        }
    }
}

void wheel_advance(struct wheel *wheel, uint64_t now_ms)
{
    uint64_t target = now_ms / WHEEL_TICK_MS;
    uint32_t level;
    uint64_t tick;

    while (wheel_next_slot(wheel, &level, &tick) && tick <= target) {
        wheel->now_tick = tick;
        wheel_open_slot(wheel, level);
    }
    if (wheel->now_tick < target) { /* a clock that seems to go back moves nothing */
        wheel->now_tick = target;
    }
}

struct wheel_timer *wheel_take_due(struct wheel *wheel)
{
    struct list_link *link = list_first(&wheel->due);

    if (link == NULL) {
        return NULL;
    }
    list_remove(link);
    MUST(wheel->armed > 0);
    wheel->armed--;
    return LIST_OWNER(link, struct wheel_timer, link);
}

uint64_t wheel_next_ms(const struct wheel *wheel, uint64_t now_ms)
{
    uint32_t level;
    uint64_t tick;
    uint64_t at_ms;

    if (!list_is_empty(&wheel->due)) {
        return 0;
    }
    if (!wheel_next_slot(wheel, &level, &tick)) {
        return UINT64_MAX;
    }
    at_ms = tick * WHEEL_TICK_MS;
    return at_ms > now_ms ? at_ms - now_ms : 0;
}
