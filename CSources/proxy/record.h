/* The access record of one exchange: gathered while it lasts, handed to the logger when it ends
 * (abi/log.h), and to the control plane as spans where the request is sampled (span.h). Nothing
 * here waits: what finds no room is dropped and counted.
 *
 * An exchange without either costs one comparison: request.record is NULL then, and everything else
 * asks that first. Names are copied at the moment they are known, because the
 * generation that they stand in may be gone when the exchange ends. */
#ifndef PROXY_RECORD_H
#define PROXY_RECORD_H

#include "abi/log.h"
#include "l7.h"
#include "span.h"

struct record {
    struct abi_log_record log;
    uint8_t text[ABI_LOG_TEXT_SIZE]; /* right behind it, as in the ring */
    uint64_t variables;              /* what the log's operations name */
    uint64_t connect_from_ns;
    const struct abi_target *target;     /* of the newest try, in the generation that the request */
    const struct abi_endpoint *endpoint; /* holds; NULL: none, or its names are taken */
    uint32_t sample;                     /* as in abi_log */
    bool logged;                         /* it goes to the logger */
    struct span span;
};

_Static_assert(offsetof(struct record, text) == sizeof(struct abi_log_record),
               "a record is copied to the ring in one piece");

/* The exchange has begun, on a listener with a log or sampled: a request with its head in
 * proxy.head, or a stream (`view` NULL). */
void record_begin(struct proxy *proxy, struct request *request, const struct l7_view *view);
/* What proxy.decided says about it. */
void record_intention(struct proxy *proxy, struct request *request);
void record_route(struct proxy *proxy, struct request *request, const struct abi_route *route);
/* A connection to this endpoint was taken from the pool, or begun. */
void record_upstream(struct proxy *proxy, struct request *request, const struct abi_target *target,
                     const struct abi_endpoint *endpoint);
/* The request is about to let its generation go. */
void record_keep_names(struct request *request);
/* Its head is about to be sent there. */
void record_sent(struct request *request);
/* It is left for another try, with this answer or (0) because of `outcome`. */
void record_try_over(struct proxy *proxy, struct request *request, uint16_t status,
                     enum abi_outcome outcome);
/* The connection that was begun is open. */
void record_connected(struct proxy *proxy, struct request *request);
/* The head of the final answer is in proxy.head, parsed from `start`. */
void record_answer(struct proxy *proxy, struct request *request, const uint8_t *start);
/* Hands it over; request.record is NULL afterwards. */
void record_end(struct proxy *proxy, struct request *request, enum abi_outcome outcome);

/* A connection that ended before there was an exchange, or a head that could not be read. */
void record_refused(struct proxy *proxy, struct conn *conn, uint16_t status,
                    enum abi_outcome outcome);
/* One that was turned away at the door. */
void record_turned_away(struct proxy *proxy, const struct abi_listener *entry, int fd,
                        enum abi_outcome outcome);

#endif
