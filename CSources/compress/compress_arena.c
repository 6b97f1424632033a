#include "compress_arena.h"

#include <stdbool.h>

#include "base/must.h"

#define ALIGNMENT 16u
/* In front of what is taken: its size. */
#define HEADER ALIGNMENT

_Static_assert(sizeof(struct compress_gap) <= HEADER, "whatever was taken can become a gap");

void compress_arena_init(struct compress_arena *arena, void *memory, size_t size)
{
    struct compress_gap *gap = memory;

    MUST((uintptr_t)memory % ALIGNMENT == 0);
    gap->size = size - size % ALIGNMENT;
    gap->next = NULL;
    arena->gaps = gap;
}

void *compress_arena_take(struct compress_arena *arena, size_t size)
{
    if (size > SIZE_MAX - HEADER - ALIGNMENT) {
        return NULL;
    }
    size_t wanted = HEADER + (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;

    for (struct compress_gap **at = &arena->gaps; *at != NULL; at = &(*at)->next) {
        struct compress_gap *gap = *at;

        if (gap->size < wanted) {
            continue;
        }
        if (gap->size - wanted < HEADER + ALIGNMENT) { /* too little left to be of use */
            *at = gap->next;
        } else {
            struct compress_gap *rest = (struct compress_gap *)((uint8_t *)gap + wanted);

            rest->size = gap->size - wanted;
            rest->next = gap->next;
            gap->size = wanted;
            *at = rest;
        }
        return (uint8_t *)gap + HEADER; /* gap->size stays as its header */
    }
    return NULL;
}

static bool joins(const struct compress_gap *first, const struct compress_gap *second)
{
    return (const uint8_t *)first + first->size == (const uint8_t *)second;
}

void compress_arena_give(struct compress_arena *arena, void *memory)
{
    if (memory == NULL) {
        return;
    }
    struct compress_gap *gap = (struct compress_gap *)((uint8_t *)memory - HEADER);
    struct compress_gap *before = NULL;
    struct compress_gap *after = arena->gaps;

    while (after != NULL && after < gap) {
        before = after;
        after = after->next;
    }
    if (after != NULL && joins(gap, after)) {
        gap->size += after->size;
        after = after->next;
    }
    gap->next = after;
    if (before == NULL) {
        arena->gaps = gap;
    } else if (joins(before, gap)) {
        before->size += gap->size;
        before->next = after;
    } else {
        before->next = gap;
    }
}
