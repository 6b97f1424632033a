/* Rules of networks and of what listeners believe. */
#include "view_walk.h"

#include "abi/limits.h"
#include "table/network.h"

bool view_check_network(struct view_walk *walk)
{
    const struct abi_network *network = &walk->view->networks[walk->record];
    uint32_t whole = network->bits / 8;
    uint8_t behind = 0;

    if (!view_rule(walk, network->bits <= 128, ABI_REFUSAL_VALUE, "bits of a network")) {
        return false;
    }
    if (whole < 16) {
        behind = (uint8_t)(network->ip[whole] << network->bits % 8);
    }
    for (uint32_t i = whole + 1; i < 16; i++) {
        behind |= network->ip[i];
    }
    return view_rule(walk, behind == 0, ABI_REFUSAL_VALUE, "a network with bits behind its prefix");
}

static bool check_networks(struct view_walk *walk, struct abi_ref list, const char *what)
{
    const struct abi_network *networks = walk->view->networks + list.at;

    if (!view_ref(walk, list, ABI_SECTION_NETWORK, what) || !view_own_range(walk, list, what) ||
        !view_rule(walk, list.count <= LIMIT_NETWORKS, ABI_REFUSAL_LIMIT, what)) {
        return false;
    }
    walk->budget -= list.count / 4;
    for (uint32_t i = 0; i < list.count; i++) {
        /* Networks are inside one another or apart: the one before, which begins earlier, would
         * have to cover this one. */
        if (!view_rule(walk, networks[i].bits <= 128, ABI_REFUSAL_VALUE, "bits of a network") ||
            !view_rule(walk,
                       i == 0 || (memcmp(networks[i - 1].ip, networks[i].ip, 16) < 0 &&
                                  !network_covers(&networks[i - 1], networks[i].ip)),
                       ABI_REFUSAL_ORDER, "networks are sorted and do not overlap")) {
            return false;
        }
    }
    return true;
}

bool view_check_hops(struct view_walk *walk)
{
    const struct abi_hops *hops = &walk->view->hops[walk->record];
    bool proxy = hops->proxy_in != 0;
    uint8_t padding = hops->_pad0[0] | hops->_pad0[1];

    return view_rule(walk, hops->proxy_in <= ABI_PROXY_ANY, ABI_REFUSAL_VALUE, "PROXY versions") &&
           view_rule(walk, hops->proxy_others <= (proxy ? 1 : 0), ABI_REFUSAL_VALUE,
                     "peers without a PROXY header") &&
           view_rule(walk,
                     (hops->proxy_timeout_ms > 0) == proxy && (hops->proxy_from.count > 0) == proxy,
                     ABI_REFUSAL_VALUE, "PROXY headers need a time limit and trusted peers") &&
           check_networks(walk, hops->proxy_from, "peers that send PROXY headers") &&
           check_networks(walk, hops->trust, "trusted hops") &&
           view_rule(walk, hops->fields <= ABI_HOP_FIELDS, ABI_REFUSAL_VALUE,
                     "forwarding fields") &&
           view_rule(walk,
                     hops->depth <= LIMIT_HOPS && (hops->depth > 0) == (hops->trust.count > 0),
                     ABI_REFUSAL_VALUE, "number of hops") &&
           view_rule(walk,
                     hops->trace_start <= 1 &&
                         hops->trace_sample <= (hops->trace_start == 1 ? ABI_TRACE_ALL : 0),
                     ABI_REFUSAL_VALUE, "share of sampled traces") &&
           view_rule(walk, hops->trace_spans <= 1, ABI_REFUSAL_VALUE, "spans") &&
           view_rule(walk, padding == 0, ABI_REFUSAL_PADDING, "hops");
}

bool view_check_listener_hops(struct view_walk *walk, const struct abi_listener *listener)
{
    const struct view *view = walk->view;
    bool proxy = (listener->flags & ABI_LISTENER_PROXY_IN) != 0;
    const struct abi_hops *hops;

    if (!view_index(walk, listener->hops, ABI_SECTION_HOPS, "listener's hops") ||
        !view_rule(walk, !proxy || listener->hops != ABI_NONE, ABI_REFUSAL_VALUE,
                   "PROXY headers without hops")) {
        return false;
    }
    if (listener->hops == ABI_NONE) {
        return true;
    }
    hops = &view->hops[listener->hops];
    return view_rule(walk, (hops->proxy_in != 0) == proxy, ABI_REFUSAL_VALUE,
                     "hops with PROXY headers are those of a listener with the flag") &&
           view_rule(walk,
                     listener->kind == ABI_LISTENER_L7 ||
                         (hops->trust.count == 0 && hops->fields == 0 && hops->trace_start == 0 &&
                          hops->trace_spans == 0),
                     ABI_REFUSAL_VALUE, "an L4 listener has no forwarding fields");
}
