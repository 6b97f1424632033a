#include "wire/h1.h"

#include <stddef.h>
#include <string.h>

#include "base/err.h"
#include "h1_private.h"
#include "hdr_names.h"
#include "scan.h"
#include "uri_private.h"

static void h1_open(struct h1_reader *reader, struct bytes in, struct h1_head *head)
{
    size_t len = in.len < H1_MAX_HEAD ? in.len : H1_MAX_HEAD;

    memset(head, 0, offsetof(struct h1_head, fields)); /* the fields are written one by one */
    reader->start = in.ptr;
    reader->end = len == 0 ? in.ptr : in.ptr + len;
    reader->at = in.ptr;
    reader->head = head;
    reader->repeated = 0;
}

/* What the door returns for a step: a head that fills H1_MAX_HEAD without its end is too long. */
static int h1_close(const struct h1_reader *reader, int step)
{
    if (step == H1_STEP_MORE) {
        return reader->end - reader->start == H1_MAX_HEAD ? MESH_E_TOO_LONG : 0;
    }
    if (step == H1_STEP_DONE) {
        reader->head->length = h1_offset(reader, reader->at);
        return (int)reader->head->length;
    }
    return step;
}

/* `HTTP/1.0` or `HTTP/1.1`, followed by `next`. A version of another number is told from garbage
 * only when it is complete. */
static int h1_take_version(struct h1_reader *reader, uint8_t next)
{
    static const uint8_t shape[] = "HTTP/1.1";
    const uint8_t *at = reader->at;
    size_t left = (size_t)(reader->end - at);

    if (left > 8 && (hdr_load64(at) ^ hdr_load64(shape)) << 8 >> 8 == 0 && at[8] == next &&
        (at[7] & 0xfe) == '0') {
        reader->head->minor = at[7] & 1;
        reader->at = at + 9;
        return H1_STEP_DONE;
    }
    for (size_t i = 0; i < 9 && i < left; i++) {
        bool fits =
            i == 8 ? at[i] == next : (i == 5 || i == 7 ? scan_is_digit(at[i]) : at[i] == shape[i]);

        if (!fits) {
            return MESH_E_SYNTAX;
        }
    }
    if (left < 9) {
        return H1_STEP_MORE;
    }
    return MESH_E_VERSION;
}

/* The LF after a CR that was taken. */
static int h1_take_lf(struct h1_reader *reader)
{
    if (reader->at == reader->end) {
        return H1_STEP_MORE;
    }
    if (*reader->at != '\n') {
        return MESH_E_SYNTAX;
    }
    reader->at++;
    reader->head->fields_at = h1_offset(reader, reader->at);
    return H1_STEP_DONE;
}

/* One empty line before a request is forgiven (RFC 9112 2.2). */
static int h1_skip_empty_line(struct h1_reader *reader)
{
    if (reader->at < reader->end && *reader->at == '\r') {
        reader->at++;
        if (reader->at < reader->end && *reader->at != '\n') {
            return MESH_E_SYNTAX;
        }
        reader->at += reader->at < reader->end;
    }
    return reader->at == reader->end ? H1_STEP_MORE : H1_STEP_DONE;
}

static int h1_take_method(struct h1_reader *reader)
{
    const uint8_t *name = reader->at;
    const uint8_t *end = scan_token(name, reader->end, reader->start);
    uint32_t length = (uint32_t)(end - name);

    if (end == reader->end) {
        return H1_STEP_MORE;
    }
    if (length == 0 || *end != ' ') {
        return MESH_E_SYNTAX;
    }
    reader->head->method = (uint8_t)h1_method_of(bytes_of(name, length));
    reader->head->method_name = (struct h1_part){h1_offset(reader, name), length};
    reader->at = end + 1;
    return H1_STEP_DONE;
}

/* Visible ASCII without `#` up to a blank; notes where its first `?` is. What the target means is
 * read after the version. */
static int h1_take_target(struct h1_reader *reader)
{
    struct h1_head *head = reader->head;
    const uint8_t *target = reader->at;
    const uint8_t *path_end = scan_path(target, reader->end, reader->start);
    const uint8_t *end = path_end;

    if (path_end < reader->end && *path_end == '?') {
        end = scan_query(path_end + 1, reader->end, reader->start);
        head->has_query = true;
        head->query =
            (struct h1_part){h1_offset(reader, path_end + 1), (uint32_t)(end - path_end) - 1};
    }
    if (end - target > H1_MAX_TARGET) {
        return MESH_E_TOO_LONG;
    }
    if (end == reader->end) {
        return H1_STEP_MORE;
    }
    if (end == target || *end != ' ') {
        return MESH_E_SYNTAX;
    }
    head->target = (struct h1_part){h1_offset(reader, target), (uint32_t)(end - target)};
    head->path = (struct h1_part){h1_offset(reader, target), (uint32_t)(path_end - target)};
    reader->at = end + 1;
    return H1_STEP_DONE;
}

static int h1_take_request_line(struct h1_reader *reader)
{
    int step = h1_skip_empty_line(reader);

    if (step == H1_STEP_DONE) {
        step = h1_take_method(reader);
    }
    if (step == H1_STEP_DONE) {
        step = h1_take_target(reader);
    }
    if (step == H1_STEP_DONE) {
        step = h1_take_version(reader, '\r');
    }
    if (step == H1_STEP_DONE) {
        step = h1_take_lf(reader);
    }
    return step;
}

/* `http://authority` or `https://authority` before the path (RFC 9112 3.2.2): moves the start of
 * head->path past it. */
static int h1_read_absolute(const struct h1_reader *reader, struct bytes target)
{
    struct h1_head *head = reader->head;
    const struct bytes scheme = BYTES_LITERAL("http://");
    const struct bytes secure = BYTES_LITERAL("https://");
    size_t from;
    size_t to;

    if (target.len > secure.len && bytes_equal_nocase(bytes_part(target, 0, secure.len), secure)) {
        from = secure.len;
    } else if (target.len > scheme.len &&
               bytes_equal_nocase(bytes_part(target, 0, scheme.len), scheme)) {
        from = scheme.len;
    } else {
        return MESH_E_SYNTAX;
    }
    to = from;
    while (to < head->path.len && target.ptr[to] != '/') {
        to++;
    }
    if (to == from) {
        return MESH_E_SYNTAX;
    }
    head->form = H1_FORM_ABSOLUTE;
    head->authority = (struct h1_part){head->target.at + (uint32_t)from, (uint32_t)(to - from)};
    head->path.at += (uint32_t)to;
    head->path.len -= (uint32_t)to;
    return MESH_OK;
}

/* Which of the four forms the target has (RFC 9112 3.2). */
static int h1_read_target(const struct h1_reader *reader)
{
    struct h1_head *head = reader->head;
    struct bytes target = h1_slice(reader->start, head->target);

    if (head->method == H1_METHOD_CONNECT) {
        head->form = H1_FORM_AUTHORITY;
        head->authority = head->target;
        head->path.len = 0;
        return MESH_OK;
    }
    if (target.ptr[0] == '/') {
        head->form = H1_FORM_ORIGIN;
        return MESH_OK;
    }
    if (target.len == 1 && target.ptr[0] == '*') {
        head->form = H1_FORM_ASTERISK;
        head->path.len = 0;
        return head->method == H1_METHOD_OPTIONS ? MESH_OK : MESH_E_SYNTAX;
    }
    return h1_read_absolute(reader, target);
}

/* One Host, valid, on HTTP/1.1 (RFC 9112 3.2); the authority of the target wins over it. */
static int h1_read_authority(struct h1_reader *reader)
{
    struct h1_head *head = reader->head;
    struct bytes around = bytes_of(reader->start, (size_t)(reader->end - reader->start));
    struct bytes host;
    uint16_t port = 0;

    if (h1_has(reader, HDR_HOST)) {
        const struct h1_field *field = &head->fields[reader->first[HDR_HOST]];

        if (h1_has_several(reader, HDR_HOST) ||
            uri_split_within(h1_value(reader->start, field), around, &host, &port) != MESH_OK) {
            return MESH_E_SYNTAX;
        }
        if (head->authority.len == 0) {
            head->authority = (struct h1_part){field->value_at, field->value_len};
        }
    } else if (head->minor == 1) {
        return MESH_E_SYNTAX;
    }
    if (head->form == H1_FORM_ABSOLUTE || head->form == H1_FORM_AUTHORITY) {
        struct bytes authority = h1_slice(reader->start, head->authority);

        if (uri_split_within(authority, around, &host, &port) != MESH_OK) {
            return MESH_E_SYNTAX;
        }
        if (head->form == H1_FORM_AUTHORITY && port == 0) {
            return MESH_E_SYNTAX;
        }
    }
    return MESH_OK;
}

/* RFC 9110 10.1.1: 100-continue or nothing; HTTP/1.0 has no expectations. */
static int h1_read_expect(struct h1_reader *reader)
{
    struct h1_head *head = reader->head;

    if (head->minor == 0 || !h1_has(reader, HDR_EXPECT)) {
        return MESH_OK;
    }
    if (h1_has_several(reader, HDR_EXPECT) ||
        !bytes_equal_nocase(h1_first_value(reader, HDR_EXPECT), BYTES_LITERAL("100-continue"))) {
        head->flags |= H1_EXPECT_UNKNOWN;
        return MESH_E_UNSUPPORTED;
    }
    head->flags |= H1_EXPECT_CONTINUE;
    return MESH_OK;
}

static int h1_read_request(struct h1_reader *reader)
{
    struct h1_head *head = reader->head;
    int err = h1_read_target(reader);

    if (err == MESH_OK) {
        err = h1_read_authority(reader);
    }
    if (err == MESH_OK) {
        err = h1_read_fields(reader);
    }
    if (err == MESH_OK) {
        err = h1_read_expect(reader);
    }
    if (err == MESH_OK && (head->method == H1_METHOD_CONNECT || head->method == H1_METHOD_TRACE)) {
        /* What follows CONNECT belongs to the tunnel, and TRACE has no content (RFC 9110 9.3.6,
         * 9.3.8): a length would be read otherwise by somebody. */
        err = head->framing == H1_FRAMING_CHUNKED || head->content_length > 0 ? MESH_E_FRAMING
                                                                              : MESH_OK;
        head->framing = H1_FRAMING_NONE;
    }
    return err;
}

int h1_parse_request(struct bytes in, struct h1_head *head)
{
    struct h1_reader reader;
    int step;

    h1_open(&reader, in, head);
    step = h1_take_request_line(&reader);
    if (step == H1_STEP_DONE) {
        step = h1_take_fields(&reader);
    }
    if (step == H1_STEP_DONE) {
        step = h1_read_request(&reader);
    }
    return h1_close(&reader, step);
}

/* Three digits, then the end of the line or a blank and the reason. */
static int h1_take_status(struct h1_reader *reader)
{
    struct h1_head *head = reader->head;
    const uint8_t *at = reader->at;
    const uint8_t *end;
    uint32_t status = 0;

    for (int i = 0; i < 3; i++) {
        if (at + i == reader->end) {
            return H1_STEP_MORE;
        }
        if (!scan_is_digit(at[i])) {
            return MESH_E_SYNTAX;
        }
        status = status * 10 + (uint32_t)(at[i] - '0');
    }
    at += 3;
    if (status < 100) {
        return MESH_E_SYNTAX;
    }
    head->status = (uint16_t)status;
    if (at < reader->end && *at == ' ') {
        at++;
    } else if (at < reader->end && *at != '\r') {
        return MESH_E_SYNTAX;
    }
    end = scan_value(at, reader->end, reader->start);
    if (end == reader->end) {
        return H1_STEP_MORE;
    }
    if (*end != '\r') {
        return MESH_E_SYNTAX;
    }
    head->reason = (struct h1_part){h1_offset(reader, at), (uint32_t)(end - at)};
    reader->at = end + 1;
    return H1_STEP_DONE;
}

static int h1_take_status_line(struct h1_reader *reader)
{
    int step = h1_take_version(reader, ' ');

    if (step == H1_STEP_DONE) {
        step = h1_take_status(reader);
    }
    if (step == H1_STEP_DONE) {
        step = h1_take_lf(reader);
    }
    return step;
}

/* RFC 9112 6.3: what the fields say holds only where a body can be. */
static void h1_set_response_framing(struct h1_head *head, enum h1_method request_method)
{
    uint16_t status = head->status;

    if (status == 101 || (request_method == H1_METHOD_CONNECT && status / 100 == 2)) {
        head->framing = H1_FRAMING_TUNNEL;
    } else if (request_method == H1_METHOD_HEAD || status < 200 || status == 204 || status == 304) {
        head->framing = H1_FRAMING_NONE;
    } else if (head->framing == H1_FRAMING_NONE) {
        head->framing = H1_FRAMING_UNTIL_CLOSE;
        head->flags &= (uint8_t)~H1_KEEP_ALIVE;
    }
}

int h1_parse_response(struct bytes in, enum h1_method request_method, struct h1_head *head)
{
    struct h1_reader reader;
    int step;

    h1_open(&reader, in, head);
    step = h1_take_status_line(&reader);
    if (step == H1_STEP_DONE) {
        step = h1_take_fields(&reader);
    }
    if (step == H1_STEP_DONE) {
        step = h1_read_fields(&reader);
    }
    if (step == H1_STEP_DONE) {
        h1_set_response_framing(head, request_method);
    }
    return h1_close(&reader, step);
}

bool h1_may_progress(struct bytes in, size_t seen)
{
    MUST(seen <= in.len);
    if (seen == 0 || in.len >= H1_MAX_HEAD) {
        return true;
    }
    if (seen == in.len) {
        return false;
    }
    return memchr(in.ptr + seen, '\n', in.len - seen) != NULL ||
           memchr(in.ptr + seen - 1, '\r', in.len - seen) != NULL; /* and something behind it */
}

const struct h1_field *h1_find(const struct h1_head *head, enum hdr_id id)
{
    if ((head->ids & (1u << id)) == 0) {
        return NULL;
    }
    for (uint32_t i = 0; i < head->field_count; i++) {
        if (head->fields[i].id == id) {
            return &head->fields[i];
        }
    }
    return NULL;
}
