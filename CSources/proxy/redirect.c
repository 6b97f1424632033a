/* A listener for redirected connections has no routes of its own: the address that a connection was
 * made to is looked up once, when it is accepted, and from then on it is a connection of the
 * listener that stands for that address. */
#include "redirect.h"

#include <netinet/in.h>
#include <string.h>

#include "record.h"
#include "table/original.h"

struct listener *redirect_find(struct proxy *proxy, const struct listener *listener, int fd,
                               enum abi_outcome *outcome)
{
    const struct view *view = &proxy->current->view;
    struct sockaddr_storage address;
    struct original_address wanted;
    struct ip_address ip;
    uint32_t inner;

    if (!ring_original(proxy->ring, fd, &address) || !conn_ip_of(&address, &ip, &wanted.port)) {
        *outcome = ABI_OUTCOME_NOT_REDIRECTED;
        return NULL;
    }
    memcpy(wanted.ip, ip.bytes, sizeof(wanted.ip));
    inner = original_lead(view, listener->index, &wanted);
    if (inner == ABI_NONE) {
        *outcome = ABI_OUTCOME_NO_ROUTE;
        return NULL;
    }
    if (proxy->listener_places[inner] == LISTENER_NOWHERE) {
        *outcome = ABI_OUTCOME_OVERLOAD;
        return NULL;
    }
    return &proxy->listeners[proxy->listener_places[inner]];
}

socklen_t redirect_original(struct proxy *proxy, const struct request *request,
                            struct sockaddr_storage *original)
{
    if (!request_has(request, REQUEST_L4) ||
        !ring_original(proxy->ring, request->down->fd, original)) {
        return 0;
    }
    return original->ss_family == AF_INET ? sizeof(struct sockaddr_in)
                                          : sizeof(struct sockaddr_in6);
}
