#include "table/token.h"

#include "abi/limits.h"

/* Leading blanks off, and all from the first blank, comma or semicolon on: no token has one. */
static struct bytes token_word(struct bytes text)
{
    size_t length = 0;

    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t')) {
        text = bytes_from(text, 1);
    }
    while (length < text.len && text.ptr[length] > ' ' && text.ptr[length] != ',' &&
           text.ptr[length] != ';') {
        length++;
    }
    return bytes_of(text.ptr, length);
}

/* The value of `name` among pairs `a=b` with `mark` between them; empty: there is none. */
static struct bytes token_among(struct bytes pairs, uint8_t mark, struct bytes name)
{
    while (pairs.len > 0) {
        size_t end = 0;
        struct bytes pair;

        while (end < pairs.len && pairs.ptr[end] != mark) {
            end++;
        }
        pair = bytes_of(pairs.ptr, end);
        pairs = bytes_from(pairs, end < pairs.len ? end + 1 : end);
        while (pair.len > 0 && pair.ptr[0] == ' ') {
            pair = bytes_from(pair, 1);
        }
        if (bytes_has_prefix(pair, name) && pair.len > name.len && pair.ptr[name.len] == '=') {
            return token_word(bytes_from(pair, name.len + 1));
        }
    }
    return bytes_of(NULL, 0);
}

/* In the fields with this name: behind the prefix, or in a cookie. */
static struct bytes token_in_fields(const struct view *view, const struct abi_token_place *place,
                                    const struct route_input *input)
{
    bool cookie = place->where == ABI_TOKEN_COOKIE;
    struct bytes wanted = cookie ? BYTES_LITERAL("cookie") : view_text(view, place->name);
    struct bytes prefix = view_text(view, place->prefix);
    struct bytes found = {NULL, 0};
    struct route_field field;

    for (uint32_t i = 0; found.len == 0 && input->next_field(input->context, i, &field); i++) {
        if (!bytes_equal_nocase(field.name, wanted)) {
            continue;
        }
        if (cookie) {
            found = token_among(field.value, ';', view_text(view, place->name));
        } else if (field.value.len >= prefix.len &&
                   bytes_equal_nocase(bytes_of(field.value.ptr, prefix.len), prefix)) {
            found = token_word(bytes_from(field.value, prefix.len));
        }
    }
    return found;
}

struct bytes token_find(const struct view *view, const struct abi_token_check *check,
                        const struct route_input *input, uint32_t *place)
{
    struct bytes token = {NULL, 0};

    for (uint32_t i = 0; i < check->places.count && token.len == 0; i++) {
        const struct abi_token_place *one = &view->token_places[check->places.at + i];

        token = one->where == ABI_TOKEN_QUERY
                    ? token_among(input->query, '&', view_text(view, one->name))
                    : token_in_fields(view, one, input);
        if (place != NULL) {
            *place = check->places.at + i;
        }
    }
    return token.len <= LIMIT_TOKEN_SIZE ? token : bytes_of(NULL, 0);
}

/* Any of the checks. */
static enum route_token token_any(const struct view *view, struct abi_ref checks,
                                  const struct route_input *input)
{
    enum route_token best = ROUTE_TOKEN_FAILS;

    for (uint32_t i = 0; i < checks.count && input->judge != NULL; i++) {
        struct bytes token = token_find(view, &view->token_checks[checks.at + i], input, NULL);
        enum route_token one = ROUTE_TOKEN_FAILS;

        if (token.len > 0) {
            one = input->judge(input->judge_context, checks.at + i, token);
        }
        if (one == ROUTE_TOKEN_HOLDS) {
            return one;
        }
        best = one == ROUTE_TOKEN_UNKNOWN ? one : best;
    }
    return best;
}

enum route_token token_judge(const struct view *view, uint32_t number,
                             const struct route_input *input)
{
    enum route_token all = ROUTE_TOKEN_HOLDS;

    for (uint32_t i = 0; number != 0 && i < LIMIT_TOKEN_ALSO; i++) {
        const struct abi_token *token = &view->tokens[number - 1];
        enum route_token one = token_any(view, token->checks, input);

        if (one == ROUTE_TOKEN_FAILS) {
            return one;
        }
        all = one == ROUTE_TOKEN_UNKNOWN ? one : all;
        number = token->also;
    }
    return number == 0 ? all : ROUTE_TOKEN_FAILS;
}

struct bytes token_payload(struct bytes token)
{
    size_t dots[2];
    uint32_t count = 0;

    for (size_t i = 0; i < token.len; i++) {
        if (token.ptr[i] == '.') {
            if (count == 2) {
                return bytes_of(NULL, 0);
            }
            dots[count++] = i;
        }
    }
    return count == 2 ? bytes_of(token.ptr + dots[0] + 1, dots[1] - dots[0] - 1)
                      : bytes_of(NULL, 0);
}
