/* Answers of our own: respond and redirect routes, and what goes wrong. */
#include <stdio.h>

#include "l7.h"
#include "stream.h"

uint16_t answer_status(enum abi_outcome outcome)
{
    switch (outcome) {
    case ABI_OUTCOME_NO_ROUTE:
        return 404;
    case ABI_OUTCOME_DENIED:
        return 403;
    case ABI_OUTCOME_NO_ENDPOINT:
    case ABI_OUTCOME_OVERLOAD:
    case ABI_OUTCOME_CONNECTION_LIMIT:
    case ABI_OUTCOME_DRAINED:
    case ABI_OUTCOME_UPSTREAM_LIMIT:
    case ABI_OUTCOME_NO_VERDICT:
        return 503;
    case ABI_OUTCOME_CONNECT_TIMEOUT:
    case ABI_OUTCOME_REQUEST_TIMEOUT:
        return 504;
    case ABI_OUTCOME_HEAD_TIMEOUT:
    case ABI_OUTCOME_IDLE_TIMEOUT:
        return 408;
    case ABI_OUTCOME_RATE_LIMITED:
        return 429;
    case ABI_OUTCOME_LOOP:
        return 508;
    case ABI_OUTCOME_BAD_REQUEST:
        return 400;
    case ABI_OUTCOME_TOO_LARGE:
        return 431;
    case ABI_OUTCOME_OK:
    case ABI_OUTCOME_CONNECT_FAILED:
    case ABI_OUTCOME_UPSTREAM_RESET:
    case ABI_OUTCOME_UPSTREAM_PROTOCOL:
    case ABI_OUTCOME_CLIENT_GONE:
    case ABI_OUTCOME_TLS:
    case ABI_OUTCOME_UPSTREAM_TLS:
    case ABI_OUTCOME_RESPONDED:
    case ABI_OUTCOME_PROXY_HEADER:   /* nobody is answered before it */
    case ABI_OUTCOME_NOT_REDIRECTED: /* closed when it was accepted */
    case ABI_OUTCOME_MAX_LIFETIME:   /* requests are answered as ever */
    case ABI_OUTCOME_COUNT:
        return 502;
    }
    return 502;
}

struct bytes answer_text(enum abi_outcome outcome, uint16_t status)
{
    switch (outcome) {
    case ABI_OUTCOME_NO_ROUTE:
        return BYTES_LITERAL("no route matches this request\n");
    case ABI_OUTCOME_DENIED:
        return BYTES_LITERAL("denied by intention\n");
    case ABI_OUTCOME_NO_ENDPOINT:
        return BYTES_LITERAL("no healthy upstream\n");
    case ABI_OUTCOME_OVERLOAD:
        return BYTES_LITERAL("overloaded\n");
    case ABI_OUTCOME_CONNECT_TIMEOUT:
        return BYTES_LITERAL("upstream connect timeout\n");
    case ABI_OUTCOME_REQUEST_TIMEOUT:
        return BYTES_LITERAL("upstream request timeout\n");
    case ABI_OUTCOME_CONNECT_FAILED:
        return BYTES_LITERAL("upstream connect failure\n");
    case ABI_OUTCOME_UPSTREAM_RESET:
        return BYTES_LITERAL("upstream closed before its answer\n");
    case ABI_OUTCOME_UPSTREAM_PROTOCOL:
        return BYTES_LITERAL("upstream sent a malformed answer\n");
    case ABI_OUTCOME_UPSTREAM_TLS:
        return BYTES_LITERAL("upstream TLS failure\n");
    case ABI_OUTCOME_UPSTREAM_LIMIT:
        return BYTES_LITERAL("upstream has reached its limit\n");
    case ABI_OUTCOME_NO_VERDICT:
        return BYTES_LITERAL("the token cannot be judged now\n");
    case ABI_OUTCOME_RATE_LIMITED:
        return BYTES_LITERAL("too many requests\n");
    case ABI_OUTCOME_TOO_LARGE:
        return status == 413 ? BYTES_LITERAL("request body too large\n")
                             : BYTES_LITERAL("bad request\n");
    case ABI_OUTCOME_LOOP:
        return BYTES_LITERAL("request loop\n");
    default:
        return status == 408 ? BYTES_LITERAL("request timeout\n") : BYTES_LITERAL("bad request\n");
    }
}

size_t answer_write(struct proxy *proxy, struct conn *down, const struct answer *answer)
{
    const char *reason = h1_reason(answer->status);
    struct bytes date = l7head_date(proxy);
    bool bodyless = answer->status == 204 || answer->status == 304;
    struct bytes parts[2];
    int length =
        snprintf((char *)proxy->scratch, PROXY_SCRATCH_SIZE, "HTTP/1.1 %u %s\r\ndate: %.*s\r\n%s",
                 answer->status, reason, (int)date.len, (const char *)date.ptr,
                 l7ops_drops(&answer->ops, BYTES_LITERAL("server")) ? "" : "server: ringmesh\r\n");
    size_t at = (size_t)length;
    size_t lines = l7ops_lines(&answer->ops, proxy->scratch + at, PROXY_SCRATCH_SIZE / 2);

    MUST(lines != L7OPS_FULL); /* tables_check_ops */
    at += lines;

    if (answer->location.len > 0) {
        at += (size_t)snprintf((char *)proxy->scratch + at, PROXY_SCRATCH_SIZE - at,
                               "location: %.*s\r\n", (int)answer->location.len,
                               (const char *)answer->location.ptr);
    }
    if (answer->allow.len > 0) {
        at += (size_t)snprintf((char *)proxy->scratch + at, PROXY_SCRATCH_SIZE - at,
                               "allow: %.*s\r\n", (int)answer->allow.len,
                               (const char *)answer->allow.ptr);
    }
    if (answer->retry_after > 0) {
        at += (size_t)snprintf((char *)proxy->scratch + at, PROXY_SCRATCH_SIZE - at,
                               "retry-after: %u\r\n", answer->retry_after);
    }
    if (answer->content_type.len > 0 && !bodyless) {
        at += (size_t)snprintf((char *)proxy->scratch + at, PROXY_SCRATCH_SIZE - at,
                               "content-type: %.*s\r\n", (int)answer->content_type.len,
                               (const char *)answer->content_type.ptr);
    }
    if (answer->grpc) { /* our texts need no percent-encoding */
        at += (size_t)snprintf((char *)proxy->scratch + at, PROXY_SCRATCH_SIZE - at,
                               "grpc-status: %u\r\ngrpc-message: %.*s\r\n", answer->grpc_status,
                               (int)answer->body.len, (const char *)answer->body.ptr);
    }
    if (!bodyless && (!answer->grpc || down->stream == NULL)) {
        at += (size_t)snprintf((char *)proxy->scratch + at, PROXY_SCRATCH_SIZE - at,
                               "content-length: %zu\r\n", answer->grpc ? 0 : answer->body.len);
    }
    at += (size_t)snprintf((char *)proxy->scratch + at, PROXY_SCRATCH_SIZE - at, "%s\r\n",
                           answer->close ? "connection: close\r\n" : "");
    MUST(at < PROXY_SCRATCH_SIZE);
    parts[0] = bytes_of(proxy->scratch, at);
    parts[1] = answer->body;
    bodyless = bodyless || answer->head_only || answer->grpc;
    if (down->stream != NULL) {
        stream_answer(proxy, down, parts[0], bodyless || answer->body.len == 0);
        conn_write(proxy, down, parts + 1, bodyless ? 0 : 1);
    } else {
        conn_write(proxy, down, parts, bodyless ? 1 : 2);
    }
    l7_count_status(proxy, down, answer->status);
    return bodyless ? 0 : answer->body.len;
}
