#include "table/certificate.h"

#include "abi/limits.h"
#include "base/hash.h"

/* The slot with the name `*` (when `wildcard`) followed by `name`, or NULL. */
static const struct abi_server_name *find_slot(const struct view *view, struct abi_ref names,
                                               bool wildcard, struct bytes name)
{
    const struct abi_server_name *slots = view->server_names + names.at;
    uint64_t h = wildcard ? hash_more(HASH_START, BYTES_LITERAL("*")) : HASH_START;
    uint32_t mask = names.count - 1;
    uint32_t at = (uint32_t)hash_finish(hash_more(h, name)) & mask;

    for (uint32_t probes = 0; probes < LIMIT_HOST_PROBES; probes++, at = (at + 1) & mask) {
        struct bytes slot = view_text(view, slots[at].name);

        if (slot.len == 0) {
            return NULL;
        }
        if (wildcard && slot.ptr[0] == '*' && bytes_equal(bytes_from(slot, 1), name)) {
            return &slots[at];
        }
        if (!wildcard && bytes_equal(slot, name)) {
            return &slots[at];
        }
    }
    return NULL;
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
