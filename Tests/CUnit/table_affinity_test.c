/* What of a request decides about its endpoint. */
#include "table/affinity.h"

#include "cunit.h"
#include "table_kit.h"

struct field {
    struct snapshot_builder *builder;
    struct view view;
    struct abi_balancer balancer;
};

static void add(struct field *field, enum abi_hash_of of, const char *name, bool terminal,
                const char *attributes)
{
    struct abi_hash hash = {.of = (uint8_t)of, .terminal = terminal};

    hash.name = snapshot_builder_text(field->builder, name);
    hash.attributes = snapshot_builder_text(field->builder, attributes);
    snapshot_builder_add(field->builder, ABI_SECTION_HASH, &hash);
    field->balancer.hashes.count++;
}

static void begin(struct field *field)
{
    *field = (struct field){.builder = snapshot_builder_new()};
}

static void seal(struct field *field)
{
    struct view_refusal refusal;

    CHECK(view_open(&field->view, snapshot_builder_bytes(field->builder),
                    snapshot_builder_size(field->builder), &refusal));
}

static struct affinity hash(const struct field *field, const char *query, const char *const *fields)
{
    struct route_input request = table_kit_request(0, "a", "/", query, fields);
    struct affinity_input input = {
        .request = &request, .address = (const uint8_t[16]){[15] = 7}, .fresh = 0xfeed};
    struct affinity out;

    affinity_of(&field->view, &field->balancer, &input, &out);
    return out;
}

#define FIELDS(...) ((const char *const[]){__VA_ARGS__, NULL})

TEST(a_header_is_hashed_whatever_its_case)
{
    struct field field;
    struct affinity one, other;

    begin(&field);
    add(&field, ABI_HASH_HEADER, "x-user", false, "");
    seal(&field);
    CHECK(!hash(&field, "", NULL).found);
    CHECK(!hash(&field, "x-user=me", FIELDS("x-users", "me")).found);
    one = hash(&field, "", FIELDS("accept", "*", "X-User", "me"));
    other = hash(&field, "", FIELDS("x-user", "me"));
    CHECK(one.found && other.found);
    CHECK_UINT(one.hash, other.hash);
    CHECK(one.made == NULL);
    CHECK(one.by == field.view.hashes);
    CHECK(hash(&field, "", FIELDS("x-user", "you")).hash != one.hash);
    /* all values count, and two are not one that reads like them */
    other = hash(&field, "", FIELDS("x-user", "me", "x-user", "you"));
    CHECK(other.hash != one.hash);
    CHECK(hash(&field, "", FIELDS("x-user", "you", "x-user", "me")).hash != other.hash);
    CHECK(hash(&field, "", FIELDS("x-user", "meyou")).hash != other.hash);
    CHECK(hash(&field, "", FIELDS("x-user", "")).found);
    snapshot_builder_free(field.builder);
}

TEST(a_cookie_is_found_among_others)
{
    const char *const good[] = {"cart=42",     "cart=42; a=b", "a=b; cart=42",
                                "a=b;cart=42", " cart=42 ;x",  "a=cart=42; cart=42; cart=43",
                                ";;; cart=42"};
    const char *const none[] = {"",         "cart",     "cart=",     "Cart=42",
                                "acart=42", "carts=42", "a=cart=42", "a; b=; =42"};
    struct field field;
    uint64_t wanted;

    begin(&field);
    add(&field, ABI_HASH_COOKIE, "cart", false, "");
    seal(&field);
    wanted = hash(&field, "", FIELDS("cookie", "cart=42")).hash;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        cunit_context("%s", good[i]);
        CHECK(hash(&field, "", FIELDS("Cookie", good[i])).found);
        CHECK_UINT(hash(&field, "", FIELDS("Cookie", good[i])).hash, wanted);
    }
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        cunit_context("%s", none[i]);
        CHECK(!hash(&field, "", FIELDS("cookie", none[i])).found);
        /* HTTP/2 cuts the field into pieces */
        CHECK_UINT(hash(&field, "", FIELDS("cookie", none[i], "cookie", "cart=42")).hash, wanted);
    }
    cunit_context(NULL);
    snapshot_builder_free(field.builder);
}

TEST(a_parameter_is_hashed_as_it_is_sent)
{
    struct field field;
    uint64_t wanted;

    begin(&field);
    add(&field, ABI_HASH_QUERY, "id", false, "");
    seal(&field);
    wanted = hash(&field, "id=7", NULL).hash;
    CHECK_UINT(hash(&field, "a=1&id=7&id=8", NULL).hash, wanted);
    CHECK(hash(&field, "id=%37", NULL).hash != wanted);
    CHECK(hash(&field, "id", NULL).found);
    CHECK(!hash(&field, "", NULL).found);
    CHECK(!hash(&field, "a=id&ids=7", NULL).found);
    snapshot_builder_free(field.builder);
}

TEST(parts_are_combined_until_a_terminal_one)
{
    struct field field;
    struct affinity both, first, second, none;

    begin(&field);
    add(&field, ABI_HASH_HEADER, "a", true, "");
    add(&field, ABI_HASH_HEADER, "b", false, "");
    add(&field, ABI_HASH_HEADER, "c", false, "");
    seal(&field);
    first = hash(&field, "", FIELDS("a", "1"));
    both = hash(&field, "", FIELDS("a", "1", "b", "2"));
    CHECK_UINT(both.hash, first.hash);
    second = hash(&field, "", FIELDS("b", "2"));
    both = hash(&field, "", FIELDS("b", "2", "c", "3"));
    CHECK(second.found && both.hash != second.hash);
    CHECK(both.by == field.view.hashes + 2);
    /* the order of the parts counts, not that of the fields */
    CHECK_UINT(hash(&field, "", FIELDS("c", "3", "b", "2")).hash, both.hash);
    CHECK(hash(&field, "", FIELDS("c", "2", "b", "3")).hash != both.hash);
    none = hash(&field, "", NULL);
    CHECK(!none.found && none.by == NULL);
    snapshot_builder_free(field.builder);
}

TEST(a_cookie_that_is_missing_is_made)
{
    struct field field;
    struct affinity made, brought;
    uint8_t value[AFFINITY_VALUE];

    begin(&field);
    add(&field, ABI_HASH_COOKIE, "cart", false, "; HttpOnly");
    add(&field, ABI_HASH_COOKIE, "other", false, "; HttpOnly");
    seal(&field);
    made = hash(&field, "", NULL);
    CHECK(made.found && made.made == field.view.hashes); /* one cookie, not two */
    affinity_write(0xfeed, value);
    CHECK(bytes_equal(bytes_of(value, sizeof(value)), BYTES_LITERAL("000000000000feed")));
    /* the next request brings it, and goes the same way */
    field.balancer.hashes.count = 1;
    brought = hash(&field, "", FIELDS("cookie", "cart=000000000000feed"));
    CHECK(brought.found && brought.made == NULL);
    CHECK_UINT(brought.hash, hash(&field, "", NULL).hash);
    snapshot_builder_free(field.builder);
}

TEST(streams_have_an_address_alone)
{
    struct affinity_input input = {.address = (const uint8_t[16]){[15] = 7}};
    struct field field;
    struct affinity out;
    uint64_t wanted;

    begin(&field);
    add(&field, ABI_HASH_COOKIE, "cart", true, "; HttpOnly");
    add(&field, ABI_HASH_HEADER, "a", true, "");
    add(&field, ABI_HASH_QUERY, "q", true, "");
    add(&field, ABI_HASH_ADDRESS, "", true, "");
    seal(&field);
    affinity_of(&field.view, &field.balancer, &input, &out);
    CHECK(out.found && out.made == NULL);
    wanted = out.hash;
    input.address = (const uint8_t[16]){[15] = 8};
    affinity_of(&field.view, &field.balancer, &input, &out);
    CHECK(out.found && out.hash != wanted);
    input.address = NULL;
    affinity_of(&field.view, &field.balancer, &input, &out);
    CHECK(!out.found);
    snapshot_builder_free(field.builder);
}
