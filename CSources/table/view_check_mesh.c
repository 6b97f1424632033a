/* Rules of targets, endpoints, policies and TLS. */
#include "view_walk.h"

#include <string.h>

#include "abi/limits.h"
#include "base/num.h"

/* What a target's endpoints must be together, view->_part of them are done. */
static bool check_target_endpoints(struct view_walk *walk, const struct abi_target *target)
{
    struct view *view = walk->view;
    const struct abi_endpoint *endpoints = view->endpoints + target->endpoints.at;

    for (; view->_part < target->endpoints.count && view_goes_on(walk); view->_part++) {
        const struct abi_endpoint *endpoint = &endpoints[view->_part];
        bool mesh =
            endpoint->tls < view->counts[ABI_SECTION_TLS] && view->tls[endpoint->tls].mesh == 1;

        if (!view_rule(walk, !mesh || target->expected_id.len > 0, ABI_REFUSAL_VALUE,
                       "a mesh endpoint of a target without an expected identity") ||
            !view_rule(walk, endpoint->weight <= target->max_weight, ABI_REFUSAL_VALUE,
                       "an endpoint heavier than max_weight") ||
            !view_check_tier_weight(walk, target, (uint32_t)view->_part)) {
            return false;
        }
        walk->budget--;
    }
    if (view->_part >= target->endpoints.count) {
        view->_part = 0;
    }
    return true;
}

static bool check_target_numbers(struct view_walk *walk, const struct abi_target *target)
{
    return view_rule(walk,
                     target->balance < ABI_BALANCE_COUNT && target->protocol < ABI_PROTOCOL_COUNT,
                     ABI_REFUSAL_VALUE, "balance or protocol") &&
           view_rule(walk, target->proxy_out <= ABI_PROXY_V2, ABI_REFUSAL_VALUE,
                     "PROXY header of a target") &&
           view_rule(walk, target->_pad0 == 0 && target->_pad1 == 0, ABI_REFUSAL_PADDING,
                     "target") &&
           view_rule(walk, target->stats_slot < LIMIT_TARGETS, ABI_REFUSAL_VALUE,
                     "statistics slot") &&
           view_rule(walk, target->connect_timeout_ms > 0, ABI_REFUSAL_VALUE, "connect timeout") &&
           view_rule(walk,
                     (target->max_weight > 0) == (target->endpoints.count > 0) &&
                         target->max_weight <= UINT16_MAX,
                     ABI_REFUSAL_VALUE, "max_weight");
}

bool view_check_target(struct view_walk *walk)
{
    const struct abi_target *target = &walk->view->targets[walk->record];

    if (walk->view->_part > 0) {
        return check_target_endpoints(walk, target);
    }
    return view_rule(walk, walk->record == 0 || target[-1].key < target->key, ABI_REFUSAL_ORDER,
                     "targets are sorted by key, no key twice") &&
           view_check_line(walk, target->name, "target's name") &&
           view_check_line(walk, target->service, "target's service") &&
           view_ref(walk, target->endpoints, ABI_SECTION_ENDPOINT, "endpoints of a target") &&
           view_own_range(walk, target->endpoints, "endpoints of two targets overlap") &&
           view_ref(walk, target->failover, ABI_SECTION_TARGET_LIST, "failover of a target") &&
           view_rule(walk, target->failover.count <= LIMIT_FAILOVERS, ABI_REFUSAL_LIMIT,
                     "failover of a target") &&
           view_index(walk, target->policy, ABI_SECTION_POLICY, "policy of a target") &&
           view_index(walk, target->guard, ABI_SECTION_GUARD, "guard of a target") &&
           check_target_numbers(walk, target) &&
           view_check_line(walk, target->sni, "server name of a target") &&
           view_check_line(walk, target->expected_id, "expected identity of a target") &&
           view_check_congestion(walk, target->congestion) &&
           view_check_target_balancer(walk, target) && check_target_endpoints(walk, target);
}

/* Where an endpoint is dialled. */
static bool check_endpoint_address(struct view_walk *walk, const struct abi_endpoint *endpoint)
{
    const struct abi_address original = {.family = ABI_FAMILY_ORIGINAL};

    if (endpoint->address.family != ABI_FAMILY_ORIGINAL) {
        return view_check_address(walk, &endpoint->address);
    }
    return view_rule(walk, memcmp(&endpoint->address, &original, sizeof(original)) == 0,
                     ABI_REFUSAL_PADDING, "address of a redirected connection") &&
           view_rule(walk, endpoint->tls == ABI_NONE, ABI_REFUSAL_VALUE,
                     "TLS to where redirected connections wanted to go");
}

bool view_check_endpoint(struct view_walk *walk)
{
    const struct view *view = walk->view;
    const struct abi_endpoint *endpoint = &view->endpoints[walk->record];

    return check_endpoint_address(walk, endpoint) &&
           view_rule(walk, endpoint->address.mode == 0, ABI_REFUSAL_VALUE, "mode") &&
           view_rule(walk, endpoint->_pad0 == 0, ABI_REFUSAL_PADDING, "endpoint") &&
           view_rule(walk, endpoint->overlay_slot < LIMIT_ENDPOINTS, ABI_REFUSAL_VALUE,
                     "overlay slot") &&
           view_rule(walk, endpoint->weight >= 1 && endpoint->weight <= UINT16_MAX,
                     ABI_REFUSAL_VALUE, "weight of an endpoint") &&
           view_index(walk, endpoint->tls, ABI_SECTION_TLS, "TLS of an endpoint") &&
           view_rule(walk, endpoint->tls == ABI_NONE || view->tls[endpoint->tls].server == 0,
                     ABI_REFUSAL_VALUE, "an endpoint with server TLS") &&
           view_check_text(walk, endpoint->instance, "instance of an endpoint") &&
           view_check_text(walk, endpoint->node, "node of an endpoint");
}

static bool text_equal(const struct view *view, struct abi_text a, struct abi_text b)
{
    return a.len == b.len && (a.at == b.at || bytes_equal(view_text(view, a), view_text(view, b)));
}

static bool is_wildcard(const struct view *view, struct abi_text text)
{
    return text.len == 1 && view->text[text.at] == '*';
}

/* Whether the intention may stand in this policy: texts are good, and its destination is the
 * policy's or the wildcard. */
static bool check_policy_member(struct view_walk *walk, const struct abi_policy *policy,
                                const struct abi_intention *intention)
{
    return view_check_text(walk, intention->source, "source of an intention") &&
           view_check_text(walk, intention->destination, "destination of an intention") &&
           view_rule(walk,
                     is_wildcard(walk->view, intention->destination) ||
                         text_equal(walk->view, intention->destination, policy->destination),
                     ABI_REFUSAL_VALUE, "an intention of another destination");
}

/* The sorted sources, view->_part of them are done. */
static bool check_policy_sources(struct view_walk *walk, const struct abi_policy *policy)
{
    struct view *view = walk->view;
    const struct abi_intention *list = view->intentions + policy->intentions.at;

    for (; view->_part < policy->intentions.count && view_goes_on(walk); view->_part++) {
        const struct abi_intention *intention = &list[view->_part];

        if (!check_policy_member(walk, policy, intention) ||
            !view_rule(walk, !is_wildcard(view, intention->source), ABI_REFUSAL_VALUE,
                       "a wildcard among exact sources") ||
            !view_rule(walk,
                       view->_part == 0 || bytes_compare(view_text(view, intention[-1].source),
                                                         view_text(view, intention->source)) < 0,
                       ABI_REFUSAL_ORDER, "intentions are sorted by source, no source twice")) {
            return false;
        }
        walk->budget--;
    }
    if (view->_part >= policy->intentions.count) {
        view->_part = 0;
    }
    return true;
}

bool view_check_policy(struct view_walk *walk)
{
    const struct view *view = walk->view;
    const struct abi_policy *policy = &view->policies[walk->record];

    if (view->_part > 0) {
        return check_policy_sources(walk, policy);
    }
    if (!view_rule(walk, policy->destination.len > 0, ABI_REFUSAL_VALUE, "policy") ||
        !view_check_lower(walk, policy->destination, "destination of a policy") ||
        !view_rule(walk, policy->default_action <= ABI_INTENTION_ALLOW, ABI_REFUSAL_VALUE,
                   "default action of a policy") ||
        !view_rule(walk, policy->tokens <= 1, ABI_REFUSAL_VALUE, "tokens of a policy") ||
        !view_rule(walk, (policy->_pad0[0] | policy->_pad0[1]) == 0, ABI_REFUSAL_PADDING,
                   "policy") ||
        !view_ref(walk, policy->intentions, ABI_SECTION_INTENTION, "intentions of a policy") ||
        !view_own_range(walk, policy->intentions, "intentions of two policies overlap") ||
        !view_index(walk, policy->fallback, ABI_SECTION_INTENTION, "fallback of a policy")) {
        return false;
    }
    if (policy->fallback != ABI_NONE) {
        const struct abi_intention *fallback = &view->intentions[policy->fallback];

        if (!check_policy_member(walk, policy, fallback) ||
            !view_rule(walk, is_wildcard(view, fallback->source), ABI_REFUSAL_VALUE,
                       "fallback with an exact source")) {
            return false;
        }
    }
    return check_policy_sources(walk, policy);
}

bool view_check_intention(struct view_walk *walk)
{
    const struct view *view = walk->view;
    const struct abi_intention *intention = &view->intentions[walk->record];
    uint8_t precedence;

    if (!view_rule(walk, intention->source.len > 0 && intention->destination.len > 0,
                   ABI_REFUSAL_VALUE, "an intention without names") ||
        !view_check_lower(walk, intention->source, "source of an intention") ||
        !view_check_lower(walk, intention->destination, "destination of an intention")) {
        return false;
    }
    precedence = is_wildcard(view, intention->destination) ? 6 : 9;
    precedence = (uint8_t)(precedence - is_wildcard(view, intention->source));
    return view_rule(walk, intention->precedence == precedence, ABI_REFUSAL_VALUE, "precedence") &&
           view_rule(walk, intention->action < ABI_INTENTION_ACTION_COUNT, ABI_REFUSAL_VALUE,
                     "action of an intention") &&
           view_rule(walk, intention->closed <= 1, ABI_REFUSAL_VALUE,
                     "whether an intention is closed") &&
           view_rule(walk, intention->_pad0 == 0 && intention->_pad1 == 0, ABI_REFUSAL_PADDING,
                     "intention") &&
           view_ref(walk, intention->permissions, ABI_SECTION_PERMISSION,
                    "permissions of an intention") &&
           view_rule(walk,
                     (intention->permissions.count > 0) ==
                         (intention->action == ABI_INTENTION_PERMISSIONS),
                     ABI_REFUSAL_VALUE, "permissions of an intention") &&
           view_check_text(walk, intention->origin, "origin");
}

bool view_check_permission(struct view_walk *walk)
{
    const struct abi_permission *permission = &walk->view->permissions[walk->record];
    bool regex = permission->path_kind == ABI_PATH_REGEX;

    return view_rule(walk, permission->action <= ABI_INTENTION_ALLOW, ABI_REFUSAL_VALUE,
                     "action of a permission") &&
           view_rule(walk, permission->path_kind < ABI_PATH_KIND_COUNT, ABI_REFUSAL_VALUE,
                     "path kind of a permission") &&
           view_rule(walk, permission->_pad0 == 0, ABI_REFUSAL_PADDING, "permission") &&
           view_rule(walk, permission->token <= walk->view->counts[ABI_SECTION_TOKEN],
                     ABI_REFUSAL_REFERENCE, "token of a permission") &&
           view_rule(walk, permission->methods < 1u << ABI_METHOD_COUNT, ABI_REFUSAL_VALUE,
                     "methods of a permission") &&
           view_check_text(walk, permission->path, "path of a permission") &&
           view_rule(walk, (permission->path.len > 0) == (permission->path_kind != ABI_PATH_ANY),
                     ABI_REFUSAL_VALUE, "path of a permission") &&
           view_index(walk, permission->path_dfa, ABI_SECTION_DFA, "automaton of a permission") &&
           view_rule(walk, (permission->path_dfa != ABI_NONE) == regex, ABI_REFUSAL_VALUE,
                     "automaton of a permission") &&
           view_ref(walk, permission->matches, ABI_SECTION_MATCH, "matches of a permission");
}

bool view_check_identity(struct view_walk *walk)
{
    const struct abi_identity *identity = &walk->view->identities[walk->record];

    return view_rule(walk, identity->secret != 0, ABI_REFUSAL_VALUE, "secret of an identity") &&
           view_rule(walk, identity->service.len > 0 && identity->spiffe_id.len > 0,
                     ABI_REFUSAL_VALUE, "an identity without names") &&
           view_check_lower(walk, identity->service, "service of an identity") &&
           view_check_line(walk, identity->spiffe_id, "identity");
}

/* Names behind their lengths, none empty. */
static bool check_alpn(struct view_walk *walk, struct abi_ref alpn)
{
    struct bytes wire;
    size_t at = 0;

    if (!view_ref(walk, alpn, ABI_SECTION_BLOB, "ALPN") ||
        !view_rule(walk, alpn.count <= UINT16_MAX, ABI_REFUSAL_LIMIT, "ALPN")) {
        return false;
    }
    wire = view_blob(walk->view, alpn);
    walk->budget -= alpn.count / 64;
    while (at < wire.len) {
        size_t next = at + 1 + wire.ptr[at];

        if (!view_rule(walk, wire.ptr[at] > 0 && next <= wire.len, ABI_REFUSAL_VALUE, "ALPN")) {
            return false;
        }
        at = next;
    }
    return true;
}

static bool check_version(uint16_t version)
{
    return version == 0x0303 || version == 0x0304;
}

static bool check_tls_certificates(struct view_walk *walk, const struct abi_tls *tls)
{
    return view_ref(walk, tls->certificates, ABI_SECTION_SECRET_LIST, "certificates of TLS") &&
           view_rule(walk, tls->certificates.count <= ABI_KEY_COUNT, ABI_REFUSAL_LIMIT,
                     "certificates of TLS") &&
           view_rule(walk, tls->server == 0 || tls->certificates.count > 0, ABI_REFUSAL_VALUE,
                     "a TLS server without a certificate") &&
           view_ref(walk, tls->names, ABI_SECTION_SERVER_NAME, "names of TLS") &&
           view_rule(walk, (tls->names.count & (tls->names.count - 1)) == 0, ABI_REFUSAL_VALUE,
                     "number of name slots") &&
           view_rule(walk, tls->server == 1 || tls->names.count == 0, ABI_REFUSAL_VALUE,
                     "a TLS client with server names") &&
           view_own_range(walk, tls->names, "names of two TLS records overlap");
}

static bool check_tls(struct view_walk *walk, const struct abi_tls *tls)
{
    return view_rule(walk, tls->server <= 1 && tls->mesh <= 1 && tls->alpn_required <= 1,
                     ABI_REFUSAL_VALUE, "TLS") &&
           view_rule(walk, tls->verify < ABI_TLS_VERIFY_COUNT, ABI_REFUSAL_VALUE, "TLS verify") &&
           view_rule(walk,
                     check_version(tls->min_version) && check_version(tls->max_version) &&
                         tls->min_version <= tls->max_version,
                     ABI_REFUSAL_VALUE, "TLS versions") &&
           view_rule(walk, tls->_pad0 == 0, ABI_REFUSAL_PADDING, "TLS") &&
           check_tls_certificates(walk, tls) &&
           view_ref(walk, tls->trust, ABI_SECTION_BLOB, "trust of TLS") &&
           view_rule(walk, tls->verify == ABI_TLS_VERIFY_NONE || tls->trust.count > 0,
                     ABI_REFUSAL_VALUE, "TLS that verifies without trust") &&
           view_rule(walk, tls->mesh == 0 || tls->verify == ABI_TLS_VERIFY_REQUIRE,
                     ABI_REFUSAL_VALUE, "mesh TLS that does not verify") &&
           check_alpn(walk, tls->alpn) &&
           view_rule(walk, tls->alpn_required == 0 || tls->alpn.count > 0, ABI_REFUSAL_VALUE,
                     "required ALPN without names");
}

bool view_check_tls(struct view_walk *walk)
{
    const struct view *view = walk->view;
    const struct abi_tls *tls = &view->tls[walk->record];

    if (view->_part == 0 && !check_tls(walk, tls)) {
        return false;
    }
    return view_check_slots(walk,
                            (struct view_slots){view->server_names + tls->names.at,
                                                sizeof(*view->server_names), tls->names.count});
}

bool view_check_server_name(struct view_walk *walk)
{
    const struct abi_server_name *slot = &walk->view->server_names[walk->record];
    const uint32_t *certificates = slot->certificates;

    if (slot->name.len == 0) {
        return view_rule(walk, slot->name.at == 0 && certificates[0] == 0 && certificates[1] == 0,
                         ABI_REFUSAL_PADDING, "a free name slot");
    }
    return view_check_word(walk, slot->name, "server name") &&
           view_check_lower(walk, slot->name, "server name") &&
           view_rule(walk, slot->name.len <= 255, ABI_REFUSAL_VALUE, "server name") &&
           view_rule(walk, certificates[0] != ABI_NONE || certificates[1] != ABI_NONE,
                     ABI_REFUSAL_VALUE, "a server name without a certificate") &&
           view_index(walk, certificates[0], ABI_SECTION_SECRET_LIST, "certificate of a name") &&
           view_index(walk, certificates[1], ABI_SECTION_SECRET_LIST, "certificate of a name");
}
