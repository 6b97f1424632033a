/* Who is in front: which fields of a request are believed, who its client is, its trace.
 *
 * Forwarding fields of a peer that is not trusted are dropped. Of a trusted one X-Forwarded-For or
 * Forwarded is followed from the right as far as addresses are trusted; the first that is not is
 * the client. What stands left of it was written by the client itself and goes no further, so that
 * everybody behind us finds the same client, from whichever end they read. */
#include <string.h>

#include "l7.h"
#include "span.h"
#include "table/network.h"
#include "wire/trace.h"

#define L7_BIT(id) (1u << (id))

#define L7_X_FIELDS                                                                                \
    (L7_BIT(HDR_X_FORWARDED_FOR) | L7_BIT(HDR_X_FORWARDED_PROTO) | L7_BIT(HDR_X_FORWARDED_HOST) |  \
     L7_BIT(HDR_X_FORWARDED_PORT) | L7_BIT(HDR_X_REAL_IP))
#define L7_TRACE_FIELDS  (L7_BIT(HDR_TRACEPARENT) | L7_BIT(HDR_TRACESTATE))
#define L7_JUDGED_FIELDS (L7_X_FIELDS | L7_BIT(HDR_FORWARDED) | L7_TRACE_FIELDS)

static bool l7_has(const struct h1_head *head, enum hdr_id id)
{
    return (head->ids & L7_BIT(id)) != 0;
}

/* The value of a field that is there exactly once; empty: none, or several. */
static struct bytes l7_only(const struct l7_view *view, const struct h1_head *head, enum hdr_id id)
{
    struct bytes value = bytes_of(NULL, 0);
    uint32_t count = 0;

    for (uint32_t i = 0; l7_has(head, id) && i < head->field_count; i++) {
        if (head->fields[i].id == id) {
            value = h1_value(view->start, &head->fields[i]);
            count++;
        }
    }
    return count == 1 ? value : bytes_of(NULL, 0);
}

/* --- the chain of hops, the nearest last --- */

static void l7_add_hop(struct l7_chain *chain, const struct l7_hop *hop)
{
    if (chain->count == LIMIT_HOPS) { /* the farthest is forgotten */
        memmove(chain->hops, chain->hops + 1, (LIMIT_HOPS - 1) * sizeof(chain->hops[0]));
        chain->count--;
    }
    chain->hops[chain->count++] = *hop;
}

/* From the right, up to the first that is no address. */
static void l7_read_list(const struct l7_view *view, const struct h1_head *head,
                         struct l7_chain *chain)
{
    struct l7_hop hop = {.element = bytes_of(NULL, 0)};
    uint32_t from = LIMIT_HOPS;
    int result = 0;

    for (uint32_t i = head->field_count; result == 0 && from > 0 && i > 0; i--) {
        const struct h1_field *field = &head->fields[i - 1];
        struct bytes rest = h1_value(view->start, field);

        if (field->id != HDR_X_FORWARDED_FOR) {
            continue;
        }
        while (from > 0 && (result = fwd_last_address(&rest, &hop.ip, &hop.address)) > 0) {
            chain->hops[--from] = hop;
        }
    }
    chain->count = LIMIT_HOPS - from;
    memmove(chain->hops, chain->hops + from, chain->count * sizeof(chain->hops[0]));
}

/* From the left; a field that breaks the grammar and all before it mean nothing. */
static void l7_read_forwarded(const struct l7_view *view, const struct h1_head *head,
                              struct l7_chain *chain)
{
    for (uint32_t i = 0; i < head->field_count; i++) {
        struct bytes rest = h1_value(view->start, &head->fields[i]);
        struct fwd_element element;
        int result;

        if (head->fields[i].id != HDR_FORWARDED) {
            continue;
        }
        while ((result = fwd_next(&rest, &element)) > 0) {
            struct l7_hop hop = {
                .ip = element.client.ip, .element = element.text, .proto = element.proto};

            if (element.client.kind == FWD_NODE_IP) {
                hop.address = element.client.name;
            }
            l7_add_hop(chain, &hop);
        }
        if (result < 0) {
            chain->count = 0;
        }
    }
}

static void l7_read_chain(struct l7_view *view, const struct h1_head *head)
{
    bool forwarded = l7_has(head, HDR_FORWARDED) && ((view->fields & ABI_HOP_FORWARDED) != 0 ||
                                                     !l7_has(head, HDR_X_FORWARDED_FOR));

    if (forwarded) {
        l7_read_forwarded(view, head, view->chain);
    } else if (l7_has(head, HDR_X_FORWARDED_FOR)) {
        l7_read_list(view, head, view->chain);
    }
}

/* Goes back along the chain as far as hops are trusted; cuts off what is left of the client. */
static void l7_find_client(struct proxy *proxy, struct request *request, struct l7_view *view,
                           const struct abi_hops *hops)
{
    const struct view *table = &proxy->current->view;
    struct l7_chain *chain = view->chain;
    struct ip_address client = request->down->peer_ip;
    uint32_t at = chain->count;

    for (uint32_t believed = 0; believed < hops->depth && at > 0; believed++) {
        if (!network_has(table, hops->trust, client.bytes)) {
            break;
        }
        at--;
        if (chain->hops[at].address.len == 0) {
            break; /* it came from somebody whom that hop does not name */
        }
        client = chain->hops[at].ip;
        request->client = client;
        request->flags |= REQUEST_CLIENT;
    }
    chain->count -= at;
    memmove(chain->hops, chain->hops + at, chain->count * sizeof(chain->hops[0]));
}

/* --- single values --- */

static void l7_judge_values(struct l7_view *view, const struct h1_head *head)
{
    struct bytes value = l7_only(view, head, HDR_X_FORWARDED_PROTO);
    uint8_t host[URI_MAX_HOST + 1];
    uint16_t port;
    struct ip_address ip;

    if (fwd_is_scheme(value)) {
        view->keep |= L7_BIT(HDR_X_FORWARDED_PROTO);
        view->proto = value;
    } else if (view->chain->count > 0) {
        view->proto = view->chain->hops[0].proto; /* as the client was seen */
    }
    value = l7_only(view, head, HDR_X_FORWARDED_HOST);
    if (value.len > 0 && uri_normal_host(value, host, &port) >= 0) {
        view->keep |= L7_BIT(HDR_X_FORWARDED_HOST);
    }
    if (ip_parse_port(l7_only(view, head, HDR_X_FORWARDED_PORT), &port) && port != 0) {
        view->keep |= L7_BIT(HDR_X_FORWARDED_PORT);
    }
    if (ip_parse(l7_only(view, head, HDR_X_REAL_IP), &ip)) {
        view->keep |= L7_BIT(HDR_X_REAL_IP);
    }
}

/* --- traces (W3C Trace Context 4.3) --- */

static void l7_start_trace(struct proxy *proxy, struct request *request,
                           const struct abi_hops *hops)
{
    uint64_t id[3] = {span_random(proxy), span_random(proxy), span_random(proxy)};
    uint64_t share = (id[1] >> 32) * ABI_TRACE_ALL >> 32;

    request->trace = (struct trace_parent){
        .flags = share < hops->trace_sample ? TRACE_SAMPLED : 0,
    };
    memcpy(request->trace.trace_id, id, 16);
    memcpy(request->trace.span_id, id + 2, 8);
    request->flags |= REQUEST_TRACED | REQUEST_TRACE_BEGUN;
}

static void l7_judge_trace(struct request *request, struct l7_view *view,
                           const struct h1_head *head)
{
    struct bytes parent = l7_only(view, head, HDR_TRACEPARENT);
    struct trace_state state = {.count = 0};

    if (parent.len == 0 || !trace_parse_parent(parent, &request->trace)) {
        return; /* and tracestate means nothing without it */
    }
    request->flags |= REQUEST_TRACED;
    view->keep |= L7_BIT(HDR_TRACEPARENT);
    for (uint32_t i = 0; l7_has(head, HDR_TRACESTATE) && i < head->field_count; i++) {
        if (head->fields[i].id == HDR_TRACESTATE &&
            !trace_add_state(&state, h1_value(view->start, &head->fields[i]))) {
            return;
        }
    }
    view->keep |= L7_BIT(HDR_TRACESTATE);
}

/* --- all of it --- */

void l7front_judge(struct proxy *proxy, struct request *request, struct l7_view *view)
{
    const struct h1_head *head = &proxy->head;
    struct conn *down = request->down;
    const struct abi_listener *entry = listener_entry(proxy, listener_of(proxy, down));
    const struct abi_hops *hops;
    bool mesh = (entry->flags & (ABI_LISTENER_MESH_INBOUND | ABI_LISTENER_MESH_OUTBOUND)) != 0;

    view->keep = mesh ? L7_BIT(HDR_OTHER) : 0;
    view->fields = ABI_HOP_X_FORWARDED;
    if (entry->hops == ABI_NONE && (head->ids & L7_JUDGED_FIELDS) == 0) {
        return;
    }
    hops = listener_hops(proxy, listener_of(proxy, down));
    if (hops != NULL) {
        view->fields = hops->fields;
    }
    if ((head->ids & (L7_X_FIELDS | L7_BIT(HDR_FORWARDED))) != 0) {
        conn_peer(proxy, down);
        if (mesh || (hops != NULL && down->peer_is_ip &&
                     network_has(&proxy->current->view, hops->trust, down->peer_ip.bytes))) {
            proxy->chain.count = 0;
            view->chain = &proxy->chain;
            l7_read_chain(view, head);
            if (!mesh) {
                l7_find_client(proxy, request, view, hops);
            }
            l7_judge_values(view, head);
        }
    }
    if ((view->fields & ABI_HOP_X_FORWARDED) == 0) {
        view->keep &= ~L7_X_FIELDS;
    }
    if ((head->ids & L7_BIT(HDR_TRACEPARENT)) != 0) {
        l7_judge_trace(request, view, head);
    }
    if (hops != NULL && hops->trace_start != 0 && !request_has(request, REQUEST_TRACED)) {
        l7_start_trace(proxy, request, hops);
    }
    if (hops != NULL && hops->trace_spans != 0 && request_has(request, REQUEST_TRACED) &&
        (request->trace.flags & TRACE_SAMPLED) != 0) {
        request->flags |= REQUEST_SPANS;
        view->keep &= ~L7_BIT(HDR_TRACEPARENT); /* the upstream's parent is our span */
    }
}

bool l7front_is_https(const struct request *request, const struct l7_view *view)
{
    return view->proto.len > 0 ? bytes_equal_nocase(view->proto, BYTES_LITERAL("https"))
                               : request->down->tls != NULL;
}
