#include "table/route.h"

#include "abi/limits.h"
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

/* A table with five lists of one route each: 0 for any host, 1 ... for the names. */
static uint32_t add_hosts(struct snapshot_builder *b, const char *const *names, uint32_t count)
{
    uint32_t web = snapshot_builder_target(b, "web", (uint16_t[]){1}, 1);
    struct abi_route route = snapshot_builder_forward(b, web);
    struct abi_route_table table = {.routes = {0, 1}};
    struct abi_ref lists[8];

    for (uint32_t i = 0; i <= count; i++) {
        uint32_t index = snapshot_builder_add(b, ABI_SECTION_ROUTE, &route);

        lists[i] = (struct abi_ref){snapshot_builder_add(b, ABI_SECTION_ROUTE_LIST, &index), 1};
    }
    table.hosts = snapshot_builder_hosts(b, names, lists + 1, count);
    return snapshot_builder_add(b, ABI_SECTION_ROUTE_TABLE, &table);
}

TEST(hosts_exact_then_longest_wildcard_then_any)
{
    const char *const names[] = {"example.com", "*.example.com", "*.com", "a.example.com"};
    const struct {
        const char *host;
        uint32_t route;
    } cases[] = {
        {"example.com", 1},
        {"a.example.com", 4},
        {"b.example.com", 2},
        {"x.a.example.com", 2},
        {"other.com", 3},
        {"com", 0},
        {"", 0},
        {".", 0},
        {"xexample.com", 3},
        {".com", 0},
        {"example.org", 0},
        {"example.com.", 0},
        {"*.example.com", 1 + 1},
        {"..com", 3},
    };
    struct snapshot_builder *b = snapshot_builder_new();
    uint32_t table = add_hosts(b, names, 4);
    struct view view = open_view(b);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct route_input input = table_kit_request(ABI_METHOD_GET, cases[i].host, "/", "", NULL);

        cunit_context("host '%s'", cases[i].host);
        CHECK_UINT(route_find(&view, table, &input), cases[i].route);
    }
    snapshot_builder_free(b);
}

TEST(a_table_without_hosts_serves_all)
{
    struct snapshot_builder *b = table_kit_small();
    struct view view = open_view(b);
    struct route_input input = table_kit_request(ABI_METHOD_OTHER, "", "/any", "", NULL);

    CHECK_UINT(route_find(&view, 0, &input), 0);
    snapshot_builder_free(b);
}

TEST(paths_are_exact_or_textual_prefixes)
{
    struct snapshot_builder *b = table_kit_small();
    struct abi_text text = snapshot_builder_text(b, "/pay");
    uint32_t dfa = snapshot_builder_dfa(b, "/pay");
    struct view view = open_view(b);
    const struct {
        const char *path;
        bool exact, prefix;
    } cases[] = {{"/pay", true, true},   {"/payroll", false, true}, {"/pay/x", false, true},
                 {"/pa", false, false},  {"/Pay", false, false},    {"", false, false},
                 {"x/pay", false, false}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bytes path = cunit_guarded(cunit_text(cases[i].path));

        cunit_context("path '%s'", cases[i].path);
        CHECK(route_path_matches(&view, ABI_PATH_ANY, text, ABI_NONE, path));
        CHECK_INT(route_path_matches(&view, ABI_PATH_EXACT, text, ABI_NONE, path), cases[i].exact);
        CHECK_INT(route_path_matches(&view, ABI_PATH_PREFIX, text, ABI_NONE, path),
                  cases[i].prefix);
        CHECK_INT(route_path_matches(&view, ABI_PATH_REGEX, text, dfa, path), cases[i].exact);
    }
    snapshot_builder_free(b);
}

/* What is no UTF-8 is one character that nobody can read, byte by byte. */
TEST(expressions_see_characters)
{
    struct snapshot_builder *b = table_kit_small();
    uint32_t once = snapshot_builder_dfa(b, "a\xef\xbf\xbd"
                                            "b");
    uint32_t twice = snapshot_builder_dfa(b, "a\xef\xbf\xbd\xef\xbf\xbd"
                                             "b");
    uint32_t letters = snapshot_builder_dfa(b, "\u00e9\u20ac\U0001f600");
    struct view view = open_view(b);
    static const char *const unreadable[] = {"a\x80"
                                             "b",
                                             "a\xc3"
                                             "b",
                                             "a\xff"
                                             "b",
                                             "a\xef\xbf\xbd"
                                             "b"};
    static const char *const pairs[] = {"a\xe2\x82"
                                        "b",
                                        "a\xc0\xaf"
                                        "b",
                                        "a\xf5\x80"
                                        "b",
                                        "a\xc3\xff"
                                        "b"};

    for (size_t i = 0; i < sizeof(unreadable) / sizeof(unreadable[0]); i++) {
        struct bytes in = cunit_guarded(cunit_text(unreadable[i]));

        cunit_context("one, number %zu", i);
        CHECK(route_dfa_accepts(&view, once, in));
        CHECK(!route_dfa_accepts(&view, twice, in));
    }
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct bytes in = cunit_guarded(cunit_text(pairs[i]));

        cunit_context("two, number %zu", i);
        CHECK(route_dfa_accepts(&view, twice, in));
        CHECK(!route_dfa_accepts(&view, once, in));
    }
    CHECK(route_dfa_accepts(&view, letters, cunit_guarded(cunit_text("\u00e9\u20ac\U0001f600"))));
    CHECK(!route_dfa_accepts(&view, letters, cunit_guarded(cunit_text("\u00e9\u20ac\xf0\x9f"))));
    snapshot_builder_free(b);
}

/* One match of a request against one value. */
static bool holds(uint8_t subject, uint8_t kind, int flags, const char *value,
                  const struct route_input *input)
{
    struct snapshot_builder *b = table_kit_small();
    struct abi_match match = {.subject = subject,
                              .kind = kind,
                              .invert = (uint8_t)(flags & 1),
                              .ignore_case = (uint8_t)(flags >> 1 & 1),
                              .dfa = ABI_NONE};
    struct abi_ref ref = {0, 1};
    struct view view;
    bool result;

    match.name = snapshot_builder_text(b, "x-a");
    match.value = snapshot_builder_text(b, value);
    if (kind == ABI_MATCH_REGEX) {
        match.dfa = snapshot_builder_dfa(b, value);
    }
    snapshot_builder_add(b, ABI_SECTION_MATCH, &match);
    view = open_view(b);
    result = route_matches_all(&view, ref, input);
    snapshot_builder_free(b);
    return result;
}

enum { INVERT = 1, IGNORE_CASE = 2 };

TEST(header_matches)
{
    const char *const fields[] = {"host", "h", "X-A", "first", "x-A", "Second value", NULL};
    struct route_input with = table_kit_request(ABI_METHOD_GET, "h", "/", "", fields);
    struct route_input without = table_kit_request(ABI_METHOD_GET, "h", "/", "", NULL);
    const struct {
        uint8_t kind;
        int flags;
        const char *value;
        bool with, without;
    } cases[] = {
        {ABI_MATCH_PRESENT, 0, "", true, false},
        {ABI_MATCH_PRESENT, INVERT, "", false, true},
        {ABI_MATCH_EXACT, 0, "first", true, false},
        {ABI_MATCH_EXACT, 0, "Second value", true, false},
        {ABI_MATCH_EXACT, 0, "second value", false, false},
        {ABI_MATCH_EXACT, IGNORE_CASE, "second VALUE", true, false},
        {ABI_MATCH_EXACT, INVERT, "third", true, false},
        {ABI_MATCH_EXACT, INVERT, "first", false, false},
        {ABI_MATCH_PREFIX, 0, "Sec", true, false},
        {ABI_MATCH_PREFIX, 0, "", true, false},
        {ABI_MATCH_PREFIX, IGNORE_CASE, "sec", true, false},
        {ABI_MATCH_PREFIX, 0, "first and more", false, false},
        {ABI_MATCH_SUFFIX, 0, "value", true, false},
        {ABI_MATCH_SUFFIX, 0, "Value", false, false},
        {ABI_MATCH_SUFFIX, IGNORE_CASE, "Value", true, false},
        {ABI_MATCH_CONTAINS, 0, "d v", true, false},
        {ABI_MATCH_CONTAINS, 0, "D V", false, false},
        {ABI_MATCH_CONTAINS, IGNORE_CASE, "D V", true, false},
        {ABI_MATCH_CONTAINS, INVERT, "zz", true, false},
        {ABI_MATCH_REGEX, 0, "first", true, false},
        {ABI_MATCH_REGEX, 0, "firs", false, false},
        {ABI_MATCH_REGEX, INVERT, "firs", true, false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cunit_context("kind %u flags %d '%s'", cases[i].kind, cases[i].flags, cases[i].value);
        CHECK_INT(holds(ABI_MATCH_HEADER, cases[i].kind, cases[i].flags, cases[i].value, &with),
                  cases[i].with);
        CHECK_INT(holds(ABI_MATCH_HEADER, cases[i].kind, cases[i].flags, cases[i].value, &without),
                  cases[i].without);
    }
}

TEST(query_matches_are_decoded)
{
    const struct {
        const char *query;
        uint8_t kind;
        const char *value;
        bool holds;
    } cases[] = {
        {"x-a=1", ABI_MATCH_EXACT, "1", true},     {"x-a=2&x-a=1", ABI_MATCH_EXACT, "1", true},
        {"x-a=11", ABI_MATCH_EXACT, "1", false},   {"X-A=1", ABI_MATCH_EXACT, "1", false},
        {"x%2da=1", ABI_MATCH_EXACT, "1", true},   {"x-a=%31", ABI_MATCH_EXACT, "1", true},
        {"x-a=a+b", ABI_MATCH_EXACT, "a b", true}, {"x-a=%4", ABI_MATCH_EXACT, "%4", true},
        {"x-a=%zz", ABI_MATCH_EXACT, "%zz", true}, {"x-a=%", ABI_MATCH_EXACT, "%", true},
        {"x-a", ABI_MATCH_PRESENT, "", true},      {"x-a=", ABI_MATCH_PRESENT, "", true},
        {"&&x-a&", ABI_MATCH_PRESENT, "", true},   {"y=x-a", ABI_MATCH_PRESENT, "", false},
        {"", ABI_MATCH_PRESENT, "", false},        {"=x-a", ABI_MATCH_PRESENT, "", false},
        {"x-a=one", ABI_MATCH_REGEX, "one", true}, {"x-a=ones", ABI_MATCH_REGEX, "one", false},
        {"x-a=b=c", ABI_MATCH_EXACT, "b=c", true},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct route_input input = table_kit_request(ABI_METHOD_GET, "h", "/", "", NULL);

        input.query = cunit_guarded(cunit_text(cases[i].query));
        cunit_context("query '%s'", cases[i].query);
        CHECK_INT(holds(ABI_MATCH_QUERY, cases[i].kind, 0, cases[i].value, &input), cases[i].holds);
    }
}

/* A pair of LIMIT_TEXT bytes is looked at, one byte more is not; both stay in bounds. */
TEST(the_longest_query_pair)
{
    static char query[LIMIT_TEXT + 2];
    struct route_input input = table_kit_request(ABI_METHOD_GET, "h", "/", "", NULL);

    memset(query, 'v', sizeof(query));
    memcpy(query, "x-a=", 4);
    input.query = bytes_of(query, LIMIT_TEXT);
    CHECK(holds(ABI_MATCH_QUERY, ABI_MATCH_PRESENT, 0, "", &input));
    input.query = bytes_of(query, LIMIT_TEXT + 1);
    CHECK(!holds(ABI_MATCH_QUERY, ABI_MATCH_PRESENT, 0, "", &input));
}

TEST(methods_are_sets)
{
    struct snapshot_builder *b = table_kit_small();
    struct abi_route *route = snapshot_builder_record(b, ABI_SECTION_ROUTE, 0);
    struct view view;
    const char *why = NULL;

    route->methods = 1u << ABI_METHOD_GET | 1u << ABI_METHOD_HEAD;
    view = open_view(b);
    for (uint32_t method = 0; method < ABI_METHOD_COUNT; method++) {
        struct route_input input = table_kit_request(method, "h", "/", "", NULL);
        bool good = method == ABI_METHOD_GET || method == ABI_METHOD_HEAD;

        cunit_context("method %u", method);
        CHECK_UINT(route_find(&view, 0, &input), good ? 0 : ABI_NONE);
        CHECK_INT(route_matches(&view, &view.routes[0], &input, &why), good);
        CHECK_STRING(why == NULL ? "" : why, good ? "" : "the method does not match");
    }
    snapshot_builder_free(b);
}

TEST(the_first_matching_route_wins)
{
    struct snapshot_builder *b = table_kit_everything();
    struct view view = open_view(b);
    const char *const two[] = {"X-Version", "TWO", "User-Agent", "curl", NULL};
    struct route_input input = table_kit_request(ABI_METHOD_GET, "none", "/v1", "debug", two);

    CHECK_UINT(route_find(&view, 0, &input), 3);
    input.query = bytes_of("", 0);
    CHECK_UINT(route_find(&view, 0, &input), 0);
    input = table_kit_request(ABI_METHOD_GET, "sub.example.com", "/admin/", "", NULL);
    CHECK_UINT(route_find(&view, 0, &input), 0);
    input = table_kit_request(ABI_METHOD_GET, "old.example.com", "/admin/", "", NULL);
    CHECK_UINT(route_find(&view, 0, &input), 1);
    input = table_kit_request(ABI_METHOD_GET, "old.example.com", "/", "", NULL);
    CHECK_UINT(route_find(&view, 0, &input), ABI_NONE);
    snapshot_builder_free(b);
}

TEST(splits_divide_all_numbers)
{
    struct snapshot_builder *b = table_kit_small();
    const uint32_t weights[] = {1, 9000, 999};
    struct abi_ref ref = {snapshot_builder_count(b, ABI_SECTION_SPLIT), 3};
    uint32_t counts[3] = {0};
    struct view view;

    for (uint32_t i = 0; i < 3; i++) {
        struct abi_split split = {.weight = weights[i]};

        snapshot_builder_add(b, ABI_SECTION_SPLIT, &split);
    }
    view = open_view(b);
    for (uint32_t number = 0; number < ABI_SPLIT_TOTAL; number++) {
        counts[route_split(&view, ref, number) - ref.at]++;
    }
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_UINT(counts[i], weights[i]);
    }
    snapshot_builder_free(b);
}
