/* Content codings: a body in pieces with flushes anywhere, coded into outputs of any size, is what
 * the decoder gets. Input: coding, level, then pieces: a byte of length and step, the bytes. */
#include "compress/compress.h"

#include "../CUnit/decompress_kit.h"
#include "fuzz.h"

#define BODY_MAX 20480u

static _Alignas(16) uint8_t memory[COMPRESS_MEMORY];
static uint8_t coded[4 * BODY_MAX];
static uint8_t body[BODY_MAX];
static uint8_t decoded[BODY_MAX + 1];

/* All of a piece, `room` bytes of output at a time. */
static void code(struct compress *stream, struct bytes piece, enum compress_step step, size_t room,
                 struct compress_output *out)
{
    int result;

    do {
        out->capacity = out->length + room;
        MUST(out->capacity <= sizeof(coded));
        result = compress_run(stream, &piece, step, out);
        MUST(result == 0 || (result == 1 && out->length == out->capacity));
    } while (result == 1);
    MUST(piece.len == 0);
}

FUZZ_TARGET(compress)
{
    if (in.len < 3 || in.len > BODY_MAX / 2) {
        return;
    }
    enum compress_coding coding = in.ptr[0] % COMPRESS_CODING_COUNT;
    struct compress *stream = compress_start(memory, coding, in.ptr[1] % 16);
    size_t room = 16 + in.ptr[2] * 16u;
    struct compress_output out = {coded, 0, 0};
    size_t length = 0;

    if (stream == NULL) {
        return;
    }
    for (struct bytes rest = bytes_from(in, 3); rest.len > 0;) {
        size_t size = rest.ptr[0] >> 1;
        enum compress_step step = (rest.ptr[0] & 1) != 0 ? COMPRESS_FLUSH : COMPRESS_GATHER;

        rest = bytes_from(rest, 1);
        size = size < rest.len ? size : rest.len;
        if (size > 0) {
            memcpy(body + length, rest.ptr, size);
        }
        if (out.length > 2 * BODY_MAX) {
            step = COMPRESS_GATHER; /* markers only: a body of flushes ends somewhere */
        }
        code(stream, bytes_of(body + length, size), step, room, &out);
        length += size;
        rest = bytes_from(rest, size);
    }
    code(stream, bytes_of(body, 0), COMPRESS_FINISH, room, &out);
    struct decompress *decoder = decompress_start(coding);

    MUST(decompress_run(decoder, bytes_of(coded, out.length), decoded, sizeof(decoded)) == length);
    MUST(length == 0 || memcmp(body, decoded, length) == 0);
    MUST(decompress_end(decoder));
}
