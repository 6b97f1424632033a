/* The hash of a request that decides about its endpoint, by the parts that a balancer names. The
 * same function serves the workers and `meshctl explain`. */
#ifndef TABLE_AFFINITY_H
#define TABLE_AFFINITY_H

#include "table/route.h"

/* Text of a number that is made for a cookie. */
#define AFFINITY_VALUE 16u

struct affinity_input {
    const struct route_input *request; /* its fields and its query; NULL: a stream */
    const uint8_t *address;            /* 16 bytes, of the client; NULL: not known */
    uint64_t fresh;                    /* the number that a cookie gets that has to be made */
};

struct affinity {
    bool found;
    uint64_t hash;               /* with `found` */
    const struct abi_hash *made; /* the cookie that the answer is to set; NULL: none */
    const struct abi_hash *by;   /* the last part that was there; NULL: none */
};

void affinity_of(const struct view *view, const struct abi_balancer *balancer,
                 const struct affinity_input *input, struct affinity *out);

/* The value of a cookie that is made. */
void affinity_write(uint64_t fresh, uint8_t out[static AFFINITY_VALUE]);

#endif
