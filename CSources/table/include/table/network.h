/* Whether an address belongs to one of a list of networks. */
#ifndef TABLE_NETWORK_H
#define TABLE_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "table/view.h"

/* `ip` is in network byte order, IPv4 as ::ffff:a.b.c.d. */
bool network_covers(const struct abi_network *network, const uint8_t ip[16]);

/* By binary search over the list. */
bool network_has(const struct view *view, struct abi_ref list, const uint8_t ip[16]);

#endif
