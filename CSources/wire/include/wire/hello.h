/* The ClientHello of TLS 1.0 to 1.3, as far as somebody needs it who does not terminate the
 * connection: the server name that is asked for (RFC 6066 3). A name has one spelling: lower case,
 * no final dot.
 *
 * The message may be spread over records at any byte (RFC 8446 5.1). Refused are records of other
 * types, empty records, more than HELLO_MAX_RECORDS of them, messages longer than
 * HELLO_MAX_MESSAGE, lengths that do not add up, a server_name extension that is there twice, that
 * holds anything but one host name, or whose name no DNS name can be. */
#ifndef WIRE_HELLO_H
#define WIRE_HELLO_H

#include <stdint.h>

#include "base/bytes.h"

#define HELLO_MAX_MESSAGE 16384u /* with post-quantum keys a hello has two thousand bytes */
#define HELLO_MAX_RECORDS 32u
#define HELLO_MAX_INPUT   (HELLO_MAX_MESSAGE + 4u + HELLO_MAX_RECORDS * 5u)
#define HELLO_MAX_NAME    253u /* RFC 1035 2.3.4, as text */
#define HELLO_ALERT_SIZE  7u
#define HELLO_FIRST_BYTE  22u /* of every record that a hello is in */

struct hello {
    uint8_t name_len; /* 0: the client names no server */
    uint8_t name[HELLO_MAX_NAME];
};

/* > 0: bytes of the records that the message is in, *hello is set; 0: valid prefix, call again with
 * more; MESH_E_SYNTAX, MESH_E_TOO_LONG or MESH_E_TOO_MANY. A refusal is final. */
[[nodiscard]] int hello_parse(struct bytes in, struct hello *hello);

/* The host name in a server_name extension into `out`; its length or MESH_E_SYNTAX. */
[[nodiscard]] int hello_server_name(struct bytes extension, uint8_t out[static HELLO_MAX_NAME]);

/* A host name in its one spelling into `out`; its length or MESH_E_SYNTAX. */
[[nodiscard]] int hello_host(struct bytes in, uint8_t out[static HELLO_MAX_NAME]);

enum hello_alert : uint8_t { /* RFC 8446 6 */
                             HELLO_ALERT_HANDSHAKE_FAILURE = 40,
                             HELLO_ALERT_DECODE_ERROR = 50,
                             HELLO_ALERT_INTERNAL_ERROR = 80,
                             HELLO_ALERT_UNRECOGNIZED_NAME = 112,
};

/* A fatal alert in a record, as the only answer to a hello. */
void hello_write_alert(enum hello_alert alert, uint8_t out[static HELLO_ALERT_SIZE]);

#endif
