/* Start-up: modes, restrictions, and what a failure tells. */
#include "ring_kit.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cunit.h"
#include "ring/mode.h"
#include "ring/ring_parts.h"

TEST(tells_its_engine_and_mode)
{
    struct ring *ring = kit_ring();

    CHECK_STRING(ring_engine(ring), "io_uring");
    CHECK(strcmp(ring_mode(ring), "deferred") == 0 || strcmp(ring_mode(ring), "cooperative") == 0);
    ring_destroy(ring);
    ring_destroy(NULL);
}

/* Whoever gets hold of the ring can do no more with it than this room does. */
TEST(the_ring_takes_only_the_operations_of_this_room)
{
    static const uint8_t forbidden[] = {IORING_OP_NOP, IORING_OP_OPENAT, IORING_OP_WRITE,
                                        IORING_OP_SOCKET, IORING_OP_SPLICE};
    struct ring *ring = kit_ring();
    struct ring_event event;

    for (size_t i = 0; i < sizeof(forbidden); i++) {
        struct io_uring_sqe *sqe = ring_sqe(ring);

        memset(sqe, 0, sizeof(*sqe));
        sqe->opcode = forbidden[i];
        sqe->user_data = 77;
        event = kit_next(ring, KIT_PATIENT);
        CHECK_UINT(event.token, 77);
        CHECK_INT(event.result, -EACCES);
    }
    CHECK_INT(
        io_uring_register((uint32_t)ring->uring.ring_fd, IORING_UNREGISTER_PBUF_RING, NULL, 1),
        -EACCES);
    ring_destroy(ring);
}

/* Runs ring_create() in a process prepared by `prepare`, and tells whether its hint has `word`. */
static void check_hint(void (*prepare)(void), int expected, const char *word)
{
    int status = -1;
    pid_t child;

    ring_destroy(kit_ring()); /* skips here where there is no io_uring at all */
    child = fork();
    if (child == 0) {
        const struct ring_config config = {.entries = 8, .small_buffers = 1, .large_buffers = 1};
        const char *hint = NULL;
        struct ring *ring = NULL;
        int err;

        prepare();
        err = ring_create(&config, &ring, &hint);
        _exit(err != expected                              ? 1
              : ring != NULL                               ? 2
              : hint == NULL || strstr(hint, word) == NULL ? 3
                                                           : 0);
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
}

static void no_descriptors(void)
{
    const struct rlimit few = {3, 3};

    setrlimit(RLIMIT_NOFILE, &few);
}

/* As a container runtime's profile does. */
static void deny_setup(uint32_t err)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | err),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = 4, .filter = code};

    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void deny_with_eperm(void)
{
    deny_setup(EPERM);
}

static void deny_with_enosys(void)
{
    deny_setup(ENOSYS);
}

static void deny_with_einval(void)
{
    deny_setup(EINVAL);
}

TEST(hints_name_the_likely_cause)
{
    check_hint(no_descriptors, -EMFILE, "RLIMIT_NOFILE");
    check_hint(deny_with_eperm, -EPERM, "seccomp");
    check_hint(deny_with_enosys, -ENOSYS, "no io_uring");
    check_hint(deny_with_einval, -EINVAL, "6.1");
}

/* What a ring takes, it gives back: descriptors and memory. */
TEST(rings_leave_nothing_behind)
{
    uint32_t before;

    ring_destroy(kit_ring());
    before = kit_open_fds();
    for (int i = 0; i < 20; i++) {
        struct ring *ring = kit_ring();
        int pipe_ends[2];

        CHECK_INT(ring_pipe_take(ring, pipe_ends), 0);
        ring_pipe_give(ring, pipe_ends, true);
        ring_destroy(ring);
    }
    CHECK_UINT(kit_open_fds(), before);
}
