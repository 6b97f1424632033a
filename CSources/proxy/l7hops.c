/* Max-Forwards of OPTIONS and TRACE (RFC 9110 7.6.2), counted down at every hop; requests that have
 * been here. */
#include "l7.h"

#define L7HOPS_METHODS "GET, HEAD, POST, PUT, DELETE, CONNECT, OPTIONS, PATCH"

/* 0 to 2^31 - 1; -1: no number. */
static int64_t l7hops_read(struct bytes value)
{
    int64_t hops = 0;

    if (value.len == 0) {
        return -1;
    }
    for (size_t i = 0; i < value.len; i++) {
        if ((uint8_t)(value.ptr[i] - '0') > 9) {
            return -1;
        }
        hops = hops * 10 + (value.ptr[i] - '0');
        hops = hops > INT32_MAX ? INT32_MAX : hops;
    }
    return hops;
}

bool l7hops_count(struct proxy *proxy, struct request *request, struct l7_view *view)
{
    struct answer answer = {.status = 200, .allow = BYTES_LITERAL(L7HOPS_METHODS)};
    struct h1_head *head = &proxy->head;

    for (uint32_t i = 0; i < head->field_count; i++) {
        struct h1_field *field = &head->fields[i];
        int64_t hops;

        if (!bytes_equal_nocase(h1_name(view->start, field), BYTES_LITERAL("max-forwards"))) {
            continue;
        }
        hops = l7hops_read(h1_value(view->start, field));
        if (hops < 0 || view->counts_hops) {
            request->flags |= REQUEST_CLOSE_DOWN;
            l7_fail(proxy, request, ABI_OUTCOME_BAD_REQUEST);
            return false;
        }
        if (hops == 0) {
            answer.status = head->method == H1_METHOD_TRACE ? 405 : 200;
            l7_answer(proxy, request, &answer, ABI_OUTCOME_RESPONDED);
            return false;
        }
        view->max_forwards = (uint32_t)hops - 1;
        view->counts_hops = true;
        field->flags |= H1_FIELD_NOMINATED; /* written anew */
    }
    return true;
}

/* Our own pseudonym in Via: the request has been here (RFC 9110 7.6.3). */
bool l7hops_is_loop(struct proxy *proxy, const struct conn *down, const uint8_t *start)
{
    const struct abi_listener *entry = listener_entry(proxy, listener_of(proxy, down));
    struct bytes own = view_text(&proxy->current->view, entry->via);

    for (uint32_t i = 0; own.len > 0 && i < proxy->head.field_count; i++) {
        const struct h1_field *field = &proxy->head.fields[i];
        struct bytes rest = h1_value(start, field);
        struct bytes hop;

        while (field->id == HDR_VIA && hdr_next_element(&rest, &hop)) {
            size_t at = 0;

            while (at < hop.len && hop.ptr[at] != ' ') {
                at++;
            }
            while (at < hop.len && hop.ptr[at] == ' ') {
                at++;
            }
            hop = bytes_from(hop, at);
            if (bytes_has_prefix(hop, own) && (hop.len == own.len || hop.ptr[own.len] == ' ')) {
                return true;
            }
        }
    }
    return false;
}
