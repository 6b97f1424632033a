/* PROXY protocol headers, versions 1 and 2, both directions: who a connection is really from, told
 * by the proxy in front (haproxy's doc/proxy-protocol.txt, revision 2020/03/05 with the TLV types
 * of later ones).
 *
 * Strict: version 1 has exactly one blank between fields, addresses and ports in their one form
 * and ends in CRLF; in version 2 a reserved version, command, family or transport, a TLV beyond
 * the header, a known TLV twice or of impossible length and a wrong CRC32c are refused. Datagrams
 * are refused, since connections are what is accepted here. Nothing behind the header is looked
 * at. */
#ifndef WIRE_PP_H
#define WIRE_PP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "wire/ip.h"

#define PP_MAX_HEADER 4096u /* a longer one of version 2 is refused by its length field */
#define PP_MAX_V1     107u  /* with CRLF; the specification's bound */
#define PP_MAX_NAME   255u  /* authority, ALPN and what is kept of the TLS facts */
#define PP_MAX_ID     128u  /* unique id; the specification's bound */

enum pp_version { /* a set */
                  PP_V1 = 1,
                  PP_V2 = 2,
                  PP_ANY = 3,
};

enum pp_family {
    PP_UNSPEC = 0, /* the proxy cannot say: the connection speaks for itself */
    PP_IP4,
    PP_IP6,
    PP_UNIX, /* version 2 only */
    PP_FAMILY_COUNT
};

enum pp_client {                          /* pp_ssl.client */
                 PP_CLIENT_SSL = 1,       /* the client came over TLS */
                 PP_CLIENT_CERT_CONN = 2, /* with a certificate on this connection */
                 PP_CLIENT_CERT_SESS = 4, /* or when the session that it resumed began */
};

struct pp_ssl {
    uint8_t client;       /* set of enum pp_client */
    uint32_t verify;      /* 0: a certificate was shown and is good */
    struct bytes version; /* "TLSv1.3" */
    struct bytes name;    /* common name of the certificate */
};

struct pp_header {
    uint8_t version; /* PP_V1 or PP_V2 */
    uint8_t family;  /* enum pp_family; PP_UNSPEC: no addresses below */
    bool local;      /* the proxy speaks for itself (a health check); all below is empty */
    bool has_ssl;
    bool checksum; /* write: add a CRC32c; parse: there was one */
    uint16_t source_port;
    uint16_t destination_port;
    struct ip_address source; /* PP_IP4, PP_IP6 */
    struct ip_address destination;
    struct bytes source_path; /* PP_UNIX: without its zeros; may be empty */
    struct bytes destination_path;
    /* version 2 only; empty: not told */
    struct bytes alpn;
    struct bytes authority; /* the host that the client asked for: SNI */
    struct bytes unique_id;
    struct pp_ssl ssl;
};

/* > 0: bytes of the header, *header is set with slices of `in`; 0: a prefix of a header, call again
 * with more; < 0: no header, or none of `versions` (set of enum pp_version):
 *
 *   MESH_E_SYNTAX       bytes that no header has
 *   MESH_E_TOO_LONG     more than PP_MAX_V1 or PP_MAX_HEADER bytes
 *   MESH_E_UNSUPPORTED  datagrams
 *   MESH_E_CHECKSUM     the CRC32c does not match
 */
[[nodiscard]] int pp_parse(struct bytes in, uint8_t versions, struct pp_header *header);

/* Writes a header; its length, 0 when it does not fit into `capacity`. Version 1 says UNKNOWN of
 * what it cannot name. Names longer than PP_MAX_NAME or PP_MAX_ID are left out. */
#define PP_MAX_WRITTEN 1410u
[[nodiscard]] size_t pp_write(const struct pp_header *header, uint8_t *out, size_t capacity);

#endif
