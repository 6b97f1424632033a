/* Start-up: modes, restrictions, and what a failure tells. */
#include "ring_kit.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cunit.h"
#include "ring/mode.h"
#include "ring/ring_uring.h"

RING_TEST(tells_its_engine_and_mode)
{
    struct ring *ring = kit_ring();

    switch (kit_engine) {
    case RING_ENGINE_EPOLL:
        CHECK_STRING(ring_engine(ring), "epoll");
        CHECK_STRING(ring_mode(ring), "edge-triggered");
        break;
    case RING_ENGINE_URING_COOPERATIVE:
        CHECK_STRING(ring_engine(ring), "io_uring");
        CHECK_STRING(ring_mode(ring), "cooperative");
        break;
    default:
        CHECK_STRING(ring_engine(ring), "io_uring");
        CHECK(strcmp(ring_mode(ring), "deferred") == 0 ||
              strcmp(ring_mode(ring), "cooperative") == 0);
        break;
    }
    CHECK_UINT(ring_kind(ring),
               kit_engine == RING_ENGINE_EPOLL ? RING_ENGINE_EPOLL : RING_ENGINE_URING);
    ring_destroy(ring);
    ring_destroy(NULL);
}

/* Whoever gets hold of the ring can do no more with it than this room does. */
TEST(the_ring_takes_only_the_operations_of_this_room)
{
    static const uint8_t forbidden[] = {IORING_OP_NOP, IORING_OP_OPENAT, IORING_OP_WRITE,
                                        IORING_OP_SOCKET, IORING_OP_SPLICE};
    struct ring *ring = (kit_engine = RING_ENGINE_URING, kit_ring());
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

/* Runs ring_create() in a process prepared by `prepare`, and tells whether its hint has `word`
 * (NULL: there is none) and the ring is `made` (NULL: none is, the error is `expected`). */
struct attempt {
    void (*prepare)(void);
    enum ring_engine_kind engine;
    int expected;
    const char *made;
    const char *word;
};

static int attempt_run(const struct attempt *attempt)
{
    const struct ring_config config = {
        .engine = attempt->engine, .entries = 8, .small_buffers = 1, .large_buffers = 1};
    const char *hint = NULL;
    struct ring *ring = NULL;

    attempt->prepare();
    if (ring_create(&config, &ring, &hint) != attempt->expected) {
        return 1;
    }
    if ((ring != NULL) != (attempt->made != NULL) ||
        (ring != NULL && strcmp(ring_engine(ring), attempt->made) != 0)) {
        return 2;
    }
    if ((hint != NULL) != (attempt->word != NULL) ||
        (hint != NULL && strstr(hint, attempt->word) == NULL)) {
        return 3;
    }
    ring_destroy(ring);
    return 0;
}

static void check_attempt(const struct attempt attempt)
{
    int status = -1;
    pid_t child;

    kit_engine = RING_ENGINE_URING;
    ring_destroy(kit_ring()); /* skips here where there is no io_uring at all */
    child = fork();
    if (child == 0) {
        _exit(attempt_run(&attempt));
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

static void nothing_special(void)
{
}

TEST(hints_name_the_likely_cause)
{
    enum ring_engine_kind uring = RING_ENGINE_URING;

    check_attempt((struct attempt){no_descriptors, uring, -EMFILE, NULL, "RLIMIT_NOFILE"});
    check_attempt((struct attempt){deny_with_eperm, uring, -EPERM, NULL, "seccomp"});
    check_attempt((struct attempt){deny_with_enosys, uring, -ENOSYS, NULL, "no io_uring"});
    check_attempt((struct attempt){deny_with_einval, uring, -EINVAL, NULL, "6.1"});
}

TEST(the_engine_is_io_uring_where_the_kernel_allows_it_and_else_epoll)
{
    enum ring_engine_kind any = RING_ENGINE_AUTO;

    check_attempt((struct attempt){nothing_special, any, 0, "io_uring", NULL});
    check_attempt((struct attempt){deny_with_eperm, any, 0, "epoll", "seccomp"});
    check_attempt((struct attempt){deny_with_enosys, any, 0, "epoll", "no io_uring"});
    check_attempt((struct attempt){deny_with_einval, any, 0, "epoll", "6.1"});
    check_attempt((struct attempt){no_descriptors, any, -EMFILE, NULL, "RLIMIT_NOFILE"});
}

TEST(epoll_needs_nothing_of_io_uring)
{
    enum ring_engine_kind epoll = RING_ENGINE_EPOLL;

    check_attempt((struct attempt){deny_with_eperm, epoll, 0, "epoll", NULL});
    check_attempt((struct attempt){no_descriptors, epoll, -EMFILE, NULL, "RLIMIT_NOFILE"});
}

/* What a ring takes, it gives back: descriptors and memory. */
RING_TEST(rings_leave_nothing_behind)
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

/* The probe tells what a connected socket says, whatever this kernel has. */
TEST(the_probe_for_kernel_tls_says_what_the_kernel_does)
{
    uint32_t before = kit_open_fds();
    int ends[2];
    bool taken;

    kit_pair(ends);
    taken = setsockopt(ends[0], IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) == 0;
    close(ends[0]);
    close(ends[1]);
    CHECK_INT(ring_ktls_probe(), taken ? RING_KTLS_YES : RING_KTLS_NO);
    CHECK_UINT(kit_open_fds(), before);
}

TEST(without_descriptors_the_probe_for_kernel_tls_says_nothing)
{
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        no_descriptors();
        _exit((int)ring_ktls_probe());
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), RING_KTLS_UNKNOWN);
}
