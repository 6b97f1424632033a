#include "worker/crash.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/must.h"
#include "cunit.h"

static struct evlog events;
static const uint64_t generation = 42;

static void crash_by(int number)
{
    crash_install(3, &events, &generation);
    evlog_note(&events, "committed", 41, 0);
    evlog_note(&events, "prepare", 42, 1);
    if (number == SIGABRT) {
        MUST(generation == 0);
    }
    raise(number);
    _exit(0);
}

/* What a process that crashed by `number` left on its standard error. */
static size_t last_words(int number, char *out, size_t size, int *status)
{
    int ends[2];
    size_t used = 0;
    ssize_t got;
    pid_t child;

    CHECK_INT(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        crash_by(number);
    }
    close(ends[1]);
    while (used < size - 1 && (got = read(ends[0], out + used, size - 1 - used)) > 0) {
        used += (size_t)got;
    }
    close(ends[0]);
    out[used] = '\0';
    CHECK_INT(waitpid(child, status, 0), child);
    return used;
}

TEST(a_crash_leaves_its_cause_a_backtrace_and_the_newest_events)
{
    const int numbers[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE};
    const char *const names[] = {"SIGSEGV", "SIGBUS", "SIGABRT", "SIGILL", "SIGFPE"};

    for (int i = 0; i < 5; i++) {
        static char words[32768];
        char expected[64] = "<4>worker 3 crashed: ";
        int status = 0;

        strncat(expected, names[i], 10);
        CHECK(last_words(numbers[i], words, sizeof(words), &status) > 0);
        cunit_context("%s: %s", names[i], words);
        CHECK(WIFSIGNALED(status));
        CHECK_INT(WTERMSIG(status), numbers[i]); /* the default action follows */
        CHECK(strstr(words, expected) != NULL);
        CHECK(strstr(words, "generation 42") != NULL);
        CHECK(strstr(words, "committed 41 0\nprepare 42 1\n") != NULL);
        CHECK(strstr(words, "0x") != NULL || strstr(words, "+0x") != NULL);
    }
}
