/* HTTP/1.1 text becomes a list of fields. The text is our own: written by the proxy from heads that
 * were parsed. The library lowers the names and copies all. */
#include <string.h>

#include "h2_private.h"

static void add(struct h2_list *list, struct bytes name, struct bytes value)
{
    if (list->count == H2_MAX_LIST) {
        list->full = true;
        return;
    }
    list->fields[list->count++] = (nghttp2_nv){
        .name = (uint8_t *)(uintptr_t)name.ptr,
        .value = (uint8_t *)(uintptr_t)value.ptr,
        .namelen = name.len,
        .valuelen = value.len,
        .flags = NGHTTP2_NV_FLAG_NONE,
    };
}

#define IS(name, literal) bytes_equal_nocase((name), BYTES_LITERAL(literal))

/* Fields of a connection of HTTP/1.1 (RFC 9113 8.2.2). */
static bool is_of_connection(struct bytes name)
{
    switch (name.len) {
    case 7:
        return IS(name, "upgrade");
    case 10:
        return IS(name, "connection") || IS(name, "keep-alive");
    case 14:
        return IS(name, "http2-settings");
    case 16:
        return IS(name, "proxy-connection");
    case 17:
        return IS(name, "transfer-encoding");
    default:
        return false;
    }
}

/* The line at the start of *rest, without its end; false: none is left. */
static bool next_line(struct bytes *rest, struct bytes *line)
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

static bool split(struct bytes line, struct bytes *name, struct bytes *value)
{
    const uint8_t *colon = line.len == 0 ? NULL : memchr(line.ptr, ':', line.len);
    size_t at;
    size_t end = line.len;

    if (colon == NULL || colon == line.ptr) {
        return false;
    }
    at = (size_t)(colon - line.ptr);
    *name = bytes_part(line, 0, at);
    for (at++; at < end && (line.ptr[at] == ' ' || line.ptr[at] == '\t');) {
        at++;
    }
    while (end > at && (line.ptr[end - 1] == ' ' || line.ptr[end - 1] == '\t')) {
        end--;
    }
    *value = bytes_part(line, at, end);
    return true;
}

bool h2_list_answer(struct h2_list *list, struct bytes text)
{
    struct bytes line;
    struct bytes name;
    struct bytes value;
    bool upgrade;

    list->count = 0;
    list->full = false;
    if (!next_line(&text, &line) || line.len < 12) {
        return false;
    }
    upgrade = memcmp(line.ptr + 9, "101", 3) == 0; /* extended CONNECT is answered by 200 */
    list->status =
        (uint16_t)((line.ptr[9] - '0') * 100 + (line.ptr[10] - '0') * 10 + (line.ptr[11] - '0'));
    list->status = upgrade ? 200 : list->status;
    add(list, BYTES_LITERAL(":status"), upgrade ? BYTES_LITERAL("200") : bytes_of(line.ptr + 9, 3));
    while (next_line(&text, &line) && line.len > 0) {
        if (!split(line, &name, &value)) {
            return false;
        }
        if (!is_of_connection(name) && !(upgrade && IS(name, "sec-websocket-accept"))) {
            add(list, name, value);
        }
    }
    return !list->full;
}

bool h2_list_trailers(struct h2_list *list, struct bytes lines)
{
    struct bytes line;
    struct bytes name;
    struct bytes value;

    list->count = 0;
    list->full = false;
    while (next_line(&lines, &line)) {
        if (!split(line, &name, &value)) {
            return false;
        }
        if (!is_of_connection(name)) {
            add(list, name, value);
        }
    }
    return !list->full;
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
    struct bytes name;
    struct bytes value;
    bool upgrade = false;
    bool connect;

    list->count = 0;
    list->full = false;
    add(list, BYTES_LITERAL(":method"), bytes_of(NULL, 0));
    add(list, BYTES_LITERAL(":scheme"), secure ? BYTES_LITERAL("https") : BYTES_LITERAL("http"));
    add(list, BYTES_LITERAL(":authority"), bytes_of(NULL, 0));
    add(list, BYTES_LITERAL(":path"), bytes_of(NULL, 0));
    add(list, BYTES_LITERAL(":protocol"), BYTES_LITERAL("websocket"));
    if (!next_line(&text, &line) || !set_request_line(list, line)) {
        return false;
    }
    while (next_line(&text, &line) && line.len > 0) {
        if (!split(line, &name, &value)) {
            return false;
        }
        if (IS(name, "host")) {
            set(list, AT_AUTHORITY, value);
        } else if (IS(name, "upgrade")) {
            upgrade = IS(value, "websocket");
        } else if (!is_of_connection(name)) {
            add(list, name, value);
        }
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
    return !list->full;
}
