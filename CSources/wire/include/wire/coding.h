/* Which content coding a client takes: Accept-Encoding (RFC 9110 12.5.3).
 *
 * A list that cannot be read is as good as none, since a coding that the client cannot undo would
 * cost it the answer: whoever misreads a weight must end with the body as it is. */
#ifndef WIRE_CODING_H
#define WIRE_CODING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum coding {
    CODING_IDENTITY = 0,
    CODING_GZIP, /* also by its old name x-gzip */
    CODING_BROTLI,
    CODING_ZSTD,
    CODING_COUNT
};

#define CODING_MAX_ELEMENTS 32u /* of all fields of one request, empty ones not counted */

/* What the client wishes, in thousandths; a coding that is not named has the weight of `*`. */
struct coding_wishes {
    uint16_t weights[CODING_COUNT];
    uint16_t others; /* `*` */
    uint8_t named;   /* set of 1 << enum coding */
    uint8_t elements;
    bool starred;
    bool spoiled; /* one of its fields cannot be read */
};

/* Nothing is wished so far: no coding but identity. */
void coding_init(struct coding_wishes *wishes);

/* One field value more of the same request. */
void coding_read(struct coding_wishes *wishes, struct bytes value);

/* The coding with the highest weight among `offered`, those in front preferred where weights are
 * equal; CODING_IDENTITY when none is wished, or identity is wished more than they are. */
enum coding coding_choose(const struct coding_wishes *wishes, const uint8_t *offered,
                          uint32_t count);

#endif
