#include "http2/h2_memory.h"

#include <stdbool.h>
#include <string.h>

#include "base/must.h"

#define H2_SMALLEST 32u

struct h2_slab {
    struct list_link link; /* memory.free or memory.partial; alone while it is full */
    void *free;            /* objects given back, each pointing to the next */
    uint32_t class;
    uint32_t size;
    uint32_t used;
    uint32_t fresh; /* bytes from the start that were ever given out */
};

#define H2_SLAB_HEAD 64u
_Static_assert(sizeof(struct h2_slab) <= H2_SLAB_HEAD, "objects follow the head");
_Static_assert(H2_SMALLEST << (H2_MEMORY_CLASSES / 2) == 65536u, "the last class is 64 KiB");

static uint32_t h2_class_size(uint32_t class)
{
    uint32_t size = H2_SMALLEST << (class / 2);

    return class % 2 == 0 ? size : size + size / 2;
}

static uint32_t h2_class_of(size_t size)
{
    uint32_t power;

    if (size <= H2_SMALLEST) {
        return 0;
    }
    if (size > 65536u) {
        return H2_MEMORY_CLASSES;
    }
    power = 31u - (uint32_t)__builtin_clz((uint32_t)size - 1) - 5u; /* 2^power * 32 < size */
    return size <= (H2_SMALLEST + H2_SMALLEST / 2) << power ? 2 * power + 1 : 2 * power + 2;
}

void h2_memory_init(struct h2_memory *memory, void *arena, size_t size)
{
    MUST((uintptr_t)arena % H2_SLAB_SIZE == 0 && size % H2_SLAB_SIZE == 0);
    memset(memory, 0, sizeof(*memory));
    memory->arena = arena;
    memory->slabs = (uint32_t)(size / H2_SLAB_SIZE);
    list_init(&memory->free);
    for (uint32_t i = 0; i < H2_MEMORY_CLASSES; i++) {
        list_init(&memory->partial[i]);
    }
}

static struct h2_slab *h2_slab_take(struct h2_memory *memory, uint32_t class)
{
    struct list_link *link = list_first(&memory->free);
    struct h2_slab *slab;

    if (link != NULL) {
        slab = LIST_OWNER(link, struct h2_slab, link);
        list_remove(link);
    } else if (memory->fresh < memory->slabs) {
        slab = (struct h2_slab *)(void *)(memory->arena + (size_t)memory->fresh * H2_SLAB_SIZE);
        memory->fresh++;
        list_init(&slab->link);
    } else {
        return NULL;
    }
    slab->class = class;
    slab->size = h2_class_size(class);
    slab->free = NULL;
    slab->used = 0;
    slab->fresh = H2_SLAB_HEAD;
    list_add_first(&memory->partial[class], &slab->link);
    memory->used++;
    memory->high_water = memory->used > memory->high_water ? memory->used : memory->high_water;
    return slab;
}

static bool h2_slab_is_full(const struct h2_slab *slab)
{
    return slab->free == NULL && slab->fresh + slab->size > H2_SLAB_SIZE;
}

void *h2_memory_take(struct h2_memory *memory, size_t size)
{
    uint32_t class = h2_class_of(size);
    struct list_link *link;
    struct h2_slab *slab;
    void *object;

    if (class >= H2_MEMORY_CLASSES) {
        return NULL;
    }
    link = list_first(&memory->partial[class]);
    slab = link != NULL ? LIST_OWNER(link, struct h2_slab, link) : h2_slab_take(memory, class);
    if (slab == NULL) {
        return NULL;
    }
    if (slab->free != NULL) {
        object = slab->free;
        memcpy(&slab->free, object, sizeof(slab->free));
    } else {
        object = (uint8_t *)slab + slab->fresh;
        slab->fresh += slab->size;
    }
    slab->used++;
    if (h2_slab_is_full(slab)) {
        list_remove(&slab->link);
    }
    return object;
}

static struct h2_slab *h2_slab_of(const struct h2_memory *memory, const void *object)
{
    size_t at = (size_t)((const uint8_t *)object - memory->arena);

    MUST(at < (size_t)memory->fresh * H2_SLAB_SIZE);
    return (struct h2_slab *)(void *)(memory->arena + at / H2_SLAB_SIZE * H2_SLAB_SIZE);
}

void h2_memory_give(struct h2_memory *memory, void *object)
{
    struct h2_slab *slab;

    if (object == NULL) {
        return;
    }
    slab = h2_slab_of(memory, object);
    if (h2_slab_is_full(slab)) {
        list_add_first(&memory->partial[slab->class], &slab->link);
    }
    memcpy(object, &slab->free, sizeof(slab->free));
    slab->free = object;
    slab->used--;
    if (slab->used == 0) {
        list_remove(&slab->link);
        list_add_first(&memory->free, &slab->link);
        memory->used--;
    }
}

void *h2_memory_resize(struct h2_memory *memory, void *object, size_t size)
{
    struct h2_slab *slab;
    void *bigger;

    if (object == NULL) {
        return h2_memory_take(memory, size);
    }
    slab = h2_slab_of(memory, object);
    if (size <= slab->size) {
        return object;
    }
    bigger = h2_memory_take(memory, size);
    if (bigger != NULL) {
        memcpy(bigger, object, slab->size);
        h2_memory_give(memory, object);
    }
    return bigger;
}
