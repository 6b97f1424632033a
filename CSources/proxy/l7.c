/* HTTP/1.1: the phases that decide about a request, and its ends. */
#include "l7code.h"
#include "record.h"

#include <stdio.h>

#include "base/err.h"
#include "mirror.h"
#include "rates.h"
#include "sticky.h"
#include "table/certificate.h"
#include "tokens.h"

/* --- ends --- */

void l7_count_status(struct proxy *proxy, struct conn *down, uint16_t status)
{
    uint64_t *counters = listener_of(proxy, down)->stats->counters;

    if (status >= 100 && status < 600) {
        abi_stat_add(&counters[ABI_LISTENER_CODE_1XX + status / 100 - 1], 1);
    }
}

void l7_next(struct proxy *proxy, struct conn *down, bool keep)
{
    down->requests++;
    down->since_ms = proxy->now_ms;
    if (!keep || (proxy->draining && !proxy->retiring)) {
        down->stage = L7_ENDING;
        conn_finish(proxy, down);
        return;
    }
    down->stage = L7_AWAIT_HEAD;
    if (conn_is_full(down)) {
        conn_pause(down); /* it does not read its answers: no more of them (l7_drained) */
    } else {
        conn_offer(proxy, down);
    }
}

void l7_done(struct proxy *proxy, struct request *request, enum abi_outcome outcome)
{
    struct conn *down = request->down;
    bool complete = request_has(request, REQUEST_BODY_DONE);
    bool keep = complete && !request_has(request, REQUEST_CLOSE_DOWN);

    upstream_leave(proxy, request,
                   complete && !request_has(request, REQUEST_CLOSE_UP) &&
                       request_has(request, REQUEST_ANSWER_DONE));
    request_end(proxy, request, outcome);
    l7_next(proxy, down, keep);
}

void l7_answer(struct proxy *proxy, struct request *request, struct answer *answer,
               enum abi_outcome outcome)
{
    if (!request_has(request, REQUEST_BODY_DONE) || proxy->draining) {
        request->flags |= REQUEST_CLOSE_DOWN;
    }
    if (request_has(request, REQUEST_GRPC) && outcome != ABI_OUTCOME_RESPONDED) {
        l7grpc_form(answer, outcome);
    }
    answer->head_only = request->method == H1_METHOD_HEAD;
    answer->close = request_has(request, REQUEST_CLOSE_DOWN);
    request->bytes_out += answer_write(proxy, request->down, answer);
    request->status = answer->status;
    request->flags |= REQUEST_ANSWERED;
    l7_done(proxy, request, outcome);
}

void l7_fail(struct proxy *proxy, struct request *request, enum abi_outcome outcome)
{
    struct answer answer = {
        .status = answer_status(outcome),
        .content_type = BYTES_LITERAL("text/plain"),
    };
    struct conn *down = request->down;

    request->flags |= REQUEST_CLOSE_UP;
    if (!request_has(request, REQUEST_ANSWERED)) {
        answer.body = answer_text(outcome, answer.status);
        l7_answer(proxy, request, &answer, outcome);
        return;
    }
    /* Part of an answer is out: only the end of the connection can say that it is not whole. */
    upstream_leave(proxy, request, false);
    request_end(proxy, request, outcome);
    conn_close(proxy, down, true);
}

void l7_body_too_large(struct proxy *proxy, struct request *request)
{
    struct answer answer = {
        .status = 413,
        .content_type = BYTES_LITERAL("text/plain"),
        .body = answer_text(ABI_OUTCOME_TOO_LARGE, 413),
    };

    if (request_has(request, REQUEST_ANSWERED)) {
        l7_fail(proxy, request, ABI_OUTCOME_TOO_LARGE);
        return;
    }
    request->flags |= REQUEST_CLOSE_UP | REQUEST_CLOSE_DOWN;
    l7_answer(proxy, request, &answer, ABI_OUTCOME_TOO_LARGE);
}

/* A head that cannot be read: answered without a request of its own. */
void l7_refuse(struct proxy *proxy, struct conn *down, uint16_t status, enum abi_outcome outcome)
{
    struct answer answer = {
        .status = status,
        .close = true,
        .content_type = BYTES_LITERAL("text/plain"),
        .body = answer_text(outcome, status),
    };
    struct abi_listener_stats *stats = listener_of(proxy, down)->stats;

    abi_stat_add(&stats->counters[ABI_LISTENER_REQUESTS], 1);
    abi_stat_add(&stats->outcomes[outcome], 1);
    record_refused(proxy, down, status, outcome);
    (void)answer_write(proxy, down, &answer);
    down->stage = L7_ENDING;
    conn_finish(proxy, down);
}

/* --- phases --- */

struct l7_fields { /* what route_input.context points at */
    const struct h1_head *head;
    const uint8_t *start;
};

static bool l7_field_at(const void *context, uint32_t index, struct route_field *field)
{
    const struct l7_fields *fields = context;

    if (index >= fields->head->field_count) {
        return false;
    }
    if ((fields->head->fields[index].flags & (H1_FIELD_NOMINATED | H1_FIELD_ALIAS)) != 0) {
        *field =
            (struct route_field){{NULL, 0}, {NULL, 0}}; /* no rule holds by what goes no further */
        return true;
    }
    field->name = h1_name(fields->start, &fields->head->fields[index]);
    field->value = h1_value(fields->start, &fields->head->fields[index]);
    return true;
}

/* Host and path in their one normal form. false: the request was refused. */
static bool l7_normalize(struct proxy *proxy, struct conn *down, struct l7_view *view)
{
    const struct h1_head *head = &proxy->head;
    struct bytes path = h1_slice(view->start, head->path);
    uint16_t port;
    bool changed = false;
    int length;

    view->authority = h1_slice(view->start, head->authority);
    if (view->authority.len > 0) {
        length = uri_normal_host(view->authority, proxy->host, &port);
        if (length < 0) {
            l7_refuse(proxy, down, 400, ABI_OUTCOME_BAD_REQUEST);
            return false;
        }
        view->host = bytes_of(proxy->host, (size_t)length);
    }
    view->query = h1_slice(view->start, head->query);
    if (path.len == 0) {
        bool server = head->method == H1_METHOD_OPTIONS && !head->has_query; /* `*` it becomes */

        view->path = head->form == H1_FORM_ABSOLUTE && !server ? BYTES_LITERAL("/") : path;
        return true;
    }
    length = uri_normal_path(path, proxy->path, &changed);
    if (length < 0) {
        l7_refuse(proxy, down, 400, ABI_OUTCOME_BAD_REQUEST);
        return false;
    }
    view->path = changed ? bytes_of(proxy->path, (size_t)length) : path;
    return true;
}

static void l7_redirect(struct proxy *proxy, struct request *request, const struct l7_view *view,
                        const struct abi_route *route)
{
    const struct view *table = &proxy->current->view;
    struct bytes scheme = view_text(table, route->redirect_scheme);
    struct bytes host = view_text(table, route->redirect_host);
    struct bytes path = view_text(table, route->redirect_path);
    struct bytes query = path.len > 0 ? bytes_of(NULL, 0) : view->query;
    struct answer answer = {.status = route->status};
    char location[H1_MAX_TARGET + 1024];
    int length;

    if (scheme.len == 0) {
        scheme = l7front_is_https(request, view) ? BYTES_LITERAL("https") : BYTES_LITERAL("http");
    }
    host = host.len == 0 ? view->authority : host;
    path = path.len == 0 ? view->path : path;
    if (host.len == 0) { /* HTTP/1.0 without Host: the same place, whatever its name */
        scheme.len = 0;
        path = path.len == 0 ? BYTES_LITERAL("/") : path;
    }
    length = snprintf(location, sizeof(location), "%.*s%s%.*s%.*s%s%.*s", (int)scheme.len,
                      (const char *)scheme.ptr, host.len > 0 ? "://" : "", (int)host.len,
                      (const char *)host.ptr, (int)path.len, (const char *)path.ptr,
                      query.len > 0 ? "?" : "", (int)query.len, (const char *)query.ptr);
    if (length < 0 || (size_t)length >= sizeof(location)) {
        l7_fail(proxy, request, ABI_OUTCOME_TOO_LARGE);
        return;
    }
    answer.location = bytes_of(location, (size_t)length);
    l7_answer(proxy, request, &answer, ABI_OUTCOME_RESPONDED);
}

/* What the route changes in the answer, kept behind the head. */
static bool l7_keep_ops(struct proxy *proxy, struct request *request, const struct l7_view *view,
                        const struct abi_route *route)
{
    struct l7vars vars = {.proxy = proxy, .request = request, .view = view, .route = route};
    struct l7ops ops = {
        .table = &proxy->current->view, .list = view->ops, .response = true, .vars = &vars};
    size_t length = 0;

    if (view->ops.count > 0) {
        length = l7ops_pack(&ops, request->head + request->head_length,
                            REQUEST_HEAD_INLINE - request->head_length);
    }
    if (length != L7OPS_FULL) {
        request->ops_length = (uint32_t)length;
        return true;
    }
    length = l7ops_pack(&ops, proxy->scratch, REQUEST_OPS_MAX);
    if (length == L7OPS_FULL) { /* variables have made it so long: see tables_check_ops */
        l7_fail(proxy, request, ABI_OUTCOME_TOO_LARGE);
        return false;
    }
    if (spill_append(&request->big_ops, &proxy->blocks, bytes_of(proxy->scratch, length)) !=
        MESH_OK) {
        l7_fail(proxy, request, ABI_OUTCOME_OVERLOAD);
        return false;
    }
    return true;
}

static void l7_respond(struct proxy *proxy, struct request *request, const struct l7_view *view,
                       const struct abi_route *route)
{
    const struct view *table = &proxy->current->view;
    struct answer answer = {
        .status = route->status,
        .body = view_text(table, route->body),
        .content_type = view_text(table, route->content_type),
    };

    if (!l7_keep_ops(proxy, request, view, route)) {
        return;
    }
    answer.ops.packed = request_answer_ops(request);
    l7_answer(proxy, request, &answer, ABI_OUTCOME_RESPONDED);
}

/* The head for the upstream, kept in the request until the answer has begun. */
static bool l7_build_head(struct proxy *proxy, struct request *request, const struct l7_view *view,
                          const struct abi_route *route)
{
    size_t length = l7head_request(proxy, request, view, route, request->head, REQUEST_HEAD_INLINE);

    if (length == 0) {
        length = l7head_request(proxy, request, view, route, proxy->scratch, PROXY_SCRATCH_SIZE);
        if (length == 0) {
            l7_fail(proxy, request, ABI_OUTCOME_TOO_LARGE);
            return false;
        }
        if (spill_append(&request->big_head, &proxy->blocks, bytes_of(proxy->scratch, length)) !=
            MESH_OK) {
            l7_fail(proxy, request, ABI_OUTCOME_OVERLOAD);
            return false;
        }
        length = 0;
    }
    request->head_length = (uint32_t)length;
    return l7_keep_ops(proxy, request, view, route);
}

/* How long it may take, how often it may be tried. */
static void l7_begin_tries(struct proxy *proxy, struct request *request,
                           const struct abi_route *route)
{
    const struct abi_traffic *traffic;

    request->retries = route->retries;
    request->retry_on = route->retry_on;
    request->max_replay = LIMIT_REPLAY_DEFAULT;
    if (route->traffic == ABI_NONE) {
        return;
    }
    traffic = &proxy->current->view.traffic[route->traffic];
    request->max_replay = traffic->max_replay;
    if ((route->retry_on & ~(uint32_t)(ABI_RETRY_CONNECT | ABI_RETRY_RESET)) != 0 ||
        (traffic->try_timeout_ms | traffic->backoff_ms | traffic->retry_codes[0]) != 0) {
        retry_begin(request, traffic);
    }
    if (traffic->idle_timeout_ms != 0) {
        l7idle_begin(proxy, request, traffic->idle_timeout_ms);
    }
}

static void l7_forward(struct proxy *proxy, struct request *request, const struct l7_view *view,
                       const struct abi_route *route)
{
    const struct abi_listener *entry = listener_entry(proxy, listener_of(proxy, request->down));
    uint32_t timeout_ms =
        route->request_timeout_ms != 0 ? route->request_timeout_ms : entry->request_timeout_ms;
    struct conn *down = request->down;

    l7_begin_tries(proxy, request, route);
    if (request_has(request, REQUEST_GRPC)) {
        timeout_ms = l7grpc_bound(&proxy->head, view->start, timeout_ms);
    }
    if (!l7head_may_rewrite(proxy, view, route)) {
        request->flags |= REQUEST_CLOSE_DOWN;
        l7_fail(proxy, request, ABI_OUTCOME_BAD_REQUEST);
        return;
    }
    if (!l7_build_head(proxy, request, view, route)) {
        return;
    }
    if (proxy->current->view.targets[request->target].balancer != ABI_NONE &&
        !sticky_judge(proxy, request, view)) {
        l7_fail(proxy, request, ABI_OUTCOME_OVERLOAD);
        return;
    }
    if (route->traffic != ABI_NONE &&
        proxy->current->view.traffic[route->traffic].mirror_share > 0) {
        mirror_start(proxy, request, view, &proxy->current->view.traffic[route->traffic]);
    }
    if (timeout_ms != 0) {
        wheel_arm(&proxy->wheel, &request->timer, proxy->now_ms, timeout_ms);
    }
    down->stage = L7_AWAIT_UPSTREAM;
    switch (upstream_start(proxy, request, &l7up_ops)) {
    case UPSTREAM_READY:
        l7_upstream_ready(proxy, request);
        break;
    case UPSTREAM_WAIT:
        break;
    case UPSTREAM_FAILED:
        l7_fail(proxy, request, (enum abi_outcome)request->outcome);
        break;
    }
}

/* Whether the request is for a host that has other certificates than those its client was shown:
 * somebody uses a connection to one server for another (RFC 9110 7.4, 15.5.20). */
static bool l7_is_misdirected(struct proxy *proxy, const struct conn *down, struct bytes host)
{
    const struct view *view = &proxy->current->view;
    const struct abi_listener *entry = listener_entry(proxy, listener_of(proxy, down));
    struct bytes name;

    if (down->tls == NULL || entry->tls == ABI_NONE || view->tls[entry->tls].names.count == 0) {
        return false;
    }
    name = tls_server_name(down->tls);
    return name.len > 0 && !bytes_equal(name, host) &&
           !certificate_is_shared(view, &view->tls[entry->tls], name, host);
}

static void l7_misdirect(struct proxy *proxy, struct request *request)
{
    struct answer answer = {
        .status = 421,
        .content_type = BYTES_LITERAL("text/plain"),
        .body = BYTES_LITERAL("this connection is for another server\n"),
    };

    l7_answer(proxy, request, &answer, ABI_OUTCOME_NO_ROUTE);
}

/* Apart, since an answer is much to clear for those that need none. */
[[gnu::noinline]] static void l7_over_rate(struct proxy *proxy, struct request *request,
                                           uint32_t wait_s)
{
    struct answer answer = {
        .status = 429,
        .content_type = BYTES_LITERAL("text/plain"),
        .body = answer_text(ABI_OUTCOME_RATE_LIMITED, 429),
        .retry_after = wait_s,
    };

    l7_answer(proxy, request, &answer, ABI_OUTCOME_RATE_LIMITED);
}

/* Whether the route takes the request: its length, its rate. false: it is over. */
static bool l7_admit(struct proxy *proxy, struct request *request,
                     const struct abi_traffic *traffic)
{
    const struct h1_head *head = &proxy->head;
    uint32_t wait_s;

    if (traffic->rates.count > 0 &&
        !rates_admit(proxy, request, &proxy->current->view, traffic->rates, &wait_s)) {
        l7_over_rate(proxy, request, wait_s);
        return false;
    }
    if (traffic->max_head != 0 && head->length > traffic->max_head) {
        l7_fail(proxy, request, ABI_OUTCOME_TOO_LARGE);
        return false;
    }
    if (traffic->max_body == 0) {
        return true;
    }
    if (head->framing == H1_FRAMING_LENGTH && head->content_length > traffic->max_body) {
        l7_body_too_large(proxy, request);
        return false;
    }
    request->flags |= REQUEST_BODY_BOUND;
    request->max_body = traffic->max_body;
    return true;
}

/* Phases route, authorize and choose. */
static void l7_decide(struct proxy *proxy, struct request *request, struct l7_view *view)
{
    const struct view *table = &proxy->current->view;
    const struct abi_listener *entry = listener_entry(proxy, listener_of(proxy, request->down));
    uint32_t index = route_find(table, entry->route_table, &view->input);
    const struct abi_route *route = index == ABI_NONE ? NULL : &table->routes[index];
    uint32_t target = ABI_NONE;

    if (l7_is_misdirected(proxy, request->down, view->input.host)) {
        l7_misdirect(proxy, request);
        return;
    }
    if (route != NULL) {
        request->route = (uint16_t)(route->stats_slot + 1u);
        view->ops = route->header_ops;
    }
    if (route != NULL && route->action == ABI_ACTION_FORWARD) {
        uint32_t number =
            route->splits.count == 1 ? 0 : (uint32_t)(proxy_random(proxy) % ABI_SPLIT_TOTAL);
        const struct abi_split *split = &table->splits[route_split(table, route->splits, number)];

        target = split->target;
        request->target = target;
        request->target_key = table->targets[target].key;
        view->ops = split->header_ops.count > 0 ? split->header_ops : view->ops;
    }
    if (request->record != NULL && route != NULL) {
        record_route(proxy, request, route);
    }
    if (!authz_request(proxy, request->down, &view->input, target)) {
        l7_fail(proxy, request, ABI_OUTCOME_DENIED);
        return;
    }
    if (request->record != NULL) {
        record_intention(proxy, request);
    }
    if (route != NULL && route->traffic != ABI_NONE &&
        !l7_admit(proxy, request, &table->traffic[route->traffic])) {
        return;
    }
    if (route == NULL) {
        l7_fail(proxy, request, ABI_OUTCOME_NO_ROUTE);
    } else if (route->action == ABI_ACTION_RESPOND) {
        l7_respond(proxy, request, view, route);
    } else if (route->action == ABI_ACTION_REDIRECT) {
        l7_redirect(proxy, request, view, route);
    } else {
        l7_forward(proxy, request, view, route);
    }
}

/* Whether Upgrade asks for another version of HTTP or for TLS: a hop's own business (h2c
 * smuggling), never passed on. */
static bool l7_upgrades_http(const struct h1_head *head, const uint8_t *start)
{
    const struct h1_field *field = h1_find(head, HDR_UPGRADE);
    struct bytes rest = field == NULL ? bytes_of(NULL, 0) : h1_value(start, field);
    struct bytes protocol;

    if (h1_find(head, HDR_HTTP2_SETTINGS) != NULL) {
        return true;
    }
    while (hdr_next_element(&rest, &protocol)) {
        uint8_t first = protocol.len >= 2 ? bytes_lower(protocol.ptr[0]) : 0;
        uint8_t second = protocol.len >= 2 ? bytes_lower(protocol.ptr[1]) : 0;

        if ((first == 'h' && (second == '2' || second == 't')) || (first == 't' && second == 'l')) {
            return true; /* h2c, HTTP/2.0, TLS/1.0 */
        }
    }
    return false;
}

static uint32_t l7_request_flags(const struct h1_head *head, const uint8_t *start)
{
    uint32_t flags = 0;

    if ((head->flags & H1_KEEP_ALIVE) == 0 || head->method == H1_METHOD_CONNECT) {
        flags |= REQUEST_CLOSE_DOWN; /* what follows a refused CONNECT was meant for the tunnel */
    }
    if (head->minor == 0) {
        flags |= REQUEST_HTTP10;
    }
    if (head->framing == H1_FRAMING_CHUNKED) {
        flags |= REQUEST_CHUNK_UP;
    }
    if (head->method == H1_METHOD_CONNECT ||
        ((head->flags & H1_UPGRADE) != 0 && head->framing == H1_FRAMING_NONE &&
         !l7_upgrades_http(head, start))) {
        flags |= REQUEST_UPGRADE;
    }
    return flags;
}

/* A request of which enough is known to decide about it. */
static void l7_exchange(struct proxy *proxy, struct conn *down, const struct abi_listener *entry,
                        struct l7_view *view)
{
    const struct h1_head *head = &proxy->head;
    struct request *request = request_create(proxy, down);

    if (request == NULL) {
        l7_refuse(proxy, down, 503, ABI_OUTCOME_OVERLOAD);
        return;
    }
    abi_stat_add(&listener_of(proxy, down)->stats->counters[ABI_LISTENER_REQUESTS], 1);
    l7front_judge(proxy, request, view);
    if (entry->log != ABI_NONE || request_has(request, REQUEST_SPANS)) {
        record_begin(proxy, request, view);
    }
    if (entry->compression != ABI_NONE) {
        l7code_wish(proxy, request, entry, view->start);
    }
    request->method = head->method;
    request->flags |= l7_request_flags(head, view->start);
    h1body_start(&request->request_body, (enum h1_framing)head->framing, head->content_length);
    if (h1body_is_done(&request->request_body)) {
        request->flags |= REQUEST_BODY_DONE;
    }
    if (head->method == H1_METHOD_POST && l7grpc_asks(head, view->start)) {
        request->flags |= REQUEST_GRPC;
    }
    if (l7hops_is_loop(proxy, down, view->start)) {
        l7_fail(proxy, request, ABI_OUTCOME_LOOP);
        return;
    }
    if (head->minor == 0) {
        l7head_hold_back(&proxy->head, HDR_EXPECT); /* RFC 9110 10.1.1 */
    }
    if ((head->method == H1_METHOD_OPTIONS || head->method == H1_METHOD_TRACE) &&
        !l7hops_count(proxy, request, view)) {
        return;
    }
    l7_decide(proxy, request, view);
}

/* What is routed by: the host that is asked for. A gateway stands for the service that TLS was made
 * for, which may know itself by other names. */
static struct bytes l7_meant(const struct conn *down, const struct abi_listener *entry,
                             struct bytes host)
{
    return (entry->flags & ABI_LISTENER_GATEWAY) != 0 ? tls_server_name(down->tls) : host;
}

bool l7_begin(struct proxy *proxy, struct conn *down, const uint8_t *start)
{
    struct l7_fields fields = {.head = &proxy->head, .start = start};
    struct l7_view view = {.start = start};
    const struct abi_listener *entry = listener_entry(proxy, listener_of(proxy, down));
    bool waits = false;

    if (entry == NULL) {
        l7_refuse(proxy, down, 503, ABI_OUTCOME_DRAINED); /* the listener is gone */
        return true;
    }
    if (!l7_normalize(proxy, down, &view)) {
        return true;
    }
    view.input = (struct route_input){
        .host = l7_meant(down, entry, view.host),
        .path = view.path,
        .query = view.query,
        .method = 1u << proxy->head.method,
        .next_field = l7_field_at,
        .context = &fields,
    };
    if (proxy->current->view.counts[ABI_SECTION_TOKEN] > 0 &&
        !tokens_are_known(proxy, down, &view.input, &waits)) {
        return !waits;
    }
    down->parked_ms = 0;
    l7_exchange(proxy, down, entry, &view);
    return true;
}
