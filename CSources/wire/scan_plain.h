/* The classes of scan.h as one table, byte by byte: the definition that faster ones are compared
 * with, and the fallback for machines without SSSE3. */
#ifndef WIRE_SCAN_PLAIN_H
#define WIRE_SCAN_PLAIN_H

#include <stdbool.h>
#include <stdint.h>

enum scan_class {
    SCAN_TOKEN = 1, /* tchar */
    SCAN_VALUE = 2, /* may stand in a field value */
    SCAN_PATH = 4,  /* may stand in a target before its `?` */
    SCAN_QUERY = 8, /* may stand in a target after its `?` */
    SCAN_HOST = 16, /* may stand in a host name: letters, digits, `-`, `.`, `_` */
    SCAN_HEX = 32,
    SCAN_UNRESERVED = 64, /* RFC 3986 2.3 */
    SCAN_SEGMENT = 128,   /* of a path, nothing special: SCAN_PATH without `/`, `%` and `\` */
};

/* Classes of every byte, in scan.c. */
extern const uint8_t scan_classes[256];

static inline bool scan_is(uint8_t c, enum scan_class wanted)
{
    return (scan_classes[c] & wanted) != 0;
}

static inline bool scan_is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static inline bool scan_is_digit(uint8_t c)
{
    return (uint8_t)(c - '0') < 10;
}

static inline const uint8_t *scan_plain_run(const uint8_t *at, const uint8_t *end,
                                            enum scan_class wanted)
{
    while (at < end && scan_is(*at, wanted)) {
        at++;
    }
    return at;
}

static inline const uint8_t *scan_plain_token(const uint8_t *at, const uint8_t *end,
                                              const uint8_t *floor)
{
    (void)floor;
    return scan_plain_run(at, end, SCAN_TOKEN);
}

static inline const uint8_t *scan_plain_value(const uint8_t *at, const uint8_t *end,
                                              const uint8_t *floor)
{
    (void)floor;
    return scan_plain_run(at, end, SCAN_VALUE);
}

static inline const uint8_t *scan_plain_path(const uint8_t *at, const uint8_t *end,
                                             const uint8_t *floor)
{
    (void)floor;
    return scan_plain_run(at, end, SCAN_PATH);
}

static inline const uint8_t *scan_plain_query(const uint8_t *at, const uint8_t *end,
                                              const uint8_t *floor)
{
    (void)floor;
    return scan_plain_run(at, end, SCAN_QUERY);
}

static inline const uint8_t *scan_plain_segment(const uint8_t *at, const uint8_t *end,
                                                const uint8_t *floor)
{
    (void)floor;
    return scan_plain_run(at, end, SCAN_SEGMENT);
}

static inline const uint8_t *scan_plain_host(const uint8_t *at, const uint8_t *end,
                                             const uint8_t *floor)
{
    (void)floor;
    return scan_plain_run(at, end, SCAN_HOST);
}

#endif
