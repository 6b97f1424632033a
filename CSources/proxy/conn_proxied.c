/* Connections that begin with a PROXY header: it is read before TLS and before anything else, and
 * from then on the connection's peer is whom it names. Until then the connection has the ops of
 * this file, so that all others pay nothing for it. */
#include <string.h>

#include "conn_parts.h"
#include "record.h"
#include "wire/pp.h"

#define PROXIED_BYTES 512u /* of names in TLVs; what does not fit is not passed on */

struct proxied {
    struct pp_header header; /* slices of `bytes` */
    uint32_t used;
    uint8_t bytes[PROXIED_BYTES];
};

size_t conn_proxied_size(void)
{
    return sizeof(struct proxied);
}

const struct pp_header *conn_proxied(const struct conn *conn)
{
    return conn->proxied == NULL ? NULL : &conn->proxied->header;
}

static void proxied_fail(struct proxy *proxy, struct conn *conn, enum abi_outcome outcome)
{
    bool silent = outcome == ABI_OUTCOME_CLIENT_GONE && conn->in.length == 0; /* a probe */

    abi_stat_add(&listener_of(proxy, conn)->stats->outcomes[outcome], 1);
    if (!silent) {
        record_refused(proxy, conn, 0, outcome);
    }
    conn_close(proxy, conn, outcome != ABI_OUTCOME_CLIENT_GONE);
}

static void proxied_keep(struct proxied *proxied, struct bytes *slice)
{
    if (slice->len > PROXIED_BYTES - proxied->used) {
        *slice = bytes_of(NULL, 0);
        return;
    }
    if (slice->len > 0) {
        memcpy(proxied->bytes + proxied->used, slice->ptr, slice->len);
        slice->ptr = proxied->bytes + proxied->used;
        proxied->used += (uint32_t)slice->len;
    }
}

/* Takes over what the header says; false when there is no memory for it. */
static bool proxied_take(struct proxy *proxy, struct conn *conn, const struct pp_header *header)
{
    struct proxied *proxied;

    if (header->local) {
        return true; /* a health check of the proxy in front: it is the peer */
    }
    proxied = pool_take(&proxy->proxieds);
    if (proxied == NULL) {
        return false;
    }
    conn->proxied = proxied;
    proxied->header = *header;
    proxied_keep(proxied, &proxied->header.authority);
    proxied_keep(proxied, &proxied->header.alpn);
    proxied_keep(proxied, &proxied->header.unique_id);
    proxied_keep(proxied, &proxied->header.ssl.version);
    proxied_keep(proxied, &proxied->header.ssl.name);
    proxied->header.source_path = bytes_of(NULL, 0);
    proxied->header.destination_path = bytes_of(NULL, 0);
    if (header->family == PP_IP4 || header->family == PP_IP6) {
        conn_set_peer(conn, &header->source, header->source_port);
    } else if (header->family == PP_UNIX) {
        conn_set_peer(conn, NULL, 0);
    }
    return true;
}

/* The header is read: the connection goes on as any other with `rest`, which is behind it. */
static void proxied_go_on(struct proxy *proxy, struct conn *conn, struct bytes rest)
{
    struct bytes copy;

    conn->flags &= ~(uint32_t)CONN_AWAITS_HEADER;
    wheel_cancel(&proxy->wheel, &conn->timer);
    listener_welcome(proxy, conn);
    if (conn->state != CONN_HANDSHAKING) {
        return;
    }
    /* Held bytes are plaintext from now on; a hello may be among what is held. No plaintext can
     * come of it before the client has answered, so nobody else uses proxy.linear. */
    copy = bytes_of(proxy->linear, rest.len);
    if (rest.len > 0) {
        memmove(proxy->linear, rest.ptr, rest.len);
    }
    spill_clear(&conn->in, &proxy->blocks);
    if (copy.len > 0) {
        conn_on_ciphertext(proxy, conn, copy);
    }
}

static size_t proxied_data(struct proxy *proxy, struct conn *conn, struct bytes in)
{
    const struct abi_hops *hops = listener_hops(proxy, listener_of(proxy, conn));
    struct pp_header header;
    int used;

    if (hops == NULL) { /* the listener is gone or takes no headers any more */
        proxied_fail(proxy, conn, ABI_OUTCOME_DRAINED);
        return in.len;
    }
    used = pp_parse(in, hops->proxy_in, &header);
    if (used == 0) {
        return 0;
    }
    if (used < 0) {
        proxied_fail(proxy, conn, ABI_OUTCOME_PROXY_HEADER);
        return in.len;
    }
    if (!proxied_take(proxy, conn, &header)) {
        proxied_fail(proxy, conn, ABI_OUTCOME_OVERLOAD);
        return in.len;
    }
    proxied_go_on(proxy, conn, bytes_from(in, (size_t)used));
    return conn->state == CONN_OPEN ? (size_t)used : in.len;
}

static void proxied_ended(struct proxy *proxy, struct conn *conn)
{
    proxied_fail(proxy, conn, ABI_OUTCOME_CLIENT_GONE);
}

static void proxied_timeout(struct proxy *proxy, struct conn *conn)
{
    proxied_fail(proxy, conn, ABI_OUTCOME_PROXY_HEADER);
}

static void proxied_nothing(struct proxy *proxy, struct conn *conn)
{
    (void)proxy;
    (void)conn;
}

static const struct conn_ops proxied_ops = {
    .opened = proxied_nothing,
    .data = proxied_data,
    .ended = proxied_ended,
    .drained = proxied_nothing,
    .failed = proxied_fail,
    .timeout = proxied_timeout,
};

void conn_await_header(struct proxy *proxy, struct conn *conn, uint32_t timeout_ms)
{
    conn->ops = &proxied_ops;
    conn->flags |= CONN_AWAITS_HEADER;
    conn->state = CONN_OPEN;
    conn_arm_timer(proxy, conn, timeout_ms);
    conn_update_receive(proxy, conn);
}
