#include "base/list.h"

#include "cunit.h"

struct item {
    int value;
    struct list_link link;
};

/* The values of a list as the digits of a number. */
static int64_t list_digits(struct list_link *head)
{
    int64_t digits = 0;

    for (struct list_link *at = head->next; at != head; at = at->next) {
        CHECK(at->prev->next == at);
        CHECK(at->next->prev == at);
        digits = digits * 10 + LIST_OWNER(at, struct item, link)->value;
    }
    return digits;
}

TEST(members_come_and_go)
{
    struct list_link head;
    struct item items[3] = {{.value = 1}, {.value = 2}, {.value = 3}};

    list_init(&head);
    CHECK(list_is_empty(&head));
    CHECK(list_first(&head) == NULL);
    list_add_last(&head, &items[1].link);
    list_add_last(&head, &items[2].link);
    list_add_first(&head, &items[0].link);
    CHECK_INT(list_digits(&head), 123);
    CHECK(LIST_OWNER(list_first(&head), struct item, link) == &items[0]);
    list_remove(&items[1].link);
    CHECK_INT(list_digits(&head), 13);
    list_add_before(&items[0].link, &items[1].link);
    CHECK_INT(list_digits(&head), 213);
}

TEST(removing_twice_is_harmless)
{
    struct list_link head;
    struct item items[2] = {{.value = 1}, {.value = 2}};

    list_init(&head);
    list_add_last(&head, &items[0].link);
    list_add_last(&head, &items[1].link);
    list_remove(&items[0].link);
    list_remove(&items[0].link);
    CHECK_INT(list_digits(&head), 2);
    list_remove(&items[1].link);
    CHECK(list_is_empty(&head));
}
