/* HTTP/2 on connections of clients (l7h2.c) and to endpoints (l7h2up.c); private to the room. */
#ifndef PROXY_L7H2_H
#define PROXY_L7H2_H

#include "mux.h"

/* The connection speaks HTTP/2 from its first byte on. */
void l7h2_start(struct proxy *proxy, struct conn *conn);
/* Whether `in` is the beginning of HTTP/2 without TLS, as far as it goes. */
bool l7h2_is_preface(struct bytes in);
#define L7H2_PREFACE_SIZE 24u

/* No more streams; those that are open are served. */
void l7h2_leave(struct proxy *proxy, struct conn *conn);
/* ... and those that are on their way are not taken either. */
void l7h2_leave_now(struct proxy *proxy, struct conn *conn);
/* --- l7h2up.c --- */

/* A stream on a connection with this key that is open or being opened, or NULL. */
struct conn *l7h2up_take(struct proxy *proxy, uint64_t key, const struct conn_ops *ops);
/* It takes no more streams, and is closed when those it carries have ended. */
void l7h2up_leave(struct proxy *proxy, struct mux *mux);
/* A connection with this key that carries nothing at the moment, or NULL. */
struct conn *l7h2up_find_idle(struct proxy *proxy, uint64_t key);
/* A new connection, which is being opened, and the first stream on it; NULL: memory is out, and the
 * connection is closed. */
struct conn *l7h2up_start(struct proxy *proxy, struct conn *conn, const struct conn_ops *ops);

#endif
