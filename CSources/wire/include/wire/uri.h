/* One normal form of a request's path and host: routes are matched, permissions are checked and the
 * request is forwarded with the same bytes, so that two readers cannot disagree (RFC 3986 6.2.2).
 */
#ifndef WIRE_URI_H
#define WIRE_URI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define URI_MAX_HOST 255u

/* Writes the normal form of `path` (which begins with `/`) to `out`, which has room for path.len
 * bytes and does not overlap it: unreserved characters are decoded, other escapes get upper-case
 * digits, repeated slashes are merged, dot segments are removed. > 0: length; *changed tells
 * whether it differs from the input; if not, use the input: `out` need not be filled.
 *
 * MESH_E_SYNTAX for what cannot be read in one way: bad escapes, %00 and other encoded controls,
 * encoded `/` or `\`, a raw `\`, `..` above the root, dot segments with parameters (`..;`),
 * overlong UTF-8 forms of ASCII characters; and for what is no path: blanks, controls, non-ASCII,
 * `?`, `#`. */
[[nodiscard]] int uri_normal_path(struct bytes path, uint8_t *out, bool *changed);

/* Whether some reader takes this segment of a normal path for `.` or `..`: it is one, or one with a
 * parameter behind it. */
bool uri_is_dot_segment(struct bytes segment);

/* Divides an authority: `host`, `host:port`, `[v6]:port`. *host is the part of it without a
 * trailing dot, an IPv6 address with its brackets; *port is 0 when there is none. A host has
 * letters, digits, `-`, `_` and single dots between them; no userinfo, escape or zone. MESH_OK,
 * MESH_E_SYNTAX, MESH_E_TOO_LONG (host). */
[[nodiscard]] int uri_split_authority(struct bytes authority, struct bytes *host, uint16_t *port);

/* As uri_split_authority, and writes the host in its one form to `out` (URI_MAX_HOST bytes): names
 * in lower case, IPv6 addresses as RFC 5952 in brackets. > 0: length of the host. */
[[nodiscard]] int uri_normal_host(struct bytes authority, uint8_t *out, uint16_t *port);

#endif
