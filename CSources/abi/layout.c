/* Values that Swift compares with its own MemoryLayout: both sides prove the same layout. */
#include "abi/layout.h"

#include <stddef.h>

#include "abi/control.h"
#include "abi/log.h"
#include "abi/overlay.h"
#include "abi/snapshot.h"
#include "abi/stats.h"
#include "abi/tally.h"
#include "abi/tokens.h"

uint32_t abi_record_size(uint32_t section)
{
    static const uint32_t sizes[ABI_SECTION_COUNT] = {
        [ABI_SECTION_TEXT] = 1,
        [ABI_SECTION_BLOB] = 1,
        [ABI_SECTION_LISTENER] = sizeof(struct abi_listener),
        [ABI_SECTION_ROUTE_TABLE] = sizeof(struct abi_route_table),
        [ABI_SECTION_HOST] = sizeof(struct abi_host),
        [ABI_SECTION_ROUTE_LIST] = sizeof(uint32_t),
        [ABI_SECTION_ROUTE] = sizeof(struct abi_route),
        [ABI_SECTION_MATCH] = sizeof(struct abi_match),
        [ABI_SECTION_HEADER_OP] = sizeof(struct abi_header_op),
        [ABI_SECTION_DFA] = sizeof(struct abi_dfa),
        [ABI_SECTION_SPLIT] = sizeof(struct abi_split),
        [ABI_SECTION_TARGET] = sizeof(struct abi_target),
        [ABI_SECTION_TARGET_LIST] = sizeof(uint32_t),
        [ABI_SECTION_ENDPOINT] = sizeof(struct abi_endpoint),
        [ABI_SECTION_POLICY] = sizeof(struct abi_policy),
        [ABI_SECTION_INTENTION] = sizeof(struct abi_intention),
        [ABI_SECTION_PERMISSION] = sizeof(struct abi_permission),
        [ABI_SECTION_IDENTITY] = sizeof(struct abi_identity),
        [ABI_SECTION_TLS] = sizeof(struct abi_tls),
        [ABI_SECTION_SECRET_LIST] = sizeof(uint64_t),
        [ABI_SECTION_LOG] = sizeof(struct abi_log),
        [ABI_SECTION_LOG_OP] = sizeof(struct abi_log_op),
        [ABI_SECTION_LOG_HEADER] = sizeof(struct abi_log_header),
        [ABI_SECTION_SERVER_NAME] = sizeof(struct abi_server_name),
        [ABI_SECTION_NETWORK] = sizeof(struct abi_network),
        [ABI_SECTION_HOPS] = sizeof(struct abi_hops),
        [ABI_SECTION_COMPRESSION] = sizeof(struct abi_compression),
        [ABI_SECTION_MEDIA_TYPE] = sizeof(struct abi_text),
        [ABI_SECTION_TRAFFIC] = sizeof(struct abi_traffic),
        [ABI_SECTION_GUARD] = sizeof(struct abi_guard),
        [ABI_SECTION_RATE] = sizeof(struct abi_rate),
        [ABI_SECTION_BALANCER] = sizeof(struct abi_balancer),
        [ABI_SECTION_TIER] = sizeof(struct abi_tier),
        [ABI_SECTION_SLOT] = sizeof(uint32_t),
        [ABI_SECTION_HASH] = sizeof(struct abi_hash),
        [ABI_SECTION_ORIGINAL] = sizeof(struct abi_original),
        [ABI_SECTION_TOKEN] = sizeof(struct abi_token),
        [ABI_SECTION_TOKEN_CHECK] = sizeof(struct abi_token_check),
        [ABI_SECTION_TOKEN_PLACE] = sizeof(struct abi_token_place),
    };
    return section < ABI_SECTION_COUNT ? sizes[section] : 0;
}
