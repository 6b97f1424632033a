#include "wire/h1body.h"

#include "base/err.h"
#include "base/num.h"
#include "scan.h"

/* Where a chunk extension is (RFC 9112 7.1.1): `;name`, `;name=token` or `;name="string"`, without
 * the blanks that older grammars allowed. The line may end where an element may. */
enum h1body_ext {
    H1BODY_EXT_NAME_START = 0, /* after `;` */
    H1BODY_EXT_NAME,           /* within a name; may end */
    H1BODY_EXT_VALUE_START,    /* after `=` */
    H1BODY_EXT_TOKEN,          /* within a token; may end */
    H1BODY_EXT_STRING,         /* within a quoted string */
    H1BODY_EXT_ESCAPE,         /* after `\` in a quoted string */
    H1BODY_EXT_STRING_END,     /* after the closing quote; may end */
};

void h1body_start(struct h1body *body, enum h1_framing framing, uint64_t content_length)
{
    *body = (struct h1body){.state = H1BODY_DONE};
    switch (framing) {
    case H1_FRAMING_NONE:
    case H1_FRAMING_TUNNEL:
        break;
    case H1_FRAMING_LENGTH:
        body->left = content_length;
        body->state = content_length > 0 ? H1BODY_LENGTH : H1BODY_DONE;
        break;
    case H1_FRAMING_CHUNKED:
        body->state = H1BODY_CHUNK_SIZE;
        break;
    case H1_FRAMING_UNTIL_CLOSE:
        body->state = H1BODY_UNTIL_CLOSE;
        break;
    }
}

bool h1body_may_end(const struct h1body *body)
{
    return body->state == H1BODY_DONE || body->state == H1BODY_UNTIL_CLOSE;
}

static uint8_t h1body_digit(uint8_t c)
{
    return (uint8_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

/* Another byte of chunk extensions. */
static int h1body_count_ext(struct h1body *body)
{
    if (body->extension == H1BODY_MAX_EXTENSION) {
        return MESH_E_TOO_LONG;
    }
    body->extension++;
    return MESH_OK;
}

/* A byte of a size line up to its CR. */
static int h1body_take_size(struct h1body *body, uint8_t c)
{
    if (scan_is(c, SCAN_HEX)) {
        if (body->digits == H1BODY_MAX_DIGITS) {
            return MESH_E_TOO_LONG;
        }
        body->digits++;
        body->left = body->left << 4 | h1body_digit(c);
        return MESH_OK;
    }
    if (body->digits == 0) {
        return MESH_E_SYNTAX;
    }
    if (body->left > H1BODY_MAX_CHUNK) {
        return MESH_E_RANGE;
    }
    if (c == '\r') {
        body->state = H1BODY_CHUNK_LF;
        return MESH_OK;
    }
    if (c == ';') {
        body->state = H1BODY_CHUNK_EXT;
        body->ext = H1BODY_EXT_NAME_START;
        return h1body_count_ext(body);
    }
    return MESH_E_SYNTAX;
}

/* The state after `c` where an element of an extension ends and another may begin. */
static int h1body_end_ext(struct h1body *body, uint8_t c)
{
    if (c == '\r') {
        body->state = H1BODY_CHUNK_LF;
        return MESH_OK;
    }
    body->ext = H1BODY_EXT_NAME_START;
    return c == ';' ? MESH_OK : MESH_E_SYNTAX;
}

/* A byte of an extension, up to the CR of its line. */
static int h1body_take_ext(struct h1body *body, uint8_t c)
{
    bool token = scan_is(c, SCAN_TOKEN);

    if (h1body_count_ext(body) != MESH_OK) {
        return MESH_E_TOO_LONG;
    }
    switch ((enum h1body_ext)body->ext) {
    case H1BODY_EXT_NAME_START:
        body->ext = H1BODY_EXT_NAME;
        return token ? MESH_OK : MESH_E_SYNTAX;
    case H1BODY_EXT_NAME:
        if (c == '=') {
            body->ext = H1BODY_EXT_VALUE_START;
            return MESH_OK;
        }
        return token ? MESH_OK : h1body_end_ext(body, c);
    case H1BODY_EXT_VALUE_START:
        body->ext = c == '"' ? H1BODY_EXT_STRING : H1BODY_EXT_TOKEN;
        return token || c == '"' ? MESH_OK : MESH_E_SYNTAX;
    case H1BODY_EXT_TOKEN:
        return token ? MESH_OK : h1body_end_ext(body, c);
    case H1BODY_EXT_STRING:
        if (c == '"') {
            body->ext = H1BODY_EXT_STRING_END;
        } else if (c == '\\') {
            body->ext = H1BODY_EXT_ESCAPE;
        }
        return scan_is(c, SCAN_VALUE) ? MESH_OK : MESH_E_SYNTAX;
    case H1BODY_EXT_ESCAPE:
        body->ext = H1BODY_EXT_STRING;
        return scan_is(c, SCAN_VALUE) ? MESH_OK : MESH_E_SYNTAX;
    case H1BODY_EXT_STRING_END:
        return h1body_end_ext(body, c);
    }
    return MESH_E_SYNTAX;
}

/* One byte of what frames the chunks and of the line ends of the trailer section. */
static int h1body_take_framing(struct h1body *body, uint8_t c)
{
    switch ((enum h1body_state)body->state) {
    case H1BODY_CHUNK_SIZE:
        return h1body_take_size(body, c);
    case H1BODY_CHUNK_EXT:
        return h1body_take_ext(body, c);
    case H1BODY_CHUNK_LF:
        body->state = body->left > 0 ? H1BODY_CHUNK_DATA : H1BODY_TRAILER;
        return c == '\n' ? MESH_OK : MESH_E_SYNTAX;
    case H1BODY_CHUNK_CR:
        body->state = H1BODY_CHUNK_CRLF;
        return c == '\r' ? MESH_OK : MESH_E_SYNTAX;
    case H1BODY_CHUNK_CRLF:
        body->state = H1BODY_CHUNK_SIZE;
        body->digits = 0;
        return c == '\n' ? MESH_OK : MESH_E_SYNTAX;
    case H1BODY_LAST_LF:
        body->state = H1BODY_DONE;
        return c == '\n' ? MESH_OK : MESH_E_SYNTAX;
    case H1BODY_DONE:
    case H1BODY_LENGTH:
    case H1BODY_CHUNK_DATA:
    case H1BODY_TRAILER:
    case H1BODY_TRAILER_LINE:
    case H1BODY_TRAILER_LF:
    case H1BODY_UNTIL_CLOSE:
    case H1BODY_STATE_COUNT:
        break;
    }
    return MESH_E_STATE;
}

/* Data of a chunk or of a body with a length. */
static size_t h1body_take_data(struct h1body *body, struct bytes in, struct h1body_step *step)
{
    size_t taken = (size_t)num_min_u64(body->left, in.len);

    body->left -= taken;
    if (body->left == 0) {
        body->state = body->state == H1BODY_LENGTH ? H1BODY_DONE : H1BODY_CHUNK_CR;
    }
    step->kind = H1BODY_DATA;
    step->out = bytes_part(in, 0, taken);
    return taken;
}

/* The rest of a trailer line, as far as `in` goes. Its LF may come with another input. */
static int64_t h1body_take_trailer(struct h1body *body, struct bytes in, struct h1body_step *step)
{
    const uint8_t *end = in.ptr + in.len;
    const uint8_t *at = in.ptr;
    size_t taken;

    if (body->state == H1BODY_TRAILER_LINE) {
        at = scan_value(at, end, in.ptr);
        step->out = bytes_part(in, 0, (size_t)(at - in.ptr));
        if (at < end) {
            if (*at != '\r') {
                return MESH_E_SYNTAX;
            }
            body->state = H1BODY_TRAILER_LF;
            at++;
        }
    }
    if (body->state == H1BODY_TRAILER_LF && at < end) {
        if (*at != '\n') {
            return MESH_E_SYNTAX;
        }
        body->state = H1BODY_TRAILER;
        step->line_end = true;
        at++;
    }
    taken = (size_t)(at - in.ptr);
    if (taken > H1BODY_MAX_TRAILER - body->trailer) {
        return MESH_E_TOO_LONG;
    }
    body->trailer += (uint32_t)taken;
    step->kind = H1BODY_FIELD;
    return (int64_t)taken;
}

int64_t h1body_next(struct h1body *body, struct bytes in, struct h1body_step *step)
{
    size_t at = 0;

    *step = (struct h1body_step){.kind = H1BODY_MORE};
    while (body->state != H1BODY_DONE && at < in.len) {
        int64_t taken;
        int err;

        switch ((enum h1body_state)body->state) {
        case H1BODY_LENGTH:
        case H1BODY_CHUNK_DATA:
            return (int64_t)(at + h1body_take_data(body, bytes_from(in, at), step));
        case H1BODY_UNTIL_CLOSE:
            step->kind = H1BODY_DATA;
            step->out = in;
            return (int64_t)in.len;
        case H1BODY_TRAILER:
            if (in.ptr[at] == '\r') {
                body->state = H1BODY_LAST_LF;
                at++;
                continue;
            }
            if (!scan_is(in.ptr[at], SCAN_TOKEN)) {
                return MESH_E_SYNTAX;
            }
            body->state = H1BODY_TRAILER_LINE;
            continue;
        case H1BODY_TRAILER_LINE:
        case H1BODY_TRAILER_LF:
            taken = h1body_take_trailer(body, bytes_from(in, at), step);
            return taken < 0 ? taken : (int64_t)at + taken;
        default:
            err = h1body_take_framing(body, in.ptr[at]);
            if (err != MESH_OK) {
                return err;
            }
            at++;
        }
    }
    if (body->state == H1BODY_DONE) {
        step->kind = H1BODY_END;
    }
    return (int64_t)at;
}

int h1body_check_trailer(struct bytes line, struct bytes *name, struct bytes *value)
{
    const uint8_t *end;
    const uint8_t *colon;
    const uint8_t *from;

    if (line.len == 0) {
        return MESH_E_SYNTAX;
    }
    end = line.ptr + line.len;
    colon = scan_token(line.ptr, end, line.ptr);
    if (colon == line.ptr || colon == end || *colon != ':' ||
        scan_value(colon, end, line.ptr) != end) {
        return MESH_E_SYNTAX;
    }
    from = colon + 1;
    while (from < end && scan_is_blank(*from)) {
        from++;
    }
    while (end > from && scan_is_blank(end[-1])) {
        end--;
    }
    *name = bytes_of(line.ptr, (size_t)(colon - line.ptr));
    *value = bytes_of(from, (size_t)(end - from));
    return MESH_OK;
}

size_t h1body_put_size(uint8_t *out, uint64_t length)
{
    static const char digits[] = "0123456789abcdef";
    uint32_t count = 1;

    while (count < 16 && length >> (4 * count) != 0) {
        count++;
    }
    for (uint32_t i = 0; i < count; i++) {
        out[i] = (uint8_t)digits[length >> (4 * (count - 1 - i)) & 15];
    }
    out[count] = '\r';
    out[count + 1] = '\n';
    return count + 2;
}
