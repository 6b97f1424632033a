/* HTTP/1.1, client side: heads and bodies as they arrive, time limits, ends. */
#include <string.h>

#include "base/err.h"
#include "l7h2.h"
#include "mirror.h"
#include "record.h"

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

/* HTTP/2 without TLS, by prior knowledge (RFC 9113 3.3). */
static bool l7_turns_to_h2(const struct conn *down, struct bytes in)
{
    return down->tls == NULL && down->stream == NULL && down->requests == 0 && l7h2_is_preface(in);
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
    if (used < 0 && l7_turns_to_h2(down, in)) {
        if (in.len < L7H2_PREFACE_SIZE) {
            return 0; /* what is missing comes with the next bytes */
        }
        l7h2_start(proxy, down);
        return conn_is_open(down) ? down->ops->data(proxy, down, in) : in.len;
    }
    if (used <= 0) {
        l7_refuse_head(proxy, down, used == 0 ? MESH_E_TOO_LONG : used);
        return in.len;
    }
    if (down->parked_ms == 0) { /* else it was counted before it waited */
        abi_stat_add(&listener_of(proxy, down)->stats->counters[ABI_LISTENER_BYTES_IN],
                     (uint64_t)used);
    }
    if (down->stage == L7_IN_HEAD || down->requests == 0) { /* the timer was the head's */
        entry = listener_entry(proxy, listener_of(proxy, down));
        if (entry != NULL) {
            l7_arm_idle(proxy, down, entry);
        }
    }
    /* One that waits for a verdict begins again when that is there. */
    return l7_begin(proxy, down, in.ptr) ? (size_t)used : 0;
}

static size_t l7_on_body(struct proxy *proxy, struct conn *down, struct bytes in)
{
    struct request *request = down->user;
    struct l7_gather gather;
    uint64_t data = 0;
    int64_t used;

    l7_gather_start(&gather, request->up);
    gather.room = request_has(request, REQUEST_BODY_BOUND) ? request->max_body - request->bytes_in
                                                           : UINT64_MAX;
    if (request->max_replay > 0 && l7keep_begin(request)) {
        gather.keep = request;
    }
    used = l7_pass_body(proxy, &request->request_body, in,
                        request_has(request, REQUEST_CHUNK_UP) && request->up->stream == NULL,
                        &request->big_head, &gather, &data);
    if (used < 0) {
        /* The upstream must never see a complete message. */
        if (data > gather.room) {
            l7_body_too_large(proxy, request);
        } else {
            l7_fail(proxy, request, ABI_OUTCOME_BAD_REQUEST);
        }
        return in.len;
    }
    request->flags |= used > 0 ? (uint32_t)REQUEST_BODY_SENT : 0;
    l7_gather_flush(proxy, &gather);
    if (request->mirror != NULL) {
        mirror_body(proxy, request, bytes_part(in, 0, (size_t)used));
    }
    abi_stat_add(&listener_of(proxy, down)->stats->counters[ABI_LISTENER_BYTES_IN], data);
    abi_stat_add(&request->target_stats->counters[ABI_TARGET_BYTES_OUT], data);
    request->bytes_in += data;
    if (h1body_is_done(&request->request_body)) {
        request->flags |= REQUEST_BODY_DONE;
        down->stage = L7_AWAIT_ANSWER;
        if (request->up->stream != NULL) {
            conn_shut(proxy, request->up);
        }
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
    case L7_AWAIT_VERDICT:
        conn_pause(down); /* the next request waits for this one's answer */
        return 0;
    case L7_ENDING:
        return in.len;
    }
    return in.len;
}

/* A head in one piece; nearly always it is. */
static struct bytes l7_one_piece(struct proxy *proxy, const struct bytes *parts, uint32_t count)
{
    size_t length = 0;

    for (uint32_t i = 0; count > 1 && i < count; i++) {
        MUST(parts[i].len <= PROXY_SCRATCH_SIZE - length);
        memcpy(proxy->scratch + length, parts[i].ptr, parts[i].len);
        length += parts[i].len;
    }
    return count > 1 ? bytes_of(proxy->scratch, length) : parts[0];
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
    if (request->record != NULL) {
        record_sent(request);
    }
    request->flags |= REQUEST_SENT;
    request->sent_ns = ring_now_ns(proxy->ring);
    request->up->stage = 0;
    request->up->seen = 0;
    abi_stat_add(&request->target_stats->counters[ABI_TARGET_REQUESTS], 1);
    if (request->up->stream != NULL) {
        stream_ask(proxy, request->up, l7_one_piece(proxy, parts, count),
                   request_has(request, REQUEST_BODY_DONE) &&
                       !request_has(request, REQUEST_BODY_KEPT));
    } else {
        conn_write(proxy, request->up, parts, count);
    }
    if (request_has(request, REQUEST_BODY_KEPT)) {
        l7keep_send(proxy, request);
    }
    conn_offer(proxy, request->up);
    request_unpin(proxy, request);
    if (request->held != 0) {
        limits_connected(proxy, request);
    }
    if (request_has(request, REQUEST_RETRIES)) {
        retry_sent(proxy, request);
    }
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
    if (bytes_equal(tls_alpn(down->tls), BYTES_LITERAL("h2"))) {
        l7h2_start(proxy, down);
        return;
    }
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
    case L7_AWAIT_VERDICT: /* told when there is a request */
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
        if (outcome == ABI_OUTCOME_TLS || down->stage == L7_IN_HEAD) {
            record_refused(proxy, down, 0, outcome);
        }
    }
    if (down->state == CONN_HANDSHAKING) {
        conn_finish(proxy, down);
        return;
    }
    l7_abort(proxy, down, outcome);
}

void l7_request_timeout(struct proxy *proxy, struct request *request)
{
    if (request_has(request, REQUEST_CLOSE_DOWN) && request_has(request, REQUEST_ANSWERED)) {
        l7_abort(proxy, request->down, ABI_OUTCOME_REQUEST_TIMEOUT);
        return;
    }
    if (request_has(request, REQUEST_WATCHED) && request_has(request, REQUEST_SENT) &&
        !request_has(request, REQUEST_ANSWERED) && request->up != NULL) {
        outlier_failed(proxy, request, true);
    }
    request->flags |= REQUEST_CLOSE_DOWN;
    l7_fail(proxy, request, ABI_OUTCOME_REQUEST_TIMEOUT);
}

/* For connections whose listener is gone: what is in flight may finish. For those of gateways, too,
 * where times are those of streams. */
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
    case L7_AWAIT_VERDICT:
        *outcome = ABI_OUTCOME_NO_VERDICT;
        return down->parked_ms + LIMIT_TOKEN_WAIT_MS;
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
    } else if (outcome == ABI_OUTCOME_NO_VERDICT) {
        l7_refuse(proxy, down, 503, outcome);
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
    entry = entry == NULL || entry->kind == ABI_LISTENER_L4 ? &l7_gone : entry;
    deadline = l7_deadline(down, entry, &outcome);
    if (deadline == 0) {
        l7_arm_idle(proxy, down, entry);
    } else if (deadline >= proxy->now_ms) { /* over when it is past: times are rounded down */
        conn_arm_timer(proxy, down, deadline - proxy->now_ms);
    } else {
        l7_timed_out(proxy, down, outcome);
    }
}

/* Between two requests: HTTP/1.1 has no way to say that there is to be none, so a client whose next
 * request may be on its way is told with its answer, unless nobody would be there to give one. */
static void l7_drain(struct proxy *proxy, struct conn *down)
{
    if (!proxy->retiring && !conn_has(down, CONN_STREAM) && down->user == NULL &&
        down->stage == L7_AWAIT_HEAD && down->in.length == 0) {
        conn_finish(proxy, down);
    }
}

const struct conn_ops l7_ops = {
    .opened = l7_opened,
    .data = l7_data,
    .ended = l7_ended,
    .drained = l7_drained,
    .failed = l7_failed,
    .timeout = l7_timeout,
    .drain = l7_drain,
};
