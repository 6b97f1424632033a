/* Undoes content codings with the libraries' own decoders. */
#ifndef DECOMPRESS_KIT_H
#define DECOMPRESS_KIT_H

#include <stdint.h>
#include <stddef.h>

#include "base/bytes.h"
#include "compress/compress.h"

struct decompress; /* a decoder in the middle of a stream */

struct decompress *decompress_start(enum compress_coding coding);
/* Decodes all of `in` into the `capacity` bytes at `out`: the bytes written, or SIZE_MAX when the
 * stream is broken. */
size_t decompress_run(struct decompress *decoder, struct bytes in, uint8_t *out, size_t capacity);
/* Whether the stream was complete; frees the decoder. */
bool decompress_end(struct decompress *decoder);

#endif
