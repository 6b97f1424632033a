/* Balancers for tests, with tables made by the plainest way there is. */
#ifndef BALANCE_KIT_H
#define BALANCE_KIT_H

#include "snapshot_builder.h"

#define BALANCE_KIT_POINTS 100u  /* of an endpoint of weight 1 on a ring */
#define BALANCE_KIT_SLOTS  2503u /* of a table, a prime */

/* Gives a target a balancer like `settings`, with its endpoints in tiers of so many each, and the
 * tables that `balance` needs. */
void balance_kit_target(struct snapshot_builder *b, uint32_t target, enum abi_balance balance,
                        const struct abi_balancer *settings, const uint32_t *tiers,
                        uint32_t tier_count);

#endif
