/* Rules of content codings. */
#include "abi/limits.h"
#include "view_walk.h"

bool view_check_media_type(struct view_walk *walk)
{
    struct abi_text name = walk->view->media_types[walk->record];
    struct bytes text;
    uint32_t slashes = 0;

    if (!view_check_word(walk, name, "media type") || !view_check_lower(walk, name, "media type")) {
        return false;
    }
    text = view_text(walk->view, name);
    for (size_t i = 0; i < text.len; i++) {
        slashes += text.ptr[i] == '/';
    }
    return view_rule(walk, slashes == 1 && text.ptr[0] != '/', ABI_REFUSAL_VALUE, "media type");
}

static bool check_codings(struct view_walk *walk, const struct abi_compression *compression)
{
    static const uint8_t highest[ABI_CODING_COUNT] = {
        [ABI_CODING_GZIP] = LIMIT_LEVEL_GZIP,
        [ABI_CODING_BROTLI] = LIMIT_LEVEL_BROTLI,
        [ABI_CODING_ZSTD] = LIMIT_LEVEL_ZSTD,
    };
    uint32_t offered = 0;

    if (!view_rule(walk,
                   compression->coding_count > 0 && compression->coding_count <= ABI_CODING_COUNT,
                   ABI_REFUSAL_LIMIT, "number of codings")) {
        return false;
    }
    for (uint32_t i = 0; i < ABI_CODING_COUNT; i++) {
        uint8_t coding = compression->codings[i];
        bool used = i < compression->coding_count;

        if (!view_rule(walk,
                       used ? coding < ABI_CODING_COUNT && (offered & 1u << coding) == 0
                            : coding == 0,
                       ABI_REFUSAL_VALUE, "codings, each once")) {
            return false;
        }
        offered |= used ? 1u << coding : 0;
    }
    for (uint32_t i = 0; i < ABI_CODING_COUNT; i++) {
        uint8_t level = compression->levels[i];

        if (!view_rule(walk,
                       (offered & 1u << i) != 0 ? level > 0 && level <= highest[i] : level == 0,
                       ABI_REFUSAL_VALUE, "level of a coding")) {
            return false;
        }
    }
    return true;
}

bool view_check_compression(struct view_walk *walk)
{
    const struct abi_compression *compression = &walk->view->compressions[walk->record];

    return view_ref(walk, compression->types, ABI_SECTION_MEDIA_TYPE, "compressed media types") &&
           view_rule(walk,
                     compression->types.count > 0 && compression->types.count <= LIMIT_MEDIA_TYPES,
                     ABI_REFUSAL_LIMIT, "compressed media types") &&
           view_own_range(walk, compression->types, "two listeners share media types") &&
           check_codings(walk, compression) &&
           view_rule(walk, compression->_pad0 == 0, ABI_REFUSAL_PADDING, "compression");
}

bool view_check_listener_compression(struct view_walk *walk, const struct abi_listener *listener)
{
    return view_index(walk, listener->compression, ABI_SECTION_COMPRESSION,
                      "listener's compression") &&
           view_rule(walk, listener->compression == ABI_NONE || listener->kind == ABI_LISTENER_L7,
                     ABI_REFUSAL_VALUE, "an L4 listener compresses nothing");
}
