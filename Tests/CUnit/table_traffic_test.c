/* Rules of what routes ask for beyond a destination. */
#include "cunit.h"
#include "table_faults.h"

static const struct table_fault faults[] = {
    {"no such traffic", ABI_SECTION_ROUTE, 0, FIELD(abi_route, traffic), 1, ABI_REFUSAL_REFERENCE},
    {"status 199 again", ABI_SECTION_TRAFFIC, 0, FIELD(abi_traffic, retry_codes[0]), 199,
     ABI_REFUSAL_VALUE},
    {"status 600 again", ABI_SECTION_TRAFFIC, 0, FIELD(abi_traffic, retry_codes[1]), 600,
     ABI_REFUSAL_VALUE},
    {"statuses that shrink", ABI_SECTION_TRAFFIC, 0, FIELD(abi_traffic, retry_codes[1]), 425,
     ABI_REFUSAL_VALUE},
    {"a gap in the statuses", ABI_SECTION_TRAFFIC, 0, FIELD(abi_traffic, retry_codes[0]), 0,
     ABI_REFUSAL_VALUE},
    {"a pause above its bound", ABI_SECTION_TRAFFIC, 0, FIELD(abi_traffic, backoff_ms), 251,
     ABI_REFUSAL_VALUE},
    {"a long pause", ABI_SECTION_TRAFFIC, 0, FIELD(abi_traffic, backoff_max_ms),
     LIMIT_BACKOFF_MS + 1, ABI_REFUSAL_VALUE},
    {"padding of traffic", ABI_SECTION_TRAFFIC, 0, FIELD(abi_traffic, _pad0), 1,
     ABI_REFUSAL_PADDING},
};

TEST(every_broken_rule_of_traffic_is_refused_by_name)
{
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        table_faults_check(&faults[i]);
    }
}
