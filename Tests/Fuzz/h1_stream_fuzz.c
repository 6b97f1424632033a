/* Whole connections, read as the proxy reads them: heads when h1_may_progress() says so, then
 * bodies. Wherever the stream is cut into writes, the same messages come out, and it ends alike.
 * The first byte chooses requests or answers, and the method that an answer is for. */
#include "base/err.h"
#include "base/hash.h"
#include "fuzz.h"
#include "wire/h1.h"
#include "wire/h1body.h"

struct reader {
    bool answers;
    enum h1_method method;
    struct h1_head head;
    struct h1body body;
    bool in_body;
    bool over;       /* refused, or no longer HTTP */
    size_t at;       /* bytes used */
    size_t seen;     /* of an incomplete head */
    uint32_t count;  /* complete messages */
    uint64_t hash;   /* over what was read of all messages */
    uint64_t before; /* ... of the complete ones */
};

static void mix(struct reader *reader, struct bytes in)
{
    for (size_t i = 0; i < in.len; i++) {
        reader->hash = hash_finish(reader->hash ^ in.ptr[i]) + 1;
    }
}

static void mix_number(struct reader *reader, uint64_t number)
{
    reader->hash = hash_finish(reader->hash ^ number) + 1;
}

static void read_head(struct reader *reader, const uint8_t *start)
{
    const struct h1_head *head = &reader->head;

    mix(reader, bytes_of(start, head->length));
    mix_number(reader, head->framing);
    mix_number(reader, head->content_length);
    mix_number(reader, (uint64_t)head->flags << 32 | head->ids);
    for (uint32_t i = 0; i < head->field_count; i++) {
        mix_number(reader, (uint64_t)head->fields[i].flags << 8 | head->fields[i].id);
    }
    reader->over = head->framing == H1_FRAMING_TUNNEL;
    reader->in_body = true;
    h1body_start(&reader->body, (enum h1_framing)head->framing, head->content_length);
}

/* false: more bytes are needed, or it is over. */
static bool step_head(struct reader *reader, struct bytes in)
{
    int used = 0;

    if (in.len == 0) {
        return false;
    }
    if (in.len >= H1_MAX_HEAD || h1_may_progress(in, reader->seen)) {
        used = reader->answers ? h1_parse_response(in, reader->method, &reader->head)
                               : h1_parse_request(in, &reader->head);
    }
    if (used == 0 && in.len < H1_MAX_HEAD) {
        reader->seen = in.len;
        return false;
    }
    if (used <= 0) {
        reader->over = true;
        return false;
    }
    MUST((size_t)used <= in.len);
    reader->seen = 0;
    reader->at += (size_t)used;
    read_head(reader, in.ptr);
    return true;
}

static bool step_body(struct reader *reader, struct bytes in)
{
    struct h1body_step step;
    int64_t used = h1body_next(&reader->body, in, &step);

    if (used < 0) {
        reader->over = true;
        return false;
    }
    reader->at += (size_t)used;
    if (step.kind == H1BODY_DATA || step.kind == H1BODY_FIELD) {
        mix(reader, step.out);
        if (step.line_end) {
            mix(reader, BYTES_LITERAL("\n"));
        }
    }
    if (h1body_is_done(&reader->body)) {
        reader->in_body = false;
        reader->count++;
        reader->before = reader->hash;
    }
    return used > 0 || !reader->in_body;
}

static void read_on(struct reader *reader, struct bytes in)
{
    bool more = true;

    while (more && !reader->over) {
        struct bytes rest = bytes_from(in, reader->at);

        more = reader->in_body ? step_body(reader, rest) : step_head(reader, rest);
    }
}

/* The end of the stream has come: a head or body that is not complete is refused, too. */
static bool ends_well(const struct reader *reader, struct bytes in)
{
    if (reader->over) {
        return reader->in_body && reader->head.framing == H1_FRAMING_TUNNEL;
    }
    return reader->in_body ? h1body_may_end(&reader->body) : reader->at == in.len;
}

static void check_alike(const struct reader *whole, const struct reader *pieces, struct bytes in)
{
    MUST(pieces->count == whole->count);
    MUST(pieces->before == whole->before);
    MUST(ends_well(pieces, in) == ends_well(whole, in));
}

FUZZ_TARGET(h1_stream)
{
    struct reader fresh = {.answers = false};
    static struct reader whole, pieces;
    size_t stride;

    if (in.len < 1) {
        return;
    }
    fresh.answers = (in.ptr[0] & 1) != 0;
    fresh.method = (enum h1_method)(in.ptr[0] >> 1 & 7);
    in = bytes_from(in, 1);
    whole = fresh;
    read_on(&whole, in);
    stride = 1 + in.len / 256;
    for (size_t cut = 1; cut < in.len; cut += stride) {
        pieces = fresh;
        read_on(&pieces, bytes_part(in, 0, cut));
        read_on(&pieces, in);
        check_alike(&whole, &pieces, in);
    }
    pieces = fresh;
    for (size_t have = 1; have <= in.len; have++) {
        read_on(&pieces, bytes_part(in, 0, have));
    }
    check_alike(&whole, &pieces, in);
}
