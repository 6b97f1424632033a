/* What a worker gives up once it runs: new privileges, every system call it has no use for, the
 * file system, and listening on or signalling anything of its own accord. Each part is taken as far
 * as the kernel has it. Operations inside io_uring do not pass seccomp; Landlock sees them. */
#ifndef WORKER_SANDBOX_H
#define WORKER_SANDBOX_H

#include <stdbool.h>

struct sandbox_report {
    bool no_new_privs;
    bool seccomp;
    int landlock; /* ABI version in force, 0 = none */
};

/* What the worker waits with: the other's system calls are not let through. */
enum sandbox_engine {
    SANDBOX_URING,
    SANDBOX_EPOLL,
};

/* For the calling process, for good. Never fails: `report` says what is in force. */
void sandbox_enter(enum sandbox_engine engine, struct sandbox_report *report);

/* As above for the logger, which opens files by names that a snapshot brings, so Landlock is not
 * for it. */
void sandbox_enter_logger(struct sandbox_report *report);

#endif
