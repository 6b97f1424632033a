/* What the head parser of the room made of an input, beside what the reference reader did. */
#include <string.h>

#include "h1_reference.h"
#include "wire/h1.h"

static bool fields_agree(struct bytes in, const struct h1_head *head,
                         const struct reference_head *expected, const char **why)
{
    *why = "field count";
    if (head->field_count != expected->field_count) {
        return false;
    }
    *why = "fields";
    for (size_t i = 0; i < expected->field_count; i++) {
        const struct h1_field *field = &head->fields[i];
        const struct reference_field *other = &expected->fields[i];
        int flags = (other->canonical ? H1_FIELD_CANONICAL : 0) |
                    (other->nominated ? H1_FIELD_NOMINATED : 0) |
                    (other->alias ? H1_FIELD_ALIAS : 0);

        if (!bytes_equal(h1_name(in.ptr, field), other->name) ||
            !bytes_equal(h1_value(in.ptr, field), other->value) || field->flags != flags ||
            field->id != hdr_find(other->name) ||
            (head->ids & 1u << field->id) == (field->id == HDR_OTHER)) {
            return false;
        }
    }
    return true;
}

static bool heads_agree(struct bytes in, const struct h1_head *head,
                        const struct reference_head *expected, const char **why)
{
    if (!fields_agree(in, head, expected, why)) {
        return false;
    }
    *why = "version, framing, flags or length";
    if (head->minor != expected->minor || head->framing != expected->framing ||
        head->flags != expected->flags || head->length != expected->length ||
        head->content_length != expected->content_length) {
        return false;
    }
    *why = "method, target or its parts";
    if (head->form != expected->form || head->has_query != expected->has_query ||
        !bytes_equal(h1_slice(in.ptr, head->method_name), expected->method) ||
        !bytes_equal(h1_slice(in.ptr, head->target), expected->target) ||
        !bytes_equal(h1_slice(in.ptr, head->authority), expected->authority) ||
        !bytes_equal(h1_slice(in.ptr, head->path), expected->path) ||
        !bytes_equal(h1_slice(in.ptr, head->query), expected->query)) {
        return false;
    }
    *why = "status or reason";
    return head->status == expected->status &&
           bytes_equal(h1_slice(in.ptr, head->reason), expected->reason);
}

/* The verdicts: an incomplete head is refused or waited for, never accepted. */
static bool verdicts_agree(struct bytes in, int result, enum reference_verdict verdict,
                           const char **why)
{
    switch (verdict) {
    case REFERENCE_INCOMPLETE:
        *why = "an incomplete head was accepted, or waited for beyond the limit";
        return result < 0 || (result == 0 && in.len < H1_MAX_HEAD);
    case REFERENCE_REFUSED:
        *why = "a bad head was not refused";
        return result < 0;
    case REFERENCE_ACCEPTED:
        *why = "a good head was not accepted";
        return result > 0;
    }
    return false;
}

bool reference_agrees_on_request(struct bytes in, const char **why)
{
    struct reference_head expected;
    struct h1_head head;
    enum reference_verdict verdict = reference_request(in, &expected);
    int result;

    memset(&head, 0x5a, sizeof(head)); /* nothing left in it may matter */
    result = h1_parse_request(in, &head);
    if (!verdicts_agree(in, result, verdict, why)) {
        return false;
    }
    if (result <= 0) {
        return true;
    }
    *why = "method";
    if (head.method != h1_method_of(expected.method) || (uint32_t)result != head.length) {
        return false;
    }
    return heads_agree(in, &head, &expected, why);
}

bool reference_agrees_on_response(struct bytes in, struct bytes request_method, const char **why)
{
    struct reference_head expected;
    struct h1_head head;
    enum reference_verdict verdict = reference_response(in, request_method, &expected);
    int result;

    memset(&head, 0x5a, sizeof(head));
    result = h1_parse_response(in, h1_method_of(request_method), &head);
    if (!verdicts_agree(in, result, verdict, why)) {
        return false;
    }
    return result <= 0 || heads_agree(in, &head, &expected, why);
}
