/* Rules of listeners, hosts, routes and what routes match by. */
#include "view_walk.h"

#include "abi/limits.h"
#include "base/hash.h"
#include "base/num.h"

/* What a listener is for: who is called through it, and who may call it. */
static bool check_listener_kind(struct view_walk *walk, const struct abi_listener *listener)
{
    bool l7 = listener->kind == ABI_LISTENER_L7;
    bool sni = (listener->flags & ABI_LISTENER_SNI) != 0;
    bool gateway = (listener->flags & ABI_LISTENER_GATEWAY) != 0;

    if (l7) {
        return view_rule(walk, !sni && !gateway, ABI_REFUSAL_VALUE,
                         "an L7 listener by server name") &&
               view_rule(walk, listener->route_table < walk->view->counts[ABI_SECTION_ROUTE_TABLE],
                         ABI_REFUSAL_REFERENCE, "an L7 listener needs a route table") &&
               view_rule(walk, listener->splits.at == 0 && listener->splits.count == 0,
                         ABI_REFUSAL_VALUE, "an L7 listener has no splits") &&
               view_rule(walk, listener->head_timeout_ms > 0, ABI_REFUSAL_VALUE, "head timeout");
    }
    if (!view_rule(walk, listener->kind == ABI_LISTENER_L4, ABI_REFUSAL_VALUE, "listener kind")) {
        return false;
    }
    if ((listener->flags & ABI_LISTENER_REDIRECTED) != 0) {
        return view_rule(walk, listener->route_table == ABI_NONE, ABI_REFUSAL_VALUE,
                         "a listener for redirected connections has no route table") &&
               view_rule(walk, listener->splits.at == 0 && listener->splits.count == 0,
                         ABI_REFUSAL_VALUE, "a listener for redirected connections has no splits");
    }
    if (gateway) {
        return view_rule(walk, !sni, ABI_REFUSAL_VALUE, "a gateway that does not terminate TLS") &&
               view_rule(walk, listener->route_table < walk->view->counts[ABI_SECTION_ROUTE_TABLE],
                         ABI_REFUSAL_REFERENCE, "a gateway needs a route table") &&
               view_rule(walk, listener->splits.at == 0 && listener->splits.count == 0,
                         ABI_REFUSAL_VALUE, "a gateway has no splits") &&
               view_rule(walk, listener->head_timeout_ms > 0, ABI_REFUSAL_VALUE, "head timeout");
    }
    if (sni) {
        return view_rule(walk, listener->route_table < walk->view->counts[ABI_SECTION_ROUTE_TABLE],
                         ABI_REFUSAL_REFERENCE, "a listener by server name needs a route table") &&
               view_rule(walk, listener->tls == ABI_NONE, ABI_REFUSAL_VALUE,
                         "a listener by server name does not terminate TLS") &&
               view_rule(walk, listener->handshake_timeout_ms > 0, ABI_REFUSAL_VALUE,
                         "handshake timeout") &&
               (listener->splits.count == 0
                    ? view_rule(walk, listener->splits.at == 0, ABI_REFUSAL_VALUE, "splits")
                    : view_check_splits(walk, listener->splits));
    }
    return view_rule(walk, listener->route_table == ABI_NONE, ABI_REFUSAL_VALUE,
                     "an L4 listener has no route table") &&
           view_check_splits(walk, listener->splits);
}

static bool check_listener_mesh(struct view_walk *walk, const struct abi_listener *listener)
{
    const struct view *view = walk->view;
    const struct abi_tls *tls;
    bool inbound = (listener->flags & ABI_LISTENER_MESH_INBOUND) != 0;
    bool outbound = (listener->flags & ABI_LISTENER_MESH_OUTBOUND) != 0;
    bool gateway = (listener->flags & ABI_LISTENER_GATEWAY) != 0;

    if (!view_index(walk, listener->tls, ABI_SECTION_TLS, "listener's TLS") ||
        !view_index(walk, listener->identity, ABI_SECTION_IDENTITY, "listener's identity") ||
        !view_index(walk, listener->policy, ABI_SECTION_POLICY, "listener's policy") ||
        !view_rule(walk, !outbound || listener->identity != ABI_NONE, ABI_REFUSAL_VALUE,
                   "a mesh-outbound listener needs an identity") ||
        !view_rule(walk, !gateway || (inbound && !outbound && listener->policy == ABI_NONE),
                   ABI_REFUSAL_VALUE, "a gateway is called by the mesh, for others") ||
        !view_rule(walk,
                   !inbound ||
                       (listener->tls != ABI_NONE && (listener->policy != ABI_NONE || gateway)),
                   ABI_REFUSAL_VALUE, "a mesh-inbound listener needs TLS and a policy")) {
        return false;
    }
    if (listener->tls == ABI_NONE) {
        return true;
    }
    tls = &view->tls[listener->tls];
    return view_rule(walk, tls->server == 1, ABI_REFUSAL_VALUE, "a listener with client TLS") &&
           view_rule(walk, listener->handshake_timeout_ms > 0, ABI_REFUSAL_VALUE,
                     "handshake timeout") &&
           view_rule(walk, !inbound || (tls->mesh == 1 && tls->verify == ABI_TLS_VERIFY_REQUIRE),
                     ABI_REFUSAL_VALUE, "a mesh-inbound listener must require an identity");
}

bool view_check_listener(struct view_walk *walk)
{
    const struct abi_listener *listener = &walk->view->listeners[walk->record];
    const uint8_t known = ABI_LISTENER_MESH_INBOUND | ABI_LISTENER_MESH_OUTBOUND |
                          ABI_LISTENER_PROXY_IN | ABI_LISTENER_SNI | ABI_LISTENER_GATEWAY |
                          ABI_LISTENER_REDIRECTED | ABI_LISTENER_INNER;

    return view_rule(walk, walk->record == 0 || listener[-1].key < listener->key, ABI_REFUSAL_ORDER,
                     "listeners are sorted by key, no key twice") &&
           view_check_line(walk, listener->name, "listener's name") &&
           view_check_address(walk, &listener->address) &&
           view_rule(walk, (listener->flags & ~known) == 0, ABI_REFUSAL_VALUE, "listener flags") &&
           view_rule(walk, listener->stats_slot < LIMIT_LISTENERS, ABI_REFUSAL_VALUE,
                     "statistics slot") &&
           view_rule(walk, listener->max_lifetime_ms <= LIMIT_LIFETIME_MS, ABI_REFUSAL_LIMIT,
                     "lifetime of connections") &&
           view_rule(walk, listener->_pad0 == 0, ABI_REFUSAL_PADDING, "listener") &&
           check_listener_kind(walk, listener) && check_listener_mesh(walk, listener) &&
           view_check_congestion(walk, listener->congestion) &&
           view_check_token(walk, listener->via, true, "pseudonym for Via") &&
           view_index(walk, listener->log, ABI_SECTION_LOG, "listener's log") &&
           view_check_listener_hops(walk, listener) &&
           view_check_listener_compression(walk, listener) &&
           view_check_listener_original(walk, listener);
}

static struct abi_text slot_name(struct view_slots slots, uint32_t index)
{
    struct abi_text name;

    memcpy(&name, (const uint8_t *)slots.first + index * slots.size, sizeof(name));
    return name;
}

/* Whether a lookup of the name in slot `index` of the table comes to that slot. */
static bool check_slot(struct view_walk *walk, struct view_slots slots, uint32_t index)
{
    const struct view *view = walk->view;
    struct bytes name;
    uint32_t at;

    if (slot_name(slots, index).len == 0) {
        return true;
    }
    if (!view_check_text(walk, slot_name(slots, index), "host name")) {
        return false;
    }
    name = view_text(view, slot_name(slots, index));
    at = (uint32_t)hash_bytes(name) & (slots.count - 1);
    walk->budget -= (int64_t)name.len / 64;
    for (uint32_t probes = 1; at != index; probes++, at = (at + 1) & (slots.count - 1)) {
        struct abi_text other = slot_name(slots, at);

        if (!view_rule(walk, probes < LIMIT_HOST_PROBES && other.len > 0, ABI_REFUSAL_ORDER,
                       "host slot out of reach of its home") ||
            !view_check_text(walk, other, "host name") ||
            !view_rule(walk, !bytes_equal(view_text(view, other), name), ABI_REFUSAL_ORDER,
                       "host name twice")) {
            return false;
        }
        walk->budget--;
    }
    return true;
}

bool view_check_slots(struct view_walk *walk, struct view_slots slots)
{
    struct view *view = walk->view;

    while (view->_part < slots.count && view_goes_on(walk)) {
        walk->budget--;
        if (!check_slot(walk, slots, (uint32_t)view->_part)) {
            return false;
        }
        view->_part++;
    }
    if (view->_part >= slots.count) {
        view->_part = 0;
    }
    return true;
}

bool view_check_route_table(struct view_walk *walk)
{
    struct view *view = walk->view;
    const struct abi_route_table *table = &view->route_tables[walk->record];
    struct abi_ref hosts = table->hosts;

    if (view->_part == 0 &&
        (!view_ref(walk, table->routes, ABI_SECTION_ROUTE_LIST, "routes of a table") ||
         !view_rule(walk, table->routes.count <= LIMIT_TABLE_ROUTES, ABI_REFUSAL_VALUE,
                    "number of routes of a table") ||
         !view_ref(walk, hosts, ABI_SECTION_HOST, "hosts of a table") ||
         !view_rule(walk, (hosts.count & (hosts.count - 1)) == 0, ABI_REFUSAL_VALUE,
                    "number of host slots") ||
         !view_own_range(walk, hosts, "hosts of two tables overlap"))) {
        return false;
    }
    return view_check_slots(
        walk, (struct view_slots){view->hosts + hosts.at, sizeof(*view->hosts), hosts.count});
}

bool view_check_host(struct view_walk *walk)
{
    const struct abi_host *host = &walk->view->hosts[walk->record];

    if (host->name.len == 0) {
        return view_rule(walk,
                         host->name.at == 0 && host->routes.at == 0 && host->routes.count == 0,
                         ABI_REFUSAL_PADDING, "a free host slot");
    }
    return view_check_word(walk, host->name, "host name") &&
           view_check_lower(walk, host->name, "host name") &&
           view_rule(walk, host->name.len <= 255, ABI_REFUSAL_VALUE, "host name") &&
           view_ref(walk, host->routes, ABI_SECTION_ROUTE_LIST, "routes of a host") &&
           view_rule(walk, host->routes.count <= LIMIT_TABLE_ROUTES, ABI_REFUSAL_VALUE,
                     "number of routes of a host");
}

/* Status, answer or destination, as the action has them. */
static bool check_route_action(struct view_walk *walk, const struct abi_route *route)
{
    uint16_t status = route->status;
    bool forward = route->action == ABI_ACTION_FORWARD;
    bool redirect = route->action == ABI_ACTION_REDIRECT;
    bool respond = route->action == ABI_ACTION_RESPOND;

    if (!view_rule(walk, route->action < ABI_ACTION_COUNT, ABI_REFUSAL_VALUE, "action") ||
        !view_rule(walk, !forward || status == 0, ABI_REFUSAL_VALUE, "status of a forward") ||
        !view_rule(walk, !redirect || (status >= 301 && status <= 308), ABI_REFUSAL_VALUE,
                   "status of a redirect") ||
        !view_rule(walk, !respond || (status >= 200 && status <= 599), ABI_REFUSAL_VALUE,
                   "status of an answer")) {
        return false;
    }
    if (forward) {
        return view_check_splits(walk, route->splits);
    }
    return view_rule(walk, route->splits.at == 0 && route->splits.count == 0, ABI_REFUSAL_VALUE,
                     "splits of a route that does not forward");
}

static bool check_route_path(struct view_walk *walk, const struct abi_route *route)
{
    bool regex = route->path_kind == ABI_PATH_REGEX;
    bool text = route->path_kind == ABI_PATH_EXACT || route->path_kind == ABI_PATH_PREFIX;

    return view_rule(walk, route->path_kind < ABI_PATH_KIND_COUNT, ABI_REFUSAL_VALUE,
                     "path kind") &&
           (text ? view_check_path(walk, route->path, "path")
                 : view_check_text(walk, route->path, "path")) &&
           view_rule(walk, (route->path.len > 0) == (text || regex), ABI_REFUSAL_VALUE, "path") &&
           view_index(walk, route->path_dfa, ABI_SECTION_DFA, "automaton of a path") &&
           view_rule(walk, (route->path_dfa != ABI_NONE) == regex, ABI_REFUSAL_VALUE,
                     "automaton of a path") &&
           view_rule(walk, route->rewrites <= text, ABI_REFUSAL_VALUE,
                     "a rewrite needs an exact path or a prefix") &&
           view_check_path(walk, route->prefix_rewrite, "prefix rewrite") &&
           view_rule(walk, route->rewrites == (route->prefix_rewrite.len > 0), ABI_REFUSAL_VALUE,
                     "prefix rewrite");
}

bool view_check_route(struct view_walk *walk)
{
    const struct abi_route *route = &walk->view->routes[walk->record];

    return check_route_path(walk, route) && check_route_action(walk, route) &&
           view_rule(walk, route->_pad1 == 0, ABI_REFUSAL_PADDING, "route") &&
           view_rule(walk,
                     route->stats_slot < LIMIT_ROUTE_SLOTS ||
                         route->stats_slot == ABI_ROUTE_UNCOUNTED,
                     ABI_REFUSAL_LIMIT, "statistics slot of a route") &&
           view_rule(walk, route->methods < 1u << ABI_METHOD_COUNT, ABI_REFUSAL_VALUE, "methods") &&
           view_index(walk, route->traffic, ABI_SECTION_TRAFFIC, "traffic of a route") &&
           view_ref(walk, route->matches, ABI_SECTION_MATCH, "matches of a route") &&
           view_ref(walk, route->header_ops, ABI_SECTION_HEADER_OP, "header rules of a route") &&
           view_check_text(walk, route->body, "body") &&
           view_check_line(walk, route->content_type, "content type") &&
           view_check_token(walk, route->redirect_scheme, true, "scheme of a redirect") &&
           view_check_path(walk, route->redirect_path, "path of a redirect") &&
           view_check_line(walk, route->redirect_host, "host of a redirect") &&
           view_rule(walk, route->retries <= LIMIT_RETRIES, ABI_REFUSAL_LIMIT, "retries") &&
           view_rule(walk, (route->retry_on & ~(uint32_t)ABI_RETRY_FLAGS) == 0, ABI_REFUSAL_VALUE,
                     "retry conditions") &&
           view_check_text(walk, route->rule, "rule") &&
           view_check_text(walk, route->origin, "origin");
}

bool view_check_match(struct view_walk *walk)
{
    const struct abi_match *match = &walk->view->matches[walk->record];
    bool header = match->subject == ABI_MATCH_HEADER;
    bool regex = match->kind == ABI_MATCH_REGEX;
    bool present = match->kind == ABI_MATCH_PRESENT;

    return view_rule(walk,
                     match->subject < ABI_MATCH_SUBJECT_COUNT &&
                         match->kind < ABI_MATCH_KIND_COUNT && match->invert <= 1,
                     ABI_REFUSAL_VALUE, "match") &&
           view_rule(walk, match->ignore_case <= !(regex || present), ABI_REFUSAL_VALUE,
                     "case of a match") &&
           view_rule(walk, match->name.len > 0, ABI_REFUSAL_VALUE, "name of a match") &&
           (header ? view_check_token(walk, match->name, false, "name of a match") &&
                         view_check_lower(walk, match->name, "name of a match")
                   : view_check_text(walk, match->name, "name of a match")) &&
           view_check_text(walk, match->value, "value of a match") &&
           view_rule(walk, !present || match->value.len == 0, ABI_REFUSAL_VALUE,
                     "value of a match") &&
           view_index(walk, match->dfa, ABI_SECTION_DFA, "automaton of a match") &&
           view_rule(walk, (match->dfa != ABI_NONE) == regex, ABI_REFUSAL_VALUE,
                     "automaton of a match");
}

/* A value with variables: they are known in its direction, and what is between them is a line. */
static bool check_template(struct view_walk *walk, const struct abi_header_op *op)
{
    struct bytes value;
    bool marked = false;

    if (op->varies == 0) {
        return view_check_line(walk, op->value, "field value of a header rule");
    }
    if (!view_check_text(walk, op->value, "field value of a header rule")) {
        return false;
    }
    value = view_text(walk->view, op->value);
    for (size_t i = 0; i < value.len; i++) {
        uint32_t variable = i + 1 < value.len ? (uint32_t)value.ptr[i + 1] - ABI_HEADER_FIRST
                                              : ABI_HEADER_VARIABLE_COUNT;

        if (value.ptr[i] != ABI_HEADER_MARK) {
            if ((value.ptr[i] < ' ' && value.ptr[i] != '\t') || value.ptr[i] == 0x7f) {
                return view_rule(walk, false, ABI_REFUSAL_VALUE, "field value of a header rule");
            }
            continue;
        }
        if (variable >= ABI_HEADER_VARIABLE_COUNT ||
            (op->response == 0 && variable >= ABI_HEADER_UPSTREAM_ADDRESS)) {
            return view_rule(walk, false, ABI_REFUSAL_VALUE, "variable of a header rule");
        }
        marked = true;
        i++;
    }
    walk->budget -= (uint32_t)value.len / 64;
    return view_rule(walk, marked, ABI_REFUSAL_VALUE, "a header rule without variables");
}

bool view_check_header_op(struct view_walk *walk)
{
    const struct abi_header_op *op = &walk->view->header_ops[walk->record];
    uint8_t padding = 0;

    for (uint32_t i = 0; i < sizeof(op->_pad0); i++) {
        padding |= op->_pad0[i];
    }
    return view_rule(walk, op->kind < ABI_HEADER_OP_COUNT && op->response <= 1 && op->varies <= 1,
                     ABI_REFUSAL_VALUE, "header rule") &&
           view_rule(walk, padding == 0, ABI_REFUSAL_PADDING, "header rule") &&
           view_check_token(walk, op->name, false, "field name of a header rule") &&
           check_template(walk, op) &&
           view_rule(walk, op->kind != ABI_HEADER_REMOVE || op->value.len == 0, ABI_REFUSAL_VALUE,
                     "field value of a removal");
}

/* The rows that the budget allows, view->_part of them are done; a row is eight lines. The accept
 * bytes are checked with their row. */
static bool check_dfa_rows(struct view_walk *walk, const struct abi_dfa *dfa)
{
    struct view *view = walk->view;
    const uint8_t *table = view->blob + dfa->table;
    const uint8_t *accepts = table + (size_t)dfa->states * 512;
    uint16_t row[256];

    for (; view->_part < dfa->states && view_goes_on(walk); view->_part++) {
        uint32_t most = 0;

        memcpy(row, table + view->_part * sizeof(row), sizeof(row));
        for (uint32_t i = 0; i < 256; i++) {
            most = num_max_u32(most, row[i]);
        }
        /* State 0 is dead: nothing leads out of it. */
        if (!view_rule(walk, most < (view->_part == 0 ? 1 : dfa->states), ABI_REFUSAL_REFERENCE,
                       "state of an automaton") ||
            !view_rule(walk, accepts[view->_part] <= (view->_part == 0 ? 0 : 1), ABI_REFUSAL_VALUE,
                       "accept byte of an automaton")) {
            return false;
        }
        walk->budget -= 8;
    }
    if (view->_part == dfa->states) {
        view->_part = 0;
    }
    return true;
}

bool view_check_dfa(struct view_walk *walk)
{
    struct view *view = walk->view;
    const struct abi_dfa *dfa = &view->dfas[walk->record];
    uint64_t size = (uint64_t)dfa->states * (512 + 1);
    uint64_t blob = view->counts[ABI_SECTION_BLOB];

    if (view->_part == 0) {
        if (!view_rule(walk, dfa->_pad0 == 0, ABI_REFUSAL_PADDING, "automaton") ||
            !view_rule(walk, dfa->states >= 2 && dfa->states <= LIMIT_DFA_STATES, ABI_REFUSAL_LIMIT,
                       "states of an automaton") ||
            !view_rule(walk, dfa->table % 2 == 0 && dfa->table <= blob && size <= blob - dfa->table,
                       ABI_REFUSAL_REFERENCE, "table of an automaton") ||
            !view_own_range(walk, (struct abi_ref){(uint32_t)dfa->table, (uint32_t)size},
                            "tables of two automata overlap")) {
            return false;
        }
    }
    return check_dfa_rows(walk, dfa);
}
