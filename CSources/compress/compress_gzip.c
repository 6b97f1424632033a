#include <zlib.h>

#include "base/err.h"
#include "base/must.h"
#include "compress_engines.h"

/* A window of 32 KiB, the largest of the format, in a gzip frame. */
#define WINDOW_BITS (15 + 16)
#define HASH_BITS   8

static void *take(void *opaque, uInt count, uInt size)
{
    return compress_arena_take(opaque, (size_t)count * size);
}

static void give(void *opaque, void *memory)
{
    compress_arena_give(opaque, memory);
}

static bool gzip_start(struct compress *stream, uint32_t level)
{
    z_stream *z = compress_arena_take(&stream->arena, sizeof(*z));

    if (z == NULL) {
        return false;
    }
    *z = (z_stream){.zalloc = take, .zfree = give, .opaque = &stream->arena};
    stream->state = z;
    return deflateInit2(z, (int)level, Z_DEFLATED, WINDOW_BITS, HASH_BITS, Z_DEFAULT_STRATEGY) ==
           Z_OK;
}

/* zlib counts in 32 bits. */
static uInt bounded(size_t size)
{
    return size < UINT32_MAX ? (uInt)size : UINT32_MAX;
}

static int gzip_run(struct compress *stream, struct bytes *in, enum compress_step step,
                    struct compress_output *out)
{
    static const int flush[] = {[COMPRESS_GATHER] = Z_NO_FLUSH,
                                [COMPRESS_FLUSH] = Z_SYNC_FLUSH,
                                [COMPRESS_FINISH] = Z_FINISH};
    z_stream *z = stream->state;

    for (;;) {
        uInt offered = bounded(in->len);
        uInt room = bounded(out->capacity - out->length);
        /* Part of the input only: its end is not the end that the step is about. */
        int how = offered < in->len ? Z_NO_FLUSH : flush[step];

        if (room == 0) {
            return 1;
        }
        z->next_in = (z_const Bytef *)(uintptr_t)in->ptr;
        z->avail_in = offered;
        z->next_out = out->bytes + out->length;
        z->avail_out = room;
        int result = deflate(z, how);

        *in = bytes_from(*in, offered - z->avail_in);
        out->length += room - z->avail_out;
        if (result == Z_STREAM_END) {
            return 0;
        }
        MUST(result == Z_OK || result == Z_BUF_ERROR); /* the latter: nothing left to do */
        if (z->avail_out > 0 && in->len == 0 && how != Z_FINISH) {
            return 0;
        }
    }
}

const struct compress_engine compress_gzip = {
    .name = {(const uint8_t *)"gzip", 4},
    .highest = COMPRESS_GZIP_MAX,
    .start = gzip_start,
    .run = gzip_run,
};
