#include "wire/coding.h"

#include "cunit.h"

static const uint8_t offered[] = {CODING_ZSTD, CODING_BROTLI, CODING_GZIP};

static enum coding chosen(struct bytes value)
{
    struct coding_wishes wishes;

    coding_init(&wishes);
    coding_read(&wishes, cunit_guarded(value));
    return coding_choose(&wishes, offered, sizeof(offered));
}

static const struct {
    const char *value;
    enum coding coding;
} values[] = {
    {"", CODING_IDENTITY},
    {" , ,\t", CODING_IDENTITY},
    {"gzip", CODING_GZIP},
    {"GZip", CODING_GZIP},
    {"x-gzip", CODING_GZIP},
    {"br", CODING_BROTLI},
    {"zstd", CODING_ZSTD},
    {"deflate", CODING_IDENTITY},
    {"compress, deflate;q=0.5, gzip;q=0.1", CODING_GZIP},
    {"gzip, deflate, br, zstd", CODING_ZSTD},
    {"gzip, deflate, br", CODING_BROTLI},
    {"gzip;q=1.0, br;q=0.9", CODING_GZIP},
    {"gzip;q=0.8, br;q=0.9", CODING_BROTLI},
    {"gzip ; q=0.8 ,br\t;\tQ=0.9", CODING_BROTLI},
    {"gzip;q=0", CODING_IDENTITY},
    {"gzip;q=0.000", CODING_IDENTITY},
    {"gzip;q=0.001", CODING_GZIP},
    {"gzip;q=1.000", CODING_GZIP},
    {"gzip;q=1.", CODING_GZIP},
    {"gzip;q=0.", CODING_IDENTITY},
    {"*", CODING_ZSTD},
    {"*;q=0", CODING_IDENTITY},
    {"*;q=0.5, gzip", CODING_GZIP},
    {"*, zstd;q=0", CODING_BROTLI},
    {"gzip, *;q=0", CODING_GZIP},
    {"identity", CODING_IDENTITY},
    {"identity;q=0.5, gzip;q=0.4", CODING_IDENTITY},
    {"identity;q=0.5, gzip;q=0.6", CODING_GZIP},
    {"identity, gzip", CODING_GZIP},
    {"identity;q=0, gzip", CODING_GZIP},
    {"gzip, gzip;q=0", CODING_IDENTITY},
    {"gzip;q=0, x-gzip", CODING_IDENTITY},
    {"*, *;q=0", CODING_IDENTITY},
    /* What cannot be read is no wish. */
    {"gzip;q=1.001", CODING_IDENTITY},
    {"gzip;q=2", CODING_IDENTITY},
    {"gzip;q=0.0001", CODING_IDENTITY},
    {"gzip;q=", CODING_IDENTITY},
    {"gzip;q", CODING_IDENTITY},
    {"gzip;", CODING_IDENTITY},
    {"gzip;level=9", CODING_IDENTITY},
    {"gzip;q=0.5;x=1", CODING_IDENTITY},
    {"gzip;q= 1", CODING_IDENTITY},
    {"gzip;q=.5", CODING_IDENTITY},
    {"gzip;q=-1", CODING_IDENTITY},
    {"gzip br", CODING_IDENTITY},
    {"gzip, br;q=x", CODING_IDENTITY},
    {"gzip, \"br\"", CODING_IDENTITY},
    {"gzip\x01", CODING_IDENTITY},
    {"gzip/1", CODING_IDENTITY},
    {";q=1", CODING_IDENTITY},
};

TEST(reads_what_a_client_wishes)
{
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        cunit_context("%s", values[i].value);
        CHECK_INT(chosen(cunit_text(values[i].value)), values[i].coding);
    }
}

/* A value cut anywhere is another value, never one that is read beyond its end. */
TEST(reads_every_beginning_of_a_value)
{
    struct bytes whole = BYTES_LITERAL("br;q=0.25, gzip;q=0.5 , zstd;q=1.000,*;q=0");

    for (size_t length = 0; length <= whole.len; length++) {
        struct coding_wishes wishes;

        cunit_context("%zu bytes", length);
        coding_init(&wishes);
        coding_read(&wishes, cunit_guarded(bytes_part(whole, 0, length)));
        CHECK(wishes.elements <= 4);
        CHECK(coding_choose(&wishes, offered, sizeof(offered)) < CODING_COUNT);
    }
}

TEST(reads_several_fields_as_one_list)
{
    struct coding_wishes wishes;

    coding_init(&wishes);
    coding_read(&wishes, BYTES_LITERAL("gzip;q=0.5"));
    coding_read(&wishes, BYTES_LITERAL("br;q=0.6"));
    CHECK_INT(coding_choose(&wishes, offered, sizeof(offered)), CODING_BROTLI);
    coding_read(&wishes, BYTES_LITERAL("zstd;q=9"));
    CHECK_INT(coding_choose(&wishes, offered, sizeof(offered)), CODING_IDENTITY);
    coding_read(&wishes, BYTES_LITERAL("gzip"));
    CHECK(wishes.spoiled);
}

TEST(takes_no_endless_list)
{
    struct coding_wishes wishes;

    coding_init(&wishes);
    for (uint32_t i = 0; i < CODING_MAX_ELEMENTS; i++) {
        coding_read(&wishes, BYTES_LITERAL("gzip, ,,"));
        CHECK_INT(coding_choose(&wishes, offered, sizeof(offered)), CODING_GZIP);
    }
    coding_read(&wishes, BYTES_LITERAL("gzip"));
    CHECK_INT(coding_choose(&wishes, offered, sizeof(offered)), CODING_IDENTITY);
}

TEST(offers_only_what_is_offered)
{
    static const uint8_t gzip_only[] = {CODING_GZIP};
    struct coding_wishes wishes;

    coding_init(&wishes);
    coding_read(&wishes, BYTES_LITERAL("br, zstd, gzip;q=0.1"));
    CHECK_INT(coding_choose(&wishes, gzip_only, 1), CODING_GZIP);
    CHECK_INT(coding_choose(&wishes, gzip_only, 0), CODING_IDENTITY);
}
