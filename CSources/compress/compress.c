#include "compress/compress.h"

#include "base/err.h"
#include "base/must.h"
#include "compress_engines.h"

static const struct compress_engine *const engines[] = {
    [COMPRESS_GZIP] = &compress_gzip,
    [COMPRESS_BROTLI] = &compress_brotli,
    [COMPRESS_ZSTD] = &compress_zstd,
};
_Static_assert(sizeof(engines) / sizeof(engines[0]) == COMPRESS_CODING_COUNT, "one for each");

struct compress *compress_start(void *memory, enum compress_coding coding, uint32_t level)
{
    struct compress *stream = memory;
    size_t own = (sizeof(*stream) + 15) / 16 * 16;

    MUST(coding < COMPRESS_CODING_COUNT);
    if (level < COMPRESS_LEVEL_MIN || level > engines[coding]->highest) {
        return NULL;
    }
    *stream = (struct compress){.engine = engines[coding]};
    compress_arena_init(&stream->arena, (uint8_t *)memory + own, COMPRESS_MEMORY - own);
    return stream->engine->start(stream, level) ? stream : NULL;
}

int compress_run(struct compress *stream, struct bytes *in, enum compress_step step,
                 struct compress_output *out)
{
    if (stream->finished) {
        return MESH_E_STATE;
    }
    int result = stream->engine->run(stream, in, step, out);

    stream->finished = result < 0 || (result == 0 && step == COMPRESS_FINISH);
    return result;
}

struct bytes compress_name(enum compress_coding coding)
{
    MUST(coding < COMPRESS_CODING_COUNT);
    return engines[coding]->name;
}
