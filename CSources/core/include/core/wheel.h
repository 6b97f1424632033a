/* Timer wheel: arming, moving and cancelling are O(1); a timer fires at most one tick late and
 * never early, though the times given are whole milliseconds, rounded down. Timers are members of
 * their owner: the wheel allocates nothing. */
#ifndef CORE_WHEEL_H
#define CORE_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

#define WHEEL_LEVELS    4u
#define WHEEL_SLOT_BITS 6u
#define WHEEL_SLOTS     (1u << WHEEL_SLOT_BITS)
#define WHEEL_TICK_MS   8u /* resolution */

struct wheel_timer {
    struct list_link link;
    uint64_t due_tick; /* meaningful while armed */
    uint64_t token;    /* the owner's, in the form of ring_token */
};

struct wheel {
    uint64_t now_tick;
    uint32_t armed;
    uint64_t occupied[WHEEL_LEVELS]; /* one bit per slot that may hold timers */
    struct list_link slots[WHEEL_LEVELS][WHEEL_SLOTS];
    struct list_link due; /* expired, not yet handed out */
};

void wheel_init(struct wheel *wheel, uint64_t now_ms);

/* Before first use of a timer. */
void wheel_timer_init(struct wheel_timer *timer, uint64_t token);

/* (Re)arms: fires after the millisecond `now_ms + delay_ms`, not in it: armed at the end of one and
 * fired at the beginning of the other, up to a millisecond would be missing. Delays beyond the
 * wheel's span (about 37 hours) fire at its end; the owner arms again. */
void wheel_arm(struct wheel *wheel, struct wheel_timer *timer, uint64_t now_ms, uint64_t delay_ms);
void wheel_cancel(struct wheel *wheel, struct wheel_timer *timer);
bool wheel_is_armed(const struct wheel_timer *timer);

/* Moves the wheel to `now_ms`; expired timers are then taken one by one with wheel_take_due(), so
 * that a handler may arm or cancel any timer. */
void wheel_advance(struct wheel *wheel, uint64_t now_ms);
/* The next expired timer, disarmed, or NULL. */
struct wheel_timer *wheel_take_due(struct wheel *wheel);

/* Milliseconds from `now_ms` until wheel_advance() may have something, UINT64_MAX when nothing is
 * armed. May be early (a cascade), never late. */
uint64_t wheel_next_ms(const struct wheel *wheel, uint64_t now_ms);

#endif
