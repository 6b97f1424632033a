#include "base/must.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static void (*must_hook)(void);

void must_set_hook(void (*hook)(void))
{
    must_hook = hook;
}

void must_failed(const char *condition, const char *file, int line)
{
    static atomic_flag running = ATOMIC_FLAG_INIT;

    fprintf(stderr, "invariant broken: %s at %s:%d\n", condition, file, line);
    if (must_hook != NULL && !atomic_flag_test_and_set(&running)) {
        must_hook();
    }
    abort();
}
