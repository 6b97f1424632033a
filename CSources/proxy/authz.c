/* Intentions on connections and requests: who calls, whether it may, and who must go when a rule
 * changes. */
#include "base/hash.h"
#include "l7h2.h"
#include "lifetime.h"
#include "request.h"
#include "table/intent.h"
#include "tokens.h"

#define AUTHZ_PER_TURN 256u /* connections examined again in one turn */

struct bytes authz_source(struct proxy *proxy, struct conn *conn)
{
    const struct view *view = &proxy->current->view;
    const struct abi_listener *entry = listener_entry(proxy, listener_of(proxy, conn));

    if (entry == NULL) {
        return bytes_of(NULL, 0);
    }
    if ((entry->flags & ABI_LISTENER_MESH_OUTBOUND) != 0 && entry->identity != ABI_NONE) {
        return view_text(view, view->identities[entry->identity].service);
    }
    if ((entry->flags & ABI_LISTENER_MESH_INBOUND) != 0 && conn->tls != NULL) {
        return intent_service_of(view, tls_peer_id(conn->tls));
    }
    return bytes_of(NULL, 0);
}

static void authz_note(struct proxy *proxy, uint32_t policy, struct intent_decision decision)
{
    proxy->decided = (struct proxy_decided){
        .policy = policy, .intention = decision.intention, .permission = decision.permission};
}

static void authz_count_denial(struct proxy *proxy, struct conn *conn)
{
    abi_stat_add(&listener_of(proxy, conn)->stats->counters[ABI_LISTENER_DENIED], 1);
}

/* Whether the inbound policy lets this peer in at all: a verdict that depends on requests does on
 * L7. */
static bool authz_inbound(struct proxy *proxy, struct conn *conn, const struct abi_listener *entry)
{
    struct intent_decision decision;

    if (entry->policy == ABI_NONE) {
        return true;
    }
    decision = intent_decide(&proxy->current->view, entry->policy, authz_source(proxy, conn));
    authz_note(proxy, entry->policy, decision);
    return decision.verdict == INTENT_ALLOW ||
           (decision.verdict == INTENT_ASK_PERMISSIONS && entry->kind == ABI_LISTENER_L7);
}

bool authz_connection(struct proxy *proxy, struct conn *conn)
{
    struct listener *listener = listener_of(proxy, conn);
    const struct abi_listener *entry = listener_entry(proxy, listener);

    conn->epoch = listener->epoch;
    proxy->decided.policy = ABI_NONE;
    if (entry == NULL || authz_inbound(proxy, conn, entry)) {
        return true;
    }
    authz_count_denial(proxy, conn);
    return false;
}

/* Whether the policies of targets decide: about the listener's identity, or about a caller whom a
 * gateway serves in their place. */
static bool authz_asks_targets(const struct abi_listener *entry)
{
    return (entry->flags & (ABI_LISTENER_MESH_OUTBOUND | ABI_LISTENER_GATEWAY)) != 0;
}

/* The verdict of a target's policy on a connection as such; requests, where these are understood,
 * are asked one by one. */
static bool authz_may_use(struct proxy *proxy, struct conn *conn, uint32_t target, bool http)
{
    const struct view *view = &proxy->current->view;
    const struct abi_listener *entry = listener_entry(proxy, listener_of(proxy, conn));
    uint32_t policy = view->targets[target].policy;
    struct intent_decision decision;

    if (entry == NULL || policy == ABI_NONE || !authz_asks_targets(entry)) {
        return true;
    }
    decision = intent_decide(view, policy, authz_source(proxy, conn));
    authz_note(proxy, policy, decision);
    return decision.verdict == INTENT_ALLOW || (decision.verdict == INTENT_ASK_PERMISSIONS && http);
}

bool authz_target(struct proxy *proxy, struct conn *conn, uint32_t target)
{
    if (authz_may_use(proxy, conn, target, false)) {
        return true;
    }
    authz_count_denial(proxy, conn);
    return false;
}

/* Whether a policy permits a request; there may be none. */
static bool authz_permits(struct proxy *proxy, uint32_t policy, struct bytes source,
                          const struct route_input *input)
{
    struct intent_decision decision;

    if (policy == ABI_NONE) {
        return true;
    }
    decision = intent_permit(&proxy->current->view, policy, source, input);
    authz_note(proxy, policy, decision);
    return decision.verdict == INTENT_ALLOW;
}

static bool authz_lacks(struct proxy *proxy, uint32_t policy, struct bytes source,
                        const struct route_input *input)
{
    const struct view *view = &proxy->current->view;

    return policy != ABI_NONE && view->policies[policy].tokens != 0 &&
           intent_permit(view, policy, source, input).verdict == INTENT_AWAIT_TOKEN;
}

/* Whether any of the targets that the request may go to lacks a token's verdict. */
static bool authz_targets_lack(struct proxy *proxy, uint32_t route_table, struct bytes source,
                               const struct route_input *input)
{
    const struct view *view = &proxy->current->view;
    uint32_t route = route_find(view, route_table, input);
    struct abi_ref splits = {0, 0};
    bool lacks = false;

    if (route != ABI_NONE) {
        splits = view->routes[route].splits;
    }
    for (uint32_t i = 0; !lacks && i < splits.count; i++) {
        uint32_t target = view->splits[splits.at + i].target;

        lacks = authz_lacks(proxy, view->targets[target].policy, source, input);
    }
    return lacks;
}

bool authz_lacks_token(struct proxy *proxy, struct conn *conn, const struct route_input *input)
{
    const struct abi_listener *entry = listener_entry(proxy, listener_of(proxy, conn));
    struct bytes source = authz_source(proxy, conn);

    return authz_lacks(proxy, entry->policy, source, input) ||
           (authz_asks_targets(entry) &&
            authz_targets_lack(proxy, entry->route_table, source, input));
}

enum authz_copied authz_copy(struct proxy *proxy, struct conn *conn,
                             const struct route_input *input, uint32_t target)
{
    const struct view *view = &proxy->current->view;
    uint32_t policy = view->targets[target].policy;
    struct bytes source;
    bool may;

    if (policy == ABI_NONE ||
        !authz_asks_targets(listener_entry(proxy, listener_of(proxy, conn)))) {
        return AUTHZ_COPY_ALLOWED;
    }
    tokens_forget(proxy);
    source = authz_source(proxy, conn);
    switch (intent_permit(view, policy, source, input).verdict) {
    case INTENT_ALLOW:
        return AUTHZ_COPY_ALLOWED;
    case INTENT_AWAIT_TOKEN:
        break;
    default:
        return AUTHZ_COPY_DENIED;
    }
    /* Its fields are gone when the verdict is there: what it would mean is found out now. */
    tokens_suppose(proxy, true);
    may = intent_permit(view, policy, source, input).verdict == INTENT_ALLOW;
    tokens_suppose(proxy, false);
    return may ? AUTHZ_COPY_AWAITED : AUTHZ_COPY_DENIED;
}

bool authz_request(struct proxy *proxy, struct conn *conn, const struct route_input *input,
                   uint32_t target)
{
    const struct view *view = &proxy->current->view;
    const struct abi_listener *entry = listener_entry(proxy, listener_of(proxy, conn));
    struct bytes source;

    proxy->decided.policy = ABI_NONE;
    if (entry == NULL) {
        return true;
    }
    source = authz_source(proxy, conn);
    if (authz_permits(proxy, entry->policy, source, input) &&
        (target == ABI_NONE || !authz_asks_targets(entry) ||
         authz_permits(proxy, view->targets[target].policy, source, input))) {
        return true;
    }
    authz_count_denial(proxy, conn);
    return false;
}

static uint64_t authz_mix(const struct view *view, uint64_t digest, uint32_t policy)
{
    return policy == ABI_NONE ? digest : hash_finish(digest ^ view->policies[policy].key);
}

static uint64_t authz_mix_splits(const struct view *view, uint64_t digest, struct abi_ref splits)
{
    for (uint32_t i = 0; i < splits.count; i++) {
        digest = authz_mix(view, digest, view->targets[view->splits[splits.at + i].target].policy);
    }
    return digest;
}

static uint64_t authz_mix_routes(const struct view *view, uint64_t digest,
                                 const struct abi_route_table *table)
{
    if (table->hosts.count > 0) {
        /* Too many routes to go through them all: any policy may be that of a target. Whoever is
         * examined in vain stays. */
        for (uint32_t policy = 0; policy < view->counts[ABI_SECTION_POLICY]; policy++) {
            digest = authz_mix(view, digest, policy);
        }
        return digest;
    }
    for (uint32_t i = 0; i < table->routes.count; i++) {
        const struct abi_route *route = &view->routes[view->route_list[table->routes.at + i]];

        digest = authz_mix_splits(view, digest, route->splits);
    }
    return digest;
}

uint64_t authz_digest(const struct view *view, const struct abi_listener *entry)
{
    uint64_t digest = authz_mix(view, 1, entry->policy);

    if (!authz_asks_targets(entry)) {
        return digest;
    }
    digest = authz_mix_splits(view, digest, entry->splits);
    return entry->route_table == ABI_NONE
               ? digest
               : authz_mix_routes(view, digest, &view->route_tables[entry->route_table]);
}

/* The request ends with its answer, if that comes soon. */
static void authz_limit(struct proxy *proxy, struct request *request)
{
    request->flags |= REQUEST_CLOSE_DOWN;
    wheel_arm(&proxy->wheel, &request->timer, proxy->now_ms, 1000);
}

/* Whether a caller of a gateway may ask the service that it means for anything at all. */
static bool authz_still_means(struct proxy *proxy, struct conn *conn,
                              const struct abi_listener *entry)
{
    const struct view *view = &proxy->current->view;
    struct abi_ref splits = l4_route(view, entry, tls_server_name(conn->tls));

    return splits.count > 0 && authz_may_use(proxy, conn, view->splits[splits.at].target, true);
}

/* `request` NULL: there is none at the moment. */
static bool authz_still_may(struct proxy *proxy, struct conn *conn, const struct request *request,
                            const struct abi_listener *entry)
{
    uint32_t target;

    if (!authz_asks_targets(entry)) {
        return true;
    }
    if (request == NULL) {
        return (entry->flags & ABI_LISTENER_GATEWAY) == 0 || authz_still_means(proxy, conn, entry);
    }
    target = view_find_target(&proxy->current->view, request->target_key);
    return target == ABI_NONE ||
           authz_may_use(proxy, conn, target, !request_has(request, REQUEST_L4));
}

/* As below, for one of HTTP/2: who may not come in at all opens no more streams. */
static void authz_examine_streams(struct proxy *proxy, struct conn *conn,
                                  const struct abi_listener *entry)
{
    bool allowed = authz_inbound(proxy, conn, entry) && authz_still_may(proxy, conn, NULL, entry);
    struct list_link *streams = &conn->mux->streams;

    for (struct list_link *link = streams->next; link != streams; link = link->next) {
        struct conn *stream = LIST_OWNER(link, struct stream, group)->conn;
        struct request *request = stream->user;

        if (request != NULL && (!allowed || !authz_still_may(proxy, conn, request, entry))) {
            authz_limit(proxy, request);
        }
    }
    if (!allowed) {
        authz_count_denial(proxy, conn);
        proxy_count(proxy, ABI_WORKER_REAUTHORIZED_CLOSED, 1);
        l7h2_leave_now(proxy, conn);
    }
}

/* A connection whose rules changed. L4: closed on both sides. L7: idle ones close; where a request
 * is in flight the connection ends with its answer. */
static void authz_examine(struct proxy *proxy, struct conn *conn, const struct abi_listener *entry)
{
    struct request *request = conn->user;
    bool allowed;

    if (conn->state != CONN_OPEN || conn_has(conn, CONN_AWAITS_HEADER)) {
        return; /* asked when it opens */
    }
    if (conn->mux != NULL) {
        authz_examine_streams(proxy, conn, entry);
        return;
    }
    allowed = authz_inbound(proxy, conn, entry) && authz_still_may(proxy, conn, request, entry);
    if (allowed) {
        return;
    }
    authz_count_denial(proxy, conn);
    proxy_count(proxy, ABI_WORKER_REAUTHORIZED_CLOSED, 1);
    if (request != NULL && !request_has(request, REQUEST_TUNNEL | REQUEST_L4)) {
        authz_limit(proxy, request);
        return;
    }
    conn->ops->failed(proxy, conn, ABI_OUTCOME_DENIED);
}

bool authz_reexamine(struct proxy *proxy)
{
    uint32_t budget = AUTHZ_PER_TURN;
    struct list_link *link;

    while (budget > 0 && (link = list_first(&proxy->reauth)) != NULL) {
        struct listener *listener = LIST_OWNER(link, struct listener, reauth);
        const struct abi_listener *entry = listener_entry(proxy, listener);
        struct list_link *first = list_first(&listener->conns);
        struct conn *conn = first == NULL ? NULL : LIST_OWNER(first, struct conn, group);

        if (entry == NULL || conn == NULL || conn->epoch == listener->epoch) {
            list_remove(&listener->reauth);
            continue;
        }
        list_remove(&conn->group);
        list_add_last(&listener->conns, &conn->group);
        conn->epoch = listener->epoch;
        lifetime_follow(proxy, conn, entry->max_lifetime_ms);
        authz_examine(proxy, conn, entry);
        budget--;
    }
    return !list_is_empty(&proxy->reauth);
}
