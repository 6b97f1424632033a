/* Finding the end of a lexical element, 16 bytes at a time where the machine can. Private to the
 * room. Each function looks at [at, end) and returns the first byte outside its class, or `end`;
 * `floor` is the start of the whole input (floor <= at), so that the last bytes can be read by one
 * load that reaches back instead of one that reads too far.
 *
 *   scan_token   tchar (RFC 9110 5.6.2)
 *   scan_value   HTAB, SP, VCHAR, obs-text: what a field value may hold
 *   scan_path    0x21 to 0x7e without `?` and `#`
 *   scan_query   0x21 to 0x7e without `#`
 *   scan_segment 0x21 to 0x7e without `?`, `#`, `/`, `%`, `\`
 *   scan_host    letters, digits, `-`, `.`, `_` */
#ifndef WIRE_SCAN_H
#define WIRE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scan_plain.h"

#if defined(__SSSE3__)
#include "scan_sse.h"
#define scan_token   scan_sse_token
#define scan_value   scan_sse_value
#define scan_path    scan_sse_path
#define scan_query   scan_sse_query
#define scan_segment scan_sse_segment
#define scan_host    scan_sse_host
#else
#define scan_token   scan_plain_token
#define scan_value   scan_plain_value
#define scan_path    scan_plain_path
#define scan_query   scan_plain_query
#define scan_segment scan_plain_segment
#define scan_host    scan_plain_host
#endif

#endif
