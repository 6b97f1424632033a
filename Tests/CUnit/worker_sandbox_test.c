#include "worker/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cunit.h"

/* What a process inside the sandbox found out, bit by bit. */
enum finding {
    FINDING_SECCOMP = 1,
    FINDING_LANDLOCK = 2,
    FINDING_OPENED = 4,
    FINDING_FORKED = 8,
    FINDING_LISTENED = 16,
    FINDING_SIGNALLED = 32,
    FINDING_NO_MEMORY = 64,
    FINDING_NO_SOCKET = 128,
};

/* Exit statuses have eight bits, so the engines' calls are looked at apart. */
enum engine_finding {
    ENGINE_FINDING_SECCOMP = 1,
    ENGINE_FINDING_URING = 2,   /* io_uring_enter passes the filter */
    ENGINE_FINDING_EPOLL = 4,   /* waiting and registering work */
    ENGINE_FINDING_ACCEPT = 8,  /* accept4 passes the filter */
    ENGINE_FINDING_CREATED = 16 /* a further set or ring could be made */
};

static int look_at_calls(enum sandbox_engine engine)
{
    struct epoll_event event = {.events = EPOLLIN};
    struct sandbox_report report;
    int set = epoll_create1(EPOLL_CLOEXEC), found = 0, pair[2] = {-1, -1};

    (void)socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    sandbox_enter(engine, &report);
    found |= report.no_new_privs && report.seccomp ? ENGINE_FINDING_SECCOMP : 0;
    /* No ring and no listener: what passes the filter fails for another reason. */
    found |= syscall(SYS_io_uring_enter, pair[0], 0, 0, 0, NULL, 0) < 0 && errno != EPERM
                 ? ENGINE_FINDING_URING
                 : 0;
    found |=
        epoll_ctl(set, EPOLL_CTL_ADD, pair[0], &event) == 0 && epoll_wait(set, &event, 1, 0) == 0
            ? ENGINE_FINDING_EPOLL
            : 0;
    found |= accept4(pair[0], NULL, NULL, 0) < 0 && errno != EPERM ? ENGINE_FINDING_ACCEPT : 0;
    found |= epoll_create1(0) >= 0 || syscall(SYS_io_uring_setup, 1, NULL) >= 0 || errno != EPERM
                 ? ENGINE_FINDING_CREATED
                 : 0;
    return found;
}

static int look_around(void)
{
    struct sandbox_report report;
    int found = 0, pair[2] = {-1, -1};
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    void *page;

    (void)socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    sandbox_enter(SANDBOX_URING, &report);
    found |= report.no_new_privs && report.seccomp ? FINDING_SECCOMP : 0;
    found |= report.landlock > 0 ? FINDING_LANDLOCK : 0;
    found |= open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0 ? FINDING_OPENED : 0;
    found |= fork() >= 0 ? FINDING_FORKED : 0;
    found |= listen(listener, 1) == 0 ? FINDING_LISTENED : 0;
    found |= kill(getppid(), 0) == 0 ? FINDING_SIGNALLED : 0;
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    found |= page == MAP_FAILED ? FINDING_NO_MEMORY : 0;
    found |=
        write(pair[0], "x", 1) != 1 || socket(AF_INET, SOCK_STREAM, 0) < 0 ? FINDING_NO_SOCKET : 0;
    return found;
}

static int look_around_as_logger(void)
{
    struct sandbox_report report;
    int found = 0, pair[2] = {-1, -1};

    (void)socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    sandbox_enter_logger(&report);
    found |= report.no_new_privs && report.seccomp ? FINDING_SECCOMP : 0;
    found |= open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0 ? FINDING_OPENED : 0;
    found |= fork() >= 0 ? FINDING_FORKED : 0;
    found |= kill(getppid(), 0) == 0 ? FINDING_SIGNALLED : 0;
    found |= write(pair[0], "x", 1) != 1 ? FINDING_NO_MEMORY : 0;
    found |= socket(AF_INET, SOCK_STREAM, 0) < 0 ? FINDING_NO_SOCKET : 0;
    return found;
}

TEST(the_logger_keeps_its_files_and_nothing_else)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        _exit(look_around_as_logger());
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    if (!CHECK(WIFEXITED(status))) {
        return;
    }
    if ((WEXITSTATUS(status) & FINDING_SECCOMP) == 0) {
        cunit_skip("this kernel takes no seccomp filter");
    }
    CHECK_INT(WEXITSTATUS(status), FINDING_SECCOMP | FINDING_OPENED | FINDING_NO_SOCKET);
}

TEST(a_worker_gives_up_what_it_does_not_need)
{
    int found, status = 0;
    pid_t child = fork();

    if (child == 0) {
        _exit(look_around());
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    if (!CHECK(WIFEXITED(status))) {
        return;
    }
    found = WEXITSTATUS(status);
    if ((found & FINDING_SECCOMP) == 0) {
        cunit_skip("this kernel takes no seccomp filter");
    }
    CHECK((found & FINDING_OPENED) == 0);
    CHECK((found & FINDING_FORKED) == 0);
    CHECK((found & FINDING_LISTENED) == 0);
    CHECK((found & FINDING_SIGNALLED) == 0);
    CHECK((found & FINDING_NO_MEMORY) == 0);
    CHECK((found & FINDING_NO_SOCKET) == 0);
}

static int findings_with(enum sandbox_engine engine)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        _exit(look_at_calls(engine));
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    if ((WEXITSTATUS(status) & ENGINE_FINDING_SECCOMP) == 0) {
        cunit_skip("this kernel takes no seccomp filter");
    }
    return WEXITSTATUS(status);
}

TEST(each_engine_may_call_what_it_waits_with_and_not_the_other)
{
    CHECK_INT(findings_with(SANDBOX_URING),
              ENGINE_FINDING_SECCOMP | ENGINE_FINDING_URING | ENGINE_FINDING_ACCEPT);
    CHECK_INT(findings_with(SANDBOX_EPOLL),
              ENGINE_FINDING_SECCOMP | ENGINE_FINDING_EPOLL | ENGINE_FINDING_ACCEPT);
}
