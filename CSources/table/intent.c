#include "table/intent.h"

#include "table/token.h"

/* bytes_compare with the first slice folded to lower case: names in tables are folded, names from
 * certificates may not be. */
static int compare_folded(struct bytes name, struct bytes folded)
{
    size_t common = name.len < folded.len ? name.len : folded.len;

    for (size_t i = 0; i < common; i++) {
        int order = bytes_lower(name.ptr[i]) - folded.ptr[i];

        if (order != 0) {
            return order;
        }
    }
    return (name.len > folded.len) - (name.len < folded.len);
}

static uint32_t find_source(const struct view *view, const struct abi_policy *policy,
                            struct bytes source)
{
    uint32_t low = policy->intentions.at;
    uint32_t high = low + policy->intentions.count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = compare_folded(source, view_text(view, view->intentions[middle].source));

        if (order == 0) {
            return middle;
        }
        if (order > 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return ABI_NONE;
}

struct intent_decision intent_decide(const struct view *view, uint32_t policy, struct bytes source)
{
    const struct abi_policy *record = &view->policies[policy];
    struct intent_decision decision = {(enum intent_verdict)record->default_action, ABI_NONE,
                                       ABI_NONE};

    if (source.len > 0) {
        decision.intention = find_source(view, record, source);
    }
    if (decision.intention == ABI_NONE) {
        decision.intention = record->fallback;
    }
    if (decision.intention != ABI_NONE) {
        decision.verdict = (enum intent_verdict)view->intentions[decision.intention].action;
    }
    return decision;
}

struct intent_decision intent_permit(const struct view *view, uint32_t policy, struct bytes source,
                                     const struct route_input *input)
{
    struct intent_decision decision = intent_decide(view, policy, source);
    struct abi_ref permissions;
    enum route_token token;

    if (decision.verdict != INTENT_ASK_PERMISSIONS) {
        return decision;
    }
    permissions = view->intentions[decision.intention].permissions;
    for (uint32_t i = 0; i < permissions.count; i++) {
        const struct abi_permission *permission = &view->permissions[permissions.at + i];

        if (route_path_matches(view, permission->path_kind, permission->path, permission->path_dfa,
                               input->path) &&
            (permission->methods == ABI_METHODS_ALL ||
             (permission->methods & input->method) != 0) &&
            route_matches_all(view, permission->matches, input)) {
            token = token_judge(view, permission->token, input);
            if (token == ROUTE_TOKEN_FAILS) {
                continue;
            }
            decision.verdict = token == ROUTE_TOKEN_HOLDS ? (enum intent_verdict)permission->action
                                                          : INTENT_AWAIT_TOKEN;
            decision.permission = permissions.at + i;
            return decision;
        }
    }
    decision.verdict = view->intentions[decision.intention].closed == 1
                           ? INTENT_DENY
                           : (enum intent_verdict)view->policies[policy].default_action;
    return decision;
}

_Static_assert((int)INTENT_DENY == (int)ABI_INTENTION_DENY &&
                   (int)INTENT_ALLOW == (int)ABI_INTENTION_ALLOW &&
                   (int)INTENT_ASK_PERMISSIONS == (int)ABI_INTENTION_PERMISSIONS,
               "an action is a verdict");

/* Takes `literal` from the start of *rest. */
static bool take(struct bytes *rest, struct bytes literal)
{
    if (!bytes_has_prefix(*rest, literal)) {
        return false;
    }
    *rest = bytes_from(*rest, literal.len);
    return true;
}

/* Takes everything up to `/` or the end; what a name may not have ends the reading. */
static struct bytes take_name(struct bytes *rest)
{
    struct bytes name = {rest->ptr, 0};

    while (name.len < rest->len) {
        uint8_t c = bytes_lower(rest->ptr[name.len]);

        if ((uint8_t)(c - 'a') >= 26 && (uint8_t)(c - '0') >= 10 && c != '-' && c != '_' &&
            c != '.') {
            break;
        }
        name.len++;
    }
    *rest = bytes_from(*rest, name.len);
    return name;
}

struct bytes intent_service_of(const struct view *view, struct bytes spiffe_id)
{
    const struct bytes none = {NULL, 0};
    struct bytes rest = spiffe_id, domain, datacenter, service;

    if (!take(&rest, BYTES_LITERAL("spiffe://"))) {
        return none;
    }
    domain = take_name(&rest);
    if (domain.len == 0 || !bytes_equal_nocase(domain, view_text(view, view->head->trust_domain)) ||
        !take(&rest, BYTES_LITERAL("/ns/default/dc/"))) {
        return none;
    }
    datacenter = take_name(&rest);
    if (datacenter.len == 0 || !take(&rest, BYTES_LITERAL("/svc/"))) {
        return none;
    }
    service = take_name(&rest);
    return rest.len == 0 ? service : none;
}
