/* A proxy over two upstreams whose route asks for second tries. */
#ifndef RETRY_KIT_H
#define RETRY_KIT_H

#include "proxy_kit.h"

struct proxy_kit *retry_kit_of(uint32_t retry_on, uint32_t retries, struct abi_traffic traffic);
/* The upstream that is connected to next, whichever it is. */
int retry_kit_next(struct proxy_kit *kit);
bool retry_kit_is_alone(struct proxy_kit *kit);
/* One try that is answered so. */
void retry_kit_answer(struct proxy_kit *kit, const char *text);
void retry_kit_status(struct proxy_kit *kit, int client, const char *status);

#endif
