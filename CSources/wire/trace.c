#include "wire/trace.h"

#include <string.h>

#include "scan_plain.h"
#include "wire/hdr.h"

#define TRACE_KEY_MAX   256u
#define TRACE_VALUE_MAX 256u

static int trace_digit(uint8_t c)
{
    if (scan_is_digit(c)) {
        return c - '0';
    }
    return (uint8_t)(c - 'a') < 6 ? c - 'a' + 10 : -1;
}

/* `count` bytes of two digits each. false: another character. */
static bool trace_hex(const uint8_t *at, uint8_t *out, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int high = trace_digit(at[2 * i]);
        int low = trace_digit(at[2 * i + 1]);

        if (high < 0 || low < 0) {
            return false;
        }
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool trace_is_set(const uint8_t *id, size_t size)
{
    uint8_t any = 0;

    for (size_t i = 0; i < size; i++) {
        any |= id[i];
    }
    return any != 0;
}

/* 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 */
bool trace_parse_parent(struct bytes value, struct trace_parent *parent)
{
    const uint8_t *at = value.ptr;

    if (value.len < TRACE_PARENT_SIZE || at[2] != '-' || at[35] != '-' || at[52] != '-' ||
        !trace_hex(at, &parent->version, 1) || !trace_hex(at + 3, parent->trace_id, 16) ||
        !trace_hex(at + 36, parent->span_id, 8) || !trace_hex(at + 53, &parent->flags, 1)) {
        return false;
    }
    if (parent->version == 0xff ||
        (value.len > TRACE_PARENT_SIZE && (parent->version == 0 || at[TRACE_PARENT_SIZE] != '-'))) {
        return false;
    }
    return trace_is_set(parent->trace_id, 16) && trace_is_set(parent->span_id, 8);
}

static uint8_t *trace_put_hex(uint8_t *to, const uint8_t *from, size_t count)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < count; i++) {
        *to++ = (uint8_t)digits[from[i] >> 4];
        *to++ = (uint8_t)digits[from[i] & 15];
    }
    return to;
}

void trace_write_parent(const struct trace_parent *parent, uint8_t out[TRACE_PARENT_SIZE])
{
    uint8_t *to = out;

    *to++ = '0';
    *to++ = '0';
    *to++ = '-';
    to = trace_put_hex(to, parent->trace_id, 16);
    *to++ = '-';
    to = trace_put_hex(to, parent->span_id, 8);
    *to++ = '-';
    (void)trace_put_hex(to, &parent->flags, 1);
}

/* Lower-case letters and digits, then also `_`, `-`, `*`, `/` and `@`. */
static bool trace_is_key(struct bytes key)
{
    if (key.len == 0 || key.len > TRACE_KEY_MAX) {
        return false;
    }
    for (size_t i = 0; i < key.len; i++) {
        uint8_t c = key.ptr[i];
        bool mark = c == '_' || c == '-' || c == '*' || c == '/' || c == '@';

        if ((uint8_t)(c - 'a') >= 26 && !scan_is_digit(c) && (i == 0 || !mark)) {
            return false;
        }
    }
    return true;
}

/* Visible characters and blanks without `,` and `=`, not ending in a blank. */
static bool trace_is_value(struct bytes value)
{
    if (value.len == 0 || value.len > TRACE_VALUE_MAX || value.ptr[value.len - 1] == ' ') {
        return false;
    }
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.ptr[i];

        if (c < ' ' || c > '~' || c == '=') {
            return false;
        }
    }
    return true;
}

bool trace_add_state(struct trace_state *state, struct bytes value)
{
    struct bytes member;

    while (hdr_next_element(&value, &member)) {
        struct bytes key;
        size_t at = 0;

        while (at < member.len && member.ptr[at] != '=') {
            at++;
        }
        key = bytes_part(member, 0, at);
        if (at == member.len || !trace_is_key(key) || !trace_is_value(bytes_from(member, at + 1)) ||
            state->count == TRACE_STATE_MEMBERS) {
            return false;
        }
        for (uint32_t i = 0; i < state->count; i++) {
            if (bytes_equal(state->keys[i], key)) {
                return false;
            }
        }
        state->keys[state->count++] = key;
    }
    return true;
}
