/* HTTP/1.1, client side: a head, the phases that decide about it, the body on its way up. */
#include "l7.h"

#include <stdio.h>

#include "base/err.h"

_Static_assert((int)H1_METHOD_GET == (int)ABI_METHOD_GET &&
                   (int)H1_METHOD_CONNECT == (int)ABI_METHOD_CONNECT &&
                   (int)H1_METHOD_PATCH == (int)ABI_METHOD_PATCH &&
                   (int)H1_METHOD_COUNT == (int)ABI_METHOD_COUNT,
               "sets of methods in a snapshot have the parser's numbers");

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
    if (!keep || proxy->draining) {
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

static void l7_answer(struct proxy *proxy, struct request *request, struct answer *answer,
                      enum abi_outcome outcome)
{
    if (!request_has(request, REQUEST_BODY_DONE)) {
        request->flags |= REQUEST_CLOSE_DOWN;
    }
    answer->head_only = request->method == H1_METHOD_HEAD;
    answer->close = request_has(request, REQUEST_CLOSE_DOWN) || proxy->draining;
    answer_write(proxy, request->down, answer);
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

/* A head that cannot be read: answered without a request of its own. */
static void l7_refuse(struct proxy *proxy, struct conn *down, uint16_t status,
                      enum abi_outcome outcome)
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
    answer_write(proxy, down, &answer);
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
        view->path = head->form == H1_FORM_ABSOLUTE ? BYTES_LITERAL("/") : path;
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

/* Our own pseudonym in Via: the request has been here (RFC 9110 7.6.3). */
static bool l7_is_loop(struct proxy *proxy, struct conn *down, const uint8_t *start)
{
    const struct abi_listener *entry = listener_entry(proxy, listener_of(proxy, down));
    struct bytes own = view_text(&proxy->current->view, entry->via);

    for (uint32_t i = 0; own.len > 0 && i < proxy->head.field_count; i++) {
        const struct h1_field *field = &proxy->head.fields[i];
        struct bytes rest = h1_value(start, field);
        struct bytes hop;

        while (field->id == HDR_VIA && hdr_next_element(&rest, &hop)) {
            size_t at = 0;

            while (at < hop.len && hop.ptr[at] != ' ') {
                at++;
            }
            while (at < hop.len && hop.ptr[at] == ' ') {
                at++;
            }
            hop = bytes_from(hop, at);
            if (bytes_has_prefix(hop, own) && (hop.len == own.len || hop.ptr[own.len] == ' ')) {
                return true;
            }
        }
    }
    return false;
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
        scheme = request->down->tls != NULL ? BYTES_LITERAL("https") : BYTES_LITERAL("http");
    }
    host = host.len == 0 ? view->authority : host;
    path = path.len == 0 ? view->path : path;
    length = snprintf(location, sizeof(location), "%.*s://%.*s%.*s%s%.*s", (int)scheme.len,
                      (const char *)scheme.ptr, (int)host.len, (const char *)host.ptr,
                      (int)path.len, (const char *)path.ptr, query.len > 0 ? "?" : "",
                      (int)query.len, (const char *)query.ptr);
    if (length < 0 || (size_t)length >= sizeof(location)) {
        l7_fail(proxy, request, ABI_OUTCOME_TOO_LARGE);
        return;
    }
    answer.location = bytes_of(location, (size_t)length);
    l7_answer(proxy, request, &answer, ABI_OUTCOME_RESPONDED);
}

static void l7_respond(struct proxy *proxy, struct request *request, const struct abi_route *route)
{
    struct answer answer = {
        .status = route->status,
        .body = view_text(&proxy->current->view, route->body),
        .content_type = view_text(&proxy->current->view, route->content_type),
    };

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
    return true;
}

static void l7_forward(struct proxy *proxy, struct request *request, const struct l7_view *view,
                       const struct abi_route *route)
{
    const struct abi_listener *entry = listener_entry(proxy, listener_of(proxy, request->down));
    uint32_t timeout_ms =
        route->request_timeout_ms != 0 ? route->request_timeout_ms : entry->request_timeout_ms;
    struct conn *down = request->down;

    request->retries = route->retries;
    request->retry_on = route->retry_on;
    if (!l7_build_head(proxy, request, view, route)) {
        return;
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

/* Phases route, authorize and choose. */
static void l7_decide(struct proxy *proxy, struct request *request, const struct l7_view *view)
{
    const struct view *table = &proxy->current->view;
    const struct abi_listener *entry = listener_entry(proxy, listener_of(proxy, request->down));
    uint32_t index = route_find(table, entry->route_table, &view->input);
    const struct abi_route *route = index == ABI_NONE ? NULL : &table->routes[index];
    uint32_t target = ABI_NONE;

    if (route != NULL && route->action == ABI_ACTION_FORWARD) {
        uint32_t number =
            route->splits.count == 1 ? 0 : (uint32_t)(proxy_random(proxy) % ABI_SPLIT_TOTAL);

        target = table->splits[route_split(table, route->splits, number)].target;
        request->target = target;
        request->target_key = table->targets[target].key;
    }
    if (!authz_request(proxy, request->down, &view->input, target)) {
        l7_fail(proxy, request, ABI_OUTCOME_DENIED);
    } else if (route == NULL) {
        l7_fail(proxy, request, ABI_OUTCOME_NO_ROUTE);
    } else if (route->action == ABI_ACTION_RESPOND) {
        l7_respond(proxy, request, route);
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

    if ((head->flags & H1_KEEP_ALIVE) == 0) {
        flags |= REQUEST_CLOSE_DOWN;
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

static void l7_begin(struct proxy *proxy, struct conn *down, const uint8_t *start)
{
    const struct h1_head *head = &proxy->head;
    struct l7_fields fields = {.head = head, .start = start};
    struct l7_view view = {.start = start};
    struct request *request;

    if (listener_entry(proxy, listener_of(proxy, down)) == NULL) {
        l7_refuse(proxy, down, 503, ABI_OUTCOME_DRAINED); /* the listener is gone */
        return;
    }
    if (!l7_normalize(proxy, down, &view)) {
        return;
    }
    request = request_create(proxy, down);
    if (request == NULL) {
        l7_refuse(proxy, down, 503, ABI_OUTCOME_OVERLOAD);
        return;
    }
    abi_stat_add(&listener_of(proxy, down)->stats->counters[ABI_LISTENER_REQUESTS], 1);
    request->method = head->method;
    request->flags |= l7_request_flags(head, start);
    h1body_start(&request->request_body, (enum h1_framing)head->framing, head->content_length);
    if (h1body_is_done(&request->request_body)) {
        request->flags |= REQUEST_BODY_DONE;
    }
    if (l7_is_loop(proxy, down, start)) {
        l7_fail(proxy, request, ABI_OUTCOME_LOOP);
        return;
    }
    view.input = (struct route_input){
        .host = view.host,
        .path = view.path,
        .query = view.query,
        .method = 1u << head->method,
        .next_field = l7_field_at,
        .context = &fields,
    };
    l7_decide(proxy, request, &view);
}

/* --- input --- */

static void l7_refuse_head(struct proxy *proxy, struct conn *down, int error)
{
    uint16_t status = h1_refusal_status(error, &proxy->head);

    l7_refuse(proxy, down, status,
              status == 414 || status == 431 ? ABI_OUTCOME_TOO_LARGE : ABI_OUTCOME_BAD_REQUEST);
}

/* The connection's timer looks at what is waited for (l7_deadline) at least once per idle time. */
static void l7_arm_idle(struct proxy *proxy, struct conn *down, const struct abi_listener *entry)
{
    conn_arm_timer(proxy, down, entry->idle_timeout_ms == 0 ? 60000 : entry->idle_timeout_ms);
}

static size_t l7_on_head(struct proxy *proxy, struct conn *down, struct bytes in)
{
    const struct abi_listener *entry;
    int used = 0;

    if (down->stage == L7_IN_HEAD && in.len < down->seen) {
        return 0; /* the head lies across blocks: it is offered in one piece next */
    }
    if (down->stage != L7_IN_HEAD || in.len >= H1_MAX_HEAD || h1_may_progress(in, down->seen)) {
        used = h1_parse_request(in, &proxy->head);
    }
    if (used == 0 && in.len < H1_MAX_HEAD) {
        down->seen = (uint32_t)in.len;
        if (down->stage == L7_AWAIT_HEAD) {
            entry = listener_entry(proxy, listener_of(proxy, down));
            down->stage = L7_IN_HEAD;
            down->since_ms = proxy->now_ms;
            if (entry != NULL) {
                conn_arm_timer(proxy, down, entry->head_timeout_ms);
            }
        }
        return 0;
    }
    if (used <= 0) {
        l7_refuse_head(proxy, down, used == 0 ? MESH_E_TOO_LONG : used);
        return in.len;
    }
    abi_stat_add(&listener_of(proxy, down)->stats->counters[ABI_LISTENER_BYTES_IN], (uint64_t)used);
    if (down->stage == L7_IN_HEAD || down->requests == 0) { /* the timer was the head's */
        entry = listener_entry(proxy, listener_of(proxy, down));
        if (entry != NULL) {
            l7_arm_idle(proxy, down, entry);
        }
    }
    l7_begin(proxy, down, in.ptr);
    return (size_t)used;
}

void l7_gather_flush(struct proxy *proxy, struct l7_gather *gather)
{
    if (gather->count > 0) {
        conn_write(proxy, gather->to, gather->parts, gather->count);
        gather->count = 0;
        gather->sizes = 0;
    }
}

void l7_gather_add(struct proxy *proxy, struct l7_gather *gather, struct bytes part)
{
    if (gather->count == L7_GATHER_PARTS) {
        l7_gather_flush(proxy, gather);
    }
    gather->parts[gather->count++] = part;
}

static void l7_gather_chunk(struct proxy *proxy, struct l7_gather *gather, struct bytes data)
{
    uint8_t *line;

    if (gather->count + 3 > L7_GATHER_PARTS || gather->sizes == L7_GATHER_SIZES) {
        l7_gather_flush(proxy, gather);
    }
    line = gather->size_lines[gather->sizes++];
    l7_gather_add(proxy, gather, bytes_of(line, h1body_put_size(line, data.len)));
    l7_gather_add(proxy, gather, data);
    l7_gather_add(proxy, gather, BYTES_LITERAL("\r\n"));
}

/* The last chunk with the trailers that may be forwarded. */
static int l7_gather_end(struct proxy *proxy, struct l7_gather *gather, struct spill *trailers)
{
    struct iovec parts[2];
    int count = spill_parts(trailers, parts, 2);
    struct bytes rest;

    l7_gather_add(proxy, gather, BYTES_LITERAL("0\r\n"));
    MUST(count <= 1); /* H1BODY_MAX_TRAILER fits one block */
    rest = count == 0 ? bytes_of(NULL, 0) : bytes_of(parts[0].iov_base, parts[0].iov_len);
    while (rest.len > 0) {
        const uint8_t *end = memchr(rest.ptr, '\n', rest.len);
        size_t length = end == NULL ? rest.len : (size_t)(end - rest.ptr);
        struct bytes line = bytes_part(rest, 0, length);
        struct bytes name, value;

        if (h1body_check_trailer(line, &name, &value) != MESH_OK) {
            return MESH_E_SYNTAX;
        }
        if (!hdr_is_forbidden_trailer(hdr_find(name), name)) {
            l7_gather_add(proxy, gather, line);
            l7_gather_add(proxy, gather, BYTES_LITERAL("\r\n"));
        }
        rest = bytes_from(rest, length + (end != NULL ? 1 : 0));
    }
    l7_gather_add(proxy, gather, BYTES_LITERAL("\r\n"));
    l7_gather_flush(proxy, gather);
    spill_clear(trailers, &proxy->blocks);
    return MESH_OK;
}

int64_t l7_pass_body(struct proxy *proxy, struct h1body *body, struct bytes in, bool chunk,
                     struct spill *trailers, struct l7_gather *gather, uint64_t *data)
{
    size_t used = 0;

    while (!h1body_is_done(body) && used < in.len) {
        struct h1body_step step;
        int64_t count = h1body_next(body, bytes_from(in, used), &step);

        if (count < 0) {
            return count;
        }
        used += (size_t)count;
        if (step.kind == H1BODY_DATA) {
            *data += step.out.len;
            if (chunk) {
                l7_gather_chunk(proxy, gather, step.out);
            } else {
                l7_gather_add(proxy, gather, step.out);
            }
        } else if (step.kind == H1BODY_FIELD) {
            if (spill_append(trailers, &proxy->blocks, step.out) != MESH_OK ||
                (step.line_end &&
                 spill_append(trailers, &proxy->blocks, BYTES_LITERAL("\n")) != MESH_OK)) {
                return MESH_E_NO_MEMORY;
            }
        }
        if (count == 0 && step.kind == H1BODY_MORE) {
            break;
        }
    }
    if (h1body_is_done(body) && chunk) {
        int result = l7_gather_end(proxy, gather, trailers);

        if (result != MESH_OK) {
            return result;
        }
    }
    return (int64_t)used;
}

static size_t l7_on_body(struct proxy *proxy, struct conn *down, struct bytes in)
{
    struct request *request = down->user;
    struct l7_gather gather;
    uint64_t data = 0;
    int64_t used;

    l7_gather_start(&gather, request->up);
    used = l7_pass_body(proxy, &request->request_body, in, request_has(request, REQUEST_CHUNK_UP),
                        &request->big_head, &gather, &data);
    if (used < 0) {
        /* The upstream must never see a complete message. */
        l7_fail(proxy, request, ABI_OUTCOME_BAD_REQUEST);
        return in.len;
    }
    request->flags |= used > 0 ? (uint32_t)REQUEST_BODY_SENT : 0;
    l7_gather_flush(proxy, &gather);
    abi_stat_add(&listener_of(proxy, down)->stats->counters[ABI_LISTENER_BYTES_IN], data);
    abi_stat_add(&request->target_stats->counters[ABI_TARGET_BYTES_OUT], data);
    if (h1body_is_done(&request->request_body)) {
        request->flags |= REQUEST_BODY_DONE;
        down->stage = L7_AWAIT_ANSWER;
        if (request_has(request, REQUEST_ANSWER_DONE)) {
            l7_done(proxy, request, ABI_OUTCOME_OK);
        }
    } else if (conn_is_full(request->up)) {
        conn_pause(down);
    }
    return (size_t)used;
}

static size_t l7_data(struct proxy *proxy, struct conn *down, struct bytes in)
{
    switch ((enum l7_stage)down->stage) {
    case L7_AWAIT_HEAD:
    case L7_IN_HEAD:
        return l7_on_head(proxy, down, in);
    case L7_IN_BODY:
        return l7_on_body(proxy, down, in);
    case L7_AWAIT_UPSTREAM:
    case L7_AWAIT_ANSWER:
        conn_pause(down); /* the next request waits for this one's answer */
        return 0;
    case L7_ENDING:
        return in.len;
    }
    return in.len;
}

void l7_upstream_ready(struct proxy *proxy, struct request *request)
{
    struct conn *down = request->down;
    struct bytes parts[4];
    uint32_t count = 0;

    if (request->head_length > 0) {
        parts[count++] = bytes_of(request->head, request->head_length);
    } else {
        struct iovec stored[4];
        int pieces = spill_parts(&request->big_head, stored, 4);

        for (int i = 0; i < pieces; i++) {
            parts[count++] = bytes_of(stored[i].iov_base, stored[i].iov_len);
        }
    }
    request->flags |= REQUEST_SENT;
    request->sent_ns = ring_now_ns(proxy->ring);
    request->up->stage = 0;
    abi_stat_add(&request->target_stats->counters[ABI_TARGET_REQUESTS], 1);
    conn_write(proxy, request->up, parts, count);
    conn_offer(proxy, request->up);
    request_unpin(proxy, request);
    if (request_has(request, REQUEST_BODY_DONE)) {
        down->stage = L7_AWAIT_ANSWER;
        return;
    }
    /* A head that is sent again would need its body again: from here on it cannot be. */
    spill_clear(&request->big_head, &proxy->blocks);
    down->stage = L7_IN_BODY;
    down->since_ms = proxy->now_ms;
    conn_offer(proxy, down);
}

/* --- the client's connection --- */

static void l7_opened(struct proxy *proxy, struct conn *down)
{
    struct listener *listener = listener_of(proxy, down);
    const struct abi_listener *entry = listener_entry(proxy, listener);

    down->stage = L7_AWAIT_HEAD;
    down->since_ms = proxy->now_ms;
    if (down->tls == NULL) {
        return;
    }
    abi_stat_add(&listener->stats->counters[ABI_LISTENER_HANDSHAKES], 1);
    abi_stat_add(&listener->stats->counters[ABI_LISTENER_HANDSHAKES_RESUMED],
                 tls_resumed(down->tls) ? 1 : 0);
    if (entry != NULL) {
        conn_arm_timer(proxy, down, entry->head_timeout_ms);
    }
}

static void l7_abort(struct proxy *proxy, struct conn *down, enum abi_outcome outcome)
{
    struct request *request = down->user;

    if (request != NULL) {
        upstream_leave(proxy, request, false);
        request_end(proxy, request, outcome);
    }
    conn_close(proxy, down, outcome != ABI_OUTCOME_OK);
}

static void l7_ended(struct proxy *proxy, struct conn *down)
{
    switch ((enum l7_stage)down->stage) {
    case L7_AWAIT_HEAD:
        conn_finish(proxy, down);
        break;
    case L7_IN_HEAD:
        l7_refuse(proxy, down, 400, ABI_OUTCOME_BAD_REQUEST);
        break;
    case L7_IN_BODY:
    case L7_AWAIT_UPSTREAM:
    case L7_AWAIT_ANSWER:
        if (!request_has(down->user, REQUEST_BODY_DONE)) {
            /* Cut short: what the upstream has must not look complete. */
            l7_fail(proxy, down->user, ABI_OUTCOME_BAD_REQUEST);
        } else {
            /* Half-closed after its request: the answer is still wanted. */
            ((struct request *)down->user)->flags |= REQUEST_CLOSE_DOWN;
        }
        break;
    case L7_ENDING:
        break;
    }
}

static void l7_drained(struct proxy *proxy, struct conn *down)
{
    struct request *request = down->user;

    if (request == NULL) {
        conn_offer(proxy, down);
    } else if (request->up != NULL) {
        conn_offer(proxy, request->up);
    }
}

static void l7_failed(struct proxy *proxy, struct conn *down, enum abi_outcome outcome)
{
    struct listener *listener = listener_of(proxy, down);

    if (outcome == ABI_OUTCOME_TLS) {
        abi_stat_add(&listener->stats->counters[ABI_LISTENER_HANDSHAKES_FAILED], 1);
    }
    if (down->user == NULL) {
        abi_stat_add(&listener->stats->outcomes[outcome], 1);
    }
    l7_abort(proxy, down, outcome);
}

void l7_request_timeout(struct proxy *proxy, struct request *request)
{
    if (request_has(request, REQUEST_CLOSE_DOWN) && request_has(request, REQUEST_ANSWERED)) {
        l7_abort(proxy, request->down, ABI_OUTCOME_REQUEST_TIMEOUT);
        return;
    }
    request->flags |= REQUEST_CLOSE_DOWN;
    l7_fail(proxy, request, ABI_OUTCOME_REQUEST_TIMEOUT);
}

/* For connections whose listener is gone: what is in flight may finish. */
static const struct abi_listener l7_gone = {.head_timeout_ms = 10000, .idle_timeout_ms = 60000};

/* When the idle time since `since_ms` is over; 0: never. */
static uint64_t l7_idle_end(const struct abi_listener *entry, uint64_t since_ms)
{
    return entry->idle_timeout_ms == 0 ? 0 : since_ms + entry->idle_timeout_ms;
}

/* What the connection is waiting for, and until when. 0: nothing that has a limit. */
static uint64_t l7_deadline(const struct conn *down, const struct abi_listener *entry,
                            enum abi_outcome *outcome)
{
    const struct request *request = down->user;

    *outcome = ABI_OUTCOME_IDLE_TIMEOUT;
    switch ((enum l7_stage)down->stage) {
    case L7_IN_HEAD:
        *outcome = ABI_OUTCOME_HEAD_TIMEOUT;
        return down->since_ms + entry->head_timeout_ms;
    case L7_IN_BODY:
        if (!conn_has(down, CONN_PAUSED)) {
            return l7_idle_end(entry, down->moved_ms);
        }
        if (conn_is_stuck(request->up)) { /* an upstream that does not read */
            *outcome = ABI_OUTCOME_REQUEST_TIMEOUT;
            return l7_idle_end(entry, request->up->sent_ms);
        }
        break;
    case L7_AWAIT_HEAD:
        if (!conn_is_stuck(down)) {
            return down->requests == 0              ? down->since_ms + entry->head_timeout_ms
                   : down->since_ms > down->sent_ms ? l7_idle_end(entry, down->since_ms)
                                                    : l7_idle_end(entry, down->sent_ms);
        }
        break;
    case L7_AWAIT_UPSTREAM:
    case L7_AWAIT_ANSWER:
    case L7_ENDING:
        break;
    }
    /* An answer that the client does not read. */
    *outcome = ABI_OUTCOME_CLIENT_GONE;
    return conn_is_stuck(down) ? l7_idle_end(entry, down->sent_ms) : 0;
}

static void l7_timed_out(struct proxy *proxy, struct conn *down, enum abi_outcome outcome)
{
    if (outcome == ABI_OUTCOME_HEAD_TIMEOUT) {
        l7_refuse(proxy, down, 408, outcome);
    } else if (down->stage == L7_IN_BODY && outcome != ABI_OUTCOME_CLIENT_GONE) {
        l7_fail(proxy, down->user, outcome);
    } else {
        abi_stat_add(&listener_of(proxy, down)->stats->outcomes[outcome],
                     down->user == NULL ? 1 : 0);
        l7_abort(proxy, down, outcome == ABI_OUTCOME_CLIENT_GONE ? outcome : ABI_OUTCOME_OK);
    }
}

static void l7_timeout(struct proxy *proxy, struct conn *down)
{
    const struct abi_listener *entry = listener_entry(proxy, listener_of(proxy, down));
    enum abi_outcome outcome;
    uint64_t deadline;

    if (down->state == CONN_HANDSHAKING) {
        l7_failed(proxy, down, ABI_OUTCOME_TLS);
        return;
    }
    if (entry == NULL && down->stage == L7_AWAIT_HEAD && !conn_is_stuck(down)) {
        l7_abort(proxy, down, ABI_OUTCOME_OK);
        return;
    }
    entry = entry == NULL ? &l7_gone : entry;
    deadline = l7_deadline(down, entry, &outcome);
    if (deadline == 0) {
        l7_arm_idle(proxy, down, entry);
    } else if (deadline > proxy->now_ms) {
        conn_arm_timer(proxy, down, deadline - proxy->now_ms);
    } else {
        l7_timed_out(proxy, down, outcome);
    }
}

const struct conn_ops l7_ops = {
    .opened = l7_opened,
    .data = l7_data,
    .ended = l7_ended,
    .drained = l7_drained,
    .failed = l7_failed,
    .timeout = l7_timeout,
};
