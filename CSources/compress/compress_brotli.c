#include <brotli/encode.h>

#include "base/err.h"
#include "compress_engines.h"

/* 64 KiB: with larger windows a stream's memory grows faster than its output shrinks. */
#define WINDOW_BITS 16u

static void *take(void *opaque, size_t size)
{
    return compress_arena_take(opaque, size);
}

static void give(void *opaque, void *memory)
{
    compress_arena_give(opaque, memory);
}

static bool brotli_start(struct compress *stream, uint32_t level)
{
    BrotliEncoderState *state = BrotliEncoderCreateInstance(take, give, &stream->arena);

    stream->state = state;
    return state != NULL && BrotliEncoderSetParameter(state, BROTLI_PARAM_QUALITY, level) &&
           BrotliEncoderSetParameter(state, BROTLI_PARAM_LGWIN, WINDOW_BITS);
}

static int brotli_run(struct compress *stream, struct bytes *in, enum compress_step step,
                      struct compress_output *out)
{
    static const BrotliEncoderOperation operations[] = {
        [COMPRESS_GATHER] = BROTLI_OPERATION_PROCESS,
        [COMPRESS_FLUSH] = BROTLI_OPERATION_FLUSH,
        [COMPRESS_FINISH] = BROTLI_OPERATION_FINISH,
    };
    BrotliEncoderState *state = stream->state;

    for (;;) {
        size_t offered = in->len;
        size_t room = out->capacity - out->length;
        const uint8_t *next_in = in->ptr;
        uint8_t *next_out = out->bytes + out->length;

        if (!BrotliEncoderCompressStream(state, operations[step], &offered, &next_in, &room,
                                         &next_out, NULL)) {
            return MESH_E_NO_MEMORY;
        }
        *in = bytes_from(*in, in->len - offered);
        out->length = out->capacity - room;
        if (BrotliEncoderHasMoreOutput(state)) {
            return 1;
        }
        if (in->len == 0 && (step != COMPRESS_FINISH || BrotliEncoderIsFinished(state))) {
            return 0;
        }
    }
}

const struct compress_engine compress_brotli = {
    .name = {(const uint8_t *)"br", 2},
    .highest = COMPRESS_BROTLI_MAX,
    .start = brotli_start,
    .run = brotli_run,
};
