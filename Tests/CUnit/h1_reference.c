#include "h1_reference.h"

#include <string.h>

#include "base/err.h"
#include "wire/h1.h"

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_token(struct bytes in)
{
    for (size_t i = 0; i < in.len; i++) {
        int c = in.ptr[i];

        if (!is_digit(c) && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
            (c == 0 || strchr("!#$%&'*+-.^_`|~", c) == NULL)) {
            return false;
        }
    }
    return in.len > 0;
}

static bool is_text(struct bytes in)
{
    for (size_t i = 0; i < in.len; i++) {
        if ((in.ptr[i] < 0x20 && in.ptr[i] != '\t') || in.ptr[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

static bool is(struct bytes in, const char *text)
{
    return bytes_equal(in, bytes_of(text, strlen(text)));
}

static bool is_nocase(struct bytes in, const char *text)
{
    return bytes_equal_nocase(in, bytes_of(text, strlen(text)));
}

static struct bytes trim(struct bytes in)
{
    while (in.len > 0 && (in.ptr[0] == ' ' || in.ptr[0] == '\t')) {
        in = bytes_from(in, 1);
    }
    while (in.len > 0 && (in.ptr[in.len - 1] == ' ' || in.ptr[in.len - 1] == '\t')) {
        in.len--;
    }
    return in;
}

/* Position of `c` in `in`, or in.len. */
static size_t find(struct bytes in, uint8_t c)
{
    size_t at = 0;

    while (at < in.len && in.ptr[at] != c) {
        at++;
    }
    return at;
}

/* The first line of `rest` without its CRLF; false when there is no CRLF any more. */
static bool next_line(struct bytes *rest, struct bytes *line)
{
    for (size_t i = 0; i + 1 < rest->len; i++) {
        if (rest->ptr[i] == '\r' && rest->ptr[i + 1] == '\n') {
            *line = bytes_part(*rest, 0, i);
            *rest = bytes_from(*rest, i + 2);
            return true;
        }
    }
    return false;
}

static bool next_item(struct bytes *rest, struct bytes *item)
{
    while (rest->len > 0) {
        size_t comma = find(*rest, ',');

        *item = trim(bytes_part(*rest, 0, comma));
        *rest = bytes_from(*rest, comma < rest->len ? comma + 1 : comma);
        if (item->len > 0) {
            return true;
        }
    }
    return false;
}

static bool read_field_line(struct bytes line, struct reference_field *field)
{
    static const char *const names[] = {"host",
                                        "connection",
                                        "content-length",
                                        "transfer-encoding",
                                        "te",
                                        "trailer",
                                        "upgrade",
                                        "keep-alive",
                                        "proxy-connection",
                                        "proxy-authenticate",
                                        "proxy-authorization",
                                        "expect",
                                        "via",
                                        "forwarded",
                                        "x-forwarded-for",
                                        "x-forwarded-proto",
                                        "x-forwarded-host",
                                        "x-forwarded-port",
                                        "x-real-ip",
                                        "http2-settings",
                                        "date",
                                        "server",
                                        "content-type",
                                        "content-encoding",
                                        "location",
                                        "cookie",
                                        "authorization",
                                        "traceparent",
                                        "tracestate",
                                        "sec-websocket-key"};
    size_t colon = find(line, ':');
    struct bytes raw;

    if (colon == line.len || !is_token(bytes_part(line, 0, colon)) || !is_text(line)) {
        return false;
    }
    raw = bytes_from(line, colon + 1);
    *field = (struct reference_field){.name = bytes_part(line, 0, colon), .value = trim(raw)};
    field->canonical = raw.len == field->value.len + 1 && raw.ptr[0] == ' ';
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && colon < 64; i++) {
        char folded[64];

        for (size_t j = 0; j < colon; j++) {
            folded[j] = (char)(line.ptr[j] == '_' || line.ptr[j] == '.' ? '-' : line.ptr[j]);
        }
        if (is_nocase(bytes_of(folded, colon), names[i]) && !is_nocase(field->name, names[i])) {
            field->alias = true;
        }
    }
    return true;
}

/* The fields with a name: how many, and the value of the first. */
static int count_fields(const struct reference_head *head, const char *name, struct bytes *value)
{
    int count = 0;

    for (size_t i = head->field_count; i > 0; i--) {
        if (is_nocase(head->fields[i - 1].name, name)) {
            *value = head->fields[i - 1].value;
            count++;
        }
    }
    return count;
}

static bool has_option(const struct reference_head *head, const char *field, const char *option)
{
    for (size_t i = 0; i < head->field_count; i++) {
        struct bytes rest = head->fields[i].value;
        struct bytes item;

        while (is_nocase(head->fields[i].name, field) && next_item(&rest, &item)) {
            if (is_nocase(item, option)) {
                return true;
            }
        }
    }
    return false;
}

static bool is_protected(struct bytes name)
{
    static const char *const names[] = {
        "host",      "content-length",  "transfer-encoding", "expect",           "via",
        "forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port",
        "x-real-ip", "content-type",    "content-encoding",  "traceparent",      "tracestate"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (is_nocase(name, names[i])) {
            return true;
        }
    }
    return false;
}

static bool read_nominations(struct reference_head *head)
{
    size_t options = 0;

    for (size_t i = 0; i < head->field_count; i++) {
        struct bytes rest = head->fields[i].value;
        struct bytes item;

        if (!is_nocase(head->fields[i].name, "connection")) {
            continue;
        }
        while (next_item(&rest, &item)) {
            if (is_nocase(item, "close") || is_nocase(item, "keep-alive") ||
                is_nocase(item, "upgrade")) {
                continue;
            }
            options++;
            for (size_t j = 0; j < head->field_count; j++) {
                struct reference_field *field = &head->fields[j];

                if (bytes_equal_nocase(field->name, item) && !is_protected(item)) {
                    field->nominated = true;
                }
            }
        }
    }
    return options <= 64;
}

static bool read_framing(struct reference_head *head)
{
    struct bytes length;
    struct bytes coding;
    int lengths = count_fields(head, "content-length", &length);
    int codings = count_fields(head, "transfer-encoding", &coding);

    if (codings > 0) {
        head->framing = H1_FRAMING_CHUNKED;
        return codings == 1 && lengths == 0 && head->minor == 1 && is_nocase(coding, "chunked");
    }
    if (lengths > 0) {
        if (lengths > 1 || length.len == 0 || length.len > 19 ||
            (length.ptr[0] == '0' && length.len > 1)) {
            return false;
        }
        for (size_t i = 0; i < length.len; i++) {
            if (!is_digit(length.ptr[i])) {
                return false;
            }
            head->content_length = head->content_length * 10 + length.ptr[i] - '0';
        }
        head->framing = H1_FRAMING_LENGTH;
    }
    return head->content_length <= INT64_MAX;
}

/* Everything after the first line. */
static bool read_rest(struct bytes rest, struct reference_head *head)
{
    struct bytes line;
    struct bytes upgrade = {NULL, 0};
    int upgrades;

    while (next_line(&rest, &line) && line.len > 0) {
        if (head->field_count == REFERENCE_FIELDS ||
            !read_field_line(line, &head->fields[head->field_count])) {
            return false;
        }
        head->field_count++;
    }
    if (!read_nominations(head) || !read_framing(head)) {
        return false;
    }
    if (!has_option(head, "connection", "close") &&
        (head->minor == 1 || has_option(head, "connection", "keep-alive"))) {
        head->flags |= H1_KEEP_ALIVE;
    }
    upgrades = count_fields(head, "upgrade", &upgrade);
    if (head->minor == 1 && has_option(head, "connection", "upgrade") && upgrades > 0 &&
        upgrade.len > 0) {
        head->flags |= H1_UPGRADE;
        head->flags |= upgrades == 1 && is_nocase(upgrade, "websocket") ? H1_UPGRADE_WEBSOCKET : 0;
    }
    head->flags |= has_option(head, "te", "trailers") ? H1_TE_TRAILERS : 0;
    return true;
}

static bool read_target(struct reference_head *head)
{
    struct bytes target = head->target;
    struct bytes before;
    size_t mark;

    for (size_t i = 0; i < target.len; i++) {
        if (target.ptr[i] <= 0x20 || target.ptr[i] >= 0x7f || target.ptr[i] == '#') {
            return false;
        }
    }
    if (target.len == 0 || target.len > H1_MAX_TARGET) {
        return false;
    }
    if (is(head->method, "CONNECT")) {
        head->form = H1_FORM_AUTHORITY;
        head->authority = target;
        return reference_is_authority(target, true);
    }
    if (is(target, "*")) {
        head->form = H1_FORM_ASTERISK;
        return is(head->method, "OPTIONS");
    }
    mark = find(target, '?');
    before = bytes_part(target, 0, mark);
    if (mark < target.len) {
        head->has_query = true;
        head->query = bytes_from(target, mark + 1);
    }
    if (target.ptr[0] == '/') {
        head->form = H1_FORM_ORIGIN;
        head->path = before;
        return true;
    }
    for (size_t scheme = 7; scheme <= 8; scheme++) {
        if (before.len > scheme &&
            is_nocase(bytes_part(before, 0, scheme), scheme == 7 ? "http://" : "https://")) {
            size_t slash = find(bytes_from(before, scheme), '/');

            head->form = H1_FORM_ABSOLUTE;
            head->authority = bytes_part(before, scheme, scheme + slash);
            head->path = bytes_from(before, scheme + slash);
            return reference_is_authority(head->authority, false);
        }
    }
    return false;
}

static int version_of(struct bytes text)
{
    return is(text, "HTTP/1.0") ? 0 : is(text, "HTTP/1.1") ? 1 : -1;
}

/* Whether there is a whole head; its length. */
static bool find_end(struct bytes in, size_t *length)
{
    size_t from = in.len >= 2 && in.ptr[0] == '\r' && in.ptr[1] == '\n' ? 2 : 0;

    for (size_t i = from; i + 4 <= in.len; i++) {
        if (memcmp(in.ptr + i, "\r\n\r\n", 4) == 0) {
            *length = i + 4;
            return true;
        }
    }
    return false;
}

enum reference_verdict reference_request(struct bytes in, struct reference_head *head)
{
    struct bytes rest;
    struct bytes line;
    struct bytes host = {NULL, 0};
    struct bytes expect = {NULL, 0};
    size_t first;
    size_t second;
    int hosts;
    int expects;

    memset(head, 0, sizeof(*head));
    if (!find_end(in, &head->length)) {
        return REFERENCE_INCOMPLETE;
    }
    rest = bytes_part(in, in.ptr[0] == '\r' && in.ptr[1] == '\n' ? 2 : 0, head->length);
    if (head->length > H1_MAX_HEAD || !next_line(&rest, &line)) {
        return REFERENCE_REFUSED;
    }
    first = find(line, ' ');
    if (first == line.len) {
        return REFERENCE_REFUSED;
    }
    second = first + 1 + find(bytes_from(line, first + 1), ' ');
    if (second == line.len) {
        return REFERENCE_REFUSED;
    }
    head->method = bytes_part(line, 0, first);
    head->target = bytes_part(line, first + 1, second);
    head->minor = version_of(bytes_from(line, second + 1));
    if (!is_token(head->method) || head->minor < 0 || !read_target(head) ||
        !read_rest(rest, head)) {
        return REFERENCE_REFUSED;
    }
    hosts = count_fields(head, "host", &host);
    if (hosts > 1 || (hosts == 0 && head->minor == 1) ||
        (hosts == 1 && !reference_is_authority(host, false))) {
        return REFERENCE_REFUSED;
    }
    if (head->authority.len == 0) {
        head->authority = host;
    }
    expects = head->minor == 1 ? count_fields(head, "expect", &expect) : 0;
    if (expects > 1 || (expects == 1 && !is_nocase(expect, "100-continue"))) {
        return REFERENCE_REFUSED;
    }
    head->flags |= expects == 1 ? H1_EXPECT_CONTINUE : 0;
    if (is(head->method, "CONNECT") || is(head->method, "TRACE")) {
        if (head->framing == H1_FRAMING_CHUNKED || head->content_length > 0) {
            return REFERENCE_REFUSED;
        }
        head->framing = H1_FRAMING_NONE;
    }
    return REFERENCE_ACCEPTED;
}

enum reference_verdict reference_response(struct bytes in, struct bytes request_method,
                                          struct reference_head *head)
{
    struct bytes rest;
    struct bytes line;

    memset(head, 0, sizeof(*head));
    if (!find_end(in, &head->length)) {
        return REFERENCE_INCOMPLETE;
    }
    rest = bytes_part(in, 0, head->length);
    if (head->length > H1_MAX_HEAD || !next_line(&rest, &line) || line.len < 12 ||
        line.ptr[8] != ' ') {
        return REFERENCE_REFUSED;
    }
    head->minor = version_of(bytes_part(line, 0, 8));
    for (size_t i = 9; i < 12; i++) {
        if (!is_digit(line.ptr[i])) {
            return REFERENCE_REFUSED;
        }
        head->status = head->status * 10 + line.ptr[i] - '0';
    }
    if (head->minor < 0 || head->status < 100 || (line.len > 12 && line.ptr[12] != ' ')) {
        return REFERENCE_REFUSED;
    }
    head->reason = bytes_from(line, line.len > 12 ? 13 : 12);
    if (!is_text(head->reason) || !read_rest(rest, head)) {
        return REFERENCE_REFUSED;
    }
    if (head->status == 101 ||
        (is(request_method, "CONNECT") && head->status >= 200 && head->status <= 299)) {
        head->framing = H1_FRAMING_TUNNEL;
    } else if (is(request_method, "HEAD") || head->status <= 199 || head->status == 204 ||
               head->status == 304) {
        head->framing = H1_FRAMING_NONE;
    } else if (head->framing == H1_FRAMING_NONE) {
        head->framing = H1_FRAMING_UNTIL_CLOSE;
        head->flags &= ~H1_KEEP_ALIVE;
    }
    return REFERENCE_ACCEPTED;
}
