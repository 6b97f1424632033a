#include "table/original.h"

#include <string.h>

int original_compare(const struct abi_original *a, const struct abi_original *b)
{
    int order = (a->listener > b->listener) - (a->listener < b->listener);

    if (order == 0) {
        order = memcmp(a->ip, b->ip, sizeof(a->ip));
    }
    return order != 0 ? order : (a->port > b->port) - (a->port < b->port);
}

static uint32_t original_search(const struct view *view, const struct abi_original *wanted)
{
    uint32_t low = 0;
    uint32_t high = view->counts[ABI_SECTION_ORIGINAL];

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = original_compare(wanted, &view->originals[middle]);

        if (order == 0) {
            return view->originals[middle].inner;
        }
        if (order > 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return ABI_NONE;
}

uint32_t original_find(const struct view *view, uint32_t listener,
                       const struct original_address *address)
{
    struct abi_original wanted = {.listener = listener, .port = address->port};
    uint32_t found;

    memcpy(wanted.ip, address->ip, sizeof(wanted.ip));
    found = original_search(view, &wanted);
    if (found == ABI_NONE) {
        wanted.port = 0;
        found = original_search(view, &wanted);
    }
    return found;
}

bool original_is_virtual(const struct original_address *address)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    return memcmp(address->ip, mapped, sizeof(mapped)) == 0 && address->ip[12] >= 240;
}

uint32_t original_lead(const struct view *view, uint32_t listener,
                       const struct original_address *address)
{
    uint32_t found = original_find(view, listener, address);

    if (found == ABI_NONE && !original_is_virtual(address)) {
        found = view->listeners[listener].other;
    }
    return found;
}
