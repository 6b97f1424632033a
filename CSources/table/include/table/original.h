/* Which listener behind an ABI_LISTENER_REDIRECTED an address stands for. */
#ifndef TABLE_ORIGINAL_H
#define TABLE_ORIGINAL_H

#include <stdbool.h>
#include <stdint.h>

#include "table/view.h"

/* The address that a connection was made to before it was redirected. */
struct original_address {
    uint8_t ip[16]; /* network byte order, IPv4 as ::ffff:a.b.c.d */
    uint16_t port;  /* host byte order */
};

/* Index of the listener, or ABI_NONE: the address is not known behind `listener`. By binary search.
 */
uint32_t original_find(const struct view *view, uint32_t listener,
                       const struct original_address *address);

/* Whether no host has the address: those of 240.0.0.0/4 are given to services alone. */
bool original_is_virtual(const struct original_address *address);

/* Index of the listener that a connection to the address is for, or ABI_NONE. What nobody knows is
 * for the listener of all others, if `listener` has one; but a virtual address was that of a
 * service which is gone, and what was meant for it goes nowhere.
 */
uint32_t original_lead(const struct view *view, uint32_t listener,
                       const struct original_address *address);

/* The order of the section. */
int original_compare(const struct abi_original *a, const struct abi_original *b);

#endif
