/* The fixed vocabulary of HTTP/1: methods and reason phrases. */
#include <string.h>

#include "base/err.h"
#include "hdr_names.h"
#include "wire/h1.h"

/* Methods are case-sensitive (RFC 9110 9.1). */
static inline bool h1_is_text(struct bytes name, const char *text)
{
    return memcmp(name.ptr, text, name.len) == 0;
}

enum h1_method h1_method_of(struct bytes name)
{
    switch (name.len) {
    case 3:
        return h1_is_text(name, "GET")   ? H1_METHOD_GET
               : h1_is_text(name, "PUT") ? H1_METHOD_PUT
                                         : H1_METHOD_OTHER;
    case 4:
        return h1_is_text(name, "POST")   ? H1_METHOD_POST
               : h1_is_text(name, "HEAD") ? H1_METHOD_HEAD
                                          : H1_METHOD_OTHER;
    case 5:
        return h1_is_text(name, "PATCH")   ? H1_METHOD_PATCH
               : h1_is_text(name, "TRACE") ? H1_METHOD_TRACE
                                           : H1_METHOD_OTHER;
    case 6:
        return h1_is_text(name, "DELETE") ? H1_METHOD_DELETE : H1_METHOD_OTHER;
    case 7:
        return h1_is_text(name, "OPTIONS")   ? H1_METHOD_OPTIONS
               : h1_is_text(name, "CONNECT") ? H1_METHOD_CONNECT
                                             : H1_METHOD_OTHER;
    default:
        return H1_METHOD_OTHER;
    }
}

bool h1_is_idempotent(enum h1_method method)
{
    switch (method) {
    case H1_METHOD_GET:
    case H1_METHOD_HEAD:
    case H1_METHOD_PUT:
    case H1_METHOD_DELETE:
    case H1_METHOD_OPTIONS:
    case H1_METHOD_TRACE:
        return true;
    case H1_METHOD_OTHER:
    case H1_METHOD_POST:
    case H1_METHOD_CONNECT:
    case H1_METHOD_PATCH:
    case H1_METHOD_COUNT:
        return false;
    }
    return false;
}

uint16_t h1_refusal_status(int err, const struct h1_head *head)
{
    switch (err) {
    case MESH_E_TOO_LONG:
        return head->fields_at == 0 ? 414 : 431;
    case MESH_E_TOO_MANY:
        return 431;
    case MESH_E_VERSION:
        return 505;
    case MESH_E_UNSUPPORTED:
        return (head->flags & H1_EXPECT_UNKNOWN) != 0 ? 417 : 501;
    default:
        return 400;
    }
}

/* The phrases of the registered codes of one hundred (RFC 9110 15, RFC 6585, 7725, 8297, 8470). */
struct h1_phrase {
    uint16_t status;
    const char *text;
};

static const struct h1_phrase h1_phrases[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {102, "Processing"},
    {103, "Early Hints"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {207, "Multi-Status"},
    {208, "Already Reported"},
    {226, "IM Used"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {305, "Use Proxy"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {424, "Failed Dependency"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {506, "Variant Also Negotiates"},
    {507, "Insufficient Storage"},
    {508, "Loop Detected"},
    {510, "Not Extended"},
    {511, "Network Authentication Required"},
};

const char *h1_reason(uint16_t status)
{
    size_t low = 0;
    size_t high = sizeof(h1_phrases) / sizeof(h1_phrases[0]);

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (h1_phrases[middle].status < status) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low < sizeof(h1_phrases) / sizeof(h1_phrases[0]) && h1_phrases[low].status == status) {
        return h1_phrases[low].text;
    }
    return "";
}
