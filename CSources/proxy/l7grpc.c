/* What is different for clients of gRPC: they look for grpc-status, in a head alone where there is
 * no more to say, and tell how long they wait. */
#include "l7.h"

#include "base/num.h"
#include "wire/delay.h"

enum l7grpc_status { /* those of https://grpc.io/docs/guides/status-codes/ that are met here */
                     L7GRPC_CANCELLED = 1,
                     L7GRPC_UNKNOWN = 2,
                     L7GRPC_DEADLINE_EXCEEDED = 4,
                     L7GRPC_PERMISSION_DENIED = 7,
                     L7GRPC_RESOURCE_EXHAUSTED = 8,
                     L7GRPC_UNIMPLEMENTED = 12,
                     L7GRPC_INTERNAL = 13,
                     L7GRPC_UNAVAILABLE = 14,
                     L7GRPC_UNAUTHENTICATED = 16,
};

bool l7grpc_asks(const struct h1_head *head, const uint8_t *start)
{
    static const struct bytes type = {(const uint8_t *)"application/grpc", 16};
    const struct h1_field *field = h1_find(head, HDR_CONTENT_TYPE);
    struct bytes value = field == NULL ? bytes_of(NULL, 0) : h1_value(start, field);

    /* Not application/grpc-web, whose clients read what we answer to anybody. */
    return value.len >= type.len && bytes_equal_nocase(bytes_part(value, 0, type.len), type) &&
           (value.len == type.len || value.ptr[type.len] == '+' || value.ptr[type.len] == ';');
}

uint32_t l7grpc_bound(const struct h1_head *head, const uint8_t *start, uint32_t timeout_ms)
{
    const struct h1_field *field = l7head_find(head, start, BYTES_LITERAL("grpc-timeout"));
    int64_t asked_ms = field == NULL ? -1 : delay_parse_grpc(h1_value(start, field));

    if (asked_ms < 0) {
        return timeout_ms;
    }
    if (asked_ms == 0) {
        return 1;
    }
    return timeout_ms == 0 ? (uint32_t)asked_ms : num_min_u32(timeout_ms, (uint32_t)asked_ms);
}

uint32_t l7grpc_condition(const struct h1_head *head, const uint8_t *start)
{
    const struct h1_field *field = l7head_find(head, start, BYTES_LITERAL("grpc-status"));
    struct bytes value = field == NULL ? bytes_of(NULL, 0) : h1_value(start, field);
    uint32_t status = 0;

    if (value.len == 0 || value.len > 2) {
        return 0;
    }
    for (size_t i = 0; i < value.len; i++) {
        if ((uint8_t)(value.ptr[i] - '0') > 9) {
            return 0;
        }
        status = status * 10 + (uint32_t)(value.ptr[i] - '0');
    }
    switch (status) {
    case L7GRPC_CANCELLED:
        return ABI_RETRY_GRPC_CANCELLED;
    case L7GRPC_DEADLINE_EXCEEDED:
        return ABI_RETRY_GRPC_DEADLINE;
    case L7GRPC_INTERNAL:
        return ABI_RETRY_GRPC_INTERNAL;
    case L7GRPC_RESOURCE_EXHAUSTED:
        return ABI_RETRY_GRPC_EXHAUSTED;
    case L7GRPC_UNAVAILABLE:
        return ABI_RETRY_GRPC_UNAVAILABLE;
    default:
        return 0;
    }
}

/* As gRPC reads a status of HTTP (doc/http-grpc-status-mapping.md); what has taken too long is
 * known better here. */
static enum l7grpc_status l7grpc_status_of(enum abi_outcome outcome, uint16_t status)
{
    if (outcome == ABI_OUTCOME_REQUEST_TIMEOUT) {
        return L7GRPC_DEADLINE_EXCEEDED;
    }
    switch (status) {
    case 400:
        return L7GRPC_INTERNAL;
    case 401:
        return L7GRPC_UNAUTHENTICATED;
    case 403:
        return L7GRPC_PERMISSION_DENIED;
    case 404:
        return L7GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return L7GRPC_UNAVAILABLE;
    default:
        return L7GRPC_UNKNOWN;
    }
}

void l7grpc_form(struct answer *answer, enum abi_outcome outcome)
{
    answer->grpc = true;
    answer->grpc_status = (uint8_t)l7grpc_status_of(outcome, answer->status);
    answer->status = 200;
    answer->content_type = BYTES_LITERAL("application/grpc");
    if (answer->body.len > 0 && answer->body.ptr[answer->body.len - 1] == '\n') {
        answer->body.len--;
    }
}
