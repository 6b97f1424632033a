/* Field names that a proxy has to know, as small numbers: compared once when a head is parsed. */
#ifndef WIRE_HDR_H
#define WIRE_HDR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum hdr_id {
    HDR_OTHER = 0, /* any name that is not below */
    HDR_HOST,
    HDR_CONNECTION,
    HDR_CONTENT_LENGTH,
    HDR_TRANSFER_ENCODING,
    HDR_TE,
    HDR_TRAILER,
    HDR_UPGRADE,
    HDR_KEEP_ALIVE,
    HDR_PROXY_CONNECTION,
    HDR_PROXY_AUTHENTICATE,
    HDR_PROXY_AUTHORIZATION,
    HDR_EXPECT,
    HDR_VIA,
    HDR_FORWARDED,
    HDR_X_FORWARDED_FOR,
    HDR_X_FORWARDED_PROTO,
    HDR_X_FORWARDED_HOST,
    HDR_X_FORWARDED_PORT,
    HDR_X_REAL_IP,
    HDR_HTTP2_SETTINGS,
    HDR_DATE,
    HDR_SERVER,
    HDR_CONTENT_TYPE,
    HDR_CONTENT_ENCODING,
    HDR_LOCATION,
    HDR_COOKIE,
    HDR_AUTHORIZATION,
    HDR_TRACEPARENT,
    HDR_TRACESTATE,
    HDR_SEC_WEBSOCKET_KEY,
    HDR_COUNT
};

/* The number of a field name in any case. */
enum hdr_id hdr_find(struct bytes name);

/* Hop-by-hop by RFC 9110 7.6.1 whatever Connection says: never forwarded as they stand. */
bool hdr_is_hop_by_hop(enum hdr_id id);

/* Names that Connection must not remove though a client nominates them: the proxy's own and those
 * that frame or route the message. */
bool hdr_is_protected(enum hdr_id id);

/* Names that RFC 9110 6.5.1 forbids in a trailer section (framing, routing, authentication, content
 * format, and the proxy's own fields). */
bool hdr_is_forbidden_trailer(enum hdr_id id, struct bytes name);

/* `x_forwarded_for` and the like: a name that only differs from one above by `_` or `.` for `-`.
 * Such a field is dropped, since applications that fold names would read it as the real one. */
bool hdr_is_alias(struct bytes name);

/* Walks a comma-separated list of tokens (RFC 9110 5.6.1; a comma in a quoted string would divide
 * it): the next element without surrounding blanks, empty elements skipped. *rest is the unread
 * part. false at the end. */
bool hdr_next_element(struct bytes *rest, struct bytes *element);

#endif
