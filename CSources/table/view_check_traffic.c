/* Rules of what routes ask for beyond a destination, and of what bounds targets. */
#include "view_walk.h"

#include "abi/limits.h"

static bool check_retry_codes(struct view_walk *walk, const struct abi_traffic *traffic)
{
    const uint16_t *codes = traffic->retry_codes;

    for (uint32_t i = 0; i < LIMIT_RETRY_CODES; i++) {
        bool status = codes[i] >= 200 && codes[i] <= 599;
        bool more = i == 0 || codes[i] > codes[i - 1];

        if (!view_rule(walk, codes[i] == 0 || (status && more), ABI_REFUSAL_VALUE,
                       "statuses to be tried again") ||
            !view_rule(walk, i == 0 || codes[i] == 0 || codes[i - 1] != 0, ABI_REFUSAL_VALUE,
                       "statuses to be tried again")) {
            return false;
        }
    }
    return true;
}

static bool check_mirror(struct view_walk *walk, const struct abi_traffic *traffic)
{
    const struct view *view = walk->view;
    const struct abi_target *target;

    if (traffic->mirror_share == 0) {
        return view_rule(walk, traffic->mirror_target == 0, ABI_REFUSAL_VALUE, "share of copies");
    }
    if (!view_rule(walk, traffic->mirror_share <= ABI_SPLIT_TOTAL, ABI_REFUSAL_VALUE,
                   "share of copies") ||
        !view_rule(walk, traffic->mirror_target < view->counts[ABI_SECTION_TARGET],
                   ABI_REFUSAL_REFERENCE, "target of copies")) {
        return false;
    }
    target = &view->targets[traffic->mirror_target];
    return view_rule(walk, target->protocol != ABI_PROTOCOL_TCP && target->proxy_out == 0,
                     ABI_REFUSAL_VALUE, "target of copies");
}

bool view_check_traffic(struct view_walk *walk)
{
    const struct abi_traffic *traffic = &walk->view->traffic[walk->record];

    return check_retry_codes(walk, traffic) &&
           view_rule(walk,
                     traffic->backoff_ms <= traffic->backoff_max_ms &&
                         traffic->backoff_max_ms <= LIMIT_BACKOFF_MS,
                     ABI_REFUSAL_VALUE, "pause between tries") &&
           check_mirror(walk, traffic) &&
           view_rule(walk, traffic->max_replay <= LIMIT_REPLAY, ABI_REFUSAL_LIMIT,
                     "bodies kept for another try") &&
           view_ref(walk, traffic->rates, ABI_SECTION_RATE, "rates of a route") &&
           view_rule(walk, traffic->rates.count <= LIMIT_ROUTE_RATES, ABI_REFUSAL_LIMIT,
                     "rates of a route");
}

bool view_check_rate(struct view_walk *walk)
{
    const struct abi_rate *rate = &walk->view->rates[walk->record];

    return view_rule(walk,
                     rate->interval_ns >= 1 && rate->interval_ns <= LIMIT_RATE_INTERVAL_NS &&
                         rate->burst >= 1 && rate->burst <= LIMIT_RATE_BURST,
                     ABI_REFUSAL_VALUE, "a rate") &&
           view_rule(walk, rate->by < ABI_RATE_BY_COUNT, ABI_REFUSAL_VALUE, "whose rate") &&
           view_rule(walk, (rate->_pad0[0] | rate->_pad0[1] | rate->_pad0[2]) == 0,
                     ABI_REFUSAL_PADDING, "rate");
}

bool view_check_guard(struct view_walk *walk)
{
    const struct abi_guard *guard = &walk->view->guards[walk->record];
    bool ejects = guard->failures > 0 || guard->gateway_failures > 0;

    return view_rule(walk, guard->ejected_most <= 100 && guard->ejected_chance <= 100,
                     ABI_REFUSAL_VALUE, "shares of a guard") &&
           view_rule(walk, !ejects || (guard->ejection_ms > 0 && guard->interval_ms > 0),
                     ABI_REFUSAL_VALUE, "times of a guard") &&
           view_rule(walk,
                     guard->ejection_ms <= guard->ejection_max_ms &&
                         guard->ejection_max_ms <= LIMIT_EJECTION_MS,
                     ABI_REFUSAL_VALUE, "times of a guard") &&
           view_rule(walk, (guard->_pad0[0] | guard->_pad0[1]) == 0, ABI_REFUSAL_PADDING, "guard");
}
