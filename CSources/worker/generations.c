#include "generations.h"

#include <time.h>

#include "base/list.h"
#include "base/must.h"

#define GENERATIONS_STEP 512u /* records between two looks at the clock */

static bool generations_refuse(struct view_refusal *refusal, enum abi_refusal code,
                               const char *what)
{
    *refusal = (struct view_refusal){
        .code = code, .section = ABI_SECTION_COUNT, .record = 0, .what = what};
    return false;
}

static uint64_t generations_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool generations_map(int fd, uint64_t limit, bool secret, struct region *out,
                            struct view_refusal *refusal)
{
    size_t size = 0;
    enum abi_refusal code = region_check(fd, limit, &size);

    if (code == ABI_REFUSAL_SEAL) {
        return generations_refuse(refusal, code, "the file is not sealed");
    }
    if (code != ABI_REFUSAL_NONE) {
        return generations_refuse(refusal, code, "the file is empty or too large");
    }
    if (region_map(fd, size, secret, out) != 0) {
        return generations_refuse(refusal, ABI_REFUSAL_SIZE, "the file cannot be mapped");
    }
    return true;
}

static void generations_give_secrets(struct generations_secrets *secrets)
{
    MUST(secrets->users > 0);
    secrets->users--;
    if (secrets->users == 0) {
        region_unmap(&secrets->region);
    }
}

/* Opens a new secrets region. There are as many places as generations, so one is free. */
static bool generations_take_secrets(struct generations *all, struct generations_item *item, int fd,
                                     struct view_refusal *refusal)
{
    struct generations_secrets *free_place = NULL;

    for (uint32_t i = 0; i < LIMIT_LIVE_VIEWS; i++) {
        if (all->secrets[i].users == 0) {
            free_place = &all->secrets[i];
        }
    }
    MUST(free_place != NULL);
    if (!generations_map(fd, LIMIT_SECRETS_SIZE, true, &free_place->region, refusal)) {
        return false;
    }
    if (!secrets_open(&free_place->opened, free_place->region.base, free_place->region.size,
                      refusal)) {
        region_unmap(&free_place->region);
        return false;
    }
    free_place->users = 1;
    item->secrets = free_place;
    return true;
}

static void generations_free(struct generations_item *item)
{
    region_unmap(&item->snapshot);
    if (item->secrets != NULL) {
        generations_give_secrets(item->secrets);
    }
    *item = (struct generations_item){.used = false};
}

static struct generations_item *generations_take(struct generations *all)
{
    for (uint32_t i = 0; i < LIMIT_LIVE_VIEWS; i++) {
        if (!all->items[i].used) {
            all->items[i] = (struct generations_item){.used = true};
            return &all->items[i];
        }
    }
    return NULL;
}

bool generations_begin(struct generations *all, int snapshot_fd, int secrets_fd,
                       struct view_refusal *refusal)
{
    struct generations_item *item;
    bool ok;

    MUST(all->stage == GENERATIONS_NONE);
    item = generations_take(all);
    if (item == NULL) {
        return generations_refuse(refusal, ABI_REFUSAL_BUSY,
                                  "as many generations as a worker may hold are still in use");
    }
    ok = generations_map(snapshot_fd, LIMIT_SNAPSHOT_SIZE, false, &item->snapshot, refusal);
    if (ok && secrets_fd >= 0) {
        ok = generations_take_secrets(all, item, secrets_fd, refusal);
    } else if (ok && all->current != NULL && all->current->secrets != NULL) {
        item->secrets = all->current->secrets;
        item->secrets->users++;
    }
    if (ok) {
        ok = view_open_begin(&item->proxy.view, item->snapshot.base, item->snapshot.size,
                             refusal) == VIEW_MORE;
    }
    if (!ok) {
        generations_free(item);
        return false;
    }
    if (item->secrets != NULL) {
        item->proxy.secrets = item->secrets->opened;
    }
    all->next = item;
    all->stage = GENERATIONS_OPENING;
    return true;
}

/* Every byte is checked: secrets that are new enough, then the proxy's own preparations. */
static bool generations_prepare(struct generations *all, struct view_refusal *refusal)
{
    struct generations_item *item = all->next;
    uint64_t wanted = item->proxy.view.head->secrets_generation;
    const struct abi_secrets *secrets = item->proxy.secrets.head;

    if (wanted > 0 && (secrets == NULL || secrets->generation < wanted)) {
        return generations_refuse(refusal, ABI_REFUSAL_SECRET,
                                  "the snapshot wants a newer secrets region than there is");
    }
    return proxy_prepare(all->proxy, &item->proxy, refusal);
}

enum view_progress generations_step(struct generations *all, uint64_t budget_ns,
                                    struct view_refusal *refusal)
{
    uint64_t end = generations_now_ns() + budget_ns;
    enum view_progress progress;

    MUST(all->stage == GENERATIONS_OPENING);
    do {
        progress = view_open_step(&all->next->proxy.view, GENERATIONS_STEP, refusal);
    } while (progress == VIEW_MORE && generations_now_ns() < end);
    if (progress == VIEW_READY) {
        progress = generations_prepare(all, refusal) ? VIEW_READY : VIEW_REFUSED;
    }
    if (progress == VIEW_READY) {
        all->stage = GENERATIONS_PREPARED;
    }
    if (progress == VIEW_REFUSED) {
        generations_free(all->next);
        all->next = NULL;
        all->stage = GENERATIONS_NONE;
    }
    return progress;
}

void generations_commit(struct generations *all)
{
    MUST(all->stage == GENERATIONS_PREPARED);
    all->next->committed = true;
    all->current = all->next;
    all->next = NULL;
    all->stage = GENERATIONS_NONE;
    proxy_commit(all->proxy); /* may hand the one before back at once */
}

void generations_abort(struct generations *all)
{
    struct generations_item *item = all->next;
    enum generations_stage stage = all->stage;

    all->next = NULL;
    all->stage = GENERATIONS_NONE;
    if (stage == GENERATIONS_OPENING) {
        generations_free(item);
    }
    if (stage == GENERATIONS_PREPARED) {
        proxy_abort(all->proxy); /* hands it back */
    }
}

void generations_released(void *context, struct proxy_generation *generation)
{
    struct generations_item *item = LIST_OWNER(generation, struct generations_item, proxy);

    (void)context;
    MUST(item->used);
    item->released = true;
}

uint64_t generations_reap(struct generations *all, bool *committed)
{
    for (uint32_t i = 0; i < LIMIT_LIVE_VIEWS; i++) {
        struct generations_item *item = &all->items[i];

        if (item->used && item->released) {
            uint64_t generation = item->proxy.view.head->generation;

            MUST(item != all->current);
            *committed = item->committed;
            generations_free(item);
            return generation;
        }
    }
    return 0;
}

uint32_t generations_live(const struct generations *all)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < LIMIT_LIVE_VIEWS; i++) {
        count += all->items[i].used ? 1u : 0u;
    }
    return count;
}
