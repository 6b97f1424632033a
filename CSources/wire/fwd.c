#include "wire/fwd.h"

#include "base/err.h"
#include "scan_plain.h"
#include "wire/uri.h"

static bool fwd_is_letter(uint8_t c)
{
    return (uint8_t)((c | 0x20) - 'a') < 26;
}

/* `_` and at least one letter, digit, `.`, `_` or `-` (RFC 7239 6.3). */
static bool fwd_is_obfuscated(struct bytes text)
{
    if (text.len < 2 || text.ptr[0] != '_') {
        return false;
    }
    for (size_t i = 1; i < text.len; i++) {
        uint8_t c = text.ptr[i];

        if (!fwd_is_letter(c) && !scan_is_digit(c) && c != '.' && c != '_' && c != '-') {
            return false;
        }
    }
    return true;
}

bool fwd_is_scheme(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];

        if (!fwd_is_letter(c) &&
            (i == 0 || (!scan_is_digit(c) && c != '+' && c != '-' && c != '.'))) {
            return false;
        }
    }
    return text.len > 0;
}

/* Divides `name:port`, where a name in brackets may have colons. false: brackets that do not match.
 * The port is empty when there is none; `*has_port` tells a colon with nothing behind it. */
static bool fwd_split_port(struct bytes text, struct bytes *name, struct bytes *port,
                           bool *bracketed)
{
    size_t at = 0;

    *bracketed = text.len > 0 && text.ptr[0] == '[';
    while (at < text.len && text.ptr[at] != (*bracketed ? ']' : ':')) {
        at++;
    }
    *name = bytes_part(text, *bracketed ? 1 : 0, at);
    if (*bracketed) {
        if (at == text.len) {
            return false;
        }
        at++;
    }
    *port = bytes_from(text, at);
    return port->len == 0 || (port->ptr[0] == ':' && port->len > 1);
}

/* RFC 7239 6. */
static bool fwd_parse_node(struct bytes text, struct fwd_node *node)
{
    struct bytes port;
    bool bracketed;

    if (!fwd_split_port(text, &node->name, &port, &bracketed)) {
        return false;
    }
    if (port.len > 0) {
        port = bytes_from(port, 1);
        if (!fwd_is_obfuscated(port) && !ip_parse_port(port, &node->port)) {
            return false;
        }
    }
    if (bracketed ? ip_parse6(node->name, &node->ip) : ip_parse4(node->name, &node->ip)) {
        node->kind = FWD_NODE_IP;
        return true;
    }
    if (bracketed) {
        return false;
    }
    if (bytes_equal_nocase(node->name, BYTES_LITERAL("unknown"))) {
        node->kind = FWD_NODE_UNKNOWN;
        return true;
    }
    node->kind = FWD_NODE_OBFUSCATED;
    return fwd_is_obfuscated(node->name);
}

static bool fwd_is_host(struct bytes text)
{
    uint8_t normal[URI_MAX_HOST + 1];
    uint16_t port;

    return uri_normal_host(text, normal, &port) >= 0;
}

/* A token, or a quoted string: *value is what is inside, *escaped says that it has quoted pairs.
 * Bytes taken from `in`, 0 when it begins with neither. */
static size_t fwd_value(struct bytes in, struct bytes *value, bool *escaped)
{
    size_t at = 0;

    *escaped = false;
    if (in.len == 0 || in.ptr[0] != '"') {
        while (at < in.len && scan_is(in.ptr[at], SCAN_TOKEN)) {
            at++;
        }
        *value = bytes_part(in, 0, at);
        return at;
    }
    for (at = 1; at < in.len && in.ptr[at] != '"'; at++) {
        uint8_t c = in.ptr[at];

        if (c == '\\') {
            *escaped = true;
            at++;
            if (at == in.len) {
                return 0;
            }
            c = in.ptr[at];
        }
        if ((c < ' ' && c != '\t') || c == 0x7f) {
            return 0;
        }
    }
    if (at == in.len) {
        return 0;
    }
    *value = bytes_part(in, 1, at);
    return at + 1;
}

struct fwd_names { /* of the parameters of one element */
    struct bytes names[FWD_MAX_PAIRS];
    uint32_t count;
};

static bool fwd_is_new(struct fwd_names *seen, struct bytes name)
{
    for (uint32_t i = 0; i < seen->count; i++) {
        if (bytes_equal_nocase(seen->names[i], name)) {
            return false;
        }
    }
    seen->names[seen->count++] = name;
    return true;
}

static bool fwd_take_pair(struct fwd_element *element, struct bytes name, struct bytes value)
{
    if (bytes_equal_nocase(name, BYTES_LITERAL("for"))) {
        return fwd_parse_node(value, &element->client);
    }
    if (bytes_equal_nocase(name, BYTES_LITERAL("by"))) {
        return fwd_parse_node(value, &element->by);
    }
    if (bytes_equal_nocase(name, BYTES_LITERAL("host"))) {
        element->host = value;
        return fwd_is_host(value);
    }
    if (bytes_equal_nocase(name, BYTES_LITERAL("proto"))) {
        element->proto = value;
        return fwd_is_scheme(value);
    }
    return true;
}

static bool fwd_is_ours(struct bytes name)
{
    return bytes_equal_nocase(name, BYTES_LITERAL("for")) ||
           bytes_equal_nocase(name, BYTES_LITERAL("by")) ||
           bytes_equal_nocase(name, BYTES_LITERAL("host")) ||
           bytes_equal_nocase(name, BYTES_LITERAL("proto"));
}

/* One `token=value` at *at; MESH_OK or why not. */
static int fwd_pair(struct bytes in, size_t *at, struct fwd_names *seen,
                    struct fwd_element *element)
{
    size_t start = *at;
    struct bytes name;
    struct bytes value;
    size_t taken;
    bool escaped;

    while (*at < in.len && scan_is(in.ptr[*at], SCAN_TOKEN)) {
        (*at)++;
    }
    name = bytes_part(in, start, *at);
    if (name.len == 0 || *at == in.len || in.ptr[*at] != '=') {
        return MESH_E_SYNTAX;
    }
    (*at)++;
    taken = fwd_value(bytes_from(in, *at), &value, &escaped);
    *at += taken;
    if (taken == 0 || (escaped && fwd_is_ours(name))) {
        return MESH_E_SYNTAX;
    }
    if (seen->count == FWD_MAX_PAIRS) {
        return MESH_E_TOO_MANY;
    }
    return fwd_is_new(seen, name) && fwd_take_pair(element, name, value) ? MESH_OK : MESH_E_SYNTAX;
}

/* The pairs of one element, from *at to its comma or the end. */
static int fwd_pairs(struct bytes in, size_t *at, struct fwd_element *element)
{
    struct fwd_names seen = {.count = 0};
    int result;

    while (true) {
        if (*at < in.len && in.ptr[*at] != ';') { /* a pair may be missing between semicolons */
            result = fwd_pair(in, at, &seen, element);
            if (result != MESH_OK) {
                return result;
            }
        }
        if (*at == in.len || in.ptr[*at] != ';') {
            return MESH_OK;
        }
        (*at)++;
        if (*at == in.len || in.ptr[*at] == ',' || scan_is_blank(in.ptr[*at])) {
            return MESH_OK; /* nothing behind the last semicolon */
        }
    }
}

int fwd_next(struct bytes *rest, struct fwd_element *element)
{
    struct bytes in = *rest;
    size_t at = 0;
    size_t start;
    int result;

    memset(element, 0, sizeof(*element));
    while (at < in.len && (in.ptr[at] == ',' || scan_is_blank(in.ptr[at]))) {
        at++;
    }
    if (at == in.len) {
        *rest = bytes_from(in, at);
        return 0;
    }
    start = at;
    result = fwd_pairs(in, &at, element);
    if (result != MESH_OK) {
        return result;
    }
    element->text = bytes_part(in, start, at);
    while (at < in.len && scan_is_blank(in.ptr[at])) {
        at++;
    }
    if (at < in.len && in.ptr[at] != ',') {
        return MESH_E_SYNTAX;
    }
    *rest = bytes_from(in, at);
    return 1;
}

int fwd_last_address(struct bytes *rest, struct ip_address *ip, struct bytes *text)
{
    while (rest->len > 0) {
        size_t end = rest->len;
        size_t start;
        struct bytes port;
        bool bracketed;
        bool good;
        uint16_t number;

        while (end > 0 && scan_is_blank(rest->ptr[end - 1])) {
            end--;
        }
        start = end;
        while (start > 0 && rest->ptr[start - 1] != ',') {
            start--;
        }
        *text = bytes_part(*rest, start, end);
        while (text->len > 0 && scan_is_blank(text->ptr[0])) {
            *text = bytes_from(*text, 1);
        }
        *rest = bytes_part(*rest, 0, start > 0 ? start - 1 : 0);
        if (text->len == 0) {
            continue; /* an empty element */
        }
        if (ip_parse(*text, ip)) {
            return 1;
        }
        good = fwd_split_port(*text, text, &port, &bracketed) &&
               (port.len == 0 || ip_parse_port(bytes_from(port, 1), &number)) &&
               (bracketed ? ip_parse6(*text, ip) : ip_parse4(*text, ip));
        return good ? 1 : MESH_E_SYNTAX;
    }
    return 0;
}
