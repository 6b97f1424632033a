/* From a target to an open connection: choose an endpoint, reuse or connect, try the next one. */
#include "record.h"

#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include "base/hash.h"
#include "l7h2.h"
#include "lifetime.h"
#include "redirect.h"
#include "table/balance.h"
#include "wire/pp.h"

/* What two upstream connections must have in common to stand in for each other. The TLS record's
 * key covers our certificate, the trust bundle and ALPN. */
static uint64_t upstream_pool_key(const struct view *view, const struct abi_target *target,
                                  const struct abi_endpoint *endpoint)
{
    uint64_t key = endpoint->key;

    if (endpoint->tls != ABI_NONE) {
        key ^= hash_finish(view->tls[endpoint->tls].key);
        key = hash_finish(key ^ hash_bytes(view_text(view, target->expected_id)));
        key = hash_finish(key ^ hash_bytes(view_text(view, target->sni)));
    }
    return key;
}

/* Whether its endpoints speak HTTP/2: one connection carries the requests of many clients. */
static bool upstream_carries(const struct request *request, const struct abi_target *target)
{
    return target->protocol == ABI_PROTOCOL_HTTP2 && !request_has(request, REQUEST_L4);
}

/* Whether the endpoint wants a PROXY header. A sidecar never does: the application behind it gets
 * one from there. */
static bool upstream_tells(const struct view *view, const struct abi_target *target,
                           const struct abi_endpoint *endpoint)
{
    return target->proxy_out != 0 && target->protocol != ABI_PROTOCOL_HTTP2 &&
           (endpoint->tls == ABI_NONE || view->tls[endpoint->tls].mesh == 0);
}

static socklen_t upstream_address(const struct view *view, const struct abi_address *address,
                                  struct sockaddr_storage *out)
{
    memset(out, 0, sizeof(*out));
    if (address->family == ABI_FAMILY_IP4) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;

        in->sin_family = AF_INET;
        in->sin_port = __builtin_bswap16(address->port);
        memcpy(&in->sin_addr, address->ip, 4);
        return sizeof(*in);
    }
    if (address->family == ABI_FAMILY_IP6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

        in6->sin6_family = AF_INET6;
        in6->sin6_port = __builtin_bswap16(address->port);
        memcpy(&in6->sin6_addr, address->ip, 16);
        return sizeof(*in6);
    }
    if (address->family == ABI_FAMILY_UNIX) {
        struct sockaddr_un *un = (struct sockaddr_un *)out;
        struct bytes path = view_text(view, address->path);

        if (path.len == 0 || path.len >= sizeof(un->sun_path)) {
            return 0;
        }
        un->sun_family = AF_UNIX;
        memcpy(un->sun_path, path.ptr, path.len);
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len + 1);
    }
    return 0;
}

static uint32_t upstream_load(const void *context, uint32_t endpoint)
{
    const struct proxy *proxy = context;

    return proxy->loads[proxy->current->view.endpoints[endpoint].overlay_slot];
}

/* What a balancer has to know besides. */
[[gnu::noinline]] static uint32_t upstream_pick_more(struct proxy *proxy, struct request *request,
                                                     const struct abi_target *target,
                                                     struct balance_input *input)
{
    const struct balance_more more = {
        .now_ms = proxy->now_ms,
        .hash = request->hash,
        .hashed = request_has(request, REQUEST_HASHED),
        .latencies = proxy->latencies,
        .shares = &proxy->shares[target->stats_slot],
    };

    input->more = &more;
    return balance_pick(&request->generation->view, target, input);
}

/* `ejected`: also those that are left out because they failed. */
[[gnu::always_inline]] static inline uint32_t upstream_pick_from(struct proxy *proxy,
                                                                 struct request *request,
                                                                 const struct abi_target *target,
                                                                 bool ejected)
{
    struct balance_input input = {
        .overlay = proxy->config.overlay,
        .watched =
            target->guard == ABI_NONE || ejected ? NULL : abi_tally_endpoints(proxy->config.tally),
        .now_ms = proxy->now_ms,
        .cursor = &proxy->cursors[target->stats_slot],
        .random = proxy_random(proxy),
        .load = request->generation == proxy->current ? upstream_load : NULL,
        .context = proxy,
        .tried = request->tried,
        .tried_count = request->tried_count,
    };

    return target->balancer == ABI_NONE ? balance_pick(&request->generation->view, target, &input)
                                        : upstream_pick_more(proxy, request, target, &input);
}

/* Of the first failover target that has one. Where there is none, one that failed too often is
 * better than nothing. */
[[gnu::noinline]] static uint32_t upstream_pick_else(struct proxy *proxy, struct request *request,
                                                     const struct abi_target *target,
                                                     const struct abi_target **chosen)
{
    const struct view *view = &request->generation->view;
    uint32_t endpoint = ABI_NONE;

    for (uint32_t i = 0; endpoint == ABI_NONE && i < target->failover.count; i++) {
        *chosen = &view->targets[view->target_list[target->failover.at + i]];
        endpoint = upstream_pick_from(proxy, request, *chosen, false);
    }
    if (endpoint == ABI_NONE && target->guard != ABI_NONE) {
        *chosen = target;
        endpoint = upstream_pick_from(proxy, request, target, true);
    }
    return endpoint;
}

/* An untried healthy endpoint of the target, or of those that stand in for it. */
static uint32_t upstream_pick(struct proxy *proxy, struct request *request,
                              const struct abi_target **chosen)
{
    const struct abi_target *target = &request->generation->view.targets[request->target];
    uint32_t endpoint = upstream_pick_from(proxy, request, target, false);

    *chosen = target;
    return endpoint != ABI_NONE ? endpoint : upstream_pick_else(proxy, request, target, chosen);
}

/* The congestion control of a target, NUL-terminated in `out`, or NULL for the system's. */
static const char *upstream_congestion(const struct view *view, const struct abi_target *target,
                                       char out[16])
{
    struct bytes name = view_text(view, target->congestion);

    if (name.len == 0 || name.len >= 16) {
        return NULL;
    }
    memcpy(out, name.ptr, name.len);
    out[name.len] = '\0';
    return out;
}

static void upstream_attach(struct proxy *proxy, struct request *request, struct conn *conn,
                            const struct abi_target *target)
{
    request->up = conn;
    conn->user = request;
    request->target_stats = abi_stats_target(proxy->stats, target->stats_slot);
    request->target_tally = abi_tally_target(proxy->config.tally, target->stats_slot);
    request->overlay_slot = conn->overlay_slot;
    request->decay_ms = target->balance == ABI_BALANCE_LATENCY
                            ? request->generation->view.balancers[target->balancer].decay_ms
                            : 0;
    proxy->loads[conn->overlay_slot]++;
}

void upstream_count_answer(struct proxy *proxy, struct request *request, uint16_t status)
{
    request->answered = true;
    if (request->overlay_slot < LIMIT_ENDPOINT_SLOTS) {
        struct abi_way_stats *way = abi_stats_endpoint(proxy->stats, request->overlay_slot);

        if (status == 0) {
            abi_stat_add(&way->counters[ABI_WAY_ERRORS], 1);
        } else {
            abi_way_answered(way, status, (ring_now_ns(proxy->ring) - request->sent_ns) / 1000u);
        }
    }
}

void upstream_note_latency(struct proxy *proxy, struct request *request, uint64_t us)
{
    latency_observe(&proxy->latencies[request->overlay_slot], us, proxy->now_ms, request->decay_ms);
    request->decay_ms = 0;
}

void upstream_note_failure(struct proxy *proxy, struct request *request)
{
    latency_failed(&proxy->latencies[request->overlay_slot], proxy->now_ms, request->decay_ms);
    request->decay_ms = 0;
}

/* Nobody waits any longer: a wait that was longer than what is known is known now. */
static void upstream_note_unanswered(struct proxy *proxy, struct request *request)
{
    uint64_t us = (ring_now_ns(proxy->ring) - request->sent_ns) / 1000u;

    if (request_has(request, REQUEST_SENT) && !request_has(request, REQUEST_L4) &&
        us > proxy->latencies[request->overlay_slot].us) {
        upstream_note_latency(proxy, request, us);
    }
    request->decay_ms = 0;
}

/* The end of a try that was not answered, or whose answer is not noted. */
[[gnu::noinline]] static void upstream_note_end(struct proxy *proxy, struct request *request)
{
    if (request->decay_ms != 0) {
        upstream_note_unanswered(proxy, request);
    }
    if (!request->answered && !request_has(request, REQUEST_L4)) {
        upstream_count_answer(proxy, request, 0);
    }
}

static void upstream_detach(struct proxy *proxy, struct request *request)
{
    if (request->overlay_slot != ABI_NONE) {
        if (!request->answered || request->decay_ms != 0) {
            upstream_note_end(proxy, request);
        }
        proxy->loads[request->overlay_slot]--;
        request->overlay_slot = ABI_NONE;
    }
    if (request->up != NULL) {
        request->up->user = NULL;
        request->up = NULL;
    }
}

/* Opens a socket to the endpoint; NULL when that fails at once (request.outcome says why). */
static struct conn *upstream_open(struct proxy *proxy, struct request *request, uint32_t index,
                                  const struct abi_target *target)
{
    const struct view *view = &request->generation->view;
    const struct abi_endpoint *endpoint = &view->endpoints[index];
    struct sockaddr_storage address;
    socklen_t length = endpoint->address.family == ABI_FAMILY_ORIGINAL
                           ? redirect_original(proxy, request, &address)
                           : upstream_address(view, &endpoint->address, &address);
    struct tls_context *context = NULL;
    char congestion[16];
    struct conn *conn;
    int fd;

    if (endpoint->tls != ABI_NONE) {
        context = tables_tls(request->generation, endpoint->tls);
        if (context == NULL) {
            request->outcome = ABI_OUTCOME_UPSTREAM_TLS;
            return NULL;
        }
    }
    fd = length == 0 ? -1
                     : ring_socket(proxy->ring, address.ss_family,
                                   upstream_congestion(view, target, congestion));
    if (fd < 0) {
        request->outcome = ABI_OUTCOME_CONNECT_FAILED;
        return NULL;
    }
    conn = conn_create(proxy, fd, NULL);
    if (conn == NULL) {
        ring_close(proxy->ring, fd, false);
        request->outcome = ABI_OUTCOME_OVERLOAD;
        return NULL;
    }
    conn->flags |= CONN_UPSTREAM;
    conn->overlay_slot = endpoint->overlay_slot;
    conn->pool_key = upstream_pool_key(view, target, endpoint);
    conn->tells_peer = upstream_tells(view, target, endpoint) ? target->proxy_out : 0;
    conn->target_stats = abi_stats_target(proxy->stats, target->stats_slot);
    proxy_count(proxy, ABI_WORKER_UPSTREAM_OPEN, 1);
    abi_stat_add(&conn->target_stats->counters[ABI_TARGET_OPEN], 1);
    abi_stat_add(&conn->target_stats->counters[ABI_TARGET_CONNECTS], 1);
    struct tls_session *tls = NULL;
    if (context != NULL) {
        tls = tls_session_create(context, view_text(view, target->sni),
                                 view_text(view, target->expected_id),
                                 uppool_resume(proxy, conn->pool_key));
        if (tls == NULL) {
            conn_close(proxy, conn, false);
            request->outcome = ABI_OUTCOME_OVERLOAD;
            return NULL;
        }
    }
    conn_arm_timer(proxy, conn, target->connect_timeout_ms);
    lifetime_inherit(proxy, conn, request);
    conn_connect(proxy, conn, &address, length, tls);
    return conn;
}

/* One idle connection to any endpoint of the target makes room for another. */
static bool upstream_evict(struct proxy *proxy, const struct view *view,
                           const struct abi_target *target)
{
    for (uint32_t i = 0; i < target->endpoints.count; i++) {
        const struct abi_endpoint *endpoint = &view->endpoints[target->endpoints.at + i];
        uint64_t key = upstream_pool_key(view, target, endpoint);
        struct conn *conn = NULL;

        if (target->protocol == ABI_PROTOCOL_HTTP2) {
            conn = l7h2up_find_idle(proxy, key);
        } else if (proxy->idles[endpoint->overlay_slot] > 0) {
            conn = uppool_take(proxy, key, NULL);
        }
        if (conn != NULL) {
            bool counted = conn->held == target->stats_slot + 1;

            conn_close(proxy, conn, false);
            if (counted) {
                return true;
            }
        }
    }
    return false;
}

/* A new connection within the bounds of its target. NULL: request.outcome says why; with
 * REQUEST_QUEUED and UPSTREAM_LIMIT it waits in line for one. */
static struct conn *upstream_open_bounded(struct proxy *proxy, struct request *request,
                                          uint32_t index, const struct abi_target *target)
{
    const struct view *view = &request->generation->view;
    struct conn *conn;
    uint32_t held = 0;

    if (target->guard == ABI_NONE) {
        return upstream_open(proxy, request, index, target);
    }
    if (!limits_pend(proxy, request, target)) {
        request->outcome = ABI_OUTCOME_UPSTREAM_LIMIT;
        return NULL;
    }
    if (!limits_connect(proxy, view, target, &held) &&
        (!upstream_evict(proxy, view, target) || !limits_connect(proxy, view, target, &held))) {
        request->outcome = ABI_OUTCOME_UPSTREAM_LIMIT;
        if (!request_has(request, REQUEST_L4 | REQUEST_MIRROR)) {
            limits_queue(proxy, request, target->connect_timeout_ms);
        }
        return NULL;
    }
    conn = upstream_open(proxy, request, index, target);
    if (conn == NULL) {
        limits_not_made(proxy, held);
    } else {
        conn->held = held;
    }
    return conn;
}

/* The endpoint is chosen: it is written down, and watched where that is wanted. */
static void upstream_note(struct proxy *proxy, struct request *request,
                          const struct abi_target *target, uint32_t index)
{
    const struct view *view = &request->generation->view;
    const struct abi_endpoint *endpoint = &view->endpoints[index];
    uint32_t slot = endpoint->overlay_slot;

    request->answered = false;
    request->tries = request->tries < UINT8_MAX ? (uint8_t)(request->tries + 1) : UINT8_MAX;
    if (request->tries > 1 && slot < LIMIT_ENDPOINT_SLOTS) {
        abi_stat_add(&abi_stats_endpoint(proxy->stats, slot)->counters[ABI_WAY_RETRIES], 1);
    }
    if (request->record != NULL) {
        record_upstream(proxy, request, target, endpoint);
    }
    request->flags &= ~(uint32_t)REQUEST_WATCHED;
    if (target->guard != ABI_NONE && view->guards[target->guard].ejection_ms > 0) {
        outlier_watch(proxy, request, target, endpoint);
    }
}

/* What the client's TLS tells, as haproxy does: `verify` is 0 only for a good certificate. */
static void upstream_tell_tls(const struct tls_session *tls, uint8_t name[static PP_MAX_NAME],
                              struct pp_header *header)
{
    bool shown = tls_peer_serial(tls).len > 0;

    header->alpn = tls_alpn(tls);
    header->authority = tls_server_name(tls);
    header->has_ssl = true;
    header->ssl.client = PP_CLIENT_SSL;
    if (shown) {
        header->ssl.client |= PP_CLIENT_CERT_SESS;
        header->ssl.client |= tls_resumed(tls) ? 0 : PP_CLIENT_CERT_CONN;
    }
    header->ssl.verify = shown ? 0 : 1;
    header->ssl.name = bytes_of(name, tls_peer_common_name(tls, name, PP_MAX_NAME));
    header->ssl.version =
        tls_version(tls) == TLS_VERSION_1_3 ? BYTES_LITERAL("TLSv1.3") : BYTES_LITERAL("TLSv1.2");
}

/* Both ends of the client's connection, as the proxy in front named them or as the socket has
 * them. */
static void upstream_tell_ends(struct proxy *proxy, struct conn *down, struct pp_header *header)
{
    const struct pp_header *told = conn_proxied(down);
    struct sockaddr_storage address;

    conn_peer(proxy, down);
    if (!down->peer_is_ip) {
        return; /* PP_UNSPEC */
    }
    header->source = down->peer_ip;
    header->source_port = down->peer_port;
    if (told != NULL && (told->family == PP_IP4 || told->family == PP_IP6)) {
        header->destination = told->destination;
        header->destination_port = told->destination_port;
    } else if (!ring_local(proxy->ring, down->fd, &address) ||
               !conn_ip_of(&address, &header->destination, &header->destination_port)) {
        return;
    }
    header->family = ip_is4(&header->source) && ip_is4(&header->destination) ? PP_IP4 : PP_IP6;
}

void upstream_connected(struct proxy *proxy, struct conn *conn)
{
    struct request *request = conn->user;
    struct pp_header header = {.version = conn->tells_peer};
    const struct pp_header *told;
    uint8_t out[PP_MAX_WRITTEN];
    uint8_t name[PP_MAX_NAME];
    size_t length;

    if (conn->tells_peer == 0) {
        return;
    }
    told = conn_proxied(request->down);
    upstream_tell_ends(proxy, request->down, &header);
    if (request->down->tls != NULL) {
        upstream_tell_tls(request->down->tls, name, &header);
    } else if (told != NULL) {
        header.alpn = told->alpn;
        header.authority = told->authority;
        header.has_ssl = told->has_ssl;
        header.ssl = told->ssl;
    }
    header.unique_id = told != NULL ? told->unique_id : bytes_of(NULL, 0);
    header.checksum =
        header.has_ssl || header.alpn.len + header.authority.len > 0 || header.unique_id.len > 0;
    length = pp_write(&header, out, sizeof(out));
    MUST(length > 0);
    conn_preface(proxy, conn, bytes_of(out, length));
}

/* An open connection to the endpoint, or a stream on one, or NULL. */
static struct conn *upstream_take(struct proxy *proxy, struct request *request, uint32_t endpoint,
                                  const struct abi_target *target, const struct conn_ops *ops)
{
    const struct view *view = &request->generation->view;
    uint64_t key = upstream_pool_key(view, target, &view->endpoints[endpoint]);

    if (upstream_carries(request, target)) {
        return l7h2up_take(proxy, key, ops);
    }
    return uppool_take(proxy, key,
                       upstream_tells(view, target, &view->endpoints[endpoint]) ? request->down
                                                                                : NULL);
}

/* A stream on a connection that is still being opened waits for it like the one that opened it. */
static bool upstream_may_wait(struct proxy *proxy, struct request *request, const struct conn *conn,
                              const struct abi_target *target)
{
    if (conn->state == CONN_OPEN || target->guard == ABI_NONE ||
        limits_pend(proxy, request, target)) {
        return true;
    }
    request->outcome = ABI_OUTCOME_UPSTREAM_LIMIT;
    return false;
}

/* Most guards bound no requests: those hold no place. */
static bool upstream_admits(struct proxy *proxy, struct request *request,
                            const struct abi_target *target)
{
    if (request->held == 0 && request->generation->view.guards[target->guard].max_requests == 0) {
        request->held_slot = target->stats_slot;
        return true;
    }
    return limits_admit(proxy, request, target);
}

enum upstream_result upstream_start(struct proxy *proxy, struct request *request,
                                    const struct conn_ops *ops)
{
    request->outcome =
        request->tried_count == 0 ? (uint8_t)ABI_OUTCOME_NO_ENDPOINT : request->outcome;
    while (request->tried_count < request->may_try) {
        const struct abi_target *target;
        uint32_t endpoint = upstream_pick(proxy, request, &target);
        struct conn *conn = NULL;

        if (endpoint == ABI_NONE) {
            return UPSTREAM_FAILED;
        }
        if (target->guard != ABI_NONE && !upstream_admits(proxy, request, target)) {
            request->outcome = ABI_OUTCOME_UPSTREAM_LIMIT;
            return UPSTREAM_FAILED;
        }
        request->tried[request->tried_count++] = endpoint;
        if (upstream_carries(request, target) && request_has(request, REQUEST_UPGRADE)) {
            request->outcome = ABI_OUTCOME_UPSTREAM_PROTOCOL;
            return UPSTREAM_FAILED; /* tunnels go to endpoints of HTTP/1.1 only */
        }
        if (!request_has(request, REQUEST_L4)) {
            conn = upstream_take(proxy, request, endpoint, target, ops);
        }
        if (conn != NULL && !upstream_may_wait(proxy, request, conn, target)) {
            conn_close(proxy, conn, false);
            return UPSTREAM_FAILED;
        }
        if (conn != NULL) {
            request->flags |= REQUEST_REUSED;
            conn->ops = ops;
            upstream_attach(proxy, request, conn, target);
            upstream_note(proxy, request, target, endpoint);
            return conn->state == CONN_OPEN ? UPSTREAM_READY : UPSTREAM_WAIT;
        }
        request->flags &= ~(uint32_t)REQUEST_REUSED;
        upstream_note(proxy, request, target, endpoint);
        conn = upstream_open_bounded(proxy, request, endpoint, target);
        if (conn != NULL && upstream_carries(request, target)) {
            conn = l7h2up_start(proxy, conn, ops);
            request->outcome = conn == NULL ? (uint8_t)ABI_OUTCOME_OVERLOAD : request->outcome;
        }
        if (conn != NULL) {
            conn->ops = ops;
            upstream_attach(proxy, request, conn, target);
            return UPSTREAM_WAIT;
        }
        if (request->outcome == ABI_OUTCOME_UPSTREAM_LIMIT) {
            request->tried_count--;
            return request_has(request, REQUEST_QUEUED) ? UPSTREAM_WAIT : UPSTREAM_FAILED;
        }
        if (request->outcome == ABI_OUTCOME_OVERLOAD) {
            return UPSTREAM_FAILED;
        }
    }
    return UPSTREAM_FAILED;
}

enum upstream_result upstream_retry(struct proxy *proxy, struct request *request,
                                    enum abi_outcome outcome, const struct conn_ops *ops)
{
    struct conn *conn = request->up;

    request->outcome = (uint8_t)outcome;
    if (conn != NULL) {
        abi_stat_add(&conn->target_stats->counters[ABI_TARGET_CONNECT_FAILURES], 1);
        upstream_detach(proxy, request);
        conn_close(proxy, conn, false);
    }
    if (request->generation == NULL) {
        return UPSTREAM_FAILED;
    }
    if (request->tried_count < request->may_try && request->target_stats != NULL) {
        abi_stat_add(&request->target_stats->counters[ABI_TARGET_RETRIES], 1);
    }
    return upstream_start(proxy, request, ops);
}

void upstream_leave(struct proxy *proxy, struct request *request, bool reusable)
{
    struct conn *conn = request->up;

    if (conn == NULL) {
        return;
    }
    upstream_detach(proxy, request);
    if (conn->tls != NULL && conn->state == CONN_OPEN) {
        uppool_keep_resume(proxy, conn->pool_key, conn->tls);
    }
    if (reusable && conn->stream == NULL && conn->state == CONN_OPEN && conn->in.length == 0 &&
        conn->out.length == 0 &&
        !conn_has(conn, CONN_BROKEN | CONN_ENDED | CONN_SHUT | CONN_SPLICING)) {
        uppool_put(proxy, conn, conn->tells_peer != 0 ? request->down : NULL);
    } else {
        /* Only HTTP can tell a part from the whole: other streams that are cut must not end. */
        conn_close(proxy, conn, request_has(request, REQUEST_L4 | REQUEST_TUNNEL));
    }
}
