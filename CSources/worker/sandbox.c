#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/must.h"

/* --- seccomp --- */

/* What a worker's loop, OpenSSL, the C library's allocator and the last words of a crash call. Not
 * among them: opening files, starting programs or processes, making rings, binding and listening.
 * Whatever is missing fails with EPERM instead of ending the process: a forgotten call must not
 * become an outage. */
static const uint16_t sandbox_calls[] = {
    SYS_read,          SYS_readv,
    SYS_write,         SYS_writev,
    SYS_close,         SYS_close_range,
    SYS_recvfrom,      SYS_recvmsg,
    SYS_sendto,        SYS_sendmsg,
    SYS_socket,        SYS_connect,
    SYS_shutdown,      SYS_getsockopt,
    SYS_setsockopt,    SYS_getpeername,
    SYS_getsockname,   SYS_splice,
    SYS_pipe2,         SYS_fcntl,
    SYS_poll,          SYS_ppoll,
    SYS_fstat,         SYS_newfstatat,
    SYS_lseek,         SYS_mmap,
    SYS_munmap,        SYS_mremap,
    SYS_madvise,       SYS_mprotect,
    SYS_brk,           SYS_futex,
    SYS_clock_gettime, SYS_clock_getres,
    SYS_gettimeofday,  SYS_getrandom,
    SYS_nanosleep,     SYS_clock_nanosleep,
    SYS_sched_yield,   SYS_sched_getaffinity,
    SYS_rt_sigaction,  SYS_rt_sigprocmask,
    SYS_rt_sigreturn,  SYS_sigaltstack,
    SYS_gettid,        SYS_getpid,
    SYS_tgkill,        SYS_restart_syscall,
    SYS_rseq,          SYS_set_robust_list,
    SYS_membarrier,    SYS_sysinfo,
    SYS_getrusage,     SYS_exit,
    SYS_exit_group,
};

/* What the logger calls: files of its own, its channel, its memory. No socket, no process, no
 * program; whoever takes it over by a record can write files and nothing else. */
static const uint16_t sandbox_logger_calls[] = {
    SYS_read,         SYS_write,          SYS_close,           SYS_openat,
    SYS_fstat,        SYS_newfstatat,     SYS_lseek,           SYS_fcntl,
    SYS_poll,         SYS_ppoll,          SYS_recvmsg,         SYS_mmap,
    SYS_munmap,       SYS_madvise,        SYS_mprotect,        SYS_brk,
    SYS_futex,        SYS_clock_gettime,  SYS_nanosleep,       SYS_clock_nanosleep,
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn,    SYS_gettid,
    SYS_getpid,       SYS_tgkill,         SYS_restart_syscall, SYS_rseq,
    SYS_exit,         SYS_exit_group,     SYS_sigaltstack,     SYS_sched_yield,
};

#define SANDBOX_LOGGER_CALLS (sizeof(sandbox_logger_calls) / sizeof(sandbox_logger_calls[0]))

#define SANDBOX_CALLS (sizeof(sandbox_calls) / sizeof(sandbox_calls[0]))

/* What an engine needs besides; compared first, being called most. With io_uring accept4 is for the
 * last look at a listening socket. */
#define SANDBOX_ENGINE_CALLS 3u

static const uint16_t sandbox_engine_calls[][SANDBOX_ENGINE_CALLS] = {
    [SANDBOX_URING] = {SYS_io_uring_enter, SYS_io_uring_register, SYS_accept4},
    [SANDBOX_EPOLL] = {SYS_epoll_wait, SYS_epoll_ctl, SYS_accept4},
};

#define SANDBOX_MOST_CALLS (SANDBOX_ENGINE_CALLS + SANDBOX_CALLS)

_Static_assert(SANDBOX_MOST_CALLS < 250, "a jump of the filter has eight bits");
_Static_assert(SANDBOX_LOGGER_CALLS <= SANDBOX_MOST_CALLS, "its filter fits the same array");

#define SANDBOX_ARCH AUDIT_ARCH_X86_64 /* the numbers above are this architecture's */

struct sandbox_list {
    const uint16_t *calls;
    size_t count;
};

/* Lets through what stands in either list; `first` is compared first. */
static bool sandbox_seccomp(struct sandbox_list first, struct sandbox_list rest)
{
    /* load architecture; other: kill; load number; one comparison per call; refuse; allow */
    struct sock_filter code[4 + SANDBOX_MOST_CALLS + 2];
    struct sock_fprog program = {.len = 0, .filter = code};

    code[program.len++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    code[program.len++] =
        (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SANDBOX_ARCH, 1, 0);
    code[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    code[program.len++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < first.count + rest.count; i++) {
        uint8_t to_allow = (uint8_t)(first.count + rest.count - i);
        uint16_t call = i < first.count ? first.calls[i] : rest.calls[i - first.count];

        code[program.len++] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, to_allow, 0);
    }
    code[program.len++] =
        (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (EPERM & 0xffffu));
    code[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    MUST(program.len == 4 + first.count + rest.count + 2);
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

/* --- Landlock --- */

/* As of ABI 6; Debian's header ends at ABI 2. Newer fields are cut off for older kernels. */
struct sandbox_ruleset {
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
};

#define SANDBOX_FS_ABI1     0x1fffULL /* execute ... make_sym */
#define SANDBOX_FS_REFER    (1ULL << 13)
#define SANDBOX_FS_TRUNCATE (1ULL << 14)
#define SANDBOX_NET_BIND    1ULL
#define SANDBOX_SCOPE_ALL   3ULL /* abstract unix sockets, signals */

/* The kernel writes a core file with the rights of the process that died. */
#define SANDBOX_FS_CORE                                                                            \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE)

/* The folder in which core files are made: in `out`, false when none is needed (a program takes
 * them, or they are off). */
static bool sandbox_core_folder(char *out, size_t size)
{
    struct rlimit limit;
    ssize_t length;
    char *slash;
    int fd;

    if (getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_cur == 0) {
        return false;
    }
    fd = open("/proc/sys/kernel/core_pattern", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    length = read(fd, out, size - 1);
    close(fd);
    if (length <= 0 || out[0] == '|' || out[0] == '@') {
        return false;
    }
    out[length] = '\0';
    slash = strrchr(out, '/');
    if (slash == NULL) {
        memcpy(out, ".", 2);
    } else {
        slash[slash == out ? 1 : 0] = '\0';
    }
    return true;
}

static void sandbox_allow_core(int ruleset, uint64_t truncate)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = SANDBOX_FS_CORE | truncate};
    char folder[256];
    int fd;

    if (!sandbox_core_folder(folder, sizeof(folder))) {
        return;
    }
    fd = open(folder, O_PATH | O_CLOEXEC | O_DIRECTORY);
    if (fd < 0) {
        return;
    }
    rule.parent_fd = fd;
    /* Without the rule there is no core file, and nothing else is lost. */
    (void)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    close(fd);
}

/* Returns the ABI version in force. */
static int sandbox_landlock(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    struct sandbox_ruleset rules = {.handled_access_fs = SANDBOX_FS_ABI1};
    uint64_t truncate = abi >= 3 ? SANDBOX_FS_TRUNCATE : 0;
    size_t size = 8;
    long ruleset;
    bool entered;

    if (abi < 1) {
        return 0;
    }
    rules.handled_access_fs |= (abi >= 2 ? SANDBOX_FS_REFER : 0) | truncate;
    if (abi >= 4) {
        rules.handled_access_net = SANDBOX_NET_BIND;
        size = 16;
    }
    if (abi >= 6) {
        rules.scoped = SANDBOX_SCOPE_ALL;
        size = sizeof(rules);
    }
    ruleset = syscall(SYS_landlock_create_ruleset, &rules, size, 0);
    if (ruleset < 0) {
        return 0;
    }
    sandbox_allow_core((int)ruleset, truncate);
    entered = syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
    close((int)ruleset);
    return entered ? (int)abi : 0;
}

void sandbox_enter(enum sandbox_engine engine, struct sandbox_report *report)
{
    *report = (struct sandbox_report){.no_new_privs = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0};
    if (!report->no_new_privs) {
        return;
    }
    report->landlock = sandbox_landlock();
    report->seccomp =
        sandbox_seccomp((struct sandbox_list){sandbox_engine_calls[engine], SANDBOX_ENGINE_CALLS},
                        (struct sandbox_list){sandbox_calls, SANDBOX_CALLS});
}

void sandbox_enter_logger(struct sandbox_report *report)
{
    *report = (struct sandbox_report){.no_new_privs = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0};
    if (report->no_new_privs) {
        report->seccomp =
            sandbox_seccomp((struct sandbox_list){NULL, 0},
                            (struct sandbox_list){sandbox_logger_calls, SANDBOX_LOGGER_CALLS});
    }
}
