/* The three engines behind the door; private to the room. */
#ifndef COMPRESS_ENGINES_H
#define COMPRESS_ENGINES_H

#include <stdbool.h>

#include "compress/compress.h"
#include "compress_arena.h"

struct compress {
    struct compress_arena arena;
    const struct compress_engine *engine;
    void *state; /* of the engine */
    bool finished;
};

struct compress_engine {
    struct bytes name;
    uint32_t highest; /* level */
    /* Makes stream.state; false: the arena has no room. */
    bool (*start)(struct compress *stream, uint32_t level);
    /* As compress_run(). */
    int (*run)(struct compress *stream, struct bytes *in, enum compress_step step,
               struct compress_output *out);
};

extern const struct compress_engine compress_gzip;
extern const struct compress_engine compress_brotli;
extern const struct compress_engine compress_zstd;

#endif
