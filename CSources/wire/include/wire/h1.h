/* HTTP/1.1 message heads (RFC 9112), strict: bytes in, struct out; nothing is copied.
 *
 * Refused: bare CR or LF as line end, whitespace before a colon, folded lines, NUL and other
 * controls in values, empty or non-token names, several or malformed Content-Length, Content-Length
 * beside Transfer-Encoding, any coding but a final `chunked`, more than one Host or none on
 * HTTP/1.1, targets with fragments, controls or blanks, versions other than 1.0 and 1.1. One
 * leading CRLF before a request is skipped (RFC 9112 2.2).
 *
 * Positions are offsets from the first byte given to the parser, so a head stays valid when its
 * bytes move. */
#ifndef WIRE_H1_H
#define WIRE_H1_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "wire/hdr.h"

#define H1_MAX_FIELDS    100u
#define H1_MAX_HEAD      16384u /* request or status line and fields, with their line ends */
#define H1_MAX_TARGET    8192u
#define H1_MAX_NOMINATED 64u /* connection options besides close, keep-alive and upgrade */

enum h1_method {
    H1_METHOD_OTHER = 0, /* a token that is not below */
    H1_METHOD_GET,
    H1_METHOD_HEAD,
    H1_METHOD_POST,
    H1_METHOD_PUT,
    H1_METHOD_DELETE,
    H1_METHOD_CONNECT,
    H1_METHOD_OPTIONS,
    H1_METHOD_TRACE,
    H1_METHOD_PATCH,
    H1_METHOD_COUNT
};

enum h1_form {
    H1_FORM_ORIGIN = 0, /* /path?query */
    H1_FORM_ABSOLUTE,   /* http://host/path?query */
    H1_FORM_AUTHORITY,  /* host:port, CONNECT only */
    H1_FORM_ASTERISK,   /* *, OPTIONS only */
};

enum h1_framing {
    H1_FRAMING_NONE = 0,    /* no body */
    H1_FRAMING_LENGTH,      /* content_length bytes */
    H1_FRAMING_CHUNKED,     /* chunked, then trailers */
    H1_FRAMING_UNTIL_CLOSE, /* responses only: until the connection ends */
    H1_FRAMING_TUNNEL,      /* 2xx to CONNECT, 101: no longer HTTP */
};

struct h1_part { /* a range of the head */
    uint32_t at;
    uint32_t len;
};

enum h1_field_flag {
    H1_FIELD_CANONICAL = 1, /* the line is exactly `name: value CRLF` */
    H1_FIELD_NOMINATED = 2, /* named by Connection and not protected: goes no further */
    H1_FIELD_ALIAS = 4,     /* hdr_is_alias(name): goes no further */
};

struct h1_field {
    uint32_t name_at;
    uint32_t value_at;
    uint32_t value_len;
    uint16_t name_len;
    uint8_t id;    /* enum hdr_id */
    uint8_t flags; /* enum h1_field_flag */
};

enum h1_flag {
    H1_KEEP_ALIVE = 1,         /* the sender allows another message on this connection */
    H1_EXPECT_CONTINUE = 2,    /* Expect: 100-continue */
    H1_UPGRADE = 4,            /* Connection: upgrade with an Upgrade field */
    H1_TE_TRAILERS = 8,        /* TE: trailers */
    H1_UPGRADE_WEBSOCKET = 16, /* the Upgrade field is exactly `websocket` */
    H1_EXPECT_UNKNOWN = 32,    /* with MESH_E_UNSUPPORTED: Expect asks for something else (417) */
};

struct h1_head {
    /* requests */
    uint8_t method; /* enum h1_method */
    uint8_t form;   /* enum h1_form */
    struct h1_part method_name;
    struct h1_part target;    /* as sent */
    struct h1_part authority; /* of the target or else of Host; may be empty on HTTP/1.0 */
    struct h1_part
        path; /* without query; empty for absolute-form without path, authority, asterisk */
    struct h1_part query; /* without its `?`; see has_query */
    bool has_query;
    /* responses */
    uint16_t status;
    struct h1_part reason;
    /* both */
    uint8_t minor;   /* HTTP/1.minor */
    uint8_t framing; /* enum h1_framing */
    uint8_t flags;   /* enum h1_flag */
    uint64_t content_length;
    uint32_t length;    /* bytes of the head, including the empty line and any skipped CRLF */
    uint32_t fields_at; /* start of the first field line; 0 while the line before is incomplete */
    uint32_t field_count;
    uint32_t ids; /* bit i: a field with enum hdr_id i is there */
    struct h1_field fields[H1_MAX_FIELDS];
};

/* > 0: bytes of the head, *head is set; 0: valid so far, call again with more (at least one byte
 * more than before; the parser starts over, see h1_may_progress); < 0: the message is refused and
 * the connection can carry no other one:
 *
 *   MESH_E_SYNTAX       no HTTP/1 head, or one that could be read in two ways
 *   MESH_E_TOO_LONG     the target (then head->fields_at is 0) or the head
 *   MESH_E_TOO_MANY     fields, or connection options
 *   MESH_E_VERSION      HTTP, but neither 1.0 nor 1.1
 *   MESH_E_FRAMING      the length of the body is missing, contradictory or unreadable
 *   MESH_E_UNSUPPORTED  a transfer coding besides chunked; or, with H1_EXPECT_UNKNOWN in
 *                       head->flags, an expectation other than 100-continue
 */
[[nodiscard]] int h1_parse_request(struct bytes in, struct h1_head *head);

/* As above for a response. `request_method` decides about its body (RFC 9112 6.3): HEAD has none,
 * 2xx to CONNECT starts a tunnel. 1xx, 204 and 304 have none; 101 starts a tunnel. A status line
 * without reason may lack the blank before it, as some servers send it. */
[[nodiscard]] int h1_parse_response(struct bytes in, enum h1_method request_method,
                                    struct h1_head *head);

/* Whether `in` has a line end, or a CR that is none, which its first `seen` bytes had not: a sender
 * that drips its bytes then costs one pass per line, not one per byte, and hears of other faults of
 * a line with the line's end. */
bool h1_may_progress(struct bytes in, size_t seen);

/* The status to refuse a request with: 400, 414, 417, 431, 501 or 505. `err` and `head` are what
 * h1_parse_request returned. */
uint16_t h1_refusal_status(int err, const struct h1_head *head);

/* The slice of a part, given the bytes the head was parsed from. */
static inline struct bytes h1_slice(const uint8_t *start, struct h1_part part)
{
    return bytes_of(start + part.at, part.len);
}

static inline struct bytes h1_name(const uint8_t *start, const struct h1_field *field)
{
    return bytes_of(start + field->name_at, field->name_len);
}

static inline struct bytes h1_value(const uint8_t *start, const struct h1_field *field)
{
    return bytes_of(start + field->value_at, field->value_len);
}

/* First field with this id, or NULL. */
const struct h1_field *h1_find(const struct h1_head *head, enum hdr_id id);

enum h1_method h1_method_of(struct bytes name);

/* "OK" for 200; "" for a status without a registered phrase. Static storage. */
const char *h1_reason(uint16_t status);

/* RFC 9110 9.2.2: may be sent again after a failure. */
bool h1_is_idempotent(enum h1_method method);

#endif
