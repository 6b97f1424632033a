/* Rules of what permissions ask of tokens. */
#include "view_walk.h"

#include "abi/limits.h"

static bool is_zero(const uint8_t *bytes, size_t count)
{
    uint8_t all = 0;

    for (size_t i = 0; i < count; i++) {
        all |= bytes[i];
    }
    return all == 0;
}

static bool check_token(struct view_walk *walk)
{
    const struct view *view = walk->view;
    const struct abi_token *token = &view->tokens[walk->record];

    return view_rule(walk, token->_pad0 == 0, ABI_REFUSAL_PADDING, "token") &&
           view_rule(walk, token->checks.count > 0, ABI_REFUSAL_VALUE, "a token without checks") &&
           view_ref(walk, token->checks, ABI_SECTION_TOKEN_CHECK, "checks of a token") &&
           /* Forwards only: no walk along them goes round. */
           view_rule(walk, token->also == 0 || token->also > walk->record + 1, ABI_REFUSAL_ORDER,
                     "tokens that ask for earlier ones") &&
           view_rule(walk, token->also <= view->counts[ABI_SECTION_TOKEN], ABI_REFUSAL_REFERENCE,
                     "token that is also asked for");
}

static bool check_token_check(struct view_walk *walk)
{
    const struct abi_token_check *check = &walk->view->token_checks[walk->record];

    return view_rule(walk, check->pad_payload <= 1, ABI_REFUSAL_VALUE, "padding of a payload") &&
           view_rule(walk, is_zero(check->_pad0, sizeof(check->_pad0)), ABI_REFUSAL_PADDING,
                     "check of a token") &&
           view_rule(walk, check->places.count > 0, ABI_REFUSAL_VALUE, "a token without places") &&
           view_ref(walk, check->places, ABI_SECTION_TOKEN_PLACE, "places of a token") &&
           view_check_token(walk, check->forward, true, "field of a token's payload") &&
           view_check_lower(walk, check->forward, "field of a token's payload");
}

static bool check_token_place(struct view_walk *walk)
{
    const struct abi_token_place *place = &walk->view->token_places[walk->record];
    bool header = place->where == ABI_TOKEN_HEADER;

    return view_rule(walk, place->where < ABI_TOKEN_WHERE_COUNT, ABI_REFUSAL_VALUE,
                     "place of a token") &&
           view_rule(walk, place->drop <= (header ? 1 : 0), ABI_REFUSAL_VALUE,
                     "a place that is dropped and is no field") &&
           view_rule(walk, is_zero(place->_pad0, sizeof(place->_pad0)), ABI_REFUSAL_PADDING,
                     "place of a token") &&
           view_check_token(walk, place->name, false, "name of a token's place") &&
           (!header || view_check_lower(walk, place->name, "name of a token's place")) &&
           view_rule(walk, header || place->prefix.len == 0, ABI_REFUSAL_VALUE,
                     "a prefix of what is no field") &&
           view_check_line(walk, place->prefix, "prefix of a token");
}

bool view_check_tokens(struct view_walk *walk)
{
    switch (walk->view->_section) {
    case ABI_SECTION_TOKEN:
        return check_token(walk);
    case ABI_SECTION_TOKEN_CHECK:
        return check_token_check(walk);
    default:
        return check_token_place(walk);
    }
}
