/* view_open: accepts what the builder makes, and refuses each broken rule by name. */
#include "table/view.h"

#include <stdlib.h>

#include "abi/limits.h"
#include "cunit.h"
#include "table_faults.h"

/* Opens bytes and tells how it ended; READY = ABI_REFUSAL_NONE. */
static enum abi_refusal open_code(const uint8_t *bytes, size_t size)
{
    struct view view;
    struct view_refusal refusal;

    if (view_open(&view, bytes, size, &refusal)) {
        return ABI_REFUSAL_NONE;
    }
    return refusal.code;
}

TEST(an_empty_snapshot_opens)
{
    struct snapshot_builder *b = snapshot_builder_new();

    CHECK_INT(open_code(snapshot_builder_bytes(b), snapshot_builder_size(b)), ABI_REFUSAL_NONE);
    snapshot_builder_free(b);
}

TEST(a_snapshot_with_every_kind_of_record_opens)
{
    struct snapshot_builder *b = table_kit_everything();
    struct view view;
    struct view_refusal refusal;

    snapshot_builder_bytes(b);
    for (uint32_t i = 0; i < ABI_SECTION_COUNT; i++) {
        cunit_context("section %u", i);
        CHECK(snapshot_builder_head(b)->sections[i].count > 0);
    }
    cunit_context(NULL);
    if (!view_open(&view, snapshot_builder_bytes(b), snapshot_builder_size(b), &refusal)) {
        cunit_context("section %u record %u: %s", refusal.section, refusal.record, refusal.what);
    }
    CHECK_INT(refusal.code, ABI_REFUSAL_NONE);
    CHECK_UINT(view_find_listener(&view, view.listeners[1].key), 1);
    CHECK_UINT(view_find_listener(&view, 999), ABI_NONE);
    CHECK_UINT(view_find_target(&view, view.targets[0].key), 0);
    CHECK_UINT(view_find_target(&view, 0), ABI_NONE);
    snapshot_builder_free(b);
}

/* However small the steps are, they come to the same end. */
TEST(steps_of_any_size_come_to_the_same_end)
{
    struct snapshot_builder *b = table_kit_everything();
    const uint8_t *bytes = snapshot_builder_bytes(b);
    const uint32_t sizes[] = {1, 2, 3, 7, 64, 1000, UINT32_MAX};
    uint32_t steps_of_one = 0;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct view view;
        struct view_refusal refusal;
        uint32_t steps = 0;
        enum view_progress progress =
            view_open_begin(&view, bytes, snapshot_builder_size(b), &refusal);

        while (progress == VIEW_MORE && ++steps < 1000000) {
            progress = view_open_step(&view, sizes[i], &refusal);
        }
        cunit_context("steps of %u", sizes[i]);
        CHECK_INT(progress, VIEW_READY);
        steps_of_one = i == 0 ? steps : steps_of_one;
    }
    CHECK(steps_of_one > snapshot_builder_size(b) / 64);
    snapshot_builder_free(b);
}

TEST(every_truncation_is_refused)
{
    struct snapshot_builder *b = table_kit_small();
    struct bytes all = bytes_of(snapshot_builder_bytes(b), snapshot_builder_size(b));

    for (size_t size = 0; size < all.len; size++) {
        uint8_t *copy = aligned_alloc(16, size + 16 - size % 16);

        memcpy(copy, all.ptr, size);
        cunit_context("%zu of %zu bytes", size, all.len);
        if (size < 16) {
            CHECK_INT(open_code(copy, size), ABI_REFUSAL_SIZE);
        } else {
            CHECK(open_code(copy, size) != ABI_REFUSAL_NONE);
            /* also when the header agrees with the shorter file */
            snapshot_builder_seal(copy, size);
            if (size >= sizeof(struct abi_snapshot)) {
                ((struct abi_snapshot *)(void *)copy)->size = size;
                CHECK(open_code(copy, size) != ABI_REFUSAL_NONE);
            }
        }
        free(copy);
    }
    snapshot_builder_free(b);
}

/* Behind the header the checksum finds every flipped bit. */
TEST(every_flipped_bit_behind_the_header_is_found)
{
    struct snapshot_builder *b = table_kit_small();
    uint8_t *bytes = snapshot_builder_bytes(b);
    size_t size = snapshot_builder_size(b);

    for (size_t bit = sizeof(struct abi_snapshot) * 8; bit < size * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cunit_context("bit %zu", bit);
        CHECK(open_code(bytes, size) != ABI_REFUSAL_NONE);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    cunit_context(NULL);
    CHECK_INT(open_code(bytes, size), ABI_REFUSAL_NONE);
    snapshot_builder_free(b);
}

/* With a checksum that agrees, damage is refused or harmless: every lookup still ends in bounds. */
TEST(flipped_bits_under_a_good_checksum_are_harmless)
{
    struct snapshot_builder *b = table_kit_everything();
    uint8_t *bytes = snapshot_builder_bytes(b);
    size_t size = snapshot_builder_size(b);
    size_t texts = snapshot_builder_head(b)->sections[ABI_SECTION_BLOB].at;
    uint32_t accepted = 0, refused = 0;

    for (size_t bit = 0; bit < size * 8; bit += bit / 8 < texts + 4096 ? 1 : 3) {
        struct view view;
        struct view_refusal refusal;

        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        snapshot_builder_seal(bytes, size);
        if (view_open(&view, bytes, size, &refusal)) {
            table_kit_use(&view);
            accepted++;
        } else {
            refused += refusal.what != NULL && refusal.code != ABI_REFUSAL_NONE;
        }
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    CHECK(accepted > 1000);
    CHECK(refused > 1000);
    snapshot_builder_free(b);
}

/* Records of table_kit_everything: listeners 0 (L7), 1 (L4), 2 (mesh inbound); see there. */
static const struct table_fault faults[] = {
    {"the same key twice", ABI_SECTION_LISTENER, 1, FIELD(abi_listener, key), 1, ABI_REFUSAL_ORDER},
    {"name out of TEXT", ABI_SECTION_LISTENER, 0, FIELD(abi_listener, name.len), 60000,
     ABI_REFUSAL_REFERENCE},
    {"no such kind", ABI_SECTION_LISTENER, 0, FIELD(abi_listener, kind), 2, ABI_REFUSAL_VALUE},
    {"reserved flag", ABI_SECTION_LISTENER, 0, FIELD(abi_listener, flags), ABI_LISTENER_TLS_DETECT,
     ABI_REFUSAL_VALUE},
    {"PROXY headers without the flag", ABI_SECTION_LISTENER, 0, FIELD(abi_listener, flags), 0,
     ABI_REFUSAL_VALUE},
    {"PROXY headers without hops", ABI_SECTION_LISTENER, 1, FIELD(abi_listener, flags),
     ABI_LISTENER_PROXY_IN, ABI_REFUSAL_VALUE},
    {"no such hops", ABI_SECTION_LISTENER, 0, FIELD(abi_listener, hops), 2, ABI_REFUSAL_REFERENCE},
    {"forwarding fields on L4", ABI_SECTION_LISTENER, 1, FIELD(abi_listener, hops), 1,
     ABI_REFUSAL_VALUE},
    {"an L7 gateway", ABI_SECTION_LISTENER, 0, FIELD(abi_listener, flags), ABI_LISTENER_GATEWAY,
     ABI_REFUSAL_VALUE},
    {"a gateway without routes", ABI_SECTION_LISTENER, 1, FIELD(abi_listener, flags),
     ABI_LISTENER_GATEWAY, ABI_REFUSAL_REFERENCE},
    {"L7 by server name", ABI_SECTION_LISTENER, 0, FIELD(abi_listener, flags), ABI_LISTENER_SNI,
     ABI_REFUSAL_VALUE},
    {"server names without routes", ABI_SECTION_LISTENER, 1, FIELD(abi_listener, flags),
     ABI_LISTENER_SNI, ABI_REFUSAL_REFERENCE},
    {"statistics slot", ABI_SECTION_LISTENER, 0, FIELD(abi_listener, stats_slot), LIMIT_LISTENERS,
     ABI_REFUSAL_VALUE},
    {"no longer life", ABI_SECTION_LISTENER, 0, FIELD(abi_listener, max_lifetime_ms),
     LIMIT_LIFETIME_MS + 1, ABI_REFUSAL_LIMIT},
    {"padding of a listener", ABI_SECTION_LISTENER, 0, FIELD(abi_listener, _pad0), 1,
     ABI_REFUSAL_PADDING},
    {"no such TLS", ABI_SECTION_LISTENER, 0, FIELD(abi_listener, tls), 77, ABI_REFUSAL_REFERENCE},
    {"client TLS", ABI_SECTION_LISTENER, 0, FIELD(abi_listener, tls), 1, ABI_REFUSAL_VALUE},
    {"outbound without identity", ABI_SECTION_LISTENER, 1, FIELD(abi_listener, flags),
     ABI_LISTENER_MESH_OUTBOUND, ABI_REFUSAL_VALUE},
    {"inbound without TLS", ABI_SECTION_LISTENER, 2, FIELD(abi_listener, tls), ABI_NONE,
     ABI_REFUSAL_VALUE},
    {"inbound without policy", ABI_SECTION_LISTENER, 2, FIELD(abi_listener, policy), ABI_NONE,
     ABI_REFUSAL_VALUE},
    {"L7 without routes", ABI_SECTION_LISTENER, 0, FIELD(abi_listener, route_table), ABI_NONE,
     ABI_REFUSAL_REFERENCE},
    {"L7 with splits", ABI_SECTION_LISTENER, 0, FIELD(abi_listener, splits.count), 1,
     ABI_REFUSAL_VALUE},
    {"L4 without splits", ABI_SECTION_LISTENER, 1, FIELD(abi_listener, splits.count), 0,
     ABI_REFUSAL_LIMIT},
    {"L4 with routes", ABI_SECTION_LISTENER, 1, FIELD(abi_listener, route_table), 0,
     ABI_REFUSAL_VALUE},
    {"no head timeout", ABI_SECTION_LISTENER, 0, FIELD(abi_listener, head_timeout_ms), 0,
     ABI_REFUSAL_VALUE},
    {"no handshake timeout", ABI_SECTION_LISTENER, 2, FIELD(abi_listener, handshake_timeout_ms), 0,
     ABI_REFUSAL_VALUE},
    {"no family", ABI_SECTION_LISTENER, 0, FIELD(abi_listener, address.family), 0,
     ABI_REFUSAL_VALUE},
    {"padding of an address", ABI_SECTION_LISTENER, 0, FIELD(abi_listener, address._pad0), 1,
     ABI_REFUSAL_PADDING},
    {"IPv4 with more bytes", ABI_SECTION_LISTENER, 0, offsetof(struct abi_listener, address.ip) + 4,
     1, 1, ABI_REFUSAL_PADDING},
    {"no port", ABI_SECTION_LISTENER, 0, FIELD(abi_listener, address.port), 0, ABI_REFUSAL_VALUE},
    {"mode of a port", ABI_SECTION_LISTENER, 0, FIELD(abi_listener, address.mode), 0600,
     ABI_REFUSAL_VALUE},
    {"hosts beyond the section", ABI_SECTION_ROUTE_TABLE, 0, FIELD(abi_route_table, hosts.at), 2,
     ABI_REFUSAL_REFERENCE},
    {"three host slots", ABI_SECTION_ROUTE_TABLE, 0, FIELD(abi_route_table, hosts.count), 3,
     ABI_REFUSAL_VALUE},
    {"no such routes", ABI_SECTION_ROUTE_TABLE, 0, FIELD(abi_route_table, routes.at), 100000,
     ABI_REFUSAL_REFERENCE},
    {"count that wraps", ABI_SECTION_ROUTE_TABLE, 0, FIELD(abi_route_table, routes.count),
     UINT32_MAX, ABI_REFUSAL_REFERENCE},
    {"no such route", ABI_SECTION_ROUTE_LIST, 0, 0, 4, 1000, ABI_REFUSAL_REFERENCE},
    {"no such path kind", ABI_SECTION_ROUTE, 0, FIELD(abi_route, path_kind), 4, ABI_REFUSAL_VALUE},
    {"no such action", ABI_SECTION_ROUTE, 0, FIELD(abi_route, action), 3, ABI_REFUSAL_VALUE},
    {"forward with status", ABI_SECTION_ROUTE, 0, FIELD(abi_route, status), 200, ABI_REFUSAL_VALUE},
    {"answer 199", ABI_SECTION_ROUTE, 1, FIELD(abi_route, status), 199, ABI_REFUSAL_VALUE},
    {"answer 600", ABI_SECTION_ROUTE, 1, FIELD(abi_route, status), 600, ABI_REFUSAL_VALUE},
    {"redirect 300", ABI_SECTION_ROUTE, 2, FIELD(abi_route, status), 300, ABI_REFUSAL_VALUE},
    {"redirect 309", ABI_SECTION_ROUTE, 2, FIELD(abi_route, status), 309, ABI_REFUSAL_VALUE},
    {"regex without automaton", ABI_SECTION_ROUTE, 3, FIELD(abi_route, path_dfa), ABI_NONE,
     ABI_REFUSAL_VALUE},
    {"no such automaton", ABI_SECTION_ROUTE, 3, FIELD(abi_route, path_dfa), 50,
     ABI_REFUSAL_REFERENCE},
    {"method without number", ABI_SECTION_ROUTE, 0, FIELD(abi_route, methods),
     1u << ABI_METHOD_COUNT, ABI_REFUSAL_VALUE},
    {"retries", ABI_SECTION_ROUTE, 0, FIELD(abi_route, retries), LIMIT_RETRIES + 1,
     ABI_REFUSAL_LIMIT},
    {"retry conditions", ABI_SECTION_ROUTE, 0, FIELD(abi_route, retry_on), 8192, ABI_REFUSAL_VALUE},
    {"rewrite of any path", ABI_SECTION_ROUTE, 0, FIELD(abi_route, rewrites), 1, ABI_REFUSAL_VALUE},
    {"end padding of a route", ABI_SECTION_ROUTE, 0, offsetof(struct abi_route, _pad1), 1, 1,
     ABI_REFUSAL_PADDING},
    {"splits of an answer", ABI_SECTION_ROUTE, 1, FIELD(abi_route, splits.count), 1,
     ABI_REFUSAL_VALUE},
    {"no such subject", ABI_SECTION_MATCH, 0, FIELD(abi_match, subject), 2, ABI_REFUSAL_VALUE},
    {"no such match", ABI_SECTION_MATCH, 0, FIELD(abi_match, kind), 6, ABI_REFUSAL_VALUE},
    {"invert 2", ABI_SECTION_MATCH, 0, FIELD(abi_match, invert), 2, ABI_REFUSAL_VALUE},
    {"no name", ABI_SECTION_MATCH, 0, FIELD(abi_match, name.len), 0, ABI_REFUSAL_VALUE},
    {"no such header rule", ABI_SECTION_HEADER_OP, 0, FIELD(abi_header_op, kind), 3,
     ABI_REFUSAL_VALUE},
    {"side of a header rule", ABI_SECTION_HEADER_OP, 0, FIELD(abi_header_op, response), 2,
     ABI_REFUSAL_VALUE},
    {"padding of a header rule", ABI_SECTION_HEADER_OP, 0,
     offsetof(struct abi_header_op, _pad0) + 4, 1, 9, ABI_REFUSAL_PADDING},
    {"a header rule varies twice", ABI_SECTION_HEADER_OP, 0, FIELD(abi_header_op, varies), 2,
     ABI_REFUSAL_VALUE},
    {"a header rule varies without marks", ABI_SECTION_HEADER_OP, 0, FIELD(abi_header_op, varies),
     1, ABI_REFUSAL_VALUE},
    {"nameless header rule", ABI_SECTION_HEADER_OP, 0, FIELD(abi_header_op, name.len), 0,
     ABI_REFUSAL_VALUE},
    {"one state", ABI_SECTION_DFA, 0, FIELD(abi_dfa, states), 1, ABI_REFUSAL_LIMIT},
    {"too many states", ABI_SECTION_DFA, 0, FIELD(abi_dfa, states), LIMIT_DFA_STATES + 1,
     ABI_REFUSAL_LIMIT},
    {"table beyond BLOB", ABI_SECTION_DFA, 0, FIELD(abi_dfa, states), 4000, ABI_REFUSAL_REFERENCE},
    {"odd table", ABI_SECTION_DFA, 0, FIELD(abi_dfa, table), 1, ABI_REFUSAL_REFERENCE},
    {"table far away", ABI_SECTION_DFA, 0, FIELD(abi_dfa, table), UINT64_MAX - 1,
     ABI_REFUSAL_REFERENCE},
    {"overlapping tables", ABI_SECTION_DFA, 1, FIELD(abi_dfa, table), 0, ABI_REFUSAL_ORDER},
    {"weight 0", ABI_SECTION_SPLIT, 0, FIELD(abi_split, weight), 0, ABI_REFUSAL_VALUE},
    {"no such target", ABI_SECTION_SPLIT, 0, FIELD(abi_split, target), 100, ABI_REFUSAL_REFERENCE},
    {"splits of 9999", ABI_SECTION_SPLIT, 0, FIELD(abi_split, weight), ABI_SPLIT_TOTAL - 1,
     ABI_REFUSAL_VALUE},
    {"targets out of order", ABI_SECTION_TARGET, 1, FIELD(abi_target, key), 1, ABI_REFUSAL_ORDER},
    {"shared endpoints", ABI_SECTION_TARGET, 1, FIELD(abi_target, endpoints.at), 1,
     ABI_REFUSAL_ORDER},
    {"no such failover", ABI_SECTION_TARGET, 0, FIELD(abi_target, failover.count), 9,
     ABI_REFUSAL_REFERENCE},
    {"no such policy", ABI_SECTION_TARGET, 0, FIELD(abi_target, policy), 9, ABI_REFUSAL_REFERENCE},
    {"statistics slot of a target", ABI_SECTION_TARGET, 0, FIELD(abi_target, stats_slot),
     LIMIT_TARGETS, ABI_REFUSAL_VALUE},
    {"no such balance", ABI_SECTION_TARGET, 0, FIELD(abi_target, balance), ABI_BALANCE_COUNT,
     ABI_REFUSAL_VALUE},
    {"no such protocol", ABI_SECTION_TARGET, 0, FIELD(abi_target, protocol), 3, ABI_REFUSAL_VALUE},
    {"no connect timeout", ABI_SECTION_TARGET, 0, FIELD(abi_target, connect_timeout_ms), 0,
     ABI_REFUSAL_VALUE},
    {"no max_weight", ABI_SECTION_TARGET, 0, FIELD(abi_target, max_weight), 0, ABI_REFUSAL_VALUE},
    {"small max_weight", ABI_SECTION_TARGET, 0, FIELD(abi_target, max_weight), 2,
     ABI_REFUSAL_VALUE},
    {"mesh without expected identity", ABI_SECTION_TARGET, 1, FIELD(abi_target, expected_id.len), 0,
     ABI_REFUSAL_VALUE},
    {"padding of a target", ABI_SECTION_TARGET, 0, FIELD(abi_target, _pad0), 1,
     ABI_REFUSAL_PADDING},
    {"no such target in a list", ABI_SECTION_TARGET_LIST, 0, 0, 4, 99, ABI_REFUSAL_REFERENCE},
    {"weightless", ABI_SECTION_ENDPOINT, 0, FIELD(abi_endpoint, weight), 0, ABI_REFUSAL_VALUE},
    {"overlay slot", ABI_SECTION_ENDPOINT, 0, FIELD(abi_endpoint, overlay_slot), LIMIT_ENDPOINTS,
     ABI_REFUSAL_VALUE},
    {"server TLS of an endpoint", ABI_SECTION_ENDPOINT, 0, FIELD(abi_endpoint, tls), 0,
     ABI_REFUSAL_VALUE},
    {"endpoint with a mode", ABI_SECTION_ENDPOINT, 0, FIELD(abi_endpoint, address.mode), 1,
     ABI_REFUSAL_VALUE},
    {"unsorted sources", ABI_SECTION_POLICY, 0, FIELD(abi_policy, intentions.at), 1,
     ABI_REFUSAL_VALUE},
    {"no such fallback", ABI_SECTION_POLICY, 0, FIELD(abi_policy, fallback), 55,
     ABI_REFUSAL_REFERENCE},
    {"fallback with a name", ABI_SECTION_POLICY, 0, FIELD(abi_policy, fallback), 0,
     ABI_REFUSAL_VALUE},
    {"default of permissions", ABI_SECTION_POLICY, 0, FIELD(abi_policy, default_action), 2,
     ABI_REFUSAL_VALUE},
    {"precedence", ABI_SECTION_INTENTION, 0, FIELD(abi_intention, precedence), 8,
     ABI_REFUSAL_VALUE},
    {"no such intention action", ABI_SECTION_INTENTION, 0, FIELD(abi_intention, action), 3,
     ABI_REFUSAL_VALUE},
    {"permissions without any", ABI_SECTION_INTENTION, 0, FIELD(abi_intention, action), 2,
     ABI_REFUSAL_VALUE},
    {"permission that asks", ABI_SECTION_PERMISSION, 0, FIELD(abi_permission, action), 2,
     ABI_REFUSAL_VALUE},
    {"path of a permission", ABI_SECTION_PERMISSION, 0, FIELD(abi_permission, path.len), 0,
     ABI_REFUSAL_VALUE},
    {"identity without a secret", ABI_SECTION_IDENTITY, 0, FIELD(abi_identity, secret), 0,
     ABI_REFUSAL_VALUE},
    {"server without certificate", ABI_SECTION_TLS, 0, FIELD(abi_tls, certificates.count), 0,
     ABI_REFUSAL_VALUE},
    {"verify without trust", ABI_SECTION_TLS, 0, FIELD(abi_tls, trust.count), 0, ABI_REFUSAL_VALUE},
    {"mesh that does not verify", ABI_SECTION_TLS, 0, FIELD(abi_tls, verify), 0, ABI_REFUSAL_VALUE},
    {"TLS 1.1", ABI_SECTION_TLS, 0, FIELD(abi_tls, min_version), 0x0302, ABI_REFUSAL_VALUE},
    {"ALPN cut short", ABI_SECTION_TLS, 0, FIELD(abi_tls, alpn.count), 2, ABI_REFUSAL_VALUE},
    {"three own certificates", ABI_SECTION_TLS, 0, FIELD(abi_tls, certificates.count), 3,
     ABI_REFUSAL_REFERENCE},
    {"names of a client", ABI_SECTION_TLS, 1, FIELD(abi_tls, names.count), 2, ABI_REFUSAL_VALUE},
    {"name slots of no power of two", ABI_SECTION_TLS, 0, FIELD(abi_tls, names.count), 7,
     ABI_REFUSAL_VALUE},
    {"name slots out of their section", ABI_SECTION_TLS, 0, FIELD(abi_tls, names.count), 16,
     ABI_REFUSAL_REFERENCE},
    {"secret 0", ABI_SECTION_SECRET_LIST, 0, 0, 8, 0, ABI_REFUSAL_VALUE},
    {"no such log", ABI_SECTION_LISTENER, 0, FIELD(abi_listener, log), 2, ABI_REFUSAL_REFERENCE},
    {"log's key twice", ABI_SECTION_LOG, 1, FIELD(abi_log, key), 0, ABI_REFUSAL_ORDER},
    {"no such sink", ABI_SECTION_LOG, 1, FIELD(abi_log, sink), 3, ABI_REFUSAL_VALUE},
    {"standard output with a name", ABI_SECTION_LOG, 0, FIELD(abi_log, sink), 1, ABI_REFUSAL_VALUE},
    {"file without a name", ABI_SECTION_LOG, 0, FIELD(abi_log, path.len), 0, ABI_REFUSAL_VALUE},
    {"file with a relative name", ABI_SECTION_LOG, 0, FIELD(abi_log, path.at), 1,
     ABI_REFUSAL_VALUE},
    {"sample above all", ABI_SECTION_LOG, 0, FIELD(abi_log, sample), ABI_LOG_SAMPLE_ALL + 1,
     ABI_REFUSAL_VALUE},
    {"variables that are not there", ABI_SECTION_LOG, 0, FIELD(abi_log, variables), 2,
     ABI_REFUSAL_VALUE},
    {"a log without operations", ABI_SECTION_LOG, 0, FIELD(abi_log, ops.count), 0,
     ABI_REFUSAL_LIMIT},
    {"shared operations", ABI_SECTION_LOG, 1, FIELD(abi_log, ops.at), 0, ABI_REFUSAL_ORDER},
    {"field that the log has not", ABI_SECTION_LOG, 0, FIELD(abi_log, headers.count), 1,
     ABI_REFUSAL_REFERENCE},
    {"no such variable", ABI_SECTION_LOG_OP, 3, FIELD(abi_log_op, variable), ABI_LOG_VARIABLE_COUNT,
     ABI_REFUSAL_VALUE},
    {"no such style", ABI_SECTION_LOG_OP, 0, FIELD(abi_log_op, style), 2, ABI_REFUSAL_VALUE},
    {"padding of an operation", ABI_SECTION_LOG_OP, 0, FIELD(abi_log_op, _pad1), 1,
     ABI_REFUSAL_PADDING},
    {"variable with a text", ABI_SECTION_LOG_OP, 0, FIELD(abi_log_op, literal.len), 1,
     ABI_REFUSAL_VALUE},
    {"field without a name", ABI_SECTION_LOG_HEADER, 0, FIELD(abi_log_header, name.len), 0,
     ABI_REFUSAL_VALUE},
    {"neither request nor answer", ABI_SECTION_LOG_HEADER, 0, FIELD(abi_log_header, response), 2,
     ABI_REFUSAL_VALUE},
    {"padding of a field", ABI_SECTION_LOG_HEADER, 1, FIELD(abi_log_header, _pad0[3]), 1,
     ABI_REFUSAL_PADDING},
    {"PROXY header 3", ABI_SECTION_TARGET, 0, FIELD(abi_target, proxy_out), 3, ABI_REFUSAL_VALUE},
    {"129 bits", ABI_SECTION_NETWORK, 2, FIELD(abi_network, bits), 129, ABI_REFUSAL_VALUE},
    {"bits behind a network", ABI_SECTION_NETWORK, 0, offsetof(struct abi_network, ip) + 13, 1, 1,
     ABI_REFUSAL_VALUE},
    {"networks out of order", ABI_SECTION_NETWORK, 1, offsetof(struct abi_network, ip) + 12, 1, 9,
     ABI_REFUSAL_ORDER},
    {"one network in another", ABI_SECTION_NETWORK, 1, offsetof(struct abi_network, ip) + 12, 1, 10,
     ABI_REFUSAL_ORDER},
    {"the same network twice", ABI_SECTION_HOPS, 1, FIELD(abi_hops, trust.count), 2,
     ABI_REFUSAL_ORDER},
    {"PROXY version 4", ABI_SECTION_HOPS, 0, FIELD(abi_hops, proxy_in), 4, ABI_REFUSAL_VALUE},
    {"PROXY headers from nobody", ABI_SECTION_HOPS, 0, FIELD(abi_hops, proxy_from.count), 0,
     ABI_REFUSAL_VALUE},
    {"PROXY headers for ever", ABI_SECTION_HOPS, 0, FIELD(abi_hops, proxy_timeout_ms), 0,
     ABI_REFUSAL_VALUE},
    {"a time limit without PROXY headers", ABI_SECTION_HOPS, 1, FIELD(abi_hops, proxy_timeout_ms),
     1, ABI_REFUSAL_VALUE},
    {"others without PROXY headers", ABI_SECTION_HOPS, 1, FIELD(abi_hops, proxy_others), 1,
     ABI_REFUSAL_VALUE},
    {"others 2", ABI_SECTION_HOPS, 0, FIELD(abi_hops, proxy_others), 2, ABI_REFUSAL_VALUE},
    {"shared networks", ABI_SECTION_HOPS, 1, FIELD(abi_hops, trust.at), 0, ABI_REFUSAL_ORDER},
    {"networks beyond the section", ABI_SECTION_HOPS, 1, FIELD(abi_hops, trust.count), 3,
     ABI_REFUSAL_REFERENCE},
    {"fields 4", ABI_SECTION_HOPS, 0, FIELD(abi_hops, fields), 4, ABI_REFUSAL_VALUE},
    {"33 hops", ABI_SECTION_HOPS, 1, FIELD(abi_hops, depth), LIMIT_HOPS + 1, ABI_REFUSAL_VALUE},
    {"trust without hops", ABI_SECTION_HOPS, 1, FIELD(abi_hops, depth), 0, ABI_REFUSAL_VALUE},
    {"hops without trust", ABI_SECTION_HOPS, 0, FIELD(abi_hops, depth), 1, ABI_REFUSAL_VALUE},
    {"more than all traces", ABI_SECTION_HOPS, 1, FIELD(abi_hops, trace_sample), ABI_TRACE_ALL + 1,
     ABI_REFUSAL_VALUE},
    {"a share of no traces", ABI_SECTION_HOPS, 0, FIELD(abi_hops, trace_sample), 1,
     ABI_REFUSAL_VALUE},
    {"trace 2", ABI_SECTION_HOPS, 1, FIELD(abi_hops, trace_start), 2, ABI_REFUSAL_VALUE},
    {"padding of hops", ABI_SECTION_HOPS, 0, offsetof(struct abi_hops, _pad0) + 1, 1, 1,
     ABI_REFUSAL_PADDING},
};

TEST(every_broken_rule_is_refused_by_name)
{
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        table_faults_check(&faults[i]);
    }
}

/* A name is found from its home without crossing a free slot, and stands once. */
TEST(misplaced_host_slots_are_refused)
{
    for (uint32_t from = 0; from < 8; from++) {
        struct snapshot_builder *b = table_kit_everything();
        struct abi_host *slots = snapshot_builder_record(b, ABI_SECTION_HOST, 0);
        struct abi_host *to = slots;
        bool taken = slots[from].name.len > 0;

        while (to->name.len > 0 || to == &slots[(from + 1) % 8]) {
            to++;
        }
        *to = slots[from]; /* a second slot of the same name, or one that is free already */
        cunit_context("slot %u", from);
        CHECK_INT(open_code(snapshot_builder_bytes(b), snapshot_builder_size(b)),
                  taken ? ABI_REFUSAL_ORDER : ABI_REFUSAL_NONE);
        snapshot_builder_free(b);
    }
}

/* The first slot of the table of server names that is taken, or free. */
static struct abi_server_name *name_slot(struct snapshot_builder *b, bool taken)
{
    struct abi_server_name *slot = snapshot_builder_record(b, ABI_SECTION_SERVER_NAME, 0);

    while ((slot->name.len > 0) != taken) {
        slot++;
    }
    return slot;
}

static void check_name_slot(struct snapshot_builder *b, enum abi_refusal code, const char *what)
{
    cunit_context("%s", what);
    CHECK_INT(open_code(snapshot_builder_bytes(b), snapshot_builder_size(b)), code);
    snapshot_builder_free(b);
}

TEST(wrong_slots_of_server_names_are_refused)
{
    struct snapshot_builder *b = table_kit_everything();

    *name_slot(b, false) = *name_slot(b, true);
    check_name_slot(b, ABI_REFUSAL_ORDER, "a name twice");
    b = table_kit_everything();
    name_slot(b, false)->certificates[1] = 1;
    check_name_slot(b, ABI_REFUSAL_PADDING, "a free slot with a certificate");
    b = table_kit_everything();
    name_slot(b, true)->certificates[0] = ABI_NONE;
    name_slot(b, true)->certificates[1] = ABI_NONE;
    check_name_slot(b, ABI_REFUSAL_VALUE, "a name without a certificate");
    b = table_kit_everything();
    name_slot(b, true)->certificates[0] = 2;
    check_name_slot(b, ABI_REFUSAL_REFERENCE, "a certificate that is not listed");
    b = table_kit_everything();
    name_slot(b, true)->name = snapshot_builder_text(b, "Web.example.com");
    check_name_slot(b, ABI_REFUSAL_ORDER, "a name in the slot of another");
}

/* What the header must say. */
TEST(a_wrong_header_is_refused)
{
    const struct {
        size_t at, size;
        uint64_t value;
        enum abi_refusal code;
    } cases[] = {
        {FIELD(abi_snapshot, magic), 7, ABI_REFUSAL_MAGIC},
        {FIELD(abi_snapshot, version), ABI_VERSION + 1, ABI_REFUSAL_VERSION},
        {FIELD(abi_snapshot, header_size), 80, ABI_REFUSAL_VERSION},
        {FIELD(abi_snapshot, size), 16, ABI_REFUSAL_SIZE},
        {FIELD(abi_snapshot, generation), 0, ABI_REFUSAL_VALUE},
        {FIELD(abi_snapshot, checksum), 1, ABI_REFUSAL_CHECKSUM},
        {FIELD(abi_snapshot, trust_domain.at), 1u << 30, ABI_REFUSAL_REFERENCE},
        {FIELD(abi_snapshot, sections[3].at), 16, ABI_REFUSAL_SECTION},
        {FIELD(abi_snapshot, sections[3].record_size), 15, ABI_REFUSAL_SECTION},
        {FIELD(abi_snapshot, sections[2].count), LIMIT_LISTENERS + 1, ABI_REFUSAL_LIMIT},
        {FIELD(abi_snapshot, sections[4].count), 1u << 30, ABI_REFUSAL_SECTION},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct snapshot_builder *b = table_kit_small();
        uint8_t *bytes = snapshot_builder_bytes(b);

        memcpy(bytes + cases[i].at, &cases[i].value, cases[i].size);
        cunit_context("case %zu", i);
        CHECK_INT(open_code(bytes, snapshot_builder_size(b)), cases[i].code);
        snapshot_builder_free(b);
    }
}

TEST(bytes_between_sections_are_zero)
{
    struct snapshot_builder *b = table_kit_small();
    uint8_t *bytes = snapshot_builder_bytes(b);
    const struct abi_section_place *text = &snapshot_builder_head(b)->sections[ABI_SECTION_TEXT];

    CHECK(text->count % ABI_SECTION_ALIGN != 0);
    bytes[text->at + text->count] = 1;
    snapshot_builder_seal(bytes, snapshot_builder_size(b));
    CHECK_INT(open_code(bytes, snapshot_builder_size(b)), ABI_REFUSAL_PADDING);
    snapshot_builder_free(b);
}

/* Text is UTF-8 without NUL, and references hold whole characters. */
TEST(text_is_utf8_without_nul)
{
    const struct {
        const char *text;
        size_t len;
        bool good;
    } cases[] = {
        {"plain ASCII text over a word", 28, true},
        {"\xc3\xa9t\xc3\xa9", 5, true},
        {"\xf0\x9f\x98\x80 \xe2\x82\xac", 8, true},
        {"\xef\xbf\xbd\xed\x9f\xbf\xee\x80\x80", 9, true},
        {"\xf4\x8f\xbf\xbf", 4, true},
        {"a\0b", 3, false},
        {"\x80", 1, false},
        {"\xc3", 1, false},
        {"\xc0\x80", 2, false},
        {"\xc1\xbf", 2, false},
        {"\xe0\x9f\xbf", 3, false},
        {"\xed\xa0\x80", 3, false},
        {"\xf0\x8f\xbf\xbf", 4, false},
        {"\xf4\x90\x80\x80", 4, false},
        {"\xf5\x80\x80\x80", 4, false},
        {"\xff", 1, false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct snapshot_builder *b = snapshot_builder_new();
        char room[33] = "................................";
        struct abi_text at = snapshot_builder_text(b, room);
        uint8_t *bytes = snapshot_builder_bytes(b);

        memcpy(bytes + sizeof(struct abi_snapshot) + at.at + 3, cases[i].text, cases[i].len);
        snapshot_builder_seal(bytes, snapshot_builder_size(b));
        cunit_context("case %zu", i);
        CHECK_INT(open_code(bytes, snapshot_builder_size(b)),
                  cases[i].good ? ABI_REFUSAL_NONE : ABI_REFUSAL_VALUE);
        snapshot_builder_free(b);
    }
}

TEST(a_text_reference_holds_whole_characters)
{
    for (uint32_t cut = 0; cut < 4; cut++) {
        struct snapshot_builder *b = snapshot_builder_new();
        struct abi_text at = snapshot_builder_text(b, "\xc3\xa9\xc3\xa9");

        at.at += cut & 1;
        at.len -= cut == 3 ? 2 : cut > 0;
        snapshot_builder_head(b)->node = at;
        cunit_context("cut %u", cut);
        CHECK_INT(open_code(snapshot_builder_bytes(b), snapshot_builder_size(b)),
                  cut == 0 ? ABI_REFUSAL_NONE : ABI_REFUSAL_REFERENCE);
        snapshot_builder_free(b);
    }
}

/* LIMIT_TEXT, one below, one above. */
TEST(the_longest_text)
{
    for (uint32_t length = LIMIT_TEXT - 1; length <= LIMIT_TEXT + 1; length++) {
        struct snapshot_builder *b = snapshot_builder_new();
        char *text = malloc(length + 1);

        memset(text, 'x', length);
        text[length] = 0;
        snapshot_builder_head(b)->node = snapshot_builder_text(b, text);
        CHECK_INT(open_code(snapshot_builder_bytes(b), snapshot_builder_size(b)),
                  length <= LIMIT_TEXT ? ABI_REFUSAL_NONE : ABI_REFUSAL_LIMIT);
        free(text);
        snapshot_builder_free(b);
    }
}
