/* Rules of what routes ask for beyond a destination, and of what bounds targets. */
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
    {"longer bodies than are kept", ABI_SECTION_TRAFFIC, 0, FIELD(abi_traffic, max_replay),
     LIMIT_REPLAY + 1, ABI_REFUSAL_LIMIT},
    {"header rules of a split", ABI_SECTION_SPLIT, 0, FIELD(abi_split, header_ops.count), 100,
     ABI_REFUSAL_REFERENCE},
    {"a share of copies above all", ABI_SECTION_TRAFFIC, 0, FIELD(abi_traffic, mirror_share),
     ABI_SPLIT_TOTAL + 1, ABI_REFUSAL_VALUE},
    {"copies for a server of streams", ABI_SECTION_TARGET, 0, FIELD(abi_target, protocol),
     ABI_PROTOCOL_TCP, ABI_REFUSAL_VALUE},
    {"copies with PROXY headers", ABI_SECTION_TARGET, 0, FIELD(abi_target, proxy_out), 1,
     ABI_REFUSAL_VALUE},
    {"copies for no target", ABI_SECTION_TRAFFIC, 0, FIELD(abi_traffic, mirror_target), 1000,
     ABI_REFUSAL_REFERENCE},
    {"no such rate", ABI_SECTION_TRAFFIC, 0, FIELD(abi_traffic, rates.count), 2,
     ABI_REFUSAL_REFERENCE},
    {"a rate of nothing", ABI_SECTION_RATE, 0, FIELD(abi_rate, interval_ns), 0, ABI_REFUSAL_VALUE},
    {"less than one a day", ABI_SECTION_RATE, 0, FIELD(abi_rate, interval_ns),
     LIMIT_RATE_INTERVAL_NS + 1, ABI_REFUSAL_VALUE},
    {"a bucket without room", ABI_SECTION_RATE, 0, FIELD(abi_rate, burst), 0, ABI_REFUSAL_VALUE},
    {"a great bucket", ABI_SECTION_RATE, 0, FIELD(abi_rate, burst), LIMIT_RATE_BURST + 1,
     ABI_REFUSAL_VALUE},
    {"nobody's rate", ABI_SECTION_RATE, 0, FIELD(abi_rate, by), 4, ABI_REFUSAL_VALUE},
    {"padding of a rate", ABI_SECTION_RATE, 0, FIELD(abi_rate, _pad0), 1, ABI_REFUSAL_PADDING},
    {"no such guard", ABI_SECTION_TARGET, 0, FIELD(abi_target, guard), 1, ABI_REFUSAL_REFERENCE},
    {"more than all endpoints", ABI_SECTION_GUARD, 0, FIELD(abi_guard, ejected_most), 101,
     ABI_REFUSAL_VALUE},
    {"a chance of 101", ABI_SECTION_GUARD, 0, FIELD(abi_guard, ejected_chance), 101,
     ABI_REFUSAL_VALUE},
    {"left out for no time", ABI_SECTION_GUARD, 0, FIELD(abi_guard, ejection_ms), 0,
     ABI_REFUSAL_VALUE},
    {"forgiven at once", ABI_SECTION_GUARD, 0, FIELD(abi_guard, interval_ms), 0, ABI_REFUSAL_VALUE},
    {"left out beyond the longest", ABI_SECTION_GUARD, 0, FIELD(abi_guard, ejection_ms), 300001,
     ABI_REFUSAL_VALUE},
    {"left out for ever", ABI_SECTION_GUARD, 0, FIELD(abi_guard, ejection_max_ms),
     LIMIT_EJECTION_MS + 1, ABI_REFUSAL_VALUE},
    {"padding of a guard", ABI_SECTION_GUARD, 0, FIELD(abi_guard, _pad0), 1, ABI_REFUSAL_PADDING},
};

TEST(every_broken_rule_of_traffic_is_refused_by_name)
{
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        table_faults_check(&faults[i]);
    }
}

/* How a snapshot is taken whose only header rule has this value with variables. */
static enum abi_refusal template_code(const char *value, uint8_t response)
{
    struct snapshot_builder *b = table_kit_everything();
    struct abi_header_op *op =
        (struct abi_header_op *)snapshot_builder_record(b, ABI_SECTION_HEADER_OP, 0);
    struct view view;
    struct view_refusal refusal = {0};

    op->varies = 1;
    op->response = response;
    op->value = snapshot_builder_text(b, value);
    if (view_open(&view, snapshot_builder_bytes(b), snapshot_builder_size(b), &refusal)) {
        refusal.code = ABI_REFUSAL_NONE;
    }
    snapshot_builder_free(b);
    return refusal.code;
}

TEST(marks_in_values_name_variables_of_their_direction)
{
    CHECK_INT(template_code("\001A", 1), ABI_REFUSAL_NONE);
    CHECK_INT(template_code("\001A", 0), ABI_REFUSAL_NONE);
    CHECK_INT(template_code("by \001A and\t\001R.", 1), ABI_REFUSAL_NONE);
    CHECK_INT(template_code("\001R", 0), ABI_REFUSAL_VALUE); /* the answer's */
    CHECK_INT(template_code("\001S", 1), ABI_REFUSAL_VALUE); /* one behind the last */
    CHECK_INT(template_code("\001@", 1), ABI_REFUSAL_VALUE); /* one before the first */
    CHECK_INT(template_code("a\001", 1), ABI_REFUSAL_VALUE);
    CHECK_INT(template_code("\001A\n", 1), ABI_REFUSAL_VALUE);
    CHECK_INT(template_code("\177\001A", 1), ABI_REFUSAL_VALUE);
    CHECK_INT(template_code("none", 1), ABI_REFUSAL_VALUE);
}
