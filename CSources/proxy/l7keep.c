/* Bodies kept for another try. What is kept lies behind the head, in room that every request has,
 * and then in blocks, up to what the route allows; a longer body is not repeated, nor is one with
 * trailers. Bodies that no try could send again are not kept. */
#include <string.h>

#include "base/err.h"
#include "l7.h"

/* Where bodies that are kept have taken half of the worker's blocks, no more are. */
static bool l7keep_has_room(const struct proxy *proxy)
{
    return proxy->blocks.used < proxy->blocks.capacity / 2;
}

bool l7keep_begin(struct request *request)
{
    uint32_t on = request->retry_on;
    bool again = h1_is_idempotent((enum h1_method)request->method) ||
                 (on & ABI_RETRY_ANY_METHOD) != 0 ||
                 (request_has(request, REQUEST_GRPC) && (on & ABI_RETRY_GRPC) != 0);

    if (request_has(request, REQUEST_BODY_SENT)) {
        return request_has(request, REQUEST_BODY_KEPT);
    }
    /* A stream may come back unseen, whatever is asked for. */
    if (request->head_length == 0 ||
        (request->up->stream == NULL && (!again || request->retries == 0)) ||
        (request->request_body.state == H1BODY_LENGTH &&
         request->request_body.left > request->max_replay)) {
        return false;
    }
    request->kept_more = (struct spill){0};
    request->flags |= REQUEST_BODY_KEPT;
    return true;
}

void l7keep_drop(struct proxy *proxy, struct request *request)
{
    spill_clear(&request->kept_more, &proxy->blocks);
    request->flags &= ~(uint32_t)REQUEST_BODY_KEPT;
    request->kept = 0;
}

void l7keep_add(struct proxy *proxy, struct request *request, struct bytes data)
{
    size_t at = request->head_length + request->ops_length + request->kept;
    size_t kept = request->kept + request->kept_more.length;

    if (!request_has(request, REQUEST_BODY_KEPT)) {
        return;
    }
    if (data.len > request->max_replay - kept) {
        l7keep_drop(proxy, request);
    } else if (request->kept_more.length == 0 && data.len <= sizeof(request->head) - at) {
        memcpy(request->head + at, data.ptr, data.len);
        request->kept += (uint32_t)data.len;
    } else if (!l7keep_has_room(proxy) ||
               spill_append(&request->kept_more, &proxy->blocks, data) != MESH_OK) {
        l7keep_drop(proxy, request);
    }
}

/* All of it, as it is. */
static void l7keep_write(struct proxy *proxy, struct request *request)
{
    struct bytes part =
        bytes_of(request->head + request->head_length + request->ops_length, request->kept);

    if (part.len > 0) {
        conn_write(proxy, request->up, &part, 1);
    }
    for (const struct spill_block *block = request->kept_more.first; block != NULL;
         block = block->next) {
        part = bytes_of(block->data + block->from, block->to - block->from);
        conn_write(proxy, request->up, &part, 1);
    }
}

void l7keep_send(struct proxy *proxy, struct request *request)
{
    size_t length = request->kept + request->kept_more.length;
    uint8_t line[20];
    struct bytes size = bytes_of(line, h1body_put_size(line, length));
    struct bytes end = length > 0 ? BYTES_LITERAL("\r\n0\r\n\r\n") : BYTES_LITERAL("0\r\n\r\n");
    bool chunk = request_has(request, REQUEST_CHUNK_UP) && request->up->stream == NULL;

    MUST(request_has(request, REQUEST_BODY_DONE));
    if (chunk && length > 0) {
        conn_write(proxy, request->up, &size, 1);
    }
    l7keep_write(proxy, request);
    if (chunk) {
        conn_write(proxy, request->up, &end, 1);
    } else if (request->up->stream != NULL) {
        conn_shut(proxy, request->up);
    }
    abi_stat_add(&request->target_stats->counters[ABI_TARGET_BYTES_OUT], length);
}
