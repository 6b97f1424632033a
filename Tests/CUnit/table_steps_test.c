/* What is known of a snapshot while view_open is under way. */
#include <stddef.h>

#include "cunit.h"
#include "table/view.h"
#include "table_kit.h"

/* Walks in the smallest steps; says whether the listeners were known before the end. */
static bool listeners_are_known(const uint8_t *bytes, size_t size, enum view_progress *end)
{
    struct view view;
    struct view_refusal refusal;
    bool known = false;

    *end = view_open_begin(&view, bytes, size, &refusal);
    while (*end == VIEW_MORE) {
        CHECK(view_has_listeners(&view) == known || !known);
        known = known || view_has_listeners(&view);
        *end = view_open_step(&view, 1, &refusal);
    }
    return known;
}

/* A listener counts as known when it is checked, whatever is wrong with what comes after it. */
TEST(listeners_are_known_before_the_rest)
{
    struct snapshot_builder *b = table_kit_everything();
    uint8_t *bytes = snapshot_builder_bytes(b);
    size_t size = snapshot_builder_size(b);
    const struct abi_section_place *places = snapshot_builder_head(b)->sections;
    enum view_progress end;

    CHECK(listeners_are_known(bytes, size, &end));
    CHECK_INT(end, VIEW_READY);
    for (int broken = 0; broken < 2; broken++) {
        bool target = broken == 0;
        uint8_t *field =
            bytes + (target
                         ? places[ABI_SECTION_TARGET].at + offsetof(struct abi_target, balance)
                         : places[ABI_SECTION_LISTENER].at + offsetof(struct abi_listener, kind));

        cunit_context("a broken %s", target ? "target" : "listener");
        *field = 0xff;
        snapshot_builder_seal(bytes, size);
        CHECK(listeners_are_known(bytes, size, &end) == target);
        CHECK_INT(end, VIEW_REFUSED);
    }
    snapshot_builder_free(b);
}
