/* Answers coded on their way to clients that take it (RFC 9110 8.4, 12.5.3); private to the room.
 */
#ifndef PROXY_L7CODE_H
#define PROXY_L7CODE_H

#include "l7.h"

/* The coding that the client of a new request likes best of those that its listener offers. */
void l7code_wish(struct proxy *proxy, struct request *request, const struct abi_listener *entry,
                 const uint8_t *start);

/* Decides about a final answer whose head is in proxy.head: request.coder and request.varies, and
 * how the body is framed. Fields that would no longer hold are held back. */
void l7code_judge(struct proxy *proxy, struct request *request, const uint8_t *start);

/* The entity tag of an answer that was held back since its octets are others now; may be empty. */
struct bytes l7code_tag(const struct h1_head *head, const uint8_t *start);

/* Codes body bytes into gather.coded_to; MESH_OK or MESH_E_NO_MEMORY. `chunk` frames what comes of
 * them. */
[[nodiscard]] int l7code_data(struct proxy *proxy, struct l7_gather *gather, struct bytes in,
                              enum compress_step step, bool chunk);
/* What was coded so far becomes part of the write. */
void l7code_emit(struct proxy *proxy, struct l7_gather *gather, bool chunk);

/* Gives the coder's memory back. */
void l7code_forget(struct proxy *proxy, struct request *request);

#endif
