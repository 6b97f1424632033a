/* Memory beside unreadable pages. Mappings are kept for reuse within a test, because a test that
 * tries every truncation point of every vector needs some hundred thousand of them. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/must.h"
#include "cunit.h"
#include "cunit_private.h"

#define GUARD_MAX 4096u

struct guard {
    uint8_t *map;   /* unreadable page, `pages` pages, unreadable page */
    size_t pages;   /* readable ones */
    uint8_t *start; /* what the test got; NULL while free */
};

static struct guard guards[GUARD_MAX];
static size_t guard_count;

static size_t guard_page(void)
{
    static size_t page;

    if (page == 0) {
        page = (size_t)sysconf(_SC_PAGESIZE);
    }
    return page;
}

static struct guard *guard_take(size_t len)
{
    size_t page = guard_page();
    size_t pages = len == 0 ? 1 : (len + page - 1) / page;
    struct guard *guard;

    for (size_t i = 0; i < guard_count; i++) {
        if (guards[i].start == NULL && guards[i].pages == pages) {
            return &guards[i];
        }
    }
    MUST(guard_count < GUARD_MAX);
    guard = &guards[guard_count];
    guard->map = mmap(NULL, (pages + 2) * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(guard->map != MAP_FAILED);
    MUST(mprotect(guard->map + page, pages * page, PROT_READ | PROT_WRITE) == 0);
    guard->pages = pages;
    guard->start = NULL;
    guard_count++;
    return guard;
}

uint8_t *cunit_guarded_room(size_t len)
{
    struct guard *guard = guard_take(len);

    guard->start = guard->map + (guard->pages + 1) * guard_page() - len;
    memset(guard->start, 0xa5, len);
    return guard->start;
}

struct bytes cunit_guarded(struct bytes in)
{
    uint8_t *start = cunit_guarded_room(in.len);

    if (in.len > 0) {
        memcpy(start, in.ptr, in.len);
    }
    return bytes_of(start, in.len);
}

struct bytes cunit_guarded_start(struct bytes in)
{
    struct guard *guard = guard_take(in.len);

    guard->start = guard->map + guard_page();
    if (in.len > 0) {
        memcpy(guard->start, in.ptr, in.len);
    }
    return bytes_of(guard->start, in.len);
}

void cunit_unguard(const void *start)
{
    for (size_t i = guard_count; i > 0; i--) {
        if (guards[i - 1].start == start) {
            guards[i - 1].start = NULL;
            return;
        }
    }
    MUST(start == NULL); /* not from cunit_guarded, or given back twice */
}

void cunit_unguard_all(void)
{
    for (size_t i = 0; i < guard_count; i++) {
        guards[i].start = NULL;
    }
}

void cunit_guard_release(void)
{
    for (size_t i = 0; i < guard_count; i++) {
        MUST(munmap(guards[i].map, (guards[i].pages + 2) * guard_page()) == 0);
    }
    guard_count = 0;
}
