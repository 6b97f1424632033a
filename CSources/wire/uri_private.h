/* Between the files of the room. */
#ifndef WIRE_URI_PRIVATE_H
#define WIRE_URI_PRIVATE_H

#include "wire/uri.h"

/* uri_split_authority for one that lies within more readable bytes, of which the one after it, if
 * any, cannot belong to a host: its end is then found without looking at single bytes. */
[[nodiscard]] int uri_split_within(struct bytes authority, struct bytes around, struct bytes *host,
                                   uint16_t *port);

#endif
