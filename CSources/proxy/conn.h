/* One connection, downstream or upstream: a socket, an optional TLS session, output that the socket
 * did not take, input that its user did not take.
 *
 * Users see plaintext only, through struct conn_ops. A callback may close any connection, its own
 * included: a closed connection stays readable memory (state CONN_CLOSED) until the end of the
 * turn. */
#ifndef PROXY_CONN_H
#define PROXY_CONN_H

#include "state.h"

enum conn_state {
    CONN_NONE = 0,    /* not in use */
    CONN_CONNECTING,  /* awaiting the result of connect */
    CONN_HANDSHAKING, /* awaiting the end of the TLS handshake */
    CONN_OPEN,        /* bytes flow */
    CONN_LINGERING,   /* our side is shut; awaiting the peer's end, its bytes are discarded */
    CONN_CLOSED,      /* descriptor gone; memory until the end of the turn */
    CONN_STATE_COUNT
};

enum conn_flag {
    CONN_UPSTREAM = 1,        /* we connected; otherwise we accepted */
    CONN_ARMED = 2,           /* a receive is pending in the ring */
    CONN_MULTISHOT = 4,       /* the pending receive is multishot */
    CONN_CANCELLING = 8,      /* it was told to end */
    CONN_PAUSED = 16,         /* the user does not want input now */
    CONN_LARGE = 32,          /* receives from the large group */
    CONN_WRITABLE_ARMED = 64, /* awaiting POLLOUT */
    CONN_ENDED = 128,         /* the peer's end of stream was seen */
    CONN_END_TOLD = 256,      /* ... and handed to the user */
    CONN_SHUT = 512,          /* our end of stream is wanted after the output is sent */
    CONN_SHUT_SENT = 1024,    /* ... and was sent */
    CONN_FINISHING = 2048,    /* close when the output is sent */
    CONN_BROKEN = 4096,       /* failed; the user hears of it in this turn */
    CONN_READY = 8192,        /* in proxy.ready */
    CONN_IDLE = 16384,        /* in the upstream pool */
    CONN_SPLICING = 32768,    /* a bulk transfer owns the receiving side */
    CONN_TOLD_FULL = 65536,   /* conn_is_full() was true: `drained` is owed */
    CONN_ALLOWED = 131072,    /* intentions let this peer in (as of `epoch`) */
    CONN_LONG = 262144,       /* brings long messages: receives one by one, to be spliced between */
    CONN_AWAITS_HEADER = 524288, /* its PROXY header is not complete */
    CONN_STREAM = 1048576,       /* of HTTP/2: it has no socket */
    CONN_JOINED = 2097152,       /* some of its output waits in proxy.joined */
};

struct conn;

struct conn_ops {
    /* Connected, before a TLS handshake begins: the moment of conn_preface(). May be NULL. */
    void (*connected)(struct proxy *proxy, struct conn *conn);
    /* Connected and, with TLS, verified. */
    void (*opened)(struct proxy *proxy, struct conn *conn);
    /* Input; returns how much was used. The rest is held and offered again, with more behind it,
     * after the next input or conn_offer(). */
    size_t (*data)(struct proxy *proxy, struct conn *conn, struct bytes in);
    /* The peer's end of stream, after all input was offered: what the user left of it is all that
     * will ever come. */
    void (*ended)(struct proxy *proxy, struct conn *conn);
    /* Output fell below LIMIT_SPILL_LOW after conn_is_full() had been true. */
    void (*drained)(struct proxy *proxy, struct conn *conn);
    /* Broken: refused, reset, handshake failure, output error. The user closes it. */
    void (*failed)(struct proxy *proxy, struct conn *conn, enum abi_outcome outcome);
    /* The connection's timer fired. */
    void (*timeout)(struct proxy *proxy, struct conn *conn);
    /* This process drains (proxy.draining, proxy.retiring): the protocol tells its peer, if it has
     * a way to. May be NULL. */
    void (*drain)(struct proxy *proxy, struct conn *conn);
};

struct mux;     /* l7h2.h: an HTTP/2 connection ... */
struct stream;  /* ... and a stream of one */
struct proxied; /* conn_proxied.c: what a PROXY header told */

struct conn {
    struct list_link turn;  /* proxy.ready, proxy.dead or proxy.starved */
    struct list_link group; /* listener.conns, or a bucket of the upstream pool */
    struct wheel_timer timer;
    const struct conn_ops *ops;
    void *user;              /* struct request of the moment, or NULL */
    struct bulk *bulk_from;  /* splice that reads from here, or NULL */
    struct bulk *bulk_to;    /* splice that writes to here, or NULL */
    struct tls_session *tls; /* a stream's is its connection's */
    struct stream *stream;   /* with CONN_STREAM: it is one; else NULL */
    struct mux *mux;         /* it carries streams, or NULL */
    struct spill out;
    struct spill in;
    struct list_link kept;   /* downstream: idle upstream connections whose PROXY header names it */
    struct proxied *proxied; /* downstream, or NULL */
    int fd;
    uint32_t flags;         /* enum conn_flag */
    uint8_t state;          /* enum conn_state */
    uint8_t full_receives;  /* in a row */
    uint8_t small_receives; /* in a row, from the large group */
    uint8_t stage;          /* the user's own state */
    uint32_t listener;      /* slot; downstream */
    uint32_t epoch;         /* listener epoch that its permission was decided in */
    uint32_t policy_target; /* downstream, mesh outbound L4: stats slot of the target it uses */
    uint32_t overlay_slot;  /* upstream: of its endpoint */
    uint32_t
        held; /* upstream: 1 + statistics slot of the target whose bound it counts for; 0: none */
    uint64_t pool_key;                     /* upstream */
    struct abi_target_stats *target_stats; /* upstream */
    uint64_t since_ms;                     /* when the present wait began: see the user's timeout */
    uint64_t moved_ms;                     /* last byte in or out */
    uint64_t sent_ms;                      /* last byte out, or when output began to wait */
    uint64_t parked_ms; /* when its request began to wait for a verdict about a token; 0: no */
    uint32_t seen;      /* bytes of an incomplete head already looked at */
    uint32_t requests;  /* answered on this connection */
    struct ip_address peer_ip; /* these five: see conn_peer() */
    uint16_t peer_port;
    bool peer_is_ip;
    uint8_t tells_peer;  /* upstream: version of the PROXY header it begins with; 0: none */
    uint8_t peer_length; /* of `peer`; 0: not asked for yet */
    char
        peer[IP_TEXT_MAX]; /* peer's IP address as text, "unix" for a unix socket; not terminated */
    uint32_t handshake_us; /* downstream with TLS: how long it took; before: when it began */
    /* lifetime.c; bytes do not touch these. */
    uint32_t life_ms; /* as long as it may last; 0: nothing bounds it, `life` is not even made */
    uint64_t made_ms;
    struct wheel_timer life;
};

/* NULL when the pool is empty. The descriptor is the connection's. */
struct conn *conn_create(struct proxy *proxy, int fd, const struct conn_ops *ops);

/* After creation: accepted (with `tls` NULL or a fresh server session) ... */
void conn_accepted(struct proxy *proxy, struct conn *conn, struct tls_session *tls);
/* ... or to be connected. */
void conn_connect(struct proxy *proxy, struct conn *conn, const struct sockaddr_storage *address,
                  socklen_t length, struct tls_session *tls);

/* Sends or stores all parts. A failure is told by `failed` later in the turn. */
void conn_write(struct proxy *proxy, struct conn *conn, const struct bytes *parts, uint32_t count);

/* Between these two small writes to upstreams are put together and leave one right after the other:
 * so they cost both sides less, the kernel being warm and the receiver awake from the first on. */
void conn_join(struct proxy *proxy);
void conn_part(struct proxy *proxy);

/* The user should bring no more output until `drained`. */
bool conn_is_full(struct conn *conn);

/* Input stops being offered, soon also being read. */
void conn_pause(struct conn *conn);
/* Input is wanted again; what is held is offered later in this turn. */
void conn_offer(struct proxy *proxy, struct conn *conn);

/* Our end of stream, after the output is sent. */
void conn_shut(struct proxy *proxy, struct conn *conn);
/* Closes after the output is sent; lingers for the peer's end so that it can read our last bytes.
 */
void conn_finish(struct proxy *proxy, struct conn *conn);
/* Closes at once. `reset` discards what the kernel still holds and sends RST. */
void conn_close(struct proxy *proxy, struct conn *conn, bool reset);

/* Who is at the other end of a descriptor. */
struct conn_address {
    char text[46]; /* IP address or "unix"; not terminated */
    uint8_t length;
    uint16_t port;
};
void conn_address(struct proxy *proxy, int fd, struct conn_address *out);
/* Who the connection is from: the other end of the socket, asked once, or whom its PROXY header
 * named. An IPv4 client of an IPv6 socket is an IPv4 address. */
void conn_peer(struct proxy *proxy, struct conn *conn);
/* false: neither IPv4 nor IPv6. */
bool conn_ip_of(const struct sockaddr_storage *address, struct ip_address *ip, uint16_t *port);
/* NULL: no IP address. */
void conn_set_peer(struct conn *conn, const struct ip_address *ip, uint16_t port);

/* Bytes for the socket as they are, before the handshake and whatever the user writes. */
void conn_preface(struct proxy *proxy, struct conn *conn, struct bytes bytes);

/* --- conn_proxied.c --- */

/* After creation, in place of conn_accepted(): reads a PROXY header first, then goes on as
 * listener_welcome() says. */
void conn_await_header(struct proxy *proxy, struct conn *conn, uint32_t timeout_ms);
/* What it said, or NULL. */
struct pp_header;
const struct pp_header *conn_proxied(const struct conn *conn);
size_t conn_proxied_size(void);

void conn_arm_timer(struct proxy *proxy, struct conn *conn, uint64_t delay_ms);

/* Ring events. */
void conn_on_receive(struct proxy *proxy, struct conn *conn, const struct ring_event *event);
void conn_on_connect(struct proxy *proxy, struct conn *conn, int32_t result);
void conn_on_writable(struct proxy *proxy, struct conn *conn);
void conn_on_timer(struct proxy *proxy, struct conn *conn);

/* End of turn: deliver held input, report failures; then give closed ones back. */
void conn_run_ready(struct proxy *proxy);
void conn_bury(struct proxy *proxy);
/* Buffers came back: arms the receives that found none. */
void conn_feed_starved(struct proxy *proxy);

/* Long messages come from here: from now on one receive at a time, so that what follows the first
 * can be spliced. True when none is pending even now. */
bool conn_expect_long(struct proxy *proxy, struct conn *conn);
/* Takes the receiving side from the ring for splice; true when no receive is pending any more. */
bool conn_stop_receiving(struct proxy *proxy, struct conn *conn);
void conn_update_receive(struct proxy *proxy, struct conn *conn);

/* --- bulk.c: splice between two plaintext connections --- */

struct bulk_user {
    /* How much may still be moved, asked when the transfer begins: 0 = nothing, UINT64_MAX = to the
     * end of stream. */
    uint64_t (*remaining)(struct proxy *proxy, struct conn *from);
    void (*moved)(struct proxy *proxy, struct conn *from, uint64_t count);
    /* Over: all was moved, the source ended, pieces became small (reading goes on by receives), or
     * one side failed. */
    void (*done)(struct proxy *proxy, struct conn *from, bool source_ended, bool failed);
};

/* Takes over what flows from one connection to the other as soon as its pending receive has ended
 * and the stored output is sent; until then data takes the usual way. false when it cannot (TLS, no
 * pipe). */
bool bulk_start(struct proxy *proxy, struct conn *from, struct conn *to,
                const struct bulk_user *user);
void bulk_run(struct proxy *proxy, struct bulk *bulk);
void bulk_on_readable(struct proxy *proxy, struct conn *from);
/* One of its connections is being closed. */
void bulk_drop(struct proxy *proxy, struct bulk *bulk);
size_t bulk_size(void);

/* Output waits for the peer to read. */
static inline bool conn_is_stuck(const struct conn *conn)
{
    return conn->out.length > 0 ||
           (conn->bulk_to != NULL && (conn->flags & CONN_WRITABLE_ARMED) != 0);
}

static inline bool conn_is_open(const struct conn *conn)
{
    return conn->state == CONN_OPEN;
}

static inline bool conn_has(const struct conn *conn, uint32_t flag)
{
    return (conn->flags & flag) != 0;
}

static inline uint64_t conn_token(struct proxy *proxy, struct conn *conn, enum proxy_kind kind)
{
    return ring_token((uint8_t)kind, pool_slot(&proxy->conns, conn),
                      pool_generation(&proxy->conns, conn));
}

#endif
