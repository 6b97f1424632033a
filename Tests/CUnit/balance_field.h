/* One target with a balancer, an overlay, and what was chosen. */
#ifndef BALANCE_FIELD_H
#define BALANCE_FIELD_H

#include "snapshot_builder.h"
#include "table/balance.h"

#define BALANCE_FIELD_KEYS 20000u

/* One target with endpoints of given weights, and what was chosen. */
struct balance_field {
    struct snapshot_builder *builder;
    struct view view;
    struct abi_overlay *overlay;
    const struct abi_target *target;
    uint32_t count;
    uint32_t cursor;
    uint32_t *picks;
    uint32_t *loads;
    struct latency *latencies;
    struct balance_shares shares;
    struct balance_why why;
    struct balance_more more;
    uint32_t tried[3];
    uint32_t tried_count;
};

/* Two choices, 70 per cent, ten seconds. With tiers.count = 2 the endpoints are halved. */
struct abi_balancer balance_field_settings(void);
/* `weights` NULL: all 1. */
void balance_field_begin(struct balance_field *field, enum abi_balance balance,
                         const struct abi_balancer *balancer, const uint32_t *weights,
                         uint32_t count);
void balance_field_end(struct balance_field *field);
/* Index among the target's endpoints, or ABI_NONE. */
uint32_t balance_field_pick(struct balance_field *field);
uint64_t balance_field_key_hash(uint32_t key);
/* That of a request with this key. */
uint32_t balance_field_pick_key(struct balance_field *field, uint32_t key);
/* The endpoints of all keys; freed with free(). */
uint32_t *balance_field_map_keys(struct balance_field *field);
/* The word of the overlay. */
void balance_field_set(struct balance_field *field, uint32_t endpoint, uint64_t word);
/* That of an endpoint which is there for so long. */
uint64_t balance_field_since(const struct balance_field *field, uint64_t age_ms);
/* Within `slack` per cent of what is due to each. */
void balance_field_check_shares(const struct balance_field *field, const uint32_t *weights,
                                uint32_t slack);

#endif
