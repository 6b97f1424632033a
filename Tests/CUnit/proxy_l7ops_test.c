/* Changes of fields: what overrides what, names that are never changed, every size of the output.
 */
#include <string.h>

#include "cunit.h"
#include "proxy/l7ops.h"
#include "snapshot_builder.h"

static struct abi_header_op op_of(struct snapshot_builder *b, enum abi_header_op_kind kind,
                                  const char *name, const char *value)
{
    return (struct abi_header_op){
        .kind = (uint8_t)kind,
        .response = 1,
        .name = snapshot_builder_text(b, name),
        .value = value == NULL ? (struct abi_text){0, 0} : snapshot_builder_text(b, value),
    };
}

/* A table whose header rules are these; the builder must be freed. */
static struct snapshot_builder *table_of(struct view *view, struct l7ops *ops)
{
    struct snapshot_builder *b = snapshot_builder_new();
    struct abi_header_op list[] = {
        op_of(b, ABI_HEADER_ADD, "a", "1"),       op_of(b, ABI_HEADER_ADD, "b", "2"),
        op_of(b, ABI_HEADER_SET, "A", "3"),       op_of(b, ABI_HEADER_SET, "c", ""),
        op_of(b, ABI_HEADER_REMOVE, "b", NULL),   op_of(b, ABI_HEADER_ADD, "b", "4"),
        op_of(b, ABI_HEADER_SET, "Host", "x"),    op_of(b, ABI_HEADER_REMOVE, "via", NULL),
        op_of(b, ABI_HEADER_SET, "upgrade", "x"),
    };
    struct view_refusal refusal;

    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        snapshot_builder_add(b, ABI_SECTION_HEADER_OP, &list[i]);
    }
    list[0].response = 0; /* of the other direction: never seen */
    snapshot_builder_add(b, ABI_SECTION_HEADER_OP, &list[0]);
    CHECK(view_open(view, snapshot_builder_bytes(b), snapshot_builder_size(b), &refusal));
    *ops = (struct l7ops){.table = view, .list = {0, 10}, .response = true};
    return b;
}

static const char lines[] = "A: 3\r\nc: \r\nb: 4\r\n";

static void check_ops(const struct l7ops *ops)
{
    uint8_t out[64];

    CHECK_UINT(l7ops_lines(ops, out, sizeof(out)), sizeof(lines) - 1);
    CHECK(memcmp(out, lines, sizeof(lines) - 1) == 0);
    for (size_t room = 0; room < sizeof(lines) - 1; room++) {
        CHECK(l7ops_lines(ops, out, room) == L7OPS_FULL);
    }
    CHECK_UINT(l7ops_lines(ops, out, sizeof(lines) - 1), sizeof(lines) - 1);
    CHECK(l7ops_drops(ops, BYTES_LITERAL("a")) && l7ops_drops(ops, BYTES_LITERAL("B")));
    CHECK(l7ops_drops(ops, BYTES_LITERAL("c")) && !l7ops_drops(ops, BYTES_LITERAL("d")));
    CHECK(!l7ops_drops(ops, BYTES_LITERAL("host")) && !l7ops_drops(ops, BYTES_LITERAL("Via")));
}

TEST(a_later_change_overrides_and_the_proxys_own_names_stay)
{
    struct view view;
    struct l7ops ops;
    struct snapshot_builder *b = table_of(&view, &ops);

    check_ops(&ops);
    snapshot_builder_free(b);
}

TEST(packed_changes_are_the_same)
{
    struct view view;
    struct l7ops ops;
    struct snapshot_builder *b = table_of(&view, &ops);
    uint8_t room[256];
    size_t length = l7ops_pack(&ops, room, sizeof(room));

    CHECK_UINT(length, l7ops_size(&ops));
    for (size_t less = 0; less < length; less++) {
        CHECK(l7ops_pack(&ops, room, less) == L7OPS_FULL);
    }
    CHECK_UINT(l7ops_pack(&ops, room, length), length);
    snapshot_builder_free(b); /* the table is gone */
    ops = (struct l7ops){.packed = bytes_of(room, length)};
    check_ops(&ops);
}

TEST(no_changes_change_nothing)
{
    struct l7ops ops = {0};
    uint8_t out[1];

    CHECK(l7ops_is_none(&ops));
    CHECK(!l7ops_drops(&ops, BYTES_LITERAL("a")));
    CHECK_UINT(l7ops_lines(&ops, out, 0), 0);
    CHECK_UINT(l7ops_pack(&ops, out, 0), 0);
}

/* Without an exchange every variable is empty: what is left of the values shows where they were. */
TEST(values_with_variables)
{
    struct snapshot_builder *b = snapshot_builder_new();
    struct abi_header_op list[] = {
        op_of(b, ABI_HEADER_SET, "a", "<\001A|\001R>"), op_of(b, ABI_HEADER_ADD, "b", "\001R"),
        op_of(b, ABI_HEADER_SET, "c", "\001A"), op_of(b, ABI_HEADER_SET, "d", "plain")};
    struct view view;
    struct view_refusal refusal;
    struct l7ops ops = {.table = &view, .list = {0, 4}, .response = true};
    static const char made[] = "a: <|>\r\nd: plain\r\n";
    uint8_t out[64], packed[64];
    size_t length;

    for (size_t i = 0; i < 4; i++) {
        list[i].varies = i < 3;
        snapshot_builder_add(b, ABI_SECTION_HEADER_OP, &list[i]);
    }
    CHECK(view_open(&view, snapshot_builder_bytes(b), snapshot_builder_size(b), &refusal));
    CHECK_UINT(l7ops_lines(&ops, out, sizeof(out)), sizeof(made) - 1);
    CHECK(memcmp(out, made, sizeof(made) - 1) == 0);
    CHECK(l7ops_drops(&ops, BYTES_LITERAL("c"))); /* set to nothing is still set */
    length = l7ops_pack(&ops, packed, sizeof(packed));
    for (size_t less = 0; less < length; less++) {
        CHECK(l7ops_pack(&ops, packed, less) == L7OPS_FULL);
    }
    length = l7ops_pack(&ops, packed, sizeof(packed));
    CHECK(length != L7OPS_FULL && memchr(packed, ABI_HEADER_FIRST, length) == NULL);
    CHECK(memchr(packed, 'R', length) != NULL); /* the answer's stays */
    ops = (struct l7ops){.packed = bytes_of(packed, length)};
    CHECK_UINT(l7ops_lines(&ops, out, sizeof(out)), sizeof(made) - 1);
    CHECK(memcmp(out, made, sizeof(made) - 1) == 0);
    snapshot_builder_free(b);
}
