/* HTTP/1.1 message bodies: the decoder of length-delimited, chunked (RFC 9112 7.1) and
 * close-delimited bodies, and what frames them again. Strict: chunk sizes are 1 to 16 hexadecimal
 * digits without sign or blanks, CRLF only; extensions are checked, bounded in total and dropped;
 * trailers are checked like fields and bounded. */
#ifndef WIRE_H1BODY_H
#define WIRE_H1BODY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "wire/h1.h"

#define H1BODY_MAX_EXTENSION 4096u /* bytes of chunk extensions in one body, with `;` and CR */
#define H1BODY_MAX_TRAILER   8192u /* bytes of all trailer lines with their line ends */
#define H1BODY_MAX_DIGITS    16u
#define H1BODY_MAX_LINE      (H1BODY_MAX_DIGITS + H1BODY_MAX_EXTENSION)
#define H1BODY_MAX_CHUNK     ((uint64_t)1 << 48) /* a longer one is meant to hold the stream */

enum h1body_state {
    H1BODY_DONE = 0,     /* complete; further bytes belong to the next message */
    H1BODY_LENGTH,       /* `left` bytes to come */
    H1BODY_CHUNK_SIZE,   /* within a chunk size line's digits */
    H1BODY_CHUNK_EXT,    /* within a chunk extension */
    H1BODY_CHUNK_LF,     /* awaiting the LF of a size line */
    H1BODY_CHUNK_DATA,   /* `left` bytes of a chunk to come */
    H1BODY_CHUNK_CR,     /* awaiting the CR after chunk data */
    H1BODY_CHUNK_CRLF,   /* awaiting the LF after chunk data */
    H1BODY_TRAILER,      /* within the trailer section, line start */
    H1BODY_TRAILER_LINE, /* within a trailer field line */
    H1BODY_TRAILER_LF,   /* awaiting the LF of a trailer line */
    H1BODY_LAST_LF,      /* awaiting the LF of the empty line that ends the body */
    H1BODY_UNTIL_CLOSE,  /* data until the connection ends */
    H1BODY_STATE_COUNT
};

struct h1body {
    uint8_t state;      /* enum h1body_state */
    uint8_t digits;     /* of the chunk size so far */
    uint8_t ext;        /* place within a chunk extension, see h1body.c */
    uint64_t left;      /* data bytes to come in this chunk or body */
    uint32_t extension; /* extension bytes seen */
    uint32_t trailer;   /* trailer bytes seen */
};

/* Awaits the body that the head announces. */
void h1body_start(struct h1body *body, enum h1_framing framing, uint64_t content_length);

static inline bool h1body_is_done(const struct h1body *body)
{
    return body->state == H1BODY_DONE;
}

enum h1body_kind {
    H1BODY_MORE = 0, /* all input used, nothing to hand on yet */
    H1BODY_DATA,     /* `out` is a slice of body data */
    H1BODY_FIELD, /* `out` is a slice of a trailer line (whole lines without CRLF when the line lies
                     in one input; else pieces: see `line_end`) */
    H1BODY_END,   /* the body is complete */
};

struct h1body_step {
    uint8_t kind;  /* enum h1body_kind */
    bool line_end; /* H1BODY_FIELD: the line is complete with this piece */
    struct bytes out;
};

/* Takes one step through `in`: returns bytes consumed (may be 0 only with H1BODY_MORE on empty
 * input or H1BODY_END) and fills *step; < 0: MESH_E_SYNTAX, _TOO_LONG, _RANGE, after which the
 * body can only be given up. Call until all input is consumed or H1BODY_END. Trailer lines are
 * given out for checking with h1body_check_trailer().
 */
[[nodiscard]] int64_t h1body_next(struct h1body *body, struct bytes in, struct h1body_step *step);

/* Whether a stream that ends now ends the body as it should. */
bool h1body_may_end(const struct h1body *body);

/* A trailer line `name: value`: MESH_OK and the two slices, or MESH_E_SYNTAX. */
[[nodiscard]] int h1body_check_trailer(struct bytes line, struct bytes *name, struct bytes *value);

/* The size line of a chunk of `length` bytes: writes at most 18 bytes at `out`, returns their
 * number. */
size_t h1body_put_size(uint8_t *out, uint64_t length);

#endif
