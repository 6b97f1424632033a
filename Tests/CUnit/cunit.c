#include "cunit.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cunit_private.h"

#define CUNIT_DEADLINE_S     120u /* for one test: an endless loop is a failure with a name */
#define CUNIT_SHOWN_FAILURES 10u  /* per test; the rest is only counted */
#define CUNIT_SHOWN_BYTES    160u
#define CUNIT_DEFAULT_SEED   0x52696e676d657368ULL

static struct {
    struct cunit_test *tests;
    const struct cunit_test *now;
    uint64_t seed;
    uint64_t random;
    uint64_t checks;   /* of the test that runs */
    uint64_t failures; /* of the test that runs */
    uint32_t passed;
    uint32_t failed;
    uint32_t skipped;
    bool verbose;
    char context[256];
    jmp_buf skip;
} cunit;

/* "wire_h1" of ".../wire_h1_test.c". */
static struct bytes cunit_file_title(const char *file)
{
    const char *slash = strrchr(file, '/');
    struct bytes title = cunit_text(slash == NULL ? file : slash + 1);
    const struct bytes suffix = BYTES_LITERAL("_test.c");

    return bytes_has_suffix(title, suffix) ? bytes_part(title, 0, title.len - suffix.len) : title;
}

/* By file, then by name: the order of the run does not depend on the linker. */
static int cunit_order(const struct cunit_test *a, const struct cunit_test *b)
{
    int files = strcmp(a->file, b->file);

    return files != 0 ? files : strcmp(a->name, b->name);
}

void cunit_register(struct cunit_test *test)
{
    struct cunit_test **at = &cunit.tests;

    while (*at != NULL && cunit_order(*at, test) < 0) {
        at = &(*at)->next;
    }
    test->next = *at;
    *at = test;
}

struct bytes cunit_text(const char *text)
{
    return bytes_of(text, strlen(text));
}

static void cunit_print_name(FILE *out, const struct cunit_test *test)
{
    struct bytes title = cunit_file_title(test->file);

    fprintf(out, "%.*s/%s", (int)title.len, (const char *)title.ptr, test->name);
}

/* Visible ASCII as it is, the rest escaped: what a test looks at may be made for terminals. */
static void cunit_print_escaped(struct bytes in)
{
    for (size_t i = 0; i < in.len; i++) {
        uint8_t c = in.ptr[i];

        if (c == '\r' || c == '\n') {
            printf(c == '\r' ? "\\r" : "\\n");
        } else if (c == '"' || c == '\\') {
            printf("\\%c", c);
        } else if (c >= 0x20 && c < 0x7f) {
            putchar(c);
        } else {
            printf("\\x%02x", c);
        }
    }
}

static void cunit_print_bytes(const char *label, struct bytes in)
{
    bool whole = in.len <= CUNIT_SHOWN_BYTES;

    printf("    %s %zu bytes: \"", label, in.len);
    cunit_print_escaped(whole ? in : bytes_part(in, 0, CUNIT_SHOWN_BYTES));
    printf(whole ? "\"\n" : "\"...\n");
}

/* Counts a failure; true when its details are to be printed. */
static bool cunit_fail(const char *what, const char *file, int line)
{
    cunit.failures++;
    if (cunit.failures > CUNIT_SHOWN_FAILURES) {
        return false;
    }
    if (cunit.failures == 1) {
        printf("FAILED ");
        cunit_print_name(stdout, cunit.now);
        printf(" (seed 0x%llx)\n", (unsigned long long)cunit.seed);
    }
    printf("  %s:%d: %s\n", file, line, what);
    if (cunit.context[0] != '\0') {
        printf("    with ");
        cunit_print_escaped(cunit_text(cunit.context));
        printf("\n");
    }
    return true;
}

bool cunit_check(bool held, const char *what, const char *file, int line)
{
    cunit.checks++;
    if (!held) {
        cunit_fail(what, file, line);
    }
    return held;
}

bool cunit_check_int(int64_t actual, int64_t expected, const char *what, const char *file, int line)
{
    cunit.checks++;
    if (actual != expected && cunit_fail(what, file, line)) {
        printf("    %lld, expected %lld\n", (long long)actual, (long long)expected);
    }
    return actual == expected;
}

bool cunit_check_uint(uint64_t actual, uint64_t expected, const char *what, const char *file,
                      int line)
{
    cunit.checks++;
    if (actual != expected && cunit_fail(what, file, line)) {
        printf("    %llu (0x%llx), expected %llu (0x%llx)\n", (unsigned long long)actual,
               (unsigned long long)actual, (unsigned long long)expected,
               (unsigned long long)expected);
    }
    return actual == expected;
}

bool cunit_check_bytes(struct bytes actual, struct bytes expected, const char *what,
                       const char *file, int line)
{
    bool held = bytes_equal(actual, expected);

    cunit.checks++;
    if (!held && cunit_fail(what, file, line)) {
        cunit_print_bytes("actual  ", actual);
        cunit_print_bytes("expected", expected);
    }
    return held;
}

bool cunit_aborts(void (*run)(void *argument), void *argument)
{
    int status = 0;
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child == 0) {
        const struct rlimit no_core = {0, 0};

        setrlimit(RLIMIT_CORE, &no_core);
        if (freopen("/dev/null", "w", stderr) == NULL) {
            _exit(1);
        }
        signal(SIGABRT, SIG_DFL);
        run(argument);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) {
        return false;
    }
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

void cunit_context(const char *format, ...)
{
    va_list arguments;

    cunit.context[0] = '\0';
    if (format != NULL) {
        va_start(arguments, format);
        vsnprintf(cunit.context, sizeof(cunit.context), format, arguments);
        va_end(arguments);
    }
}

void cunit_skip(const char *format, ...)
{
    va_list arguments;

    printf("SKIPPED ");
    cunit_print_name(stdout, cunit.now);
    printf(": ");
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    longjmp(cunit.skip, 1);
}

/* splitmix64: every seed is good, also 0. */
uint64_t cunit_random(void)
{
    uint64_t z = cunit.random += 0x9e3779b97f4a7c15ULL;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

uint32_t cunit_random_below(uint32_t bound)
{
    return (uint32_t)(((cunit_random() >> 32) * bound) >> 32);
}

static void cunit_run(const struct cunit_test *test)
{
    cunit.now = test;
    cunit.random = cunit.seed;
    cunit.checks = 0;
    cunit.failures = 0;
    cunit.context[0] = '\0';
    if (cunit.verbose) {
        cunit_print_name(stdout, test);
        printf("\n");
    }
    fflush(stdout);
    alarm(CUNIT_DEADLINE_S);
    if (setjmp(cunit.skip) != 0) {
        cunit.skipped++;
    } else {
        test->run();
        if (cunit.checks == 0) {
            cunit_fail("a test without checks", test->file, 0);
        }
        if (cunit.failures > CUNIT_SHOWN_FAILURES) {
            printf("  %llu of %llu checks failed\n", (unsigned long long)cunit.failures,
                   (unsigned long long)cunit.checks);
        }
        cunit.failed += cunit.failures > 0;
        cunit.passed += cunit.failures == 0;
    }
    alarm(0);
    cunit_guard_release();
}

/* Names the test in which the process dies: by a deadline, a MUST or a sanitizer's abort. */
static void cunit_died(int number)
{
    const char *reason = number == SIGALRM ? ": took too long\n" : ": aborted\n";
    struct bytes title = cunit_file_title(cunit.now->file);
    struct bytes parts[] = {cunit_text("DIED "), title, cunit_text("/"),
                            cunit_text(cunit.now->name), cunit_text(reason)};

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (write(STDOUT_FILENO, parts[i].ptr, parts[i].len) < 0) {
            break;
        }
    }
    signal(number, SIG_DFL);
    raise(number);
}

static bool cunit_wanted(const struct cunit_test *test, int count, char **filters)
{
    char name[256];
    struct bytes title = cunit_file_title(test->file);

    snprintf(name, sizeof(name), "%.*s/%s", (int)title.len, (const char *)title.ptr, test->name);
    for (int i = 0; i < count; i++) {
        if (strstr(name, filters[i]) != NULL) {
            return true;
        }
    }
    return count == 0;
}

int main(int argc, char **argv)
{
    const char *seed = getenv("CUNIT_SEED");
    int first = 1;

    cunit.seed = seed == NULL ? CUNIT_DEFAULT_SEED : strtoull(seed, NULL, 0);
    if (first < argc && strcmp(argv[first], "-v") == 0) {
        cunit.verbose = true;
        first++;
    }
    signal(SIGALRM, cunit_died);
    signal(SIGABRT, cunit_died);
    for (const struct cunit_test *test = cunit.tests; test != NULL; test = test->next) {
        if (cunit_wanted(test, argc - first, argv + first)) {
            cunit_run(test);
        }
    }
    if (cunit.skipped > 0) {
        printf("%u skipped\n", cunit.skipped);
    }
    printf("%u passed, %u failed\n", cunit.passed, cunit.failed);
    if (cunit.passed + cunit.failed + cunit.skipped == 0) {
        fprintf(stderr, "cunit: no test has such a name\n");
        return 64;
    }
    return cunit.failed == 0 ? 0 : 1;
}
