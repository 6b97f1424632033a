/* Heads for the next hop: hop-by-hop fields go, forwarding fields come, the rest is copied in runs.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "l7code.h"
#include "l7tokens.h"
#include "record.h"

struct l7_out { /* a bounded writer; `full` once something did not fit */
    uint8_t *at;
    uint8_t *end;
    bool full;
    struct l7ops ops;            /* what the route changes */
    const struct l7vars *judged; /* of a request whose tokens an intention asked for; NULL */
};

static void put(struct l7_out *out, struct bytes bytes)
{
    if ((size_t)(out->end - out->at) < bytes.len) {
        out->full = true;
        return;
    }
    if (bytes.len > 0) {
        memcpy(out->at, bytes.ptr, bytes.len);
        out->at += bytes.len;
    }
}

#define PUT(out, literal) put(out, BYTES_LITERAL(literal))

/* What becomes of a field, by its number. */
enum l7_fate {
    FATE_KEEP = 0,
    FATE_DROP,   /* hop-by-hop, or written anew */
    FATE_APPEND, /* its value goes in front of ours */
    FATE_JUDGED, /* kept when view.keep has it */
};

static const uint8_t request_fate[HDR_COUNT] = {
    [HDR_HOST] = FATE_DROP,
    [HDR_CONNECTION] = FATE_DROP,
    [HDR_TRANSFER_ENCODING] = FATE_DROP,
    [HDR_TE] = FATE_DROP,
    [HDR_UPGRADE] = FATE_DROP,
    [HDR_KEEP_ALIVE] = FATE_DROP,
    [HDR_PROXY_CONNECTION] = FATE_DROP,
    [HDR_PROXY_AUTHENTICATE] = FATE_DROP,
    [HDR_PROXY_AUTHORIZATION] = FATE_DROP,
    [HDR_HTTP2_SETTINGS] = FATE_DROP,
    [HDR_VIA] = FATE_APPEND,
    [HDR_FORWARDED] = FATE_JUDGED,
    [HDR_X_FORWARDED_FOR] = FATE_JUDGED,
    [HDR_X_FORWARDED_PROTO] = FATE_JUDGED,
    [HDR_X_FORWARDED_HOST] = FATE_JUDGED,
    [HDR_X_FORWARDED_PORT] = FATE_JUDGED,
    [HDR_X_REAL_IP] = FATE_JUDGED,
    [HDR_TRACEPARENT] = FATE_JUDGED,
    [HDR_TRACESTATE] = FATE_JUDGED,
};

static const uint8_t response_fate[HDR_COUNT] = {
    [HDR_CONNECTION] = FATE_DROP,
    [HDR_TRANSFER_ENCODING] = FATE_DROP,
    [HDR_TE] = FATE_DROP,
    [HDR_UPGRADE] = FATE_DROP,
    [HDR_KEEP_ALIVE] = FATE_DROP,
    [HDR_PROXY_CONNECTION] = FATE_DROP,
    [HDR_PROXY_AUTHENTICATE] = FATE_DROP,
    [HDR_PROXY_AUTHORIZATION] = FATE_DROP,
    [HDR_HTTP2_SETTINGS] = FATE_DROP,
};

/* Copies kept fields; neighbours that are already in canonical form are copied in one run. */
struct l7_run {
    const uint8_t *start;
    uint32_t from;
    uint32_t to; /* from == to: empty */
};

static void run_flush(struct l7_out *out, struct l7_run *run)
{
    put(out, bytes_of(run->start + run->from, run->to - run->from));
    run->from = 0;
    run->to = 0;
}

static void run_add(struct l7_out *out, struct l7_run *run, const struct h1_field *field)
{
    uint32_t line_end = field->value_at + field->value_len + 2;

    if ((field->flags & H1_FIELD_CANONICAL) == 0) {
        run_flush(out, run);
        put(out, h1_name(run->start, field));
        PUT(out, ": ");
        put(out, h1_value(run->start, field));
        PUT(out, "\r\n");
        return;
    }
    if (run->to != field->name_at || run->from == run->to) {
        run_flush(out, run);
        run->from = field->name_at;
    }
    run->to = line_end;
}

const struct h1_field *l7head_find(const struct h1_head *head, const uint8_t *start,
                                   struct bytes name)
{
    for (uint32_t i = 0; i < head->field_count; i++) {
        const struct h1_field *field = &head->fields[i];

        if (field->id == HDR_OTHER && field->name_len == name.len &&
            bytes_equal_nocase(h1_name(start, field), name)) {
            return field;
        }
    }
    return NULL;
}

void l7head_hold_back(struct h1_head *head, enum hdr_id id)
{
    for (uint32_t i = 0; i < head->field_count; i++) {
        if (head->fields[i].id == id) {
            head->fields[i].flags |= H1_FIELD_NOMINATED;
        }
    }
}

/* What a service behind another proxy would take for a certificate that was verified:
 * X-SSL-Client-… and X-Forwarded-Client-Cert, however spelt. Nothing of the kind is sent on for a
 * client. */
static bool is_client_certificate(const uint8_t *start, const struct h1_field *field)
{
    static const char prefix[] = "x-ssl-client";
    static const char whole[] = "x-forwarded-client-cert";
    struct bytes name = h1_name(start, field);
    bool ssl = true;
    bool forwarded = name.len == sizeof(whole) - 1;

    if (name.len < sizeof(prefix) - 1 || bytes_lower(name.ptr[0]) != 'x') {
        return false;
    }
    for (size_t i = 1; i < sizeof(whole) - 1 && (ssl || forwarded); i++) {
        uint8_t c = i < name.len ? bytes_lower(name.ptr[i]) : 0;

        c = c == '_' || c == '.' ? '-' : c;
        ssl = ssl && (i >= sizeof(prefix) - 1 || c == (uint8_t)prefix[i]);
        forwarded = forwarded && c == (uint8_t)whole[i];
    }
    return ssl || forwarded;
}

/* Copies the fields that stay as they are. */
/* Whether the route or a token takes a field away. */
[[gnu::noinline]] static bool is_taken(const struct l7_out *out, struct bytes name)
{
    return l7ops_drops(&out->ops, name) ||
           (out->judged != NULL && l7tokens_drops(out->judged->proxy, out->judged->request->down,
                                                  out->judged->view, name));
}

static void copy_fields(struct l7_out *out, const struct h1_head *head, const uint8_t *start,
                        const uint8_t *fates, uint32_t keep)
{
    struct l7_run run = {.start = start};
    bool changes = !l7ops_is_none(&out->ops) || out->judged != NULL;

    for (uint32_t i = 0; i < head->field_count; i++) {
        const struct h1_field *field = &head->fields[i];
        uint8_t fate = fates[field->id];

        if ((field->flags & (H1_FIELD_NOMINATED | H1_FIELD_ALIAS)) != 0 || fate == FATE_DROP ||
            fate == FATE_APPEND || (fate == FATE_JUDGED && (keep >> field->id & 1) == 0) ||
            (field->id == HDR_OTHER && (keep >> HDR_OTHER & 1) == 0 &&
             is_client_certificate(start, field)) ||
            (changes && is_taken(out, h1_name(start, field)))) {
            continue;
        }
        run_add(out, &run, field);
    }
    run_flush(out, &run);
}

/* The fields that the route adds. */
static void put_ops(struct l7_out *out)
{
    size_t length = l7ops_is_none(&out->ops)
                        ? 0
                        : l7ops_lines(&out->ops, out->at, (size_t)(out->end - out->at));

    if (length == L7OPS_FULL) {
        out->full = true;
    } else {
        out->at += length;
    }
}

/* `name: ` with the values of all such fields and a comma after each. */
static void put_merged(struct l7_out *out, const struct h1_head *head, const uint8_t *start,
                       enum hdr_id id)
{
    for (uint32_t i = 0; i < head->field_count; i++) {
        const struct h1_field *field = &head->fields[i];

        if (field->id == id && field->value_len > 0 && (field->flags & H1_FIELD_NOMINATED) == 0) {
            put(out, h1_value(start, field));
            PUT(out, ", ");
        }
    }
}

static bool is_kept(const struct l7_view *view, enum hdr_id id)
{
    return (view->keep >> id & 1) != 0;
}

static struct bytes scheme_of(const struct conn *down)
{
    return down->tls != NULL ? BYTES_LITERAL("https") : BYTES_LITERAL("http");
}

/* X-Forwarded-For, -Proto, -Host. */
static void put_x_forwarded(struct l7_out *out, const struct l7_view *view, const struct conn *down)
{
    PUT(out, "x-forwarded-for: ");
    for (uint32_t i = 0; view->chain != NULL && i < view->chain->count; i++) {
        struct bytes address = view->chain->hops[i].address;

        put(out, address.len > 0 ? address : BYTES_LITERAL("unknown"));
        PUT(out, ", ");
    }
    put(out, bytes_of(down->peer, down->peer_length));
    PUT(out, "\r\n");
    if (!is_kept(view, HDR_X_FORWARDED_PROTO)) {
        PUT(out, "x-forwarded-proto: ");
        put(out, view->proto.len > 0 ? view->proto : scheme_of(down));
        PUT(out, "\r\n");
    }
    if (!is_kept(view, HDR_X_FORWARDED_HOST) && view->authority.len > 0) {
        PUT(out, "x-forwarded-host: ");
        put(out, view->authority);
        PUT(out, "\r\n");
    }
}

/* `for=` with the address as RFC 7239 6 wants it. */
static void put_node(struct l7_out *out, bool is_ip, struct bytes address)
{
    PUT(out, "for=");
    if (!is_ip) {
        PUT(out, "unknown");
    } else if (memchr(address.ptr, ':', address.len) != NULL) {
        PUT(out, "\"[");
        put(out, address);
        PUT(out, "]\"");
    } else {
        put(out, address);
    }
}

static void put_forwarded(struct l7_out *out, const struct l7_view *view, const struct conn *down)
{
    PUT(out, "forwarded: ");
    for (uint32_t i = 0; view->chain != NULL && i < view->chain->count; i++) {
        const struct l7_hop *hop = &view->chain->hops[i];

        if (hop->element.len > 0) {
            put(out, hop->element);
        } else {
            put_node(out, true, hop->address);
        }
        PUT(out, ", ");
    }
    put_node(out, down->peer_is_ip, bytes_of(down->peer, down->peer_length));
    if (view->authority.len > 0) {
        PUT(out, ";host=\"");
        put(out, view->authority);
        PUT(out, "\"");
    }
    PUT(out, ";proto=");
    put(out, scheme_of(down));
    PUT(out, "\r\n");
}

/* Unless the route has its own idea of the field. */
static void put_trace(struct l7_out *out, const struct request *request)
{
    uint8_t parent[TRACE_PARENT_SIZE];

    if (!l7ops_drops(&out->ops, BYTES_LITERAL("traceparent"))) {
        PUT(out, "traceparent: ");
        trace_write_parent(&request->trace, parent);
        put(out, bytes_of(parent, sizeof(parent)));
        PUT(out, "\r\n");
    }
}

/* The trace of a sampled request, early in the head: span_stamp() writes into its first block. */
static void put_parent(struct l7_out *out, const struct request *request, const uint8_t *to)
{
    const uint8_t *from = out->at;
    size_t id;

    put_trace(out, request);
    id = (size_t)(out->at - to) - TRACE_SPAN_FROM_END - 2;
    request->record->span.head_at =
        out->at > from && !out->full && id + 16 <= SPILL_BLOCK_SIZE ? (uint32_t)id : 0;
}

/* What this hop adds: who the client is, that it was here, the trace it began. */
static void put_forwarding(struct l7_out *out, struct proxy *proxy, struct request *request,
                           const struct l7_view *view)
{
    const struct h1_head *head = &proxy->head;
    struct conn *down = request->down;
    const struct abi_listener *entry = listener_entry(proxy, listener_of(proxy, down));
    struct bytes via =
        entry == NULL ? bytes_of(NULL, 0) : view_text(&proxy->current->view, entry->via);

    conn_peer(proxy, down);
    if ((view->fields & ABI_HOP_X_FORWARDED) != 0) {
        put_x_forwarded(out, view, down);
    }
    if ((view->fields & ABI_HOP_FORWARDED) != 0) {
        put_forwarded(out, view, down);
    }
    if (via.len > 0) {
        PUT(out, "via: ");
        put_merged(out, head, view->start, HDR_VIA);
        put(out, down->stream != NULL ? BYTES_LITERAL("2.0 ")
                 : head->minor == 0   ? BYTES_LITERAL("1.0 ")
                                      : BYTES_LITERAL("1.1 "));
        put(out, via);
        PUT(out, "\r\n");
    }
    if ((request->flags & (REQUEST_TRACE_BEGUN | REQUEST_SPANS)) == REQUEST_TRACE_BEGUN) {
        put_trace(out, request);
    }
}

/* The two parts of a rewritten path: what the route puts in front and what is left of the path. */
struct l7_rewrite {
    struct bytes to;
    struct bytes rest;
};

static struct l7_rewrite rewrite_of(struct proxy *proxy, const struct l7_view *view,
                                    const struct abi_route *route)
{
    size_t matched = route->path_kind == ABI_PATH_PREFIX  ? route->path.len
                     : route->path_kind == ABI_PATH_EXACT ? view->path.len
                                                          : 0;
    struct l7_rewrite parts = {
        .to = view_text(&proxy->current->view, route->prefix_rewrite),
        .rest = bytes_from(view->path, matched < view->path.len ? matched : view->path.len),
    };

    if (parts.to.len > 0 && parts.to.ptr[parts.to.len - 1] == '/' && parts.rest.len > 0 &&
        parts.rest.ptr[0] == '/') {
        parts.rest = bytes_from(parts.rest, 1); /* one slash, as the normal form has it */
    }
    return parts;
}

bool l7head_may_rewrite(struct proxy *proxy, const struct l7_view *view,
                        const struct abi_route *route)
{
    struct l7_rewrite parts;
    uint8_t seam[5]; /* what is looked at of the segment across the seam: `..%3B` */
    size_t length = 0;
    size_t from;

    if (route->rewrites == 0 || view->path.len == 0) {
        return true;
    }
    parts = rewrite_of(proxy, view, route);
    for (from = parts.to.len; from > 0 && parts.to.ptr[from - 1] != '/';) {
        from--;
    }
    for (; from < parts.to.len && length < sizeof(seam); from++) {
        seam[length++] = parts.to.ptr[from];
    }
    for (from = 0; from < parts.rest.len && parts.rest.ptr[from] != '/' && length < sizeof(seam);
         from++) {
        seam[length++] = parts.rest.ptr[from];
    }
    return !uri_is_dot_segment(bytes_of(seam, length));
}

static void put_target(struct l7_out *out, struct proxy *proxy, const struct l7_view *view,
                       const struct abi_route *route)
{
    const struct h1_head *head = &proxy->head;

    if (head->form == H1_FORM_AUTHORITY) {
        put(out, h1_slice(view->start, head->target));
        return;
    }
    if (view->path.len == 0) { /* asterisk-form, or OPTIONS of a server (RFC 9112 3.2.4) */
        PUT(out, "*");
        return;
    }
    if (route != NULL && route->rewrites != 0) {
        struct l7_rewrite parts = rewrite_of(proxy, view, route);

        put(out, parts.to);
        put(out, parts.rest);
    } else {
        put(out, view->path);
    }
    if (head->has_query) {
        PUT(out, "?");
        put(out, view->query);
    }
}

static void put_upgrade(struct l7_out *out, const struct h1_head *head, const uint8_t *start)
{
    const struct h1_field *upgrade = h1_find(head, HDR_UPGRADE);

    if (upgrade != NULL) {
        PUT(out, "connection: upgrade\r\nupgrade: ");
        put(out, h1_value(start, upgrade));
        PUT(out, "\r\n");
    }
}

/* Tells the service what the tokens say that let the request in. */
static void put_payloads(struct l7_out *out, const struct l7vars *vars)
{
    static const uint8_t pads[] = {0, 0, 2, 1}; /* by what is left of groups of four */
    const struct abi_token_check *check;
    struct bytes payload;
    uint32_t at = 0;

    while ((check = l7tokens_forward(vars->proxy, vars, &at, &payload)) != NULL) {
        put(out, view_text(&vars->proxy->current->view, check->forward));
        PUT(out, ": ");
        put(out, payload);
        put(out, bytes_of("==", check->pad_payload == 1 ? pads[payload.len % 4] : 0));
        PUT(out, "\r\n");
    }
}

static void put_max_forwards(struct l7_out *out, uint32_t hops)
{
    char line[32];
    int length = snprintf(line, sizeof(line), "max-forwards: %u\r\n", hops);

    put(out, bytes_of(line, (size_t)length));
}

size_t l7head_request(struct proxy *proxy, struct request *request, const struct l7_view *view,
                      const struct abi_route *route, uint8_t *to, size_t capacity)
{
    const struct h1_head *head = &proxy->head;
    struct l7_out out = {.at = to, .end = to + capacity};
    struct l7vars vars = {.proxy = proxy, .request = request, .view = view, .route = route};

    if (route != NULL) {
        out.ops = (struct l7ops){.table = &proxy->current->view, .list = view->ops, .vars = &vars};
    }
    if (proxy->current->view.counts[ABI_SECTION_TOKEN] > 0 &&
        l7tokens_decide(proxy, request->down)) {
        out.judged = &vars;
    }
    put(&out, h1_slice(view->start, head->method_name));
    PUT(&out, " ");
    put_target(&out, proxy, view, route);
    PUT(&out, " HTTP/1.1\r\nhost: ");
    put(&out, view->authority);
    PUT(&out, "\r\n");
    if (request_has(request, REQUEST_SPANS)) {
        put_parent(&out, request, to);
    }
    copy_fields(&out, head, view->start, request_fate, view->keep);
    put_ops(&out);
    if (out.judged != NULL) {
        put_payloads(&out, &vars);
    }
    put_forwarding(&out, proxy, request, view);
    if (request_has(request, REQUEST_CHUNK_UP)) {
        PUT(&out, "transfer-encoding: chunked\r\n");
    }
    if (request_has(request, REQUEST_UPGRADE)) {
        put_upgrade(&out, head, view->start);
    } else if ((head->flags & H1_TE_TRAILERS) != 0) {
        PUT(&out, "connection: te\r\nte: trailers\r\n");
    }
    if (view->counts_hops) {
        put_max_forwards(&out, view->max_forwards);
    }
    PUT(&out, "\r\n");
    return out.full ? 0 : (size_t)(out.at - to);
}

struct bytes l7head_date(struct proxy *proxy)
{
    if (proxy->date_ms == 0 || proxy->now_ms - proxy->date_ms >= 500) {
        time_t now = ring_wall_s(proxy->ring);
        struct tm parts;

        gmtime_r(&now, &parts);
        strftime(proxy->date, sizeof(proxy->date), "%a, %d %b %Y %H:%M:%S GMT", &parts);
        proxy->date_ms = proxy->now_ms;
    }
    return bytes_of(proxy->date, 29);
}

static void put_status(struct l7_out *out, uint16_t status)
{
    uint8_t digits[3] = {(uint8_t)('0' + status / 100), (uint8_t)('0' + status / 10 % 10),
                         (uint8_t)('0' + status % 10)};

    PUT(out, "HTTP/1.1 ");
    put(out, bytes_of(digits, 3));
    PUT(out, " ");
}

/* What an answer that is coded, or could be for another client, says of it. */
static void put_coding(struct l7_out *out, const struct request *request,
                       const struct h1_head *head, const uint8_t *start)
{
    struct bytes tag;

    if (request->varies && !l7ops_drops(&out->ops, BYTES_LITERAL("vary"))) {
        PUT(out, "vary: accept-encoding\r\n");
    }
    if (request->coder == NULL) {
        return;
    }
    PUT(out, "content-encoding: ");
    put(out, compress_name((enum compress_coding)(request->coding - 1)));
    PUT(out, "\r\n");
    tag = l7code_tag(head, start);
    if (tag.len > 0 && !l7ops_drops(&out->ops, BYTES_LITERAL("etag"))) {
        PUT(out, "etag: W/");
        put(out, tag);
        PUT(out, "\r\n");
    }
}

size_t l7head_response(struct proxy *proxy, struct request *request, const uint8_t *start,
                       uint8_t *to, size_t capacity)
{
    struct h1_head *head = &proxy->head;
    struct l7_out out = {.at = to, .end = to + capacity};
    struct l7vars vars = {.proxy = proxy, .request = request};
    bool final = head->status >= 200 || head->status == 101;

    if (final) {
        out.ops.packed = request_answer_ops(request);
        out.ops.vars = &vars;
    }
    put_status(&out, head->status);
    put(&out, h1_slice(start, head->reason));
    PUT(&out, "\r\n");
    if (head->status < 200 || head->status == 204 || head->framing == H1_FRAMING_TUNNEL) {
        /* Where no body can be, a length could only mislead (RFC 9110 8.6, 9.3.6). */
        l7head_hold_back(head, HDR_CONTENT_LENGTH);
    }
    copy_fields(&out, head, start, response_fate, UINT32_MAX);
    if (!final) {
        PUT(&out, "\r\n");
        return out.full ? 0 : (size_t)(out.at - to);
    }
    put_ops(&out);
    if (request->varies || request->coder != NULL) {
        put_coding(&out, request, head, start);
    }
    if (h1_find(head, HDR_DATE) == NULL && !l7ops_drops(&out.ops, BYTES_LITERAL("date"))) {
        PUT(&out, "date: ");
        put(&out, l7head_date(proxy));
        PUT(&out, "\r\n");
    }
    if (head->status == 101) {
        put_upgrade(&out, head, start);
    } else if (request_has(request, REQUEST_CHUNK_DOWN)) {
        PUT(&out, "transfer-encoding: chunked\r\n");
    }
    if (head->status != 101 && head->framing != H1_FRAMING_TUNNEL) {
        if (request_has(request, REQUEST_CLOSE_DOWN)) {
            PUT(&out, "connection: close\r\n");
        } else if (request_has(request, REQUEST_HTTP10)) {
            PUT(&out, "connection: keep-alive\r\n");
        }
    }
    PUT(&out, "\r\n");
    return out.full ? 0 : (size_t)(out.at - to);
}
