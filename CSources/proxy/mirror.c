/* Copies of requests. A copy has its connection to itself while it lasts, its answer is read and
 * forgotten. What it holds is bounded: so many copies at a time, so much of a body that its
 * endpoint has not taken, half of the worker's blocks for all. */
#include "mirror.h"

#include <stddef.h>
#include <string.h>

#include "base/err.h"
#include "stream.h"
#include "tokens.h"

#define MIRROR_TIMEOUT_MS 30000u

static const struct conn_ops mirror_ops;

/* What marks a copy for the service that gets it. */
static const struct bytes mirror_mark = {(const uint8_t *)"x-mirrored: 1\r\n\r\n", 17};

static bool mirror_may_hold(const struct proxy *proxy)
{
    return proxy->blocks.used < proxy->blocks.capacity / 2;
}

static bool mirror_has_room(const struct proxy *proxy)
{
    return proxy->mirrors < LIMIT_MIRRORS && proxy->requests.used < proxy->requests.capacity / 2 &&
           mirror_may_hold(proxy);
}

static void mirror_end(struct proxy *proxy, struct request *copy, bool reusable,
                       enum abi_outcome outcome)
{
    struct request *original = copy->mirror;

    upstream_leave(proxy, copy, reusable);
    if (original != NULL) {
        original->mirror = NULL;
    }
    if (copy->target_stats != NULL) {
        abi_stat_add(&copy->target_stats->outcomes[outcome], 1);
    }
    if (outcome != ABI_OUTCOME_OK && outcome != ABI_OUTCOME_DENIED) {
        proxy_count(proxy, ABI_WORKER_MIRRORS_FAILED, 1);
    }
    if (copy->held != 0) {
        limits_leave(proxy, copy);
    }
    request_unpin(proxy, copy);
    wheel_cancel(&proxy->wheel, &copy->timer);
    spill_clear(&copy->big_head, &proxy->blocks);
    spill_clear(&copy->trailers, &proxy->blocks);
    spill_clear(&copy->big_ops, &proxy->blocks);
    pool_give(&proxy->requests, copy);
    proxy->mirrors--;
}

void mirror_stop(struct proxy *proxy, struct request *copy)
{
    mirror_end(proxy, copy, false, ABI_OUTCOME_DRAINED);
}

void mirror_timeout(struct proxy *proxy, struct request *copy)
{
    if (request_has(copy, REQUEST_WATCHED) && request_has(copy, REQUEST_SENT) && copy->up != NULL) {
        outlier_failed(proxy, copy, true);
    }
    mirror_end(proxy, copy, false, ABI_OUTCOME_REQUEST_TIMEOUT);
}

/* --- the request --- */

/* Body bytes as they came, framed for its connection. false: it is over. */
static bool mirror_send_body(struct proxy *proxy, struct request *copy, struct bytes in)
{
    struct conn *up = copy->up;
    struct l7_gather gather;
    uint64_t data = 0;
    int64_t used;

    l7_gather_start(&gather, up);
    gather.room = UINT64_MAX;
    used = l7_pass_body(proxy, &copy->request_body, in,
                        request_has(copy, REQUEST_CHUNK_UP) && up->stream == NULL, &copy->trailers,
                        &gather, &data);
    if (used < 0 || conn_is_full(up) || !mirror_may_hold(proxy)) { /* it cannot follow */
        mirror_end(proxy, copy, false, ABI_OUTCOME_OVERLOAD);
        return false;
    }
    l7_gather_flush(proxy, &gather);
    abi_stat_add(&copy->target_stats->counters[ABI_TARGET_BYTES_OUT], data);
    if (h1body_is_done(&copy->request_body)) {
        copy->flags |= REQUEST_BODY_DONE;
        if (up->stream != NULL) {
            conn_shut(proxy, up);
        }
    }
    return true;
}

/* What waited for the connection. */
static void mirror_send_held(struct proxy *proxy, struct request *copy)
{
    while (copy->big_ops.length > 0) {
        struct iovec part;

        MUST(spill_parts(&copy->big_ops, &part, 1) == 1);
        if (!mirror_send_body(proxy, copy, bytes_of(part.iov_base, part.iov_len))) {
            return;
        }
        spill_consume(&copy->big_ops, &proxy->blocks, part.iov_len);
    }
}

/* The head in one piece; nearly always it is. */
static struct bytes mirror_head(struct proxy *proxy, const struct request *request)
{
    size_t length = 0;
    struct iovec parts[4];
    int count;

    if (request->head_length > 0) {
        return bytes_of(request->head, request->head_length);
    }
    count = spill_parts(&request->big_head, parts, 4);
    for (int i = 0; i < count; i++) {
        MUST(parts[i].iov_len <= PROXY_SCRATCH_SIZE - length);
        memcpy(proxy->scratch + length, parts[i].iov_base, parts[i].iov_len);
        length += parts[i].iov_len;
    }
    return bytes_of(proxy->scratch, length);
}

static void mirror_ready(struct proxy *proxy, struct request *copy)
{
    struct bytes head = mirror_head(proxy, copy);

    copy->flags |= REQUEST_SENT;
    copy->sent_ns = ring_now_ns(proxy->ring);
    copy->up->stage = 0;
    copy->up->seen = 0;
    abi_stat_add(&copy->target_stats->counters[ABI_TARGET_REQUESTS], 1);
    if (copy->up->stream != NULL) {
        stream_ask(proxy, copy->up, head, request_has(copy, REQUEST_BODY_DONE));
    } else {
        conn_write(proxy, copy->up, &head, 1);
    }
    conn_offer(proxy, copy->up);
    request_unpin(proxy, copy);
    if (copy->held != 0) {
        limits_connected(proxy, copy);
    }
    mirror_send_held(proxy, copy);
}

static void mirror_go_on(struct proxy *proxy, struct request *copy, enum upstream_result result)
{
    if (result == UPSTREAM_READY) {
        mirror_ready(proxy, copy);
    } else if (result == UPSTREAM_FAILED) {
        mirror_end(proxy, copy, false, (enum abi_outcome)copy->outcome);
    }
}

/* The original's head, marked. */
static bool mirror_keep_head(struct proxy *proxy, struct request *copy,
                             const struct request *request)
{
    struct bytes head = mirror_head(proxy, request);
    struct bytes parts[2];

    MUST(head.len > 2);
    parts[0] = bytes_part(head, 0, head.len - 2); /* without the empty line */
    parts[1] = mirror_mark;
    if (parts[0].len + parts[1].len <= REQUEST_HEAD_INLINE) {
        memcpy(copy->head, parts[0].ptr, parts[0].len);
        memcpy(copy->head + parts[0].len, parts[1].ptr, parts[1].len);
        copy->head_length = (uint32_t)(parts[0].len + parts[1].len);
        return true;
    }
    return parts[0].len + parts[1].len <= PROXY_SCRATCH_SIZE &&
           spill_append(&copy->big_head, &proxy->blocks, parts[0]) == MESH_OK &&
           spill_append(&copy->big_head, &proxy->blocks, parts[1]) == MESH_OK;
}

static struct request *mirror_create(struct proxy *proxy, struct request *request,
                                     const struct abi_traffic *traffic)
{
    struct request *copy = pool_take_dirty(&proxy->requests);

    if (copy == NULL) {
        return NULL;
    }
    memset(copy, 0, offsetof(struct request, queue));
    wheel_timer_init(&copy->timer,
                     ring_token(PROXY_KIND_REQUEST_TIMER, pool_slot(&proxy->requests, copy),
                                pool_generation(&proxy->requests, copy)));
    copy->generation = proxy->current;
    generation_use(copy->generation);
    copy->overlay_slot = ABI_NONE;
    copy->may_try = LIMIT_DIALS;
    copy->started_ns = request->started_ns;
    copy->method = request->method;
    copy->flags =
        REQUEST_MIRROR | (request->flags & (uint32_t)(REQUEST_BODY_DONE | REQUEST_CHUNK_UP));
    copy->request_body = request->request_body;
    copy->target = traffic->mirror_target;
    copy->target_key = proxy->current->view.targets[copy->target].key;
    copy->mirror = request;
    request->mirror = copy;
    proxy->mirrors++;
    return copy;
}

static void mirror_begin(struct proxy *proxy, struct request *copy)
{
    proxy_count(proxy, ABI_WORKER_MIRRORS, 1);
    wheel_arm(&proxy->wheel, &copy->timer, proxy->now_ms, MIRROR_TIMEOUT_MS);
    mirror_go_on(proxy, copy, upstream_start(proxy, copy, &mirror_ops));
}

/* Its original does not wait: what comes of the body meanwhile is held as for a connection. */
static void mirror_await(struct proxy *proxy, struct request *copy)
{
    wheel_arm(&proxy->wheel, &copy->timer, proxy->now_ms, LIMIT_TOKEN_WAIT_MS);
    if (!tokens_await_copy(proxy, copy)) {
        mirror_end(proxy, copy, false, ABI_OUTCOME_NO_VERDICT);
    }
}

void mirror_judged(struct proxy *proxy, struct request *copy, bool held)
{
    if (held) {
        mirror_begin(proxy, copy);
    } else {
        mirror_end(proxy, copy, false, ABI_OUTCOME_DENIED);
    }
}

void mirror_start(struct proxy *proxy, struct request *request, const struct l7_view *view,
                  const struct abi_traffic *traffic)
{
    enum authz_copied judged;
    struct request *copy;

    if (request_has(request, REQUEST_UPGRADE) || proxy->draining ||
        proxy_random(proxy) % ABI_SPLIT_TOTAL >= traffic->mirror_share) {
        return;
    }
    judged = authz_copy(proxy, request->down, &view->input, traffic->mirror_target);
    if (judged == AUTHZ_COPY_DENIED) {
        return;
    }
    copy = mirror_has_room(proxy) ? mirror_create(proxy, request, traffic) : NULL;
    if (copy == NULL) {
        proxy_count(proxy, ABI_WORKER_MIRRORS_FAILED, 1);
    } else if (!mirror_keep_head(proxy, copy, request)) {
        mirror_end(proxy, copy, false, ABI_OUTCOME_OVERLOAD);
    } else if (judged == AUTHZ_COPY_AWAITED) {
        mirror_await(proxy, copy);
    } else {
        mirror_begin(proxy, copy);
    }
}

void mirror_body(struct proxy *proxy, struct request *request, struct bytes in)
{
    struct request *copy = request->mirror;

    if (in.len == 0) {
        return;
    }
    if (request_has(copy, REQUEST_SENT)) {
        (void)mirror_send_body(proxy, copy, in);
    } else if (in.len > LIMIT_MIRROR_HELD - copy->big_ops.length || !mirror_may_hold(proxy) ||
               spill_append(&copy->big_ops, &proxy->blocks, in) != MESH_OK) {
        mirror_end(proxy, copy, false, ABI_OUTCOME_OVERLOAD);
    }
}

void mirror_part(struct proxy *proxy, struct request *request)
{
    struct request *copy = request->mirror;

    if (request_has(request, REQUEST_BODY_DONE)) {
        copy->mirror = NULL;
        request->mirror = NULL;
    } else {
        mirror_end(proxy, copy, false, ABI_OUTCOME_CLIENT_GONE);
    }
}

/* --- the answer --- */

/* A head. false: the copy is over. */
static bool mirror_on_head(struct proxy *proxy, struct request *copy)
{
    const struct h1_head *head = &proxy->head;

    if (head->status == 101 || head->framing == H1_FRAMING_TUNNEL) {
        mirror_end(proxy, copy, false, ABI_OUTCOME_UPSTREAM_PROTOCOL);
        return false;
    }
    if (head->status < 200) {
        return true;
    }
    copy->flags |= REQUEST_ANSWERED;
    if ((head->flags & H1_KEEP_ALIVE) == 0 || head->framing == H1_FRAMING_UNTIL_CLOSE) {
        copy->flags |= REQUEST_CLOSE_UP;
    }
    if (request_has(copy, REQUEST_WATCHED)) {
        outlier_answered(proxy, copy, head->status);
    }
    abi_stat_add(&copy->target_stats->counters[ABI_TARGET_CODE_2XX + head->status / 100 - 2],
                 head->status < 600);
    abi_histogram_add(&copy->target_stats->latency,
                      (ring_now_ns(proxy->ring) - copy->sent_ns) / 1000u);
    h1body_start(&copy->response_body, (enum h1_framing)head->framing, head->content_length);
    return true;
}

/* Heads up to the final one: bytes used; the copy is gone, or the final head is not there yet, when
 * *over. */
static size_t mirror_read_heads(struct proxy *proxy, struct request *copy, struct bytes in,
                                bool *over)
{
    size_t used = 0;

    while (!request_has(copy, REQUEST_ANSWERED)) {
        struct bytes rest = bytes_from(in, used);
        int count =
            rest.len == 0 ? 0 : h1_parse_response(rest, (enum h1_method)copy->method, &proxy->head);

        *over = true;
        if (count == 0 && rest.len < H1_MAX_HEAD) {
            return used;
        }
        if (count <= 0) {
            mirror_end(proxy, copy, false, ABI_OUTCOME_UPSTREAM_PROTOCOL);
            return in.len;
        }
        used += (size_t)count;
        if (!mirror_on_head(proxy, copy)) {
            return in.len;
        }
        *over = false;
    }
    return used;
}

static size_t mirror_data(struct proxy *proxy, struct conn *up, struct bytes in)
{
    struct request *copy = up->user;
    bool over = false;
    size_t used = mirror_read_heads(proxy, copy, in, &over);

    if (over) {
        return used;
    }
    while (!h1body_is_done(&copy->response_body) && used < in.len) {
        struct h1body_step step;
        int64_t count = h1body_next(&copy->response_body, bytes_from(in, used), &step);

        if (count < 0) {
            mirror_end(proxy, copy, false, ABI_OUTCOME_UPSTREAM_PROTOCOL);
            return in.len;
        }
        used += (size_t)count;
    }
    abi_stat_add(&copy->target_stats->counters[ABI_TARGET_BYTES_IN], used);
    if (h1body_is_done(&copy->response_body)) {
        bool whole = request_has(copy, REQUEST_BODY_DONE); /* else nothing more of it is wanted */

        mirror_end(proxy, copy, whole && !request_has(copy, REQUEST_CLOSE_UP), ABI_OUTCOME_OK);
    }
    return used;
}

static void mirror_opened(struct proxy *proxy, struct conn *up)
{
    mirror_ready(proxy, up->user);
}

static void mirror_failed(struct proxy *proxy, struct conn *up, enum abi_outcome outcome)
{
    struct request *copy = up->user;

    if (outcome == ABI_OUTCOME_CLIENT_GONE || up->state == CONN_OPEN) {
        outcome = ABI_OUTCOME_UPSTREAM_RESET;
    } else if (outcome == ABI_OUTCOME_TLS) {
        outcome = ABI_OUTCOME_UPSTREAM_TLS;
    }
    if (request_has(copy, REQUEST_WATCHED) && !retry_was_unseen(copy)) {
        outlier_failed(proxy, copy, true);
    }
    if (!request_has(copy, REQUEST_SENT)) {
        mirror_go_on(proxy, copy, upstream_retry(proxy, copy, outcome, &mirror_ops));
        return;
    }
    mirror_end(proxy, copy, false, outcome);
}

static void mirror_ended(struct proxy *proxy, struct conn *up)
{
    struct request *copy = up->user;

    if (request_has(copy, REQUEST_ANSWERED) && h1body_may_end(&copy->response_body)) {
        mirror_end(proxy, copy, false, ABI_OUTCOME_OK);
    } else {
        mirror_failed(proxy, up, ABI_OUTCOME_UPSTREAM_RESET);
    }
}

static void mirror_drained(struct proxy *proxy, struct conn *up)
{
    (void)proxy; /* nobody waits for it */
    (void)up;
}

static void mirror_connect_timeout(struct proxy *proxy, struct conn *up)
{
    if (up->state == CONN_CONNECTING || up->state == CONN_HANDSHAKING) {
        mirror_failed(proxy, up, ABI_OUTCOME_CONNECT_TIMEOUT);
    }
}

static const struct conn_ops mirror_ops = {
    .opened = mirror_opened,
    .data = mirror_data,
    .ended = mirror_ended,
    .drained = mirror_drained,
    .failed = mirror_failed,
    .timeout = mirror_connect_timeout,
};
