/* Authorities of the reference reader: names, IPv4 and IPv6 addresses, ports. */
#include <string.h>

#include "h1_reference.h"

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

/* Position of `c` in `in`, or in.len. */
static size_t find(struct bytes in, uint8_t c)
{
    size_t at = 0;

    while (at < in.len && in.ptr[at] != c) {
        at++;
    }
    return at;
}

static bool read_port(struct bytes text, bool required)
{
    uint32_t value = 0;

    if (text.len == 0) {
        return !required;
    }
    if (text.len > 5) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (!is_digit(text.ptr[i])) {
            return false;
        }
        value = value * 10 + text.ptr[i] - '0';
    }
    return value > 0 && value < 65536;
}

/* Four numbers up to 255 without leading zeros, divided by dots. */
static bool is_v4(struct bytes text)
{
    int parts = 0;
    size_t at = 0;

    for (;;) {
        int value = 0;
        size_t start = at;

        while (at < text.len && is_digit(text.ptr[at]) && at - start < 4) {
            value = value * 10 + text.ptr[at] - '0';
            at++;
        }
        if (at == start || value > 255 || (at - start > 1 && text.ptr[start] == '0')) {
            return false;
        }
        parts++;
        if (at == text.len) {
            return parts == 4;
        }
        if (text.ptr[at] != '.' || parts == 4) {
            return false;
        }
        at++;
    }
}

/* Groups of an IPv6 address: up to eight of one to four digits, `::` once, an IPv4 tail. */
static bool is_v6(struct bytes text)
{
    int groups = 0;
    bool gap = false;
    size_t at = 0;

    if (text.len < 2) {
        return false;
    }
    while (at < text.len) {
        size_t digits = 0;
        size_t from = at;

        if (text.ptr[at] == ':') {
            if (at + 1 < text.len && text.ptr[at + 1] == ':') {
                if (gap) {
                    return false;
                }
                gap = true;
                at += 2;
                if (at < text.len && text.ptr[at] == ':') {
                    return false;
                }
                continue;
            }
            if (at == 0 || at + 1 == text.len) {
                return false;
            }
            at++;
            from = at;
        } else if (groups > 0 && text.ptr[at - 1] != ':') {
            return false;
        }
        while (at < text.len && strchr("0123456789abcdefABCDEF", text.ptr[at]) != NULL &&
               text.ptr[at] != 0) {
            at++;
            digits++;
        }
        if (at < text.len && text.ptr[at] == '.') { /* the rest is an IPv4 address */
            groups += 2;
            return is_v4(bytes_from(text, from)) && (gap ? groups <= 7 : groups == 8);
        }
        if (digits < 1 || digits > 4) {
            return false;
        }
        groups++;
    }
    return gap ? groups <= 7 : groups == 8;
}

bool reference_is_authority(struct bytes in, bool port_required)
{
    size_t host;

    if (in.len > 0 && in.ptr[0] == '[') {
        host = find(in, ']');
        if (host == in.len || host > 46 || !is_v6(bytes_part(in, 1, host))) {
            return false;
        }
        host++;
        if (host < in.len && in.ptr[host] != ':') {
            return false;
        }
    } else {
        host = find(in, ':');
        if (host == 0 || host > 255 || in.ptr[0] == '.') {
            return false;
        }
        for (size_t i = 0; i < host; i++) {
            int c = in.ptr[i];

            if (!is_digit(c) && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && c != '-' &&
                c != '_' && !(c == '.' && (i + 1 == host || in.ptr[i + 1] != '.'))) {
                return false;
            }
        }
    }
    return read_port(bytes_from(in, host < in.len ? host + 1 : host), port_required);
}
