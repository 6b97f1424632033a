/* Contexts in lent memory are of the library's part for static linking; Debian's shared library
 * exports them, and the layout is the library's own affair. */
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#include "base/err.h"
#include "base/must.h"
#include "compress_engines.h"

/* 64 KiB, as for brotli; RFC 9659 allows 8 MiB. */
#define WINDOW_LOG 16

static void *take(void *opaque, size_t size)
{
    return compress_arena_take(opaque, size);
}

static void give(void *opaque, void *memory)
{
    compress_arena_give(opaque, memory);
}

static bool zstd_start(struct compress *stream, uint32_t level)
{
    ZSTD_customMem memory = {take, give, &stream->arena};
    ZSTD_CCtx *context = ZSTD_createCCtx_advanced(memory);

    stream->state = context;
    return context != NULL &&
           !ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, (int)level)) &&
           !ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, WINDOW_LOG));
}

static int zstd_run(struct compress *stream, struct bytes *in, enum compress_step step,
                    struct compress_output *out)
{
    static const ZSTD_EndDirective directives[] = {
        [COMPRESS_GATHER] = ZSTD_e_continue,
        [COMPRESS_FLUSH] = ZSTD_e_flush,
        [COMPRESS_FINISH] = ZSTD_e_end,
    };

    for (;;) {
        ZSTD_inBuffer from = {in->ptr, in->len, 0};
        ZSTD_outBuffer to = {out->bytes, out->capacity, out->length};
        size_t left = ZSTD_compressStream2(stream->state, &to, &from, directives[step]);

        if (ZSTD_isError(left)) {
            return MESH_E_NO_MEMORY;
        }
        *in = bytes_from(*in, from.pos);
        out->length = to.pos;
        /* Without flush or end what the library keeps back is its own affair. */
        if (in->len == 0 && (left == 0 || step == COMPRESS_GATHER)) {
            return 0;
        }
        if (out->length == out->capacity) {
            return 1;
        }
    }
}

const struct compress_engine compress_zstd = {
    .name = {(const uint8_t *)"zstd", 4},
    .highest = COMPRESS_ZSTD_MAX,
    .start = zstd_start,
    .run = zstd_run,
};
