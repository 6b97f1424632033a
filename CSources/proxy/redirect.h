/* Connections that the kernel has redirected to a listener: for which of the listeners behind it
 * they are, and where they wanted to go. */
#ifndef PROXY_REDIRECT_H
#define PROXY_REDIRECT_H

#include "state.h"

/* The listener behind `listener` that stands for the address which the accepted connection was made
 * to; NULL and `outcome`: nobody does. */
struct listener *redirect_find(struct proxy *proxy, const struct listener *listener, int fd,
                               enum abi_outcome *outcome);

/* Where the client of a stream wanted to go, as the length of an address; 0: nowhere else. Of
 * requests one connection brings many, and a copy has no client: they have no original. */
struct request;
socklen_t redirect_original(struct proxy *proxy, const struct request *request,
                            struct sockaddr_storage *original);

#endif
