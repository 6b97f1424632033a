/* IP addresses: text, strict, and one form of 16 bytes for both families. */
#ifndef WIRE_IP_H
#define WIRE_IP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

#define IP_TEXT_MAX 45u /* "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255" */

/* Network byte order; IPv4 is ::ffff:a.b.c.d, so that a client is the same one whether it came to
 * an IPv4 socket or to an IPv6 socket that takes both. */
struct ip_address {
    uint8_t bytes[16];
};

static inline struct ip_address ip_of4(const uint8_t four[4])
{
    struct ip_address ip = {{[10] = 0xff, [11] = 0xff}};

    memcpy(ip.bytes + 12, four, 4);
    return ip;
}

bool ip_is4(const struct ip_address *ip);

/* The whole text is an address: four decimal numbers without leading zeros ... */
bool ip_parse4(struct bytes text, struct ip_address *ip);
/* ... or groups of one to four hexadecimal digits, at most one `::` (RFC 4291 2.2), perhaps with
 * the last two groups as IPv4. No zone, no brackets, no prefix length. */
bool ip_parse6(struct bytes text, struct ip_address *ip);
/* Either. */
bool ip_parse(struct bytes text, struct ip_address *ip);

/* The text of RFC 5952, or four decimal numbers for IPv4; its length, at most IP_TEXT_MAX. */
size_t ip_format(const struct ip_address *ip, char out[IP_TEXT_MAX]);

/* A decimal number of at most 65535 without leading zeros. */
bool ip_parse_port(struct bytes text, uint16_t *port);

#endif
