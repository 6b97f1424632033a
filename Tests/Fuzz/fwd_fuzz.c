/* Forwarded and X-Forwarded-For: what was read stands in the value, in order, and an element alone
 * is read as it was in its list. */
#include "base/err.h"
#include "fuzz.h"
#include "wire/fwd.h"
#include "wire/trace.h"

static bool inside(struct bytes part, struct bytes whole)
{
    return part.len == 0 || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

static void read_forwarded(struct bytes in)
{
    struct bytes rest = in;
    struct fwd_element element;
    size_t left = in.len;

    while (fwd_next(&rest, &element) > 0) {
        struct bytes alone = element.text;
        struct fwd_element again;

        MUST(rest.len < left && inside(rest, in));
        left = rest.len;
        MUST(element.text.len > 0 && inside(element.text, in));
        MUST(inside(element.host, element.text) && inside(element.proto, element.text));
        MUST(inside(element.client.name, element.text));
        MUST(element.client.kind < FWD_NODE_COUNT);
        MUST(fwd_next(&alone, &again) == 1);
        MUST(again.client.kind == element.client.kind && again.client.port == element.client.port);
        MUST(fwd_next(&alone, &again) == 0);
    }
}

static void read_list(struct bytes in)
{
    struct bytes rest = in;
    struct bytes text;
    struct ip_address ip;
    struct ip_address again;

    while (fwd_last_address(&rest, &ip, &text) > 0) {
        char normal[IP_TEXT_MAX];

        MUST(inside(text, in) && inside(rest, in));
        MUST(ip_parse(text, &again) && memcmp(&ip, &again, sizeof(ip)) == 0);
        MUST(ip_parse(bytes_of(normal, ip_format(&ip, normal)), &again));
        MUST(memcmp(&ip, &again, sizeof(ip)) == 0);
    }
}

static void read_trace(struct bytes in)
{
    struct trace_parent parent;
    struct trace_state state = {0};
    uint8_t out[TRACE_PARENT_SIZE];

    if (trace_parse_parent(in, &parent)) {
        trace_write_parent(&parent, out);
        MUST(memcmp(out + 2, in.ptr + 2, TRACE_PARENT_SIZE - 2) == 0);
    }
    if (trace_add_state(&state, in)) {
        MUST(state.count <= TRACE_STATE_MEMBERS);
        MUST(state.count == 0 || !trace_add_state(&state, in)); /* every key twice */
    }
}

FUZZ_TARGET(fwd)
{
    read_forwarded(in);
    read_list(in);
    read_trace(in);
}
