#include "crash.h"

#include <execinfo.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/must.h"

#define CRASH_FRAMES 48
#define CRASH_EVENTS 64u
#define CRASH_STACK  65536u

static const struct evlog *crash_events;
static const uint64_t *crash_generation;
static uint32_t crash_worker;

struct crash_line {
    char text[160];
    size_t length;
};

static void crash_put(struct crash_line *line, const char *text)
{
    size_t length = strlen(text);

    if (length <= sizeof(line->text) - line->length) {
        memcpy(line->text + line->length, text, length);
        line->length += length;
    }
}

static void crash_put_number(struct crash_line *line, uint64_t value, unsigned base)
{
    static const char symbols[] = "0123456789abcdef";
    char digits[32];
    size_t at = sizeof(digits) - 1;

    digits[at] = '\0';
    do {
        digits[--at] = symbols[value % base];
        value /= base;
    } while (value != 0);
    crash_put(line, digits + at);
}

static const char *crash_name(int number)
{
    switch (number) {
    case SIGSEGV:
        return "SIGSEGV";
    case SIGBUS:
        return "SIGBUS";
    case SIGILL:
        return "SIGILL";
    case SIGFPE:
        return "SIGFPE";
    case SIGSYS:
        return "SIGSYS";
    default:
        return "SIGABRT";
    }
}

/* Only what is safe in a signal handler: no allocation, no stdio. */
static void crash_handle(int number, siginfo_t *info, void *context)
{
    void *frames[CRASH_FRAMES];
    struct crash_line line = {.length = 0};
    int count;

    (void)context;
    crash_put(&line, "<4>worker ");
    crash_put_number(&line, crash_worker, 10);
    crash_put(&line, " crashed: ");
    crash_put(&line, crash_name(number));
    if (info->si_code == SI_USER) {
        crash_put(&line, " sent by process ");
        crash_put_number(&line, (uint64_t)info->si_pid, 10);
    } else if (number == SIGSEGV || number == SIGBUS) {
        crash_put(&line, " at address 0x");
        crash_put_number(&line, (uint64_t)(uintptr_t)info->si_addr, 16);
    }
    crash_put(&line, ", generation ");
    crash_put_number(&line, crash_generation != NULL ? *crash_generation : 0, 10);
    crash_put(&line, "; backtrace and newest events follow\n");
    if (write(STDERR_FILENO, line.text, line.length) > 0) {
        count = backtrace(frames, CRASH_FRAMES);
        backtrace_symbols_fd(frames, count, STDERR_FILENO);
        evlog_dump(crash_events, STDERR_FILENO, CRASH_EVENTS);
    }
    /* SA_RESETHAND has put the default action back. A fault happens again when this returns, with
     * its true place in the core dump; a signal that somebody sent has to be sent again. */
    if (info->si_code <= 0) {
        raise(number);
    }
}

void crash_install(uint32_t worker, const struct evlog *events, const uint64_t *generation)
{
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGSYS, SIGABRT};
    struct sigaction action = {.sa_sigaction = crash_handle,
                               .sa_flags = (int)(SA_SIGINFO | SA_ONSTACK | SA_RESETHAND)};
    stack_t stack = {.ss_size = CRASH_STACK};
    void *frame;

    crash_worker = worker;
    crash_events = events;
    crash_generation = generation;
    /* The first call loads the unwinder, which must not happen inside a handler or the sandbox. */
    MUST(backtrace(&frame, 1) >= 0);
    stack.ss_sp =
        mmap(NULL, CRASH_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(stack.ss_sp != MAP_FAILED);
    MUST(sigaltstack(&stack, NULL) == 0);
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        MUST(sigaction(numbers[i], &action, NULL) == 0);
    }
}
