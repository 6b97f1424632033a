#include "record.h"

#include <string.h>

#include "redirect.h"

/* --- texts --- */

static bool wants(const struct record *record, enum abi_log_variable variable)
{
    return (record->variables >> variable & 1) != 0;
}

/* What is longer than its limit is cut; a text that is put again replaces the one before. */
static void put(struct record *record, enum abi_log_variable variable, struct bytes text)
{
    uint32_t room = ABI_LOG_TEXT_SIZE - record->log.text;
    uint32_t limit = abi_log_text_limit((uint32_t)variable);
    uint32_t length = text.len < limit ? (uint32_t)text.len : limit;

    if (!wants(record, variable) || length == 0) {
        return;
    }
    length = length < room ? length : room;
    memcpy(record->text + record->log.text, text.ptr, length);
    record->log.parts[variable] =
        (struct abi_log_part){.at = record->log.text, .len = (uint16_t)length};
    record->log.text = (uint16_t)(record->log.text + length);
}

static struct abi_log_address address_of(const struct abi_address *from)
{
    struct abi_log_address address = {.family = from->family, .port = from->port};

    memcpy(address.ip, from->ip, sizeof(address.ip));
    return address;
}

/* --- begin --- */

static void start(struct proxy *proxy, struct record *record, const struct abi_listener *entry,
                  bool sampled)
{
    const struct view *view = &proxy->current->view;
    const struct abi_log *log = entry->log != ABI_NONE ? &view->logs[entry->log] : NULL;

    memset(&record->log, 0, sizeof(record->log));
    record->log.kind = ABI_RECORD_WHOLE;
    record->log.log = log != NULL ? log->key : 0;
    record->log.connect_us = ABI_LOG_NONE_US;
    record->log.wait_us = ABI_LOG_NONE_US;
    record->log.handshake_us = ABI_LOG_NONE_US;
    record->log.listener = address_of(&entry->address);
    record->logged = log != NULL;
    record->variables = log != NULL ? log->variables : 0;
    record->connect_from_ns = 0;
    record->target = NULL;
    record->endpoint = NULL;
    record->sample = log != NULL ? log->sample : 0;
    memset(&record->span, 0, offsetof(struct span, owner));
    if (sampled) {
        record->variables |= SPAN_VARIABLES;
    }
    put(record, ABI_LOG_LISTENER, view_text(view, entry->name));
}

static void put_connection(struct proxy *proxy, struct record *record, struct conn *conn,
                           const struct abi_listener *entry)
{
    const struct view *view = &proxy->current->view;

    if (wants(record, ABI_LOG_CLIENT_IP) || wants(record, ABI_LOG_CLIENT_PORT)) {
        conn_peer(proxy, conn);
        put(record, ABI_LOG_CLIENT_IP, bytes_of(conn->peer, conn->peer_length));
        record->log.client_port = conn->peer_port;
    }
    if ((entry->flags & ABI_LISTENER_MESH_OUTBOUND) != 0 && entry->identity != ABI_NONE) {
        put(record, ABI_LOG_CLIENT_IDENTITY,
            view_text(view, view->identities[entry->identity].spiffe_id));
    }
    if (conn->tls == NULL) {
        record->log.flags |= proxy->sniffed.ptr != NULL ? (uint8_t)ABI_LOG_IS_TLS : 0;
        put(record, ABI_LOG_TLS_SNI, proxy->sniffed);
        return;
    }
    record->log.flags |= ABI_LOG_IS_TLS;
    put(record, ABI_LOG_TLS_SNI, tls_server_name(conn->tls));
    if (conn->state == CONN_HANDSHAKING) {
        return;
    }
    record->log.flags |= tls_resumed(conn->tls) ? (uint8_t)ABI_LOG_IS_RESUMED : 0;
    record->log.tls_version = tls_version(conn->tls);
    record->log.handshake_us = conn->handshake_us;
    put(record, ABI_LOG_CLIENT_IDENTITY, tls_peer_id(conn->tls));
    if (wants(record, ABI_LOG_TLS_CIPHER)) {
        put(record, ABI_LOG_TLS_CIPHER, tls_cipher(conn->tls));
    }
}

/* Whom trusted hops name, and the trace that the upstream gets. */
static void put_front(struct record *record, const struct request *request)
{
    uint8_t parent[TRACE_PARENT_SIZE];
    char client[IP_TEXT_MAX];

    if (request_has(request, REQUEST_CLIENT)) {
        put(record, ABI_LOG_CLIENT_IP, bytes_of(client, ip_format(&request->client, client)));
        record->log.client_port = 0; /* a hop's, not the client's */
    }
    if (request_has(request, REQUEST_TRACED)) {
        trace_write_parent(&request->trace, parent);
        put(record, ABI_LOG_TRACE_ID, bytes_of(parent + 3, 32));
    }
}

/* The fields that the log itself names; several with one name: the first. */
static void put_named(struct proxy *proxy, struct record *record, const uint8_t *head, bool answer)
{
    const struct view *view = &proxy->current->view;
    const struct abi_log *log = NULL;

    for (uint32_t i = 0; i < view->counts[ABI_SECTION_LOG] && log == NULL; i++) {
        log = view->logs[i].key == record->log.log ? &view->logs[i] : NULL;
    }
    for (uint32_t i = 0; log != NULL && i < log->headers.count; i++) {
        const struct abi_log_header *header = &view->log_headers[log->headers.at + i];
        struct bytes name = view_text(view, header->name);

        for (uint32_t n = 0; (header->response != 0) == answer && n < proxy->head.field_count;
             n++) {
            const struct h1_field *field = &proxy->head.fields[n];

            if (field->name_len == name.len && bytes_equal_nocase(h1_name(head, field), name)) {
                put(record, (enum abi_log_variable)(ABI_LOG_HEADER_0 + i), h1_value(head, field));
                break;
            }
        }
    }
}

static void put_fields(struct proxy *proxy, struct record *record, const uint8_t *head)
{
    const uint64_t named = (uint64_t)((1u << LIMIT_LOG_HEADERS) - 1) << ABI_LOG_HEADER_0;

    for (uint32_t i = 0; i < proxy->head.field_count; i++) {
        const struct h1_field *field = &proxy->head.fields[i];

        if (field->id == HDR_OTHER && field->name_len == 10 &&
            record->log.parts[ABI_LOG_USER_AGENT].len == 0 &&
            bytes_equal_nocase(h1_name(head, field), BYTES_LITERAL("user-agent"))) {
            put(record, ABI_LOG_USER_AGENT, h1_value(head, field));
        } else if (field->id == HDR_OTHER && field->name_len == 7 &&
                   record->log.parts[ABI_LOG_REFERER].len == 0 &&
                   bytes_equal_nocase(h1_name(head, field), BYTES_LITERAL("referer"))) {
            put(record, ABI_LOG_REFERER, h1_value(head, field));
        }
    }
    if ((record->variables & named) != 0) {
        put_named(proxy, record, head, false);
    }
}

void record_begin(struct proxy *proxy, struct request *request, const struct l7_view *view)
{
    const struct abi_listener *entry = listener_entry(proxy, listener_of(proxy, request->down));
    struct record *record = pool_take_dirty(&proxy->records);

    MUST(record != NULL); /* as many as requests */
    request->record = record;
    start(proxy, record, entry, request_has(request, REQUEST_SPANS));
    record->log.started_ns = request->started_ns;
    put_connection(proxy, record, request->down, entry);
    if (view == NULL) {
        return;
    }
    record->log.protocol = request->down->stream != NULL ? ABI_LOG_HTTP2
                           : proxy->head.minor == 0      ? ABI_LOG_HTTP10
                                                         : ABI_LOG_HTTP11;
    put(record, ABI_LOG_METHOD, h1_slice(view->start, proxy->head.method_name));
    put(record, ABI_LOG_HOST, view->host);
    put(record, ABI_LOG_PATH, view->path);
    put(record, ABI_LOG_QUERY, view->query);
    put_front(record, request);
    put_fields(proxy, record, view->start);
    if (request_has(request, REQUEST_SPANS)) {
        span_begin(proxy, request, view);
    }
}

/* --- on the way --- */

static void put_intention(struct proxy *proxy, struct record *record)
{
    const struct view *view = &proxy->current->view;
    const struct proxy_decided *decided = &proxy->decided;
    const struct abi_intention *intention;
    struct bytes source = BYTES_LITERAL("(default)"), destination, arrow = BYTES_LITERAL(" => ");
    uint8_t text[256];
    size_t at = 0;

    if (decided->policy == ABI_NONE || decided->policy >= view->counts[ABI_SECTION_POLICY]) {
        return;
    }
    destination = view_text(view, view->policies[decided->policy].destination);
    if (decided->intention != ABI_NONE) {
        intention = &view->intentions[decided->intention];
        source = view_text(view, intention->source);
        destination = view_text(view, intention->destination);
        put(record, ABI_LOG_INTENTION_ORIGIN, view_text(view, intention->origin));
    }
    const struct bytes parts[] = {source, arrow, destination};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        size_t length = parts[i].len < sizeof(text) - at ? parts[i].len : sizeof(text) - at;

        memcpy(text + at, parts[i].ptr, length);
        at += length;
    }
    put(record, ABI_LOG_INTENTION, bytes_of(text, at));
}

void record_intention(struct proxy *proxy, struct request *request)
{
    if (wants(request->record, ABI_LOG_INTENTION) ||
        wants(request->record, ABI_LOG_INTENTION_ORIGIN)) {
        put_intention(proxy, request->record);
    }
}

void record_route(struct proxy *proxy, struct request *request, const struct abi_route *route)
{
    const struct view *view = &proxy->current->view;

    put(request->record, ABI_LOG_ROUTE, view_text(view, route->rule));
    put(request->record, ABI_LOG_ROUTE_ORIGIN, view_text(view, route->origin));
}

/* Who is dialled when that is where the client wanted to go. */
static void record_original(struct proxy *proxy, struct request *request)
{
    struct abi_address address = {.family = ABI_FAMILY_NONE};
    struct sockaddr_storage original;
    struct ip_address ip;

    record_keep_names(request);
    if (redirect_original(proxy, request, &original) > 0 &&
        conn_ip_of(&original, &ip, &address.port)) {
        address.family = original.ss_family == AF_INET ? ABI_FAMILY_IP4 : ABI_FAMILY_IP6;
        memcpy(address.ip, ip.bytes + (original.ss_family == AF_INET ? 12 : 0),
               original.ss_family == AF_INET ? 4 : 16);
    }
    request->record->log.upstream = address_of(&address);
}

void record_upstream(struct proxy *proxy, struct request *request, const struct abi_target *target,
                     const struct abi_endpoint *endpoint)
{
    struct record *record = request->record;

    if (record->span.on) {
        record_keep_names(request);
        span_try(proxy, request, endpoint->tls != ABI_NONE);
    }
    record->target = target;
    record->endpoint = endpoint;
    record->log.attempts =
        record->log.attempts < UINT8_MAX ? (uint8_t)(record->log.attempts + 1) : (uint8_t)UINT8_MAX;
    record->log.connect_us = ABI_LOG_NONE_US;
    record->connect_from_ns = ring_now_ns(proxy->ring);
    if (endpoint->address.family == ABI_FAMILY_ORIGINAL) {
        record_original(proxy, request);
    }
}

void record_keep_names(struct request *request)
{
    const struct view *view = &request->generation->view;
    struct record *record = request->record;

    if (record->endpoint != NULL) {
        put(record, ABI_LOG_SERVICE, view_text(view, record->target->service));
        put(record, ABI_LOG_TARGET, view_text(view, record->target->name));
        put(record, ABI_LOG_INSTANCE, view_text(view, record->endpoint->instance));
        record->log.upstream = address_of(&record->endpoint->address);
        record->target = NULL;
        record->endpoint = NULL;
    }
}

void record_sent(struct request *request)
{
    if (request->record->span.on) {
        span_stamp(request);
    }
}

void record_try_over(struct proxy *proxy, struct request *request, uint16_t status,
                     enum abi_outcome outcome)
{
    struct span *span = &request->record->span;

    if (span->on && span->trying) {
        record_keep_names(request);
        span->try_status = status;
        span_end_try(proxy, request, outcome);
    }
}

static uint32_t since_us(struct proxy *proxy, uint64_t from_ns)
{
    uint64_t us = (ring_now_ns(proxy->ring) - from_ns) / 1000u;

    return us < ABI_LOG_NONE_US ? (uint32_t)us : ABI_LOG_NONE_US - 1;
}

void record_connected(struct proxy *proxy, struct request *request)
{
    request->record->log.connect_us = since_us(proxy, request->record->connect_from_ns);
}

void record_answer(struct proxy *proxy, struct request *request, const uint8_t *start_of_head)
{
    const uint64_t named = (uint64_t)((1u << LIMIT_LOG_HEADERS) - 1) << ABI_LOG_HEADER_0;

    request->record->log.wait_us = since_us(proxy, request->sent_ns);
    request->record->span.try_status = proxy->head.status;
    if ((request->record->variables & named) != 0) {
        put_named(proxy, request->record, start_of_head, true);
    }
}

/* --- end --- */

static void hand_over(struct proxy *proxy, struct record *record, enum abi_outcome outcome)
{
    struct abi_records *ring = proxy->config.log;
    uint32_t length = (uint32_t)sizeof(record->log) + record->log.text;

    if (outcome == ABI_OUTCOME_OK && record->log.status < 500 &&
        record->sample < ABI_LOG_SAMPLE_ALL &&
        proxy_random(proxy) % ABI_LOG_SAMPLE_ALL >= record->sample) {
        return;
    }
    record->log.outcome = (uint8_t)outcome;
    record->log.length = (length + 7u) & ~7u;
    /* What pads it came from an earlier exchange. */
    memset(record->text + record->log.text, 0, record->log.length - length);
    if (ring != NULL && abi_log_ring_put(ring, &record->log) != 0) {
        proxy_count(proxy, ABI_WORKER_LOG_RECORDS, 1);
    } else {
        proxy_count(proxy, ABI_WORKER_LOG_DROPPED, 1);
    }
}

void record_end(struct proxy *proxy, struct request *request, enum abi_outcome outcome)
{
    struct record *record = request->record;

    if (request->generation != NULL) {
        record_keep_names(request);
    }
    if (outcome == ABI_OUTCOME_DENIED) {
        record_intention(proxy, request);
    }
    record->log.status = request->status;
    record->log.bytes_in = request->bytes_in;
    record->log.bytes_out = request->bytes_out;
    record->log.duration_us = (ring_now_ns(proxy->ring) - request->started_ns) / 1000u;
    record->log.flags |= request_has(request, REQUEST_REUSED) && record->log.attempts > 0
                             ? (uint8_t)ABI_LOG_IS_REUSED
                             : 0;
    if (record->span.on) {
        span_end(proxy, request, outcome);
    }
    if (record->logged) {
        hand_over(proxy, record, outcome);
    }
    pool_give(&proxy->records, record);
    request->record = NULL;
}

void record_refused(struct proxy *proxy, struct conn *conn, uint16_t status,
                    enum abi_outcome outcome)
{
    const struct abi_listener *entry = listener_entry(proxy, listener_of(proxy, conn));
    struct record *record;

    if (entry == NULL || entry->log == ABI_NONE ||
        (record = pool_take_dirty(&proxy->records)) == NULL) {
        return;
    }
    start(proxy, record, entry, false);
    record->log.started_ns = conn->since_ms * 1000000u;
    record->log.duration_us = (proxy->now_ms - conn->since_ms) * 1000u;
    record->log.protocol = conn->stream != NULL || conn->mux != NULL ? ABI_LOG_HTTP2
                           : conn->ops == &l7_ops                    ? ABI_LOG_HTTP
                           : entry->kind == ABI_LISTENER_L7          ? ABI_LOG_HTTP
                                                                     : ABI_LOG_TCP;
    record->log.status = status;
    put_connection(proxy, record, conn, entry);
    if (outcome == ABI_OUTCOME_DENIED) {
        put_intention(proxy, record);
    }
    hand_over(proxy, record, outcome);
    pool_give(&proxy->records, record);
}

void record_turned_away(struct proxy *proxy, const struct abi_listener *entry, int fd,
                        enum abi_outcome outcome)
{
    struct record *record = entry->log == ABI_NONE ? NULL : pool_take_dirty(&proxy->records);
    struct conn_address peer;

    if (record == NULL) {
        return;
    }
    start(proxy, record, entry, false);
    record->log.started_ns = ring_now_ns(proxy->ring);
    record->log.protocol = entry->kind == ABI_LISTENER_L7 ? ABI_LOG_HTTP : ABI_LOG_TCP;
    conn_address(proxy, fd, &peer);
    put(record, ABI_LOG_CLIENT_IP, bytes_of(peer.text, peer.length));
    record->log.client_port = peer.port;
    hand_over(proxy, record, outcome);
    pool_give(&proxy->records, record);
}
