/* Accept-Encoding: a list in two fields is the list in one, and an element more never turns what
 * cannot be read into a wish. */
#include "wire/coding.h"

#include "fuzz.h"

static const uint8_t offered[] = {CODING_ZSTD, CODING_BROTLI, CODING_GZIP};

static enum coding chosen(struct bytes first, struct bytes second, bool *spoiled)
{
    struct coding_wishes wishes;

    coding_init(&wishes);
    coding_read(&wishes, first);
    coding_read(&wishes, second);
    *spoiled = wishes.spoiled;
    enum coding coding = coding_choose(&wishes, offered, sizeof(offered));

    MUST(coding < CODING_COUNT);
    MUST(!wishes.spoiled || coding == CODING_IDENTITY);
    MUST(coding == CODING_IDENTITY || wishes.starred || (wishes.named & 1u << coding) != 0);
    return coding;
}

FUZZ_TARGET(coding)
{
    struct bytes none = {in.ptr, 0};
    bool whole_spoiled;
    bool parts_spoiled;
    enum coding whole = chosen(in, none, &whole_spoiled);

    for (size_t at = 0; at < in.len && at < 512; at++) {
        if (in.ptr[at] == ',') {
            enum coding parts =
                chosen(bytes_part(in, 0, at), bytes_from(in, at + 1), &parts_spoiled);

            MUST(parts == whole && parts_spoiled == whole_spoiled);
        }
    }
}
