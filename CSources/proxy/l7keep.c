/* Small bodies of requests that HTTP/2 carries to their upstream are kept for another try: an
 * upstream that leaves says of streams on their way that it has not looked at them (RFC 9113 6.8),
 * and most calls of gRPC are such requests. What is kept lies behind the head, in room that every
 * request has; of a longer body nothing is, and a stream of it is not repeated. */
#include <string.h>

#include "l7.h"

void l7keep_body(struct request *request, const struct l7_gather *gather, uint64_t data)
{
    size_t at = request->head_length + request->ops_length + request->kept;
    uint64_t total = 0;

    if (!request_has(request, REQUEST_BODY_SENT) && request->head_length > 0) {
        request->flags |= REQUEST_BODY_KEPT;
    }
    if (!request_has(request, REQUEST_BODY_KEPT)) {
        return;
    }
    for (uint32_t i = 0; i < gather->count; i++) {
        total += gather->parts[i].len;
    }
    /* All that came with this piece, and no trailers. */
    if (total != data || total > sizeof(request->head) - at || request->big_head.length > 0) {
        request->flags &= ~(uint32_t)REQUEST_BODY_KEPT;
        return;
    }
    for (uint32_t i = 0; i < gather->count; i++) {
        memcpy(request->head + at, gather->parts[i].ptr, gather->parts[i].len);
        at += gather->parts[i].len;
    }
    request->kept += (uint32_t)total;
}

void l7keep_send(struct proxy *proxy, struct request *request)
{
    struct bytes body =
        bytes_of(request->head + request->head_length + request->ops_length, request->kept);
    uint8_t line[20];
    struct bytes parts[3] = {bytes_of(line, h1body_put_size(line, body.len)), body,
                             BYTES_LITERAL("\r\n0\r\n\r\n")};

    MUST(request_has(request, REQUEST_BODY_KEPT) && request_has(request, REQUEST_BODY_DONE));
    if (request->up->stream != NULL) {
        conn_write(proxy, request->up, &body, 1);
        conn_shut(proxy, request->up);
    } else if (request_has(request, REQUEST_CHUNK_UP)) { /* the upstream has changed meanwhile */
        conn_write(proxy, request->up, parts, 3);
    } else {
        conn_write(proxy, request->up, &body, 1);
    }
}
