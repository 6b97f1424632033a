/* Whether an answer is of a kind that its listener compresses. */
#ifndef TABLE_COMPRESSION_H
#define TABLE_COMPRESSION_H

#include <stdbool.h>

#include "table/view.h"

/* By the media type of a Content-Type value; parameters do not count, letters may have any case. */
bool compression_covers(const struct view *view, const struct abi_compression *compression,
                        struct bytes content_type);

#endif
