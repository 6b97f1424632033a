#include "table/route.h"

#include "slots.h"

/* --- automata --- */

/* Bytes of the character that begins here: 2 to 4 when it is well-formed UTF-8 beyond ASCII (RFC
 * 3629), else 0. */
static size_t utf8_length(struct bytes in)
{
    uint8_t lead = in.ptr[0];
    size_t length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    uint8_t least = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    uint8_t most = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;

    if (lead < 0xc2 || lead > 0xf4 || in.len < length || in.ptr[1] < least || in.ptr[1] > most) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if ((in.ptr[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return length;
}

/* An expression is about characters. A byte that is part of none stands for U+FFFD, so that `.` and
 * `[^a]` take it: a rule that denies by expression must not be evaded by a byte like that. */
bool route_dfa_accepts(const struct view *view, uint32_t dfa, struct bytes in)
{
    const struct bytes unreadable = BYTES_LITERAL("\xef\xbf\xbd");
    const struct abi_dfa *record = &view->dfas[dfa];
    const uint16_t *rows = (const uint16_t *)(const void *)(view->blob + record->table);
    const uint8_t *accepts = view->blob + record->table + (size_t)record->states * 512;
    uint32_t state = 1;

    for (size_t i = 0; i < in.len && state != 0;) {
        struct bytes rest = bytes_from(in, i);
        size_t length;

        if (rest.ptr[0] < 0x80) {
            state = rows[state * 256 + rest.ptr[0]];
            i++;
            continue;
        }
        length = utf8_length(rest);
        rest = length == 0 ? unreadable : bytes_part(rest, 0, length);
        for (size_t k = 0; k < rest.len; k++) {
            state = rows[state * 256 + rest.ptr[k]];
        }
        i += length == 0 ? 1 : length;
    }
    return accepts[state] != 0;
}

/* --- fields and query parameters --- */

static bool equal(struct bytes a, struct bytes b, bool ignore_case)
{
    return ignore_case ? bytes_equal_nocase(a, b) : bytes_equal(a, b);
}

static bool contains(struct bytes in, struct bytes part, bool ignore_case)
{
    for (size_t at = 0; at + part.len <= in.len; at++) {
        if (equal(bytes_part(in, at, at + part.len), part, ignore_case)) {
            return true;
        }
    }
    return false;
}

/* Whether one value of the subject satisfies the match, before inversion. */
static bool value_matches(const struct view *view, const struct abi_match *match,
                          struct bytes value)
{
    struct bytes wanted = view_text(view, match->value);
    bool ignore_case = match->ignore_case != 0;

    switch ((enum abi_match_kind)match->kind) {
    case ABI_MATCH_PRESENT:
        return true;
    case ABI_MATCH_EXACT:
        return equal(value, wanted, ignore_case);
    case ABI_MATCH_PREFIX:
        return value.len >= wanted.len &&
               equal(bytes_part(value, 0, wanted.len), wanted, ignore_case);
    case ABI_MATCH_SUFFIX:
        return value.len >= wanted.len &&
               equal(bytes_from(value, value.len - wanted.len), wanted, ignore_case);
    case ABI_MATCH_CONTAINS:
        return contains(value, wanted, ignore_case);
    case ABI_MATCH_REGEX:
        return route_dfa_accepts(view, match->dfa, value);
    case ABI_MATCH_KIND_COUNT:
        break;
    }
    return false;
}

/* What is known of a subject's values after all of them were seen. */
struct seen {
    bool present;
    bool matched;
};

static struct seen look_at_fields(const struct view *view, const struct abi_match *match,
                                  const struct route_input *input)
{
    struct bytes name = view_text(view, match->name);
    struct seen seen = {false, false};
    struct route_field field;

    if (input->next_field == NULL) {
        return seen;
    }
    for (uint32_t i = 0; !seen.matched && input->next_field(input->context, i, &field); i++) {
        if (bytes_equal_nocase(field.name, name)) {
            seen.present = true;
            seen.matched = value_matches(view, match, field.value);
        }
    }
    return seen;
}

static int hex_digit(uint8_t c)
{
    uint8_t letter = bytes_lower(c);

    if ((uint8_t)(c - '0') < 10) {
        return c - '0';
    }
    return (uint8_t)(letter - 'a') < 6 ? letter - 'a' + 10 : -1;
}

/* Decodes `%41` and `+` into `out`, which has room for in.len bytes; broken escapes stay as they
 * are. */
static struct bytes decode(struct bytes in, uint8_t *out)
{
    size_t to = 0;

    for (size_t i = 0; i < in.len; i++) {
        int high = -1, low = -1;

        if (in.ptr[i] == '%' && in.len - i > 2) {
            high = hex_digit(in.ptr[i + 1]);
            low = hex_digit(in.ptr[i + 2]);
        }
        if (high >= 0 && low >= 0) {
            out[to++] = (uint8_t)(high * 16 + low);
            i += 2;
        } else {
            out[to++] = in.ptr[i] == '+' ? ' ' : in.ptr[i];
        }
    }
    return bytes_of(out, to);
}

static size_t find(struct bytes in, uint8_t c)
{
    const uint8_t *at = in.len == 0 ? NULL : memchr(in.ptr, c, in.len);

    return at == NULL ? in.len : (size_t)(at - in.ptr);
}

/* Not inlined: its buffer would cost every caller. */
[[gnu::noinline]] static struct seen look_at_query(const struct view *view,
                                                   const struct abi_match *match,
                                                   const struct route_input *input)
{
    struct bytes name = view_text(view, match->name);
    struct bytes rest = input->query;
    struct seen seen = {false, false};
    uint8_t decoded[LIMIT_TEXT];

    while (!seen.matched && rest.len > 0) {
        size_t end = find(rest, '&');
        struct bytes pair = bytes_part(rest, 0, end);
        size_t equals = find(pair, '=');

        rest = bytes_from(rest, end < rest.len ? end + 1 : end);
        /* A longer pair cannot come from a request line within its limit. */
        if (pair.len == 0 || pair.len > sizeof(decoded)) {
            continue;
        }
        if (bytes_equal(decode(bytes_part(pair, 0, equals), decoded), name)) {
            struct bytes raw = bytes_from(pair, equals < pair.len ? equals + 1 : equals);

            seen.present = true;
            seen.matched = value_matches(view, match, decode(raw, decoded));
        }
    }
    return seen;
}

static bool match_holds(const struct view *view, const struct abi_match *match,
                        const struct route_input *input)
{
    struct seen seen = match->subject == ABI_MATCH_HEADER ? look_at_fields(view, match, input)
                                                          : look_at_query(view, match, input);

    if (!seen.present) {
        return match->kind == ABI_MATCH_PRESENT && match->invert != 0;
    }
    return seen.matched != (match->invert != 0);
}

[[gnu::noinline]] static bool each_holds(const struct view *view, struct abi_ref matches,
                                         const struct route_input *input)
{
    for (uint32_t i = 0; i < matches.count; i++) {
        if (!match_holds(view, &view->matches[matches.at + i], input)) {
            return false;
        }
    }
    return true;
}

bool route_matches_all(const struct view *view, struct abi_ref matches,
                       const struct route_input *input)
{
    return matches.count == 0 || each_holds(view, matches, input);
}

/* --- routes --- */

bool route_path_matches(const struct view *view, uint8_t kind, struct abi_text path, uint32_t dfa,
                        struct bytes value)
{
    switch ((enum abi_path_kind)kind) {
    case ABI_PATH_ANY:
        return true;
    case ABI_PATH_EXACT:
        return bytes_equal(value, view_text(view, path));
    case ABI_PATH_PREFIX:
        return bytes_has_prefix(value, view_text(view, path));
    case ABI_PATH_REGEX:
        return route_dfa_accepts(view, dfa, value);
    case ABI_PATH_KIND_COUNT:
        break;
    }
    return false;
}

static inline bool methods_match(uint32_t methods, const struct route_input *input)
{
    return methods == ABI_METHODS_ALL || (methods & input->method) != 0;
}

bool route_matches(const struct view *view, const struct abi_route *route,
                   const struct route_input *input, const char **why_not)
{
    const char *why = NULL;

    if (!route_path_matches(view, route->path_kind, route->path, route->path_dfa, input->path)) {
        why = "the path does not match";
    } else if (!methods_match(route->methods, input)) {
        why = "the method does not match";
    } else if (!route_matches_all(view, route->matches, input)) {
        why = "a header or query parameter does not match";
    }
    if (why_not != NULL) {
        *why_not = why;
    }
    return why == NULL;
}

_Static_assert(offsetof(struct abi_host, name) == 0, "slots_find");

static const struct abi_host *find_slot(const struct view *view, struct abi_ref hosts,
                                        bool wildcard, struct bytes name)
{
    struct slots slots = {view->hosts + hosts.at, sizeof(struct abi_host), hosts.count};

    return slots_find(view, slots, wildcard, name);
}

/* A host's own slot, else that of the longest `*.suffix`, else the table's list. */
static struct abi_ref routes_of_host(const struct view *view, const struct abi_route_table *table,
                                     struct bytes host)
{
    const struct abi_host *slot = find_slot(view, table->hosts, false, host);

    while (slot == NULL && host.len > 0) {
        size_t dot = find(bytes_from(host, 1), '.') + 1;

        if (dot >= host.len) {
            break;
        }
        host = bytes_from(host, dot);
        slot = find_slot(view, table->hosts, true, host);
    }
    return slot != NULL ? slot->routes : table->routes;
}

struct abi_ref route_candidates(const struct view *view, uint32_t route_table, struct bytes host)
{
    const struct abi_route_table *table = &view->route_tables[route_table];

    return table->hosts.count == 0 ? table->routes : routes_of_host(view, table, host);
}

uint32_t route_find(const struct view *view, uint32_t route_table, const struct route_input *input)
{
    struct abi_ref list = route_candidates(view, route_table, input->host);

    for (uint32_t i = 0; i < list.count; i++) {
        uint32_t index = view->route_list[list.at + i];
        const struct abi_route *route = &view->routes[index];

        if (route_path_matches(view, route->path_kind, route->path, route->path_dfa, input->path) &&
            methods_match(route->methods, input) &&
            route_matches_all(view, route->matches, input)) {
            return index;
        }
    }
    return ABI_NONE;
}

uint32_t route_split(const struct view *view, struct abi_ref splits, uint32_t number)
{
    uint32_t last = splits.at + splits.count - 1;

    for (uint32_t i = splits.at; i < last; i++) {
        if (number < view->splits[i].weight) {
            return i;
        }
        number -= view->splits[i].weight;
    }
    return last;
}
