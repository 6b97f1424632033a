/* Times that messages ask for: grpc-timeout of requests, Retry-After of answers. */
#ifndef WIRE_DELAY_H
#define WIRE_DELAY_H

#include <stdint.h>

#include "base/bytes.h"

#define DELAY_MAX_MS 4294967295u /* longer ones are as long as this: 49 days */

/* grpc-timeout: 1 to 8 digits and a unit (H M S m u n). Milliseconds, rounded up; -1: it is none.
 */
int64_t delay_parse_grpc(struct bytes value);

/* Retry-After (RFC 9110 10.2.3): seconds, or an IMF-fixdate as seen from `now_s`, in seconds since
 * 1970. Milliseconds, 0 for what is past; -1: it is none. */
int64_t delay_parse_retry_after(struct bytes value, int64_t now_s);

#endif
