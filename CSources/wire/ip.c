#include "wire/ip.h"

#include <string.h>

static const uint8_t ip_mapped[12] = {[10] = 0xff, [11] = 0xff};

bool ip_is4(const struct ip_address *ip)
{
    return memcmp(ip->bytes, ip_mapped, sizeof(ip_mapped)) == 0;
}

/* A number of at most `most` without leading zeros, which some read as octal. */
static bool ip_decimal(struct bytes text, uint32_t most, uint32_t *value)
{
    *value = 0;
    if (text.len == 0 || text.len > 5 || (text.len > 1 && text.ptr[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if ((uint8_t)(text.ptr[i] - '0') > 9) {
            return false;
        }
        *value = *value * 10 + (uint32_t)(text.ptr[i] - '0');
    }
    return *value <= most;
}

bool ip_parse_port(struct bytes text, uint16_t *port)
{
    uint32_t value;

    if (!ip_decimal(text, UINT16_MAX, &value)) {
        return false;
    }
    *port = (uint16_t)value;
    return true;
}

bool ip_parse4(struct bytes text, struct ip_address *ip)
{
    uint8_t four[4];
    size_t at = 0;

    for (uint32_t i = 0; i < 4; i++) {
        size_t end = at;
        uint32_t value;

        while (end < text.len && text.ptr[end] != '.') {
            end++;
        }
        /* A dot behind each number but the last. */
        if (!ip_decimal(bytes_part(text, at, end), 255, &value) || (end < text.len) != (i < 3)) {
            return false;
        }
        four[i] = (uint8_t)value;
        at = end + (i < 3);
    }
    *ip = ip_of4(four);
    return true;
}

static int ip_hex_digit(uint8_t c)
{
    uint8_t letter = (uint8_t)((c | 0x20) - 'a');

    if ((uint8_t)(c - '0') <= 9) {
        return c - '0';
    }
    return letter < 6 ? letter + 10 : -1;
}

/* One to four digits at `*at`; 0 when there are none or more. */
static uint32_t ip_group(struct bytes text, size_t *at, uint8_t out[2])
{
    uint32_t value = 0;
    uint32_t digits = 0;

    while (*at < text.len && digits <= 4) {
        int digit = ip_hex_digit(text.ptr[*at]);

        if (digit < 0) {
            break;
        }
        value = value << 4 | (uint32_t)digit;
        digits++;
        (*at)++;
    }
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
    return digits > 4 ? 0 : digits;
}

struct ip_reader {
    struct bytes text;
    size_t at;
    uint8_t out[16]; /* groups in the order of the text */
    size_t filled;   /* bytes of `out` */
    size_t gap;      /* where `::` stands in `out`; SIZE_MAX: nowhere yet */
};

static bool ip_read_group(struct ip_reader *reader)
{
    size_t start = reader->at;
    struct ip_address tail;

    if (reader->filled > 14 ||
        ip_group(reader->text, &reader->at, reader->out + reader->filled) == 0) {
        return false;
    }
    reader->filled += 2;
    if (reader->at == reader->text.len || reader->text.ptr[reader->at] != '.') {
        return true;
    }
    /* It was the start of an IPv4 address, which ends the text. */
    if (reader->filled > 14 || !ip_parse4(bytes_from(reader->text, start), &tail)) {
        return false;
    }
    memcpy(reader->out + reader->filled - 2, tail.bytes + 12, 4);
    reader->filled += 2;
    reader->at = reader->text.len;
    return true;
}

static bool ip_read_groups(struct ip_reader *reader)
{
    struct bytes text = reader->text;

    while (reader->at < text.len) {
        if (bytes_has_prefix(bytes_from(text, reader->at), BYTES_LITERAL("::"))) {
            if (reader->gap != SIZE_MAX) {
                return false;
            }
            reader->gap = reader->filled;
            reader->at += 2;
            if (reader->at == text.len) {
                return true;
            }
        } else if (reader->filled > 0) {
            if (text.ptr[reader->at++] != ':') {
                return false;
            }
        }
        if (!ip_read_group(reader)) {
            return false;
        }
    }
    return true;
}

bool ip_parse6(struct bytes text, struct ip_address *ip)
{
    struct ip_reader reader = {.text = text, .gap = SIZE_MAX};
    size_t tail;

    if (text.len < 2 || text.len > IP_TEXT_MAX || !ip_read_groups(&reader)) {
        return false;
    }
    if (reader.gap == SIZE_MAX) {
        reader.gap = reader.filled;
        if (reader.filled != 16) {
            return false;
        }
    } else if (reader.filled > 14) {
        return false; /* `::` stands for one group at least */
    }
    tail = reader.filled - reader.gap;
    memset(ip, 0, sizeof(*ip));
    memcpy(ip->bytes, reader.out, reader.gap);
    memcpy(ip->bytes + 16 - tail, reader.out + reader.gap, tail);
    return true;
}

bool ip_parse(struct bytes text, struct ip_address *ip)
{
    return ip_parse4(text, ip) || ip_parse6(text, ip);
}

static char *ip_put_decimal(char *to, uint32_t value)
{
    if (value >= 100) {
        *to++ = (char)('0' + value / 100);
    }
    if (value >= 10) {
        *to++ = (char)('0' + value / 10 % 10);
    }
    *to++ = (char)('0' + value % 10);
    return to;
}

static char *ip_put_hex(char *to, uint32_t group)
{
    static const char digits[] = "0123456789abcdef";
    bool begun = false;

    for (int shift = 12; shift >= 0; shift -= 4) {
        uint32_t digit = group >> shift & 15;

        begun = begun || digit != 0 || shift == 0;
        if (begun) {
            *to++ = digits[digit];
        }
    }
    return to;
}

static uint32_t ip_group_at(const struct ip_address *ip, uint32_t index)
{
    return (uint32_t)ip->bytes[2 * index] << 8 | ip->bytes[2 * index + 1];
}

/* The longest run of at least two zero groups, the first of equals (RFC 5952 4.2). */
static void ip_zeros(const struct ip_address *ip, uint32_t *from, uint32_t *count)
{
    uint32_t run = 0;

    *from = 8;
    *count = 1;
    for (uint32_t i = 0; i < 8; i++) {
        run = ip_group_at(ip, i) == 0 ? run + 1 : 0;
        if (run > *count) {
            *count = run;
            *from = i + 1 - run;
        }
    }
}

size_t ip_format(const struct ip_address *ip, char out[IP_TEXT_MAX])
{
    char *to = out;
    uint32_t zeros_from;
    uint32_t zeros;

    if (ip_is4(ip)) {
        for (uint32_t i = 12; i < 16; i++) {
            if (i > 12) {
                *to++ = '.';
            }
            to = ip_put_decimal(to, ip->bytes[i]);
        }
        return (size_t)(to - out);
    }
    ip_zeros(ip, &zeros_from, &zeros);
    for (uint32_t i = 0; i < 8;) {
        if (i == zeros_from) {
            *to++ = ':';
            *to++ = ':';
            i += zeros;
            continue;
        }
        if (i > 0 && i != zeros_from + zeros) {
            *to++ = ':';
        }
        to = ip_put_hex(to, ip_group_at(ip, i));
        i++;
    }
    return (size_t)(to - out);
}
