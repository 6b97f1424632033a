/* Which certificates a TLS server shows to a client that asks for a name. */
#ifndef TABLE_CERTIFICATE_H
#define TABLE_CERTIFICATE_H

#include "table/view.h"

/* The slot of the exact name, else that of `*.suffix` one label above it (RFC 6125 6.4.3), else
 * NULL. `name` is in lower case without a final dot. Two probes of a hash table, whatever the
 * number of names. */
const struct abi_server_name *certificate_find(const struct view *view, const struct abi_tls *tls,
                                               struct bytes name);

/* Whether clients that ask for either of two names are shown the same certificates. */
bool certificate_is_shared(const struct view *view, const struct abi_tls *tls, struct bytes a,
                           struct bytes b);

#endif
