/* A second reader of HTTP/1 heads for differential tests: slow, line by line, on copies, sharing no
 * code with the one of the room. It reads complete heads only. */
#ifndef H1_REFERENCE_H
#define H1_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define REFERENCE_FIELDS 100

struct reference_field {
    struct bytes name;
    struct bytes value;
    bool canonical;
    bool nominated;
    bool alias;
};

struct reference_head {
    struct bytes method;
    struct bytes target;
    struct bytes authority;
    struct bytes path;
    struct bytes query;
    bool has_query;
    int form;
    int status;
    struct bytes reason;
    int minor;
    int framing;
    int flags;
    uint64_t content_length;
    size_t length;
    size_t field_count;
    struct reference_field fields[REFERENCE_FIELDS];
};

enum reference_verdict {
    REFERENCE_INCOMPLETE = 0, /* no empty line yet: nothing is said about the rest */
    REFERENCE_ACCEPTED,
    REFERENCE_REFUSED,
};

enum reference_verdict reference_request(struct bytes in, struct reference_head *head);
enum reference_verdict reference_response(struct bytes in, struct bytes request_method,
                                          struct reference_head *head);

/* `host`, `host:port` or `[v6]:port`. */
bool reference_is_authority(struct bytes in, bool port_required);

/* Whether the two readers agree about `in`; else what they differ in, in `why`. */
bool reference_agrees_on_request(struct bytes in, const char **why);
bool reference_agrees_on_response(struct bytes in, struct bytes request_method, const char **why);

#endif
