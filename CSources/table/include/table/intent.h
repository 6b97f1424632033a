/* Whether a source may call a destination: intentions, then permissions of a request. */
#ifndef TABLE_INTENT_H
#define TABLE_INTENT_H

#include <stdbool.h>
#include <stdint.h>

#include "table/route.h"
#include "table/view.h"

enum intent_verdict {
    INTENT_DENY = 0,
    INTENT_ALLOW = 1,
    INTENT_ASK_PERMISSIONS = 2, /* depends on the request: intent_permit() */
    INTENT_AWAIT_TOKEN = 3,     /* depends on a token that nothing is known of yet */
};

struct intent_decision {
    enum intent_verdict verdict;
    uint32_t intention;  /* INTENTION section: what decided; ABI_NONE: the policy's default */
    uint32_t permission; /* PERMISSION section: what decided; ABI_NONE */
};

/* `source` is a service name; empty for a caller without identity, whom only the wildcard and the
 * default cover. */
struct intent_decision intent_decide(const struct view *view, uint32_t policy, struct bytes source);

/* As intent_decide, and where permissions decide, asks them about the request. Never
 * INTENT_ASK_PERMISSIONS; INTENT_AWAIT_TOKEN only when input->judge says that it does not know. */
struct intent_decision intent_permit(const struct view *view, uint32_t policy, struct bytes source,
                                     const struct route_input *input);

/* The service name of `spiffe://<trust domain>/ns/<ns>/dc/<dc>/svc/<service>`, or an empty slice
 * when the id has another form or another trust domain than the snapshot. */
struct bytes intent_service_of(const struct view *view, struct bytes spiffe_id);

#endif
