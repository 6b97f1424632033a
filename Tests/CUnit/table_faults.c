#include "table_faults.h"

#include <string.h>

#include "cunit.h"

void table_faults_check(const struct table_fault *fault)
{
    struct snapshot_builder *b = table_kit_everything();
    uint8_t *record = snapshot_builder_record(b, fault->section, fault->record);
    struct view view;
    struct view_refusal refusal;

    memcpy(record + fault->at, &fault->value, fault->size);
    cunit_context("%s", fault->what);
    CHECK(!view_open(&view, snapshot_builder_bytes(b), snapshot_builder_size(b), &refusal));
    CHECK_INT(refusal.code, fault->code);
    CHECK(refusal.what != NULL);
    snapshot_builder_free(b);
}
