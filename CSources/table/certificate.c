#include "table/certificate.h"

#include "slots.h"

_Static_assert(offsetof(struct abi_server_name, name) == 0, "slots_find");

static const struct abi_server_name *find_slot(const struct view *view, struct abi_ref names,
                                               bool wildcard, struct bytes name)
{
    struct slots slots = {view->server_names + names.at, sizeof(struct abi_server_name),
                          names.count};

    return slots_find(view, slots, wildcard, name);
}

const struct abi_server_name *certificate_find(const struct view *view, const struct abi_tls *tls,
                                               struct bytes name)
{
    const struct abi_server_name *slot;
    const uint8_t *dot;

    if (tls->names.count == 0 || name.len == 0) {
        return NULL;
    }
    slot = find_slot(view, tls->names, false, name);
    if (slot != NULL) {
        return slot;
    }
    dot = memchr(name.ptr, '.', name.len);
    if (dot == NULL || dot == name.ptr) {
        return NULL;
    }
    return find_slot(view, tls->names, true, bytes_from(name, (size_t)(dot - name.ptr)));
}

/* Secrets of the certificates that a name gets; 0: none of a kind. */
struct shown {
    uint64_t ids[ABI_KEY_COUNT];
};

static struct shown shown_for(const struct view *view, const struct abi_tls *tls, struct bytes name)
{
    const struct abi_server_name *slot = certificate_find(view, tls, name);
    struct shown shown = {0};

    for (uint32_t i = 0; slot != NULL && i < ABI_KEY_COUNT; i++) {
        if (slot->certificates[i] != ABI_NONE) {
            shown.ids[i] = view->secret_list[slot->certificates[i]];
        }
    }
    for (uint32_t i = 0; slot == NULL && i < tls->certificates.count; i++) {
        shown.ids[i] = view->secret_list[tls->certificates.at + i];
    }
    return shown;
}

bool certificate_is_shared(const struct view *view, const struct abi_tls *tls, struct bytes a,
                           struct bytes b)
{
    struct shown first = shown_for(view, tls, a);
    struct shown second = shown_for(view, tls, b);

    /* The kinds of a server's own certificates stand in any order. */
    return (first.ids[0] == second.ids[0] && first.ids[1] == second.ids[1]) ||
           (first.ids[0] == second.ids[1] && first.ids[1] == second.ids[0]);
}
