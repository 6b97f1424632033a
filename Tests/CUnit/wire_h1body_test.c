/* Bodies: whole, at every split, at every limit, and against a reader that has all bytes at once.
 */
#include "wire/h1body.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "cunit.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What a body gives when its bytes come in pieces. */
struct result {
    int64_t taken; /* bytes of the input until the end of the body, or an error */
    bool ended;
    size_t data_len;
    char data[32768];
    size_t trailer_len;
    char trailer[32768]; /* trailer lines, each with `|` behind it */
};

static void put(char *to, size_t *len, struct bytes what)
{
    if (what.len > 0) {
        memcpy(to + *len, what.ptr, what.len);
        *len += what.len;
    }
}

/* All steps within one piece of input. */
static bool take_piece(struct h1body *body, struct bytes in, struct result *result)
{
    size_t at = 0;

    for (;;) {
        struct h1body_step step;
        int64_t taken = h1body_next(body, bytes_from(in, at), &step);

        if (taken < 0) {
            result->taken = taken;
            return false;
        }
        CHECK((size_t)taken <= in.len - at);
        at += (size_t)taken;
        result->taken += taken;
        if (step.kind == H1BODY_DATA) {
            CHECK(step.out.len > 0);
            put(result->data, &result->data_len, step.out);
        } else if (step.kind == H1BODY_FIELD) {
            CHECK(taken > 0);
            put(result->trailer, &result->trailer_len, step.out);
            if (step.line_end) {
                put(result->trailer, &result->trailer_len, BYTES_LITERAL("|"));
            }
        } else if (step.kind == H1BODY_END) {
            result->ended = true;
            CHECK(h1body_is_done(body));
            return false;
        } else {
            CHECK_UINT(at, in.len);
            return true;
        }
    }
}

static struct result result;

/* Reads `in` in pieces that end at the given places (ascending; the last one ends at in.len). */
static void read_split(struct h1body *body, struct bytes in, const size_t *ends, size_t count)
{
    size_t from = 0;

    result.taken = 0;
    result.ended = false;
    result.data_len = 0;
    result.trailer_len = 0;
    for (size_t i = 0; i <= count; i++) {
        size_t to = i == count ? in.len : ends[i];
        struct bytes piece = cunit_guarded(bytes_part(in, from, to));
        bool goes_on = take_piece(body, piece, &result);

        cunit_unguard(piece.ptr);
        if (!goes_on) {
            return;
        }
        from = to;
    }
}

static void read_chunked(struct bytes in, const size_t *ends, size_t count)
{
    struct h1body body;

    h1body_start(&body, H1_FRAMING_CHUNKED, 0);
    read_split(&body, in, ends, count);
}

static struct bytes data(void)
{
    return bytes_of(result.data, result.data_len);
}

static struct bytes trailer(void)
{
    return bytes_of(result.trailer, result.trailer_len);
}

static const struct {
    const char *in; /* the body and what follows it */
    size_t rest;    /* bytes that follow */
    const char *data;
    const char *trailer;
} good[] = {
    {"0\r\n\r\n", 0, "", ""},
    {"5\r\nhello\r\n0\r\n\r\n", 0, "hello", ""},
    {"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\nGET /", 5, "hello", ""},
    {"A\r\n0123456789\r\n0\r\n\r\n", 0, "0123456789", ""},
    {"a\r\n0123456789\r\n0\r\n\r\n", 0, "0123456789", ""},
    {"0000000000000005\r\nhello\r\n000\r\n\r\n", 0, "hello", ""},
    {"5;a=b;c\r\nhello\r\n0;x\r\n\r\n", 0, "hello", ""},
    {"5;a=\"x;y\\\"z\xe9\t\";b=\"\"\r\nhello\r\n0\r\n\r\n", 0, "hello", ""},
    {"2\r\n\r\n\r\n0\r\n\r\n", 0, "\r\n", ""},
    {"5\r\nhello\r\n0\r\nX-T: v\r\nY:\r\n\r\nrest", 4, "hello", "X-T: v|Y:|"},
};

TEST(bodies_in_one_piece)
{
    for (size_t i = 0; i < COUNT(good); i++) {
        struct bytes in = cunit_text(good[i].in);

        cunit_context("%s", good[i].in);
        read_chunked(in, NULL, 0);
        CHECK_INT(result.taken, in.len - good[i].rest);
        CHECK(result.ended);
        CHECK_TEXT(data(), good[i].data);
        CHECK_TEXT(trailer(), good[i].trailer);
    }
}

TEST(bodies_in_two_and_three_pieces)
{
    for (size_t i = 0; i < COUNT(good); i++) {
        struct bytes in = cunit_text(good[i].in);

        for (size_t first = 0; first <= in.len; first++) {
            for (size_t second = first; second <= in.len; second++) {
                const size_t ends[] = {first, second};

                cunit_context("%s at %zu and %zu", good[i].in, first, second);
                read_chunked(in, ends, 2);
                CHECK_INT(result.taken, in.len - good[i].rest);
                CHECK(result.ended);
                CHECK_TEXT(data(), good[i].data);
                CHECK_TEXT(trailer(), good[i].trailer);
            }
        }
    }
}

TEST(bodies_byte_by_byte)
{
    for (size_t i = 0; i < COUNT(good); i++) {
        struct bytes in = cunit_text(good[i].in);
        size_t ends[128];

        for (size_t at = 0; at < in.len; at++) {
            ends[at] = at + 1;
        }
        read_chunked(in, ends, in.len);
        CHECK_INT(result.taken, in.len - good[i].rest);
        CHECK_TEXT(data(), good[i].data);
        CHECK_TEXT(trailer(), good[i].trailer);
    }
}

/* Until the last byte the stream may not end. */
TEST(a_cut_body_is_noticed)
{
    for (size_t i = 0; i < COUNT(good); i++) {
        struct bytes in = cunit_text(good[i].in);

        for (size_t len = 0; len < in.len - good[i].rest; len++) {
            struct h1body body;

            h1body_start(&body, H1_FRAMING_CHUNKED, 0);
            read_split(&body, bytes_part(in, 0, len), NULL, 0);
            CHECK_INT(result.taken, len);
            CHECK(!result.ended);
            CHECK(!h1body_may_end(&body));
        }
    }
}

static const struct {
    const char *in;
    size_t len;
    int err;
} bad[] = {
#define BAD(text, err) {(text), sizeof(text) - 1, (err)}
    BAD("\r\n", MESH_E_SYNTAX),
    BAD(";a\r\n", MESH_E_SYNTAX),
    BAD(" 5\r\n", MESH_E_SYNTAX),
    BAD("+5\r\n", MESH_E_SYNTAX),
    BAD("-0\r\n", MESH_E_SYNTAX),
    BAD("0x5\r\n", MESH_E_SYNTAX),
    BAD("5 \r\nhello", MESH_E_SYNTAX),
    BAD("5\t\r\nhello", MESH_E_SYNTAX),
    BAD("5 ;a\r\nhello", MESH_E_SYNTAX),
    BAD("5g\r\n", MESH_E_SYNTAX),
    BAD("5\nhello", MESH_E_SYNTAX),
    BAD("5\rhello", MESH_E_SYNTAX),
    BAD("5\0\r\nhello", MESH_E_SYNTAX),
    BAD("5;\r\nhello", MESH_E_SYNTAX),
    BAD("5;;\r\nhello", MESH_E_SYNTAX),
    BAD("5; a\r\nhello", MESH_E_SYNTAX),
    BAD("5;a b\r\nhello", MESH_E_SYNTAX),
    BAD("5;a=\r\nhello", MESH_E_SYNTAX),
    BAD("5;a=b=c\r\nhello", MESH_E_SYNTAX),
    BAD("5;a=\"x\r\nhello", MESH_E_SYNTAX),
    BAD("5;a=\"x\"y\r\nhello", MESH_E_SYNTAX),
    BAD("5;a=\"\\\r\"\r\nhello", MESH_E_SYNTAX),
    BAD("5;a\nhello", MESH_E_SYNTAX),
    BAD("5;a\rx\nhello", MESH_E_SYNTAX),
    BAD("5;\xff=1\r\nhello", MESH_E_SYNTAX),
    BAD("5;\0\r\nhello", MESH_E_SYNTAX),
    BAD("5\r\nhelloX\r\n", MESH_E_SYNTAX),
    BAD("5\r\nhello\n0", MESH_E_SYNTAX),
    BAD("5\r\nhello\rX", MESH_E_SYNTAX),
    BAD("0\r\nX: a\n\r\n", MESH_E_SYNTAX),
    BAD("0\r\nX: a\rb\r\n", MESH_E_SYNTAX),
    BAD("0\r\nX: a\0b\r\n", MESH_E_SYNTAX),
    BAD("0\r\n X: a\r\n", MESH_E_SYNTAX),
    BAD("0\r\nX: a\r\n b\r\n", MESH_E_SYNTAX),
    BAD("0\r\n: a\r\n", MESH_E_SYNTAX),
    BAD("0\r\n\n", MESH_E_SYNTAX),
    BAD("0\r\n\rX", MESH_E_SYNTAX),
    BAD("00000000000000005\r\n", MESH_E_TOO_LONG),
    BAD("7FFFFFFFFFFFFFFF\r\n", MESH_E_RANGE),
    BAD("FFFFFFFFFFFFFFFF\r\n", MESH_E_RANGE),
    BAD("FFFFFFFFFFFFFFFFF\r\n", MESH_E_TOO_LONG),
    BAD("1000000000001\r\n", MESH_E_RANGE),
    BAD("1000000000001;x\r\n", MESH_E_RANGE),
};

TEST(bad_bodies_in_one_piece_and_at_every_split)
{
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct bytes in = bytes_of(bad[i].in, bad[i].len);

        cunit_context("%s", bad[i].in);
        for (size_t split = 0; split <= in.len; split++) {
            read_chunked(in, &split, 1);
            CHECK_INT(result.taken, bad[i].err);
        }
    }
}

TEST(the_longest_chunk_size)
{
    read_chunked(BYTES_LITERAL("1000000000000\r\nx"), NULL, 0);
    CHECK_TEXT(data(), "x");
    read_chunked(BYTES_LITERAL("0000FFFFFFFFFFFF\r\nx"), NULL, 0);
    CHECK_TEXT(data(), "x");
}

/* `count` bytes of extension, `;` and CR included, in chunks of `per_chunk` of them. */
static struct bytes extensions(size_t count, size_t per_chunk)
{
    static char text[65536];
    size_t at = 0;

    while (count > 0) {
        size_t part = count < per_chunk ? count : per_chunk;

        at += (size_t)sprintf(text + at, "1;");
        memset(text + at, 'e', part - 2);
        at += part - 2;
        at += (size_t)sprintf(text + at, "\r\nx\r\n");
        count -= part;
    }
    at += (size_t)sprintf(text + at, "0\r\n\r\n");
    return bytes_of(text, at);
}

TEST(extensions_are_bounded_over_the_whole_body)
{
    for (size_t per_chunk = 4; per_chunk <= 8192; per_chunk *= 2) {
        read_chunked(extensions(H1BODY_MAX_EXTENSION - 4, per_chunk), NULL, 0);
        CHECK(result.ended);
        read_chunked(extensions(H1BODY_MAX_EXTENSION, per_chunk), NULL, 0);
        CHECK(result.ended);
        read_chunked(extensions(H1BODY_MAX_EXTENSION + 4, per_chunk), NULL, 0);
        CHECK_INT(result.taken, MESH_E_TOO_LONG);
    }
}

/* Trailer lines of `count` bytes with their line ends. */
static struct bytes trailers(size_t count, size_t per_line)
{
    static char text[32768];
    size_t at = (size_t)sprintf(text, "0\r\n");

    while (count > 0) {
        size_t part = count < per_line ? count : per_line;

        at += (size_t)sprintf(text + at, "a:");
        memset(text + at, 'v', part - 4);
        at += part - 4;
        at += (size_t)sprintf(text + at, "\r\n");
        count -= part;
    }
    at += (size_t)sprintf(text + at, "\r\n");
    return bytes_of(text, at);
}

TEST(trailers_are_bounded)
{
    for (size_t per_line = 8; per_line <= 16384; per_line *= 2) {
        read_chunked(trailers(H1BODY_MAX_TRAILER - 8, per_line), NULL, 0);
        CHECK(result.ended);
        read_chunked(trailers(H1BODY_MAX_TRAILER, per_line), NULL, 0);
        CHECK(result.ended);
        read_chunked(trailers(H1BODY_MAX_TRAILER + 8, per_line), NULL, 0);
        CHECK_INT(result.taken, MESH_E_TOO_LONG);
    }
}

TEST(many_small_chunks)
{
    static char text[65536];
    size_t at = 0;

    for (int i = 0; i < 10000; i++) {
        memcpy(text + at, "1\r\nx\r\n", 6);
        at += 6;
    }
    memcpy(text + at, "0\r\n\r\n", 5);
    read_chunked(bytes_of(text, at + 5), NULL, 0);
    CHECK(result.ended);
    CHECK_UINT(result.data_len, 10000);
}

TEST(bodies_with_a_length)
{
    const struct bytes in = BYTES_LITERAL("hello, next");

    for (size_t length = 0; length <= in.len + 1; length++) {
        for (size_t split = 0; split <= in.len; split++) {
            struct h1body body;

            h1body_start(&body, H1_FRAMING_LENGTH, length);
            CHECK_INT(h1body_may_end(&body), length == 0);
            read_split(&body, in, &split, 1);
            CHECK_INT(result.taken, length < in.len ? length : in.len);
            CHECK_INT(h1body_is_done(&body), length <= in.len);
            CHECK_UINT(result.data_len, result.taken);
            CHECK_INT(h1body_may_end(&body), length <= in.len);
        }
    }
}

TEST(the_longest_length_does_not_wrap)
{
    struct h1body body;

    h1body_start(&body, H1_FRAMING_LENGTH, UINT64_MAX);
    read_split(&body, BYTES_LITERAL("hello"), NULL, 0);
    CHECK_UINT(body.left, UINT64_MAX - 5);
}

TEST(bodies_until_close_and_none_at_all)
{
    struct h1body body;

    h1body_start(&body, H1_FRAMING_UNTIL_CLOSE, 0);
    read_split(&body, BYTES_LITERAL("hello"), NULL, 0);
    CHECK_TEXT(data(), "hello");
    CHECK(!result.ended);
    CHECK(h1body_may_end(&body));

    h1body_start(&body, H1_FRAMING_NONE, 0);
    read_split(&body, BYTES_LITERAL("hello"), NULL, 0);
    CHECK_INT(result.taken, 0);
    CHECK(result.ended);

    h1body_start(&body, H1_FRAMING_TUNNEL, 0);
    CHECK(h1body_is_done(&body));
}

TEST(trailer_lines)
{
    struct bytes name;
    struct bytes value;

    CHECK_INT(h1body_check_trailer(cunit_guarded(BYTES_LITERAL("X-T: \t v w \t")), &name, &value),
              MESH_OK);
    CHECK_TEXT(name, "X-T");
    CHECK_TEXT(value, "v w");
    CHECK_INT(h1body_check_trailer(cunit_guarded(BYTES_LITERAL("X:")), &name, &value), MESH_OK);
    CHECK_TEXT(value, "");
    CHECK_INT(h1body_check_trailer(BYTES_LITERAL("X: \xe9"), &name, &value), MESH_OK);
    CHECK_INT(h1body_check_trailer(BYTES_LITERAL(""), &name, &value), MESH_E_SYNTAX);
    CHECK_INT(h1body_check_trailer(bytes_of(NULL, 0), &name, &value), MESH_E_SYNTAX);
    CHECK_INT(h1body_check_trailer(BYTES_LITERAL("X"), &name, &value), MESH_E_SYNTAX);
    CHECK_INT(h1body_check_trailer(BYTES_LITERAL(": v"), &name, &value), MESH_E_SYNTAX);
    CHECK_INT(h1body_check_trailer(BYTES_LITERAL("X : v"), &name, &value), MESH_E_SYNTAX);
    CHECK_INT(h1body_check_trailer(BYTES_LITERAL("X: v\r"), &name, &value), MESH_E_SYNTAX);
    CHECK_INT(h1body_check_trailer(BYTES_LITERAL("X: a\0b"), &name, &value), MESH_E_SYNTAX);
    CHECK_INT(h1body_check_trailer(BYTES_LITERAL("GET /SMUGGLED HTTP/1.1"), &name, &value),
              MESH_E_SYNTAX);
}

TEST(size_lines)
{
    static const struct {
        uint64_t length;
        const char *line;
    } cases[] = {
        {0, "0\r\n"},        {1, "1\r\n"},         {15, "f\r\n"},
        {16, "10\r\n"},      {255, "ff\r\n"},      {4096, "1000\r\n"},
        {65535, "ffff\r\n"}, {65536, "10000\r\n"}, {UINT64_MAX, "ffffffffffffffff\r\n"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        uint8_t *out = cunit_guarded_room(strlen(cases[i].line));

        CHECK_TEXT(bytes_of(out, h1body_put_size(out, cases[i].length)), cases[i].line);
    }
}

/* Random chunking of random data, cut at random places, is read back. */
TEST(what_is_framed_is_read_back)
{
    static uint8_t wire[65536];
    static uint8_t plain[8192];

    for (int round = 0; round < 500; round++) {
        size_t len = cunit_random_below(sizeof(plain));
        size_t at = 0;
        size_t ends[8];
        size_t done = 0;

        for (size_t i = 0; i < len; i++) {
            plain[i] = (uint8_t)cunit_random();
        }
        while (done < len) {
            size_t part = 1 + cunit_random_below((uint32_t)(len - done));

            at += h1body_put_size(wire + at, part);
            memcpy(wire + at, plain + done, part);
            memcpy(wire + at + part, "\r\n", 2);
            at += part + 2;
            done += part;
        }
        memcpy(wire + at, "0\r\n\r\n", 5);
        at += 5;
        for (size_t i = 0; i < 8; i++) {
            ends[i] = (i == 0 ? 0 : ends[i - 1]);
            ends[i] += cunit_random_below((uint32_t)(at - ends[i]) / 4 + 1);
        }
        read_chunked(bytes_of(wire, at), ends, 8);
        CHECK(result.ended);
        CHECK_INT(result.taken, at);
        CHECK_BYTES(data(), bytes_of(plain, len));
    }
}
