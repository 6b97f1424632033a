#include "decompress_kit.h"

#include <brotli/decode.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "base/must.h"

struct decompress {
    enum compress_coding coding;
    bool complete;
    z_stream gzip;
    BrotliDecoderState *brotli;
    ZSTD_DCtx *zstd;
};

struct decompress *decompress_start(enum compress_coding coding)
{
    struct decompress *decoder = calloc(1, sizeof(*decoder));

    MUST(decoder != NULL);
    decoder->coding = coding;
    if (coding == COMPRESS_GZIP) {
        MUST(inflateInit2(&decoder->gzip, 15 + 16) == Z_OK);
    } else if (coding == COMPRESS_BROTLI) {
        decoder->brotli = BrotliDecoderCreateInstance(NULL, NULL, NULL);
        MUST(decoder->brotli != NULL);
    } else {
        decoder->zstd = ZSTD_createDCtx();
        MUST(decoder->zstd != NULL);
    }
    return decoder;
}

static size_t run_gzip(struct decompress *decoder, struct bytes in, uint8_t *out, size_t capacity)
{
    z_stream *z = &decoder->gzip;

    z->next_in = (z_const Bytef *)(uintptr_t)in.ptr;
    z->avail_in = (uInt)in.len;
    z->next_out = out;
    z->avail_out = (uInt)capacity;
    int result = inflate(z, Z_SYNC_FLUSH);

    decoder->complete = result == Z_STREAM_END;
    if ((result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) || z->avail_in > 0) {
        return SIZE_MAX;
    }
    return capacity - z->avail_out;
}

static size_t run_brotli(struct decompress *decoder, struct bytes in, uint8_t *out, size_t capacity)
{
    size_t left = capacity;
    BrotliDecoderResult result =
        BrotliDecoderDecompressStream(decoder->brotli, &in.len, &in.ptr, &left, &out, NULL);

    decoder->complete = result == BROTLI_DECODER_RESULT_SUCCESS;
    return result == BROTLI_DECODER_RESULT_ERROR || in.len > 0 ? SIZE_MAX : capacity - left;
}

static size_t run_zstd(struct decompress *decoder, struct bytes in, uint8_t *out, size_t capacity)
{
    ZSTD_inBuffer from = {in.ptr, in.len, 0};
    ZSTD_outBuffer to = {out, capacity, 0};

    while (from.pos < from.size && to.pos < to.size) {
        size_t result = ZSTD_decompressStream(decoder->zstd, &to, &from);

        if (ZSTD_isError(result)) {
            return SIZE_MAX;
        }
        decoder->complete = result == 0;
    }
    return from.pos < from.size ? SIZE_MAX : to.pos;
}

size_t decompress_run(struct decompress *decoder, struct bytes in, uint8_t *out, size_t capacity)
{
    if (in.len == 0) {
        return 0;
    }
    switch (decoder->coding) {
    case COMPRESS_GZIP:
        return run_gzip(decoder, in, out, capacity);
    case COMPRESS_BROTLI:
        return run_brotli(decoder, in, out, capacity);
    case COMPRESS_ZSTD:
    case COMPRESS_CODING_COUNT:
        break;
    }
    return run_zstd(decoder, in, out, capacity);
}

bool decompress_end(struct decompress *decoder)
{
    bool complete = decoder->complete;

    if (decoder->coding == COMPRESS_GZIP) {
        inflateEnd(&decoder->gzip);
    }
    if (decoder->brotli != NULL) {
        BrotliDecoderDestroyInstance(decoder->brotli);
    }
    ZSTD_freeDCtx(decoder->zstd);
    free(decoder);
    return complete;
}
