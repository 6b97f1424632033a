/* The generations that one worker holds: mapped snapshot and secrets, opened in slices so that
 * serving goes on meanwhile, prepared in the proxy, current, and retired until the last request
 * that began with one has ended. Bounded: LIMIT_LIVE_VIEWS at a time. */
#ifndef WORKER_GENERATIONS_H
#define WORKER_GENERATIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/limits.h"
#include "proxy/proxy.h"
#include "region.h"

/* Secrets are shared by the generations that were published without new ones. */
struct generations_secrets {
    struct region region; /* base NULL: free */
    struct secrets opened;
    uint32_t users;
};

struct generations_item {
    struct proxy_generation proxy; /* first: the proxy hands it back */
    bool used;
    bool committed; /* was current once */
    bool released;  /* the proxy no longer needs it; its memory goes at the end of the turn */
    struct region snapshot;
    struct generations_secrets *secrets; /* NULL: none */
};

enum generations_stage {
    GENERATIONS_NONE = 0,     /* nothing is being prepared */
    GENERATIONS_OPENING = 1,  /* mapped, being checked slice by slice */
    GENERATIONS_PREPARED = 2, /* the proxy can commit it */
};

struct generations {
    struct proxy *proxy;
    enum generations_stage stage;
    struct generations_item *next;    /* OPENING, PREPARED */
    struct generations_item *current; /* NULL before the first COMMIT */
    struct generations_item items[LIMIT_LIVE_VIEWS];
    struct generations_secrets secrets[LIMIT_LIVE_VIEWS];
};

/* Begins with the descriptors of PREPARE, which stay the caller's; `secrets_fd` is -1 when those of
 * the current generation go on. On false, `refusal` says why. */
[[nodiscard]] bool generations_begin(struct generations *all, int snapshot_fd, int secrets_fd,
                                     struct view_refusal *refusal);

/* While OPENING: works for about `budget_ns`. VIEW_READY: the stage is PREPARED. */
[[nodiscard]] enum view_progress generations_step(struct generations *all, uint64_t budget_ns,
                                                  struct view_refusal *refusal);

/* PREPARED becomes current. */
void generations_commit(struct generations *all);

/* Drops what is being prepared, if anything. */
void generations_abort(struct generations *all);

/* For proxy_config.released; the context is not used. */
void generations_released(void *context, struct proxy_generation *generation);

/* Frees one released generation and returns its number, 0 when there is none. *committed says
 * whether it was ever current. */
uint64_t generations_reap(struct generations *all, bool *committed);

/* Generations that are mapped. */
uint32_t generations_live(const struct generations *all);

#endif
