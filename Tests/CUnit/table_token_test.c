#include "table/token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/limits.h"
#include "cunit.h"
#include "table/intent.h"
#include "table_faults.h"

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

/* Tokens say themselves what is known of them. */
static enum route_token judge(void *context, uint32_t check, struct bytes token)
{
    uint32_t *asked = context;

    if (asked != NULL) {
        *asked |= 1u << check;
    }
    return bytes_equal(token, BYTES_LITERAL("good"))      ? ROUTE_TOKEN_HOLDS
           : bytes_equal(token, BYTES_LITERAL("unknown")) ? ROUTE_TOKEN_UNKNOWN
                                                          : ROUTE_TOKEN_FAILS;
}

TEST(tokens_are_found_where_they_stand)
{
    struct snapshot_builder *b = table_kit_everything();
    struct view view = open_view(b);
    const struct {
        uint32_t check;
        const char *query;
        const char *fields[5];
        const char *token;
        uint32_t place;
    } cases[] = {
        {0, "", {"Authorization", "Bearer abc", NULL}, "abc", 0},
        {0, "", {"authorization", "bearer  abc ", NULL}, "abc", 0},
        {0, "", {"authorization", "Basic abc", NULL}, "", 1},
        {0, "", {"authorization", "Bearer", NULL}, "", 1},
        {0, "", {"authorization", "Bearer ", NULL}, "", 1},
        {0, "", {"authorization", "Basic x", "authorization", "Bearer y", NULL}, "y", 0},
        {0, "t=q", {"authorization", "Bearer abc", NULL}, "abc", 0},
        {0, "a=b&t=q&c", {NULL}, "q", 1},
        {0, "tt=1&t", {NULL}, "", 1},
        {0, "t=", {NULL}, "", 1},
        {0, "&&t=x&", {NULL}, "x", 1},
        {1, "t=q", {"x-token", "abc", NULL}, "abc", 2},
        {1, "", {"X-TOKEN", " abc", NULL}, "abc", 2},
        {1, "", {"cookie", "a=b; s=xyz; c", NULL}, "xyz", 3},
        {1, "", {"cookie", "s=xyz", NULL}, "xyz", 3},
        {1, "", {"cookie", "as=xyz;ss=1; s", NULL}, "", 3},
        {1, "", {"cookie", "a=1", "cookie", "s=2", NULL}, "2", 3},
        {1, "", {NULL}, "", 3},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct route_input input = table_kit_request(0, "h", "/", cases[i].query, cases[i].fields);
        uint32_t place = 99;
        struct bytes token;

        input.query = cunit_guarded(input.query);
        cunit_context("case %zu", i);
        token = token_find(&view, &view.token_checks[cases[i].check], &input, &place);
        CHECK(bytes_equal(token, cunit_text(cases[i].token)));
        CHECK_UINT(place, cases[i].place);
    }
    snapshot_builder_free(b);
}

TEST(a_token_that_is_too_long_is_none)
{
    struct snapshot_builder *b = table_kit_everything();
    struct view view = open_view(b);
    char *text = malloc(LIMIT_TOKEN_SIZE + 2);
    const char *fields[] = {"x-token", text, NULL};

    for (size_t length = LIMIT_TOKEN_SIZE - 1; length <= LIMIT_TOKEN_SIZE + 1; length++) {
        struct route_input input;

        memset(text, 'a', length);
        text[length] = 0;
        input = table_kit_request(0, "h", "/", "", fields);
        CHECK_UINT(token_find(&view, &view.token_checks[1], &input, NULL).len,
                   length <= LIMIT_TOKEN_SIZE ? length : 0);
    }
    free(text);
    snapshot_builder_free(b);
}

/* Token 0 asks for both checks; what fails decides before what is unknown. */
TEST(requirements_hold_together)
{
    struct snapshot_builder *b = table_kit_everything();
    struct view view = open_view(b);
    static const char *const words[] = {"bad", "good", "unknown"};

    for (uint32_t first = 0; first < 3; first++) {
        for (uint32_t second = 0; second < 3; second++) {
            char query[32];
            const char *fields[] = {"x-token", words[second], NULL};
            enum route_token expected = first == 0 || second == 0   ? ROUTE_TOKEN_FAILS
                                        : first == 1 && second == 1 ? ROUTE_TOKEN_HOLDS
                                                                    : ROUTE_TOKEN_UNKNOWN;
            struct route_input input;

            snprintf(query, sizeof(query), "t=%s", words[first]);
            input = table_kit_request(0, "h", "/", query, fields);
            CHECK_INT(token_judge(&view, 1, &input), ROUTE_TOKEN_FAILS); /* nobody can judge */
            CHECK_INT(token_judge(&view, 0, &input), ROUTE_TOKEN_HOLDS);
            input.judge = judge;
            CHECK_INT(token_judge(&view, 1, &input), expected);
            CHECK_INT(token_judge(&view, 2, &input), second == 1   ? ROUTE_TOKEN_HOLDS
                                                     : second == 0 ? ROUTE_TOKEN_FAILS
                                                                   : ROUTE_TOKEN_UNKNOWN);
        }
    }
    snapshot_builder_free(b);
}

/* One requirement with two checks: any of them. */
TEST(checks_are_alternatives)
{
    struct snapshot_builder *b = table_kit_everything();
    struct abi_token *token = snapshot_builder_record(b, ABI_SECTION_TOKEN, 1);
    const char *fields[] = {"x-token", "good", NULL};
    struct route_input input = table_kit_request(0, "h", "/", "t=unknown", fields);
    struct view view;
    uint32_t asked = 0;

    token->checks = (struct abi_ref){0, 2};
    view = open_view(b);
    input.judge = judge;
    input.judge_context = &asked;
    CHECK_INT(token_judge(&view, 2, &input), ROUTE_TOKEN_HOLDS);
    CHECK_UINT(asked, 3);
    fields[1] = "bad";
    CHECK_INT(token_judge(&view, 2, &input), ROUTE_TOKEN_UNKNOWN);
    snapshot_builder_free(b);
}

/* A permission whose token fails is passed over; one whose token is unknown is waited for. */
TEST(permissions_ask_for_tokens)
{
    struct snapshot_builder *b = table_kit_everything();
    struct abi_permission *permission = snapshot_builder_record(b, ABI_SECTION_PERMISSION, 0);
    const struct {
        const char *path;
        const char *token;
        enum intent_verdict verdict;
        uint32_t permission;
    } cases[] = {
        {"/public", "good", INTENT_ALLOW, 0},
        {"/public", "bad", INTENT_DENY, ABI_NONE},
        {"/public", "unknown", INTENT_AWAIT_TOKEN, 0},
        {"/private", "unknown", INTENT_DENY, ABI_NONE},
    };
    struct view view;

    permission->token = 2;
    view = open_view(b);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *fields[] = {"x-token", cases[i].token, NULL};
        struct route_input input = table_kit_request(0, "h", cases[i].path, "", fields);
        struct intent_decision decision;

        input.judge = judge;
        cunit_context("case %zu", i);
        decision = intent_permit(&view, 0, BYTES_LITERAL("cron"), &input);
        CHECK_INT(decision.verdict, cases[i].verdict);
        CHECK_UINT(decision.permission, cases[i].permission);
    }
    snapshot_builder_free(b);
}

TEST(the_payload_is_the_middle)
{
    const struct {
        const char *token;
        const char *payload;
    } cases[] = {{"a.bc.d", "bc"}, {"a.b", ""}, {"", ""},    {"a..c", ""},
                 {"a.b.c.d", ""},  {"..", ""},  {".b.", "b"}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bytes payload = token_payload(cunit_guarded(cunit_text(cases[i].token)));

        cunit_context("case %zu", i);
        CHECK(bytes_equal(payload, cunit_text(cases[i].payload)));
    }
}

static const struct table_fault faults[] = {
    {"tokens of a policy", ABI_SECTION_POLICY, 0, FIELD(abi_policy, tokens), 2, ABI_REFUSAL_VALUE},
    {"no such token", ABI_SECTION_PERMISSION, 0, FIELD(abi_permission, token), 3,
     ABI_REFUSAL_REFERENCE},
    {"a token of no checks", ABI_SECTION_TOKEN, 0, FIELD(abi_token, checks.count), 0,
     ABI_REFUSAL_VALUE},
    {"no such check", ABI_SECTION_TOKEN, 1, FIELD(abi_token, checks.at), 2, ABI_REFUSAL_REFERENCE},
    {"a token that asks for itself", ABI_SECTION_TOKEN, 1, FIELD(abi_token, also), 2,
     ABI_REFUSAL_ORDER},
    {"a token that asks for an earlier one", ABI_SECTION_TOKEN, 1, FIELD(abi_token, also), 1,
     ABI_REFUSAL_ORDER},
    {"a token that asks for none", ABI_SECTION_TOKEN, 0, FIELD(abi_token, also), 3,
     ABI_REFUSAL_REFERENCE},
    {"padding of a token", ABI_SECTION_TOKEN, 0, FIELD(abi_token, _pad0), 1, ABI_REFUSAL_PADDING},
    {"a check without places", ABI_SECTION_TOKEN_CHECK, 0, FIELD(abi_token_check, places.count), 0,
     ABI_REFUSAL_VALUE},
    {"no such place", ABI_SECTION_TOKEN_CHECK, 1, FIELD(abi_token_check, places.count), 3,
     ABI_REFUSAL_REFERENCE},
    {"padding of a payload", ABI_SECTION_TOKEN_CHECK, 0, FIELD(abi_token_check, pad_payload), 2,
     ABI_REFUSAL_VALUE},
    {"place of no kind", ABI_SECTION_TOKEN_PLACE, 0, FIELD(abi_token_place, where), 3,
     ABI_REFUSAL_VALUE},
    {"a parameter that is dropped", ABI_SECTION_TOKEN_PLACE, 1, FIELD(abi_token_place, drop), 1,
     ABI_REFUSAL_VALUE},
    {"a field that is dropped twice", ABI_SECTION_TOKEN_PLACE, 0, FIELD(abi_token_place, drop), 2,
     ABI_REFUSAL_VALUE},
    {"a place without a name", ABI_SECTION_TOKEN_PLACE, 3, FIELD(abi_token_place, name.len), 0,
     ABI_REFUSAL_VALUE},
    {"a parameter with a prefix", ABI_SECTION_TOKEN_PLACE, 0, FIELD(abi_token_place, where), 1,
     ABI_REFUSAL_VALUE},
};

TEST(every_broken_rule_of_tokens_is_refused_by_name)
{
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        table_faults_check(&faults[i]);
    }
}
