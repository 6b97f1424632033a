/* What the files of a connection share among themselves. */
#ifndef PROXY_CONN_PARTS_H
#define PROXY_CONN_PARTS_H

#include "conn.h"

/* The user hears of the failure later in this turn. */
void conn_fail(struct proxy *proxy, struct conn *conn);
/* Ends its TLS session, which says no more. */
void conn_drop_tls(struct proxy *proxy, struct conn *conn);
/* To be visited by conn_run_ready() in this turn. */
void conn_make_ready(struct proxy *proxy, struct conn *conn);
void conn_cancel_receive(struct proxy *proxy, struct conn *conn);
/* Plaintext for the user; what it leaves is held. */
void conn_deliver(struct proxy *proxy, struct conn *conn, struct bytes in);
/* The peer's end of stream has come: it is told behind what is held. */
void conn_note_end(struct proxy *proxy, struct conn *conn);
/* Gives the user what is held. */
void conn_deliver_held(struct proxy *proxy, struct conn *conn);
/* Tells the end of stream, once, after all input before it was offered. */
void conn_tell_end(struct proxy *proxy, struct conn *conn);
/* Ciphertext from the peer. */
void conn_on_ciphertext(struct proxy *proxy, struct conn *conn, struct bytes in);
/* What waits for conn_part() goes now. */
void conn_settle(struct proxy *proxy, struct conn *conn);
/* Sends what the TLS session wants to say. */
void conn_send_tls(struct proxy *proxy, struct conn *conn);

#endif
