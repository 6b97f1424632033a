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
