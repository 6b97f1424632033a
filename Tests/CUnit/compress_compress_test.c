#include "compress/compress.h"

#include <stdlib.h>

#include "base/err.h"
#include "cunit.h"
#include "decompress_kit.h"

#define BODY_SIZE (512u * 1024u)

static const uint32_t highest[COMPRESS_CODING_COUNT] = {
    [COMPRESS_GZIP] = COMPRESS_GZIP_MAX,
    [COMPRESS_BROTLI] = COMPRESS_BROTLI_MAX,
    [COMPRESS_ZSTD] = COMPRESS_ZSTD_MAX,
};

/* Lent once; dirty between streams, as a pool's blocks are. */
static _Alignas(16) uint8_t memory[COMPRESS_MEMORY];
static uint8_t body[BODY_SIZE];
static uint8_t coded[2 * BODY_SIZE];
static uint8_t decoded[BODY_SIZE + 1];

enum kind { TEXT, ZEROS, NOISE, KIND_COUNT };

static uint32_t state;

static uint32_t next_number(void)
{
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

static void fill(enum kind kind)
{
    static const char *const words[] = {"ring", "mesh ", "proxy, ", "\"id\": ", "answer", "\n"};

    state = 4711;
    for (size_t at = 0; at < BODY_SIZE;) {
        if (kind == TEXT) {
            struct bytes word = cunit_text(words[next_number() % 6]);

            for (size_t i = 0; i < word.len && at < BODY_SIZE; i++) {
                body[at++] = word.ptr[i];
            }
        } else {
            body[at++] = kind == ZEROS ? 0 : (uint8_t)next_number();
        }
    }
}

/* Codes the body in pieces, into pieces of output; the coded length, 0 when it went wrong. */
static size_t code(struct compress *stream, size_t in_step, size_t out_step)
{
    size_t from = 0;
    struct compress_output out = {coded, 0, 0};

    for (;;) {
        size_t size = BODY_SIZE - from < in_step ? BODY_SIZE - from : in_step;
        enum compress_step step = from + size == BODY_SIZE ? COMPRESS_FINISH : COMPRESS_GATHER;
        struct bytes in = bytes_of(body + from, size);
        int result;

        do {
            out.capacity =
                out.length + out_step < sizeof(coded) ? out.length + out_step : sizeof(coded);
            result = compress_run(stream, &in, step, &out);
        } while (result == 1 && out.length < sizeof(coded));
        if (!CHECK_INT(result, 0) || !CHECK_UINT(in.len, 0)) {
            return 0;
        }
        from += size;
        if (step == COMPRESS_FINISH) {
            return out.length;
        }
    }
}

static void check_decodes(enum compress_coding coding, size_t length)
{
    struct decompress *decoder = decompress_start(coding);

    CHECK_UINT(decompress_run(decoder, bytes_of(coded, length), decoded, sizeof(decoded)),
               BODY_SIZE);
    CHECK(memcmp(body, decoded, BODY_SIZE) == 0);
    CHECK(decompress_end(decoder));
}

TEST(what_is_coded_can_be_undone)
{
    for (enum kind kind = TEXT; kind < KIND_COUNT; kind++) {
        fill(kind);
        for (enum compress_coding coding = 0; coding < COMPRESS_CODING_COUNT; coding++) {
            for (uint32_t level = COMPRESS_LEVEL_MIN; level <= highest[coding]; level++) {
                cunit_context("kind %d, coding %d, level %u", kind, coding, level);
                struct compress *stream = compress_start(memory, coding, level);

                if (!CHECK(stream != NULL)) {
                    return;
                }
                size_t length = code(stream, 16384, 16384);

                CHECK(kind == NOISE ? length < BODY_SIZE + BODY_SIZE / 100
                                    : length < BODY_SIZE / 3);
                check_decodes(coding, length);
            }
        }
    }
}

TEST(pieces_of_any_size_will_do)
{
    static const size_t steps[][2] = {
        {1000, 64}, {BODY_SIZE, 64}, {BODY_SIZE, sizeof(coded)}, {777, 4096}, {65536, 1000}};

    fill(TEXT);
    for (enum compress_coding coding = 0; coding < COMPRESS_CODING_COUNT; coding++) {
        for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
            cunit_context("coding %d, steps %zu", coding, i);
            struct compress *stream = compress_start(memory, coding, COMPRESS_LEVEL_COMMON);

            if (!CHECK(stream != NULL)) {
                return;
            }
            check_decodes(coding, code(stream, steps[i][0], steps[i][1]));
        }
    }
}

/* Events must not wait for the next one: after a flush the receiver has all that was sent. */
TEST(a_flush_shows_everything_so_far)
{
    fill(TEXT);
    for (enum compress_coding coding = 0; coding < COMPRESS_CODING_COUNT; coding++) {
        struct compress *stream = compress_start(memory, coding, COMPRESS_LEVEL_COMMON);
        struct decompress *decoder = decompress_start(coding);
        size_t seen = 0;

        for (size_t event = 0; event < 300 && CHECK(stream != NULL); event++) {
            struct compress_output out = {coded, sizeof(coded), 0};
            struct bytes in = bytes_of(body + event * 40, 40);

            cunit_context("coding %d, event %zu", coding, event);
            CHECK_INT(compress_run(stream, &in, COMPRESS_FLUSH, &out), 0);
            /* Nothing new to show: nothing, or a marker at the most. */
            size_t before = out.length;

            CHECK_INT(compress_run(stream, &in, COMPRESS_FLUSH, &out), 0);
            CHECK(out.length - before <= 8);
            seen += decompress_run(decoder, bytes_of(coded, out.length), decoded + seen,
                                   sizeof(decoded) - seen);
            if (!CHECK_UINT(seen, (event + 1) * 40)) {
                break;
            }
        }
        CHECK(memcmp(body, decoded, seen) == 0);
        CHECK(!decompress_end(decoder));
    }
}

TEST(an_empty_body_is_a_stream_too)
{
    for (enum compress_coding coding = 0; coding < COMPRESS_CODING_COUNT; coding++) {
        struct compress *stream = compress_start(memory, coding, COMPRESS_LEVEL_MIN);
        struct compress_output out = {coded, sizeof(coded), 0};
        struct bytes in = {NULL, 0};

        cunit_context("coding %d", coding);
        if (!CHECK(stream != NULL)) {
            return;
        }
        CHECK_INT(compress_run(stream, &in, COMPRESS_FINISH, &out), 0);
        CHECK(out.length > 0);
        struct decompress *decoder = decompress_start(coding);

        CHECK_UINT(decompress_run(decoder, bytes_of(coded, out.length), decoded, 16), 0);
        CHECK(decompress_end(decoder));
        CHECK_INT(compress_run(stream, &in, COMPRESS_FINISH, &out), MESH_E_STATE);
        CHECK_INT(compress_run(stream, &in, COMPRESS_GATHER, &out), MESH_E_STATE);
    }
}

TEST(levels_out_of_bounds_are_refused)
{
    for (enum compress_coding coding = 0; coding < COMPRESS_CODING_COUNT; coding++) {
        CHECK(compress_start(memory, coding, COMPRESS_LEVEL_MIN - 1) == NULL);
        CHECK(compress_start(memory, coding, highest[coding] + 1) == NULL);
    }
}

TEST(codings_have_their_registered_names)
{
    CHECK_TEXT(compress_name(COMPRESS_GZIP), "gzip");
    CHECK_TEXT(compress_name(COMPRESS_BROTLI), "br");
    CHECK_TEXT(compress_name(COMPRESS_ZSTD), "zstd");
}
