/* What a sampled request tells the control plane (abi/span.h), made of its access record: the span
 * of the request and one for each endpoint that it was sent to. */
#ifndef PROXY_SPAN_H
#define PROXY_SPAN_H

#include "abi/span.h"
#include "l7.h"

#define SPAN_OWNER_MAX 64u

/* Part of struct record. Zeroed: the request is not sampled. */
struct span {
    bool on;
    bool trying; /* an endpoint is being tried; these five are about it */
    bool try_tls;
    uint8_t try_id[8];
    uint16_t try_status; /* 0: it has not answered */
    uint64_t try_from_ns;
    uint32_t tries; /* ended */
    uint8_t flags;  /* enum abi_span_flag */
    uint8_t trace_flags;
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t parent_id[8];
    uint32_t head_at; /* where the head for the upstream has the id of its parent; 0: nowhere */
    uint8_t owner_length;
    uint16_t state_length;
    uint8_t owner[SPAN_OWNER_MAX];
    uint8_t state[LIMIT_SPAN_STATE];
};

/* What spans are made of, as in abi_log.variables. */
#define SPAN_VARIABLES                                                                             \
    (1ULL << ABI_LOG_LISTENER | 1ULL << ABI_LOG_CLIENT_IP | 1ULL << ABI_LOG_CLIENT_PORT |          \
     1ULL << ABI_LOG_CLIENT_IDENTITY | 1ULL << ABI_LOG_METHOD | 1ULL << ABI_LOG_HOST |             \
     1ULL << ABI_LOG_PATH | 1ULL << ABI_LOG_ROUTE | 1ULL << ABI_LOG_SERVICE |                      \
     1ULL << ABI_LOG_TARGET | 1ULL << ABI_LOG_INSTANCE | 1ULL << ABI_LOG_USER_AGENT)

/* Ids that are spread, not secret, and never zero; nothing of the load balancer can be told from
 * them. */
uint64_t span_random(struct proxy *proxy);

/* request.trace is that of a sampled request whose head is in proxy.head: it goes on with our own
 * span. `span` is zeroed. */
void span_begin(struct proxy *proxy, struct request *request, const struct l7_view *view);
/* An endpoint is about to be tried. Of the one before, names are in the record. */
void span_try(struct proxy *proxy, struct request *request, bool tls);
/* The try is over: nothing more comes from that endpoint. Names are in the record. */
void span_end_try(struct proxy *proxy, struct request *request, enum abi_outcome outcome);
/* The head goes to the upstream: it names the try as its parent. */
void span_stamp(struct request *request);
/* It is over; names are in the record. */
void span_end(struct proxy *proxy, struct request *request, enum abi_outcome outcome);

#endif
