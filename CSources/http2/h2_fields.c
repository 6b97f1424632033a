/* HTTP/1.1 text becomes a list of fields. The text is our own: written by the proxy from heads that
 * were parsed. The library lowers the names and copies all, but for names that most heads have:
 * those it is lent. */
#include <string.h>

#include "h2_private.h"

/* A place for the next field, or NULL: there are more than anybody is sent. */
static inline nghttp2_nv *place(struct h2_list *list)
{
    return list->count == H2_MAX_LIST ? NULL : &list->fields[list->count];
}

/* One of the pseudo fields, in front of all others; `name` is static. */
static void add(struct h2_list *list, struct bytes name, struct bytes value)
{
    list->fields[list->count++] = (nghttp2_nv){
        .name = (uint8_t *)(uintptr_t)name.ptr,
        .value = (uint8_t *)(uintptr_t)value.ptr,
        .namelen = name.len,
        .valuelen = value.len,
        .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME,
    };
}

#define IS(name, literal) bytes_equal_nocase((name), BYTES_LITERAL(literal))

static inline struct bytes name_of(const nghttp2_nv *field)
{
    return bytes_of(field->name, field->namelen);
}

/* Eight bytes in lower case, if they are letters and `-`. What else becomes such a byte is no part
 * of a name: the heads were parsed. */
static inline uint64_t lower8(const uint8_t *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
    return word | 0x2020202020202020ULL;
}

static inline uint32_t lower4(const uint8_t *at)
{
    uint32_t word;

    memcpy(&word, at, sizeof(word));
    return word | 0x20202020u;
}

/* Whether the field has this name of 4 to 16 bytes, in lower case, and the same length as it is
 * known to have. Then static memory takes the name's place, which the library need not copy. */
static inline bool lend(nghttp2_nv *field, struct bytes name)
{
    const uint8_t *a = field->name;
    const uint8_t *b = name.ptr;
    bool same =
        name.len < 8
            ? lower4(a) == lower4(b) && lower4(a + name.len - 4) == lower4(b + name.len - 4)
            : lower8(a) == lower8(b) && lower8(a + name.len - 8) == lower8(b + name.len - 8);

    if (same) {
        field->name = (uint8_t *)(uintptr_t)b;
        field->flags = NGHTTP2_NV_FLAG_NO_COPY_NAME;
    }
    return same;
}

#define LEND(field, literal) lend((field), BYTES_LITERAL(literal))

/* Whether the field goes to the peer: those of a connection of HTTP/1.1 do not (RFC 9113 8.2.2). A
 * name that most heads have is lent on the way. */
static inline bool passes(nghttp2_nv *field)
{
    struct bytes name = name_of(field);

    switch (name.len) {
    case 4:
        return LEND(field, "date") || LEND(field, "etag") || LEND(field, "vary") || true;
    case 6:
        return LEND(field, "server") || LEND(field, "accept") || LEND(field, "cookie") || true;
    case 7:
        return !IS(name, "upgrade");
    case 10:
        return LEND(field, "user-agent") || LEND(field, "set-cookie") ||
               !(IS(name, "connection") || IS(name, "keep-alive"));
    case 12:
        return LEND(field, "content-type") || LEND(field, "grpc-timeout") || true;
    case 13:
        return LEND(field, "cache-control") || LEND(field, "last-modified") || true;
    case 14:
        return LEND(field, "content-length") || !IS(name, "http2-settings");
    case 15:
        return LEND(field, "x-forwarded-for") || LEND(field, "accept-encoding") || true;
    case 16:
        return LEND(field, "content-encoding") || !IS(name, "proxy-connection");
    case 17:
        return !IS(name, "transfer-encoding");
    default:
        return true;
    }
}

enum h2_step {
    STEP_NONE = 0, /* an empty line, or no whole one */
    STEP_FIELD,
    STEP_WRONG
};

static inline bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

/* The line at the start of *rest; only a field is cut off. Pointers, since every line of every head
 * goes through here. */
static inline enum h2_step take_field(struct bytes *rest, nghttp2_nv *field)
{
    const uint8_t *at = rest->ptr;
    const uint8_t *end = rest->len == 0 ? NULL : memchr(at, '\n', rest->len);
    const uint8_t *colon;
    const uint8_t *value;
    const uint8_t *next;

    if (end == NULL) {
        return STEP_NONE;
    }
    next = end + 1;
    end -= end > at && end[-1] == '\r';
    if (end == at) {
        return STEP_NONE;
    }
    colon = memchr(at, ':', (size_t)(end - at));
    if (colon == NULL || colon == at) {
        return STEP_WRONG;
    }
    for (value = colon + 1; value < end && is_blank(*value);) {
        value++;
    }
    while (end > value && is_blank(end[-1])) {
        end--;
    }
    field->name = (uint8_t *)(uintptr_t)at;
    field->value = (uint8_t *)(uintptr_t)value;
    field->namelen = (size_t)(colon - at);
    field->valuelen = (size_t)(end - value);
    field->flags = NGHTTP2_NV_FLAG_NONE;
    rest->len -= (size_t)(next - at);
    rest->ptr = next;
    return STEP_FIELD;
}

/* Cuts the first line off, without its end; false: there is no whole one. */
static bool take_line(struct bytes *rest, struct bytes *line)
{
    const uint8_t *end = rest->len == 0 ? NULL : memchr(rest->ptr, '\n', rest->len);
    size_t length;

    if (end == NULL) {
        return false;
    }
    length = (size_t)(end - rest->ptr);
    *line = bytes_of(rest->ptr, length > 0 && end[-1] == '\r' ? length - 1 : length);
    *rest = bytes_from(*rest, length + 1);
    return true;
}

bool h2_list_answer(struct h2_list *list, struct bytes text)
{
    nghttp2_nv *field;
    struct bytes line;
    enum h2_step step = STEP_FIELD;
    bool upgrade;

    list->count = 0;
    if (!take_line(&text, &line) || line.len < 12) {
        return false;
    }
    upgrade = memcmp(line.ptr + 9, "101", 3) == 0; /* extended CONNECT is answered by 200 */
    list->status =
        (uint16_t)((line.ptr[9] - '0') * 100 + (line.ptr[10] - '0') * 10 + (line.ptr[11] - '0'));
    list->status = upgrade ? 200 : list->status;
    add(list, BYTES_LITERAL(":status"), upgrade ? BYTES_LITERAL("200") : bytes_of(line.ptr + 9, 3));
    while ((field = place(list)) != NULL && (step = take_field(&text, field)) == STEP_FIELD) {
        list->count += passes(field) && !(upgrade && IS(name_of(field), "sec-websocket-accept"));
    }
    return field != NULL && step == STEP_NONE;
}

bool h2_list_trailers(struct h2_list *list, struct bytes lines)
{
    nghttp2_nv *field;

    list->count = 0;
    while (lines.len > 0) {
        field = place(list);
        if (field == NULL || take_field(&lines, field) != STEP_FIELD) {
            return false;
        }
        list->count += passes(field);
    }
    return true;
}

/* Places of the pseudo fields in the list of a request. */
enum { AT_METHOD = 0, AT_SCHEME, AT_AUTHORITY, AT_PATH, AT_PROTOCOL };

static void set(struct h2_list *list, size_t at, struct bytes value)
{
    list->fields[at].value = (uint8_t *)(uintptr_t)value.ptr;
    list->fields[at].valuelen = value.len;
}

/* `METHOD target HTTP/1.1` */
static bool set_request_line(struct h2_list *list, struct bytes line)
{
    const uint8_t *blank = line.len == 0 ? NULL : memchr(line.ptr, ' ', line.len);
    size_t method = blank == NULL ? 0 : (size_t)(blank - line.ptr);

    if (method == 0 || line.len < method + 1 + 9) {
        return false;
    }
    set(list, AT_METHOD, bytes_part(line, 0, method));
    set(list, AT_PATH, bytes_part(line, method + 1, line.len - 9));
    return true;
}

/* The key of an upgrade means nothing to extended CONNECT (RFC 8441 5). */
static void drop_key(struct h2_list *list)
{
    size_t to = AT_PROTOCOL + 1;

    for (size_t from = to; from < list->count; from++) {
        struct bytes name = bytes_of(list->fields[from].name, list->fields[from].namelen);

        if (!IS(name, "sec-websocket-key")) {
            list->fields[to++] = list->fields[from];
        }
    }
    list->count = to;
}

/* A tunnel's request has neither scheme nor path (RFC 9113 8.5); with a protocol it has all. */
static void set_connect(struct h2_list *list, bool upgrade)
{
    if (upgrade) {
        set(list, AT_METHOD, BYTES_LITERAL("CONNECT"));
        drop_key(list);
        return;
    }
    memmove(list->fields + 1, list->fields + AT_AUTHORITY, sizeof(list->fields[0]));
    memmove(list->fields + 2, list->fields + AT_PROTOCOL + 1,
            (list->count - AT_PROTOCOL - 1) * sizeof(list->fields[0]));
    list->count -= 3;
}

bool h2_list_request(struct h2_list *list, struct bytes text, bool secure)
{
    struct bytes line;
    nghttp2_nv *field;
    enum h2_step step = STEP_FIELD;
    bool upgrade = false;
    bool connect;

    list->count = 0;
    add(list, BYTES_LITERAL(":method"), bytes_of(NULL, 0));
    add(list, BYTES_LITERAL(":scheme"), secure ? BYTES_LITERAL("https") : BYTES_LITERAL("http"));
    add(list, BYTES_LITERAL(":authority"), bytes_of(NULL, 0));
    add(list, BYTES_LITERAL(":path"), bytes_of(NULL, 0));
    add(list, BYTES_LITERAL(":protocol"), BYTES_LITERAL("websocket"));
    if (!take_line(&text, &line) || !set_request_line(list, line)) {
        return false;
    }
    while ((field = place(list)) != NULL && (step = take_field(&text, field)) == STEP_FIELD) {
        if (field->namelen == 4 && IS(name_of(field), "host")) {
            list->fields[AT_AUTHORITY].value = field->value;
            list->fields[AT_AUTHORITY].valuelen = field->valuelen;
        } else if (field->namelen == 7 && IS(name_of(field), "upgrade")) {
            upgrade = IS(bytes_of(field->value, field->valuelen), "websocket");
        } else if (passes(field)) {
            list->count++;
        }
    }
    if (field == NULL || step != STEP_NONE) {
        return false;
    }
    connect = list->fields[AT_METHOD].valuelen == 7 &&
              memcmp(list->fields[AT_METHOD].value, "CONNECT", 7) == 0;
    if (connect || upgrade) {
        set_connect(list, upgrade);
    } else {
        memmove(list->fields + AT_PROTOCOL, list->fields + AT_PROTOCOL + 1,
                (list->count - AT_PROTOCOL - 1) * sizeof(list->fields[0]));
        list->count--;
    }
    return true;
}
