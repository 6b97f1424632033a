#include "wire/hdr.h"

#include <stddef.h>

#include "hdr_names.h"
#include "scan_plain.h"

#define NAME(id, length, first, penult, text)                                                      \
    [HDR_SLOT(length, first, penult)] = {(id), (length), (text)}

const struct hdr_name hdr_slots[HDR_SLOTS] = {
    NAME(HDR_HOST, 4, 'h', 's', "host"),
    NAME(HDR_CONNECTION, 10, 'c', 'o', "connection"),
    NAME(HDR_CONTENT_LENGTH, 14, 'c', 't', "content-length"),
    NAME(HDR_TRANSFER_ENCODING, 17, 't', 'n', "transfer-encoding"),
    NAME(HDR_TE, 2, 't', 't', "te"),
    NAME(HDR_TRAILER, 7, 't', 'e', "trailer"),
    NAME(HDR_UPGRADE, 7, 'u', 'd', "upgrade"),
    NAME(HDR_KEEP_ALIVE, 10, 'k', 'v', "keep-alive"),
    NAME(HDR_PROXY_CONNECTION, 16, 'p', 'o', "proxy-connection"),
    NAME(HDR_PROXY_AUTHENTICATE, 18, 'p', 't', "proxy-authenticate"),
    NAME(HDR_PROXY_AUTHORIZATION, 19, 'p', 'o', "proxy-authorization"),
    NAME(HDR_EXPECT, 6, 'e', 'c', "expect"),
    NAME(HDR_VIA, 3, 'v', 'i', "via"),
    NAME(HDR_FORWARDED, 9, 'f', 'e', "forwarded"),
    NAME(HDR_X_FORWARDED_FOR, 15, 'x', 'o', "x-forwarded-for"),
    NAME(HDR_X_FORWARDED_PROTO, 17, 'x', 't', "x-forwarded-proto"),
    NAME(HDR_X_FORWARDED_HOST, 16, 'x', 's', "x-forwarded-host"),
    NAME(HDR_X_FORWARDED_PORT, 16, 'x', 'r', "x-forwarded-port"),
    NAME(HDR_X_REAL_IP, 9, 'x', 'i', "x-real-ip"),
    NAME(HDR_HTTP2_SETTINGS, 14, 'h', 'g', "http2-settings"),
    NAME(HDR_DATE, 4, 'd', 't', "date"),
    NAME(HDR_SERVER, 6, 's', 'e', "server"),
    NAME(HDR_CONTENT_TYPE, 12, 'c', 'p', "content-type"),
    NAME(HDR_CONTENT_ENCODING, 16, 'c', 'n', "content-encoding"),
    NAME(HDR_LOCATION, 8, 'l', 'o', "location"),
    NAME(HDR_COOKIE, 6, 'c', 'i', "cookie"),
    NAME(HDR_AUTHORIZATION, 13, 'a', 'o', "authorization"),
    NAME(HDR_TRACEPARENT, 11, 't', 'n', "traceparent"),
    NAME(HDR_TRACESTATE, 10, 't', 't', "tracestate"),
    NAME(HDR_SEC_WEBSOCKET_KEY, 17, 's', 'e', "sec-websocket-key"),
};

_Static_assert(HDR_COUNT <= 32, "sets of ids are 32-bit masks");

/* Bit sets over enum hdr_id. */
#define BIT(id) (1u << (id))

static const uint32_t hdr_hop_by_hop = BIT(HDR_CONNECTION) | BIT(HDR_TRANSFER_ENCODING) |
                                       BIT(HDR_TE) | BIT(HDR_UPGRADE) | BIT(HDR_KEEP_ALIVE) |
                                       BIT(HDR_PROXY_CONNECTION) | BIT(HDR_PROXY_AUTHENTICATE) |
                                       BIT(HDR_PROXY_AUTHORIZATION) | BIT(HDR_HTTP2_SETTINGS);

static const uint32_t hdr_protected =
    BIT(HDR_HOST) | BIT(HDR_CONTENT_LENGTH) | BIT(HDR_TRANSFER_ENCODING) | BIT(HDR_EXPECT) |
    BIT(HDR_VIA) | BIT(HDR_FORWARDED) | BIT(HDR_X_FORWARDED_FOR) | BIT(HDR_X_FORWARDED_PROTO) |
    BIT(HDR_X_FORWARDED_HOST) | BIT(HDR_X_FORWARDED_PORT) | BIT(HDR_X_REAL_IP) |
    BIT(HDR_CONTENT_TYPE) | BIT(HDR_CONTENT_ENCODING) | BIT(HDR_TRACEPARENT) | BIT(HDR_TRACESTATE);

enum hdr_id hdr_find(struct bytes name)
{
    const struct hdr_name *slot = hdr_slot(name.ptr, name.len);

    if (slot == NULL || !bytes_equal_nocase(name, bytes_of(slot->lower, slot->length))) {
        return HDR_OTHER;
    }
    return (enum hdr_id)slot->id;
}

bool hdr_is_hop_by_hop(enum hdr_id id)
{
    return (hdr_hop_by_hop & BIT(id)) != 0;
}

bool hdr_is_protected(enum hdr_id id)
{
    return (hdr_protected & BIT(id)) != 0;
}

bool hdr_slot_has_alias(const struct hdr_name *slot, const uint8_t *name)
{
    bool differs = false;

    for (size_t i = 0; i < slot->length; i++) {
        if (slot->lower[i] == '-' && (name[i] == '_' || name[i] == '.')) {
            differs = true;
        } else if (bytes_lower(name[i]) != (uint8_t)slot->lower[i]) {
            return false;
        }
    }
    return differs;
}

bool hdr_is_alias(struct bytes name)
{
    const struct hdr_name *slot = hdr_slot(name.ptr, name.len);

    return slot != NULL && hdr_slot_has_alias(slot, name.ptr);
}

/* Besides the known names: request modifiers, authentication, response control and content format
 * of RFC 9110 6.5.1, whose late arrival could change what was decided from the head. */
static const char *const hdr_late_names[] = {
    "accept-ranges",
    "age",
    "alt-svc",
    "cache-control",
    "clear-site-data",
    "content-disposition",
    "content-language",
    "content-location",
    "content-range",
    "content-security-policy",
    "expires",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "max-forwards",
    "origin",
    "pragma",
    "range",
    "refresh",
    "retry-after",
    "set-cookie",
    "strict-transport-security",
    "vary",
    "warning",
    "www-authenticate",
};

bool hdr_is_forbidden_trailer(enum hdr_id id, struct bytes name)
{
    if (id != HDR_OTHER || hdr_is_alias(name)) {
        return true;
    }
    for (size_t i = 0; i < sizeof(hdr_late_names) / sizeof(hdr_late_names[0]); i++) {
        const char *late = hdr_late_names[i];

        if (bytes_equal_nocase(name, bytes_of(late, strlen(late)))) {
            return true;
        }
    }
    return false;
}

bool hdr_next_element(struct bytes *rest, struct bytes *element)
{
    size_t at = 0;

    while (at < rest->len) {
        size_t start = at;
        size_t end;

        while (at < rest->len && rest->ptr[at] != ',') {
            at++;
        }
        end = at;
        at += at < rest->len; /* the comma */
        while (start < end && scan_is_blank(rest->ptr[start])) {
            start++;
        }
        while (end > start && scan_is_blank(rest->ptr[end - 1])) {
            end--;
        }
        if (end > start) {
            *element = bytes_part(*rest, start, end);
            *rest = bytes_from(*rest, at);
            return true;
        }
    }
    *rest = bytes_from(*rest, rest->len);
    return false;
}
