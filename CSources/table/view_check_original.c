/* Rules of listeners for redirected connections, and of those behind them. */
#include "view_walk.h"

#include "table/original.h"

static bool has_flag(const struct view *view, uint32_t listener, uint8_t flag)
{
    return listener < view->counts[ABI_SECTION_LISTENER] &&
           (view->listeners[listener].flags & flag) != 0;
}

bool view_check_original(struct view_walk *walk)
{
    const struct view *view = walk->view;
    const struct abi_original *original = &view->originals[walk->record];

    return view_rule(walk, walk->record == 0 || original_compare(&original[-1], original) < 0,
                     ABI_REFUSAL_ORDER,
                     "addresses are sorted by listener, address and port, no three twice") &&
           view_rule(walk, has_flag(view, original->listener, ABI_LISTENER_REDIRECTED),
                     ABI_REFUSAL_REFERENCE, "an address of a listener without redirection") &&
           view_rule(walk, original->port <= UINT16_MAX, ABI_REFUSAL_VALUE, "port") &&
           view_rule(walk, has_flag(view, original->inner, ABI_LISTENER_INNER),
                     ABI_REFUSAL_REFERENCE, "an address stands for a listener with a socket");
}

bool view_check_listener_original(struct view_walk *walk, const struct abi_listener *listener)
{
    bool redirected = (listener->flags & ABI_LISTENER_REDIRECTED) != 0;
    bool inner = (listener->flags & ABI_LISTENER_INNER) != 0;

    return view_rule(walk, !redirected || listener->flags == ABI_LISTENER_REDIRECTED,
                     ABI_REFUSAL_VALUE, "a listener for redirected connections is nothing else") &&
           view_rule(walk, !redirected || listener->address.family != ABI_FAMILY_UNIX,
                     ABI_REFUSAL_VALUE, "connections to a unix socket cannot be redirected") &&
           view_rule(walk, !redirected || listener->tls == ABI_NONE, ABI_REFUSAL_VALUE,
                     "a listener for redirected connections terminates no TLS") &&
           view_rule(walk,
                     !inner || (listener->flags &
                                ~(ABI_LISTENER_INNER | ABI_LISTENER_MESH_OUTBOUND)) == 0,
                     ABI_REFUSAL_VALUE, "a listener without a socket calls the mesh or nobody") &&
           view_rule(walk,
                     redirected ? listener->other == ABI_NONE ||
                                      has_flag(walk->view, listener->other, ABI_LISTENER_INNER)
                                : listener->other == 0,
                     ABI_REFUSAL_REFERENCE, "where other redirected connections go");
}
