#include "table/compression.h"

/* `type/subtype` of a Content-Type value (RFC 9110 8.3.1). */
static struct bytes media_type_of(struct bytes value)
{
    size_t length = 0;

    while (length < value.len && value.ptr[length] != ';' && value.ptr[length] != ' ' &&
           value.ptr[length] != '\t') {
        length++;
    }
    return bytes_part(value, 0, length);
}

bool compression_covers(const struct view *view, const struct abi_compression *compression,
                        struct bytes content_type)
{
    struct bytes type = media_type_of(content_type);

    for (uint32_t i = 0; i < compression->types.count; i++) {
        struct bytes name = view_text(view, view->media_types[compression->types.at + i]);
        bool all = name.ptr[name.len - 1] == '/';

        if (all && type.len > name.len ? bytes_equal_nocase(bytes_part(type, 0, name.len), name)
                                       : bytes_equal_nocase(type, name)) {
            return true;
        }
    }
    return false;
}
