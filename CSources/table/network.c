#include "table/network.h"

bool network_covers(const struct abi_network *network, const uint8_t ip[16])
{
    uint32_t whole = network->bits / 8;
    uint32_t rest = network->bits % 8;

    if (memcmp(network->ip, ip, whole) != 0) {
        return false;
    }
    return rest == 0 || ((network->ip[whole] ^ ip[whole]) >> (8 - rest)) == 0;
}

bool network_has(const struct view *view, struct abi_ref list, const uint8_t ip[16])
{
    const struct abi_network *networks = view->networks + list.at;
    uint32_t low = 0;
    uint32_t high = list.count;

    /* The last network that begins at or before the address: only it can cover it. */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (memcmp(networks[middle].ip, ip, 16) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > 0 && network_covers(&networks[low - 1], ip);
}
