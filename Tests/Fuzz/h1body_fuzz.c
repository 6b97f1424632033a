/* Bodies: however the bytes are cut, the same data, trailers and end come out. The first byte
 * chooses the framing and the cuts, the second a length. */
#include "base/hash.h"
#include "fuzz.h"
#include "wire/h1body.h"

struct outcome {
    int64_t taken; /* or the error */
    bool ended;
    uint64_t data; /* hashes over all bytes in order */
    uint64_t trailer;
    size_t data_len;
};

static void mix(uint64_t *hash, struct bytes in)
{
    for (size_t i = 0; i < in.len; i++) {
        *hash = hash_finish(*hash ^ in.ptr[i]) + 1;
    }
}

static void note(struct outcome *outcome, const struct h1body_step *step)
{
    if (step->kind == H1BODY_DATA) {
        mix(&outcome->data, step->out);
        outcome->data_len += step->out.len;
    } else if (step->kind == H1BODY_FIELD) {
        mix(&outcome->trailer, step->out);
        if (step->line_end) {
            mix(&outcome->trailer, BYTES_LITERAL("\n"));
        }
    }
}

/* Reads pieces of at most `most` bytes. */
static struct outcome read_pieces(struct h1body body, struct bytes in, size_t most)
{
    struct outcome outcome = {0};

    while (!outcome.ended) {
        size_t left = in.len - (size_t)outcome.taken;
        struct bytes piece = bytes_part(in, (size_t)outcome.taken,
                                        (size_t)outcome.taken + (left < most ? left : most));
        struct h1body_step step;
        int64_t taken = h1body_next(&body, piece, &step);

        if (taken < 0) {
            outcome.taken = taken;
            return outcome;
        }
        MUST((size_t)taken <= piece.len);
        MUST(taken > 0 || step.kind == H1BODY_END || piece.len == 0);
        MUST(step.out.len <= (size_t)taken);
        note(&outcome, &step);
        outcome.taken += taken;
        outcome.ended = step.kind == H1BODY_END || (step.kind == H1BODY_MORE && left == 0);
    }
    MUST(h1body_is_done(&body) || (size_t)outcome.taken == in.len);
    return outcome;
}

FUZZ_TARGET(h1body)
{
    static const enum h1_framing framings[] = {H1_FRAMING_CHUNKED, H1_FRAMING_LENGTH,
                                               H1_FRAMING_UNTIL_CLOSE, H1_FRAMING_NONE};
    struct h1body body;
    struct outcome whole;

    if (in.len < 2) {
        return;
    }
    h1body_start(&body, framings[in.ptr[0] & 3], in.ptr[1]);
    whole = read_pieces(body, bytes_from(in, 2), SIZE_MAX);
    for (size_t most = 1; most <= 64; most += 1 + (size_t)(in.ptr[0] >> 2) / 4) {
        struct outcome pieces = read_pieces(body, bytes_from(in, 2), most);

        MUST(pieces.taken == whole.taken);
        if (whole.taken >= 0) {
            MUST(pieces.data == whole.data);
            MUST(pieces.trailer == whole.trailer);
            MUST(pieces.data_len == whole.data_len);
        }
    }
}
