#include "wire/coding.h"

#include <string.h>

#include "base/err.h"

#define WHOLE 1000u

void coding_init(struct coding_wishes *wishes)
{
    memset(wishes, 0, sizeof(*wishes));
}

static bool is_token_byte(uint8_t c)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";

    return (uint8_t)(bytes_lower(c) - 'a') < 26 || (uint8_t)(c - '0') < 10 ||
           (c != 0 && memchr(marks, c, sizeof(marks) - 1) != NULL);
}

static void skip_blanks(struct bytes *rest)
{
    size_t count = 0;

    while (count < rest->len && (rest->ptr[count] == ' ' || rest->ptr[count] == '\t')) {
        count++;
    }
    *rest = bytes_from(*rest, count);
}

static struct bytes take_token(struct bytes *rest)
{
    size_t count = 0;

    while (count < rest->len && is_token_byte(rest->ptr[count])) {
        count++;
    }
    struct bytes token = bytes_part(*rest, 0, count);

    *rest = bytes_from(*rest, count);
    return token;
}

static bool take_byte(struct bytes *rest, uint8_t byte)
{
    if (rest->len == 0 || rest->ptr[0] != byte) {
        return false;
    }
    *rest = bytes_from(*rest, 1);
    return true;
}

/* qvalue: 0 or 1 with up to three digits behind the point, after 1 zeros only. */
static bool take_weight(struct bytes *rest, uint16_t *weight)
{
    uint32_t thousandths;
    uint32_t scale = WHOLE;

    if (rest->len == 0 || (rest->ptr[0] != '0' && rest->ptr[0] != '1')) {
        return false;
    }
    thousandths = (uint32_t)(rest->ptr[0] - '0') * WHOLE;
    *rest = bytes_from(*rest, 1);
    if (take_byte(rest, '.')) {
        while (scale > 1 && rest->len > 0 && (uint8_t)(rest->ptr[0] - '0') < 10) {
            scale /= 10;
            thousandths += (uint32_t)(rest->ptr[0] - '0') * scale;
            *rest = bytes_from(*rest, 1);
        }
    }
    *weight = (uint16_t)thousandths;
    return thousandths <= WHOLE;
}

/* *weight stays when none is given. */
static bool take_parameter(struct bytes *rest, uint16_t *weight)
{
    skip_blanks(rest);
    if (!take_byte(rest, ';')) {
        return true;
    }
    skip_blanks(rest);
    struct bytes name = take_token(rest);

    return bytes_equal_nocase(name, BYTES_LITERAL("q")) && take_byte(rest, '=') &&
           take_weight(rest, weight);
}

static enum coding known(struct bytes name)
{
    static const struct {
        struct bytes name;
        enum coding coding;
    } names[] = {
        {{(const uint8_t *)"identity", 8}, CODING_IDENTITY},
        {{(const uint8_t *)"gzip", 4}, CODING_GZIP},
        {{(const uint8_t *)"x-gzip", 6}, CODING_GZIP},
        {{(const uint8_t *)"br", 2}, CODING_BROTLI},
        {{(const uint8_t *)"zstd", 4}, CODING_ZSTD},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (bytes_equal_nocase(name, names[i].name)) {
            return names[i].coding;
        }
    }
    return CODING_COUNT;
}

/* Named twice, a coding has the lower weight: what one of the two refuses is not sent. */
static void wish(struct coding_wishes *wishes, struct bytes name, uint16_t weight)
{
    enum coding coding = known(name);

    if (bytes_equal(name, BYTES_LITERAL("*"))) {
        wishes->others = wishes->starred && wishes->others < weight ? wishes->others : weight;
        wishes->starred = true;
    } else if (coding != CODING_COUNT) {
        bool again = (wishes->named & 1u << coding) != 0;

        if (!again || weight < wishes->weights[coding]) {
            wishes->weights[coding] = weight;
        }
        wishes->named |= (uint8_t)(1u << coding);
    }
}

void coding_read(struct coding_wishes *wishes, struct bytes value)
{
    struct bytes rest = value;

    while (!wishes->spoiled) {
        uint16_t weight = WHOLE;

        skip_blanks(&rest);
        struct bytes name = take_token(&rest);

        if (name.len > 0) {
            bool readable = take_parameter(&rest, &weight);

            if (!readable || ++wishes->elements > CODING_MAX_ELEMENTS) {
                wishes->spoiled = true;
                return;
            }
            wish(wishes, name, weight);
        }
        skip_blanks(&rest);
        if (rest.len == 0) {
            return;
        }
        wishes->spoiled = !take_byte(&rest, ',');
    }
}

static uint16_t weight_of(const struct coding_wishes *wishes, enum coding coding)
{
    return (wishes->named & 1u << coding) != 0 ? wishes->weights[coding] : wishes->others;
}

enum coding coding_choose(const struct coding_wishes *wishes, const uint8_t *offered,
                          uint32_t count)
{
    enum coding best = CODING_IDENTITY;
    /* Identity is always allowed; it competes only where the client says how much it wants it. */
    uint16_t highest =
        (wishes->named & 1u << CODING_IDENTITY) != 0 ? wishes->weights[CODING_IDENTITY] : 0;

    if (wishes->spoiled) {
        return CODING_IDENTITY;
    }
    for (uint32_t i = 0; i < count; i++) {
        enum coding coding = (enum coding)offered[i];
        uint16_t weight = weight_of(wishes, coding);

        if (weight > highest || (weight == highest && weight > 0 && best == CODING_IDENTITY)) {
            best = coding;
            highest = weight;
        }
    }
    return best;
}
