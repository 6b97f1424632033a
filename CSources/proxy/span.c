#include "span.h"

#include <string.h>

#include "record.h"

uint64_t span_random(struct proxy *proxy)
{
    /* xoshiro256++, with a state of its own: nobody can read the load balancer's from ids. */
    uint64_t *s = proxy->trace_random;
    uint64_t sum = s[0] + s[3];
    uint64_t result = (sum << 23 | sum >> 41) + s[0];
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = s[3] << 45 | s[3] >> 19;
    return result | (result == 0); /* zeros are no id */
}

static void span_new_id(struct proxy *proxy, uint8_t id[static 8])
{
    uint64_t value = span_random(proxy);

    memcpy(id, &value, sizeof(value));
}

/* All tracestate fields in one, up to the last whole member that fits. */
static void span_keep_state(struct proxy *proxy, struct span *span, const struct l7_view *view)
{
    uint32_t length = 0;

    for (uint32_t i = 0; i < proxy->head.field_count; i++) {
        const struct h1_field *field = &proxy->head.fields[i];
        struct bytes rest = h1_value(view->start, field);
        struct bytes member;

        while (field->id == HDR_TRACESTATE && hdr_next_element(&rest, &member)) {
            if (length + 1 + member.len > sizeof(span->state)) {
                return;
            }
            if (length > 0) {
                span->state[length++] = ',';
            }
            memcpy(span->state + length, member.ptr, member.len);
            length += (uint32_t)member.len;
            span->state_length = (uint16_t)length;
        }
    }
}

void span_begin(struct proxy *proxy, struct request *request, const struct l7_view *view)
{
    const struct view *table = &proxy->current->view;
    const struct abi_listener *entry = listener_entry(proxy, listener_of(proxy, request->down));
    struct span *span = &request->record->span;
    struct bytes owner = bytes_of(NULL, 0);

    span->on = true;
    span->trace_flags = request->trace.flags;
    memcpy(span->trace_id, request->trace.trace_id, sizeof(span->trace_id));
    if (request_has(request, REQUEST_TRACE_BEGUN)) {
        memcpy(span->span_id, request->trace.span_id, sizeof(span->span_id));
    } else {
        memcpy(span->parent_id, request->trace.span_id, sizeof(span->parent_id));
        span_new_id(proxy, span->span_id);
        span->flags |= ABI_SPAN_IS_REMOTE;
        if ((view->keep >> HDR_TRACESTATE & 1) != 0) {
            span_keep_state(proxy, span, view);
        }
    }
    if (entry->identity != ABI_NONE) {
        owner = view_text(table, table->identities[entry->identity].service);
    }
    span->owner_length = owner.len < SPAN_OWNER_MAX ? (uint8_t)owner.len : (uint8_t)SPAN_OWNER_MAX;
    if (span->owner_length > 0) {
        memcpy(span->owner, owner.ptr, span->owner_length);
    }
}

/* --- out --- */

struct span_out {
    struct abi_span span;
    uint8_t text[ABI_SPAN_TEXT_SIZE];
};

static void span_put(struct span_out *out, enum abi_span_text which, struct bytes text)
{
    MUST(text.len <= abi_span_text_limit((uint32_t)which) &&
         text.len <= ABI_SPAN_TEXT_SIZE - out->span.text);
    if (text.len > 0) {
        memcpy(out->text + out->span.text, text.ptr, text.len);
        out->span.parts[which] =
            (struct abi_log_part){.at = out->span.text, .len = (uint16_t)text.len};
        out->span.text = (uint16_t)(out->span.text + text.len);
    }
}

static void span_put_logged(struct span_out *out, const struct record *record,
                            enum abi_span_text which, enum abi_log_variable variable)
{
    const struct abi_log_part *part = &record->log.parts[variable];

    span_put(out, which, bytes_of(record->text + part->at, part->len));
}

static void span_open(struct span_out *out, const struct record *record, enum abi_span_type type)
{
    const struct span *span = &record->span;

    memset(&out->span, 0, sizeof(out->span));
    out->span.kind = ABI_RECORD_WHOLE;
    out->span.type = (uint8_t)type;
    out->span.trace_flags = span->trace_flags;
    out->span.protocol = record->log.protocol;
    out->span.local = record->log.listener;
    memcpy(out->span.trace_id, span->trace_id, sizeof(span->trace_id));
    span_put(out, ABI_SPAN_OWNER, bytes_of(span->owner, span->owner_length));
    span_put(out, ABI_SPAN_STATE, bytes_of(span->state, span->state_length));
    span_put_logged(out, record, ABI_SPAN_LISTENER, ABI_LOG_LISTENER);
    span_put_logged(out, record, ABI_SPAN_METHOD, ABI_LOG_METHOD);
}

static void span_hand_over(struct proxy *proxy, struct span_out *out)
{
    uint32_t length = (uint32_t)sizeof(out->span) + out->span.text;

    out->span.length = (length + 7u) & ~7u;
    memset(out->text + out->span.text, 0, out->span.length - length);
    proxy_count(proxy,
                abi_span_ring_put(abi_stats_spans(proxy->stats), &out->span) != 0
                    ? ABI_WORKER_SPANS
                    : ABI_WORKER_SPANS_DROPPED,
                1);
}

void span_end_try(struct proxy *proxy, struct request *request, enum abi_outcome outcome)
{
    struct record *record = request->record;
    struct span *span = &record->span;
    struct span_out out;

    span_open(&out, record, ABI_SPAN_CLIENT);
    memcpy(out.span.span_id, span->try_id, sizeof(span->try_id));
    memcpy(out.span.parent_id, span->span_id, sizeof(span->span_id));
    out.span.started_ns = span->try_from_ns;
    out.span.duration_ns = ring_now_ns(proxy->ring) - span->try_from_ns;
    out.span.attempt = span->tries++;
    out.span.status = span->try_status;
    out.span.outcome = (uint8_t)outcome;
    out.span.flags = (span->try_tls ? (uint8_t)ABI_SPAN_IS_TLS : 0) |
                     (request_has(request, REQUEST_REUSED) ? (uint8_t)ABI_SPAN_IS_REUSED : 0);
    out.span.remote = record->log.upstream;
    span_put_logged(&out, record, ABI_SPAN_SERVICE, ABI_LOG_SERVICE);
    span_put_logged(&out, record, ABI_SPAN_TARGET, ABI_LOG_TARGET);
    span_put_logged(&out, record, ABI_SPAN_INSTANCE, ABI_LOG_INSTANCE);
    span_hand_over(proxy, &out);
    span->trying = false;
}

void span_try(struct proxy *proxy, struct request *request, bool tls)
{
    struct span *span = &request->record->span;

    if (span->trying) {
        span_end_try(proxy, request, (enum abi_outcome)request->outcome);
    }
    span->trying = true;
    span->try_tls = tls;
    span->try_status = 0;
    span->try_from_ns = ring_now_ns(proxy->ring);
    span_new_id(proxy, span->try_id);
}

void span_stamp(struct request *request)
{
    static const char digits[] = "0123456789abcdef";
    const struct span *span = &request->record->span;
    uint8_t *head = request->head;

    if (span->head_at == 0) {
        return;
    }
    if (request->head_length == 0) { /* it stands behind the first line and Host: one block */
        struct spill_block *block = request->big_head.first;

        MUST(span->head_at + 16 <= block->to - block->from);
        head = block->data + block->from;
    }
    for (uint32_t i = 0; i < 8; i++) {
        head[span->head_at + 2 * i] = (uint8_t)digits[span->try_id[i] >> 4];
        head[span->head_at + 2 * i + 1] = (uint8_t)digits[span->try_id[i] & 15];
    }
}

void span_end(struct proxy *proxy, struct request *request, enum abi_outcome outcome)
{
    struct record *record = request->record;
    const struct span *span = &record->span;
    struct span_out out;

    if (span->trying) {
        span_end_try(proxy, request, outcome);
    }
    span_open(&out, record, ABI_SPAN_SERVER);
    memcpy(out.span.span_id, span->span_id, sizeof(span->span_id));
    memcpy(out.span.parent_id, span->parent_id, sizeof(span->parent_id));
    out.span.started_ns = request->started_ns;
    out.span.duration_ns = ring_now_ns(proxy->ring) - request->started_ns;
    out.span.bytes_in = request->bytes_in;
    out.span.bytes_out = request->bytes_out;
    out.span.status = request->status;
    out.span.client_port = record->log.client_port;
    out.span.outcome = (uint8_t)outcome;
    out.span.flags =
        span->flags |
        ((record->log.flags & ABI_LOG_IS_TLS) != 0 ? (uint8_t)ABI_SPAN_IS_TLS : (uint8_t)0);
    span_put_logged(&out, record, ABI_SPAN_CLIENT_IP, ABI_LOG_CLIENT_IP);
    span_put_logged(&out, record, ABI_SPAN_CLIENT_IDENTITY, ABI_LOG_CLIENT_IDENTITY);
    span_put_logged(&out, record, ABI_SPAN_HOST, ABI_LOG_HOST);
    span_put_logged(&out, record, ABI_SPAN_PATH, ABI_LOG_PATH);
    span_put_logged(&out, record, ABI_SPAN_ROUTE, ABI_LOG_ROUTE);
    span_put_logged(&out, record, ABI_SPAN_SERVICE, ABI_LOG_SERVICE);
    span_put_logged(&out, record, ABI_SPAN_TARGET, ABI_LOG_TARGET);
    span_put_logged(&out, record, ABI_SPAN_INSTANCE, ABI_LOG_INSTANCE);
    span_put_logged(&out, record, ABI_SPAN_USER_AGENT, ABI_LOG_USER_AGENT);
    span_hand_over(proxy, &out);
}
