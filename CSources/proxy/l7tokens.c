#include "l7tokens.h"

#include "tokens.h"

bool l7tokens_decide(struct proxy *proxy, const struct conn *down)
{
    const struct abi_listener *entry =
        down == NULL ? NULL : listener_entry(proxy, listener_of(proxy, down));

    return entry != NULL && (entry->flags & ABI_LISTENER_MESH_INBOUND) != 0 &&
           entry->policy != ABI_NONE && proxy->current->view.policies[entry->policy].tokens != 0;
}

/* The checks of the permission that has let the request in, one after the other from *at = 0 on;
 * ABI_NONE: no more. Only where the service itself is behind. */
static uint32_t l7tokens_next_check(struct proxy *proxy, const struct conn *down, uint32_t *at)
{
    const struct view *table = &proxy->current->view;
    uint32_t left = *at;
    uint32_t number;

    if (!l7tokens_decide(proxy, down) || proxy->decided.policy == ABI_NONE ||
        proxy->decided.permission == ABI_NONE) {
        return ABI_NONE;
    }
    number = table->permissions[proxy->decided.permission].token;
    for (uint32_t i = 0; number != 0 && i < LIMIT_TOKEN_ALSO; i++) {
        const struct abi_token *token = &table->tokens[number - 1];

        if (left < token->checks.count) {
            (*at)++;
            return token->checks.at + left;
        }
        left -= token->checks.count;
        number = token->also;
    }
    return ABI_NONE;
}

static bool l7tokens_held(struct proxy *proxy, const struct l7_view *view, uint32_t check,
                          struct bytes *token, uint32_t *place)
{
    *token = token_find(&proxy->current->view, &proxy->current->view.token_checks[check],
                        &view->input, place);
    return token->len > 0 && tokens_judge(proxy, check, *token) == ROUTE_TOKEN_HOLDS;
}

static bool l7tokens_is_dropped(const struct view *table, uint32_t place, struct bytes name)
{
    return table->token_places[place].drop == 1 &&
           bytes_equal_nocase(name, view_text(table, table->token_places[place].name));
}

/* Whether a field with this name may be where a check finds its token and takes it away: most
 * fields are not, and cost no search for one. */
static bool l7tokens_may_drop(const struct view *table, const struct abi_token_check *check,
                              struct bytes name)
{
    for (uint32_t i = 0; i < check->places.count; i++) {
        if (l7tokens_is_dropped(table, check->places.at + i, name)) {
            return true;
        }
    }
    return false;
}

bool l7tokens_drops(struct proxy *proxy, const struct conn *down, const struct l7_view *view,
                    struct bytes name)
{
    const struct view *table = &proxy->current->view;
    struct bytes token;
    uint32_t at = 0;
    uint32_t check;

    if (!l7tokens_decide(proxy, down)) {
        return false;
    }
    for (uint32_t i = 0; i < table->counts[ABI_SECTION_TOKEN_CHECK]; i++) {
        struct bytes own = view_text(table, table->token_checks[i].forward);

        if (own.len > 0 && bytes_equal_nocase(name, own)) {
            return true; /* whatever a client says by this name is not ours */
        }
    }
    while ((check = l7tokens_next_check(proxy, down, &at)) != ABI_NONE) {
        uint32_t place = 0;

        if (l7tokens_may_drop(table, &table->token_checks[check], name) &&
            l7tokens_held(proxy, view, check, &token, &place) &&
            l7tokens_is_dropped(table, place, name)) {
            return true;
        }
    }
    return false;
}

const struct abi_token_check *l7tokens_forward(struct proxy *proxy, const struct l7vars *vars,
                                               uint32_t *at, struct bytes *payload)
{
    const struct view *table = &proxy->current->view;
    uint32_t check;

    while ((check = l7tokens_next_check(proxy, vars->request->down, at)) != ABI_NONE) {
        struct bytes token;
        uint32_t place;

        if (table->token_checks[check].forward.len > 0 &&
            l7tokens_held(proxy, vars->view, check, &token, &place)) {
            *payload = token_payload(token);
            return &table->token_checks[check];
        }
    }
    return NULL;
}
