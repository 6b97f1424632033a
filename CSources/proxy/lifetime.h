/* How long connections may last. A connection whose time is over ends as gently as its protocol
 * lets it: with HTTP what is under way is answered, streams of bytes are cut. Private to the room.
 */
#ifndef PROXY_LIFETIME_H
#define PROXY_LIFETIME_H

#include "request.h"

/* It ends at a moment of the last tenth of `lifetime_ms`, which is not 0: connections that were
 * made together do not end together. */
void lifetime_begin(struct proxy *proxy, struct conn *conn, uint32_t lifetime_ms);
/* As above, for a connection that is there already, if that is not what holds for it; 0: nothing
 * bounds it any more. Those that are older go within a tenth of the time. */
void lifetime_follow(struct proxy *proxy, struct conn *conn, uint32_t lifetime_ms);
/* A connection that is made for this request lasts as long as its client's listener says. One for a
 * stream of bytes ends with the client's. */
void lifetime_inherit(struct proxy *proxy, struct conn *up, const struct request *request);
void lifetime_on_timer(struct proxy *proxy, struct conn *conn);

#endif
