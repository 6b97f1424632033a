#include "sticky.h"

#include <string.h>

#include "base/err.h"
#include "span.h"
#include "table/affinity.h"

#define STICKY_FIELD  "set-cookie"
#define STICKY_SECURE "; Secure"
#define STICKY_MAX                                                                                 \
    (LIMIT_COOKIE_NAME + 1 + AFFINITY_VALUE + LIMIT_COOKIE_REST + sizeof(STICKY_SECURE))

_Static_assert(REQUEST_OPS_MAX + STICKY_MAX + 64 <= SPILL_BLOCK_SIZE,
               "what a route changes and a cookie are kept in one block");

static const uint8_t *sticky_address(struct proxy *proxy, struct request *request)
{
    if (request_has(request, REQUEST_CLIENT)) {
        return request->client.bytes;
    }
    conn_peer(proxy, request->down);
    return request->down->peer_is_ip ? request->down->peer_ip.bytes : NULL;
}

/* One more change of the answer, behind those of the route. */
static bool sticky_keep(struct proxy *proxy, struct request *request, struct bytes change)
{
    if (request->big_ops.length == 0) {
        uint32_t used = request->head_length + request->ops_length;

        if (change.len <= REQUEST_HEAD_INLINE - used) {
            memcpy(request->head + used, change.ptr, change.len);
            request->ops_length += (uint32_t)change.len;
            return true;
        }
        if (request->ops_length > 0 && spill_append(&request->big_ops, &proxy->blocks,
                                                    bytes_of(request->head + request->head_length,
                                                             request->ops_length)) != MESH_OK) {
            return false;
        }
        request->ops_length = 0;
    }
    return spill_append(&request->big_ops, &proxy->blocks, change) == MESH_OK;
}

static bool sticky_set_cookie(struct proxy *proxy, struct request *request,
                              const struct l7_view *view, const struct affinity *affinity,
                              uint64_t fresh)
{
    const struct view *table = &proxy->current->view;
    struct bytes name = view_text(table, affinity->made->name);
    struct bytes attributes = view_text(table, affinity->made->attributes);
    struct bytes secure = BYTES_LITERAL(STICKY_SECURE);
    uint8_t value[STICKY_MAX];
    uint8_t change[STICKY_MAX + 32];
    size_t length = 0;

    memcpy(value, name.ptr, name.len);
    length = name.len;
    value[length++] = '=';
    affinity_write(fresh, value + length);
    length += AFFINITY_VALUE;
    memcpy(value + length, attributes.ptr, attributes.len);
    length += attributes.len;
    if (l7front_is_https(request, view) && !bytes_has_suffix(attributes, secure)) {
        memcpy(value + length, secure.ptr, secure.len);
        length += secure.len;
    }
    length = l7ops_pack_one(ABI_HEADER_ADD, BYTES_LITERAL(STICKY_FIELD), bytes_of(value, length),
                            change);
    return sticky_keep(proxy, request, bytes_of(change, length));
}

bool sticky_judge(struct proxy *proxy, struct request *request, const struct l7_view *view)
{
    const struct view *table = &proxy->current->view;
    const struct abi_balancer *balancer =
        &table->balancers[table->targets[request->target].balancer];
    struct affinity_input input = {.request = &view->input};
    struct affinity affinity;

    if (balancer->hashes.count == 0) {
        return true;
    }
    input.address = sticky_address(proxy, request);
    input.fresh = span_random(proxy);
    affinity_of(table, balancer, &input, &affinity);
    if (affinity.found) {
        request->hash = affinity.hash;
        request->flags |= REQUEST_HASHED;
    }
    return affinity.made == NULL || sticky_set_cookie(proxy, request, view, &affinity, input.fresh);
}

void sticky_judge_stream(struct proxy *proxy, struct request *request)
{
    const struct view *table = &proxy->current->view;
    const struct abi_balancer *balancer =
        &table->balancers[table->targets[request->target].balancer];
    struct affinity_input input = {.request = NULL};
    struct affinity affinity;

    if (balancer->hashes.count == 0) {
        return;
    }
    input.address = sticky_address(proxy, request);
    affinity_of(table, balancer, &input, &affinity);
    if (affinity.found) {
        request->hash = affinity.hash;
        request->flags |= REQUEST_HASHED;
    }
}
