#include "table/intent.h"

#include "cunit.h"
#include "snapshot_builder.h"
#include "table_kit.h"

static struct view open_view(struct snapshot_builder *b)
{
    struct view view;
    struct view_refusal refusal;
    const uint8_t *bytes = snapshot_builder_bytes(b);

    if (!view_open(&view, bytes, snapshot_builder_size(b), &refusal)) {
        cunit_context("section %u record %u: %s", refusal.section, refusal.record, refusal.what);
    }
    CHECK_INT(refusal.code, ABI_REFUSAL_NONE);
    return view;
}

TEST(exact_source_then_fallback_then_default)
{
    struct snapshot_builder *b = table_kit_everything();
    struct abi_policy *policy = snapshot_builder_record(b, ABI_SECTION_POLICY, 1);
    const struct {
        uint32_t policy;
        const char *source;
        enum intent_verdict verdict;
        uint32_t intention;
    } cases[] = {
        {0, "api", INTENT_ALLOW, 0},     {0, "API", INTENT_ALLOW, 0},
        {0, "billing", INTENT_DENY, 1},  {0, "cron", INTENT_ASK_PERMISSIONS, 2},
        {0, "ap", INTENT_ALLOW, 3},      {0, "apis", INTENT_ALLOW, 3},
        {0, "zebra", INTENT_ALLOW, 3},   {0, "", INTENT_ALLOW, 3},
        {1, "monitor", INTENT_ALLOW, 4}, {1, "api", INTENT_DENY, ABI_NONE},
        {1, "", INTENT_DENY, ABI_NONE},  {2, "monitor", INTENT_ALLOW, ABI_NONE},
    };
    struct abi_policy open = *policy;
    struct view view;

    open.intentions = (struct abi_ref){0, 0};
    open.default_action = ABI_INTENTION_ALLOW;
    snapshot_builder_add(b, ABI_SECTION_POLICY, &open);
    view = open_view(b);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bytes source = cunit_guarded(cunit_text(cases[i].source));
        struct intent_decision decision = intent_decide(&view, cases[i].policy, source);

        cunit_context("policy %u source '%s'", cases[i].policy, cases[i].source);
        CHECK_INT(decision.verdict, cases[i].verdict);
        CHECK_UINT(decision.intention, cases[i].intention);
        CHECK_UINT(decision.permission, ABI_NONE);
    }
    snapshot_builder_free(b);
}

/* The first permission that matches decides; when none does, the policy's default, and not the next
 * intention. */
TEST(permissions_decide_about_requests)
{
    for (uint8_t allow = 0; allow < 2; allow++) {
        struct snapshot_builder *b = table_kit_everything();
        struct abi_policy *policy = snapshot_builder_record(b, ABI_SECTION_POLICY, 0);
        struct abi_permission deny = {.path_dfa = ABI_NONE, .methods = 1u << ABI_METHOD_DELETE};
        struct abi_intention *cron;
        struct route_input input;
        struct intent_decision decision;
        struct view view;

        policy->default_action = allow;
        snapshot_builder_add(b, ABI_SECTION_PERMISSION, &deny);
        cron = snapshot_builder_record(b, ABI_SECTION_INTENTION, 2);
        cron->permissions.count = 2;
        view = open_view(b);

        input = table_kit_request(ABI_METHOD_DELETE, "h", "/public/x", "", NULL);
        decision = intent_permit(&view, 0, BYTES_LITERAL("cron"), &input);
        CHECK_INT(decision.verdict, INTENT_ALLOW);
        CHECK_UINT(decision.permission, 0);

        input = table_kit_request(ABI_METHOD_DELETE, "h", "/private", "", NULL);
        decision = intent_permit(&view, 0, BYTES_LITERAL("cron"), &input);
        CHECK_INT(decision.verdict, INTENT_DENY);
        CHECK_UINT(decision.permission, 1);

        input = table_kit_request(ABI_METHOD_GET, "h", "/private", "", NULL);
        decision = intent_permit(&view, 0, BYTES_LITERAL("cron"), &input);
        CHECK_INT(decision.verdict, allow ? INTENT_ALLOW : INTENT_DENY);
        CHECK_UINT(decision.intention, 2);
        CHECK_UINT(decision.permission, ABI_NONE);

        decision = intent_permit(&view, 0, BYTES_LITERAL("billing"), &input);
        CHECK_INT(decision.verdict, INTENT_DENY);
        snapshot_builder_free(b);
    }
}

TEST(a_service_is_read_from_its_identity_strictly)
{
    struct snapshot_builder *b = snapshot_builder_new();
    struct view view = open_view(b);
    const struct {
        const char *id;
        const char *service;
    } cases[] = {
        {"spiffe://test.mesh/ns/default/dc/dc1/svc/web", "web"},
        {"spiffe://TEST.mesh/ns/default/dc/dc2/svc/Web", "Web"},
        {"spiffe://test.mesh/ns/default/dc/dc1/svc/a-b_c.d9", "a-b_c.d9"},
        {"spiffe://other.mesh/ns/default/dc/dc1/svc/web", ""},
        {"spiffe:///ns/default/dc/dc1/svc/web", ""},
        {"spiffe://test.mesh:443/ns/default/dc/dc1/svc/web", ""},
        {"spiffe://u@test.mesh/ns/default/dc/dc1/svc/web", ""},
        {"spiffe://test.mesh/ns/other/dc/dc1/svc/web", ""},
        {"spiffe://test.mesh/ns/default/dc//svc/web", ""},
        {"spiffe://test.mesh/ns/default/dc/dc1/svc/", ""},
        {"spiffe://test.mesh/ns/default/dc/dc1/svc/web/", ""},
        {"spiffe://test.mesh/ns/default/dc/dc1/svc/we/b", ""},
        {"spiffe://test.mesh/ns/default/dc/dc1/svc/we%2Fb", ""},
        {"spiffe://test.mesh/ns/default/dc/dc1/svc/*", ""},
        {"spiffe://test.mesh/ns/default/dc/dc1/svc/web?x", ""},
        {"spiffe://test.mesh/ns/default/dc/dc1/svc/web#x", ""},
        {"spiffe://test.mesh/ap/default/ns/default/dc/dc1/svc/web", ""},
        {"https://test.mesh/ns/default/dc/dc1/svc/web", ""},
        {"spiffe://test.mesh", ""},
        {"", ""},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bytes id = cunit_guarded(cunit_text(cases[i].id));

        cunit_context("%s", cases[i].id);
        CHECK_TEXT(intent_service_of(&view, id), cases[i].service);
    }
    snapshot_builder_free(b);
}

/* A snapshot without a mesh knows no identities. */
TEST(without_a_trust_domain_there_is_no_service)
{
    struct snapshot_builder *b = snapshot_builder_new();
    struct view view;

    snapshot_builder_head(b)->trust_domain.len = 0;
    view = open_view(b);
    CHECK_TEXT(intent_service_of(&view, BYTES_LITERAL("spiffe:///ns/default/dc/dc1/svc/web")), "");
    snapshot_builder_free(b);
}
