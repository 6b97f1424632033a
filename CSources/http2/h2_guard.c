/* Frames are looked at before the library sees them. Most kinds of frames do work only together
 * with others; a peer that sends many of them alone keeps us busy for nothing. Each such frame
 * costs credit, which comes back with time and with work done (RFC 9113 10.5).
 *
 * What costs: frames without effect of their own (PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty
 * DATA, CONTINUATION, unknown kinds), streams given up by the peer, and streams that we had to
 * reset for the peer's faults. What pays: answers that were sent to their end, and DATA sent. */
#include <string.h>

#include "h2_private.h"

#define H2_PREFACE_SIZE 24u
#define H2_RESET_COST   2u

enum h2_frame {
    H2_FRAME_DATA = 0,
    H2_FRAME_HEADERS = 1,
    H2_FRAME_PRIORITY = 2,
    H2_FRAME_RST_STREAM = 3,
    H2_FRAME_PUSH_PROMISE = 5,
    H2_FRAME_CONTINUATION = 9,
};

enum h2_frame_flag { H2_END_STREAM = 1, H2_END_HEADERS = 4 };

void h2_guard_start(struct h2_guard *guard, const struct h2_limits *limits, bool server)
{
    memset(guard, 0, sizeof(*guard));
    guard->preface = server ? H2_PREFACE_SIZE : 0;
    guard->credit = limits->calm;
}

bool h2_guard_charge(struct h2_guard *guard, uint32_t cost)
{
    if (guard->credit < cost) {
        guard->credit = 0;
        return false;
    }
    guard->credit -= cost;
    return true;
}

void h2_guard_repay(struct h2_guard *guard, const struct h2_limits *limits, uint32_t amount)
{
    guard->credit = limits->calm - guard->credit < amount ? limits->calm : guard->credit + amount;
}

void h2_guard_refill(struct h2_guard *guard, const struct h2_limits *limits, uint64_t now_ms)
{
    uint64_t passed_ms = now_ms - guard->filled_ms;
    uint64_t amount;

    if (guard->filled_ms == 0) {
        guard->filled_ms = now_ms;
        return;
    }
    passed_ms = passed_ms > 3600000u ? 3600000u : passed_ms;
    amount = passed_ms * limits->calm_per_second / 1000u;
    if (amount > 0) {
        guard->filled_ms = now_ms;
        h2_guard_repay(guard, limits, amount > limits->calm ? limits->calm : (uint32_t)amount);
    }
}

static uint32_t h2_load31(const uint8_t *at)
{
    return (uint32_t)(at[0] & 0x7f) << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* The header of a frame is complete. */
static bool h2_guard_frame(struct h2_guard *guard, const struct h2_limits *limits)
{
    const uint8_t *header = guard->header;
    uint8_t flags = header[4];

    guard->id = h2_load31(header + 5);
    guard->left = (uint32_t)header[0] << 16 | (uint32_t)header[1] << 8 | header[2];
    guard->closes = false;
    switch ((enum h2_frame)header[3]) {
    case H2_FRAME_DATA:
        return guard->left > 0 || (flags & H2_END_STREAM) != 0 || h2_guard_charge(guard, 1);
    case H2_FRAME_HEADERS:
    case H2_FRAME_PUSH_PROMISE:
        guard->block = guard->left;
        guard->within = true;
        guard->closes = (flags & H2_END_HEADERS) != 0;
        return guard->block <= limits->block;
    case H2_FRAME_CONTINUATION:
        guard->block += guard->left;
        guard->closes = (flags & H2_END_HEADERS) != 0;
        return guard->block <= limits->block && h2_guard_charge(guard, 1);
    case H2_FRAME_RST_STREAM:
        return h2_guard_charge(guard, H2_RESET_COST);
    default:
        return h2_guard_charge(guard, 1);
    }
}

/* Priorities of RFC 7540 are not served, and the library does not look at them; yet a frame on no
 * stream is an error (RFC 9113 6.3), and so is a stream that depends on itself. `first` is what
 * came of its payload. */
static bool h2_guard_is_sound(struct h2_guard *guard, struct bytes first)
{
    if (guard->header[3] != H2_FRAME_PRIORITY) {
        return true;
    }
    while (first.len > 0 && guard->dependency < 4) {
        guard->depends[guard->dependency++] = *first.ptr;
        first = bytes_from(first, 1);
    }
    return guard->id != 0 && (guard->dependency < 4 || h2_load31(guard->depends) != guard->id);
}

enum h2_code h2_guard_step(struct h2_guard *guard, const struct h2_limits *limits, struct bytes *in,
                           bool *header)
{
    size_t part;

    *header = false;
    if (guard->preface > 0) {
        part = in->len < guard->preface ? in->len : guard->preface;
        guard->preface -= (uint8_t)part;
        *in = bytes_from(*in, part);
        return H2_NO_ERROR;
    }
    if (guard->have < sizeof(guard->header)) {
        part = sizeof(guard->header) - guard->have;
        part = in->len < part ? in->len : part;
        memcpy(guard->header + guard->have, in->ptr, part);
        guard->have += (uint8_t)part;
        *in = bytes_from(*in, part);
        if (guard->have < sizeof(guard->header)) {
            return H2_NO_ERROR;
        }
        *header = true;
        guard->dependency = 0;
        if (!h2_guard_frame(guard, limits)) {
            return H2_ENHANCE_YOUR_CALM;
        }
        if (guard->header[3] == H2_FRAME_PRIORITY && guard->left != 5) {
            return H2_FRAME_SIZE_ERROR;
        }
        if (guard->left > 0) {
            return H2_NO_ERROR;
        }
    }
    part = in->len < guard->left ? in->len : guard->left;
    if (!h2_guard_is_sound(guard, bytes_part(*in, 0, part))) {
        return H2_PROTOCOL_ERROR;
    }
    guard->left -= (uint32_t)part;
    *in = bytes_from(*in, part);
    if (guard->left == 0) {
        guard->have = 0;
        guard->within = guard->within && !guard->closes;
    }
    return H2_NO_ERROR;
}
