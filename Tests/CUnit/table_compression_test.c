#include "table/compression.h"

#include <stddef.h>

#include "abi/limits.h"
#include "cunit.h"
#include "table_faults.h"

static const struct {
    const char *content_type;
    bool covered;
} types[] = {
    {"text/html", true},
    {"text/html; charset=utf-8", true},
    {"text/html;charset=utf-8", true},
    {"Text/HTML\t; a=b", true},
    {"text/plain", true},
    {"TEXT/css", true},
    {"application/json", false},
    {"application/jsonp", false},
    {"text", false},
    {"textual/html", false},
    {"image/png; text/html", false},
    {"", false},
    {";text/html", false},
};

TEST(media_types_are_compared_without_their_parameters)
{
    struct snapshot_builder *b = table_kit_everything();
    struct view view;
    struct view_refusal refusal;

    if (CHECK(view_open(&view, snapshot_builder_bytes(b), snapshot_builder_size(b), &refusal))) {
        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
            cunit_context("%s", types[i].content_type);
            CHECK_INT(compression_covers(&view, &view.compressions[0],
                                         cunit_guarded(cunit_text(types[i].content_type))),
                      types[i].covered);
        }
    }
    snapshot_builder_free(b);
}

static const struct table_fault faults[] = {
    {"no such compression", ABI_SECTION_LISTENER, 0, FIELD(abi_listener, compression), 1,
     ABI_REFUSAL_REFERENCE},
    {"compression on L4", ABI_SECTION_LISTENER, 1, FIELD(abi_listener, compression), 0,
     ABI_REFUSAL_VALUE},
    {"nothing is compressed", ABI_SECTION_COMPRESSION, 0, FIELD(abi_compression, types.count), 0,
     ABI_REFUSAL_LIMIT},
    {"types beyond the section", ABI_SECTION_COMPRESSION, 0, FIELD(abi_compression, types.count), 3,
     ABI_REFUSAL_REFERENCE},
    {"no codings", ABI_SECTION_COMPRESSION, 0, FIELD(abi_compression, coding_count), 0,
     ABI_REFUSAL_LIMIT},
    {"four codings", ABI_SECTION_COMPRESSION, 0, FIELD(abi_compression, coding_count), 4,
     ABI_REFUSAL_LIMIT},
    {"coding 3", ABI_SECTION_COMPRESSION, 0, FIELD(abi_compression, codings), 3, ABI_REFUSAL_VALUE},
    {"a coding twice", ABI_SECTION_COMPRESSION, 0, offsetof(struct abi_compression, codings) + 1, 1,
     ABI_CODING_ZSTD, ABI_REFUSAL_VALUE},
    {"a coding behind the last", ABI_SECTION_COMPRESSION, 0,
     offsetof(struct abi_compression, codings) + 2, 1, ABI_CODING_BROTLI, ABI_REFUSAL_VALUE},
    {"level 10 of gzip", ABI_SECTION_COMPRESSION, 0, offsetof(struct abi_compression, levels), 1,
     LIMIT_LEVEL_GZIP + 1, ABI_REFUSAL_VALUE},
    {"no level of gzip", ABI_SECTION_COMPRESSION, 0, offsetof(struct abi_compression, levels), 1, 0,
     ABI_REFUSAL_VALUE},
    {"a level of what is not offered", ABI_SECTION_COMPRESSION, 0,
     offsetof(struct abi_compression, levels) + 1, 1, 1, ABI_REFUSAL_VALUE},
    {"padding of a compression", ABI_SECTION_COMPRESSION, 0, FIELD(abi_compression, _pad0), 1,
     ABI_REFUSAL_PADDING},
    {"a media type without a slash", ABI_SECTION_MEDIA_TYPE, 1, FIELD(abi_text, len), 4,
     ABI_REFUSAL_VALUE},
    {"an empty media type", ABI_SECTION_MEDIA_TYPE, 1, FIELD(abi_text, len), 0, ABI_REFUSAL_VALUE},
};

TEST(every_broken_rule_of_compression_is_refused)
{
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        table_faults_check(&faults[i]);
    }
}
