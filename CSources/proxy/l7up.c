/* HTTP/1.1, upstream side: the answer's head and body on their way down, and what to do when there
 * is none. */
#include "l7code.h"
#include "record.h"

#include "base/err.h"
#include "stream.h"

/* Body bytes still to come that are worth a splice: more where a receive that is pending would have
 * to be cancelled first. */
#define L7UP_LONG_FROM 28672u
#define L7UP_BULK_FROM 524288u

static void l7up_go_on(struct proxy *proxy, struct request *request, enum upstream_result result)
{
    if (result == UPSTREAM_READY) {
        l7_upstream_ready(proxy, request);
    } else if (result == UPSTREAM_FAILED) {
        l7_fail(proxy, request, (enum abi_outcome)request->outcome);
    }
}

/* The upstream is gone before its answer was complete. */
static void l7up_lost(struct proxy *proxy, struct request *request, enum abi_outcome outcome)
{
    if (request_has(request, REQUEST_WATCHED) && !retry_was_unseen(request)) {
        outlier_failed(proxy, request, true);
    }
    if (request->decay_ms != 0) {
        upstream_note_failure(proxy, request);
    }
    if (!request_has(request, REQUEST_SENT)) {
        l7up_go_on(proxy, request, upstream_retry(proxy, request, outcome, &l7up_ops));
        return;
    }
    abi_stat_add(&request->target_stats->counters[ABI_TARGET_RESETS], 1);
    if (!retry_after_loss(proxy, request, outcome)) {
        l7_fail(proxy, request, outcome);
    }
}

static void l7up_count(struct proxy *proxy, struct request *request, uint16_t status)
{
    uint64_t *counters = request->target_stats->counters;
    uint64_t now_ns = ring_now_ns(proxy->ring);

    if (request->target_tally->retries_owed != 0) {
        retry_pay(request);
    }
    if (request_has(request, REQUEST_WATCHED)) {
        outlier_answered(proxy, request, status);
    }
    if (status >= 200 && status < 600) {
        abi_stat_add(&counters[ABI_TARGET_CODE_2XX + status / 100 - 2], 1);
    }
    if (request->decay_ms != 0) {
        if (status >= 502 && status <= 504) { /* failing is not being fast */
            upstream_note_failure(proxy, request);
        } else {
            upstream_note_latency(proxy, request, (now_ns - request->sent_ns) / 1000u);
        }
    }
    abi_histogram_add(&request->target_stats->latency, (now_ns - request->sent_ns) / 1000u);
    upstream_count_answer(proxy, request, status);
    l7_count_status(proxy, request->down, status);
    request->status = status;
}

/* How the answer's body reaches the client. */
static void l7up_frame(struct proxy *proxy, struct request *request)
{
    const struct h1_head *head = &proxy->head;

    if ((head->flags & H1_KEEP_ALIVE) == 0 || head->framing == H1_FRAMING_UNTIL_CLOSE) {
        request->flags |= REQUEST_CLOSE_UP;
    }
    if (head->framing == H1_FRAMING_CHUNKED || head->framing == H1_FRAMING_UNTIL_CLOSE) {
        if (request_has(request, REQUEST_HTTP10)) {
            request->flags |= REQUEST_CLOSE_DOWN;
        } else if (request->down->stream == NULL) {
            request->flags |= REQUEST_CHUNK_DOWN;
        }
    }
    if (!request_has(request, REQUEST_BODY_DONE) || proxy->draining) {
        request->flags |= REQUEST_CLOSE_DOWN;
    }
}

static void l7up_tunnel(struct proxy *proxy, struct request *request)
{
    request->flags |= REQUEST_TUNNEL;
    relay_start(proxy, request);
}

/* Nothing follows the head. gRPC's clients want to hear it with the head where it is all there is.
 */
static bool l7up_is_whole(const struct request *request, const struct h1_head *head)
{
    const struct stream *from = request->up->stream;

    return head->framing == H1_FRAMING_NONE ||
           (head->framing == H1_FRAMING_LENGTH && head->content_length == 0) ||
           (from != NULL && (from->flags & STREAM_WHOLE) != 0);
}

static void l7up_give_head(struct proxy *proxy, struct request *request, struct bytes text,
                           struct l7_gather *gather)
{
    const struct h1_head *head = &proxy->head;
    struct conn *down = request->down;

    if (down->stream == NULL) {
        l7_gather_add(proxy, gather, text);
    } else {
        stream_answer(proxy, down, text, head->status >= 200 && l7up_is_whole(request, head));
    }
}

/* A complete head: what of it goes down is put into `gather`. false: the exchange is over or
 * failed. */
static bool l7up_on_head(struct proxy *proxy, struct request *request, const uint8_t *start,
                         struct l7_gather *gather)
{
    const struct h1_head *head = &proxy->head;
    bool interim = head->status < 200 && head->status != 101;
    size_t length;

    if ((head->status == 101 || head->framing == H1_FRAMING_TUNNEL) &&
        !request_has(request, REQUEST_UPGRADE)) {
        l7_fail(proxy, request, ABI_OUTCOME_UPSTREAM_PROTOCOL);
        return false;
    }
    if (request_has(request, REQUEST_UPGRADE) && request->down->stream != NULL && !interim &&
        head->status < 300 && head->status != 101) {
        /* After extended CONNECT a 2xx means a tunnel (RFC 8441 5), and the upstream made none. */
        l7_fail(proxy, request, ABI_OUTCOME_UPSTREAM_PROTOCOL);
        return false;
    }
    if (interim && request_has(request, REQUEST_HTTP10)) {
        return true; /* HTTP/1.0 knows none (RFC 9110 15.2) */
    }
    if (!interim) {
        if (request_has(request, REQUEST_RETRIES)) {
            if (head->status >= request->retry.from_status &&
                retry_after_answer(proxy, request, start)) {
                return false;
            }
            retry_settled(proxy, request);
        }
        l7up_frame(proxy, request);
        l7code_judge(proxy, request, start);
    }
    length = l7head_response(proxy, request, start, proxy->scratch, PROXY_SCRATCH_SIZE);
    if (length == 0) {
        l7_fail(proxy, request, ABI_OUTCOME_UPSTREAM_PROTOCOL);
        return false;
    }
    l7up_give_head(proxy, request, bytes_of(proxy->scratch, length), gather);
    if (interim) {
        l7_gather_flush(proxy, gather);
        l7_count_status(proxy, request->down, head->status);
        request->flags |= REQUEST_INTERIM;
        return true;
    }
    request->flags |= REQUEST_ANSWERED;
    if (request_has(request, REQUEST_BODY_KEPT)) {
        l7keep_drop(proxy, request);
    }
    if (request_has(request, REQUEST_BODY_DONE)) { /* else trailers collect there */
        spill_clear(&request->big_head, &proxy->blocks);
    }
    l7up_count(proxy, request, head->status);
    if (request->record != NULL) {
        record_answer(proxy, request, start);
    }
    if (head->framing == H1_FRAMING_TUNNEL) {
        l7_gather_flush(proxy, gather);
        l7up_tunnel(proxy, request);
        return false;
    }
    h1body_start(&request->response_body, (enum h1_framing)head->framing, head->content_length);
    return true;
}

static void l7up_complete(struct proxy *proxy, struct request *request)
{
    request->flags |= REQUEST_ANSWER_DONE;
    if (!request_has(request, REQUEST_BODY_DONE)) {
        /* Answered before the request was read: nothing more of it is wanted. */
        request->flags |= REQUEST_CLOSE_DOWN | REQUEST_CLOSE_UP;
    }
    l7_done(proxy, request, ABI_OUTCOME_OK);
}

/* --- splice of a long body --- */

static uint64_t l7up_bulk_remaining(struct proxy *proxy, struct conn *from)
{
    struct request *request = from->user;

    (void)proxy;
    return request->response_body.left;
}

static void l7up_bulk_moved(struct proxy *proxy, struct conn *from, uint64_t count)
{
    struct request *request = from->user;

    request->response_body.left -= count;
    request->bytes_out += count;
    abi_stat_add(&listener_of(proxy, request->down)->stats->counters[ABI_LISTENER_BYTES_OUT],
                 count);
    abi_stat_add(&request->target_stats->counters[ABI_TARGET_BYTES_IN], count);
}

static void l7up_bulk_done(struct proxy *proxy, struct conn *from, bool source_ended, bool failed)
{
    struct request *request = from->user;

    if (failed || (source_ended && request->response_body.left > 0)) {
        l7_fail(proxy, request, ABI_OUTCOME_UPSTREAM_RESET);
        return;
    }
    if (request->response_body.left == 0) {
        h1body_start(&request->response_body, H1_FRAMING_NONE, 0);
        l7up_complete(proxy, request);
    }
}

static const struct bulk_user l7up_bulk = {
    .remaining = l7up_bulk_remaining,
    .moved = l7up_bulk_moved,
    .done = l7up_bulk_done,
};

/* The rest of a long body goes by splice; when it cannot yet, then from the next answer on. */
static void l7up_splice(struct proxy *proxy, struct conn *up, struct conn *down)
{
    const struct request *request = up->user;

    if (up->tls != NULL || down->tls != NULL || down->stream != NULL) {
        up->flags &= ~(uint32_t)CONN_LONG;
        return;
    }
    if ((conn_expect_long(proxy, up) || request->response_body.left >= L7UP_BULK_FROM) &&
        !bulk_start(proxy, up, down, &l7up_bulk)) {
        up->flags &= ~(uint32_t)CONN_LONG; /* no pipe is free */
    }
}

/* --- input --- */

/* The next head; 0: more bytes are needed. An upstream that drips costs one pass per line. */
static int l7up_parse(struct proxy *proxy, struct conn *up, struct bytes in)
{
    const struct request *request = up->user;
    int count;

    if (in.len < up->seen || (in.len < H1_MAX_HEAD && !h1_may_progress(in, up->seen))) {
        return 0;
    }
    count = h1_parse_response(in, (enum h1_method)request->method, &proxy->head);
    up->seen = count == 0 ? (uint32_t)in.len : 0;
    return count;
}

/* Reads heads until the final one. Returns bytes used; *over when the exchange left this function's
 * hands. */
static size_t l7up_read_heads(struct proxy *proxy, struct conn *up, struct bytes in,
                              struct l7_gather *gather, bool *over)
{
    struct request *request = up->user;
    size_t used = 0;

    while (!request_has(request, REQUEST_ANSWERED)) {
        struct bytes rest = bytes_from(in, used);
        int count = rest.len == 0 ? 0 : l7up_parse(proxy, up, rest);

        if (count == 0 && rest.len < H1_MAX_HEAD) {
            *over = true;
            if (conn_is_full(request->down)) { /* of interim answers */
                conn_pause(up);
            }
            return used;
        }
        if (count <= 0) {
            *over = true;
            l7_fail(proxy, request, ABI_OUTCOME_UPSTREAM_PROTOCOL);
            return in.len;
        }
        used += (size_t)count;
        if (!l7up_on_head(proxy, request, rest.ptr, gather)) {
            *over = true;
            return up->state == CONN_OPEN ? used : in.len;
        }
    }
    return used;
}

static size_t l7up_data(struct proxy *proxy, struct conn *up, struct bytes in)
{
    struct request *request = up->user;
    struct conn *down = request->down;
    struct l7_gather gather;
    bool over = false;
    uint64_t data = 0;
    uint64_t sent;
    size_t head;
    int64_t used;

    l7_gather_start(&gather, down);
    gather.room = UINT64_MAX;
    head = l7up_read_heads(proxy, up, in, &gather, &over);
    if (over) {
        return head;
    }
    if (request->coder != NULL) {
        l7_gather_code(&gather, request->coder);
    }
    used =
        l7_pass_body(proxy, &request->response_body, bytes_from(in, head),
                     request_has(request, REQUEST_CHUNK_DOWN), &request->trailers, &gather, &data);
    if (used < 0) {
        l7_gather_flush(proxy, &gather);
        l7_fail(proxy, request, ABI_OUTCOME_UPSTREAM_PROTOCOL);
        return in.len;
    }
    l7_gather_flush(proxy, &gather);
    sent = request->coder != NULL ? gather.coded : data;
    request->bytes_out += sent;
    abi_stat_add(&listener_of(proxy, down)->stats->counters[ABI_LISTENER_BYTES_OUT], head + sent);
    abi_stat_add(&request->target_stats->counters[ABI_TARGET_BYTES_IN], head + data);
    if (h1body_is_done(&request->response_body)) {
        l7up_complete(proxy, request);
    } else if (conn_is_full(down)) {
        conn_pause(up);
    } else if (request->response_body.state == H1BODY_LENGTH &&
               request->response_body.left >= L7UP_LONG_FROM && up->bulk_from == NULL &&
               request->coder == NULL) {
        l7up_splice(proxy, up, down);
    }
    return head + (size_t)used;
}

static void l7up_opened(struct proxy *proxy, struct conn *up)
{
    struct request *request = up->user;

    if (request->record != NULL) {
        record_connected(proxy, request);
    }
    l7_upstream_ready(proxy, request);
}

/* The body has come to its end by that of the connection. */
static bool l7up_finish_coding(struct proxy *proxy, struct request *request,
                               struct l7_gather *gather)
{
    bool chunk = request_has(request, REQUEST_CHUNK_DOWN);

    l7_gather_code(gather, request->coder);
    if (l7code_data(proxy, gather, bytes_of(NULL, 0), COMPRESS_FINISH, chunk) != MESH_OK) {
        return false;
    }
    l7code_emit(proxy, gather, chunk);
    request->bytes_out += gather->coded;
    return true;
}

static void l7up_ended(struct proxy *proxy, struct conn *up)
{
    struct request *request = up->user;
    struct l7_gather gather;

    if (!request_has(request, REQUEST_ANSWERED)) {
        l7up_lost(proxy, request, ABI_OUTCOME_UPSTREAM_RESET);
        return;
    }
    if (!h1body_may_end(&request->response_body)) {
        l7_fail(proxy, request, ABI_OUTCOME_UPSTREAM_RESET);
        return;
    }
    l7_gather_start(&gather, request->down);
    if (request->coder != NULL && !l7up_finish_coding(proxy, request, &gather)) {
        l7_fail(proxy, request, ABI_OUTCOME_OVERLOAD);
        return;
    }
    if (request_has(request, REQUEST_CHUNK_DOWN)) {
        l7_gather_add(proxy, &gather, BYTES_LITERAL("0\r\n\r\n"));
    }
    l7_gather_flush(proxy, &gather);
    l7up_complete(proxy, request);
}

static void l7up_drained(struct proxy *proxy, struct conn *up)
{
    struct request *request = up->user;

    conn_offer(proxy, request->down);
}

static void l7up_failed(struct proxy *proxy, struct conn *up, enum abi_outcome outcome)
{
    struct request *request = up->user;

    if (outcome == ABI_OUTCOME_CLIENT_GONE || (up->state == CONN_OPEN)) {
        outcome = ABI_OUTCOME_UPSTREAM_RESET;
    } else if (outcome == ABI_OUTCOME_TLS) {
        outcome = ABI_OUTCOME_UPSTREAM_TLS;
    }
    l7up_lost(proxy, request, outcome);
}

static void l7up_timeout(struct proxy *proxy, struct conn *up)
{
    if (up->state == CONN_CONNECTING || up->state == CONN_HANDSHAKING) {
        l7up_failed(proxy, up, ABI_OUTCOME_CONNECT_TIMEOUT);
    }
    /* Open: the wait for an answer is the request's timer's; the pool arms this one again. */
}

const struct conn_ops l7up_ops = {
    .connected = upstream_connected,
    .opened = l7up_opened,
    .data = l7up_data,
    .ended = l7up_ended,
    .drained = l7up_drained,
    .failed = l7up_failed,
    .timeout = l7up_timeout,
};
