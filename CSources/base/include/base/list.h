/* Intrusive doubly linked ring. A head is a link that points at itself when the list is empty; an
 * unlinked member points at itself too, so removing it twice is harmless. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_link {
    struct list_link *next;
    struct list_link *prev;
};

/* The structure that holds `link` as its `member`. */
#define LIST_OWNER(link, type, member) ((type *)((char *)(link) - offsetof(type, member)))

static inline void list_init(struct list_link *link)
{
    link->next = link;
    link->prev = link;
}

static inline bool list_is_empty(const struct list_link *head)
{
    return head->next == head;
}

static inline void list_add_before(struct list_link *position, struct list_link *link)
{
    link->prev = position->prev;
    link->next = position;
    position->prev->next = link;
    position->prev = link;
}

static inline void list_add_first(struct list_link *head, struct list_link *link)
{
    list_add_before(head->next, link);
}

static inline void list_add_last(struct list_link *head, struct list_link *link)
{
    list_add_before(head, link);
}

static inline void list_remove(struct list_link *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    list_init(link);
}

/* NULL when the list is empty. */
static inline struct list_link *list_first(struct list_link *head)
{
    return list_is_empty(head) ? NULL : head->next;
}

#endif
