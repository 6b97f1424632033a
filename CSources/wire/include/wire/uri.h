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

/* Writes the normal form of `path` (which begins with `/`) to `out`, never longer than the input:
 * unreserved characters are decoded, other escapes get upper-case digits, dot segments are removed,
 * repeated slashes are merged. > 0: length; *changed tells whether it differs from the input (if
 * not, nothing was written). MESH_E_SYNTAX for what cannot be read in one way: bad escapes, %00 and
 * other encoded controls, encoded `/` or `\`, a raw `\`, `..` above the root, dot segments with
 * parameters
 * (`..;`), overlong UTF-8 forms of `.` and `/`. Non-ASCII and controls in the raw path are the h1
 * parser's to refuse. */
[[nodiscard]] int uri_normal_path(struct bytes path, uint8_t *out, bool *changed);

/* Splits and lowers an authority (`host`, `host:port`, `[v6]:port`): the host without trailing dot
 * in `out` (URI_MAX_HOST bytes), the port or 0. > 0: length of the host; MESH_E_SYNTAX,
 * MESH_E_TOO_LONG. */
[[nodiscard]] int uri_normal_host(struct bytes authority, uint8_t *out, uint16_t *port);

#endif
