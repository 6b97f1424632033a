#include "worker/cpus.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cunit.h"

static void takes(const char *text, uint32_t count, const uint32_t *list)
{
    struct cpus cpus;

    cunit_context("%s", text);
    CHECK(cpus_parse(text, &cpus));
    CHECK_UINT(cpus.count, count);
    for (uint32_t i = 0; i < count && i < cpus.count; i++) {
        CHECK_UINT(cpus.list[i], list[i]);
    }
}

TEST(lists_of_processors)
{
    takes("0", 1, (uint32_t[]){0});
    takes("3", 1, (uint32_t[]){3});
    takes("0-3", 4, (uint32_t[]){0, 1, 2, 3});
    takes("1,2", 2, (uint32_t[]){1, 2});
    takes("2,0-1,7", 4, (uint32_t[]){2, 0, 1, 7});
    takes("5-5", 1, (uint32_t[]){5});
    takes("1023", 1, (uint32_t[]){1023});
}

TEST(what_is_no_list)
{
    static const char *const bad[] = {"",      ",",   "1,",   ",1",    "a",        "1-",
                                      "-1",    "3-1", "1 ",   " 1",    "1,,2",     "1--2",
                                      "1-2-3", "0x1", "1024", "99999", "123456",   "1.5",
                                      "1;2",   "+1",  "1,1",  "0-3,2", "0-40,0-40"};
    struct cpus cpus;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cunit_context("'%s'", bad[i]);
        CHECK(!cpus_parse(bad[i], &cpus));
    }
}

TEST(as_many_as_there_can_be_workers)
{
    struct cpus cpus;

    CHECK(cpus_parse("0-62", &cpus));
    CHECK(cpus_parse("0-63", &cpus));
    CHECK_UINT(cpus.count, LIMIT_WORKERS);
    CHECK(!cpus_parse("0-64", &cpus));
    CHECK(!cpus_parse("0-63,64", &cpus));
    CHECK(cpus_parse("0-61,62,63", &cpus));
}

TEST(this_process_may_run_somewhere)
{
    struct cpus cpus;

    CHECK(cpus_allowed(&cpus));
    CHECK(cpus.count >= 1);
    CHECK(cpus.count <= LIMIT_WORKERS);
}

static int spares(void)
{
    struct cpus all, left;
    bool two, none;

    if (!cpus_allowed(&all) || all.count < 2) {
        return 2;
    }
    none = cpus_spare(&all, all.count); /* each has its worker */
    two = cpus_spare(&all, all.count - 1);
    return !none && two && cpus_allowed(&left) && left.count == 1 &&
                   left.list[0] == all.list[all.count - 1]
               ? 0
               : 1;
}

TEST(what_the_workers_leave)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        _exit(spares());
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2) {
        cunit_skip("one processor only");
    }
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
