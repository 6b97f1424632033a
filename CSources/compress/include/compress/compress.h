/* Content codings of HTTP bodies while they are being streamed: gzip (RFC 1952), brotli (RFC 7932)
 * and zstd (RFC 8878). Bytes in, bytes out, no memory but the block that the caller lends: a stream
 * that is no longer wanted is simply forgotten, and its block used for the next one. */
#ifndef COMPRESS_COMPRESS_H
#define COMPRESS_COMPRESS_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/* Bytes of a block, enough for any settings within the bounds below; pages that a stream does not
 * need are not touched. */
#define COMPRESS_MEMORY 2097152u

enum compress_coding { COMPRESS_GZIP = 0, COMPRESS_BROTLI, COMPRESS_ZSTD, COMPRESS_CODING_COUNT };

/* Levels, from fastest to smallest. Above these the memory of one stream would be several times as
 * much, for a few percent of the size. */
#define COMPRESS_LEVEL_MIN    1u
#define COMPRESS_GZIP_MAX     9u
#define COMPRESS_BROTLI_MAX   6u
#define COMPRESS_ZSTD_MAX     3u
#define COMPRESS_LEVEL_COMMON 3u /* within the bounds of all */

enum compress_step {
    COMPRESS_GATHER = 0, /* output comes when enough input has */
    COMPRESS_FLUSH,      /* all input so far can be read by the receiver */
    COMPRESS_FINISH,     /* the end of the body */
};

struct compress;

/* Where output goes: room for `capacity` bytes, of which `length` are filled. */
struct compress_output {
    uint8_t *bytes;
    size_t capacity;
    size_t length;
};

/* A new stream in `memory`, COMPRESS_MEMORY bytes aligned to 16, dirty ones too. NULL when the
 * level is out of bounds. The memory must outlive the stream. */
[[nodiscard]] struct compress *compress_start(void *memory, enum compress_coding coding,
                                              uint32_t level);

/* Takes what it can of *in and appends to *out. 1: the output is full, call again with more room
 * and the same step; 0: all input is taken and the step is done; MESH_E_STATE after COMPRESS_FINISH
 * was done, MESH_E_NO_MEMORY when the block was too small: the body cannot be completed. */
[[nodiscard]] int compress_run(struct compress *stream, struct bytes *in, enum compress_step step,
                               struct compress_output *out);

/* The name in Content-Encoding and Accept-Encoding; static storage. */
struct bytes compress_name(enum compress_coding coding);

#endif
