#include "table/view.h"

uint32_t view_find_listener(const struct view *view, uint64_t key)
{
    uint32_t low = 0, high = view->counts[ABI_SECTION_LISTENER];

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (view->listeners[middle].key < key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < view->counts[ABI_SECTION_LISTENER] && view->listeners[low].key == key ? low
                                                                                       : ABI_NONE;
}

uint32_t view_find_target(const struct view *view, uint64_t key)
{
    uint32_t low = 0, high = view->counts[ABI_SECTION_TARGET];

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (view->targets[middle].key < key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < view->counts[ABI_SECTION_TARGET] && view->targets[low].key == key ? low : ABI_NONE;
}
